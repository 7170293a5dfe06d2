"""Intervals of a BED or narrowPeak, as sequences of a genome.

Columns are separated by tabs, or by blanks in a line without one. Coordinates are 0-based and
half-open. Lines that begin with ``#``, ``track`` or ``browser``, and blank ones, are passed over.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO, Literal, cast

from degu.errors import InputError
from degu.genomics.genome import Genome
from degu.io.streams import LONGEST, Source

Beyond = Literal["error", "pad"]

_LONGEST_LINE = 2**20
_NUMBER = re.compile(r"-?[0-9]{1,15}").fullmatch
_STRANDS = {"", "+", "-", "."}  # "" where there is no such column
# Letters without a complement in DNA, such as U, stay and are refused as they stand.
_COMPLEMENT = bytes.maketrans(b"ACGTRYSWKMBDHVNacgtryswkmbdhvn", b"TGCAYRSWMKVHDBNtgcayrswmkvhdbn")


def read_bed(
    source: Source,
    genome: Genome,
    *,
    length: int | None = None,
    summit: bool = False,
    beyond: Beyond = "error",
) -> Iterator[tuple[str, bytes, tuple[int, int]]]:
    """Yield id and sequence of each interval of a BED that is open, and its padding at both ends.

    Ids and sequences are those of ``bedtools getfasta -s``: the id is ``chrom:start-stop(strand)``
    with the BED's own name of the contig (``()`` where there is no strand column), an interval on
    the strand ``-`` is reverse-complemented, and blocks of BED12 are not spliced.

    With ``length`` L, a window takes the place of each interval, and the id says the window's
    coordinates. It begins at ``start + ⌊(stop − start − L) / 2⌋``: of a longer interval as many
    bases are left out on both sides, an odd one on the right; of a shorter one as many of the
    genome are added, an odd one on the left. With ``summit``, it begins at
    ``start + column 10 − ⌊L / 2⌋``, so that the summit has the index ⌊L / 2⌋ in it, counted along
    the strand ``+``.

    Args:
        source: the BED: 3 to 12 columns, or the 10 of narrowPeak.
        genome: that the coordinates are of.
        length: of windows; None for the intervals as they are.
        summit: whether windows are centred on the summits of a narrowPeak; needs ``length``.
        beyond: what becomes of an interval or window that leaves its contig: ``error``, or
            ``pad`` with N.

    Raises:
        InputError: for a file without intervals, a line with fewer than three columns or
            something else than numbers, an empty or negative interval, another strand than ``+``,
            ``-`` and ``.``, a contig that the genome lacks, an interval off its contig, or a
            summit that is missing or outside of it; names the file and the line.
    """
    if summit and length is None:
        raise ValueError("windows about summits need a length")
    found = False
    for fields in _lines(source):
        found = True
        where = f"{source.path}, line {source.line}"
        start, stop, strand = _interval(fields, where)
        if summit:
            centre = start + _summit(fields, stop - start, where)
            start, stop = centre - length // 2, centre - length // 2 + length  # type: ignore[operator]
        elif length is not None:
            start += (stop - start - length) // 2
            stop = start + length
        name = fields[0]
        try:
            contig = genome.contig(name)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if beyond == "error" and (start < 0 or stop > genome.lengths[contig]):
            raise InputError(
                f"{where}: {name}:{start}-{stop} leaves the contig, which has "
                f"{genome.lengths[contig]:,} bases; remove the line, or let N take the place of "
                "what is missing (--beyond pad)."
            )
        letters = genome.fetch(contig, start, stop)
        beyond_ends = max(0, -start), max(0, stop - max(start, genome.lengths[contig]))
        if strand == "-":
            letters, beyond_ends = letters.translate(_COMPLEMENT)[::-1], beyond_ends[::-1]
        yield f"{name}:{start}-{stop}({strand})", letters, beyond_ends
    if not found:
        raise InputError(f"{source.path} has no intervals; a line of BED is a contig, start, stop.")


def _lines(source: Source) -> Iterator[list[str]]:
    """Fields of each interval; the line that they are of is the source's."""
    text = io.TextIOWrapper(cast(BinaryIO, source.stream), "utf-8", errors="surrogateescape")
    while line := text.readline(_LONGEST_LINE):
        source.line += 1
        if len(line) == _LONGEST_LINE:
            raise InputError(
                f"{source.path}, line {source.line}: the line is longer than {_LONGEST_LINE:,} "
                "characters; write an interval a line."
            )
        line = line.rstrip("\n")
        fields = line.split("\t") if "\t" in line else line.split()
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith(("track", "browser")) and not all(map(_NUMBER, fields[1:3] or [""])):
            continue
        yield fields


def _interval(fields: list[str], where: str) -> tuple[int, int, str]:
    if len(fields) < 3:
        raise InputError(
            f"{where}: {len(fields)} columns are fewer than the three of BED; write contig, start "
            "and stop, separated by tabs."
        )
    _, begin, end = fields[:3]
    if not (_NUMBER(begin) and _NUMBER(end)):
        raise InputError(
            f"{where}: start {begin!r:.40} and stop {end!r:.40} are not both whole numbers; "
            "correct the line."
        )
    start, stop = int(begin), int(end)
    if not 0 <= start < stop <= start + LONGEST:
        problem = f"is longer than {LONGEST:,} bases"
        if stop <= start:
            problem = "is empty, since the stop is not part of it"
        if start < 0:
            problem = "begins before the contig, where starts count from 0"
        raise InputError(
            f"{where}: the interval from {start} to {stop} {problem}; correct or remove the line."
        )
    strand = fields[5].strip() if len(fields) > 5 else ""
    if strand not in _STRANDS or (len(fields) > 5 and not strand):
        raise InputError(
            f"{where}: the strand (column 6) is {strand!r:.40}, none of '+', '-' and '.'; correct "
            "the line."
        )
    return start, stop, strand


def _summit(fields: list[str], size: int, where: str) -> int:
    text = fields[9].strip() if len(fields) > 9 else ""
    if not _NUMBER(text) or not 0 <= int(text) < size:
        what = "not called (-1)" if text == "-1" else f"{text!r:.40}" if text else "missing"
        raise InputError(
            f"{where}: the summit (column 10 of a narrowPeak) is {what}, where its distance from "
            "the start of the interval is needed; remove the line, or leave --summit out."
        )
    return int(text)
