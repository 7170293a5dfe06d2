"""Heteroscedastic Gaussian: a model of the mean and of the variance of each measurement.

Nix & Weigend, "Estimating the mean and variance of the target probability distribution", ICNN 1994.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from degu.baselines.baseline import Baseline
from degu.kinds import Config, Kind, replicates
from degu.uncertainty import aleatoric_variance

if TYPE_CHECKING:
    from degu.calibration.laws import Law
    from degu.heads import Heads

ENSEMBLE = "heteroscedastic_ensemble"


def losses(heads: Heads, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """The losses of training and of validation."""
    from degu.training.likelihood import OfHeads

    loss = OfHeads(heads, "degu.training.aleatoric:nll")
    return loss, loss


def moments(prediction: np.ndarray, heads: Heads, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std of one target as a model predicts them, (N, heads) to (N,) each."""
    mean = np.asarray(prediction[:, heads.column(target)], np.float64)
    return mean, np.sqrt(aleatoric_variance(prediction[:, heads.column(target, "aleatoric")]))


def laws(
    predictions: Sequence[Mapping[str, np.ndarray]],
    heads: Heads,
    target: str,
    split: str,
    residual: float,
) -> dict[str, Law]:
    """The Gaussian that a single model predicts: all of its variance is aleatoric."""
    from degu.calibration.laws import Gaussian

    (prediction,) = predictions
    law = Gaussian(*moments(prediction[split], heads, target))
    return {"aleatoric": law, "total": law}


def _number(config: Config, size: int) -> int:
    """As many as students, and with the ensemble of them as many as the largest one has members."""
    return max(replicates(config, size), size if ENSEMBLE in config["baselines"] else 0)


KIND = Kind(
    "heteroscedastic",
    role="heteroscedastic",
    label="heteroscedastic",
    folder="baselines/heteroscedastic",
    shift_folder="heteroscedastic",
    number=_number,
    heads=("mean", "aleatoric"),
    losses="degu.baselines.heteroscedastic:losses",
)
BASELINE = Baseline(
    "heteroscedastic",
    "heteroscedastic",
    of=("heteroscedastic",),
    laws="degu.baselines.heteroscedastic:laws",
    kind=KIND,
)
