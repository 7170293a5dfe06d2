"""How figures of a study look: legible at column width, safe for colour-blind readers."""

from __future__ import annotations

import os
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.typing import LineStyleType

from degu.io.files import atomic_path

COLUMN_WIDTH = 3.5
PAGE_WIDTH = 7.0
"""Widths of a figure in inches; text is legible as it prints, without scaling."""

# In the order of the shift's size, dark to light; one colour map, so that the order is seen.
SHIFTS: dict[str, tuple[str, LineStyleType]] = {
    "none": ("#440154", "-"),
    "small": ("#3B528B", "--"),
    "moderate": ("#21918C", "-."),
    "dinucleotide": ("#5EC962", (0, (4, 1, 1, 1, 1, 1))),
    "large": ("#D9A400", ":"),
}
"""Sets of sequences: the test sequences, then shifts by size; their colours and lines."""

RC: dict[Any, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 9,
    "figure.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "savefig.dpi": 200,
    # Editable text in the PDF.
    "pdf.fonttype": 42,
}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, without a window or global state."""
    return Figure(figsize=(width, height), layout="constrained")


def literal(text: str) -> str:
    """Text from a user (a target, units) as Matplotlib shows it unchanged: $ starts no formula."""
    return text.replace("$", r"\$")


def with_units(name: str, units: str, power: int = 1) -> str:
    """An axis label of two lines, the units on the second: ``MSE``, ``(log2 enrichment)²``."""
    return f"{name}\n({literal(units)}){'²' if power == 2 else ''}"


def save_figure(figure: Figure, *paths: str | os.PathLike[str]) -> None:
    """Save a figure to each path, in the format of its suffix, the same bytes at every run.

    The layout is settled at the first save; a figure is complete when it is saved.
    """
    with mpl.rc_context(RC):
        # A second pass over a constrained layout moves it by a little.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for path in paths:
            with atomic_path(path) as temporary:
                suffix = temporary.suffix.lstrip(".")
                # A time stamp would make equal figures differ.
                metadata = {"CreationDate": None} if suffix == "pdf" else {"Software": None}
                figure.savefig(temporary, format=suffix, metadata=metadata)
