"""Distributions of what models predict for shifted sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from degu.dataset import read_split
from degu.errors import InputError
from degu.plots.inputs import Inputs
from degu.plots.panels import add_legend, is_leftmost, shifts_in, target_panels
from degu.plots.series import SERIES
from degu.plots.style import RC, SHIFTS, literal
from degu.shift.scores import predicted_activities

NAMES = {"none": "no shift", "dinucleotide": "dinucleotide shuffle"}


def draw(given: Inputs) -> Figure:
    """The figure of what an arm's models predict for shifted sequences."""
    files, members = given.files, given.members
    predictions = predicted_activities(
        shift=files["sequences"],
        teachers=zip(files["teachers"], files["teachers_test"], members["teachers"], strict=True),
        ensemble=files["ensemble"],
        students=zip(files["students"], files["students_test"], members["students"], strict=True),
    )
    assay = read_split(files["dataset"], "Test", fields=("y",)).y
    info = given.info
    return plot_shift_distribution(assay, predictions, info.targets, info.units, given.arm_name)


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
            that is not one of :data:`degu.plots.style.SHIFTS`.
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
    levels = np.linspace(0, 1, quantiles)
    shown = shifts_in(shift for own in predictions.values() for shift in own)
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
                    name = literal(SERIES[series].label if series in SERIES else series)
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
