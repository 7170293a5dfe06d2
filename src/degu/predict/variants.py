"""Effects of variants: what models predict of the alternative, less that of the reference.

Each record is applied alone to the reference genome, and never flipped. With p = POS − 1 and a
window of L bases (the models' length less the assay's constant flanks, which stay where they are),
the reference is [p − ⌊L/2⌋, p − ⌊L/2⌋ + L). The alternative starts at the same place, has ALT in
place of REF, and reads on to the right until it is L bases long.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from degu.errors import InputError
from degu.genomics.vcf import Variant, declared_contigs, read_header, read_variants
from degu.sequences import ALPHABET, IUPAC, BadLetter, letter_codes
from degu.uncertainty import std_of_difference

if TYPE_CHECKING:
    from degu.genomics.genome import Genome
    from degu.predict.predictor import Predictor

MISMATCHES = 0.2
"""Share of records whose REF is not the genome's, above which it is another assembly."""

STATUSES = {
    "ok": "it has values",
    "missing_allele": "ALT is '.'",
    "gvcf_block": "the record is a block of a gVCF",
    "spanning_deletion": "ALT is '*': the bases are deleted by another record",
    "symbolic": "ALT is a name, such as <DEL>, and no bases",
    "breakend": "ALT is a breakend",
    "letters": "REF or ALT has other letters than A, C, G, T and N",
    "unknown_contig": "the genome has no contig of that name",
    "contig_length_differs": "the VCF's header gives the contig another length than the genome",
    "reference_differs": "REF is not what the genome has there",
    "does_not_fit": "REF or ALT reaches beyond the window",
    "off_contig": "the window reaches beyond an end of the contig",
    "too_many_n": "more than the allowed share of a window is unknown bases",
}
"""What becomes of an alternative, and why; an earlier reason goes before a later one."""

# Alternatives, bases of their windows, and bytes of their lines that are in memory at once.
_BLOCK, _BLOCK_BASES, _BLOCK_BYTES = 8192, 2**25, 2**25

# Of the reference, an ambiguous letter is any of its bases: VCF, which has none in REF, takes the
# first of the alphabet.
_AMBIGUOUS = {
    ord(letter): bases.encode() for letter, bases in IUPAC.items() if letter not in f"{ALPHABET}N"
}


@dataclass(frozen=True)
class Settings:
    """How effects are predicted.

    Attributes:
        shifts: bases by which both windows of a variant are moved to the right; models' predictions
            are averaged over them, each model's by itself.
        both_strands: whether they are averaged over both strands likewise.
        rho: correlation between a student's errors on the two sequences, which its stds do not
            tell; of teachers it is not used.
        level: of the intervals.
        max_n: largest share of unknown bases among a window's own.
        beyond: whether a window that reaches beyond an end of its contig has no value, or N there,
            which do not count as unknown.
    """

    shifts: tuple[int, ...] = (0,)
    both_strands: bool = False
    rho: float = 0.0
    level: float = 0.9
    max_n: float = 0.05
    beyond: Literal["missing", "pad"] = "missing"


class Pair(NamedTuple):
    """Windows of one alternative at one shift: letters in upper case, one length."""

    ref: bytes
    alt: bytes


@dataclass(frozen=True)
class Effects:
    """Of A alternatives and T targets, in units of the targets; NaN without a value.

    Attributes:
        status: of each, a key of :data:`STATUSES`.
        ref, alt: what is predicted of the two sequences, (A, T) float64.
        effect: alt − ref.
        std: epistemic, of the effect: over the members of an ensemble that of their effects
            (ddof 0); of a student √(σ_ref² + σ_alt² − 2ρ σ_ref σ_alt), of several the root mean
            square. None, as the three that follow from it, of one teacher.
        lower, upper: effect ± z std, z of the standard normal at the level. No conformal interval:
            a recalibration is of measurements, not of differences.
        excludes_0: 1 where 0 is outside of them, else 0.
    """

    status: list[str]
    ref: np.ndarray
    alt: np.ndarray
    effect: np.ndarray
    std: np.ndarray | None = None
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    excludes_0: np.ndarray | None = None


@dataclass
class Sites:
    """Where variants lie in a genome, and whether they fit it.

    Attributes:
        genome: the genome.
        declared: lengths of contigs as the VCF's header says them.
    """

    genome: Genome
    declared: dict[str, int | None] = field(default_factory=dict)
    _contigs: dict[str, str | None] = field(default_factory=dict, init=False, repr=False)

    def contig(self, chrom: str) -> str | None:
        """The genome's name of a contig; None where it has none."""
        if chrom not in self._contigs:
            try:
                self._contigs[chrom] = self.genome.contig(chrom)
            except InputError:
                self._contigs[chrom] = None
        return self._contigs[chrom]

    def length(self, chrom: str) -> int | None:
        """Bases of a contig in the genome; None where it has none."""
        contig = self.contig(chrom)
        return None if contig is None else self.genome.lengths[contig]

    def statuses(self, variant: Variant) -> list[str]:
        """Of each alternative: ``ok``, or why no window of any length could be cut for it."""
        kinds = variant.kinds()
        if "ok" not in kinds:
            return kinds
        length = self.length(variant.chrom)
        if length is None:
            why = "unknown_contig"
        elif self.declared.get(variant.chrom) not in (None, length):
            why = "contig_length_differs"
        elif not _same(variant.ref, self.reference(variant)):
            why = "reference_differs"
        else:
            return kinds
        return [why if kind == "ok" else kind for kind in kinds]

    def reference(self, variant: Variant) -> bytes:
        """What the genome has in place of REF, in upper case; its contig must be known."""
        start = variant.pos - 1
        return self._fetch(variant, start, start + len(variant.ref))

    def pairs(
        self, variant: Variant, length: int, settings: Settings
    ) -> tuple[list[str], list[list[Pair]]]:
        """Status of each alternative; of those that are ``ok``, windows (bases) at each shift."""
        statuses = self.statuses(variant)
        ref, alts, start = variant.ref, variant.alts, variant.pos - 1
        low, high = min(settings.shifts), max(settings.shifts)
        left = length // 2 - high  # bases before REF where there are fewest
        right = length - length // 2 + low  # and from its first one on
        for i, alt in enumerate(alts):
            if statuses[i] == "ok" and (left < 0 or max(len(ref), len(alt)) > right):
                statuses[i] = "does_not_fit"
        cut: list[list[Pair]] = []
        if "ok" not in statuses:
            return statuses, cut
        size = self.length(variant.chrom) or 0
        first = start - length // 2 + low
        last = start - left + length
        around = self._fetch(variant, first, last + len(ref))
        before = start - first
        for i, alt in enumerate(alts):
            if statuses[i] != "ok":
                continue
            mutated = around[:before] + alt.upper() + around[before + len(ref) :]
            pairs = []
            for shift in settings.shifts:
                at = shift - low
                pair = Pair(around[at : at + length], mutated[at : at + length])
                ends = first + at + length, first + at + length + len(ref) - len(alt)
                for window, end in zip(pair, ends, strict=True):
                    beyond = max(0, -(first + at)) + max(0, end - size)
                    unknown = len(window.translate(None, ALPHABET.encode())) - beyond
                    if beyond and settings.beyond == "missing":
                        statuses[i] = "off_contig"
                    elif unknown > settings.max_n * (length - beyond) and statuses[i] == "ok":
                        statuses[i] = "too_many_n"
                pairs.append(pair)
            if statuses[i] == "ok":
                cut.append(pairs)
        return statuses, cut

    def _fetch(self, variant: Variant, start: int, stop: int) -> bytes:
        contig = self.contig(variant.chrom)
        assert contig is not None
        return self.genome.fetch(contig, start, stop).upper()


def _same(ref: bytes, found: bytes) -> bool:
    """Whether REF is what the genome has, in either case."""
    ref = ref.upper()
    return ref == found or all(
        base == there or base in _AMBIGUOUS.get(there, b"")
        for base, there in zip(ref, found, strict=True)
    )


@dataclass
class Survey:
    """What a VCF holds, before anything is predicted.

    Attributes:
        header: its lines.
        records, alternatives: how many there are.
        contigs: of the records, in their order, with the genome's length; None where it has none.
        sorted: whether the records of a contig follow each other, by POS.
        reach: largest POS.
    """

    header: list[str]
    records: int = 0
    alternatives: int = 0
    contigs: dict[str, int | None] = field(default_factory=dict)
    sorted: bool = True
    reach: int = 0


def survey(path: str | os.PathLike[str], sites: Sites) -> Survey:
    """Read a VCF once, and compare its REF with the genome's.

    Sets ``sites.declared``.

    Raises:
        InputError: if it is damaged, has no record on a contig of the genome, or more than
            :data:`MISMATCHES` of the records that can be compared have another REF (or a contig of
            another length) than the genome; names the file, the genome and the first such record.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path} is no regular file, but is read twice; save the VCF to a file.")
    found = Survey(read_header(path))
    sites.declared = declared_contigs(found.header)
    compared = differ = 0
    first, chrom, pos = "", "", 0
    for variant in read_variants(path):
        found.records += 1
        found.alternatives += len(variant.alts)
        if variant.chrom != chrom:
            found.sorted &= variant.chrom not in found.contigs
            chrom, pos = variant.chrom, 0
            found.contigs.setdefault(chrom, sites.length(chrom))
        found.sorted &= variant.pos >= pos
        pos = variant.pos
        found.reach = max(found.reach, pos + len(variant.ref))
        statuses = set(sites.statuses(variant))
        wrong = statuses & {"reference_differs", "contig_length_differs"}
        compared += bool(wrong) or "ok" in statuses
        differ += bool(wrong)
        if wrong and not first:
            first = f"{variant.where}, {_difference(variant, sites, *wrong)}"
    if found.contigs and all(length is None for length in found.contigs.values()):
        raise InputError(
            f"{path} has only contigs that {sites.genome.path} lacks ({few(found.contigs)}; the "
            f"genome has {few(sites.genome.lengths)}); give the genome that its variants are of."
        )
    if differ > MISMATCHES * compared:
        raise InputError(
            f"{path} does not fit {sites.genome.path} in {differ:,} of {compared:,} records (the "
            f"first: {first}): another assembly? Give the genome that its variants are of."
        )
    return found


def _difference(variant: Variant, sites: Sites, why: str) -> str:
    if why == "contig_length_differs":
        return (
            f"{variant.chrom} of {sites.declared[variant.chrom]:,} bases, where the genome has "
            f"{sites.length(variant.chrom):,}"
        )
    ref, there = (
        text[:20].decode(errors="replace") + ("..." if len(text) > 20 else "")
        for text in (variant.ref, sites.reference(variant))
    )
    return f"{variant.chrom}:{variant.pos} {ref}, where the genome has {there}"


def few(names: Iterable[str], n: int = 5) -> str:
    """The first of some names, as a list in a sentence."""
    names = list(names)
    return ", ".join(names[:n]) + (", ..." if len(names) > n else "")


@dataclass
class Tally:
    """Alternatives without values, by their status: how many, and the first of each."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, variants: Sequence[Variant], statuses: Sequence[str]) -> None:
        of = (variant for variant in variants for _ in variant.alts)
        for variant, status in zip(of, statuses, strict=True):
            self.counts[status] += 1
            if status not in self.first:
                self.first[status] = f"{variant.where}, {variant.chrom}:{variant.pos}"

    def lines(self) -> list[str]:
        """A line for each status but ``ok``, in the order of :data:`STATUSES`."""
        return [
            f"{self.counts[status]:,} of {self.counts.total():,} alternatives have no values, "
            f"{status}: {why} (the first: {self.first[status]})"
            for status, why in STATUSES.items()
            if status != "ok" and self.counts[status]
        ]


def predict_variants(
    predictor: Predictor,
    variants: Iterable[Variant],
    sites: Sites,
    settings: Settings,
    rows: int = _BLOCK,
) -> Iterator[tuple[list[Variant], Effects]]:
    """Effects of variants, a block at a time, in their order.

    All windows of a block are predicted together, identical ones once.

    Args:
        predictor: the models.
        variants: of a file.
        sites: the genome they lie in.
        settings: how.
        rows: alternatives of a block, at most; fewer of long windows or lines.

    Yields:
        The block's variants, and the effects of all their alternatives, one after the other.
    """
    length = predictor.length - sum(map(len, predictor.flanks))
    copies = 2 * len(settings.shifts) * (1 + settings.both_strands)
    rows = max(1, min(rows, _BLOCK_BASES // (predictor.length * copies)))
    for block in _blocks(variants, rows):
        statuses: list[str] = []
        cut: list[list[Pair]] = []
        for variant in block:
            status, pairs = sites.pairs(variant, length, settings)
            statuses += status
            cut += pairs
        yield block, _effects(predictor, statuses, cut, settings, sites)


def _blocks(variants: Iterable[Variant], rows: int) -> Iterator[list[Variant]]:
    block: list[Variant] = []
    n = size = 0
    for variant in variants:
        block.append(variant)
        n += len(variant.alts)
        size += sum(len(text) for text in variant.fields)
        if n >= rows or size >= _BLOCK_BYTES:
            yield block
            block, n, size = [], 0, 0
    if block:
        yield block


def _effects(
    predictor: Predictor,
    status: list[str],
    cut: list[list[Pair]],
    settings: Settings,
    sites: Sites,
) -> Effects:
    """Effects of the alternatives with a status each; ``cut`` has those that are ``ok``."""
    shape = len(status), len(predictor.targets)
    ok = np.flatnonzero([one == "ok" for one in status])

    def whole(values: np.ndarray) -> np.ndarray:
        spread = np.full(shape, np.nan)
        spread[ok] = values
        return spread

    ref = alt = effect = np.zeros((0, shape[1]))
    std: np.ndarray | None = effect if predictor.has_std else None
    if cut:
        places: dict[bytes, int] = {}
        # (alternatives, shifts, 2)
        index = np.array(
            [[[places.setdefault(w, len(places)) for w in pair] for pair in pairs] for pairs in cut]
        )
        codes = _between_flanks(_codes(list(places), sites), predictor.flanks)
        means, stds = predictor.members(codes, both_strands=settings.both_strands)
        # (models, alternatives, 2, T): averaged within a model first.
        means = means[:, index].mean(axis=2)
        effects = means[:, :, 1] - means[:, :, 0]
        ref, alt = means[:, :, 0].mean(axis=0), means[:, :, 1].mean(axis=0)
        effect = effects.mean(axis=0)
        if stds is not None:
            before, after = np.moveaxis(stds[:, index].mean(axis=2), 2, 0)
            # Below 0 by rounding alone: with ρ = 1 it is (before − after)².
            each = std_of_difference(before, after, settings.rho)
            std = np.sqrt(np.square(each).mean(axis=0))
        elif predictor.has_std:
            std = effects.std(axis=0)
    if std is None:
        return Effects(status, whole(ref), whole(alt), whole(effect))
    z = NormalDist().inv_cdf((1 + settings.level) / 2)
    lower, upper = effect - z * std, effect + z * std
    excludes = (lower > 0) | (upper < 0)
    return Effects(status, *map(whole, (ref, alt, effect, std, lower, upper, excludes)))


def _codes(windows: list[bytes], sites: Sites) -> np.ndarray:
    try:
        return letter_codes(windows)
    except BadLetter as error:
        raise InputError(
            f"{sites.genome.path} has {error.letter!r} among its bases, which is no letter of DNA; "
            "mend it."
        ) from error


def _between_flanks(inserts: np.ndarray, flanks: tuple[bytes, bytes]) -> np.ndarray:
    """Codes (N, length) of inserts (N, L) with the assay's constant bases at both ends."""
    left, right = (
        np.tile(letter_codes([flank]), (len(inserts), 1))
        if flank
        else np.empty((len(inserts), 0), np.uint8)
        for flank in flanks
    )
    return np.concatenate([left, inserts, right], axis=1)
