"""Which of several models that were trained alike has failed, by their validation errors."""

from __future__ import annotations

import numpy as np

FEWEST = 3
"""Siblings that can be judged: of two that differ, nobody can say which has failed."""

FARTHEST = 6.0
"""Robust z beyond which a model has failed."""

RATIO = 1.2
"""Times the median above which it has."""

LEAST_SPREAD = 0.08
"""Over ∛n the smallest spread of n siblings: a few of them agree by chance."""


def failed(errors: np.ndarray) -> np.ndarray:
    """Which errors lie far above those of their siblings.

    z is the logarithm of an error over the median of all n, divided by 1.4826 times the median of
    these logarithms' sizes (their standard deviation, if they are normal), or by 0.08/∛n if that is
    more. A model has failed where z is above 6 and its error above 1.2 times the median. Beside two
    siblings that agree 1.39 times is needed, beside four 1.32, nine 1.25, and 18 or more 1.2. As
    long as most are sound, several may be named.

    Where errors have a relative standard deviation of at most 10% (normal, lognormal, gamma), one
    is named in less than 1% of groups of n sound siblings, for each n from 3 to 30. By simulation;
    docs/reliability.md has the numbers, and how many failures are found.

    Args:
        errors: (..., n), positive numbers in any units, siblings last.

    Returns:
        Of the same shape; all False for fewer than three siblings, or where an error is not
        positive.
    """
    errors = np.asarray(errors, dtype=np.float64)
    n = errors.shape[-1]
    if n < FEWEST:
        return np.zeros(errors.shape, dtype=bool)
    median = np.median(errors, axis=-1, keepdims=True)
    # An error may be infinite, and what is not positive has no logarithm.
    judged = (errors > 0).all(axis=-1, keepdims=True) & np.isfinite(median)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.log(errors / median)
        spread = 1.4826 * np.median(np.abs(distance), axis=-1, keepdims=True)
        z = distance / np.maximum(spread, LEAST_SPREAD / np.cbrt(n))
    return judged & (z > FARTHEST) & (errors > RATIO * median)
