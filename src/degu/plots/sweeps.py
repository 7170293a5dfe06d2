"""Curves along the sweep: performance and fidelity by share of the data and by ensemble size."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from degu.errors import InputError
from degu.plots.panels import (
    add_legend,
    draw_curve,
    draw_reference,
    is_leftmost,
    series_handle,
    series_in,
    style_handle,
    target_panels,
    tick_points,
)
from degu.plots.series import look
from degu.plots.style import RC, with_units
from degu.plots.tables import (
    Axis,
    arms_of,
    describe,
    final_members,
    longest_slice,
    of_arms,
    read_summary,
    targets_of,
)
from degu.sweep import Arm


@dataclass(frozen=True)
class Measure:
    """One row of panels: a metric of a head, for both conventions of the std where it has them."""

    metric: str
    head: str
    label: str
    power: int = 0
    by_ddof: bool = False

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows that hold it."""
        return rows[(rows["metric"] == self.metric) & (rows["head"] == self.head)]

    def axis_label(self, units: str) -> str:
        """Name with units, where it has them."""
        return with_units(self.label, units, self.power) if self.power else self.label


PERFORMANCE = (
    Measure("Pearson", "mean", "test Pearson\nof activity"),
    Measure("Spearman", "mean", "test Spearman\nof activity"),
    Measure("MSE", "mean", "test MSE", power=2),
)
FIDELITY = (
    Measure("Pearson", "std", "test Pearson\nof ensemble std"),
    Measure("MSE", "std", "test MSE of std", power=2, by_ddof=True),
)
SPREAD = Measure("Mean", "std", "mean test std", power=1, by_ddof=True)
DDOF_LINES: dict[int, LineStyleType] = {0: "-", 1: "--"}
AXES: dict[Axis, str] = {"proportion": "proportion of training data", "size": "ensemble size"}


def plot_sweep(
    summary: pd.DataFrame, units: str, along: Axis, measures: tuple[Measure, ...]
) -> Figure:
    """Curves of some measures along one axis of the sweep, a row of panels each.

    Lines are means over models, bands their 95% t-intervals; the ensemble has no band. Of several
    slices of the sweep, the one with most points is drawn and named in the title. What does not
    depend on the size is a horizontal line against it.

    Args:
        summary: ``summary.csv``.
        units: units of the assay.
        along: ``proportion`` or ``size``.
        measures: those that the summary lacks are left out.

    Raises:
        InputError: if no two arms differ in ``along`` only, or there are none of the measures.
    """
    rows = final_members(read_summary(summary))
    arms = longest_slice(arms_of(rows[rows["role"] == "ensemble"]), along)
    if not arms:
        other = "ensemble size" if along == "proportion" else "proportion"
        plural = "proportions" if along == "proportion" else "ensemble sizes"
        raise InputError(
            f"The summary has no two {plural} with the same augmentation and {other}, so there "
            f"is no curve to draw; add {plural} to the arms of the config."
        )
    drawn = _slice_rows(rows, arms, along)
    measures = tuple(measure for measure in measures if len(measure.of(drawn)))
    drawn = pd.concat([measure.of(drawn) for measure in measures] or [drawn.iloc[:0]])
    if drawn.empty:
        raise InputError(
            "The summary has no students, so there is no fidelity to draw; "
            "name std or logvar in students.uncertainty of the config."
        )
    targets = targets_of(drawn)
    by_ddof = any(measure.by_ddof for measure in measures)
    with mpl.rc_context(RC):
        figure, axes = target_panels(targets, len(measures))
        for panels, measure in zip(axes, measures, strict=True):
            for axis, target in zip(panels, targets, strict=True):
                panel = measure.of(drawn[drawn["target"] == target])
                for name in series_in(panel):
                    own = panel[panel["series"] == name]
                    if own["size"].isna().all():
                        draw_reference(axis, own, name)
                    elif measure.by_ddof:
                        for ddof, line in DDOF_LINES.items():
                            part = own[own["ddof"] == ddof]
                            draw_curve(axis, part, along, name, line=line, hollow=ddof == 1)
                    else:
                        draw_curve(axis, own, along, name, line="-" if by_ddof else None)
                if measure.power and axis.get_ylim()[0] < 0:
                    axis.set_ylim(bottom=0)  # an interval of few models may reach below
                tick_points(figure, axis, {getattr(arm, along) for arm in arms})
                if is_leftmost(axis):
                    axis.set_ylabel(measure.axis_label(units))
        for axis in axes[-1]:
            axis.set_xlabel(AXES[along])
        first = arms[0]
        if along == "proportion":
            figure.suptitle(describe(first.augmentation, size=first.size))
        else:
            figure.suptitle(describe(first.augmentation, proportion=first.proportion))
        add_legend(figure, _handles(drawn, by_ddof))
    return figure


def _slice_rows(rows: pd.DataFrame, arms: list[Arm], along: Axis) -> pd.DataFrame:
    """Rows of the arms; against size, what does not depend on it (teachers) once, with none."""
    drawn = of_arms(rows, arms)
    if along == "proportion":
        return drawn
    pool = rows[rows["size"].isna() & (rows["augmentation"] == arms[0].augmentation)]
    pool = pool[pool["proportion"] == arms[0].proportion]
    return pd.concat([pool, drawn[~drawn["series"].isin(pool["series"])]], ignore_index=True)


def _handles(drawn: pd.DataFrame, by_ddof: bool) -> list[Line2D]:
    """Entries of the legend. Where lines tell ddof, colours and marks alone tell series."""
    if not by_ddof:
        return [
            series_handle(
                drawn,
                name,
                line=look(name).line,
                marker=bool(drawn.loc[drawn["series"] == name, "size"].notna().all()),
            )
            for name in series_in(drawn)
        ]
    series = [
        style_handle("ensemble", name) if name == "ensemble" else series_handle(drawn, name)
        for name in series_in(drawn)
    ]
    lines = [
        style_handle(f"std with ddof {ddof}", "ensemble", line=line, marker=False)
        for ddof, line in DDOF_LINES.items()
    ]
    return series + lines
