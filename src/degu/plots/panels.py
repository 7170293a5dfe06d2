"""Panels of a figure, and how models, means and intervals are drawn in one."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from degu.errors import InputError
from degu.plots.series import in_order, look
from degu.plots.style import COLUMN_WIDTH, PAGE_WIDTH, SHIFTS, literal, new_figure
from degu.plots.tables import mean_interval

HEADS = {"mean": "test {metric}\nof activity", "std": "test {metric}\nof ensemble std"}
"""Heads of models that are scored in panels of their own, and the label of such a panel."""

_DIGIT = 0.062  # inches, of a tick label's 7 points


def target_panels(
    targets: Sequence[str], rows: int, *, row_height: float = 1.55, columns: int = 3
) -> tuple[Figure, np.ndarray]:
    """A figure with a column of panels for each target.

    What does not fit side by side continues below, so that the figure grows in height only.

    Args:
        targets: titles of the columns.
        rows: panels of each target.
        row_height: height of a panel in inches.
        columns: most targets side by side.

    Returns:
        The figure and its axes (rows, len(targets)).
    """
    figure, axes = _blocks(targets, rows, 1, row_height, columns)
    for panel in axes[:-1].flat:
        panel.tick_params(labelbottom=False)
    for panel in axes.flat:
        panel.grid(axis="y", color="0.9", linewidth=0.6)
        panel.set_axisbelow(True)
    return figure, axes[:, :, 0]


def row_panels(
    targets: Sequence[str], panels: int, labels: Sequence[str], *, row_height: float
) -> tuple[Figure, np.ndarray]:
    """A figure with labelled rows, which all its panels share; more rows make it higher.

    Args:
        targets: titles of the panels.
        panels: panels of each target, side by side.
        labels: names of the rows, which lie at 0, 1, ... from the top.
        row_height: height of a row in inches.

    Returns:
        The figure and its axes (len(targets), panels).
    """
    height = max(1.1, row_height * len(labels)) + 0.65
    figure, axes = _blocks(targets, 1, panels, height, columns=4 // panels)
    for panel in axes.flat:
        panel.set_ylim(len(labels) - 0.5, -0.5)
        first = panel.get_subplotspec().is_first_col()
        panel.set_yticks(range(len(labels)), labels if first else [""] * len(labels))
        panel.tick_params(axis="y", length=0)
        for row in range(0, len(labels) if len(labels) > 1 else 0, 2):
            panel.axhspan(row - 0.5, row + 0.5, color="0.95", linewidth=0, zorder=0)
        panel.locator_params(axis="x", nbins=3)
    return figure, axes[0]


def measure_panels(
    targets: Sequence[str],
    rows: int,
    measures: Sequence[str],
    *,
    row_height: float = 1.5,
) -> tuple[Figure, np.ndarray]:
    """A figure with a panel for each measure of each target and row; it grows in height only.

    Args:
        targets: they are side by side as far as there is room for four panels, then below.
        rows: rows of panels of each target.
        measures: names of a target's panels, in the title below that of the target.
        row_height: height of a panel in inches.

    Returns:
        The figure and its axes (rows, len(targets), len(measures)).
    """
    columns = max(1, 4 // len(measures))
    figure, axes = _blocks(targets, rows, len(measures), row_height, columns)
    for panels in axes[0]:
        for panel, measure in zip(panels, measures, strict=True):
            panel.set_title(f"{panel.get_title()}\n{measure}", fontsize=8)
    return figure, axes


def _blocks(
    targets: Sequence[str], rows: int, panels: int, row_height: float, columns: int
) -> tuple[Figure, np.ndarray]:
    """Axes (rows, len(targets), panels) in as few blocks of side-by-side targets as fit."""
    blocks = math.ceil(len(targets) / columns)
    columns = math.ceil(len(targets) / blocks)
    width = COLUMN_WIDTH if columns == 1 and panels < 3 else PAGE_WIDTH
    figure = new_figure(width, blocks * rows * row_height + 0.9)
    grid = figure.subplots(blocks * rows, columns * panels, squeeze=False)
    axes = np.empty((rows, blocks * columns, panels), dtype=object)
    for row, column in np.ndindex(grid.shape):
        block, place = row // rows, column // panels
        axes[row % rows, block * columns + place, column % panels] = grid[row, column]
    for unused in axes[:, len(targets) :].flat:
        unused.remove()
    axes = axes[:, : len(targets)]
    per_line = int(width / (columns * panels) / 0.085)
    for title, panel in zip(np.repeat(targets, panels), axes[0].flat, strict=True):
        panel.set_title(literal(textwrap.fill(str(title), per_line)))
    return figure, axes


def is_leftmost(axis: Axes) -> bool:
    """Whether the panel is the first of its row, which carries the label of the row."""
    specification = axis.get_subplotspec()
    return specification is not None and specification.is_first_col()


def tick_points(figure: Figure, axis: Axes, points: Iterable[float]) -> None:
    """Ticks at the points of a sweep, labels at as many as fit beside each other."""
    values = np.array(sorted(points))
    places = values
    if values[-1] > 20 * values[0]:
        axis.set_xscale("log")
        axis.minorticks_off()
        places = np.log(values)
    grid = axis.get_gridspec()
    columns = 1 if grid is None else grid.ncols
    # Of the data: the layout is not known yet, but leaves about this much to a panel.
    width = 0.9 * (figure.get_size_inches()[0] / columns - 0.65)
    inches = (places - places[0]) / (places[-1] - places[0]) * width
    names = [f"{value:g}" for value in values]
    digits = [len(name) - 0.5 * name.count(".") for name in names]
    shown: list[int] = []
    for i in (0, len(values) - 1, *range(1, len(values) - 1)):
        room = [abs(inches[i] - inches[j]) for j in shown]
        need = [_DIGIT * ((digits[i] + digits[j]) / 2 + 0.6) for j in shown]
        if all(a >= b for a, b in zip(room, need, strict=True)):
            shown.append(i)
    axis.set_xticks(values, [name if i in shown else "" for i, name in enumerate(names)])


def draw_curve(
    axis: Axes,
    rows: pd.DataFrame,
    along: str,
    series: str,
    *,
    line: LineStyleType | None = None,
    hollow: bool = False,
    band: bool = True,
) -> None:
    """Means of ``value`` at each point of ``along``, and the band of their 95% t-intervals.

    A point with a single model has no band.
    """
    if rows.empty:
        return
    points, groups = zip(*rows.groupby(along)["value"], strict=True)
    means, low, high = np.transpose([mean_interval(group.to_numpy()) for group in groups])
    own = look(series)
    color = own.color
    axis.plot(
        points,
        means,
        marker=own.marker,
        linestyle=own.line if line is None else line,
        color=color,
        markerfacecolor="white" if hollow else color,
        markersize=3.5,
        linewidth=1.2,
        markeredgewidth=0.9,
    )
    if band and np.isfinite(low).any():
        axis.fill_between(points, low, high, color=color, alpha=0.2, linewidth=0)


def draw_reference(axis: Axes, rows: pd.DataFrame, series: str) -> None:
    """The mean of models that do not depend on the horizontal axis, with its 95% t-interval."""
    if rows.empty:
        return
    mean, low, high = mean_interval(rows["value"].to_numpy())
    color = look(series).color
    axis.axhline(mean, color=color, linestyle=look(series).line, linewidth=1.2)
    if np.isfinite(low):
        axis.axhspan(low, high, color=color, alpha=0.2, linewidth=0)


def draw_models(
    axis: Axes,
    position: float,
    rows: pd.DataFrame,
    series: str,
    *,
    horizontal: bool = False,
    hollow: bool = False,
    apart: float = 0.0,
) -> None:
    """A small mark for each model, a large one for their mean, a bar for its 95% t-interval.

    Args:
        position: place on the axis of categories.
        horizontal: values lie along x rather than y.
        apart: how far before the large mark the small ones are, which it may hide otherwise.
    """
    if rows.empty:
        return
    values = rows["value"].to_numpy()
    mean, low, _ = mean_interval(values)
    color, marker = look(series).color, look(series).marker
    face = "white" if hollow else color

    def place(values, position=position):
        at = np.full(len(values), position)
        return (values, at) if horizontal else (at, values)

    if len(values) > 1:
        axis.plot(
            *place(values, position - apart),
            marker,
            color=color,
            markerfacecolor="none" if hollow else color,
            markersize=2,
            markeredgewidth=0.4,
            alpha=0.45,
        )
    x, y = place(np.array([mean]))
    error = mean - low if np.isfinite(low) else None
    axis.errorbar(
        x,
        y,
        xerr=error if horizontal else None,
        yerr=None if horizontal else error,
        fmt=marker,
        color=color,
        markerfacecolor=face,
        markersize=4,
        markeredgewidth=0.9,
        capsize=2,
        elinewidth=1,
    )


def draw_box(axis: Axes, position: float, values: np.ndarray, series: str, width: float) -> None:
    """Quartiles of models as a box, whiskers to the extremes, and a mark for every model.

    Args:
        position: place on the horizontal axis.
        width: of the box, in its units.
    """
    color = look(series).color
    line = {"color": color, "linewidth": 0.9}
    axis.boxplot(
        values,
        positions=[position],
        widths=width,
        # To the extremes: every model is drawn.
        whis=(0, 100),
        showfliers=False,
        manage_ticks=False,
        patch_artist=True,
        boxprops={"facecolor": "white", "edgecolor": color, "linewidth": 0.9},
        medianprops={**line, "linewidth": 1.6},
        whiskerprops=line,
        capprops=line,
    )
    axis.plot(
        # Fixed offsets rather than random ones: the same figure at every run.
        position + np.linspace(-0.25, 0.25, len(values)) * width,
        values,
        look(series).marker,
        color=color,
        markersize=2.5,
        markeredgewidth=0,
        alpha=0.6,
        zorder=3,
    )


def series_in(rows: pd.DataFrame) -> list[str]:
    """Series that the rows have, in the order in which they are drawn.

    Raises:
        InputError: for one that is not registered; see :mod:`degu.plots.series`.
    """
    return in_order(rows["series"])


def shifts_in(names: Iterable[str]) -> list[str]:
    """Sets of shifted sequences by the size of the shift, each once.

    Raises:
        InputError: for one that is not of :data:`degu.plots.style.SHIFTS`.
    """
    present = dict.fromkeys(names)
    for name in present:
        if name not in SHIFTS:
            raise InputError(f"The shift {name} is not one of {', '.join(SHIFTS)}.")
    return [name for name in SHIFTS if name in present]


def series_handle(
    rows: pd.DataFrame, series: str, *, line: LineStyleType = "", marker: bool = True
) -> Line2D:
    """Legend entry of a series, with the number of models behind each of its points.

    Args:
        rows: what is drawn, so that the models of any series, target and arm can be counted.
        line: line style; empty for marks alone.
    """
    own = rows[rows["series"] == series]
    point = ["augmentation", "proportion", "size", "variant", "shift", "method", "target"]
    point = [column for column in point if column in own.columns]
    counts = own.groupby(point, dropna=False)["member"].nunique()
    label = look(series).label
    if own["member"].notna().any():  # neither an ensemble nor a reference
        low, high = counts.min(), counts.max()
        models = f"{low}" if low == high else f"{low}–{high}"
        label += f", {models} {'model' if high == 1 else 'models'}"
    return style_handle(label, series, line=line, marker=marker)


def style_handle(
    label: str, series: str, *, line: LineStyleType = "", marker: bool = True, hollow: bool = False
) -> Line2D:
    """Legend entry of a mark or line style."""
    color = look(series).color
    return Line2D(
        [],
        [],
        color=color,
        marker=look(series).marker if marker else "",
        linestyle=line,
        markersize=4,
        markerfacecolor="white" if hollow else color,
        markeredgewidth=0.9,
        linewidth=1.2,
        label=label,
    )


def add_title(figure: Figure, text: str) -> None:
    """A title above all panels, in as many lines as it needs."""
    figure.suptitle(literal(textwrap.fill(text, int(figure.get_size_inches()[0] / 0.068))))


def add_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """One legend for all panels, below them, and the labels of rows in line."""
    narrow = figure.get_size_inches()[0] < PAGE_WIDTH
    # Four in a line of three would leave one alone.
    columns = 1 if narrow else 2 if len(handles) == 4 else 3
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=columns, handlelength=2.6
    )
    figure.align_ylabels()
