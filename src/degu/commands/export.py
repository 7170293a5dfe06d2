"""``degu export``: what one publishes of an arm."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("arm", type=click.Path(path_type=Path))
@click.option("--to", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@click.option(
    "--config",
    "configs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Config file of the study, to be published too; of several, the later goes before.",
)
def export(arm: Path, to: Path, configs: tuple[Path, ...]) -> None:
    """Write a folder to publish: a student, its ensemble, and all that says what they are.

    ARM is a folder of students, such as results/my_assay/standard/downsample_1/students/n10/std.
    Of its replicates the one that fits validation sequences best is taken; test sequences have no
    part in the choice.
    """
    from degu.predict import export as exports

    config = exports.read_config(configs) if configs else None
    made = exports.export(arm, to, config)
    click.echo(f"{made}: predict with `degu predict {made} SEQUENCES`, see {made}/model_card.md")
    if config is None:
        click.echo("The study's config is not in it; `--config my_assay.yaml` adds it.", err=True)
