"""Tables about uncertainty: their columns, and which differences between models are no chance."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from degu.calibration.bootstrap import bounds
from degu.errors import InputError
from degu.io.files import MAKE_AGAIN, read_npy
from degu.io.summary import COLUMNS, tidy_rows

Path_ = str | os.PathLike[str]

ROW_COLUMNS = (
    *COLUMNS[:-1],
    *("variance", "recalibration", "level", "bin"),
    *COLUMNS[-1:],
    *("lower", "upper"),
)
"""Of ``uncertainty_summary.csv``: those of ``summary.csv``, what was judged and how, and bounds."""

WHO = ("role", "augmentation", "proportion", "size", "member", "variant", "uncertainty")
CURVE_COLUMNS = (*WHO, "target", "curve", "variance", "recalibration", "x", "y")
"""Of ``uncertainty_curves.csv``."""

_KIND = tuple(name for name in WHO if name != "member")
_ARM = ("augmentation", "proportion", "size")
_SCORE = ("target", "metric", "variance", "recalibration", "level")

DRAWS = "draws of compared scores"
"""Content of the files of resampled values."""

COMPARED = (
    ("NLL", "scaling", None),
    ("CRPS", "scaling", None),
    ("IntervalScore", "conformal", 0.9),
    ("MPIW", "conformal", 0.9),
    ("ENCE", "scaling", None),
    ("AUSE", None, None),
)
"""Scores of the total variance that kinds of model are compared by: metric, recalibration, level.
Of all, less is better; widths are compared at equal coverage."""

DIFFERENCE_COLUMNS = (*_KIND, *_SCORE, "best", "value", "lower", "upper")
"""Of ``uncertainty_differences.csv``: how much more than the best kind of its arm, for each score.
``best`` is whether it is that one; bounds are those of the paired difference of means over
models."""


def compared(rows: pd.DataFrame) -> np.ndarray:
    """Which rows (N,) of ``uncertainty_summary.csv`` are scores that kinds are compared by."""
    chosen = np.zeros(len(rows), bool)
    own = rows[(rows["variance"] == "total") & rows["bin"].isna() & rows["shift"].isna()]
    for metric, recalibration, level in COMPARED:
        is_it = own["metric"] == metric
        for name, value in (("recalibration", recalibration), ("level", level)):
            is_it &= own[name].isna() if value is None else own[name] == value
        chosen[rows.index.get_indexer(own.index[is_it])] = True
    return chosen


def differences(rows: pd.DataFrame, draws: np.ndarray) -> pd.DataFrame:
    """How far each kind of model is from the best of its arm, by each score.

    What all arms of a pool share is compared in each of them.

    Args:
        rows: those of :func:`compared`.
        draws: (rows, draws) of each on the same resampled sequences.
    """
    found = []
    rows = rows.reset_index(drop=True)
    arms = rows.loc[rows["size"].notna(), list(_ARM)].drop_duplicates()
    for arm in arms.itertuples(index=False):
        pool = (rows["augmentation"] == arm.augmentation) & (rows["proportion"] == arm.proportion)
        here = rows[pool & (rows["size"].isna() | (rows["size"] == arm.size))]
        for _, group in here.groupby(list(_SCORE), dropna=False):
            found += _against_best(group, draws, arm)
    return tidy_differences(found)


def _against_best(group: pd.DataFrame, draws: np.ndarray, arm: Any) -> list[dict[str, Any]]:
    """Rows of one score, from the best kind to the worst."""
    kinds = []
    for identity, own in group.groupby(list(_KIND), dropna=False):
        where = own.index.to_numpy()
        label = dict(zip(_KIND, identity, strict=True)) | {"size": arm.size}
        kinds.append((float(own["value"].mean()), draws[where].mean(axis=0), label))
    kinds = [kind for kind in kinds if np.isfinite(kind[0])]
    if not kinds:
        return []
    kinds.sort(key=lambda kind: kind[0])
    best = kinds[0]
    score = {name: group.iloc[0][name] for name in _SCORE}
    found = []
    for value, values, label in kinds:
        lower, upper = bounds(values - best[1]) if len(values) else (np.nan, np.nan)
        far = {"value": value - best[0], "lower": lower, "upper": upper}
        found.append({**label, **score, "best": label is best[2], **far})
    return found


def tidy_differences(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """A table of :data:`DIFFERENCE_COLUMNS`."""
    frame = pd.DataFrame(list(rows), columns=list(DIFFERENCE_COLUMNS))
    return frame.astype({"size": "Int64"})


def gather(
    tables: Sequence[Path_], curves: Sequence[Path_], draws: Sequence[Path_]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The tables of a study from those of its arms and pools: scores, curves, differences.

    Args:
        tables, curves: CSV files of :data:`ROW_COLUMNS` and :data:`CURVE_COLUMNS`.
        draws: ``.npy`` files with the resampled values of each table's :func:`compared` rows.

    Raises:
        InputError: if a file is not whole, or they do not belong together.
    """
    scored, drawn = [], []
    for table, path in zip(tables, draws, strict=True):
        rows = tidy_rows(Path(table), ROW_COLUMNS)
        values = read_npy(path, dtype_kind="f", finite=False, content=DRAWS)
        own = rows[compared(rows)]
        if values.ndim != 2 or len(values) != len(own):
            raise InputError(f"{path} does not belong to {table}; {MAKE_AGAIN}.")
        scored.append(rows)
        drawn.append((own, values))
    own = pd.concat([rows for rows, _ in drawn], ignore_index=True)
    found = differences(own, np.concatenate([values for _, values in drawn]))
    points = [pd.read_csv(path, dtype={"target": str}) for path in curves]
    return pd.concat(scored, ignore_index=True), pd.concat(points, ignore_index=True), found
