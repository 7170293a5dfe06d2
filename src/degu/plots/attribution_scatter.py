"""How far attribution maps are off, a point a sequence."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from degu.errors import InputError
from degu.io.hdf5 import open_hdf5
from degu.plots.inputs import Inputs
from degu.plots.maps import MEASURES, method_label, methods_in, series_of
from degu.plots.panels import (
    add_legend,
    add_title,
    is_leftmost,
    measure_panels,
    style_handle,
)
from degu.plots.series import in_order, look
from degu.plots.style import RC
from degu.uncertainty import unbiased_std

PerSequence = Mapping[str, Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]]
"""Numbers of single sequences (n,), by target, method, measure and series."""


def draw(given: Inputs) -> Figure:
    """The figure of the file of an arm's maps."""
    return plot_attribution_scatter(
        read_per_sequence(given.files["maps"]), given.units, given.arm_name
    )


def plot_attribution_scatter(sequences: PerSequence, units: str = "", title: str = "") -> Figure:
    """How far single teachers' and students' maps are off, a point a sequence.

    Panels for each target and method: RMSE to the teachers' mean map, single teachers (mean over
    them) across and students (mean) upwards, then the same for the std across models. Below the
    diagonal students are closer to it, or to each other; the share of such sequences is written in.

    Args:
        sequences: by target, method, measure (``RMSE_to_ensemble``, ``Std``) and series
            (``teacher``, ``student std``, ``student logvar``) a number for each sequence (n,), as
            :func:`read_per_sequence` reads them.
        units: units of the assay.
        title: which arm and sequences.

    Raises:
        InputError: if there are no students to compare.
    """
    by_panel = [panel for by_method in sequences.values() for panel in by_method.values()]
    kinds = [
        (measure, name)
        for measure in MEASURES
        for name in in_order(name for panel in by_panel for name in panel.get(measure, ()))
        if name != "teacher" and any({"teacher", name} <= set(p.get(measure, ())) for p in by_panel)
    ]
    if not kinds:
        raise InputError(
            "There are no maps of both teachers and students, so there is nothing to compare; "
            "run the workflow's target attribution."
        )
    targets = [*sequences]
    methods = methods_in(method for own in sequences.values() for method in own)
    with mpl.rc_context(RC):
        names = [MEASURES[measure] for measure, _ in kinds]
        figure, axes = measure_panels(targets, len(methods), names, row_height=1.45)
        for panels, method in zip(axes, methods, strict=True):
            for by_kind, target in zip(panels, targets, strict=True):
                for axis, (measure, name) in zip(by_kind, kinds, strict=True):
                    values = sequences[target].get(method, {}).get(measure, {})
                    if not {"teacher", name} <= set(values):
                        axis.remove()
                        continue
                    _draw_pairs(axis, values["teacher"], values[name], name)
                    axis.set_ylabel("")
                    if is_leftmost(axis):
                        axis.set_ylabel(f"students,\n{method_label(method, units)}")
        for axis in axes[-1].flat:
            axis.set_xlabel("single teachers")
        if title:
            add_title(figure, title)
        shown = dict.fromkeys(name for _, name in kinds)
        add_legend(figure, [style_handle(look(name).label, name) for name in shown])
    return figure


def _draw_pairs(axis: Axes, teachers: np.ndarray, students: np.ndarray, series: str) -> None:
    there = np.isfinite(teachers) & np.isfinite(students)
    teachers, students = teachers[there], students[there]
    high = 1.05 * max(teachers.max(initial=0), students.max(initial=0)) or 1.0
    axis.plot([0, high], [0, high], color="black", linewidth=0.8, zorder=1)
    axis.plot(
        teachers,
        students,
        look(series).marker,
        color=look(series).color,
        markersize=1.8,
        markeredgewidth=0,
        alpha=0.35,
        # A thousand points for each of many panels would make a vector file heavy.
        rasterized=True,
    )
    axis.text(
        0.04,
        0.97,
        f"{np.mean(students < teachers):.0%}\nbelow",
        transform=axis.transAxes,
        va="top",
        fontsize=7,
    )
    axis.set(xlim=(0, high), ylim=(0, high), box_aspect=1)
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MaxNLocator(nbins=2, steps=[1, 2, 5, 10]))


def read_per_sequence(path: str | os.PathLike[str]) -> PerSequence:
    """Numbers of the most active sequences from the file of an arm's maps.

    Args:
        path: ``attribution/n{size}.h5``, of :func:`degu.attribution.analysis.evaluate_arm`.

    Returns:
        By target, method, measure and series, numbers (n,) by rank: ``RMSE_to_ensemble``, the mean
        over models, and ``Std`` over them (not of a single model). Both are ddof 1: of teachers,
        who are part of the average map, the RMSE has the factor √(M/(M−1)).

    Raises:
        InputError: if the file is not whole.
    """
    found: dict[str, dict[str, dict[str, dict[str, np.ndarray]]]] = {}
    with open_hdf5(path) as file:
        try:
            for target in json.loads(file.attrs["targets"]):
                top = file[target]["rank"][:] > 0
                for method in json.loads(file.attrs["methods"]):
                    own: dict[str, dict[str, np.ndarray]] = {"RMSE_to_ensemble": {}, "Std": {}}
                    by_series = {series_of(name): name for name in file[target][method]}
                    for series in in_order(by_series.keys() - {"ensemble"}):
                        group = file[target][method][by_series[series]]
                        rmse = group["rmse"][:][:, top].astype(np.float64)
                        average, m = rmse.mean(axis=0), len(rmse)
                        if series == "teacher":
                            average = unbiased_std(average, m)
                        own["RMSE_to_ensemble"][series] = average
                        if m > 1:
                            own["Std"][series] = unbiased_std(group["std"][:][top], m)
                    found.setdefault(target, {})[method] = own
        except InputError:
            raise
        except (KeyError, OSError, ValueError) as error:
            raise InputError(
                f"{path} is not a whole file of an arm's maps; delete it and run the workflow's "
                "target attribution again."
            ) from error
    return found
