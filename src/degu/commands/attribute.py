"""``degu attribute``: which bases predictions rest on."""

from __future__ import annotations

import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from degu import __version__
from degu.attribution.methods import METHODS
from degu.commands.common import check_paths, note, open_models, progress, reading_options
from degu.errors import InputError

if TYPE_CHECKING:
    from degu.attribution.methods import Answer
    from degu.predict.exact import Exact
    from degu.predict.maps import HeadsOf
    from degu.predict.predictor import Predictor

SEED = 1234
_ENDINGS = {"hdf5": (".h5", ".hdf5"), "modisco": (".npz",)}


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.argument("sequences", metavar="SEQUENCES")
@click.option(
    "--output",
    "-o",
    required=True,
    metavar="FILE",
    help="HDF5; or PREFIX of PREFIX_ohe.npz and PREFIX_hyp.npz.",
)
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    default="shap_dinuc_shuffle",
    show_default=True,
    help="Gradient, DeepSHAP on shared references or on shuffles, in-silico mutagenesis.",
)
@click.option(
    "--head",
    type=click.Choice(["activity", "uncertainty"]),
    default="activity",
    show_default=True,
    help="What maps are of; uncertainty is the epistemic one that students predict.",
)
@click.option("--targets", multiple=True, metavar="NAME", help="Default: all; may be repeated.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["hdf5", "modisco"]),
    default="hdf5",
    show_default=True,
    help="modisco: the two files that modisco-lite reads, with hypothetical contributions.",
)
@click.option("--logos", metavar="FOLDER", help="Of pictures, one of each sequence.")
@click.option(
    "--max-logos",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Only the first so many sequences have one.",
)
@click.option(
    "--n-references",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Of DeepSHAP, for each sequence.",
)
@click.option(
    "--references",
    metavar="FILE",
    help="Sequences that --method shap draws them from; default: SEQUENCES.",
)
@click.option("--seed", type=int, default=SEED, show_default=True, help="Of references.")
@reading_options
@click.option("--threads", type=click.IntRange(1), help="CPU threads; default: all.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar, and no notes.")
def attribute(
    models: tuple[str, ...],
    sequences: str,
    output: str,
    method: str,
    head: str,
    targets: tuple[str, ...],
    form: str,
    logos: str | None,
    max_logos: int,
    n_references: int,
    references: str | None,
    seed: int,
    threads: int | None,
    quiet: bool,
    **reading: Any,
) -> None:
    """Maps of the bases that predictions rest on: (n, L, 4), a file for each target.

    MODEL is one or more model files, an arm's folder, or an export; the map of several is the mean
    of theirs, that of their mean prediction. SEQUENCES is a FASTA, a table with a header, or with
    --genome a BED; plain, gzipped or bgzipped. They have the length that the model takes, or that
    without the assay's flanks, which are then added.

    HDF5: id; x, the one-hot sequences (A, C, G, T); maps; prediction; of DeepSHAP hypothetical
    contributions too. With several targets files are called FILE_{target}.h5.
    """
    if references is not None and method != "shap":
        raise click.UsageError("--references are of --method shap.")
    stem = Path(output)
    if stem.suffix in _ENDINGS[form]:
        stem = stem.with_suffix("")
    check_paths((sequences, references, reading["genome"], *models), ())

    predictor = open_models(models, 512, threads)
    from degu.predict.exact import read_exact
    from degu.predict.maps import ROWS, hdf5_writer, heads_of, make_maps, modisco_writer, paths_of
    from degu.sequences import from_codes

    heads = heads_of(predictor, head, targets)
    paths = paths_of(heads.targets, str(stem), ".h5" if form == "hdf5" else "_hyp.npz")
    ohe = stem.with_name(f"{stem.name}_ohe.npz")
    written = [*paths.values(), *([ohe] if form == "modisco" else [])]
    check_paths((sequences, references, reading["genome"], *models), written)
    given = read_exact(predictor, sequences, **reading)
    drawn_from, others = sequences, given
    if references is not None:
        drawn_from, others = references, read_exact(predictor, references)
    if method == "shap" and len(others.ids) < n_references:
        raise InputError(
            f"{drawn_from} holds {len(others.ids):,} sequences, too few to draw {n_references:,} "
            "references from; name another file by --references, or fewer by --n-references."
        )

    @cache
    def pool() -> np.ndarray:
        return from_codes(others.codes)

    n = len(given.ids)
    about = _about(predictor, heads, head, method)
    if "shap" in method:
        about |= {"references": n_references, "seed": seed}
    if form == "hdf5":
        writer = hdf5_writer(paths, given.ids, **about)
    else:
        writer = modisco_writer(paths, ohe, n, predictor.length, method)
    settings = {"references": n_references, "hypothetical": True}
    with writer as write, progress(n, "sequences", quiet) as bar:
        for first in range(0, n, ROWS):
            rows = slice(first, first + ROWS)
            x = from_codes(given.codes[rows])
            answer = make_maps(heads, x, method, seed=seed, settings=settings, others=pool)
            write(rows, x, answer)
            for i in range(first, min(first + len(x), max_logos if logos else 0)):
                _draw(str(logos), given, i, x[i - first], answer, i - first, heads, head, method)
            bar.update(len(x))
    if logos is not None and n > max_logos:
        note(f"{logos} has logos of the first {max_logos:,} sequences.", quiet)
    if form == "modisco":
        for path in paths.values():
            note(_next_command(ohe, path, predictor.length), quiet)


def _about(predictor: Predictor, heads: HeadsOf, head: str, method: str) -> dict[str, Any]:
    """What a file of maps says of itself."""
    from degu.predict.maps import UNITS

    return {
        "degu": __version__,
        "method": method,
        "head": head,
        "kind": heads.kind,
        "units": UNITS[heads.kind],
        "role": predictor.role,
        "models": [path.name for path in predictor.paths],
        "models_sha256": predictor.sha256,
        "flanks": [flank.decode() for flank in predictor.flanks],
    }


def _next_command(ohe: Path, hyp: Path, length: int) -> str:
    """What to run on the files; modisco-lite refuses a window that is longer than sequences."""
    from degu.predict.maps import WINDOW

    window = min(WINDOW, length)
    name = f"{str(hyp).removesuffix('_hyp.npz')}_modisco.h5"
    command = ["modisco", "motifs", "-s", str(ohe), "-a", str(hyp), "-n", "20000"]
    command += ["-w", str(window), "-o", name]
    why = f" (its window, by default {WINDOW}, must not exceed the sequences)" * (length < WINDOW)
    return f"for modisco-lite{why}: {shlex.join(command)}"


def _draw(
    folder: str,
    given: Exact,
    row: int,
    x: np.ndarray,
    answer: Answer,
    place: int,
    heads: HeadsOf,
    head: str,
    method: str,
) -> None:
    """The logo of one sequence, which is at a place of the maps; a row for each target."""
    from degu.attribution.maps import importance
    from degu.attribution.methods import find
    from degu.plots.logos import plot_logos
    from degu.plots.style import save_figure
    from degu.predict.maps import file_part

    own = slice(given.start[row], given.start[row] + given.size[row])
    assert answer.prediction is not None
    values = dict(zip(heads.targets, answer.prediction[place], strict=True))
    maps = np.moveaxis(answer.maps[place, own], -1, 0)
    figure = plot_logos(
        x[None, own],
        {
            target: importance(one[None], x[None, own], method)
            for target, one in zip(heads.targets, maps, strict=True)
        },
        names=[given.ids[row]],
        predictions={target: np.array([value]) for target, value in values.items()},
        title=f"{find(method).title}, {head}",
    )
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path / f"{row + 1}_{file_part(given.ids[row])}.png")
