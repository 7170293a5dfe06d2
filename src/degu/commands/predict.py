"""``degu predict``: activity, uncertainty and intervals of sequences."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from degu import __version__
from degu.commands.common import (
    check_paths,
    note,
    open_models,
    prediction_options,
    progress,
    reading_options,
    standard_output,
)
from degu.errors import InputError
from degu.io.versions import package_versions

if TYPE_CHECKING:
    import pyarrow as pa

    from degu.predict.predictor import Predictor
    from degu.predict.stream import Settings

_PIPED = 1 << 13
"""Sequences after which a pipe gets its next lines."""


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.argument("sequences", metavar="SEQUENCES")
@click.option("--output", "-o", metavar="FILE", help="Default: standard output.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["tsv", "parquet", "hdf5"]),
    help="Default: what the output's name ends in (.parquet, .h5), else TSV.",
)
@click.option(
    "--level",
    "levels",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    multiple=True,
    default=(0.9,),
    show_default=True,
    help="Of intervals; several may be given.",
)
@click.option(
    "--interval",
    type=click.Choice(["mondrian", "conformal", "isotonic", "scaling"]),
    default="mondrian",
    show_default=True,
    help="Recalibration that intervals are of.",
)
@click.option(
    "--fit",
    "how",
    type=click.Choice(["error", "pad", "centre", "tile"]),
    default="error",
    show_default=True,
    help="What is done with sequences of other lengths than the models'.",
)
@click.option(
    "--stride",
    type=click.IntRange(1),
    help="Bases from tile to tile; default: half a tile.",
)
@reading_options
@click.option("--resume", is_flag=True, help="Go on with what was killed.")
@prediction_options
def predict(
    models: tuple[str, ...],
    sequences: str,
    genome: str | None,
    output: str | None,
    form: str | None,
    levels: tuple[float, ...],
    interval: str,
    both_strands: bool,
    how: Any,
    stride: int | None,
    max_n: float,
    resume: bool,
    batch_size: int,
    threads: int | None,
    quiet: bool,
    **reading: Any,
) -> None:
    """Activity of each sequence, with its epistemic std and an interval for a measurement.

    MODEL is one or more model files, an arm's folder, or an export. SEQUENCES is a FASTA, a table
    with a header, or with --genome a BED; plain, gzipped or bgzipped.

    Columns: id, and for each target {target}, {target}_std, {target}_lower, {target}_upper; of
    several levels {target}_lower_90 and so on. What a model does not predict is empty.
    """
    if stride is not None and how != "tile":
        raise click.UsageError("--stride is of --fit tile.")
    if reading["summit"] and genome is None:
        raise click.UsageError("--summit needs the --genome that the narrowPeak is of.")
    if output is None and form == "hdf5":
        raise click.UsageError("HDF5 goes to a file alone; name an --output.")
    if output is None and resume:
        raise click.UsageError("--resume goes on with a file; name its --output.")
    if resume and not os.path.isfile(sequences):
        raise InputError(f"{sequences} is no file that can be read again, as --resume does.")
    check_paths([sequences, genome, *models], [output] if output else [])

    predictor = open_models(models, batch_size, threads)

    from degu.genomics.files import read_sequences
    from degu.io.files import sha256_of
    from degu.predict.fit import Fit
    from degu.predict.journal import Journal
    from degu.predict.output import Columns, counted, format_of, into_file, into_stream
    from degu.predict.stream import PART, READ, Settings, count_records, estimates

    inner = predictor.length - sum(map(len, predictor.flanks))
    if stride is not None and stride > inner:
        raise click.UsageError(f"A --stride of more than {inner} bases leaves some out.")
    levels = tuple(dict.fromkeys(levels))
    asked = Settings(levels, interval, both_strands, Fit(how, stride, max_n))
    columns = Columns(predictor.targets, levels)
    schema = columns.schema(_about(predictor, sequences, asked, reading))
    # Of an interval that is too short, the genome has what is missing.
    windows = genome is not None and (reading["summit"] or how == "centre")
    reading |= {"genome": genome, "length": inner if windows else None}
    form = form or format_of(output)
    counts: dict[str, int] = {}
    hidden = quiet or (output is None and os.isatty(1))
    total = None if hidden or not os.isatty(2) else count_records(sequences)

    def tables(part: int, done: Sequence[int] = ()) -> Iterator[pa.Table]:
        bar.update(sum(done))
        blocks = read_sequences(sequences, READ, **reading)
        for ids, found in estimates(predictor, blocks, asked, sequences, part=part, done=done):
            yield columns.table(ids, found, schema)
            bar.update(len(ids))

    with progress(total, "sequences", hidden) as bar:
        if output is None:
            found = counted(tables(_PIPED), counts)
            first = next(found, None)  # nothing is printed where this fails
            with standard_output() as stream, into_stream(form, stream, schema) as write:
                for table in chain([] if first is None else [first], found):
                    write(table)
                    stream.flush()
        elif not os.path.isfile(sequences):  # a pipe: it cannot be read again
            with into_file(form, Path(output), schema) as write:
                for table in counted(tables(PART), counts):
                    write(table)
        else:
            about = {
                "sequences": sha256_of(sequences),
                "genome": genome and sha256_of(genome),
                "models": predictor.sha256,
                "options": [asdict(asked), reading | {"genome": None}, batch_size, threads, form],
                "versions": package_versions(),
            }
            journal = Journal(Path(output), schema)
            with journal.open(about, resume=resume):
                for table in tables(PART, list(journal.done)):
                    journal.add(table)
                with into_file(form, Path(output), schema) as write:
                    for table in counted(journal.tables(), counts):
                        write(table)
    for line in _notes(counts, predictor, asked):
        note(f"{sequences}: {line}", quiet)


def _about(
    predictor: Predictor, sequences: str, asked: Settings, reading: dict[str, Any]
) -> dict[str, Any]:
    """What a Parquet or HDF5 file says of itself."""
    return {
        "degu": __version__,
        "models": [path.name for path in predictor.paths],
        "models_sha256": predictor.sha256,
        "role": predictor.role,
        "sequences": os.path.basename(sequences),
        "intervals": predictor.has_intervals,
        **asdict(asked),
        **reading,
    }


def _notes(counts: dict[str, int], predictor: Predictor, asked: Settings) -> Iterator[str]:
    """What is to be known of a table, beside the table."""
    if counts.get("missing"):
        yield (
            f"{counts['missing']:,} of {counts['rows']:,} sequences have no values, since more "
            f"than {asked.fit.max_n:.4g} of their bases are unknown (--max-n)."
        )
    if endless := counts.get("infinite"):
        yield (
            f"{endless:,} ends of intervals are infinite: their level wants more validation "
            "sequences than there were."
        )
    if not predictor.has_std:
        yield "there are no stds: the model has no uncertainty."
    if not predictor.has_intervals:
        yield "there are no intervals: not every model has a recalibration beside it."
