"""Coverage of prediction intervals against what they claim, by recalibration."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from degu.plots.inputs import Inputs
from degu.plots.panels import add_legend, is_leftmost, target_panels
from degu.plots.series import in_order, look
from degu.plots.style import RC
from degu.plots.tables import targets_of
from degu.plots.uncertainty import read_scores, reference_handle

LINES = {
    ("epistemic", "none"): ("epistemic alone", "#999999", "o"),
    ("total", "none"): ("total", "#0072B2", "s"),
    ("total", "scaling"): ("total, scaled", "#56B4E9", "^"),
    ("total", "isotonic"): ("total, isotonic", "#009E73", "v"),
    ("total", "conformal"): ("total, conformal", "#D55E00", "D"),
    ("total", "mondrian"): ("total, conformal by activity", "#CC79A7", "P"),
}
"""Variance and recalibration: label, colour, marker."""


def draw(given: Inputs) -> Figure:
    """A column a target, a row for the ensemble and for each kind of student."""
    rows = read_scores(given)
    rows = rows[(rows["metric"] == "PICP") & rows["bin"].isna()]
    rows = rows[rows["role"].isin(["ensemble", "student"])]
    targets, names = targets_of(rows), in_order(rows["series"])
    with mpl.rc_context(RC):
        figure, axes = target_panels(targets, len(names), row_height=1.7)
        for panels, name in zip(axes, names, strict=True):
            for axis, target in zip(panels, targets, strict=True):
                own = rows[(rows["series"] == name) & (rows["target"] == target)]
                _draw_lines(axis, own)
                if is_leftmost(axis):
                    axis.set_ylabel(f"coverage\n({look(name).label})")
        for axis in axes[-1]:
            axis.set_xlabel("nominal level")
        figure.suptitle(given.arm_name)
        handles = [
            Line2D([], [], color=color, marker=marker, markersize=3.5, linewidth=1, label=label)
            for label, color, marker in LINES.values()
        ]
        add_legend(figure, [*handles, reference_handle("nominal")])
    return figure


def _draw_lines(axis: Axes, rows: pd.DataFrame) -> None:
    axis.plot([0.5, 1], [0.5, 1], color="0.6", linestyle=":", linewidth=1)
    for (variance, recalibration), (_, color, marker) in LINES.items():
        own = rows[(rows["variance"] == variance) & (rows["recalibration"] == recalibration)]
        means = own.groupby("level")["value"].mean()
        style: dict[str, Any] = {
            "marker": marker,
            "markersize": 3,
            "linewidth": 0.9,
            "markeredgewidth": 0,
        }
        axis.plot(means.index, means, color=color, **style)
    axis.set(xlim=(0.48, 1.01), ylim=(min(0.3, rows["value"].min() - 0.03), 1.02))
