"""Error and uncertainty of models on shifted sequences."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from degu.errors import InputError
from degu.plots.inputs import Inputs
from degu.plots.panels import (
    add_legend,
    draw_box,
    is_leftmost,
    series_handle,
    series_in,
    shifts_in,
    style_handle,
    target_panels,
)
from degu.plots.series import look
from degu.plots.style import RC, with_units
from degu.plots.tables import (
    arms_of,
    describe,
    of_arms,
    plain,
    preferred,
    read_summary,
    targets_of,
)

FEWEST_IN_A_BOX = 3
"""Models from which on quartiles say more than the models themselves."""


def draw(given: Inputs) -> Figure:
    """The figure of an arm's table."""
    return plot_shift(given.table(), given.units)


def plot_shift(summary: pd.DataFrame, units: str) -> Figure:
    """Error and uncertainty on shifted sequences, in boxes over models.

    Two panels for each target. Above, the mean squared difference from the mean of the arm's
    teachers, of single teachers and of students; below, the std (ddof 0) averaged over sequences,
    as the ensemble has it and as students predict it. Boxes span the quartiles, whiskers the range,
    and every model is a mark. Of several arms one is drawn (standard first, then most data, then
    the largest size) and named in the title.

    Args:
        summary: ``summary.csv``.
        units: units of the assay.

    Raises:
        InputError: if nothing was predicted on shifted sequences.
    """
    rows = read_summary(summary)
    rows = plain(rows[(rows["shift"] != "") & (rows["stage"] == "")])
    arms = arms_of(rows)
    if not arms:
        raise InputError(
            "The summary has no predictions on shifted sequences, so there is no shift to draw; "
            "run the workflow's target rule shift."
        )
    arm = preferred(arms)
    drawn = of_arms(rows, [arm])
    error = drawn[(drawn["head"] == "mean") & (drawn["metric"] == "MSE_to_ensemble")]
    error = error[error["ddof"] != 1]
    std = drawn[(drawn["head"] == "std") & (drawn["metric"] == "Mean") & (drawn["ddof"] == 0)]
    kinds = shifts_in(drawn["shift"])
    measures = (
        (error, with_units("MSE to the mean\nof the teachers", units, 2)),
        (std, with_units("mean std, ddof 0", units)),
    )
    shown = pd.concat([error, std])
    targets = targets_of(shown)
    with mpl.rc_context(RC):
        figure, axes = target_panels(targets, len(measures), row_height=1.8)
        for panels, (rows, label) in zip(axes, measures, strict=True):
            for axis, target in zip(panels, targets, strict=True):
                _draw_boxes(axis, rows[rows["target"] == target], kinds)
                if is_leftmost(axis):
                    axis.set_ylabel(label)
        for axis in axes[-1]:
            axis.set_xlabel("shift of the test sequences")
            axis.tick_params(axis="x", labelrotation=30)
            for text in axis.get_xticklabels():
                text.set(horizontalalignment="right", rotation_mode="anchor")
        figure.suptitle(describe(arm.augmentation, proportion=arm.proportion, size=arm.size))
        handles = [
            style_handle("ensemble", name, line="-")
            if name == "ensemble"
            else series_handle(shown, name)
            for name in series_in(shown)
        ]
        add_legend(figure, handles)
    return figure


def _draw_boxes(axis: Axes, rows: pd.DataFrame, kinds: list[str]) -> None:
    boxed = [name for name in series_in(rows) if name != "ensemble"]
    width = 0.7 / max(1, len(boxed))
    for i, name in enumerate(boxed):
        own = rows[rows["series"] == name]
        for x, kind in enumerate(kinds):
            values = own.loc[own["shift"] == kind, "value"].to_numpy()
            if len(values) == 0:
                continue
            place = x + (i - (len(boxed) - 1) / 2) * width
            if len(values) >= FEWEST_IN_A_BOX:
                draw_box(axis, place, values, name, 0.8 * width)
                continue
            # Fixed offsets rather than random ones: the same figure at every run.
            offsets = np.linspace(-0.2, 0.2, len(values)) * width if len(values) > 1 else [0.0]
            axis.plot(
                place + np.asarray(offsets),
                values,
                look(name).marker,
                color=look(name).color,
                markersize=4,
                markeredgewidth=0,
                alpha=0.9,
                zorder=3,
            )
    ensemble = rows[rows["series"] == "ensemble"].set_index("shift")["value"].reindex(kinds)
    if ensemble.notna().any():
        axis.plot(
            range(len(kinds)),
            ensemble,
            marker=look("ensemble").marker,
            color=look("ensemble").color,
            markersize=3.5,
            linewidth=0.9,
            zorder=4,
        )
    axis.set_xticks(range(len(kinds)), kinds)
    axis.set_xlim(-0.5, len(kinds) - 0.5)
    # A student's std is a linear output, which may fall below 0.
    low, high = min(0, rows["value"].min()), max(0, rows["value"].max())
    margin = 0.06 * (high - low)
    axis.set_ylim(low - margin if low < 0 else 0, high + margin if high > 0 else 0)
