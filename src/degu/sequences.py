"""DNA as one-hot arrays, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from degu.errors import InputError

ALPHABET = "ACGT"

_UNKNOWN, _INVALID = 4, 5
_CODE = np.full(256, _INVALID, dtype=np.uint8)
for _i, _base in enumerate(ALPHABET):
    _CODE[ord(_base)] = _CODE[ord(_base.lower())] = _i
_CODE[ord("N")] = _CODE[ord("n")] = _UNKNOWN
# Row 4 is the zero row of an unknown base.
_ONE_HOT = np.vstack([np.eye(4, dtype=np.uint8), np.zeros((1, 4), dtype=np.uint8)])
_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)


def one_hot(sequences: Sequence[str]) -> np.ndarray:
    """One-hot encode sequences of one length.

    Args:
        sequences: N strings over A, C, G, T, N, in either case.

    Returns:
        (N, L, 4) uint8 in the order A, C, G, T; N becomes a zero row.

    Raises:
        InputError: if lengths differ or a character is outside ACGTN; the message names the first
            such sequence, counting from 1.
    """
    if len(sequences) == 0:
        raise InputError("There are no sequences to encode.")
    length = len(sequences[0])
    if length == 0:
        raise InputError("Sequence 1 is empty.")
    for i, sequence in enumerate(sequences):
        if len(sequence) != length:
            raise InputError(
                f"Sequence {i + 1} has {len(sequence)} bases but sequence 1 has {length}; "
                "pad or trim them to one length."
            )
    # A character beyond Latin-1 becomes "?", which is refused below with its position.
    text = "".join(sequences).encode("latin-1", "replace")
    codes = _CODE[np.frombuffer(text, dtype=np.uint8)].reshape(len(sequences), length)
    if codes.max() == _INVALID:
        row, column = np.argwhere(codes == _INVALID)[0]
        raise InputError(
            f"Sequence {row + 1} has the character {sequences[row][column]!r} at position "
            f"{column + 1}; only A, C, G, T and N are allowed."
        )
    return _ONE_HOT[codes]


def decode(x: np.ndarray) -> list[str]:
    """Strings of one-hot sequences (N, L, 4); a zero row reads N."""
    x = np.asarray(x)
    codes = np.where(x.any(axis=-1), x.argmax(axis=-1), _UNKNOWN)
    letters = _LETTERS[codes]
    return [row.tobytes().decode() for row in letters]


def reverse_complement(x: np.ndarray) -> np.ndarray:
    """The other strand of one-hot sequences (..., L, 4), read 5' to 3'.

    With the order A, C, G, T, flipping positions and bases at once is the reverse complement.
    """
    return np.asarray(x)[..., ::-1, ::-1]
