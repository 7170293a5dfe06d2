"""``degu scan``: in-silico mutagenesis of every position."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from degu.commands.common import (
    check_columns,
    check_paths,
    note,
    open_models,
    progress,
    reading_options,
    standard_output,
)

if TYPE_CHECKING:
    import numpy as np

    from degu.predict.exact import Exact
    from degu.predict.scan import Effects

BLOCK = 16
"""Sequences whose effects are in memory at once."""

_COLUMNS = ["id", "position", "ref", "alt"]


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.argument("sequences", metavar="SEQUENCES")
@click.option("--output", "-o", metavar="FILE", help="Default: standard output.")
@click.option("--picture", metavar="FOLDER", help="Of heat maps, one of each sequence.")
@click.option(
    "--max-pictures",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Only the first so many sequences have one.",
)
@click.option(
    "--rho",
    type=click.FloatRange(-1, 1),
    help="Correlation of a student's errors on sequence and mutant; default: 0.",
)
@click.option("--both-strands", is_flag=True, help="Average each model over both strands.")
@reading_options
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=512,
    show_default=True,
    help="Mutants that a model predicts at once.",
)
@click.option("--threads", type=click.IntRange(1), help="CPU threads; default: all.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar, and no notes.")
def scan(
    models: tuple[str, ...],
    sequences: str,
    output: str | None,
    picture: str | None,
    max_pictures: int,
    rho: float | None,
    both_strands: bool,
    batch_size: int,
    threads: int | None,
    quiet: bool,
    **reading: Any,
) -> None:
    """Effect of every single-base substitution, with its std.

    MODEL is one or more model files, an arm's folder, or an export. SEQUENCES is a FASTA, a table
    with a header, or with --genome a BED; plain, gzipped or bgzipped. They have the length that
    the model takes, or that without the assay's flanks, which are then added and not scanned.

    TSV: a row a substitution, with id, position (from 1, in the sequence as it is given), ref,
    alt; and for each target {target}_effect, the prediction with alt less that with ref, and
    {target}_effect_std. Unknown bases (N) are left out.

    The std of an effect is that of the effects of an ensemble's members; of a student
    √(σ_ref² + σ_alt² − 2ρ σ_ref σ_alt), of several the root mean square of theirs. A single
    teacher has none.
    """
    check_paths((sequences, reading["genome"], *models), (output,) if output else ())
    predictor = open_models(models, batch_size, threads)
    if rho is not None and predictor.role == "teacher":
        raise click.UsageError("--rho is of students; effects of teachers are paired.")
    columns = [*_COLUMNS]
    columns += [f"{t}_{part}" for t in predictor.targets for part in ("effect", "effect_std")]
    check_columns(columns)

    from degu.predict.exact import read_exact
    from degu.predict.scan import scan as effects_of

    given = read_exact(predictor, sequences, **reading)
    where = given.given
    total = 3 * int((where & (given.codes < 4)).sum())
    with _written(output) as stream, progress(total, "mutants", quiet) as bar:
        stream.write("\t".join(columns).encode() + b"\n")
        for first in range(0, len(given.ids), BLOCK):
            rows = slice(first, first + BLOCK)
            effects = effects_of(
                predictor,
                given.codes[rows],
                where[rows],
                rho=rho or 0.0,
                both_strands=both_strands,
                progress=bar.update,
            )
            for i in range(len(effects.effect)):
                stream.write(_lines(given, first + i, _of(effects, i)).encode())
                if picture is not None and first + i < max_pictures:
                    _draw(Path(picture), given, first + i, _of(effects, i), predictor.targets)
            stream.flush()
    if picture is not None and len(given.ids) > max_pictures:
        note(f"{picture} has pictures of the first {max_pictures:,} sequences.", quiet)
    if not predictor.has_std:
        note("there are no stds: the model has no uncertainty.", quiet)


@contextmanager
def _written(output: str | None) -> Iterator[BinaryIO]:
    from degu.io.files import atomic_path

    if output is None:
        with standard_output() as stream:
            yield stream
    else:
        with atomic_path(output) as temporary, open(temporary, "wb") as stream:
            yield stream


def _of(effects: Effects, i: int) -> Effects:
    """Effects of one sequence."""
    return type(effects)(effects.effect[i], None if effects.std is None else effects.std[i])


def _lines(given: Exact, row: int, effects: Effects) -> str:
    """The rows of one sequence."""
    import numpy as np

    letters = "ACGTN"
    places = np.argwhere(np.isfinite(effects.effect[..., 0]))
    found = effects.effect[tuple(places.T)]
    std = np.full_like(found, np.nan) if effects.std is None else effects.std[tuple(places.T)]
    numbers = np.stack([found, std], axis=-1).reshape(len(found), -1)
    name, start, codes = given.ids[row], given.start[row], given.codes[row]
    return "".join(
        f"{name}\t{position - start + 1}\t{letters[codes[position]]}\t{letters[base]}\t"
        + "\t".join("" if v != v else format(v, ".7g") for v in own)
        + "\n"
        for (position, base), own in zip(places.tolist(), numbers.tolist(), strict=True)
    )


def _draw(folder: Path, given: Exact, row: int, effects: Effects, targets: tuple[str, ...]) -> None:
    from degu.plots.mutations import plot_scan
    from degu.plots.style import save_figure
    from degu.predict.maps import file_part

    own: Any = slice(given.start[row], given.start[row] + given.size[row])
    std: np.ndarray | None = None if effects.std is None else effects.std[own]
    name = given.ids[row]
    figure = plot_scan(given.codes[row][own], effects.effect[own], std, targets, title=name)
    folder.mkdir(parents=True, exist_ok=True)
    save_figure(figure, folder / f"{row + 1}_{file_part(name)}.png")
