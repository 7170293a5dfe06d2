"""In-silico mutagenesis with an uncertainty: the effect of every substitution, and its std."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from degu.attribution.ism import mutants
from degu.predict.predictor import Predictor
from degu.sequences import from_codes
from degu.uncertainty import std_of_difference

MUTANTS = 8192
"""Mutants that are predicted at once; of one sequence or several."""


class Effects(NamedTuple):
    """Effects of substitutions; NaN at the base that is there and where nothing was substituted.

    Attributes:
        effect: (n, L, 4, T) float64, what the base would add to the prediction; units of the
            targets.
        std: (n, L, 4, T) of the effect, likewise; None of a single teacher.
    """

    effect: np.ndarray
    std: np.ndarray | None


def scan(
    predictor: Predictor,
    codes: np.ndarray,
    where: np.ndarray,
    *,
    rho: float = 0.0,
    both_strands: bool = False,
    progress: Callable[[int], object] = lambda mutants: None,
) -> Effects:
    """Effect of every single-base substitution on the mean prediction.

    The std of an ensemble is over its members (ddof 0), each of which predicts sequence and mutant.
    A student says how uncertain each of the two predictions is and not how much their errors have
    in common, which ``rho`` has to: √(σ_ref² + σ_mut² − 2ρ σ_ref σ_mut). Of several students it is
    the root mean square of theirs.

    Args:
        predictor: the models.
        codes: (n, L) uint8, index in ACGTN.
        where: (n, L) bool, positions to substitute; unknown bases are left out anyway.
        rho: correlation of a student's errors for a sequence and its mutant, −1 to 1.
        both_strands: whether each prediction is the mean of both strands'.
        progress: is told of each batch how many mutants it had.
    """
    absent = (from_codes(codes) == 0) & (where & (codes < 4))[..., None]
    before, before_std = predictor.members(codes, both_strands=both_strands)
    shape = (*absent.shape, len(predictor.targets))
    effect = np.full((absent.size, shape[-1]), np.nan)
    std = np.full_like(effect, np.nan) if predictor.has_std else None
    for chosen, mutated in mutants(codes, absent, MUTANTS):
        row = chosen // absent[0].size
        after, after_std = predictor.members(mutated, both_strands=both_strands)
        effects = after - before[:, row]
        effect[chosen] = effects.mean(axis=0)
        if std is not None:
            std[chosen] = (
                effects.std(axis=0)
                if before_std is None or after_std is None
                else np.sqrt(
                    np.mean(std_of_difference(before_std[:, row], after_std, rho) ** 2, axis=0)
                )
            )
        progress(len(chosen))
    return Effects(effect.reshape(shape), None if std is None else std.reshape(shape))
