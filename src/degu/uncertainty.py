"""Uncertainty of an ensemble: epistemic, the spread over its members, and aleatoric.

The published standard deviation is the population one (ddof 0). For n members it is smaller than
the unbiased estimate by √((n−1)/n), 29% at n = 2 and 2% at n = 25, so ensembles of different
sizes are compared after :func:`unbiased_std`.
"""

from __future__ import annotations

import numpy as np

VARIANCE_FLOOR = 1e-6
"""Smallest variance whose logarithm is taken, in squared units of the target. Members that agree
exactly give log(1e-6) ≈ −13.8 instead of −inf, a standard deviation of 0.001: far below the noise
of any assay on a log2 scale."""

LOG_VARIANCES = (float(np.log(VARIANCE_FLOOR)), -float(np.log(VARIANCE_FLOOR)))
"""Least and largest logarithm of an aleatoric variance; stds from 0.001 to 1,000 units of the
target. Beyond them losses and laws take the nearest, so that gradients stay finite."""


def aleatoric_variance(aleatoric: np.ndarray) -> np.ndarray:
    """Variance of a measurement that an aleatoric head predicts the logarithm of, float64."""
    return np.exp(np.clip(np.asarray(aleatoric, np.float64), *LOG_VARIANCES))


def ensemble_aleatoric(aleatoric: np.ndarray) -> np.ndarray:
    """Logarithm of the mean over members of their aleatoric variances.

    That is the aleatoric part of the variance of a mixture of the members' laws, by the law of
    total variance (Lakshminarayanan et al., NeurIPS 2017).

    Args:
        aleatoric: (M, N, T...) natural logarithms of variances, member first.

    Returns:
        (N, T...) float32, likewise.
    """
    return np.log(aleatoric_variance(aleatoric).mean(axis=0)).astype(np.float32)


def ensemble_mean(predictions: np.ndarray) -> np.ndarray:
    """Mean over members, (M, N, T...) to (N, T...) float32, summed in float64."""
    return np.asarray(np.mean(predictions, axis=0, dtype=np.float64), dtype=np.float32)


def uncertainty_std(predictions: np.ndarray) -> np.ndarray:
    """Population standard deviation (ddof 0) over members.

    Args:
        predictions: (M, N, T...), member first; units of the target.

    Returns:
        (N, T...) float32, units of the target.
    """
    # float64 within: the variance of close float32 predictions would otherwise be rounding noise.
    return np.std(np.asarray(predictions), axis=0, dtype=np.float64).astype(np.float32)


def uncertainty_logvar(predictions: np.ndarray) -> np.ndarray:
    """Natural logarithm of the population variance over members, floored at VARIANCE_FLOOR.

    Args:
        predictions: (M, N, T...), member first; units of the target.

    Returns:
        (N, T...) float32.
    """
    variance = np.var(np.asarray(predictions), axis=0, dtype=np.float64)
    return np.log(np.maximum(variance, VARIANCE_FLOOR)).astype(np.float32)


def std_to_logvar(std: np.ndarray) -> np.ndarray:
    """Log variance of a standard deviation, with the floor of :func:`uncertainty_logvar`."""
    variance = np.square(np.asarray(std, dtype=np.float64))
    return np.log(np.maximum(variance, VARIANCE_FLOOR)).astype(np.float32)


def logvar_to_std(logvar: np.ndarray) -> np.ndarray:
    """Standard deviation of a log variance: exp(logvar / 2)."""
    return np.exp(np.asarray(logvar, dtype=np.float64) / 2).astype(np.float32)


def std_of_mean(mean: np.ndarray, std: np.ndarray, at: np.ndarray, bins: int = 20) -> np.ndarray:
    """The best guess of an ensemble's std from its mean alone: what a mean usually comes with.

    Args:
        mean, std: (n, T) of the sequences that are looked up among.
        at: (m, T) means to guess at.
        bins: quantile bins of ``mean``, of each of which the average std is taken.

    Returns:
        (m, T) float64, units of the target.
    """
    guesses = np.empty(at.shape)
    for column in range(mean.shape[1]):
        known = mean[:, column]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
        edges = edges[edges > known.min()]
        # Of few or tied means a bin may be empty: it becomes a part of the one below.
        edges = edges[np.unique(np.searchsorted(edges, known, side="right"))[1:] - 1]
        own = np.searchsorted(edges, known, side="right")
        average = np.bincount(own, std[:, column]) / np.bincount(own)
        guesses[:, column] = average[np.searchsorted(edges, at[:, column], side="right")]
    return guesses


def unbiased_std(std: np.ndarray, size: int) -> np.ndarray:
    """Turn a population std over ``size`` members (ddof 0) into the sample std (ddof 1)."""
    if size < 2:
        raise ValueError(f"A sample std needs at least two members, but got {size}.")
    return np.asarray(std) * np.sqrt(size / (size - 1))


def std_of_difference(first: np.ndarray, second: np.ndarray, rho: float) -> np.ndarray:
    """Std of the difference of two predictions with stds, √(σ₁² + σ₂² − 2ρ σ₁σ₂).

    Args:
        first, second: the stds, of one shape.
        rho: correlation of the two errors, −1 to 1, which the stds do not tell.
    """
    variance = first**2 + second**2 - 2 * rho * first * second
    # With a correlation of 1 it is (σ₁ − σ₂)², and below 0 by rounding alone.
    return np.sqrt(np.maximum(variance, 0))
