"""A Laplace law of each measurement, whose tails are heavier than a Gaussian's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from degu.baselines.baseline import Baseline
from degu.kinds import Kind, replicates
from degu.uncertainty import LOG_VARIANCES

if TYPE_CHECKING:
    from degu.calibration.laws import Law
    from degu.heads import Heads

LOG_SCALES = (LOG_VARIANCES[0] / 2, LOG_VARIANCES[1] / 2)
"""Least and largest logarithm of a scale, as that of variances."""


def nll(y: Any, mean: Any, logscale: Any) -> Any:
    """Negative log density of Laplace laws, element by element.

    Args:
        y, mean: in units of the target.
        logscale: natural logarithm of the scale.
    """
    from keras import ops

    log_scale = ops.clip(logscale, *LOG_SCALES)
    return np.log(2.0) + log_scale + ops.abs(y - mean) * ops.exp(-log_scale)


def losses(heads: Heads, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """The losses of training and of validation."""
    from degu.training.likelihood import OfHeads

    loss = OfHeads(heads, "degu.baselines.laplace:nll")
    return loss, loss


def parameters(
    predictions: Sequence[Mapping[str, np.ndarray]], heads: Heads, target: str, split: str
) -> tuple[np.ndarray, np.ndarray]:
    """Location and scale of one target as a single model predicts them, (N,) each."""
    (prediction,) = predictions
    values = np.asarray(prediction[split], np.float64)
    log_scale = np.clip(values[:, heads.column(target, "logscale")], *LOG_SCALES)
    return values[:, heads.column(target)], np.exp(log_scale)


def laws(
    predictions: Sequence[Mapping[str, np.ndarray]],
    heads: Heads,
    target: str,
    split: str,
    residual: float,
) -> dict[str, Law]:
    """The Laplace law that a single model predicts."""
    from degu.calibration.laws import Laplace

    law = Laplace(*parameters(predictions, heads, target, split))
    return {"aleatoric": law, "total": law}


KIND = Kind(
    "laplace",
    role="laplace",
    label="Laplace",
    folder="baselines/laplace",
    shift_folder="laplace",
    number=replicates,
    heads=("mean", "logscale"),
    losses="degu.baselines.laplace:losses",
)
BASELINE = Baseline(
    "laplace", "Laplace", of=("laplace",), laws="degu.baselines.laplace:laws", kind=KIND
)
