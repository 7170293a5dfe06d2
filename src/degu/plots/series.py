"""The registry of series: how each kind of model looks in every figure.

A kind of model adds its look in one line, ``register("mc_dropout", "MC dropout")``. What is not
registered is an error when a figure is drawn, never a series that is missing from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from degu.errors import InputError

if TYPE_CHECKING:
    from matplotlib.typing import LineStyleType

T = TypeVar("T")

# Okabe & Ito's palette (2008), told apart with every common form of colour blindness; grey and
# black are taken by name, and yellow, the faintest on white, is the last to be given away.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442")
_MARKERS = ("s", "^", "v", "P", "X", "p", "h", "<", ">", "*", "d")
_LINES: tuple[LineStyleType, ...] = ("-", "-.", "--", ":", (0, (4, 1, 1, 1, 1, 1)), (0, (6, 2)))


@dataclass(frozen=True)
class Look:
    """How a series is drawn, and its name in legends."""

    label: str
    color: str
    marker: str
    line: LineStyleType


SERIES: dict[str, Look] = {}
"""Registered series, in the order in which they are drawn; see :func:`series_name`."""


def series_name(role: str, uncertainty: str = "") -> str:
    """The series of a table's row: ``teacher``, ``ensemble``, ``student std``, ..."""
    return f"{role} {uncertainty}".strip()


def judged_series(role: str, uncertainty: str = "", variant: str = "") -> str:
    """The series of a row about uncertainty, where variants of Monte-Carlo dropout are told apart.

    Its first variant, of teachers as they are, has the series of the role.
    """
    return series_name(role, f"{uncertainty} {'' if variant == 'precise' else variant}".strip())


def register(
    role: str,
    label: str,
    *,
    uncertainty: str = "",
    color: str | None = None,
    marker: str | None = None,
    line: LineStyleType | None = None,
) -> None:
    """Give the models of a role, and of a kind of uncertainty if it has several, their look.

    What is None is the next one that no other series has. Nothing is changed for a series that is
    there with this label already.

    Args:
        role, uncertainty: as in ``summary.csv``.
        label: name in legends.

    Raises:
        ValueError: if the series has another label, or another series this one.
    """
    name = series_name(role, uncertainty)
    if name in SERIES and SERIES[name].label == label:
        return
    if name in SERIES or label in {look.label for look in SERIES.values()}:
        raise ValueError(f"The series {name!r} or its label {label!r} is registered already.")
    taken = SERIES.values()
    SERIES[name] = Look(
        label,
        color or _next(_COLORS, [look.color for look in taken]),
        marker or _next(_MARKERS, [look.marker for look in taken]),
        _next(_LINES, [look.line for look in taken]) if line is None else line,
    )


def _next(choices: tuple[T, ...], taken: list[T]) -> T:
    free = [choice for choice in choices if choice not in taken]
    return free[0] if free else choices[len(taken) % len(choices)]


register("teacher", "single teacher", color="#999999", marker="o", line="--")
register("ensemble", "ensemble mean", color="#000000", marker="D", line="-")
register("student", "student (std)", uncertainty="std", color="#0072B2", marker="s", line="-")
register(
    "student",
    "student (log variance)",
    uncertainty="logvar",
    color="#D55E00",
    marker="^",
    line="-.",
)
register("std_of_mean", "std by the mean alone", color="#E69F00", marker="x", line=":")

BUILT_IN = frozenset(SERIES)
"""Series that every process knows; of others each job is told."""


def look(series: str) -> Look:
    """How a series is drawn.

    Raises:
        InputError: if it is not registered.
    """
    if series not in SERIES:
        raise InputError(
            f"There are models of {series!r} in the table, which no figure knows how to draw "
            f"(it knows {', '.join(SERIES)}); give them a look with degu.plots.series.register."
        )
    return SERIES[series]


def in_order(names: Iterable[str]) -> list[str]:
    """Series in the order in which they are drawn, each once.

    Raises:
        InputError: for one that is not registered.
    """
    present = dict.fromkeys(names)
    for name in present:
        look(name)
    return [series for series in SERIES if series in present]
