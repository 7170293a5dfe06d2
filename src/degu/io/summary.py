"""``summary.csv``: every number of a study, one a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from degu.errors import InputError
from degu.heads import Heads
from degu.io.files import read_npy
from degu.metrics import METRICS
from degu.uncertainty import unbiased_std

COLUMNS = (
    "role",
    "augmentation",
    "proportion",
    "size",
    "member",
    "stage",
    "variant",
    "uncertainty",
    "shift",
    "target",
    "head",
    "ddof",
    "metric",
    "value",
)
"""Columns of the summary; blank where one does not apply."""

FAILED = "Failed"
"""Metric of the row of a member that has failed (:mod:`degu.study.failed`); it is of the model as a
whole, so that target and head are blank."""


_COUNTS = ("size", "member", "ddof")


_NUMBERS = ("proportion", *_COUNTS, "value", "level", "bin", "lower", "upper")


_ARM = ("augmentation", "proportion", "size")


Identity = Mapping[str, Any]


def summarize(
    targets: Iterable[str],
    *,
    members: Iterable[tuple[str | Path, Identity]],
    ensembles: Iterable[tuple[str | Path, str | Path, Identity]],
    tables: Iterable[str | Path] = (),
    assay: pd.DataFrame | None = None,
    failed: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The summary of a study.

    Args:
        targets: the data set's targets.
        members: a performance table's path and what it belongs to, ``role`` and values of some of
            the other columns before ``target``.
        ensembles: likewise, with the path of the ensemble's test std (ddof 0) in between.
        tables: paths of CSV files that have the columns of the summary already, such as those of
            :func:`degu.shift.scores.evaluate_shift`.
        assay: rows of the assay itself, such as those of :func:`degu.shift.scores.assay_rows`.
        failed: rows of members that have failed (:func:`degu.study.failed.failed_rows`).
    """
    targets = tuple(targets)
    parts = []
    for path, identity in members:
        parts.append(performance_rows(path, targets, identity))
    for path, std, identity in ensembles:
        identity = {"role": "ensemble", **identity}
        parts.append(performance_rows(path, targets, identity))
        arm = {name: identity[name] for name in _ARM if name in identity}
        label = {"content": "std of Test", **arm}
        values = read_npy(std, shape=(None, len(targets)), dtype_kind="f", **label)
        parts.append(spread_rows(values, targets, identity))
    parts += [tidy_rows(path) for path in tables]
    parts += [rows for rows in (assay, failed) if rows is not None and len(rows)]
    return pd.concat(parts, ignore_index=True)


def performance_rows(path: str | Path, targets: Iterable[str], identity: Identity) -> pd.DataFrame:
    """Tidy rows of one performance table.

    The error of an epistemic head is given for both conventions: students learn the population std
    (ddof 0); with both sides turned into sample stds of an ensemble of n (ddof 1), their squared
    error grows by n/(n−1). Correlations are the same for both.

    Args:
        path: CSV of :func:`degu.metrics.performance_table`.
        targets: the data set's targets.
        identity: what the table belongs to.

    Raises:
        InputError: if the file is not whole, or lacks a target.
    """
    try:
        text = Path(path).read_text()
        table = pd.read_csv(StringIO(text if text.endswith("\n") else ""))
        metrics = table.pop("metric").tolist()
        table = table.astype(np.float64)
    except (LookupError, OSError, OverflowError, TypeError, ValueError):
        metrics = []
    if metrics != list(METRICS):
        raise InputError(
            f"{path} is not a performance table with the rows {', '.join(METRICS)}; "
            "delete it and run the workflow again."
        )
    rows: list[dict[str, Any]] = []
    for target in targets:
        for head in ("mean", "std"):
            column = Heads.name(target, head)
            if column not in table.columns:
                if head == "mean":
                    raise InputError(f"{path} has no column {column}; make it again.")
                continue
            for metric, value in zip(metrics, table[column], strict=True):
                row = {**identity, "target": target, "head": head, "metric": metric}
                size = identity.get("size")
                if head == "std" and metric == "MSE" and size is not None:
                    rows.append({**row, "ddof": 0, "value": value})
                    rows.append({**row, "ddof": 1, "value": value * size / (size - 1)})
                else:
                    rows.append({**row, "value": value})
    return tidy(rows)


def spread_rows(std: np.ndarray, targets: Iterable[str], identity: Identity) -> pd.DataFrame:
    """The ensemble's mean std over sequences, biased (ddof 0) and unbiased (ddof 1).

    Args:
        std: (N, T), population std.
        targets: names of its columns.
        identity: what it belongs to, with ``size``.
    """
    by_ddof = {0: std, 1: unbiased_std(std, identity["size"])}
    return tidy(
        {
            **identity,
            "target": target,
            "head": "std",
            "ddof": ddof,
            "metric": "Mean",
            "value": float(np.mean(values[:, column], dtype=np.float64)),
        }
        for ddof, values in by_ddof.items()
        for column, target in enumerate(targets)
    )


def tidy_rows(path: str | Path, columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
    """Rows of a CSV file of :func:`tidy` rows.

    Args:
        path: the file.
        columns: those that it must have, in this order.

    Raises:
        InputError: if it does not exist, has other columns or no rows, or is not whole.
    """
    rows = None
    try:
        text = Path(path).read_text()
        table = pd.read_csv(
            StringIO(text),
            # A target's name may look like a number, or like a blank of pandas's.
            dtype={name: "float64" if name in _NUMBERS else "object" for name in columns},
            keep_default_na=False,
            na_values=[""],
        )
        needed = table[["role", "target", "head", "metric"]].notna()
        needed.loc[table["metric"] == FAILED, ["target", "head"]] = True
        if tuple(table.columns) == tuple(columns) and needed.all(axis=None):
            records: list[Any] = table.to_dict("records") if text.endswith("\n") else []
            rows = tidy(records, columns) if records else None
    except (LookupError, OSError, OverflowError, TypeError, ValueError):
        pass
    if rows is None:
        raise InputError(
            f"{path} is not a whole table with the columns of the summary; delete it and run the "
            "workflow again."
        )
    return rows


def tidy(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
    """A table with some columns, those of the summary by default, from rows that have some of them.

    ``size``, ``member`` and ``ddof`` must be among the columns.
    """
    frame = pd.DataFrame(list(rows), columns=list(columns))
    # Counts stay whole numbers beside blanks.
    return frame.astype({name: "Int64" for name in (*_COUNTS, "bin") if name in columns})
