"""How well the std of an ensemble is known from the ensemble itself: agreement of its halves.

A reference for students and no bound: the std of a *given* ensemble is a function of the sequence,
which a student may learn better than two halves agree.
"""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np


def stepped_up(correlation: float, times: float) -> float:
    """Spearman–Brown: the correlation to expect of halves ``times`` as large.

    Spearman, Br J Psychol 3:271; Brown, ibid. 3:296, 1910.
    """
    return times * correlation / (1 + (times - 1) * correlation)


def halves(stack: np.ndarray, splits: int = 126, seed: int = 1234) -> float:
    """Agreement of the std of disjoint halves of an ensemble, stepped up to its full size.

    Pearson's correlation, averaged over the splits. Of an odd number of members, each split leaves
    one out.

    Args:
        stack: predictions of one target, (M, N), member first.
        splits: all ways to split are taken up to this many (126: all of ten members), else so many
            drawn ones.
        seed: of the draw.

    Returns:
        A correlation; NaN with fewer than four members, or where a half has the same std for all.
    """
    members = len(stack)
    half = members // 2
    if half < 2:
        return np.nan
    stack = np.asarray(stack, np.float64)
    found = []
    for one, other in _splits(members, half, splits, seed):
        pair = np.std(stack[one], axis=0), np.std(stack[other], axis=0)
        if min(np.ptp(std) for std in pair) == 0:
            return np.nan
        found.append(np.corrcoef(*pair)[0, 1])
    return float(stepped_up(float(np.mean(found)), members / half))


def _splits(members: int, half: int, most: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """Pairs of disjoint halves, no pair twice when all are taken."""
    if comb(members, half) * comb(members - half, half) // 2 > most:
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(members).tolist() for _ in range(most)]
        return [(order[:half], order[half : 2 * half]) for order in orders]
    return [
        (list(one), list(other))
        for one in combinations(range(members), half)
        for other in combinations(sorted(set(range(members)) - set(one)), half)
        if one < other
    ]
