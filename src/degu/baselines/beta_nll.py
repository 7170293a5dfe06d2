"""A heteroscedastic Gaussian whose mean learns from noisy sequences as well: β-NLL.

Seitzer, Tavakoli, Antic & Martius, "On the pitfalls of heteroscedastic uncertainty estimation with
probabilistic neural networks", ICLR 2022. The loss of each sequence is weighted by its variance to
the power of β, which is not differentiated: 0 is the likelihood, 1 gives means the gradients of a
squared error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from degu.baselines import heteroscedastic
from degu.baselines.baseline import Baseline
from degu.uncertainty import LOG_VARIANCES

if TYPE_CHECKING:
    from degu.heads import Heads


def weighted_nll(y: Any, mean: Any, aleatoric: Any, beta: float) -> Any:
    """The loss, element by element; arguments as for :func:`degu.training.aleatoric.nll`."""
    from keras import ops

    from degu.training.aleatoric import nll

    logvar = ops.clip(aleatoric, *LOG_VARIANCES)
    weight = ops.stop_gradient(ops.exp(beta * logvar))
    return weight * nll(y, mean, aleatoric)


def losses(heads: Heads, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """The losses of training and of validation, the likelihood without the weight."""
    from degu.training.likelihood import OfHeads

    loss = OfHeads(heads, "degu.baselines.beta_nll:weighted_nll", settings)
    return loss, OfHeads(heads, "degu.training.aleatoric:nll")


KIND = replace(
    heteroscedastic.KIND,
    name="beta_nll",
    role="beta_nll",
    label="β-NLL",
    folder="baselines/beta_nll",
    shift_folder="beta_nll",
    number=heteroscedastic.replicates,
    losses="degu.baselines.beta_nll:losses",
    loss_settings=lambda config, wildcards: config["baseline_settings"]["beta_nll"],
)
BASELINE = Baseline(
    "beta_nll", "β-NLL", of=("beta_nll",), laws="degu.baselines.heteroscedastic:laws", kind=KIND
)
