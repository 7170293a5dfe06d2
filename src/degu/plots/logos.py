"""Attribution maps of single sequences as logos: a letter is as high as its base matters."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from logomaker import Glyph
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from degu.attribution.motifs import Mark
from degu.plots.series import SERIES
from degu.plots.style import PAGE_WIDTH, RC, literal, new_figure
from degu.sequences import ALPHABET

BASE_COLORS = {"A": "#009E73", "C": "#0849AE", "G": "#E69F00", "T": "#A50F15"}
"""The field's green, blue, orange and red, in shades that are told apart with every common form of
colour blindness."""
_SHADE = "#E4E4EC"

WINDOW = 80
"""Positions that are legible side by side on a page."""

# Inches.
_LEFT, _RIGHT = 1.5, 0.08
_TITLE, _SEQUENCE, _MARK = 0.3, 0.15, 0.13
_ROW, _GAP, _TICKS, _XLABEL = 0.46, 0.07, 0.3, 0.06
_LETTER = 0.055  # of a motif's name


def plot_logos(
    x: np.ndarray,
    maps: Mapping[str, np.ndarray],
    *,
    names: Sequence[str],
    measured: np.ndarray | None = None,
    predictions: Mapping[str, np.ndarray] | None = None,
    marks: Sequence[Sequence[Mark]] | None = None,
    windows_by: str | None = None,
    window: int = WINDOW,
    units: str = "",
    title: str = "",
) -> Figure:
    """Logos of several sequences below each other, each with a row for every model.

    A letter is as high as the importance of its position, and stands on its head where that is
    negative. The rows of a sequence have one scale. Of a long sequence the window is drawn where
    importance adds up to most; positions count from 1. Marked stretches are shaded in all rows and
    named above them.

    Args:
        x: (n, L, 4) one-hot; an unknown base has no letter.
        maps: for each row (a series of :mod:`degu.plots.series` or a name of one's own) the
            importance (n, L), units of the head; see :func:`degu.attribution.maps.importance`.
        names: of the n sequences.
        measured: (n,) activities, if they are known.
        predictions: of some rows (n,), written beside their logos.
        marks: of each sequence, see :func:`degu.attribution.motifs.marks`.
        windows_by: the row by whose map windows are chosen; None takes the mean of all rows.
        window: most positions of a sequence.
        units: units of the assay.
        title: which target, method and arm.

    Raises:
        ValueError: if there is no sequence or row, shapes do not fit, or a map is not finite.
    """
    x = np.asarray(x)
    predictions = predictions or {}
    _check(x, maps, names, measured, predictions, marks)
    chosen = np.mean([*maps.values()], axis=0) if windows_by is None else maps[windows_by]
    windows = [strongest_window(own, window) for own in chosen]
    shown = [
        _visible(own, *limits) for own, limits in zip(marks or [()] * len(x), windows, strict=True)
    ]
    width = PAGE_WIDTH - _LEFT - _RIGHT
    levels = [_levels(own, *limits, width) for own, limits in zip(shown, windows, strict=True)]
    heads = [_SEQUENCE + _MARK * (1 + max(own, default=-1)) for own in levels]
    block = len(maps) * _ROW + _TICKS
    above = _TITLE if title else 0.05
    height = above + sum(heads) + len(x) * block + _XLABEL

    with mpl.rc_context(RC):
        figure = new_figure(PAGE_WIDTH, height)
        # Places are given in inches: a layout that finds them takes long with so many panels.
        figure.set_layout_engine("none")
        top = height - above
        for i, (start, stop) in enumerate(windows):
            where = f", positions {start + 1} to {stop} of {x.shape[1]}"
            figure.text(
                _LEFT / PAGE_WIDTH,
                (top - 0.04) / height,
                literal(names[i])
                + ("" if measured is None else f", measured {measured[i]:.2f}")
                + (where if stop - start < x.shape[1] else ""),
                va="top",
            )
            top -= heads[i]
            limits = _limits([own[i, start:stop] for own in maps.values()])
            for row, (name, own) in enumerate(maps.items()):
                bottom = top - (row + 1) * _ROW
                box = (_LEFT / PAGE_WIDTH, bottom / height, width / PAGE_WIDTH)
                axis = figure.add_axes((*box, (_ROW - _GAP) / height))
                draw_logo(axis, x[i], own[i], start, stop)
                _style_row(axis, limits, last=row == len(maps) - 1)
                for mark in shown[i]:
                    left, right = max(start, mark.start), min(stop, mark.stop)
                    axis.axvspan(left + 0.5, right + 0.5, color=_SHADE, linewidth=0, zorder=-2)
                _label_row(axis, name, predictions[name][i] if name in predictions else None)
                if row == 0:
                    _name_marks(axis, shown[i], levels[i], start, stop)
            top -= block
        axis.set_xlabel("position", labelpad=2)
        if title:
            figure.suptitle(literal(title), y=1 - 0.08 / height, va="top")
        label = f"importance ({literal(units)})" if units else "importance"
        label = textwrap.fill(label, max(12, int(height / 0.075)))
        figure.text(0.01, 0.5, label, rotation=90, va="center", ha="left", multialignment="center")
    return figure


def draw_logo(
    axis: Axes, x: np.ndarray, importance: np.ndarray, start: int = 0, stop: int | None = None
) -> None:
    """The letters of one sequence, as high as their importance, at positions counted from 1.

    Args:
        axis: where to draw.
        x: (L, 4) one-hot.
        importance: (L,).
        start, stop: the stretch to draw, from ``start`` (counted from 0) to before ``stop``.
    """
    stop = len(x) if stop is None else stop
    for position in range(start, stop):
        height = float(importance[position])
        if height == 0 or not x[position].any():
            continue
        base = ALPHABET[int(x[position].argmax())]
        Glyph(
            position + 1,
            base,
            floor=min(0.0, height),
            ceiling=max(0.0, height),
            flip=height < 0,
            color=BASE_COLORS[base],
            font_weight="bold",
            width=0.94,
            ax=axis,
        )
    axis.axhline(0, color="0.4", linewidth=0.4, zorder=-1)
    axis.set_xlim(start + 0.5, stop + 0.5)


def strongest_window(importance: np.ndarray, width: int) -> tuple[int, int]:
    """Where the size of importance (L,) adds up to most over ``width`` positions.

    Returns:
        Start (counted from 0) and stop; the first of several, and all of a shorter sequence.
    """
    length = len(importance)
    if length <= width:
        return 0, length
    sums = np.lib.stride_tricks.sliding_window_view(np.abs(importance), width).sum(axis=1)
    start = int(sums.argmax())
    return start, start + width


def _check(
    x: np.ndarray,
    maps: Mapping[str, np.ndarray],
    names: Sequence[str],
    measured: np.ndarray | None,
    predictions: Mapping[str, np.ndarray],
    marks: Sequence[Sequence[Mark]] | None,
) -> None:
    if x.ndim != 3 or len(x) == 0 or not maps:
        raise ValueError(f"Logos need sequences (n, L, 4) and maps, but got {x.shape}, {[*maps]}.")
    for name, own in maps.items():
        if np.shape(own) != x.shape[:2] or not np.isfinite(own).all():
            raise ValueError(f"The map {name} is not of shape {x.shape[:2]} with finite numbers.")
    given = [names, *predictions.values(), *(own for own in (measured, marks) if own is not None)]
    if set(map(len, given)) != {len(x)}:
        raise ValueError(f"Names, activities, predictions and marks are not all of {len(x)}.")


def _limits(stretches: Sequence[np.ndarray]) -> tuple[float, float]:
    """One scale for all rows of a sequence, with 0 in it."""
    low = min(0.0, *(float(own.min()) for own in stretches))
    high = max(0.0, *(float(own.max()) for own in stretches))
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _style_row(axis: Axes, limits: tuple[float, float], *, last: bool) -> None:
    axis.set_ylim(limits)
    axis.yaxis.set_major_locator(MaxNLocator(nbins=2, min_n_ticks=2))
    axis.tick_params(axis="y", labelsize=6, length=2, pad=1.5)
    axis.spines["bottom"].set_visible(last)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))
    axis.tick_params(axis="x", bottom=last, labelbottom=last, length=2, pad=1.5)


def _label_row(axis: Axes, name: str, predicted: float | None) -> None:
    lines = textwrap.wrap(SERIES[name].label if name in SERIES else name, 16)
    if predicted is not None:
        lines.append(f"predicts {predicted:.2f}".replace("-", "−"))
    axis.annotate(
        literal("\n".join(lines)),
        (0, 0.5),
        xytext=(-27, 0),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=6.5,
        linespacing=1.1,
    )


def _visible(marks: Sequence[Mark], start: int, stop: int) -> list[Mark]:
    return [mark for mark in marks if mark.start < stop and mark.stop > start]


def _span(mark: Mark, start: int, stop: int, width: float) -> tuple[float, float]:
    """Where a mark's name goes, as (left, right) in letters of a window on ``width`` inches."""
    per_inch = (stop - start) / width
    half = len(mark.name) * _LETTER * per_inch / 2
    centre = (max(start, mark.start) + min(stop, mark.stop)) / 2
    # Names stay between the ends of the row as far as they can.
    centre = min(max(centre, start + half), max(stop - half, start + half))
    return centre - half, centre + half


def _levels(marks: Sequence[Mark], start: int, stop: int, width: float) -> list[int]:
    """The line of each mark's name, so that none is written over another; 0 is the lowest."""
    ends: list[float] = []
    levels = []
    for mark in marks:
        left, right = _span(mark, start, stop, width)
        level = next((i for i, end in enumerate(ends) if left >= end), len(ends))
        ends[level : level + 1] = [right + 0.5]
        levels.append(level)
    return levels


def _name_marks(
    axis: Axes, marks: Sequence[Mark], levels: Sequence[int], start: int, stop: int
) -> None:
    width = PAGE_WIDTH - _LEFT - _RIGHT
    for mark, level in zip(marks, levels, strict=True):
        left, right = _span(mark, start, stop, width)
        axis.annotate(
            literal(mark.name),
            ((left + right) / 2 + 0.5, 1),
            xytext=(0, 1 + 72 * _MARK * level),
            xycoords=blended_transform_factory(axis.transData, axis.transAxes),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=6.5,
        )
