"""``degu variants``: effects of variants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import click

from degu import __version__
from degu.commands.common import (
    check_columns,
    check_paths,
    note,
    open_models,
    prediction_options,
    progress,
    standard_output,
)

if TYPE_CHECKING:
    from degu.predict.predictor import Predictor
    from degu.predict.variants import Settings, Survey


class _Shifts(click.ParamType):
    name = "bases"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(dict.fromkeys(int(shift) for shift in value.split(",")))
        except ValueError:
            self.fail(f"{value!r} is no list of whole numbers such as 0,-5,5.", param, ctx)


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.argument("vcf", metavar="VCF")
@click.option("--genome", required=True, metavar="FASTA", help="Reference, plain or bgzipped.")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    help="Default: standard output. With .gz at the end it is bgzipped, a VCF indexed too.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["tsv", "vcf"]),
    help="Default: VCF where the output's name ends in .vcf or .vcf.gz, else TSV.",
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Of the intervals of effects.",
)
@click.option(
    "--rho",
    type=click.FloatRange(-1, 1),
    help="Correlation of a student's errors on reference and alternative; default: 0.",
)
@click.option(
    "--shifts",
    type=_Shifts(),
    default="0",
    show_default=True,
    help="Average over windows that are moved by so many bases, such as 0,-5,5.",
)
@click.option(
    "--beyond",
    type=click.Choice(["missing", "pad"]),
    default="missing",
    show_default=True,
    help="Windows beyond the end of a contig have no value, or are padded with N.",
)
@prediction_options
def variants(
    models: tuple[str, ...],
    vcf: str,
    genome: str,
    output: str | None,
    form: Literal["tsv", "vcf"] | None,
    rho: float | None,
    batch_size: int,
    threads: int | None,
    quiet: bool,
    **settings: Any,
) -> None:
    """Effect of each variant (alternative less reference), with its std.

    MODEL is one or more model files, an arm's folder, or an export. VCF is a VCF, plain or
    gzipped, or a BCF.

    TSV: a row an alternative, with CHROM, POS, ID, REF, ALT; for each target {target}_ref, _alt,
    _effect, _effect_std, _effect_lower, _effect_upper, _excludes_0; and status: "ok", or why there
    are no values. VCF: the same as INFO DEGU_{target}_effect, ..., DEGU_STATUS, and all else as it
    was.

    The std of an effect is that of the effects of an ensemble's members; of a student
    √(σ_ref² + σ_alt² − 2ρ σ_ref σ_alt). Intervals are effect ± z·std: no recalibration goes into
    them.
    """
    if output is not None and output.endswith((".bcf", ".bcf.gz")):
        raise click.UsageError("BCF is not written; write a VCF and turn it by bcftools view -Ob.")
    if form is None:
        form = "vcf" if output is not None and output.endswith((".vcf", ".vcf.gz")) else "tsv"
    check_paths([vcf, genome, *models], [output] if output else [])

    from degu.genomics.genome import Genome
    from degu.genomics.vcf import read_variants
    from degu.predict.variants import Settings, Sites, Tally, few, predict_variants, survey
    from degu.predict.variants_output import TsvRows, VcfRows, columns

    chosen = Settings(rho=rho or 0.0, **settings)
    sites = Sites(Genome(genome))
    found = survey(vcf, sites)
    predictor = open_models(models, batch_size, threads)
    if rho is not None and predictor.role == "teacher":
        raise click.UsageError("--rho is of students; effects of teachers are paired.")
    check_columns(columns(predictor.targets))
    rows: TsvRows | VcfRows = TsvRows(predictor.targets)
    if form == "vcf":
        notes = _notes(predictor, chosen)
        contigs, has_std = found.contigs, predictor.has_std
        rows = VcfRows(predictor.targets, found.header, contigs, has_std, notes)
    tally = Tally()
    with (
        _written(output, form, found, quiet) as stream,
        progress(found.alternatives, "variants", quiet) as bar,
    ):
        stream.write(rows.header)
        for block, effects in predict_variants(predictor, read_variants(vcf), sites, chosen):
            stream.write(rows.of(block, effects))
            tally.add(block, effects.status)
            bar.update(len(effects.status))
    lacking = [name for name, length in found.contigs.items() if length is None]
    if lacking:
        note(f"{genome} lacks contigs of {vcf}: {few(lacking)}.", quiet)
    for line in tally.lines():
        note(f"{vcf}: {line}.", quiet)


def _notes(predictor: Predictor, settings: Settings) -> dict[str, object]:
    """What a VCF's header says of the prediction."""
    notes = {
        "Version": __version__,
        "Models": len(predictor.cards),
        "Role": predictor.role,
        "SHA256": predictor.sha256,
        "Shifts": ",".join(map(str, settings.shifts)),
        "BothStrands": "yes" if settings.both_strands else "no",
        "MaxN": settings.max_n,
        "Beyond": settings.beyond,
    }
    if predictor.has_std:
        notes["Level"] = settings.level
    if predictor.has_std and predictor.role == "student":
        notes["Rho"] = settings.rho
    return notes


@contextmanager
def _written(output: str | None, form: str, found: Survey, quiet: bool) -> Iterator[BinaryIO]:
    """Where rows go: standard output, or a file that has its name when it is whole."""
    from degu.genomics.vcf import TBI_REACH, bgzipped
    from degu.io.files import atomic_path

    if output is None:
        with standard_output() as stream:
            yield stream
    elif output.endswith(".gz"):
        index = None
        if form == "vcf" and found.sorted:
            index = "tbi" if found.reach < TBI_REACH else "csi"
        elif form == "vcf":
            note(f"{output} gets no index, since its records are not sorted.", quiet)
        with bgzipped(output, index) as stream:
            yield stream
    else:
        with atomic_path(output) as temporary, open(temporary, "wb") as stream:
            yield stream
