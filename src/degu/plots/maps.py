"""What figures of attribution share: names of methods and measures, and the arm that is shown."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from degu.attribution.methods import find, in_order
from degu.errors import InputError
from degu.plots.series import series_name
from degu.plots.style import literal
from degu.plots.tables import arms_of, describe, of_arms, preferred

MEASURES = {
    "RMSE_to_ensemble": "RMSE to ensemble",
    "Std": "std across models",
    "Cosine": "cosine between models",
}
"""What tells how alike maps are, and its name in a figure."""


def short_label(method: str) -> str:
    """A method as labels of rows name it, in as many lines as it needs.

    Raises:
        InputError: for a method that is not registered.
    """
    return find(method).label


def method_name(method: str) -> str:
    """A method as titles name it."""
    return find(method).title


def method_label(method: str, units: str) -> str:
    """A method as the label of an axis, with the units of its maps."""
    label = method_name(method)
    return f"{label}\n({literal(units)})" if units else label


def methods_in(names: Iterable[str]) -> list[str]:
    """Methods in the order in which they are drawn, each once.

    Raises:
        InputError: for one that is not registered.
    """
    return in_order(names)


def of_one_arm(rows: pd.DataFrame, what: str) -> tuple[pd.DataFrame, str]:
    """Rows of one arm, and which it is.

    Raises:
        InputError: if there is none.
    """
    arms = arms_of(rows)
    if not arms:
        raise InputError(
            f"The summary has no {what}, so there is nothing to draw; run the workflow's target "
            "rule attribution."
        )
    arm = preferred(arms)
    title = describe(arm.augmentation, proportion=arm.proportion, size=arm.size)
    return of_arms(rows, [arm]), title


def top_of_one_arm(rows: pd.DataFrame, what: str) -> tuple[pd.DataFrame, str]:
    """Rows of one arm about the most active sequences, and what they are about."""
    drawn, title = of_one_arm(rows[rows["selection"].str.startswith("top")], what)
    number = int(drawn["selection"].iloc[0].removeprefix("top"))
    sequences = f"the {number:,} most active test sequences" if number > 1 else "one test sequence"
    return drawn, f"{title}: {sequences}"


def series_of(group: str) -> str:
    """The series of a group of models in the file of an arm's maps, such as ``students-std``."""
    role, _, uncertainty = group.partition("-")
    return series_name(role.removesuffix("s"), uncertainty)
