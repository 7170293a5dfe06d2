"""What DeepSHAP compares a sequence with: other sequences, its own shuffles, or no bases at all.

Shared references may hold the explained sequence itself. Against itself its contributions are
zero, so that its map is smaller by the factor (k − 1)/k than with the other references alone; it
still adds up to the prediction minus the mean prediction on all k references.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from degu.errors import InputError
from degu.sequences import dinucleotide_shuffle


def sample_rows(n: int, k: int, seed: int) -> np.ndarray:
    """Rows of n sequences, k of them drawn without replacement; (k,) int64.

    The draw is the published one, ``default_rng(seed).choice(n, k, replace=False)``.

    Raises:
        InputError: if k is below 1 or above n.
    """
    if not 1 <= k <= n:
        raise InputError(f"References must be 1 to {n}, the number of sequences, but got k = {k}.")
    return np.random.default_rng(seed).choice(n, k, replace=False)


def sample_references(x: Any, k: int = 100, seed: int = 1234) -> np.ndarray:
    """References that all sequences share: k of some sequences, such as the test set's.

    Args:
        x: (n, L, 4).
        k: references.
        seed: of the draw; 1234 is the published one.

    Returns:
        (k, L, 4), in the type of x and the order of the draw.

    Raises:
        InputError: for another shape, or if k is below 1 or above n.
    """
    x = _checked(x)
    return x[sample_rows(len(x), k, seed)]


def shuffled_references(x: Any, k: int = 100, seed: int = 1234) -> np.ndarray:
    """References of each sequence: its own dinucleotide shuffles.

    Args:
        x: (n, L, 4) one-hot; an unknown base is a zero row, and stays one somewhere.
        k: shuffles of each sequence.
        seed: of the draw.

    Returns:
        (n, k, L, 4) uint8; see :func:`degu.sequences.dinucleotide_shuffle`.

    Raises:
        InputError: if x is not one-hot or k is below 1.
    """
    return dinucleotide_shuffle(_checked(x), k, seed)


def uniform(x: Any) -> np.ndarray:
    """A reference of each sequence that prefers no base.

    Args:
        x: (n, L, 4).

    Returns:
        (n, 1, L, 4) float32: 0.25 for every base where a sequence has a known one, and 0 where it
        has none, so that unknown bases contribute nothing.

    Raises:
        InputError: for another shape.
    """
    known = _checked(x).any(axis=-1, keepdims=True)
    return np.repeat(np.where(known, np.float32(0.25), np.float32(0)), 4, axis=-1)[:, None]


def _checked(x: Any) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 3 or 0 in x.shape or x.shape[2] != 4:
        raise InputError(f"References need sequences of shape (n, L, 4), but got {x.shape}.")
    return x
