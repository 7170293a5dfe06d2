"""Sequences of a file, some at a time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

MOST_BASES = 2**26
"""A block ends with the sequence that brings it to so many bases, however few rows it has."""


@dataclass(frozen=True)
class Block:
    """Sequences that follow each other in a file.

    Attributes:
        ids: of each sequence, as the file has it.
        sequences: their letters, in either case, without white space; none is empty. Not yet looked
            at: :func:`degu.sequences.letter_codes` does that.
    """

    ids: list[str]
    sequences: list[bytes]

    def __len__(self) -> int:
        return len(self.ids)


def in_blocks(pieces: Iterable[Block], rows: int) -> Iterator[Block]:
    """The same sequences in blocks of ``rows``, the last one shorter.

    Where sequences are long, blocks have fewer rows, so that memory stays bounded
    (:data:`MOST_BASES`). Which ones depends on the sequences alone, not on how they came.
    """
    if rows < 1:
        raise ValueError(f"a block of {rows} rows")
    ids: list[str] = []
    sequences: list[bytes] = []
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
            bases += before[stop] - before[start]
            start = stop
            if len(ids) == rows or bases >= MOST_BASES:
                yield Block(ids, sequences)
                ids, sequences, bases = [], [], 0
    if ids:
        yield Block(ids, sequences)
