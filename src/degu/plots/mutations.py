"""The effect of every substitution in one sequence as a heat map, with its std below."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from degu.plots.style import PAGE_WIDTH, RC, literal, new_figure
from degu.sequences import ALPHABET

LETTERS = 100
"""Positions of a page whose bases are legible as letters."""

# Inches.
_ROW, _LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 0.72, 0.75, 0.85, 0.32, 0.5, 0.16
_POSITION, _WIDEST = 0.03, 40.0
_UNKNOWN = "0.88"


def plot_scan(
    codes: np.ndarray,
    effect: np.ndarray,
    std: np.ndarray | None,
    targets: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Effects of substitutions in one sequence: positions by bases, a panel for each target.

    Blue lowers the prediction, red raises it; the scale of a target is symmetric about 0. A dot is
    the base that is there, and grey is what was not predicted. Positions count from 1.

    Args:
        codes: (L,) index in ACGTN.
        effect: (L, 4, T), units of the targets; NaN at the base that is there.
        std: (L, 4, T) of the effects; None where there is none, and then no panel of it.
        targets: T names.
        title: which sequence.
    """
    length = len(codes)
    kinds = [("effect", effect)] + ([("std", std)] if std is not None else [])
    panels = len(kinds) * len(targets)
    width = min(_WIDEST, max(PAGE_WIDTH, _POSITION * length + _LEFT + _RIGHT))
    height = _TOP + _BOTTOM + panels * _ROW + (panels - 1) * _GAP
    with mpl.rc_context(RC):
        figure = new_figure(width, height)
        # Places are given in inches, so that panels of all pictures are alike.
        figure.set_layout_engine("none")
        span = width - _LEFT - _RIGHT
        top = height - _TOP
        axis = None
        for t, target in enumerate(targets):
            for kind, values in kinds:
                bottom = top - _ROW
                box = (_LEFT / width, bottom / height, span / width, _ROW / height)
                axis = figure.add_axes(box)
                bar = figure.add_axes(
                    ((_LEFT + span + 0.08) / width, bottom / height, 0.09 / width, _ROW / height)
                )
                _heat_map(axis, bar, codes, np.asarray(values)[..., t], signed=kind == "effect")
                axis.set_ylabel(f"{literal(target)}\n{kind}", fontsize=7)
                axis.tick_params(labelbottom=False)
                top = bottom - _GAP
        assert axis is not None
        axis.tick_params(labelbottom=True)
        axis.set_xlabel("position")
        if length <= LETTERS:
            _letters(axis, codes)
        if title:
            figure.suptitle(literal(title), y=1 - 0.08 / height, va="top")
    return figure


def _heat_map(axis: Axes, bar: Axes, codes: np.ndarray, values: np.ndarray, signed: bool) -> None:
    """One panel: values (L, 4) as colours, and their scale."""
    length = len(codes)
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    colors = mpl.colormaps["RdBu_r" if signed else "Purples"].with_extremes(bad=_UNKNOWN)
    asked = (codes < 4) & np.isfinite(values).any(axis=1)
    shown = np.where(np.eye(5, 4, dtype=bool)[codes] & asked[:, None], 0, values)
    image = axis.imshow(
        np.ma.masked_invalid(shown.T),
        aspect="auto",
        interpolation="nearest",
        cmap=colors,
        norm=Normalize(-largest if signed else 0, largest),
        extent=(0.5, length + 0.5, 3.5, -0.5),
    )
    there = np.flatnonzero(asked)
    axis.scatter(there + 1, codes[there], s=2.5, color="black", linewidths=0)
    axis.set_yticks(range(4), list(ALPHABET))
    axis.tick_params(axis="y", length=0, labelsize=6)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    axis.tick_params(axis="x", length=2)
    for side in ("top", "right"):
        axis.spines[side].set_visible(True)
    axis.figure.colorbar(image, cax=bar)
    bar.yaxis.set_major_locator(MaxNLocator(nbins=3))
    bar.tick_params(labelsize=6, length=2)


def _letters(axis: Axes, codes: np.ndarray) -> None:
    """The sequence below the lowest panel, above the numbers of its positions."""
    for place, code in enumerate(codes):
        axis.annotate(
            (ALPHABET + "N")[code],
            (place + 1, 0),
            xycoords=axis.get_xaxis_transform(),
            xytext=(0, -7),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=5.5,
        )
    axis.tick_params(axis="x", pad=9)
