"""Maps against the truth: do the important positions lie where motifs were planted?

Each sequence is scored by itself, its positions ranked by the size of their importance, and the
scores are averaged over the sequences that have positions of both kinds. A random map has an AUROC
of 0.5, and an AUPRC somewhat above the share of motif positions (:func:`chance_precision`).
"""

from __future__ import annotations

import numpy as np
from scipy import stats


def auroc(scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each sequence: does a motif position score above another one?

    It is the probability of that, a tie counting half (Mann and Whitney, 1947).

    Args:
        scores: (..., n, L), higher where a motif is believed to be.
        mask: (n, L), 1 where one is.

    Returns:
        (..., n) float64; NaN for a sequence without motif positions, or of nothing else.
    """
    scores, mask = _fitting(scores, mask)
    positives = _defined(mask)
    negatives = mask.shape[-1] - positives
    ranks = (stats.rankdata(scores, axis=-1) * mask).sum(axis=-1)
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def average_precision(scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Area under the precision-recall curve of each sequence, as a sum of steps.

    Each motif position counts the precision among the positions that score at least as high;
    between thresholds the curve is not interpolated (Davis and Goadrich, 2006).

    Args:
        scores, mask: as for :func:`auroc`.

    Returns:
        (..., n) float64; NaN for a sequence without motif positions, or of nothing else.
    """
    scores, mask = _fitting(scores, mask)
    length = scores.shape[-1]
    order = np.argsort(-scores, axis=-1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=-1)
    hits = np.take_along_axis(np.broadcast_to(mask, scores.shape), order, axis=-1)
    # Positions with one score are found together: each has the precision of the last of them.
    last = np.ones(scores.shape, bool)
    last[..., :-1] = ordered[..., :-1] != ordered[..., 1:]
    ends = np.where(last, np.arange(length), length)
    ends = np.minimum.accumulate(ends[..., ::-1], axis=-1)[..., ::-1]
    found = np.take_along_axis(np.cumsum(hits, axis=-1), ends, axis=-1)
    return (hits * found / (ends + 1)).sum(axis=-1) / _defined(mask)


def prevalence(mask: np.ndarray) -> np.ndarray:
    """Share of motif positions of each sequence (n, L), (n,): the AUPRC of a constant map.

    NaN for a sequence without motif positions, or of nothing else, as its scores are.
    """
    _, mask = _fitting(mask, mask)
    return _defined(mask) / mask.shape[-1]


def chance_precision(mask: np.ndarray) -> np.ndarray:
    """Expected AUPRC of a random order of the positions of each sequence (n, L), (n,).

    With P of L positions in motifs, a motif position at rank k has one hit of its own and
    (k − 1)(P − 1)/(L − 1) others before it; the mean of their sum over k, as k goes over all ranks.
    NaN as for :func:`prevalence`.
    """
    _, mask = _fitting(mask, mask)
    length = mask.shape[-1]
    harmonic = (1 / np.arange(1, length + 1)).sum()
    return (harmonic + (_defined(mask) - 1) / (length - 1) * (length - harmonic)) / length


def _fitting(scores: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, mask = np.asarray(scores), np.asarray(mask, dtype=bool)
    if mask.ndim != 2 or scores.shape[-2:] != mask.shape:
        raise ValueError(f"Scores of shape {scores.shape} do not fit a mask of shape {mask.shape}.")
    return scores, mask


def _defined(mask: np.ndarray) -> np.ndarray:
    """Motif positions of each sequence, as floats; NaN where all positions are of one kind."""
    positives = mask.sum(axis=-1).astype(np.float64)
    return np.where((positives > 0) & (positives < mask.shape[-1]), positives, np.nan)
