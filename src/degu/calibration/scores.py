"""Scores of predictive laws against measurements, and of a std as a warning of errors.

What is a mean over sequences comes as a number for each of them, so that a bootstrap
(:mod:`degu.calibration.bootstrap`) is a weighted mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from degu.calibration.library import scoring_rules

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Levels of the central intervals that are scored."""

QUANTILES = tuple(percent / 100 for percent in range(5, 100, 5))
"""Probabilities of the quantiles whose calibration is scored."""


class _Cdf(Protocol):
    def cdf(self, y: np.ndarray) -> np.ndarray: ...


def covered(lower: np.ndarray, upper: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether each measurement lies in its interval, ends included; (..., N) bool.

    Args:
        lower, upper: ends of the intervals, (..., N); may be infinite.
        y: (N,)
    """
    return (lower <= y) & (y <= upper)


def interval_score(lower: np.ndarray, upper: np.ndarray, y: np.ndarray, level: float) -> np.ndarray:
    """Width + 2/α · how far outside the measurement lies, α = 1 − level; smaller is better.

    Gneiting & Raftery, JASA 102:359, 2007.

    Args:
        lower, upper, y: (N,) each, units of the target; of an infinite interval the score is inf.
        level: probability that the interval claims.

    Returns:
        (N,), units of the target.
    """
    lower, upper, y = (np.asarray(values, np.float64) for values in (lower, upper, y))
    if not lower.shape == upper.shape == y.shape:
        raise ValueError(f"Shapes differ: {lower.shape}, {upper.shape} and {y.shape}.")
    # The library would make NaN of what is infinite.
    infinite = np.isinf(lower) | np.isinf(upper)
    lower, upper = np.where(infinite, y, lower), np.where(infinite, y, upper)
    score = scoring_rules().interval_score(y, lower, upper, 1 - level, backend="numpy")
    return np.where(infinite, np.inf, np.reshape(score, y.shape))


def weighted_interval_score(
    median: np.ndarray,
    lowers: np.ndarray,
    uppers: np.ndarray,
    y: np.ndarray,
    levels: Sequence[float] = LEVELS,
) -> np.ndarray:
    """(½ abs(y − median) + Σ α/2 · interval score) / (K + ½) over K levels, α = 1 − level.

    It comes close to the CRPS with many levels (Bracher et al., PLoS Comput Biol 17:e1008618,
    2021).

    Args:
        median, y: (N,)
        lowers, uppers: (K, N), an interval for each level; may be infinite.
        levels: K of them.

    Returns:
        (N,), units of the target.
    """
    # scoringrules 0.10 has this as well, but without Numba it takes the median itself for the
    # error of the median.
    total = np.abs(np.asarray(y, np.float64) - median) / 2
    for lower, upper, level in zip(lowers, uppers, levels, strict=True):
        total = total + (1 - level) / 2 * interval_score(lower, upper, y, level)
    return total / (len(levels) + 0.5)


def ensemble_crps(members: np.ndarray, y: np.ndarray) -> np.ndarray:
    """CRPS of an ensemble as draws from a law: the fair estimator, (M, N) and (N,) to (N,).

    The plain one falls with the number of members by itself (Ferro, QJRMS 140:1917, 2014). At
    least two members.
    """
    members, y = np.asarray(members, np.float64), np.asarray(y, np.float64)
    # By probability-weighted moments: the number that "fair" gives, without all pairs in memory.
    return scoring_rules().crps_ensemble(y, members.T, estimator="pwm", backend="numpy")


def pit(law: _Cdf, y: np.ndarray) -> np.ndarray:
    """Probability integral transform F(y), (N,); uniform on (0, 1) where calibrated.

    Dawid, JRSS A 147:278, 1984.
    """
    return law.cdf(y)


def pit_histogram(values: np.ndarray, bins: int = 20) -> np.ndarray:
    """Share of the PIT values in each of ``bins`` equal parts of (0, 1): 1/bins where calibrated.

    U-shaped: the laws are too narrow. NaN values are left out.
    """
    values = np.asarray(values, np.float64)
    counts, _ = np.histogram(values[~np.isnan(values)], bins, (0, 1))
    return counts / max(counts.sum(), 1)


def below_quantiles(values: np.ndarray, probabilities: Sequence[float] = QUANTILES) -> np.ndarray:
    """Whether each measurement is at most the quantile of each probability, (K, N) bool.

    Args:
        values: PIT values, (N,): y ≤ the quantile of p where F(y) ≤ p.
        probabilities: K of them.
    """
    return np.asarray(values)[None] <= np.asarray(probabilities)[:, None]


def reliability(law: _Cdf, y: np.ndarray, probabilities: Sequence[float] = QUANTILES) -> np.ndarray:
    """Observed share of measurements at most the quantile of each of K probabilities, (K,)."""
    return below_quantiles(pit(law, y), probabilities).mean(axis=-1)


def quantile_calibration_error(
    below: np.ndarray, probabilities: Sequence[float] = QUANTILES
) -> float:
    """Mean over probabilities of abs(observed share below the quantile − probability).

    Kuleshov et al., ICML 2018.

    Args:
        below: (K, N) bool (:func:`below_quantiles`), or their shares (K,), such as a bootstrap's.
        probabilities: K of them.
    """
    below = np.asarray(below, np.float64)
    shares = below.mean(axis=-1) if below.ndim == 2 else below
    return float(np.mean(np.abs(shares - np.asarray(probabilities))))


def sharpness(std: np.ndarray) -> float:
    """Root mean variance, (N,) to units of the target; to be compared at equal calibration only."""
    return float(np.sqrt(np.mean(np.square(std, dtype=np.float64))))


def _bins(std: np.ndarray, bins: int) -> np.ndarray:
    """Bin of each std, (N,) from 0, of equal counts; equal stds are of one bin, some may be empty.

    By the mean rank of equal stds, so that the order of the sequences has no part in it.
    """
    from scipy import stats

    place = (stats.rankdata(std) - 0.5) / len(std)
    _, own = np.unique((place * bins).astype(int), return_inverse=True)
    return own


def _ence(own: np.ndarray, std: np.ndarray, error: np.ndarray) -> float:
    counts = np.bincount(own)
    claimed = np.sqrt(np.bincount(own, std**2) / counts)
    observed = np.sqrt(np.bincount(own, error**2) / counts)
    return float(np.mean(np.abs(claimed - observed) / claimed))


def ence(std: np.ndarray, error: np.ndarray, bins: int = 10) -> float:
    """Expected normalised calibration error: mean over bins of abs(RMV − RMSE)/RMV.

    RMV is the root of a bin's mean variance. It grows with the root of the number of bins also
    where all is calibrated (Pernot 2023): see :func:`ence_reference`. Levi et al., Sensors
    22:5540, 2022.

    Args:
        std: (N,), positive; a constant one is a single bin.
        error: (N,), y − prediction.
        bins: of equal counts of sequences, by std.

    Returns:
        A number without unit; NaN where a std or an error is.
    """
    std, error = np.asarray(std, np.float64), np.asarray(error, np.float64)
    if np.isnan(std).any() or not len(std):
        return np.nan
    return _ence(_bins(std, bins), std, error)


def ence_reference(std: np.ndarray, bins: int = 10, seed: int = 1234, draws: int = 100) -> float:
    """What :func:`ence` is on average where the same stds are perfectly calibrated.

    Errors are simulated, normal with these stds.

    Args:
        std: (N,), positive.
        bins: as for :func:`ence`.
        seed: of the simulation.
        draws: how many simulations the mean is of.
    """
    std = np.asarray(std, np.float64)
    if np.isnan(std).any() or not len(std):
        return np.nan
    rng = np.random.default_rng(seed)
    own = _bins(std, bins)
    simulated = [_ence(own, std, std * rng.standard_normal(len(std))) for _ in range(draws)]
    return float(np.mean(simulated))


class Sparsification(NamedTuple):
    """Mean absolute error of what remains, over that of all, when the most uncertain are dropped.

    Attributes:
        fractions: share that is dropped, from 0 to 1, (points,); at 1 the curves have their limit.
        curve: dropped by std.
        oracle: dropped by the error itself: no curve lies below it.
    """

    fractions: np.ndarray
    curve: np.ndarray
    oracle: np.ndarray


def _sums(std: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Sum of the errors of the k most certain sequences, k = 0 to N.

    Among equal stds the mean over all orders, which is their mean error for each.
    """
    _, own = np.unique(np.asarray(std, np.float64), return_inverse=True)
    counts = np.bincount(own)
    means = np.bincount(own, error) / counts
    return np.concatenate([[0.0], np.cumsum(np.repeat(means, counts))])


def _curves(std: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Sums by std and by the error, and the mean error; NaN where the curves do not exist."""
    error = np.abs(np.asarray(error, np.float64))
    mean = error.mean() if len(error) and not np.isnan(std).any() else np.nan
    return _sums(std, error), _sums(error, error), mean if mean > 0 else np.nan


def sparsification(std: np.ndarray, error: np.ndarray, points: int = 101) -> Sparsification:
    """Sparsification curve (Ilg et al., ECCV 2018), ties of std averaged over all orders.

    A constant std, which says nothing, gives the line at 1.

    Args:
        std: (N,)
        error: (N,), y − prediction, or its absolute value.
        points: of the curves.
    """
    by_std, by_error, mean = _curves(std, error)
    n = len(by_std) - 1
    fractions = np.linspace(0, 1, points)
    kept = np.clip(n * (1 - fractions), min(1e-9, n), n)
    return Sparsification(
        fractions,
        *(np.interp(kept, np.arange(n + 1), sums) / kept / mean for sums in (by_std, by_error)),
    )


def ause(std: np.ndarray, error: np.ndarray) -> float:
    """Area between the sparsification curve and the oracle's, over all N fractions.

    0 where the stds have the order of the errors. By trapezoids over the shares 0, 1/N, ...,
    (N − 1)/N that are dropped.

    Args:
        std: (N,); ties are averaged.
        error: (N,), y − prediction, or its absolute value.
    """
    if not len(std):
        return np.nan
    by_std, by_error, mean = _curves(std, error)
    kept = np.arange(1, len(by_std))
    return float(np.trapezoid((by_std - by_error)[1:] / kept / mean, dx=1 / len(kept)))


def error_of_decile(std: np.ndarray, error: np.ndarray, most_certain: bool) -> float:
    """RMSE of the tenth of the sequences with the smallest, or the largest, std.

    Ties of std are averaged over all orders (of the mean square).

    Args:
        std: (N,)
        error: (N,), y − prediction.
        most_certain: the smallest stds, else the largest.

    Returns:
        A number in units of the target; NaN where a std is.
    """
    std = np.asarray(std, np.float64)
    if np.isnan(std).any() or not len(std):
        return np.nan
    sums = _sums(std if most_certain else -std, np.square(error, dtype=np.float64))
    kept = max(1, round(len(std) / 10))
    return float(np.sqrt(sums[kept] / kept))


def auroc(original: np.ndarray, shifted: np.ndarray) -> float:
    """Probability that a shifted sequence's std is above an original one's, ties counting half.

    Args:
        original, shifted: stds (N,) and (K,), not of pairs.

    Returns:
        Below 0.5 where shifted sequences seem more certain; NaN where a std is, or there is none.
    """
    from sklearn.metrics import roc_auc_score

    stds = np.concatenate([original, shifted])
    if np.isnan(stds).any() or not len(original) or not len(shifted):
        return np.nan
    return float(roc_auc_score(np.repeat([0, 1], [len(original), len(shifted)]), stds))
