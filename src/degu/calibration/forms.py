"""The laws that the predictions of a model, or of an ensemble, stand for.

A *form* gives laws of one target by kind of variance: ``epistemic`` (of the model), ``aleatoric``
(of the measurement), ``total`` (of both). Those that several kinds of model share are here, others
in the files of their baselines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from degu.calibration.laws import Gaussian, Law, floored
from degu.calibration.recalibration import residual_variance
from degu.heads import Heads
from degu.metrics import in_std_units

Predictions = Sequence[Mapping[str, np.ndarray]]
"""Of each model, by split, (N, heads)."""

Form = Callable[[Predictions, Heads, str, str, float], dict[str, Law]]
"""From predictions (one mapping a model, a single one unless the form is an ensemble's), their
heads, a target, a split, and the residual variance of the target, by :func:`residual_of`, to a law
for each variance that there is. Forms with an aleatoric part of their own do without the last."""


def about(mean: np.ndarray, variance: np.ndarray | None, residual: float) -> dict[str, Law]:
    """Gaussians of an epistemic variance (N,), if there is one, of a residual one, and of both."""
    mean = np.asarray(mean, np.float64)
    parts = {"aleatoric": np.full(len(mean), residual), "total": np.full(len(mean), residual)}
    if variance is not None:
        floor, _ = floored(np.sqrt(np.asarray(variance, np.float64)))
        parts |= {"epistemic": floor**2, "total": floor**2 + residual}
    return {name: Gaussian(mean, floored(np.sqrt(own))[0]) for name, own in parts.items()}


def single(
    predictions: Predictions, heads: Heads, target: str, split: str, residual: float
) -> dict[str, Law]:
    """A model of the mean alone, and a variance that is the same for all sequences."""
    (prediction,) = predictions
    return about(prediction[split][:, heads.column(target)], None, residual)


def with_std(
    predictions: Predictions, heads: Heads, target: str, split: str, residual: float
) -> dict[str, Law]:
    """A model of the mean and of the epistemic std, such as a student."""
    (prediction,) = predictions
    heads, values = in_std_units(heads, prediction[split])
    mean, std = (values[:, heads.column(target, kind)] for kind in ("mean", "std"))
    # At or below 0 a std head says nothing but that the std is small.
    return about(mean, np.square(floored(std)[0]), residual)


def ensemble(
    predictions: Predictions, heads: Heads, target: str, split: str, residual: float
) -> dict[str, Law]:
    """Models of the mean: their average, and their variance (ddof 0) as the epistemic one.

    Lakshminarayanan et al., NeurIPS 2017, with members that predict no variance.
    """
    column = heads.column(target)
    members = np.stack([np.asarray(p[split][:, column], np.float64) for p in predictions])
    return about(members.mean(axis=0), members.var(axis=0), residual)


def residual_of(
    form: Form, predictions: Predictions, heads: Heads, target: str, y: np.ndarray
) -> float:
    """The variance of measurements (N,) of Val that neither mean nor epistemic std account for."""
    # Neither location nor epistemic part go by the residual, for which any number may stand.
    laws = form(predictions, heads, target, "Val", 1.0)
    epistemic = np.square(laws["epistemic"].std) if "epistemic" in laws else 0.0
    return residual_variance(laws["total"].location, y, epistemic)
