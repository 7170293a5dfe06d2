"""Deep ensemble of heteroscedastic members, whose law is the mixture of theirs.

Lakshminarayanan, Pritzel & Blundell, "Simple and scalable predictive uncertainty estimation using
deep ensembles", NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from degu.baselines.baseline import Baseline
from degu.baselines.heteroscedastic import ENSEMBLE, KIND, moments

if TYPE_CHECKING:
    from degu.calibration.laws import Law
    from degu.heads import Heads


def laws(
    predictions: Sequence[Mapping[str, np.ndarray]],
    heads: Heads,
    target: str,
    split: str,
    residual: float,
) -> dict[str, Law]:
    """The mixture of the members' Gaussians; its variance is the mean one plus that of the means.

    The two parts of the variance by themselves are Gaussians about the ensemble's mean.
    """
    from degu.calibration.laws import Gaussian, Mixture, floored

    each = [moments(prediction[split], heads, target) for prediction in predictions]
    means, stds = (np.stack(parts) for parts in zip(*each, strict=True))
    mean = means.mean(axis=0)
    between, _ = floored(means.std(axis=0))
    return {
        "epistemic": Gaussian(mean, between),
        "aleatoric": Gaussian(mean, np.sqrt(np.mean(stds**2, axis=0))),
        "total": Mixture(means, stds),
    }


BASELINE = Baseline(
    ENSEMBLE,
    "heteroscedastic ensemble",
    of=("heteroscedastic",),
    laws="degu.baselines.heteroscedastic_ensemble:laws",
    kind=KIND,
    ensemble=True,
)
