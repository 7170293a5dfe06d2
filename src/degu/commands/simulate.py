"""``degu simulate``: an example data set."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--to", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@click.option("--train", default=6000, show_default=True, help="Training sequences.")
@click.option("--val", default=1000, show_default=True, help="Validation sequences.")
@click.option("--test", default=5000, show_default=True, help="Test sequences.")
@click.option("--length", default=100, show_default=True, help="Length of a sequence in bp.")
@click.option("--seed", default=1234, show_default=True, help="Seed of everything.")
def simulate(to: Path, train: int, val: int, test: int, length: int, seed: int) -> None:
    """Write a simulated assay: a table, its test sequences as FASTA, and a config that runs.

    The assay is that of the embedded study (two targets, three replicates of each). What comes out
    is what one's own data would look like.
    """
    from degu.ingest.example import write_example

    config = write_example(to, {"n_train": train, "n_val": val, "n_test": test}, length, seed)
    click.echo(f'{to}: train with `make run ARGS="--configfile {config}"`')
    click.echo(f"predict with `degu predict MODEL {to}/test.fa`")
