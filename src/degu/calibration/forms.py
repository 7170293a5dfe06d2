"""The laws that the predictions of a model, or of an ensemble, stand for.

A *form* gives laws of one target by kind of variance: ``epistemic`` (of the model), ``aleatoric``
(of the measurement), ``total`` (of both). Those that several kinds of model share are here, others
in the files of their baselines.

Where a model has aleatoric heads, the aleatoric variance is its own; otherwise a residual variance
stands for it, one number for each target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from degu.calibration.laws import Gaussian, Law, floored
from degu.calibration.recalibration import residual_variance
from degu.heads import Heads
from degu.metrics import in_std_units
from degu.uncertainty import aleatoric_variance

Predictions = Sequence[Mapping[str, np.ndarray]]
"""Of each model, by split, (N, heads)."""

Form = Callable[[Predictions, Heads, str, str, float], dict[str, Law]]
"""From predictions (one mapping a model, a single one unless the form is an ensemble's), their
heads, a target, a split, and the residual variance of the target, by :func:`residual_of`, to a law
for each variance that there is. Where the aleatoric part is the model's own, the last is unused."""


def about(
    mean: np.ndarray, variance: np.ndarray | None, aleatoric: np.ndarray | float
) -> dict[str, Law]:
    """Gaussians of an epistemic variance (N,), if there is one, of an aleatoric one, and of both.

    The latter is (N,), or a number for all sequences.
    """
    mean = np.asarray(mean, np.float64)
    aleatoric = np.broadcast_to(np.asarray(aleatoric, np.float64), mean.shape)
    parts = {"aleatoric": aleatoric, "total": aleatoric}
    if variance is not None:
        floor, _ = floored(np.sqrt(np.asarray(variance, np.float64)))
        parts |= {"epistemic": floor**2, "total": floor**2 + aleatoric}
    return {name: Gaussian(mean, floored(np.sqrt(own))[0]) for name, own in parts.items()}


def own_aleatoric(heads: Heads) -> bool:
    """Whether the aleatoric variance of a model with such heads is its own."""
    return "aleatoric" in heads.kinds


def _aleatoric(
    heads: Heads, predictions: Predictions, target: str, split: str, residual: float
) -> np.ndarray | float:
    """The mean over models of the variances (N,) that they predict; the residual if none do."""
    if not own_aleatoric(heads):
        return residual
    column = heads.column(target, "aleatoric")
    return np.mean([aleatoric_variance(p[split][:, column]) for p in predictions], axis=0)


def single(
    predictions: Predictions, heads: Heads, target: str, split: str, residual: float
) -> dict[str, Law]:
    """A model of the mean, without an epistemic variance."""
    (prediction,) = predictions
    aleatoric = _aleatoric(heads, predictions, target, split, residual)
    return about(prediction[split][:, heads.column(target)], None, aleatoric)


def constant(
    predictions: Predictions, heads: Heads, target: str, split: str, residual: float
) -> dict[str, Law]:
    """The mean of a model, and a variance that is the same for all sequences.

    Whatever else the model predicts; the least that an uncertainty must beat.
    """
    (prediction,) = predictions
    return about(prediction[split][:, heads.column(target)], None, residual)


def with_std(
    predictions: Predictions, heads: Heads, target: str, split: str, residual: float
) -> dict[str, Law]:
    """A model of the mean and of the epistemic std, such as a student."""
    (prediction,) = predictions
    aleatoric = _aleatoric(heads, predictions, target, split, residual)
    heads, values = in_std_units(heads, prediction[split])
    mean, std = (values[:, heads.column(target, kind)] for kind in ("mean", "std"))
    # At or below 0 a std head says nothing but that the std is small.
    return about(mean, np.square(floored(std)[0]), aleatoric)


def ensemble(
    predictions: Predictions, heads: Heads, target: str, split: str, residual: float
) -> dict[str, Law]:
    """Models of the mean: their average, and their variance (ddof 0) as the epistemic one.

    Lakshminarayanan et al., NeurIPS 2017, with members that predict no variance. Of those that do,
    the aleatoric variance is the mean of theirs, and the total a Gaussian of both variances; the
    mixture of the members' laws is of :mod:`degu.baselines.heteroscedastic_ensemble`.
    """
    column = heads.column(target)
    members = np.stack([np.asarray(p[split][:, column], np.float64) for p in predictions])
    aleatoric = _aleatoric(heads, predictions, target, split, residual)
    return about(members.mean(axis=0), members.var(axis=0), aleatoric)


def residual_of(
    form: Form, predictions: Predictions, heads: Heads, target: str, y: np.ndarray
) -> float:
    """The variance of measurements (N,) of Val that neither mean nor epistemic std account for."""
    # Neither location nor epistemic part go by the residual, for which any number may stand.
    laws = form(predictions, heads, target, "Val", 1.0)
    epistemic = np.square(laws["epistemic"].std) if "epistemic" in laws else 0.0
    return residual_variance(laws["total"].location, y, epistemic)
