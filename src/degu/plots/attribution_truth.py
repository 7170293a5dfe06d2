"""How well attribution maps find motifs that were planted."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from degu.attribution.analysis import COLUMNS
from degu.plots.inputs import Inputs
from degu.plots.maps import methods_in, short_label, top_of_one_arm
from degu.plots.panels import (
    add_legend,
    add_title,
    draw_models,
    row_panels,
    series_handle,
    series_in,
)
from degu.plots.style import RC
from degu.plots.tables import read_attribution, targets_of

SCORES = ("AUROC", "AUPRC")
"""What tells how right maps are."""


def draw(given: Inputs) -> Figure:
    """The figure of an arm's table."""
    return plot_attribution_truth(given.table(COLUMNS))


def plot_attribution_truth(summary: pd.DataFrame) -> Figure:
    """How well maps find the motifs that were planted in simulated sequences.

    Two panels for each target, AUROC and AUPRC of the size of a position's importance against the
    planted positions, a method a row, over the most active sequences that have motifs. A small mark
    is one model, a large one the mean over models, a bar its 95% t-interval; diamonds are the
    teachers' mean map. The dotted line is what a map without information has: 0.5, and the share of
    motif positions. Of several arms one is drawn, as by
    :func:`degu.plots.attribution.plot_attribution`.

    Args:
        summary: ``attribution_summary.csv``.

    Raises:
        InputError: if there are no such scores.
    """
    rows = read_attribution(summary)
    rows = rows[(rows["head"] == "mean") | (rows["role"] == "truth")]
    scores = rows[rows["metric"].isin(SCORES) & (rows["comparison"] == "")]
    drawn, title = top_of_one_arm(scores, "AUROC against planted motifs")
    chance = rows[(rows["metric"] == "Chance_AUPRC") & rows["selection"].isin(drawn["selection"])]
    targets, methods, series = targets_of(drawn), methods_in(drawn["method"]), series_in(drawn)
    labels = [*map(short_label, methods)]
    height = 0.15 + 0.1 * len(series)
    with mpl.rc_context(RC):
        figure, axes = row_panels(targets, len(SCORES), labels, row_height=height)
        for target, panels in zip(targets, axes, strict=True):
            for metric, axis in zip(SCORES, panels, strict=True):
                own = drawn[(drawn["target"] == target) & (drawn["metric"] == metric)]
                for place, method in enumerate(methods):
                    here = own[own["method"] == method]
                    for i, name in enumerate(series):
                        offset = (i - (len(series) - 1) / 2) * 0.8 / len(series)
                        models = here[here["series"] == name]
                        draw_models(axis, place + offset, models, name, horizontal=True)
                share = chance.loc[chance["target"] == target, "value"]
                for value in [0.5] if metric == "AUROC" else share[:1]:
                    axis.axvline(value, color="black", linestyle=":", linewidth=1)
                axis.set_xlabel(metric)
        add_title(figure, title)
        chance_line = Line2D([], [], color="black", linestyle=":", linewidth=1, label="chance")
        add_legend(figure, [*(series_handle(drawn, name) for name in series), chance_line])
    return figure
