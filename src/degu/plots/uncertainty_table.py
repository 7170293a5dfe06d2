"""Kinds of models by the scores that they are compared by."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from degu.calibration.tables import COMPARED
from degu.plots.inputs import Inputs
from degu.plots.series import in_order, look
from degu.plots.style import PAGE_WIDTH, RC, literal, new_figure
from degu.plots.tables import targets_of
from degu.plots.uncertainty import read_differences, read_scores

TITLES = {
    "NLL": "NLL",
    "CRPS": "CRPS",
    "IntervalScore": "interval score\n90%",
    "MPIW": "width\n90%",
    "ENCE": "ENCE",
    "AUSE": "AUSE",
}


def draw(given: Inputs) -> Figure:
    """A table a target, a row a kind of models; bold: the best, and above chance."""
    rows, differences = read_scores(given), read_differences(given)
    rows = rows[(rows["variance"] == "total") & rows["bin"].isna() & (rows["shift"] == "")]
    targets, names = targets_of(rows), in_order(rows["series"])
    with mpl.rc_context(RC):
        height = 0.19 * (len(names) + 3)
        figure = new_figure(PAGE_WIDTH, len(targets) * height + 0.5)
        axes = figure.subplots(len(targets), 1, squeeze=False)[:, 0]
        for axis, target in zip(axes, targets, strict=True):
            _write(
                axis,
                target,
                names,
                rows[rows["target"] == target],
                differences[differences["target"] == target],
            )
        figure.suptitle(given.arm_name)
    return figure


def _write(
    axis: Axes, target: str, names: list[str], rows: pd.DataFrame, differences: pd.DataFrame
) -> None:
    axis.set_axis_off()
    axis.set(xlim=(0, len(COMPARED) + 2.4), ylim=(len(names) + 0.6, -1.7))
    axis.text(0, -0.9, literal(target), fontweight="bold", va="center")
    for y, name in enumerate(names):
        axis.text(0, y, look(name).label, va="center", fontsize=7)
    for x, (metric, recalibration, level) in enumerate(COMPARED):
        axis.text(x + 3, -0.9, TITLES[metric], ha="right", va="center", fontsize=7)
        own = rows[(rows["metric"] == metric) & (rows["recalibration"] == (recalibration or ""))]
        own = own[own["level"].isna() if level is None else own["level"] == level]
        means = own.groupby("series")["value"].mean()
        best = certain_best(differences[differences["metric"] == metric])
        for y, name in enumerate(names):
            value = means.get(name, np.nan)
            text = f"{value:.3f}" if np.isfinite(value) else "–"
            weight = "bold" if name == best else "normal"
            axis.text(x + 3, y, text, ha="right", va="center", fontsize=7, fontweight=weight)
    axis.plot([0, len(COMPARED) + 2.1], [-0.45, -0.45], color="0.5", linewidth=0.6)


def certain_best(differences: pd.DataFrame) -> str | None:
    """The series that is best by a score, if its difference from every other one excludes 0."""
    others = differences[~differences["best"]]
    if not differences["best"].any() or others.empty or not (others["lower"] > 0).all():
        return None
    return str(differences.loc[differences["best"], "series"].iloc[0])
