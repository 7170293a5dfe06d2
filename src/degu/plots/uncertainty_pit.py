"""Histograms of the probability integral transform: where in the predicted law measurements lie."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.figure import Figure

from degu.plots.inputs import Inputs
from degu.plots.panels import add_legend, is_leftmost, target_panels
from degu.plots.series import in_order
from degu.plots.style import RC
from degu.plots.tables import targets_of
from degu.plots.uncertainty import draw_means, line_handles, read_curves, reference_handle
from degu.plots.uncertainty_reliability import ROWS


def draw(given: Inputs) -> Figure:
    """A column a target; a row for the epistemic law, the total one, and that after scaling."""
    rows = read_curves(given)
    rows = rows[rows["curve"] == "pit"]
    targets = targets_of(rows)
    with mpl.rc_context(RC):
        figure, axes = target_panels(targets, len(ROWS), row_height=1.6)
        for panels, (variance, recalibration, label) in zip(axes, ROWS, strict=True):
            own = rows[(rows["variance"] == variance) & (rows["recalibration"] == recalibration)]
            for axis, target in zip(panels, targets, strict=True):
                axis.axhline(1, color="0.6", linestyle=":", linewidth=1)
                here = own[own["target"] == target]
                for name in in_order(here["series"]):
                    draw_means(
                        axis,
                        here[here["series"] == name],
                        "x",
                        "y",
                        name,
                        drawstyle="steps-mid",
                        linestyle="-",
                        linewidth=1,
                    )
                axis.set_xlim(0, 1)
                axis.set_ylim(bottom=0)
                if is_leftmost(axis):
                    axis.set_ylabel(f"density\n({label})")
        for axis in axes[-1]:
            axis.set_xlabel("predicted probability of a smaller value")
        figure.suptitle(given.arm_name)
        handles = line_handles(rows["series"])
        for handle in handles:
            handle.set_linestyle("-")
        add_legend(figure, [*handles, reference_handle("calibrated")])
    return figure
