"""Reliability: how many measurements lie below each predicted quantile."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.figure import Figure

from degu.plots.inputs import Inputs
from degu.plots.panels import add_legend, is_leftmost, target_panels
from degu.plots.series import in_order
from degu.plots.style import RC
from degu.plots.tables import targets_of
from degu.plots.uncertainty import draw_means, line_handles, read_curves, reference_handle

ROWS = (
    ("epistemic", "none", "epistemic alone"),
    ("total", "none", "total"),
    ("total", "scaling", "total, scaled"),
)


def draw(given: Inputs) -> Figure:
    """A column a target; a row for the epistemic law, the total one, and that after scaling."""
    rows = read_curves(given)
    rows = rows[rows["curve"] == "quantiles"]
    targets = targets_of(rows)
    with mpl.rc_context(RC):
        figure, axes = target_panels(targets, len(ROWS), row_height=1.7)
        for panels, (variance, recalibration, label) in zip(axes, ROWS, strict=True):
            own = rows[(rows["variance"] == variance) & (rows["recalibration"] == recalibration)]
            for axis, target in zip(panels, targets, strict=True):
                axis.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
                here = own[own["target"] == target]
                for name in in_order(here["series"]):
                    draw_means(axis, here[here["series"] == name], "x", "y", name)
                axis.set(xlim=(0, 1), ylim=(0, 1))
                if is_leftmost(axis):
                    axis.set_ylabel(f"observed share below\n({label})")
        for axis in axes[-1]:
            axis.set_xlabel("nominal probability")
        figure.suptitle(given.arm_name)
        handles = [*line_handles(rows["series"]), reference_handle("calibrated")]
        add_legend(figure, handles)
    return figure
