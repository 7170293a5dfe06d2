"""A Cauchy law of each measurement: outliers hardly count, and there is no variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from degu.baselines import laplace
from degu.baselines.baseline import Baseline

if TYPE_CHECKING:
    from degu.calibration.laws import Law
    from degu.heads import Heads


def nll(y: Any, mean: Any, logscale: Any) -> Any:
    """Negative log density of Cauchy laws, element by element.

    Args:
        y, mean: in units of the target; ``mean`` is the median.
        logscale: natural logarithm of the scale, half of the distance between the quartiles.
    """
    from keras import ops

    log_scale = ops.clip(logscale, *laplace.LOG_SCALES)
    z = (y - mean) * ops.exp(-log_scale)
    return np.log(np.pi) + log_scale + ops.log1p(ops.square(z))


def losses(heads: Heads, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """The losses of training and of validation."""
    from degu.training.likelihood import OfHeads

    loss = OfHeads(heads, "degu.baselines.cauchy:nll")
    return loss, loss


def laws(
    predictions: Sequence[Mapping[str, np.ndarray]],
    heads: Heads,
    target: str,
    split: str,
    residual: float,
) -> dict[str, Law]:
    """The Cauchy law that a single model predicts."""
    from degu.calibration.laws import Cauchy

    law = Cauchy(*laplace.parameters(predictions, heads, target, split))
    return {"aleatoric": law, "total": law}


KIND = replace(
    laplace.KIND,
    name="cauchy",
    role="cauchy",
    label="Cauchy",
    folder="baselines/cauchy",
    shift_folder="cauchy",
    losses="degu.baselines.cauchy:losses",
)
BASELINE = Baseline(
    "cauchy", "Cauchy", of=("cauchy",), laws="degu.baselines.cauchy:laws", kind=KIND
)
