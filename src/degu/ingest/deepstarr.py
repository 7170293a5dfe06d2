"""The published DeepSTARR table: STARR-seq of *Drosophila* S2 cells (de Almeida et al. 2022).

Tab-separated text, one row a strand of a genomic window of 249 bp, with developmental (Dev) and
housekeeping (Hk) enhancer activity. It is read as a table whose columns are known; what is added
is what only this file has: published row counts, and windows whose two strands belong together.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from degu.errors import InputError
from degu.ingest import table
from degu.io.table import read_records

TARGETS = {"Dev": "Dev_log2_enrichment", "Hk": "Hk_log2_enrichment"}
UNITS = "log2 enrichment"

# Sequences in each split, from the data summary of the study's code; `custom` claims none.
RELEASES: dict[str, dict[str, int]] = {
    "all": {"Train": 402_296, "Val": 40_570, "Test": 41_186},
    "subset": {"Train": 50_000, "Val": 40_570, "Test": 41_186},
    "custom": {},
}

_WINDOW = ("seqnames", "start", "end")
_SPLIT = "set"
_TABLE: dict[str, Any] = {
    "sequence_column": "Sequence",
    "id_column": "ID",
    "split_column": _SPLIT,
    "split": None,
    "replicates": {},
    "units": UNITS,
}


def check(data: Mapping[str, Any], targets: Sequence[str], options: Mapping[str, Any]) -> None:
    """Refuse the full file for the release ``subset``, before it is downloaded for nothing."""
    full = "_all.txt"
    if data["release"] == "subset" and data["path"] is None and data["url"].endswith(full):
        raise InputError(
            "data.url: is that of the full release; for `release: subset` write "
            f"{data['url'].removesuffix(full)}_subset.txt."
        )


def preflight(data: Mapping[str, Any], targets: Sequence[str]) -> None:
    """Check the options and, for a local file, its header.

    Args:
        data: the config's ``data`` section; without ``path`` the file is still to be downloaded.
        targets: some of ``Dev`` and ``Hk``, in any order.

    Raises:
        InputError: naming the config key, for an unknown target, a malformed ``url`` or
            ``sha256``, a file that is not there, or a column that it lacks.
    """
    from degu.io.download import check_sha256, check_url  # these take long to import

    columns = _target_columns(targets)
    check_sha256(data["sha256"])
    if not data["path"]:
        check_url(data["url"])
        return
    path = table.source_file(data)
    with closing(read_records(path)) as records:
        _, header = next(records)
    _check_header(path, header, columns)
    table.preflight(_as_table(data), columns)


def ingest(
    data: Mapping[str, Any], targets: Sequence[str], path: str | os.PathLike[str], seed: int
) -> None:
    """Write ``dataset.h5`` from the local file that ``data["path"]`` names, gzipped or not.

    The SHA-256 of that file goes into the data set's ``source``.

    Args:
        data: the config's ``data`` section.
        targets: some of ``Dev`` and ``Hk``; columns of ``y`` (log2 enrichment), in this order.
        path: the file to write.
        seed: not used, since the file says how it is split.

    Raises:
        InputError: naming the file and what is wrong: another SHA-256 than configured, other row
            counts than the release has, a window in two splits, and all that
            :func:`degu.ingest.table.read` refuses.
    """
    from degu.dataset import write_dataset
    from degu.io.download import check_sha256

    columns = _target_columns(targets)
    expected = check_sha256(data["sha256"])
    file = table.source_file(data)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if expected not in (None, digest):
        raise InputError(
            f"{file} has the SHA-256 {digest}, but data.sha256 is {expected}; download the file "
            "again, or correct data.sha256."
        )
    _survey(file, data["release"], columns)
    splits = table.read(_as_table(data), columns, seed)
    source = f"DeepSTARR (release: {data['release']}), {file.name}, SHA-256 {digest}"
    write_dataset(path, splits, targets=targets, source=source, units=UNITS)


def _as_table(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"source": "table", "path": data["path"], **_TABLE}


def _target_columns(targets: Sequence[str]) -> list[str]:
    for target in targets:
        if target not in TARGETS:
            raise InputError(
                f"targets: DeepSTARR has no {target!r}; choose from {', '.join(TARGETS)}."
            )
    return [TARGETS[target] for target in targets]


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    # The table's own message would name config keys that this source does not have.
    needed = (*_WINDOW, "ID", _SPLIT, "Sequence", *columns)
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(
            f"data.path: {path} lacks the columns {', '.join(missing)} of the published file; "
            "download it again, or read a table of your own with data.source: table."
        )


def _survey(path: Path, release: str, columns: Sequence[str]) -> None:
    """Check what concerns many rows at once: windows in two splits, and the row counts."""
    counts: Counter[str] = Counter()
    first: dict[str, tuple[int, str]] = {}
    with closing(read_records(path)) as records:
        _, header = next(records)
        _check_header(path, header, columns)
        window_columns = [header.index(name) for name in _WINDOW]
        split_column = header.index(_SPLIT)
        for line, fields in records:
            split = table.SPLIT_NAMES.get(fields[split_column].strip().lower())
            if split is None:
                continue  # refused, with its line, when the table is read
            counts[split] += 1
            window = " ".join(fields[column] for column in window_columns)
            other_line, other = first.setdefault(window, (line, split))
            if other != split:
                raise InputError(
                    f"{path}, line {line}, column {_SPLIT!r}: the window {window} is in {split}, "
                    f"but in {other} at line {other_line}; keep both strands in one split."
                )
    for split, claimed in RELEASES[release].items():
        if counts[split] != claimed:
            raise InputError(
                f"{path} has {counts[split]:,} sequences in {split}, where data.release: "
                f"{release} has {claimed:,}; download the file again if it was truncated, "
                "or set data.release: custom."
            )
