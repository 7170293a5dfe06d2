"""Sequences of any length, as models take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from degu.errors import InputError
from degu.genomics.blocks import Block
from degu.sequences import BadLetter, letter_codes

How = Literal["error", "pad", "centre", "tile"]
HOW: tuple[str, ...] = get_args(How)

_UNKNOWN = 4


@dataclass(frozen=True)
class Fit:
    """What is done with sequences that do not fit.

    Attributes:
        how: ``error`` refuses sequences of another length than the models' (or that without the
            flanks); ``pad`` adds N on both sides of shorter ones, of an odd number one more on the
            right, and refuses longer ones; ``centre`` cuts those on both sides, by the same rule;
            ``tile`` covers them by windows.
        stride: bases from one window to the next; None is half a window. The last window ends where
            the sequence does.
        max_n: the largest share of unknown bases of a sequence that is predicted. Padding does not
            count, nor does what is cut off; windows count together.
    """

    how: How = "error"
    stride: int | None = None
    max_n: float = 0.05


@dataclass(frozen=True)
class Fitted:
    """Sequences of a block as models take them.

    Attributes:
        codes: (K, length) uint8, index in ACGTN.
        owners: (K,) which sequence of the block each is of, rising; several of a tiled one.
        missing: (N,) which sequences have too many unknown bases, and no codes.
    """

    codes: np.ndarray
    owners: np.ndarray
    missing: np.ndarray


class Misfits(InputError):
    """Sequences have lengths that do not fit.

    Attributes:
        count: of them.
        first: id and bases of the first one.
    """

    def __init__(
        self, count: int, total: int, first: tuple[str, int], wanted: str, how: How, where: str
    ) -> None:
        self.count, self.first = count, first
        many = count > 1
        if how == "error":
            have = "have other lengths" if many else "has another length"
        else:
            have = "are longer" if many else "is longer"
        super().__init__(
            f"{where}: {count:,} of {total:,} sequences {have} than {wanted} "
            f"({'the first: ' * many}{first[0]}, {first[1]:,} bases); use --fit "
            f"{'pad, ' * (how == 'error')}centre or tile."
        )


def misfitting(lengths: np.ndarray, length: int, flanks: tuple[bytes, bytes], how: How) -> Any:
    """Which sequences of these lengths are refused, (N,) bool."""
    inner = length - sum(map(len, flanks))
    others = (lengths != length) & (lengths != inner)
    return others & {"error": True, "pad": lengths > inner}.get(how, False)


def lengths_of(block: Block) -> np.ndarray:
    """Bases of each sequence, (N,)."""
    return np.fromiter(map(len, block.sequences), np.int64, len(block))


def wanted(length: int, flanks: tuple[bytes, bytes]) -> str:
    """The lengths that models take, in words."""
    own = sum(map(len, flanks))
    return f"{length} or, without flanks, {length - own}" if own else str(length)


def fitted(block: Block, length: int, flanks: tuple[bytes, bytes], fit: Fit, where: str) -> Fitted:
    """Sequences of a block as models take them.

    Args:
        block: the sequences.
        length: that models take, flanks included.
        flanks: put at the ends of every sequence that does not have all of this length.
        fit: what is done with those of other lengths.
        where: the file, for messages.

    Raises:
        Misfits: where ``fit`` refuses lengths that there are.
        InputError: for a letter that is no base; names file, id and position.
    """
    lengths = lengths_of(block)
    if (bad := np.flatnonzero(misfitting(lengths, length, flanks, fit.how))).size:
        first = block.ids[bad[0]], int(lengths[bad[0]])
        raise Misfits(len(bad), len(block), first, wanted(length, flanks), fit.how, where)
    inner = length - sum(map(len, flanks))
    letters = _letters(block, lengths, where)
    begins = np.cumsum(lengths) - lengths
    used, starts = lengths, begins
    if fit.how == "centre":
        used = np.where(lengths == length, length, np.minimum(lengths, inner))
        starts = begins + (lengths - used) // 2
    # A share as it is written: 29 of 100 are not above 0.29.
    unknown, own = _unknown(letters, starts, used), used
    if block.padding:
        left, right = np.array(block.padding).T
        before, after = starts - begins, begins + lengths - starts - used
        padded = np.maximum(left - before, 0) + np.maximum(right - after, 0)
        padded = np.minimum(padded, used)
        unknown, own = unknown - padded, used - padded
    missing = (unknown > fit.max_n * own + 1e-9) | (own == 0)
    owners = np.flatnonzero(~missing)
    starts, used = starts[owners], used[owners]
    if fit.how == "tile":
        size = np.where(used == length, length, np.minimum(used, inner))
        which, offsets = _windows(used - size, fit.stride or max(1, inner // 2))
        owners, starts, used = owners[which], starts[which] + offsets, size[which]
    return Fitted(_cut(letters, starts, used, length, flanks), owners, missing)


def _letters(block: Block, lengths: np.ndarray, where: str) -> np.ndarray:
    """Codes of all sequences, one after the other."""
    if not len(block):
        return np.empty(0, np.uint8)
    try:
        return letter_codes([b"".join(block.sequences)])[0]
    except BadLetter as error:
        ends = np.cumsum(lengths)
        row = int(np.searchsorted(ends, error.position, side="right"))
        position = error.position - int(ends[row] - lengths[row])
        raise InputError(
            f"{where}: sequence {block.ids[row]} has {error.letter!r} at position {position + 1}, "
            "which is no base; write A, C, G, T or, of an unknown one, N."
        ) from error


def _unknown(letters: np.ndarray, starts: np.ndarray, used: np.ndarray) -> np.ndarray:
    """How many bases are unknown among those that are used of each sequence."""
    unknown = np.flatnonzero(letters == _UNKNOWN)
    return np.searchsorted(unknown, starts + used) - np.searchsorted(unknown, starts)


def _windows(beyond: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Which sequence each window is of, and where it begins in it.

    Args:
        beyond: bases by which each sequence is longer than its windows.
        stride: bases from one window to the next.
    """
    counts = -(-beyond // stride) + 1
    which = np.repeat(np.arange(len(beyond)), counts)
    number = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return which, np.minimum(number * stride, beyond[which])


def _cut(
    letters: np.ndarray,
    starts: np.ndarray,
    used: np.ndarray,
    length: int,
    flanks: tuple[bytes, bytes],
) -> np.ndarray:
    """Pieces of all letters, (K, length), padded and with their flanks."""
    left, right = (letter_codes([flank])[0] for flank in flanks)
    codes = np.full((len(starts), length), _UNKNOWN, np.uint8)
    inner = length - len(left) - len(right)
    for size in np.unique(used):
        rows = np.flatnonzero(used == size)
        pieces = np.lib.stride_tricks.sliding_window_view(letters, size)
        if size == length:
            codes[rows] = pieces[starts[rows]]
            continue
        begin = len(left) + (inner - size) // 2
        codes[rows, begin : begin + size] = pieces[starts[rows]]
        codes[rows, : len(left)] = left
        codes[rows, length - len(right) :] = right
    return codes
