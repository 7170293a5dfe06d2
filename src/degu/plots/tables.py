"""What figures read off a study's tables: arms, slices of the sweep, means and their intervals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from degu.errors import InputError
from degu.io.summary import COLUMNS
from degu.plots.series import series_name
from degu.sweep import Arm, format_proportion, sweeps

NUMBERS = ["proportion", "size", "member", "ddof", "value"]
TEXTS = ["role", "augmentation", "stage", "variant", "uncertainty", "shift", "target", "head"]

ATTRIBUTION_TEXTS = [
    *("role", "augmentation", "uncertainty", "method", "selection", "target", "head"),
    *("metric", "comparison", "statistic"),
]

Axis = Literal["proportion", "size"]


def read_summary(summary: pd.DataFrame) -> pd.DataFrame:
    """The summary as figures use it.

    Args:
        summary: ``summary.csv``, read from the file or as :func:`degu.io.summary.tidy` makes it.

    Returns:
        The same rows, numbers as floats (NaN where blank), texts as strings (empty where blank),
        and ``series``: see :func:`degu.plots.series.series_name`. Rows without a value (the
        correlation with a constant) are left out.

    Raises:
        InputError: if it lacks a column.
    """
    missing = [column for column in COLUMNS if column not in summary.columns]
    if missing:
        raise InputError(
            f"The summary has no column {missing[0]}; run the workflow's rule summarize again."
        )
    return _with_series(summary, [*TEXTS, "metric"])


def read_attribution(summary: pd.DataFrame) -> pd.DataFrame:
    """``attribution_summary.csv`` as figures use it; as :func:`read_summary` the summary.

    Args:
        summary: rows of any number of arms.

    Raises:
        InputError: if it lacks a column.
    """
    missing = [name for name in [*NUMBERS, *ATTRIBUTION_TEXTS] if name not in summary.columns]
    if missing:
        raise InputError(
            f"The summary of attribution has no column {missing[0]}; delete it and run the "
            "workflow's target attribution again."
        )
    return _with_series(summary, ATTRIBUTION_TEXTS)


def _with_series(summary: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    numbers = summary[NUMBERS].apply(pd.to_numeric).astype(float)
    # A wholly blank column of a CSV file is read as numbers.
    texts = summary[columns].astype(object).where(summary.notna(), "").astype(str)
    rows = pd.concat([texts, numbers], axis=1)
    names = [*map(series_name, rows["role"], rows["uncertainty"])]
    return rows.assign(series=names)[rows["value"].notna()]


def plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows without those of dynamic students, and of a baseline's variants those of the first."""
    first = rows.groupby("role")["variant"].transform("first")
    student = rows["role"] == "student"
    return rows[(rows["variant"] == "") | (~student & (rows["variant"] == first))]


def final_members(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of finished models, not dynamic ones, on the test sequences themselves."""
    return plain(rows[(rows["stage"] == "") & (rows["shift"] == "")])


def arms_of(rows: pd.DataFrame) -> list[Arm]:
    """Arms of the rows that name a size, in the order in which they appear."""
    arms = rows.loc[rows["size"].notna(), ["augmentation", "proportion", "size"]]
    return [Arm(a, p, int(n)) for a, p, n in arms.drop_duplicates().itertuples(index=False)]


def of_arms(rows: pd.DataFrame, arms: Iterable[Arm]) -> pd.DataFrame:
    """Rows of some arms; what belongs to a pool, such as teachers, once for each and with its size.

    An arm's teachers are the first n of their pool: ensembles are nested.
    """
    parts = [rows.iloc[:0]]
    for arm in arms:
        pool = (rows["augmentation"] == arm.augmentation) & (rows["proportion"] == arm.proportion)
        member = (rows["role"] != "teacher") | (rows["member"] <= arm.size)
        shared = rows["size"].isna() & member
        own = rows[pool & (shared | (rows["size"] == arm.size))]
        parts.append(own.assign(size=float(arm.size)))
    return pd.concat(parts, ignore_index=True)


def preferred(arms: Iterable[Arm]) -> Arm:
    """The arm to show where there is room for one: standard, most data, largest ensemble."""
    return max(arms, key=lambda arm: (arm.augmentation == "standard", arm.proportion, arm.size))


def longest_slice(arms: Iterable[Arm], along: Axis) -> list[Arm]:
    """Arms that differ in ``along`` only, in its order: of all such slices the one with most arms.

    Among equally long ones standard comes first, then the largest size (or proportion). Empty if no
    two arms differ in ``along`` only.
    """
    slices = sweeps(arms, along)
    if not slices:
        return []
    return list(slices[max(slices, key=lambda k: (len(slices[k]), k[0] == "standard", k[1]))])


def targets_of(rows: pd.DataFrame) -> list[str]:
    """Targets in the order of the data set."""
    return list(dict.fromkeys(rows["target"]))


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of values (n,) with the ends of its 95% t-interval; NaN for those of fewer than three.

    The interval of two models is ±12.7 standard errors: it says nothing and hides what it is about.
    """
    mean = float(np.mean(values))
    if len(values) < 3:
        return mean, np.nan, np.nan
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    half = float(stdtrit(len(values) - 1, 0.975) * error)
    return mean, mean - half, mean + half


def describe(
    augmentation: str, *, proportion: float | None = None, size: float | None = None
) -> str:
    """Which slice or arm a figure shows, for its title."""
    parts = [augmentation]
    if proportion is not None:
        parts.append(f"proportion {format_proportion(proportion)}")
    if size is not None:
        parts.append(f"ensemble size {size:g}")
    return ", ".join(parts)
