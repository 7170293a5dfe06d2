"""Width of prediction intervals against their coverage, after conformal recalibration."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from degu.plots.inputs import Inputs
from degu.plots.panels import add_legend, is_leftmost, series_handle, target_panels
from degu.plots.series import in_order, look
from degu.plots.style import RC, with_units
from degu.plots.tables import targets_of
from degu.plots.uncertainty import read_scores


def draw(given: Inputs) -> Figure:
    """A panel a target; each kind of model is a line over levels, the means over its models."""
    rows = read_scores(given)
    kept = (rows["variance"] == "total") & (rows["recalibration"] == "conformal")
    kept &= rows["bin"].isna() & rows["metric"].isin(["PICP", "MPIW"])
    rows = rows.loc[kept]
    targets = targets_of(rows)
    with mpl.rc_context(RC):
        figure, axes = target_panels(targets, 1, row_height=2.4)
        for axis, target in zip(axes[0], targets, strict=True):
            here = rows[rows["target"] == target]
            for name in in_order(here["series"]):
                own = here[here["series"] == name]
                means = own.pivot_table("value", "level", "metric", aggfunc="mean")
                means = means.replace(np.inf, np.nan).dropna()
                look_ = look(name)
                axis.plot(
                    means["PICP"],
                    means["MPIW"],
                    color=look_.color,
                    linestyle=look_.line,
                    marker=look_.marker,
                    markersize=3,
                    markeredgewidth=0,
                    linewidth=1,
                )
            if is_leftmost(axis):
                axis.set_ylabel(with_units("mean width", given.units))
            axis.set_xlabel("coverage")
            axis.set_ylim(bottom=0)
        figure.suptitle(given.arm_name)
        handles = [series_handle(rows, n, line=look(n).line) for n in in_order(rows["series"])]
        add_legend(figure, handles)
    return figure
