"""What figures about uncertainty have in common: their tables, and curves of kinds of models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from degu.calibration.tables import CURVE_COLUMNS, DIFFERENCE_COLUMNS, ROW_COLUMNS
from degu.errors import InputError
from degu.io.summary import tidy_rows
from degu.plots.inputs import Inputs
from degu.plots.series import in_order, judged_series, look
from degu.sweep import Arm

_TEXTS = ("role", "augmentation", "variant", "uncertainty", "target", "variance", "recalibration")


def read_scores(given: Inputs) -> pd.DataFrame:
    """Rows of ``uncertainty_summary.csv`` of the figure's arm, with their ``series``."""
    rows = tidy_rows(given.files["summary"], ROW_COLUMNS)
    return _of_arm(rows, given.arm, ("metric", "shift", "head"))


def read_curves(given: Inputs) -> pd.DataFrame:
    """Points of ``uncertainty_curves.csv`` of the figure's arm, with their ``series``."""
    return _of_arm(_read(given.files["curves"], CURVE_COLUMNS), given.arm, ("curve",))


def read_differences(given: Inputs) -> pd.DataFrame:
    """Rows of ``uncertainty_differences.csv`` of the figure's arm, with their ``series``."""
    rows = _read(given.files["differences"], DIFFERENCE_COLUMNS)
    return _of_arm(rows, given.arm, ("metric",))


def _read(path: Any, columns: Sequence[str]) -> pd.DataFrame:
    rows = pd.read_csv(path, dtype={"target": str}, keep_default_na=False, na_values=[""])
    if tuple(rows.columns) != tuple(columns):
        raise InputError(f"{path} has other columns than it should; delete it and run again.")
    return rows


def _of_arm(rows: pd.DataFrame, arm: Arm | None, texts: Sequence[str]) -> pd.DataFrame:
    """Rows of an arm, and of what all arms of its pool share; blank texts are empty."""
    assert arm is not None
    names = [*_TEXTS, *texts]
    texts_ = rows[names].astype(object).where(rows[names].notna(), "").astype(str)
    rows = rows.assign(**{name: texts_[name] for name in names})
    pool = (rows["augmentation"] == arm.augmentation) & (rows["proportion"] == arm.proportion)
    rows = rows[pool & (rows["size"].isna() | (rows["size"] == arm.size))]
    # Students with dynamic augmentation have a figure of their own.
    rows = rows[(rows["role"] != "student") | (rows["variant"] == "")]
    who = rows[["role", "uncertainty", "variant"]].itertuples(index=False)
    return rows.assign(series=[judged_series(*one) for one in who])


def draw_means(
    axis: Axes, rows: pd.DataFrame, along: str, value: str, series: str, **style: Any
) -> None:
    """The mean over models at each point of ``along``."""
    if rows.empty:
        return
    means = rows.groupby(along)[value].mean()
    means = means[np.isfinite(means)]
    own = look(series)
    style = {"linestyle": own.line, "color": own.color, "linewidth": 1.2} | style
    axis.plot(means.index, means, **style)


def line_handles(names: Iterable[str]) -> list[Line2D]:
    """Legend entries of series that are drawn as lines."""
    return [
        Line2D(
            [], [], color=look(n).color, linestyle=look(n).line, linewidth=1.2, label=look(n).label
        )
        for n in in_order(names)
    ]


def reference_handle(label: str, **style: Any) -> Line2D:
    """Legend entry of a reference line."""
    looks: dict[str, Any] = {"color": "0.6", "linestyle": ":", "linewidth": 1}
    return Line2D([], [], label=label, **(looks | style))
