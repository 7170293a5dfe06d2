"""Bounds of a number by resampled sequences (Efron & Tibshirani 1993, percentile method).

Two models are compared on the same draws. Members of an ensemble are never drawn with replacement:
that shrinks their spread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Resamples:
    """Draws with replacement of N sequences, the same wherever N and seed are.

    Args:
        n: number of sequences.
        draws: number of resamples.
        seed: of the draws.
    """

    n: int
    draws: int = 500
    seed: int = 1234

    @cached_property
    def weights(self) -> np.ndarray:
        """How often each draw holds each sequence, (draws, n) float32."""
        rng = np.random.default_rng(self.seed)
        weights = np.empty((self.draws, self.n), np.float32)
        for row in weights:
            row[:] = np.bincount(rng.integers(self.n, size=self.n), minlength=self.n)
        return weights

    def means(self, values: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
        """Mean of each draw, (..., n) to (..., draws).

        Args:
            values: numbers of the sequences, also infinite ones; with a NaN all draws are NaN.
            among: (n,) bool, of which sequences the mean is; None takes all. A draw that holds none
                of them is NaN.
        """
        values = np.asarray(values, np.float64)
        if values.shape[-1] != self.n:
            raise ValueError(f"There are {values.shape[-1]} values of {self.n} sequences.")
        if among is None:
            return self._sums(values) / self.n
        counts = np.rint(self._sums(np.asarray(among, np.float64)))
        inside = np.where(among & np.isfinite(values), values, 0.0)
        # Sums of what is left of their mean are small, and so is what float32 does to them.
        center = inside.sum(axis=-1, keepdims=True) / max(1, np.count_nonzero(among))
        counts[counts == 0] = np.nan
        return self._sums(np.where(among, values - center, 0.0)) / counts + center

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of each draw, (..., n) to (..., draws)."""
        endless = np.isinf(values)
        finite = np.where(endless, 0.0, values)
        # Less the mean and over the largest, so that the product needs no more than float32.
        center = finite.mean(axis=-1, keepdims=True)
        finite = finite - center
        size = np.abs(finite).max(axis=-1, keepdims=True, initial=0)
        size[size == 0] = 1
        parts = (finite / size).astype(np.float32) @ self.weights.T
        sums = parts * size + center * self.n
        if endless.any():
            for sign in (1, -1):
                times = (values == sign * np.inf).astype(np.float32) @ self.weights.T
                with np.errstate(invalid="ignore"):  # of both signs: NaN
                    sums = np.where(times > 0, sums + sign * np.inf, sums)
        return sums

    def correlations(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Pearson's correlation of each draw, (n,) and (n,) to (draws,); NaN where constant."""
        a, b = (np.asarray(values, np.float64) for values in (a, b))
        if a.shape != (self.n,) or b.shape != (self.n,):
            raise ValueError(f"There are {a.shape} and {b.shape} values of {self.n} sequences.")
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = ((values - values.mean()) / values.std() for values in (a, b))
            # In float64: near a correlation of 1 the difference from it is small.
            stack = np.stack([a, b, a * a, b * b, a * b], axis=1)
            blocks = np.array_split(self.weights, max(1, self.weights.size >> 22))
            moments = np.concatenate([block.astype(np.float64) @ stack for block in blocks])
            one, other, first, second, both = moments.T / self.n
            spreads = first - one**2, second - other**2
            constant = (spreads[0] <= 1e-12 * first) | (spreads[1] <= 1e-12 * second)
            value = (both - one * other) / np.sqrt(spreads[0] * spreads[1])
            return np.where(constant, np.nan, value)

    def weighted(self, statistic: Callable[[np.ndarray], Any]) -> np.ndarray:
        """A statistic of each draw, as a function of the sequences' weights (n,); (draws, ...)."""
        return np.array([statistic(row) for row in self.weights])

    def apply(self, statistic: Callable[[np.ndarray], Any]) -> np.ndarray:
        """A statistic of each draw, as a function of its rows (n,), sorted; (draws, ...)."""
        everything = np.arange(self.n)
        return self.weighted(lambda row: statistic(np.repeat(everything, row.astype(np.intp))))


def bounds(draws: np.ndarray, level: float = 0.95) -> tuple[Any, Any]:
    """The central interval of a bootstrap's draws, (..., draws) to two (...).

    Ends are draws themselves, which may be infinite; both are NaN where any draw is.
    """
    draws = np.asarray(draws, np.float64)
    tail = (1 - level) / 2
    # As many draws outside on either side, which 1 − tail in floating point may miss by one.
    lower = np.quantile(draws, tail, axis=-1, method="inverted_cdf")
    upper = -np.quantile(-draws, tail, axis=-1, method="inverted_cdf")
    return lower, upper
