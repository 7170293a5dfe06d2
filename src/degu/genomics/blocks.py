"""Sequences of a file, some at a time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

MOST_BASES = 2**26
"""A block ends with the sequence that brings it to so many bases, however few rows it has."""


# Of a piece: enough to be fast, and few enough to be small.
_PIECE_ROWS, _PIECE_BASES = 1024, 2**20


@dataclass(frozen=True)
class Block:
    """Sequences that follow each other in a file.

    Attributes:
        ids: of each sequence, as the file has it.
        sequences: their letters, in either case, without white space; none is empty. Not yet looked
            at: :func:`degu.sequences.letter_codes` does that.
        padding: how many of each sequence's letters, at its left and right end, are N in place of
            what lies beyond a contig; empty where no sequence can have any.
    """

    ids: list[str]
    sequences: list[bytes]
    padding: list[tuple[int, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)


def gathered(records: Iterable[tuple[Any, ...]]) -> Iterator[Block]:
    """Ids, sequences and perhaps padding that come one by one, in pieces for :func:`in_blocks`."""
    records = iter(records)
    while first := next(records, None):
        piece, bases = [first], len(first[1])
        while len(piece) < _PIECE_ROWS and bases < _PIECE_BASES:
            if (record := next(records, None)) is None:
                break
            piece.append(record)
            bases += len(record[1])
        yield Block(*map(list, zip(*piece, strict=True)))


def in_blocks(pieces: Iterable[Block], rows: int) -> Iterator[Block]:
    """The same sequences in blocks of ``rows``, the last one shorter.

    Where sequences are long, blocks have fewer rows, so that memory stays bounded
    (:data:`MOST_BASES`). Which ones depends on the sequences alone, not on how they came.
    """
    if rows < 1:
        raise ValueError(f"a block of {rows} rows")
    ids: list[str] = []
    sequences: list[bytes] = []
    padding: list[tuple[int, int]] = []
    bases = 0
    for piece in pieces:
        # Bases of the piece before each of its sequences, and of all.
        before = list(accumulate(map(len, piece.sequences), initial=0))
        start = 0
        while start < len(piece):
            full = bisect_left(before, before[start] + MOST_BASES - bases, lo=start + 1)
            stop = min(len(piece), start + rows - len(ids), full)
            ids += piece.ids[start:stop]
            sequences += piece.sequences[start:stop]
            padding += piece.padding[start:stop]
            bases += before[stop] - before[start]
            start = stop
            if len(ids) == rows or bases >= MOST_BASES:
                yield Block(ids, sequences, padding)
                ids, sequences, padding, bases = [], [], [], 0
    if ids:
        yield Block(ids, sequences, padding)
