"""Heteroscedastic Gaussian: a model of the mean and of the variance of each measurement.

Nix & Weigend, "Estimating the mean and variance of the target probability distribution", ICNN 1994.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from degu.baselines.baseline import Baseline
from degu.kinds import Config, Kind, replicates
from degu.uncertainty import VARIANCE_FLOOR

if TYPE_CHECKING:
    from degu.calibration.laws import Law
    from degu.heads import Heads

LOG_VARIANCES = (float(np.log(VARIANCE_FLOOR)), -float(np.log(VARIANCE_FLOOR)))
"""Least and largest log variance; stds from 0.001 to 1,000 units of the target. Beyond them the
loss and the law take the nearest, so that gradients stay finite."""

ENSEMBLE = "heteroscedastic_ensemble"


def nll(y: Any, mean: Any, aleatoric: Any) -> Any:
    """Negative log density of Gaussians, element by element.

    Args:
        y, mean: in units of the target.
        aleatoric: natural logarithm of the variance.
    """
    from keras import ops

    logvar = ops.clip(aleatoric, *LOG_VARIANCES)
    return 0.5 * (np.log(2 * np.pi) + logvar + ops.square(y - mean) * ops.exp(-logvar))


def losses(heads: Heads, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """The losses of training and of validation."""
    from degu.training.likelihood import OfHeads

    loss = OfHeads(heads, "degu.baselines.heteroscedastic:nll")
    return loss, loss


def moments(prediction: np.ndarray, heads: Heads, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std of one target as a model predicts them, (N, heads) to (N,) each."""
    mean = np.asarray(prediction[:, heads.column(target)], np.float64)
    logvar = np.asarray(prediction[:, heads.column(target, "aleatoric")], np.float64)
    return mean, np.exp(np.clip(logvar, *LOG_VARIANCES) / 2)


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
