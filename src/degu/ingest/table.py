"""A table of sequences and activities: CSV or TSV, gzipped or not.

One row is one sequence. The config names the column of the sequence, a numeric column for each
target (or its replicate columns, from which mean and std are made), and how rows are split: by a
column, or by a draw from the seed. Columns that the config does not name may hold anything.

Without a split column, rows of one group stay together (``group_column``; without it rows that
share an id or a sequence, on either strand): :func:`draw_splits` says what the draw depends on.

How lines, separators and cells are read is said in :mod:`degu.io.table`; no spelling of a missing
value is recognised except in replicates.
"""

from __future__ import annotations

import hashlib
import os
import re
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from degu.errors import InputError
from degu.ingest import flanks_of
from degu.io.table import check_header, find_column, read_records
from degu.sequences import ALPHABET, one_hot

if TYPE_CHECKING:
    from degu.dataset import Split

SPLIT_NAMES = {
    "train": "Train",
    "val": "Val",
    "valid": "Val",
    "validation": "Val",
    "test": "Test",
}
MISSING = {"", "na", "n/a", "nan", "null", "none"}

_BASES = f"{ALPHABET}N{ALPHABET.lower()}n"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COMPLEMENT = str.maketrans("ACGT", "TGCA")
_ROWS_PER_BLOCK = 8192


def check(data: dict[str, Any], targets: Sequence[str], options: Mapping[str, Any]) -> None:
    """Refuse options that contradict each other; see :func:`degu.ingest.check`.

    Also gives ``split`` its defaults where no column says how to split.
    """
    if data["split_column"] is None:
        shares = options["split"]["properties"]
        defaults = {key: share["default"] for key, share in shares.items()}
        data["split"] = defaults | (data["split"] or {})
    _check_options(data, targets)


def preflight(data: Mapping[str, Any], targets: Sequence[str]) -> None:
    """Check the options and the table's header, without reading a row.

    Args:
        data: the config's ``data`` section.
        targets: names of the targets.

    Raises:
        InputError: naming the config key, for a file that is not there or not a table, a column
            that it lacks or has twice, or options that contradict each other.
    """
    path = source_file(data)
    _check_options(data, targets)
    with closing(read_records(path)) as records:
        _, header = next(records)
    _columns(path, header, data, targets)


def ingest(
    data: Mapping[str, Any], targets: Sequence[str], path: str | os.PathLike[str], seed: int
) -> None:
    """Write ``dataset.h5`` from the table; see :func:`read` for arguments and errors."""
    from degu.dataset import write_dataset  # HDF5 takes long to import

    splits = read(data, targets, seed)
    source = f"table {Path(data['path']).name}"
    write_dataset(
        path,
        splits,
        targets=targets,
        source=source,
        units=data["units"],
        flanks=flanks_of(data),
    )


def read(data: Mapping[str, Any], targets: Sequence[str], seed: int) -> dict[str, Split]:
    """Read and check the whole table.

    A target with replicates is the mean of those that a row has (one is enough), and its
    ``y_std`` their std with ddof 1, NaN for fewer than two; a column of the target's own name is
    then not read. ``y_replicates`` counts them. Targets without replicates have ``y_std`` NaN and
    ``y_replicates`` 0, which is unknown; both are None if no target has any.

    Args:
        data: the config's ``data`` section.
        targets: names of the T targets.
        seed: the study's seed, which a split without ``split_column`` is drawn from.

    Returns:
        ``Train``, ``Val`` and ``Test``, rows in the table's order.

    Raises:
        InputError: naming file, line and column, for a table that cannot be read to its end, rows
            of another width than the header, text that is not UTF-8, sequences of different
            lengths or with characters outside ACGTN, activities that are not finite numbers, an
            unknown or empty split, or an id in two splits.
    """
    from degu.dataset import SPLITS, Split

    path = source_file(data)
    _check_options(data, targets)
    table = _read_rows(path, data, targets)
    y, y_std, y_replicates = _activities(path, table, targets)
    if table.splits:
        membership = np.array([SPLITS.index(name) for name in table.splits])
    else:
        shares = _shares(data)
        labels = table.groups or _families(table)
        membership = draw_splits(labels, shares["val"], shares["test"], seed)
    _check_splits(path, table, membership, data)

    splits = {}
    for i, name in enumerate(SPLITS):
        rows = np.flatnonzero(membership == i)
        splits[name] = Split(
            x=_encode(table.sequences, rows),
            y=y[rows],
            y_std=None if y_std is None else y_std[rows],
            y_replicates=None if y_replicates is None else y_replicates[rows],
            id=np.array(table.ids, dtype=object)[rows] if table.ids else None,
        )
    return splits


def _families(table: _Table) -> list[str]:
    """A label for each row, shared by rows with one id, one sequence, or one seen on both strands.

    The label is the smallest sequence of the family, so it does not depend on the rows' order.
    """
    strands = [sequence.upper() for sequence in table.sequences]
    own = [min(strand, strand.translate(_COMPLEMENT)[::-1]) for strand in strands]
    if not table.ids:
        return own
    parent = {sequence: sequence for sequence in own}

    def root(sequence: str) -> str:
        while parent[sequence] != sequence:
            parent[sequence] = sequence = parent[parent[sequence]]
        return sequence

    of_id: dict[str, str] = {}
    for label, sequence in zip(table.ids, own, strict=True):
        first, second = sorted((root(of_id.setdefault(label, sequence)), root(sequence)))
        parent[second] = first
    return [root(sequence) for sequence in own]


def draw_splits(labels: Sequence[str], val: float, test: float, seed: int) -> np.ndarray:
    """Draw a split in which rows of one label stay together.

    Labels are taken in the order of a hash of (seed, label). Val takes each label that still
    fits into its share of the rows, then, if that is no farther from the share, the smallest one
    left; Test does the same with what remains, and Train has the rest. So the split depends on
    the seed, the shares, and which labels there are with how many rows each: not on the order of
    the rows, and on no other column. A few added rows move few others.

    Args:
        labels: one for each of N rows.
        val: share of the rows for Val, in (0, 1).
        test: share of the rows for Test, in (0, 1).
        seed: the study's seed.

    Returns:
        (N,) indices into ``Train``, ``Val``, ``Test``. A split is empty if every label is too
        large for it.
    """
    sizes = Counter(labels)
    order = sorted(
        sizes, key=lambda label: hashlib.sha256(f"{seed}|split|{label}".encode()).digest()
    )
    owner: dict[str, int] = {}
    for split, share in ((1, val), (2, test)):
        lacking = round(share * len(labels))
        for label in order:
            if lacking == 0:
                break
            if label not in owner and sizes[label] <= lacking:
                owner[label] = split
                lacking -= sizes[label]
        left = [label for label in order if label not in owner] if lacking else []
        smallest = min(left, key=sizes.__getitem__, default=None)
        if smallest is not None and sizes[smallest] <= 2 * lacking:
            owner[smallest] = split
    return np.array([owner.get(label, 0) for label in labels], dtype=np.int8)


def source_file(data: Mapping[str, Any]) -> Path:
    """The file that ``data.path`` names; InputError if it is missing, unreadable or no file."""
    path = data["path"]
    if not path:
        raise InputError("data.path: name the file to read.")
    if os.path.isdir(path):
        raise InputError(f"data.path: {path} is a directory; name the file in it.")
    if not os.path.isfile(path):
        raise InputError(f"data.path: {path} does not exist; check the path.")
    if not os.access(path, os.R_OK):
        raise InputError(f"data.path: {path} may not be read; change its permissions.")
    return Path(path)


@dataclass(frozen=True)
class _Columns:
    """Positions in a row of what is read."""

    sequence: int
    id: int | None
    split: int | None
    group: int | None
    # Of each target, and whether they are replicates.
    targets: tuple[tuple[tuple[int, ...], bool], ...]

    @property
    def values(self) -> list[tuple[int, bool]]:
        """Numeric columns in the order in which they are read, and which may lack values."""
        return [(column, replicated) for group, replicated in self.targets for column in group]


def _columns(
    path: Path, header: list[str], data: Mapping[str, Any], targets: Sequence[str]
) -> _Columns:
    check_header(path, header)

    def find(key: str, name: str) -> int:
        try:
            return find_column(path, header, name)
        except InputError as error:
            raise InputError(f"{key}: {error}") from None

    def find_optional(key: str, name: str | None) -> int | None:
        return None if name is None else find(key, name)

    replicates = data["replicates"] or {}
    return _Columns(
        sequence=find("data.sequence_column", data["sequence_column"]),
        id=find_optional("data.id_column", data["id_column"]),
        split=find_optional("data.split_column", data["split_column"]),
        group=find_optional("data.split.group_column", _shares(data)["group_column"]),
        targets=tuple(
            (tuple(find(f"data.replicates.{target}", name) for name in replicates[target]), True)
            if target in replicates
            else ((find("targets", target),), False)
            for target in targets
        ),
    )


@dataclass
class _Table:
    """What is read of N rows; ids, groups and splits are empty without such a column."""

    header: list[str]
    columns: _Columns
    lines: list[int] = field(default_factory=list)
    sequences: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    # (N, number of numeric columns) in one run.
    values: array[float] = field(default_factory=lambda: array("d"))


def _read_rows(path: Path, data: Mapping[str, Any], targets: Sequence[str]) -> _Table:
    with closing(read_records(path)) as records:
        _, header = next(records)
        columns = _columns(path, header, data, targets)
        table = _Table(header, columns)
        numeric = columns.values
        names = ((columns.id, table.ids), (columns.group, table.groups))

        def refuse(line: int, column: int, problem: str) -> InputError:
            return InputError(f"{path}, line {line}, column {header[column]!r}: {problem}.")

        for line, row in records:
            sequence = row[columns.sequence]
            if problem := _sequence_problem(sequence, table):
                raise refuse(line, columns.sequence, problem)
            for column, optional in numeric:
                text = row[column].strip()
                if _NUMBER.fullmatch(text):
                    table.values.append(float(text))
                elif optional and text.lower() in MISSING:
                    table.values.append(np.nan)
                else:
                    problem = f"{text!r} is not a finite number" if text else "there is no value"
                    raise refuse(line, column, f"{problem}; correct it or leave the row out")
            for place, labels in names:
                if place is None:
                    continue
                if not row[place].strip() or "\0" in row[place]:
                    raise refuse(line, place, f"{row[place]!r} is no name; fill it in")
                labels.append(row[place])
            if columns.split is not None:
                name = SPLIT_NAMES.get(row[columns.split].strip().lower())
                if name is None:
                    raise refuse(
                        line,
                        columns.split,
                        f"{row[columns.split]!r} is not a split; write one of "
                        f"{', '.join(SPLIT_NAMES)}",
                    )
                table.splits.append(name)
            table.sequences.append(sequence)
            table.lines.append(line)
    if not table.lines:
        raise InputError(f"{path} has a header but no rows; add the sequences.")
    return table


def _sequence_problem(sequence: str, table: _Table) -> str | None:
    if not sequence:
        return "the sequence is missing; leave the row out"
    if table.sequences and len(sequence) != len(table.sequences[0]):
        return (
            f"the sequence has {len(sequence)} bases where line {table.lines[0]} has "
            f"{len(table.sequences[0])}; pad or trim them to one length"
        )
    # What is left begins with the first character that is no base.
    if rest := sequence.lstrip(_BASES):
        return (
            f"the sequence has {rest[0]!r} at position {len(sequence) - len(rest) + 1}; only A, "
            "C, G, T and N are allowed"
        )
    return None


def _shares(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"val": 0.1, "test": 0.1, "group_column": None} | dict(data["split"] or {})


def _check_options(data: Mapping[str, Any], targets: Sequence[str]) -> None:
    if data["split_column"] and data["split"] is not None:
        raise InputError(
            "data.split: is given beside data.split_column; keep one of the two, a random split or "
            "that of the file."
        )
    shares = _shares(data)
    for key in ("val", "test"):
        if not 0 < shares[key] < 1:
            raise InputError(
                f"data.split.{key}: {shares[key]} is not a share between 0 and 1; write one."
            )
    if shares["val"] + shares["test"] >= 1:
        raise InputError(
            f"data.split: val {shares['val']} and test {shares['test']} leave nothing to train "
            "on; write shares that add up to less than 1."
        )
    for target, names in (data["replicates"] or {}).items():
        if target not in targets:
            raise InputError(
                f"data.replicates: {target!r} is not one of the targets {', '.join(targets)}; add "
                "it to targets or remove it here."
            )
        if len(names) < 2 or len(set(names)) < len(names):
            raise InputError(
                f"data.replicates.{target}: list two or more different columns, not "
                f"{', '.join(names) or 'none'}."
            )


def _activities(
    path: Path, table: _Table, targets: Sequence[str]
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Mean (N, T) float32 and, where any target has replicates, their std and number, (N, T)."""
    columns, lines, header = table.columns, table.lines, table.header
    values = np.array(table.values).reshape(len(lines), -1)
    too_large = np.argwhere(np.abs(values) > np.finfo(np.float32).max)
    if len(too_large):
        row, k = too_large[0]
        raise InputError(
            f"{path}, line {lines[row]}, column {header[columns.values[k][0]]!r}: the number is "
            "beyond the range of float32; correct it or leave the row out."
        )
    y = np.empty((len(lines), len(targets)), dtype=np.float32)
    y_std = np.full_like(y, np.nan)
    y_replicates = np.zeros(y.shape, np.uint16)
    start = 0
    for t, (group, replicated) in enumerate(columns.targets):
        block = values[:, start : start + len(group)]
        start += len(group)
        if not replicated:
            y[:, t] = block[:, 0]
            continue
        count = np.isfinite(block).sum(axis=1)
        if not count.all():
            names = ", ".join(repr(header[column]) for column in group)
            raise InputError(
                f"{path}, line {lines[int(count.argmin())]}, columns {names}: no replicate of "
                f"{targets[t]} has a value; fill one in or leave the row out."
            )
        mean = np.nanmean(block, axis=1)
        squares = np.nansum((block - mean[:, None]) ** 2, axis=1)
        enough = count > 1
        y[:, t] = mean
        y_replicates[:, t] = count
        y_std[enough, t] = np.sqrt(squares[enough] / (count[enough] - 1))
    if not any(replicated for _, replicated in columns.targets):
        return y, None, None
    return y, y_std, y_replicates


def _check_splits(
    path: Path, table: _Table, membership: np.ndarray, data: Mapping[str, Any]
) -> None:
    from degu.dataset import SPLITS

    for i, name in enumerate(SPLITS):
        if (membership == i).any():
            continue
        if data["split_column"]:
            raise InputError(
                f"{path}, column {data['split_column']!r}: no row of {len(membership)} is in the "
                f"split {name}; Train, Val and Test must each have some."
            )
        shares = _shares(data)
        raise InputError(
            f"data.split: {path} has too few rows, or too large groups, for val {shares['val']} "
            f"and test {shares['test']}: {name} would be empty; raise the shares or name a split "
            "column."
        )
    first: dict[str, int] = {}
    for row, label in enumerate(table.ids):
        other = first.setdefault(label, row)
        if membership[other] != membership[row]:
            raise InputError(
                f"{path}, line {table.lines[row]}, column {data['id_column']!r}: the id {label!r} "
                f"is in {SPLITS[membership[row]]}, but in {SPLITS[membership[other]]} at line "
                f"{table.lines[other]}; keep it in one split."
            )


def _encode(sequences: list[str], rows: np.ndarray) -> np.ndarray:
    """One-hot (len(rows), L, 4) of some sequences, in blocks: encoding needs 8 times its result."""
    x = np.empty((len(rows), len(sequences[0]), len(ALPHABET)), dtype=np.uint8)
    for start in range(0, len(rows), _ROWS_PER_BLOCK):
        block = rows[start : start + _ROWS_PER_BLOCK]
        x[start : start + len(block)] = one_hot([sequences[row] for row in block])
    return x
