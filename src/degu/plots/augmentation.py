"""EvoAug beside standard training, and students trained with dynamic augmentation."""

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
from degu.plots.panels import (
    add_legend,
    draw_curve,
    draw_models,
    is_leftmost,
    row_panels,
    series_handle,
    series_in,
    style_handle,
    target_panels,
    tick_points,
)
from degu.plots.performance import PANELS
from degu.plots.style import COLORS, RC
from degu.plots.tables import (
    arms_of,
    describe,
    final_members,
    longest_slice,
    of_arms,
    preferred,
    read_summary,
    targets_of,
)

AUGMENTATIONS: dict[str, LineStyleType] = {"standard": "--", "evoaug": "-"}
"""Augmentations that are compared, and their lines."""
VARIANTS = {
    "": "plain",
    **{
        f"{mode}{suffix}": f"{mode}, {batch}"
        for mode in ("random", "mutagenesis", "evoaug")
        for suffix, batch in (("", "replace"), ("_append", "append"))
    },
}
"""Kinds of students, in the order of the figure, and their names in it."""

# Students have panels of their own: eight lines in one would hide each other.
_EVOAUG_PANELS = (
    ("mean", ("teacher", "ensemble")),
    ("mean", ("student std", "student logvar")),
    ("std", ("student std", "student logvar")),
)


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
    rows = rows[(rows["metric"] == "Pearson") & (rows["shift"] == "") & (rows["variant"] == "")]
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
    present = {head: series_in(final[final["head"] == head]) for head in PANELS}
    kinds = [
        (head, [name for name in names if name in present[head]])
        for head, names in _EVOAUG_PANELS
        if set(names) & set(present[head])
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
                    _draw_evoaug_curves(axis, panel, names)
                    tick_points(figure, axis, {arm.proportion for arm in standard})
                else:
                    _draw_evoaug_pair(axis, panel, names)
                if is_leftmost(axis):
                    axis.set_ylabel(PANELS[head].format(metric="Pearson"))
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


def _draw_evoaug_curves(axis: Axes, panel: dict[str, pd.DataFrame], series: list[str]) -> None:
    for name in series:
        for augmentation, line in AUGMENTATIONS.items():
            own = panel[augmentation][panel[augmentation]["series"] == name]
            draw_curve(axis, own[own["stage"] == ""], "proportion", name, line=line)
            before = own[own["stage"] == "aug"]
            draw_curve(axis, before, "proportion", name, line="", hollow=True, band=False)


def _draw_evoaug_pair(axis: Axes, panel: dict[str, pd.DataFrame], series: list[str]) -> None:
    for x, part in enumerate(panel.values()):
        for i, name in enumerate(series):
            place = x + (i - (len(series) - 1) / 2) * 0.3
            own = part[part["series"] == name]
            draw_models(axis, place, own[own["stage"] == ""], name)
            before = own[own["stage"] == "aug"]
            draw_models(axis, place + 0.1, before, name, hollow=True)
    axis.set_xticks(range(len(panel)), list(panel))
    axis.set_xlim(-0.5, len(panel) - 0.5)


def plot_dynamic_augmentation(summary: pd.DataFrame) -> Figure:
    """Test Pearson of students trained with dynamic augmentation, beside the plain student.

    Two panels for each target, of activity and of the ensemble's std. A small mark is one student,
    a large one the mean over students, a bar its 95% t-interval; hollow ones are the same students
    before fine-tuning. The vertical line is the ensemble's mean. Of several arms, the one with
    most kinds of students is drawn (among those standard first, then most data, then the largest
    size) and named in the title.

    Args:
        summary: ``summary.csv``.

    Raises:
        InputError: if there are no such students.
    """
    rows = read_summary(summary)
    rows = rows[(rows["metric"] == "Pearson") & (rows["shift"] == "")]
    dynamic = rows[(rows["role"] == "student") & (rows["variant"] != "")]
    if dynamic.empty:
        raise InputError(
            "The summary has no students with dynamic augmentation, so there is nothing to draw; "
            "add modes to dynamic_augmentation in the config."
        )
    variants = {arm: of_arms(dynamic, [arm])["variant"].nunique() for arm in arms_of(dynamic)}
    most = max(variants.values())
    arm = preferred(arm for arm, count in variants.items() if count == most)
    drawn = of_arms(rows, [arm])
    students = drawn[drawn["series"].isin(of_arms(dynamic, [arm])["series"])]
    ensemble = final_members(drawn[drawn["role"] == "ensemble"])
    present = set(students["variant"])
    kinds = [kind for kind in VARIANTS if kind in present]
    kinds += sorted(present.difference(VARIANTS))
    series, targets = series_in(students), targets_of(students)
    with mpl.rc_context(RC):
        labels = [VARIANTS.get(kind, kind) for kind in kinds]
        height = 0.14 + 0.12 * len(series)
        figure, axes = row_panels(targets, len(PANELS), labels, row_height=height)
        for target, panels in zip(targets, axes, strict=True):
            for head, axis in zip(PANELS, panels, strict=True):
                own = students[(students["target"] == target) & (students["head"] == head)]
                for row, kind in enumerate(kinds):
                    for i, name in enumerate(series):
                        place = row + (i - (len(series) - 1) / 2) * 0.45
                        models = own[(own["variant"] == kind) & (own["series"] == name)]
                        # A plain student of an arm with EvoAug has such a stage as well.
                        before = models[(models["stage"] == "aug") & (kind != "")]
                        after = models[models["stage"] == ""]
                        apart = 0.11 if len(before) else 0.0
                        draw_models(axis, place + apart, after, name, horizontal=True)
                        draw_models(axis, place - apart, before, name, horizontal=True, hollow=True)
                if head == "mean":
                    mean = ensemble[(ensemble["target"] == target) & (ensemble["head"] == "mean")]
                    for value in mean["value"]:
                        axis.axvline(value, color=COLORS["ensemble"], linewidth=1)
                axis.set_xlabel(PANELS[head].format(metric="Pearson"))
        title = describe(arm.augmentation, proportion=arm.proportion, size=arm.size)
        figure.suptitle(title)
        handles = [series_handle(students[students["stage"] == ""], name) for name in series]
        handles += [
            style_handle("before fine-tuning", name, hollow=True)
            for name in series[:1]
            if (students["stage"] == "aug").any()
        ]
        if len(ensemble):
            handles.append(style_handle("ensemble mean", "ensemble", line="-", marker=False))
        add_legend(figure, handles)
    return figure
