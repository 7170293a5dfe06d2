"""How alike the maps of several models are.

Everything is computed for each sequence, over its map as a vector of P = 4·L numbers. A map that
is zero everywhere (a constant prediction has such maps) has no direction: a cosine with it is NaN,
and so is a rank correlation with a map that has one value everywhere. Means leave NaN out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

BLOCK = 2**21
"""Numbers of the maps worked on at once, to bound memory (16 MB for each array in between)."""


def agreement(
    maps: np.ndarray, ensemble: np.ndarray | None = None, *, members: bool = False
) -> dict[str, np.ndarray]:
    """How alike the maps of M models are, and how close each is to an ensemble's.

    Args:
        maps: (M, n, L, 4), of n sequences.
        ensemble: (n, L, 4), the average map of an ensemble, if the models are to be compared to it.
        members: whether the models are the members of the ensemble (M at least 2).

    Returns:
        By metric, of the models together (n,):

        - ``Std``, root of the sum over the map of the variance over models (ddof 0), in units of
          the maps;
        - ``Cosine`` and ``Spearman``, mean over pairs of models of the cosine and of the rank
          correlation of their maps, NaN without a pair that has them.

        Of each model (M, n), with an ensemble:

        - ``RMSE_to_ensemble``, root of the mean over the map of the squared difference, in units of
          the maps;
        - ``Cosine_to_ensemble`` and ``Spearman_to_ensemble``;
        - for members ``RMSE_to_others``, ``Cosine_to_others`` and ``Spearman_to_others``, to the
          average of the others.
    """
    models, n = maps.shape[:2]
    step = max(1, BLOCK // (models * maps[0, 0].size))
    parts = []
    for start in range(0, n, step):
        rows = slice(start, min(n, start + step))
        flat = maps[:, rows].reshape(models, rows.stop - start, -1).astype(np.float64)
        part = {"Std": np.sqrt(np.var(flat, axis=0).sum(axis=-1))}
        other = None
        if ensemble is not None:
            other = ensemble[rows].reshape(flat.shape[1:]).astype(np.float64)
            part["RMSE_to_ensemble"] = np.sqrt(np.mean((flat - other) ** 2, axis=-1))
        rest = _sums_of_others(flat) if members else None
        if rest is not None:
            others = rest / (models - 1)
            part["RMSE_to_others"] = np.sqrt(np.mean((flat - others) ** 2, axis=-1))
        directions: dict[str, Callable[[np.ndarray], np.ndarray]]
        directions = {"Cosine": _unit, "Spearman": _rank_unit}
        for name, direction in directions.items():
            units = direction(flat)
            part[name] = _mean_over_pairs(units)
            if other is not None:
                part[f"{name}_to_ensemble"] = _dot(units, direction(other))
            if rest is not None:
                part[f"{name}_to_others"] = _dot(units, direction(rest))
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


def _sums_of_others(flat: np.ndarray) -> np.ndarray:
    """For each of M vectors the sum of the other ones, (M, n, P).

    From sums before and after each: subtracting it from the sum of all would leave rounding errors
    where the others are zero, and ranks would tell them apart.
    """
    sums = np.zeros_like(flat)
    np.cumsum(flat[:-1], axis=0, out=sums[1:])
    sums[:-1] += np.cumsum(flat[:0:-1], axis=0)[::-1]
    return sums


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., P) of length 1; NaN in place of zero."""
    # By the largest number first, so that no square leaves the range of the type.
    largest = np.abs(vectors).max(axis=-1, keepdims=True)
    vectors = vectors / np.where(largest == 0, np.nan, largest)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _rank_unit(vectors: np.ndarray) -> np.ndarray:
    """Ranks of the numbers of each vector (ties averaged), centred, of length 1.

    The dot product of two is Spearman's correlation. NaN in place of a constant vector.
    """
    return _unit(stats.rankdata(vectors, axis=-1) - (vectors.shape[-1] + 1) / 2)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.clip((a * b).sum(axis=-1), -1, 1)


def _mean_over_pairs(units: np.ndarray) -> np.ndarray:
    """Mean dot product over the pairs of M unit vectors, (M, n, P) to (n,), without NaN vectors.

    The squared length of their sum is M and twice the sum over pairs.
    """
    there = ~np.isnan(units[..., 0])
    m = there.sum(axis=0)
    total = np.where(there[..., None], units, 0).sum(axis=0)
    pairs = np.where(m > 1, m * (m - 1), np.nan)
    return np.clip(((total**2).sum(axis=-1) - m) / pairs, -1, 1)
