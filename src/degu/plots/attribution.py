"""How alike the attribution maps of models are, and how close to their ensemble's."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from degu.attribution.analysis import COLUMNS
from degu.plots.inputs import Inputs
from degu.plots.maps import MEASURES, method_label, methods_in, top_of_one_arm
from degu.plots.panels import (
    add_legend,
    add_title,
    draw_box,
    draw_models,
    measure_panels,
    series_handle,
    series_in,
    style_handle,
)
from degu.plots.series import look
from degu.plots.style import RC
from degu.plots.tables import read_attribution, targets_of

# RMSE has a number for every model, and these are what its boxes show.
_TESTS = {
    "RMSE_to_ensemble": ("welch", "paired_t"),
    "Std": ("paired_t",),
    "Cosine": ("paired_t",),
}


FEWEST_IN_A_BOX = 5
"""Models from which on a box is drawn; of fewer their mean."""


def draw(given: Inputs) -> Figure:
    """The figure of an arm's table."""
    return plot_attribution(given.table(COLUMNS), given.units)


def plot_attribution(summary: pd.DataFrame, units: str = "") -> Figure:
    """How far maps of activity are from the teachers' mean map, and from each other.

    Three panels for each target and method, over the most active test sequences: RMSE to the mean
    of the arm's teachers, in boxes over models (quartiles, whiskers to the extremes; of fewer than
    five models their mean with its 95% t-interval); std across models; mean cosine over pairs of
    models. Filled marks are ddof 0, hollow ones ddof 1 (their mean). Below students stand the p
    value of their difference from single teachers, with ddof 1, and its effect size: Hedges' g
    (Welch's test over models; RMSE) or d_z (paired t test over sequences). Of several arms one is
    drawn (standard first, then most data, then the largest size) and named in the title.

    Args:
        summary: ``attribution_summary.csv``.
        units: units of the assay.

    Raises:
        InputError: if no RMSE is in the summary.
    """
    rows = read_attribution(summary)
    rows = rows[(rows["head"] == "mean") & rows["metric"].isin(MEASURES)]
    drawn, title = top_of_one_arm(rows, "RMSE of maps to the teachers' mean")
    targets, methods = targets_of(drawn), methods_in(drawn["method"])
    plain = drawn[drawn["comparison"] == ""]
    series = series_in(plain)
    with mpl.rc_context(RC):
        figure, axes = measure_panels(targets, len(methods), [*MEASURES.values()], row_height=1.55)
        for panels, method in zip(axes, methods, strict=True):
            for by_measure, target in zip(panels, targets, strict=True):
                here = drawn[(drawn["method"] == method) & (drawn["target"] == target)]
                for axis, measure in zip(by_measure, MEASURES, strict=True):
                    _draw_measure(axis, here[here["metric"] == measure], series, measure)
                by_measure[0].set_ylabel(method_label(method, units))
        add_title(figure, title)
        handles = [series_handle(plain, name) for name in series]
        handles.append(style_handle("hollow: ddof 1", "ensemble", hollow=True))
        add_legend(figure, handles)
    return figure


def _draw_measure(axis: Axes, rows: pd.DataFrame, series: list[str], measure: str) -> None:
    labels = []
    for place, name in enumerate(series):
        own = rows[(rows["series"] == name) & (rows["comparison"] == "")]
        biased, unbiased = own[own["ddof"] != 1], own[own["ddof"] == 1]
        if len(biased) < FEWEST_IN_A_BOX:
            draw_models(axis, place, biased, name, apart=0.2)
        else:
            draw_box(axis, place, biased["value"].to_numpy(), name, 0.5)
        if len(unbiased):
            axis.plot(
                [place + 0.36],
                [unbiased["value"].mean()],
                look(name).marker,
                color=look(name).color,
                markerfacecolor="white",
                markersize=4,
                markeredgewidth=0.9,
            )
        label = _comparison(rows[rows["series"] == name], measure)
        several = rows.loc[rows["series"] == name, "member"].nunique() > 1
        labels.append(label if len(own) else "not defined" if several else "one model")
    axis.set_xticks(range(len(series)), labels, fontsize=6.5)
    axis.set_xlim(-0.55, len(series) - 0.45)
    axis.grid(axis="y", color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)
    values = rows.loc[rows["comparison"] == "", "value"]
    if values.empty:
        return
    low, high = min(0.0, values.min()), 1.0 if measure == "Cosine" else values.max()
    margin = 0.06 * (high - low) or 1.0
    axis.set_ylim(low - margin if low < 0 else 0, high + margin)
    axis.locator_params(axis="y", nbins=4)


def _comparison(rows: pd.DataFrame, measure: str) -> str:
    """p value and effect size of the first of the measure's tests that was made."""
    # With ddof 1 where there are two: ddof 0 favours few models, and those that are averaged.
    rows = rows.sort_values("ddof", na_position="first")
    for test in _TESTS[measure]:
        own = rows[rows["comparison"] == test].groupby("statistic")["value"].last()
        if {"p", "effect_size"} <= set(own.index):
            name = "$g$" if test == "welch" else "$d_z$"
            effect = f"{own['effect_size']:.2f}".replace("-", "−")
            return f"{p_value(own['p'])}\n{name} = {effect}"
    return ""


def p_value(p: float) -> str:
    """A p value of a figure: two digits, or one and a power of ten if it is below 0.001."""
    if p >= 0.001:
        return f"$p$ = {p:.2g}"
    if p == 0:  # below what a float holds
        return "$p$ < 1e−300"
    digit, power = f"{p:.0e}".split("e")
    return f"$p$ = {digit}e−{abs(int(power))}"
