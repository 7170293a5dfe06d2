"""Scores of sorted sequences on every draw of a bootstrap, sorted once for all of them.

Each gives what ``resamples.apply`` gives of the function of its name in
:mod:`degu.calibration.scores`, some hundred times faster. Among equal stds of different sequences
a draw takes them in the order of the sequences, where the score itself averages over all orders.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from degu.calibration.bootstrap import Resamples


def _drawn(order: np.ndarray, resamples: Resamples) -> Iterator[np.ndarray]:
    """Of each draw, the sequences that it holds, in an order, as often as it holds them."""
    for counts in resamples.weights:
        yield np.repeat(order, counts[order].astype(np.intp))


def ence(std: np.ndarray, error: np.ndarray, resamples: Resamples, bins: int = 10) -> np.ndarray:
    """Expected normalised calibration error of each draw, (draws,)."""
    if np.ptp(std) == 0:
        observed = np.sqrt(resamples.means(np.square(error)))
        return np.abs(observed - std[0]) / std[0]
    values = np.stack([np.square(std), np.square(error)])
    starts = np.ceil(np.arange(bins) * len(std) / bins).astype(int)
    counts = np.diff([*starts, len(std)])
    found = np.empty(resamples.draws)
    for draw, rows in enumerate(_drawn(np.argsort(std, kind="stable"), resamples)):
        claimed, observed = np.sqrt(np.add.reduceat(values[:, rows], starts, axis=1) / counts)
        found[draw] = np.mean(np.abs(claimed - observed) / claimed)
    return found


def ause(std: np.ndarray, error: np.ndarray, resamples: Resamples) -> np.ndarray:
    """Area between the sparsification curve and the oracle's of each draw, (draws,)."""
    size = np.abs(error)
    kept = np.arange(1, len(std) + 1)
    areas = []
    # A constant std, as that of a residual variance, gives the line at 1.
    flat = np.full(resamples.draws, 1 - 1 / len(std)) if np.ptp(std) == 0 else None
    for values in (std, size):
        if values is std and flat is not None:
            areas.append(flat)
            continue
        order = np.argsort(values, kind="stable")
        curves = (np.cumsum(size[rows]) / kept for rows in _drawn(order, resamples))
        # The last point is the mean of all.
        ratios = [np.trapezoid(curve, dx=1 / len(kept)) / curve[-1] for curve in curves]
        areas.append(np.array(ratios))
    return areas[0] - areas[1]


def error_of_deciles(
    std: np.ndarray, error: np.ndarray, resamples: Resamples
) -> tuple[np.ndarray, np.ndarray]:
    """RMSE of the most and the least certain tenth of each draw, (draws,) each."""
    if np.ptp(std) == 0:
        whole = np.sqrt(resamples.means(np.square(error)))
        return whole, whole
    square, kept = np.square(error), max(1, round(len(std) / 10))
    found = [
        (square[rows[:kept]].mean(), square[rows[-kept:]].mean())
        for rows in _drawn(np.argsort(std, kind="stable"), resamples)
    ]
    certain, uncertain = np.sqrt(np.reshape(found, (-1, 2)).T)
    return certain, uncertain


def auroc(original: np.ndarray, shifted: np.ndarray, resamples: Resamples) -> np.ndarray:
    """Probability that a shifted std is above an original one, of each draw, (draws,).

    Args:
        original: (N,)
        shifted: (copies, N), drawn with their originals.
        resamples: of N sequences.
    """
    copies, n = shifted.shape
    values, place = np.unique(np.concatenate([original, *shifted]), return_inverse=True)
    own, others = place[:n], place[n:].reshape(copies, n)
    found = np.empty(resamples.draws)
    for draw, counts in enumerate(resamples.weights):
        held = np.bincount(own, counts, minlength=len(values))
        below = np.cumsum(held) - held / 2  # ties count half
        found[draw] = (below[others] @ counts).sum() / (copies * n**2)
    return found


def spearman(a: np.ndarray, b: np.ndarray, resamples: Resamples) -> np.ndarray:
    """Spearman's correlation of each draw, (draws,); NaN where one is constant."""
    places = [np.unique(values, return_inverse=True)[1] for values in (a, b)]
    found = np.empty(resamples.draws)
    for draw, counts in enumerate(resamples.weights):
        ranks = []
        for place in places:
            held = np.bincount(place, counts)
            ranks.append((np.cumsum(held) - held / 2)[place])
        center = [rank - np.average(rank, weights=counts) for rank in ranks]
        one, other = (np.dot(counts, values**2) for values in center)
        with np.errstate(invalid="ignore", divide="ignore"):
            found[draw] = np.dot(counts, center[0] * center[1]) / np.sqrt(one * other)
    return found


def partial_correlation(
    a: np.ndarray, b: np.ndarray, given: np.ndarray, resamples: Resamples
) -> np.ndarray:
    """Pearson's correlation given a third variable of each draw, (draws,)."""
    direct, one, other = (
        resamples.correlations(*pair) for pair in ((a, b), (a, given), (b, given))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return (direct - one * other) / np.sqrt((1 - one**2) * (1 - other**2))
