"""Sequences of a file, some at a time."""

from __future__ import annotations

from dataclasses import dataclass


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
