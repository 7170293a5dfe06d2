"""Models on sequences that are shifted away from the training distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    draw_box,
    is_leftmost,
    series_handle,
    series_in,
    style_handle,
    target_panels,
)
from degu.plots.style import COLORS, LABELS, MARKERS, RC, literal, with_units
from degu.plots.tables import arms_of, describe, of_arms, preferred, read_summary, targets_of

# In the order of the shift's size, dark to light; one colour map, so that the order is seen.
SHIFTS: dict[str, tuple[str, LineStyleType]] = {
    "none": ("#440154", "-"),
    "small": ("#3B528B", "--"),
    "moderate": ("#21918C", "-."),
    "dinucleotide": ("#5EC962", (0, (4, 1, 1, 1, 1, 1))),
    "large": ("#D9A400", ":"),
}
"""Sets of sequences: the test sequences, then shifts by size; their colours and lines."""
NAMES = {"none": "no shift", "dinucleotide": "dinucleotide shuffle"}


FEWEST_IN_A_BOX = 3
"""Models from which on quartiles say more than the models themselves."""


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
    rows = rows[(rows["shift"] != "") & (rows["variant"] == "") & (rows["stage"] == "")]
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
    kinds = [kind for kind in SHIFTS if kind in set(drawn["shift"])]
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
                MARKERS[name],
                color=COLORS[name],
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
            marker=MARKERS["ensemble"],
            color=COLORS["ensemble"],
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


def plot_shift_distribution(
    assay: np.ndarray,
    predictions: Mapping[str, Mapping[str, np.ndarray]],
    targets: Sequence[str],
    units: str,
    title: str = "",
    quantiles: int = 501,
) -> Figure:
    """Cumulative distributions of activity predicted for test and shifted sequences.

    A column of panels for each target, a row for each series; the grey line of every panel is the
    distribution of the measured activity of the test sequences.

    Args:
        assay: measured test activities (N, T).
        predictions: for each series (``teacher``, ``ensemble``, ``student std``, ... or a name of
            one's own) the predicted activities (n, T) of each shift.
        targets: names of the T columns.
        units: units of the assay.
        title: which arm it is.
        quantiles: points of each curve, from the smallest value to the largest.

    Raises:
        InputError: if there are no predictions, for an array that is not (n, T), and for a shift
            that is not one of :data:`SHIFTS`.
    """
    if not predictions or not all(predictions.values()):
        raise InputError(
            "There are no predictions on shifted sequences to draw; "
            "run the workflow's target rule shift."
        )
    named = {"the assay": assay} | {
        f"{series} on shift {shift}": values
        for series, own in predictions.items()
        for shift, values in own.items()
    }
    for name, values in named.items():
        if np.ndim(values) != 2 or np.shape(values)[1] != len(targets) or len(values) == 0:
            raise InputError(
                f"Activities of {name} have the shape {np.shape(values)}, but {len(targets)} "
                "targets; give an array of sequences × targets."
            )
    unknown = [shift for own in predictions.values() for shift in own if shift not in SHIFTS]
    if unknown:
        raise InputError(f"The shift {unknown[0]} is not one of {', '.join(SHIFTS)}.")
    levels = np.linspace(0, 1, quantiles)
    shown = [kind for kind in SHIFTS if any(kind in own for own in predictions.values())]
    with mpl.rc_context(RC):
        figure, axes = target_panels(targets, len(predictions), row_height=1.5)
        for panels, (series, own) in zip(axes, predictions.items(), strict=True):
            for column, axis in enumerate(panels):
                axis.sharex(axes[0, column])
                reference = np.quantile(assay[:, column], levels)
                axis.plot(reference, levels, color="0.7", linewidth=3, solid_capstyle="butt")
                for kind in shown:
                    if kind in own:
                        color, line = SHIFTS[kind]
                        values = np.quantile(own[kind][:, column], levels)
                        axis.plot(values, levels, color=color, linestyle=line, linewidth=1.1)
                axis.set_ylim(0, 1)
                if is_leftmost(axis):
                    name = literal(LABELS.get(series, series))
                    axis.set_ylabel(f"{name}\nshare of sequences")
        for axis in axes[-1]:
            axis.set_xlabel(f"activity ({literal(units)})")
        handles = [Line2D([], [], color="0.7", linewidth=3, label="assay, test sequences")]
        for kind in shown:
            color, line = SHIFTS[kind]
            label = f"predicted, {NAMES.get(kind, f'{kind} shift')}"
            handles.append(Line2D([], [], color=color, linestyle=line, linewidth=1.3, label=label))
        if title:
            figure.suptitle(title)
        add_legend(figure, handles)
    return figure
