"""How far attribution maps are from the ensemble's, by measured activity."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from degu.attribution.analysis import COLUMNS
from degu.plots.inputs import Inputs
from degu.plots.maps import method_label, methods_in, of_one_arm
from degu.plots.panels import (
    add_legend,
    add_title,
    draw_curve,
    is_leftmost,
    series_handle,
    series_in,
    target_panels,
)
from degu.plots.series import look
from degu.plots.style import RC
from degu.plots.tables import read_attribution, targets_of


def draw(given: Inputs) -> Figure:
    """The figure of an arm's table."""
    return plot_attribution_bins(given.table(COLUMNS), given.units)


def plot_attribution_bins(summary: pd.DataFrame, units: str = "") -> Figure:
    """RMSE of maps to the teachers' mean, in quantile bins of measured activity.

    A column of panels for each target, a row for each method. Marks are means over models, with
    95% t-intervals. Of several arms one is drawn, as by
    :func:`degu.plots.attribution.plot_attribution`.

    Args:
        summary: ``attribution_summary.csv``.
        units: units of the assay.

    Raises:
        InputError: if there are no bins.
    """
    rows = read_attribution(summary)
    rows = rows[(rows["metric"] == "RMSE_to_ensemble") & (rows["comparison"] == "")]
    rows = rows[(rows["head"] == "mean") & (rows["ddof"] != 1)]
    number = rows["selection"].str.extract(r"^bin(\d+)$")[0].astype(float)
    binned = rows.assign(bin=number)[number.notna()]
    drawn, title = of_one_arm(binned, "RMSE of maps in bins of activity")
    targets, methods, series = targets_of(drawn), methods_in(drawn["method"]), series_in(drawn)
    with mpl.rc_context(RC):
        figure, axes = target_panels(targets, len(methods))
        for panels, method in zip(axes, methods, strict=True):
            for axis, target in zip(panels, targets, strict=True):
                here = drawn[(drawn["method"] == method) & (drawn["target"] == target)]
                for name in series:
                    draw_curve(axis, here[here["series"] == name], "bin", name)
                # Room above for half a mark.
                axis.set_ylim(0, 1.04 * axis.get_ylim()[1])
                axis.set_xticks(sorted(drawn["bin"].unique()))
                if is_leftmost(axis):
                    axis.set_ylabel(method_label(method, units))
        for axis in axes[-1]:
            axis.set_xlabel("bin of measured activity")
        add_title(figure, f"RMSE of maps to the ensemble's: {title}")
        add_legend(figure, [series_handle(drawn, name, line=look(name).line) for name in series])
    return figure
