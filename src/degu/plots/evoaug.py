"""EvoAug beside standard training."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from degu.errors import InputError
from degu.plots.inputs import Inputs
from degu.plots.panels import (
    HEADS,
    add_legend,
    draw_curve,
    draw_models,
    is_leftmost,
    series_handle,
    series_in,
    style_handle,
    target_panels,
    tick_points,
)
from degu.plots.style import RC
from degu.plots.tables import (
    arms_of,
    describe,
    longest_slice,
    of_arms,
    plain,
    preferred,
    read_summary,
    targets_of,
)

AUGMENTATIONS: dict[str, LineStyleType] = {"standard": "--", "evoaug": "-"}
"""Augmentations that are compared, and their lines."""


# These have panels of their own: eight lines in one would hide each other.
_TAUGHT_BY = ("teacher", "ensemble")


def draw(given: Inputs) -> Figure:
    """The figure of a summary."""
    return plot_evoaug(given.table())


def plot_evoaug(summary: pd.DataFrame) -> Figure:
    """Test Pearson with EvoAug and with standard training, at the same proportion and size.

    Against the proportion of training data if both were trained at several, as two categories
    otherwise. Lines and large marks are means over models, bands and bars their 95% t-intervals.
    Hollow marks are the means of EvoAug's models before fine-tuning.

    Args:
        summary: ``summary.csv``.

    Raises:
        InputError: if no proportion and size has both augmentations.
    """
    rows = read_summary(summary)
    rows = plain(rows[(rows["metric"] == "Pearson") & (rows["shift"] == "")])
    arms = arms_of(rows[rows["role"] == "ensemble"])
    both = [
        arm
        for arm in arms
        if arm.augmentation == "standard" and replace(arm, augmentation="evoaug") in arms
    ]
    if not both:
        raise InputError(
            "The summary has no proportion and ensemble size with both standard and evoaug "
            "ensembles, so there is nothing to compare; add such arms to the config."
        )
    standard = longest_slice(both, "proportion") or [preferred(both)]
    drawn = {
        name: of_arms(rows, [replace(arm, augmentation=name) for arm in standard])
        for name in AUGMENTATIONS
    }
    shown = pd.concat(drawn.values())
    final = shown[shown["stage"] == ""]
    targets = targets_of(shown)
    present = {head: series_in(final[final["head"] == head]) for head in HEADS}
    kinds = [
        (head, names)
        for head, taught_by in (("mean", True), ("mean", False), ("std", False))
        if (names := [n for n in present[head] if (n in _TAUGHT_BY) == taught_by])
    ]
    sweep = len(standard) > 1
    with mpl.rc_context(RC):
        figure, axes = target_panels(targets, len(kinds))
        for panels, (head, names) in zip(axes, kinds, strict=True):
            for axis, target in zip(panels, targets, strict=True):
                panel = {
                    name: part[(part["target"] == target) & (part["head"] == head)]
                    for name, part in drawn.items()
                }
                if sweep:
                    _draw_curves(axis, panel, names)
                    tick_points(figure, axis, {arm.proportion for arm in standard})
                else:
                    _draw_pair(axis, panel, names)
                if is_leftmost(axis):
                    axis.set_ylabel(HEADS[head].format(metric="Pearson"))
        for axis in axes[-1]:
            axis.set_xlabel("proportion of training data" if sweep else "training")
        # Activity is on one scale, whoever predicts it.
        if len(kinds) > 1 and kinds[1][0] == "mean":
            for upper, lower in zip(axes[0], axes[1], strict=True):
                limits = np.array([upper.get_ylim(), lower.get_ylim()])
                low, high = limits[:, 0].min(), limits[:, 1].max()
                # What was a margin of the smaller range is none of the common one.
                margin = 0.04 * (high - low)
                for axis in (upper, lower):
                    axis.set_ylim(low - margin, high + margin)
        first = standard[0]
        proportion = None if sweep else first.proportion
        figure.suptitle(describe("standard and evoaug", proportion=proportion, size=first.size))
        handles = [series_handle(final, name) for name in series_in(final)]
        if sweep:
            handles += [
                Line2D([], [], color="black", linestyle=line, linewidth=1.2, label=name)
                for name, line in AUGMENTATIONS.items()
            ]
        if (shown["stage"] == "aug").any():
            handles.append(style_handle("evoaug, before fine-tuning", "teacher", hollow=True))
        add_legend(figure, handles)
    return figure


def _draw_curves(axis: Axes, panel: dict[str, pd.DataFrame], series: list[str]) -> None:
    for name in series:
        for augmentation, line in AUGMENTATIONS.items():
            own = panel[augmentation][panel[augmentation]["series"] == name]
            draw_curve(axis, own[own["stage"] == ""], "proportion", name, line=line)
            before = own[own["stage"] == "aug"]
            draw_curve(axis, before, "proportion", name, line="", hollow=True, band=False)


def _draw_pair(axis: Axes, panel: dict[str, pd.DataFrame], series: list[str]) -> None:
    for x, part in enumerate(panel.values()):
        for i, name in enumerate(series):
            place = x + (i - (len(series) - 1) / 2) * 0.3
            own = part[part["series"] == name]
            draw_models(axis, place, own[own["stage"] == ""], name)
            before = own[own["stage"] == "aug"]
            draw_models(axis, place + 0.1, before, name, hollow=True)
    axis.set_xticks(range(len(panel)), list(panel))
    axis.set_xlim(-0.5, len(panel) - 0.5)
