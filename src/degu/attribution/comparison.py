"""Tests of difference between students and teachers, each with the size of its effect.

Every difference is student less teacher. A test that says nothing (fewer than two values, or no
variation beyond rounding) is an empty dictionary.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy import special, stats

ROUNDING = 1e-12
"""Relative to the values compared, a difference below this is none."""

Test = dict[str, float]


def welch(students: np.ndarray, teachers: np.ndarray) -> Test:
    """Do the models of two groups differ? Two samples of unequal variances (Welch, 1947).

    Args:
        students, teachers: a number for each model; NaN is left out.

    Returns:
        ``difference`` of the means, ``t``, ``p`` (two-sided), ``effect_size`` (Hedges' g: the
        difference in pooled stds, times the correction that makes it unbiased) and ``n``, the
        models of both groups.
    """
    a, b = (values[~np.isnan(values)] for values in (students, teachers))
    if min(len(a), len(b)) < 2 or not (_varies(a, a) or _varies(b, b)):
        return {}
    with warnings.catch_warnings():
        # One of the groups may have no variance, which SciPy warns of; the test needs but one.
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.ttest_ind(a, b, equal_var=False)
    difference = a.mean() - b.mean()
    freedom = len(a) + len(b) - 2
    pooled = np.sqrt(((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / freedom)
    correction = np.sqrt(2 / freedom) * np.exp(
        special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)
    )
    return {
        "difference": float(difference),
        "t": float(result.statistic),
        "p": float(result.pvalue),
        "effect_size": float(correction * difference / pooled),
        "n": len(a) + len(b),
    }


def paired_t(students: np.ndarray, teachers: np.ndarray) -> Test:
    """Do students and teachers differ on the same sequences? Paired t test.

    Args:
        students, teachers: a number for each sequence; where either is NaN, it is left out.

    Returns:
        Mean ``difference``, ``t``, ``p`` (two-sided), ``effect_size`` (Cohen's d_z: the mean in
        stds of the differences) and ``n``, the sequences.
    """
    a, b = _pairs(students, teachers)
    if len(a) < 2 or not _varies(a - b, a, b):
        return {}
    result = stats.ttest_rel(a, b)
    return {
        "difference": float(np.mean(a - b)),
        "t": float(result.statistic),
        "p": float(result.pvalue),
        "effect_size": float(np.mean(a - b) / np.std(a - b, ddof=1)),
        "n": len(a),
    }


def wilcoxon(students: np.ndarray, teachers: np.ndarray) -> Test:
    """The same by Wilcoxon's signed ranks, without the sequences that do not differ.

    Args:
        students, teachers: as for :func:`paired_t`.

    Returns:
        Median ``difference``, ``W`` (the smaller sum of ranks), ``p`` (two-sided), ``effect_size``
        (matched-pairs rank-biserial correlation: the sum of ranks in favour of a positive
        difference less that of a negative one, by their total) and ``n``, the sequences.
    """
    a, b = _pairs(students, teachers)
    differences = a - b
    differences = differences[np.abs(differences) > ROUNDING * _largest(a, b)]
    if len(differences) < 2:
        return {}
    ranks = stats.rankdata(np.abs(differences))
    above, below = (ranks[differences > 0].sum(), ranks[differences < 0].sum())
    result = stats.wilcoxon(differences)
    return {
        "difference": float(np.median(differences)),
        "W": float(result.statistic),
        "p": float(result.pvalue),
        "effect_size": float((above - below) / (above + below)),
        "n": len(differences),
    }


def _pairs(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    there = ~np.isnan(a) & ~np.isnan(b)
    return a[there], b[there]


def _varies(values: np.ndarray, *measured: np.ndarray) -> bool:
    """Whether values vary by more than the rounding of the numbers that they come from."""
    return bool(np.ptp(values) > ROUNDING * _largest(*measured))


def _largest(*measured: np.ndarray) -> float:
    return max(float(np.abs(values).max(initial=0)) for values in measured)
