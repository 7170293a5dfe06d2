"""Intervals of a BED or narrowPeak, as sequences of a genome.

Columns are separated by tabs, or by blanks in a line without one. Coordinates are 0-based and
half-open. Lines that begin with ``#``, ``track`` or ``browser``, and blank ones, are passed over.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, Literal, cast

from degu.errors import InputError
from degu.genomics.blocks import Block
from degu.genomics.genome import Genome
from degu.io.streams import LONGEST, Source

Beyond = Literal["error", "pad"]

_PIECE = 1024
_LONGEST_LINE = 2**20
# Letters without a complement in DNA, such as U, stay and are refused as they stand.
_COMPLEMENT = bytes.maketrans(b"ACGTRYSWKMBDHVNacgtryswkmbdhvn", b"TGCAYRSWMKVHDBNtgcayrswmkvhdbn")


def read_bed(
    source: Source,
    genome: Genome,
    *,
    length: int | None = None,
    summit: bool = False,
    beyond: Beyond = "error",
) -> Iterator[Block]:
    """Yield the sequences of a BED that is open, in pieces of any number.

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
    ids: list[str] = []
    sequences: list[bytes] = []
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
        sequences.append(letters.translate(_COMPLEMENT)[::-1] if strand == "-" else letters)
        ids.append(f"{name}:{start}-{stop}({strand})")
        if len(ids) == _PIECE:
            yield Block(ids, sequences)
            ids, sequences = [], []
    if not found:
        raise InputError(f"{source.path} has no intervals; a line of BED is a contig, start, stop.")
    if ids:
        yield Block(ids, sequences)


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
        if line.split(None, 1)[0] in ("track", "browser") and not _is_interval(fields):
            continue
        yield fields


def _interval(fields: list[str], where: str) -> tuple[int, int, str]:
    if len(fields) < 3:
        raise InputError(
            f"{where}: {len(fields)} columns are fewer than the three of BED; write contig, start "
            "and stop, separated by tabs."
        )
    numbers = [field.strip() for field in fields[1:3]]
    if not _is_number(*(number.removeprefix("-") for number in numbers)):
        raise InputError(
            f"{where}: start {numbers[0]!r:.40} and stop {numbers[1]!r:.40} are not both whole "
            "numbers; correct the line."
        )
    start, stop = map(int, numbers)
    if start < 0 or start >= stop or stop - start > LONGEST:
        problem = (
            "begins before the contig"
            if start < 0
            else "is empty"
            if start >= stop
            else f"is longer than {LONGEST:,} bases"
        )
        raise InputError(
            f"{where}: the interval from {start} to {stop} {problem} (starts count from 0, and the "
            "stop is not part of it); correct or remove the line."
        )
    strand = fields[5].strip() if len(fields) > 5 else ""
    if len(fields) > 5 and strand not in ("+", "-", "."):
        raise InputError(f"{where}: the strand {strand!r:.40} is none of '+', '-' and '.'.")
    return start, stop, strand


def _summit(fields: list[str], size: int, where: str) -> int:
    text = fields[9].strip() if len(fields) > 9 else ""
    if not _is_number(text) or int(text) >= size:
        what = "not called" if text == "-1" else f"{text!r:.40}" if text else "missing"
        raise InputError(
            f"{where}: the summit (column 10 of a narrowPeak) is {what}, where its distance from "
            "the start of the interval is needed; remove the line, or leave --summit out."
        )
    return int(text)


def _is_interval(fields: list[str]) -> bool:
    return len(fields) > 2 and _is_number(*fields[1:3])


def _is_number(*texts: str) -> bool:
    """Whether all are whole numbers that a genome may have."""
    return all(text.isascii() and text.isdigit() and len(text) < 16 for text in texts)
