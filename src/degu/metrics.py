"""How well predictions agree with measurements, per target."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from degu.heads import Heads
from degu.uncertainty import logvar_to_std

Metric = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _columns(y: np.ndarray, pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as (n, T) float64: positions of profile data are pooled with the sequences."""
    y, pred = np.asarray(y, dtype=np.float64), np.asarray(pred, dtype=np.float64)
    if y.shape != pred.shape:
        raise ValueError(
            f"Measurements have shape {y.shape} but predictions {pred.shape}; they must be equal "
            "(NumPy would broadcast them without a word)."
        )
    if y.ndim == 0 or y.size == 0:
        raise ValueError("There are no values to evaluate.")
    last = y.shape[-1] if y.ndim > 1 else 1
    return y.reshape(-1, last), pred.reshape(-1, last)


def eval_regression(y: np.ndarray, pred: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of :data:`METRICS` for each target: squared error, correlations.

    Args:
        y: measurements (N, T...), units of the target; the last axis is the target.
        pred: predictions, of the same shape.

    Returns:
        ``{"MSE": (T,), "Pearson": (T,), "Spearman": (T,)}``. A correlation with a constant column
        or of a single value is undefined and comes back as NaN.

    Raises:
        ValueError: if the shapes differ or there are no values.
    """
    y, pred = _columns(y, pred)
    return {name: metric(y, pred) for name, metric in METRICS.items()}


def squared_error(y: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """Mean squared error of each column, (n, T) and (n, T) to (T,)."""
    return np.mean((y - pred) ** 2, axis=0)


def pearson(y: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each column; NaN where it is undefined."""
    return _correlations("pearsonr", y, pred)


def spearman(y: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each column; NaN where it is undefined."""
    return _correlations("spearmanr", y, pred)


def partial_correlation(y: np.ndarray, pred: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each column, given a third variable; NaN where it is undefined.

    The correlation of what is left of both after a linear regression on ``given`` (Fisher, Metron
    3:329, 1924).

    Args:
        y, pred, given: (n, T) each.

    Returns:
        (T,)
    """
    (y, pred), (_, given) = _columns(y, pred), _columns(y, given)
    direct, one, other = pearson(y, pred), pearson(y, given), pearson(pred, given)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (direct - one * other) / np.sqrt((1 - one**2) * (1 - other**2))
    return np.where(np.isfinite(value), value, np.nan)


METRICS: dict[str, Metric] = {"MSE": squared_error, "Pearson": pearson, "Spearman": spearman}
"""Metrics of regression, in the order in which tables have them: name to a function of measured and
predicted values, (n, T) float64 each, that gives a number for each target, (T,)."""


def _correlations(function: str, y: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """A correlation of SciPy's; NaN for a single value or a column that SciPy finds constant."""
    from scipy import stats  # half a second, which whoever only reads tables need not wait for

    values = []
    for a, b in zip(y.T, pred.T, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("error", stats.DegenerateDataWarning)
            try:
                value = getattr(stats, function)(a, b).statistic if len(a) > 1 else np.nan
            except stats.DegenerateDataWarning:
                value = np.nan
        values.append(float(value))
    return np.array(values)


def eval_classification(
    y: np.ndarray, pred: np.ndarray, threshold: float = 0.5
) -> dict[str, np.ndarray]:
    """Area under the ROC curve, average precision and F1 score of each binary target.

    Args:
        y: labels 0 or 1, (N, T...); the last axis is the target.
        pred: probabilities, of the same shape.
        threshold: probability from which on a sequence counts as positive in the F1 score.

    Returns:
        ``{"AUROC": (T,), "AUPR": (T,), "F1": (T,)}``; NaN for a target with one class only.

    Raises:
        ValueError: if the shapes differ, there are no values, or a label is neither 0 nor 1.
    """
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    y, pred = _columns(y, pred)
    if not np.isin(y, (0, 1)).all():
        raise ValueError("Labels of a classification task must be 0 or 1.")
    results: dict[str, list[float]] = {"AUROC": [], "AUPR": [], "F1": []}
    for labels, scores in zip(y.T, pred.T, strict=True):
        both = 0 < labels.sum() < len(labels)
        results["AUROC"].append(roc_auc_score(labels, scores) if both else np.nan)
        results["AUPR"].append(average_precision_score(labels, scores) if both else np.nan)
        results["F1"].append(f1_score(labels, scores >= threshold) if both else np.nan)
    return {metric: np.array(values) for metric, values in results.items()}


def performance_table(y: np.ndarray, pred: np.ndarray, heads: Heads) -> pd.DataFrame:
    """The performance table of a model: a column ``metric`` and one for each head.

    Log-variance heads are scored as standard deviations, so that students of both kinds can be
    compared; their columns are named ``{target}-std``.

    Args:
        y: what each head should predict (N, len(heads)): the assay's activities, and for an
            epistemic head the ensemble's standard deviation (not its logarithm).
        pred: the model's output, of the same shape, log variances as such.
        heads: names of the columns of ``pred``.

    Returns:
        A row for each of :data:`METRICS`.
    """
    scored, pred = in_std_units(heads, pred)
    results = pd.DataFrame(eval_regression(y, pred), index=pd.Index(scored.columns))
    return results.T.rename_axis("metric").reset_index()


def in_std_units(heads: Heads, pred: np.ndarray) -> tuple[Heads, np.ndarray]:
    """The same predictions with log-variance heads turned into standard deviations."""
    if "logvar" not in heads.kinds:
        return heads, np.asarray(pred)
    pred = np.array(pred)
    columns = heads.slice("logvar")
    pred[..., columns] = logvar_to_std(pred[..., columns])
    return Heads(heads.targets, tuple("std" if k == "logvar" else k for k in heads.kinds)), pred
