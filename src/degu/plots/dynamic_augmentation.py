"""Students trained with dynamic augmentation."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from degu.errors import InputError
from degu.plots.inputs import Inputs
from degu.plots.panels import (
    HEADS,
    add_legend,
    draw_models,
    row_panels,
    series_handle,
    series_in,
    style_handle,
)
from degu.plots.series import look
from degu.plots.style import RC
from degu.plots.tables import (
    arms_of,
    describe,
    final_members,
    of_arms,
    preferred,
    read_summary,
    targets_of,
)

VARIANTS = {
    "": "plain",
    **{
        f"{mode}{suffix}": f"{mode}, {batch}"
        for mode in ("random", "mutagenesis", "evoaug")
        for suffix, batch in (("", "replace"), ("_append", "append"))
    },
}
"""Kinds of students, in the order of the figure, and their names in it."""


def draw(given: Inputs) -> Figure:
    """The figure of a summary."""
    return plot_dynamic_augmentation(given.table())


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
        figure, axes = row_panels(targets, len(HEADS), labels, row_height=height)
        for target, panels in zip(targets, axes, strict=True):
            for head, axis in zip(HEADS, panels, strict=True):
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
                        axis.axvline(value, color=look("ensemble").color, linewidth=1)
                axis.set_xlabel(HEADS[head].format(metric="Pearson"))
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
