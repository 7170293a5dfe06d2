"""Sparsification: the error that remains when the most uncertain predictions are left out."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.figure import Figure

from degu.plots.inputs import Inputs
from degu.plots.panels import add_legend, is_leftmost, target_panels
from degu.plots.series import in_order
from degu.plots.style import RC
from degu.plots.tables import targets_of
from degu.plots.uncertainty import draw_means, line_handles, read_curves, reference_handle


def draw(given: Inputs) -> Figure:
    """A panel a target: by total std, and the ensemble's oracle, which sorts by the error."""
    rows = read_curves(given)
    # Of the last few sequences a mean error is chance.
    rows = rows[(rows["variance"] == "total") & (rows["x"] <= 0.95)]
    curves, oracle = (rows[rows["curve"] == name] for name in ("sparsification", "oracle"))
    oracle = oracle[oracle["role"] == "ensemble"]
    targets = targets_of(curves)
    with mpl.rc_context(RC):
        figure, axes = target_panels(targets, 1, row_height=2.4)
        for axis, target in zip(axes[0], targets, strict=True):
            axis.axhline(1, color="0.6", linestyle=":", linewidth=1)
            here = curves[curves["target"] == target]
            for name in in_order(here["series"]):
                draw_means(axis, here[here["series"] == name], "x", "y", name)
            best = oracle[oracle["target"] == target]
            draw_means(axis, best, "x", "y", "ensemble", linewidth=0.7, linestyle=(0, (1, 1)))
            axis.set(xlim=(0, 1), ylim=(0, None))
            axis.set_xlabel("share of sequences left out,\nmost uncertain first")
            if is_leftmost(axis):
                axis.set_ylabel("mean absolute error\nof the rest / of all")
        figure.suptitle(given.arm_name)
        handles = [
            *line_handles(curves["series"]),
            reference_handle("no information"),
            reference_handle("oracle of the ensemble", color="black", linestyle=(0, (1, 1))),
        ]
        add_legend(figure, handles)
    return figure
