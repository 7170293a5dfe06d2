"""Losses of aleatoric heads, which predict the logarithm of the variance of a measurement.

``learned``
    A Gaussian's likelihood of the measurement, whose variance is learned from the errors of the
    mean (:func:`nll`): all that can be had of one measurement a sequence. The variance holds what
    the mean has not learned, too, and on training sequences that are learned by heart too little.

``replicates``
    The sampled variance of the replicates says what the noise is, whatever the mean does
    (:func:`of_replicates`). With s² the variance of R replicates (ddof 1) and σ² the true one,
    s² (R − 1)/σ² has a chi-squared law with R − 1 degrees of freedom if the noise is Gaussian. Its
    negative log likelihood is (R − 1)/2 · (log v + s²/v), but for what v has no part in; in
    expectation it is least at v = E[s²], which is σ² for any noise and any R. A head that learned
    stds or log variances by squared errors would learn their expectations instead, which of two
    replicates are .80 of σ and .28 of σ² (as exp E log s²). All is divided by R here: s²/R
    estimates the variance of y, the mean of the replicates, with as many degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from degu.heads import Heads, Measured
from degu.training.history import OF_REPLICATES
from degu.training.likelihood import OfHeads
from degu.uncertainty import LOG_VARIANCES


def nll(y: Any, mean: Any, aleatoric: Any) -> Any:
    """Negative log density of Gaussians, element by element.

    Nix & Weigend, "Estimating the mean and variance of the target probability distribution", ICNN
    1994.

    Args:
        y, mean: in units of the target.
        aleatoric: natural logarithm of the variance.
    """
    logvar = ops.clip(aleatoric, *LOG_VARIANCES)
    return 0.5 * (np.log(2 * np.pi) + logvar + ops.square(y - mean) * ops.exp(-logvar))


def variance_nll(variance: Any, freedom: Any, aleatoric: Any) -> Any:
    """Negative log likelihood of sampled variances, but for a constant, element by element.

    Args:
        variance: sampled, in squared units of the target; any number, NaN too, without a sample.
        freedom: its degrees of freedom; 0 is no sample, of which the likelihood is 0.
        aleatoric: natural logarithm of the true variance.
    """
    logvar = ops.clip(aleatoric, *LOG_VARIANCES)
    # What is not there must not reach a gradient: 0 times NaN is NaN.
    sampled = ops.where(freedom > 0, variance, ops.ones_like(variance))
    return 0.5 * freedom * (logvar + sampled * ops.exp(-logvar))


def of_replicates(
    y: Any,
    variance: Any,
    freedom: Any,
    mean: Any,
    aleatoric: Any,
    *,
    unreplicated: Sequence[bool],
) -> Any:
    """Squared error of the mean, and the likelihood of the sampled variance of y.

    Args:
        y, variance, freedom: of :class:`degu.heads.Measured`, (..., T).
        mean, aleatoric: heads, (..., T).
        unreplicated: of each target, whether its variance is learned from the errors of the mean,
            by their likelihood; these have no part in what the mean learns.
    """
    of_errors = nll(y, ops.stop_gradient(mean), aleatoric)
    of_samples = variance_nll(variance, freedom, aleatoric)
    which = ops.convert_to_tensor(list(unreplicated), dtype="bool")
    return ops.square(y - mean) + ops.where(which, of_errors, of_samples)


def losses(heads: Heads, settings: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """The losses of training and of validation; None without aleatoric heads: squared errors.

    Args:
        heads: of the model.
        settings: ``aleatoric``, ``learned`` or ``replicates``; with the latter, names of the
            targets that have none as ``unreplicated``.
    """
    if "aleatoric" not in heads.kinds:
        return None
    if settings["aleatoric"] == "learned":
        loss = OfHeads(heads, "degu.training.aleatoric:nll")
    else:
        lacking = [target in settings["unreplicated"] for target in heads.targets]
        loss = OfHeads(
            heads,
            "degu.training.aleatoric:of_replicates",
            {"unreplicated": lacking},
            labels=Measured(heads.targets, Measured.known),
            name=OF_REPLICATES,
        )
    return loss, loss
