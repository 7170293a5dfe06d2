"""``degu inspect``: what a file holds."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="JSON, for machines.")
def inspect(file: Path, as_json: bool) -> None:
    """Say what FILE holds: heads, arm, hashes, versions, performance, recalibration.

    FILE is a model, a data set, a distillation file, predictions, attribution maps, a
    recalibration, a summary or performance table, or the folder of an export. It is told by its
    content.
    """
    from degu.predict.describe import as_text, describe

    described = describe(file)
    click.echo(json.dumps(described, indent=1) if as_json else as_text(described))
