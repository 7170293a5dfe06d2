"""Teachers, ensemble and students side by side."""

from __future__ import annotations

import textwrap

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from degu.errors import InputError
from degu.plots.inputs import Inputs
from degu.plots.panels import (
    HEADS,
    add_legend,
    draw_models,
    is_leftmost,
    row_panels,
    series_handle,
    series_in,
)
from degu.plots.style import RC
from degu.plots.tables import arms_of, final_members, of_arms, read_summary, targets_of
from degu.sweep import Arm, format_proportion


def draw(given: Inputs) -> Figure:
    """The figure of a summary."""
    return plot_performance(given.table())


def plot_performance(summary: pd.DataFrame, metric: str = "Pearson") -> Figure:
    """Test performance of single teachers, their ensemble and its students, an arm a row.

    Two panels for each target: how well activities are predicted, and how well students predict
    the ensemble's std. A small mark is one model, a large one the mean over models, and a bar its
    95% t-interval.

    Args:
        summary: ``summary.csv``.
        metric: a metric of the summary; ``Pearson`` or ``Spearman``.

    Raises:
        InputError: if no ensemble was evaluated.
    """
    rows = final_members(read_summary(summary))
    rows = rows[rows["metric"] == metric]
    arms = arms_of(rows[rows["role"] == "ensemble"])
    if not arms:
        raise InputError(
            f"The summary has no ensemble's test {metric}, so there is no performance to draw; "
            "run the workflow's rule summarize again."
        )
    drawn = of_arms(rows, arms)
    series, targets = series_in(drawn), targets_of(drawn)
    heads = [head for head in HEADS if (drawn["head"] == head).any()]
    row_height = 0.1 + 0.066 * len(series)
    arm_axis = textwrap.fill(_arm_axis(arms), max(15, int(row_height * len(arms) / 0.07)))
    with mpl.rc_context(RC):
        figure, axes = row_panels(targets, len(heads), arm_labels(arms), row_height=row_height)
        for target, panels in zip(targets, axes, strict=True):
            for head, axis in zip(heads, panels, strict=True):
                panel = drawn[(drawn["target"] == target) & (drawn["head"] == head)]
                present = series_in(panel)
                for place, arm in enumerate(arms):
                    own = of_arms(panel, [arm])
                    for i, name in enumerate(present):
                        offset = (i - (len(present) - 1) / 2) * 0.8 / len(series)
                        models = own[own["series"] == name]
                        draw_models(axis, place + offset, models, name, horizontal=True)
                axis.set_xlabel(HEADS[head].format(metric=metric))
                if is_leftmost(axis):
                    axis.set_ylabel(arm_axis)
        add_legend(figure, [series_handle(drawn, name) for name in series])
    return figure


def arm_labels(arms: list[Arm]) -> list[str]:
    """Names of arms by what tells them apart."""
    augmentations = len({arm.augmentation for arm in arms}) > 1
    proportions = len({arm.proportion for arm in arms}) > 1
    labels = []
    for arm in arms:
        parts = [arm.augmentation] if augmentations else []
        parts += [format_proportion(arm.proportion)] if proportions else []
        labels.append(", ".join([*parts, f"n = {arm.size}"]))
    return labels


def _arm_axis(arms: list[Arm]) -> str:
    parts = ["augmentation"] if len({arm.augmentation for arm in arms}) > 1 else []
    parts += ["proportion of training data"] if len({arm.proportion for arm in arms}) > 1 else []
    return ", ".join([*parts, "ensemble size n"])
