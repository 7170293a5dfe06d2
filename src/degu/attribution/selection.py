"""Which test sequences attribution maps are made of.

``attribution_sequences.h5`` has a group ``targets/{target}`` for each target, with the arrays of a
:class:`Selection`. Files of maps carry its ``sha256``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

import h5py
import numpy as np

from degu.dataset import Split, read_info, read_split
from degu.errors import InputError
from degu.io.hdf5 import create_hdf5, open_hdf5, read_array, write_array
from degu.sweep import derive_seed

PathLike = str | os.PathLike[str]

SCHEMA_VERSION = 1

_TEST = "Test"
_TYPES = {
    "row": np.int64,
    "id": object,
    "y": np.float32,
    "rank": np.int64,
    "bin": np.int64,
    "x": np.uint8,
    "motif_mask": np.uint8,
}
_MAKE_AGAIN = "delete it and let the workflow make it again"


@dataclass(frozen=True, eq=False)
class Selection:
    """Test sequences chosen for one target: the most active ones, then those of bins.

    The most active are ordered by descending activity (ties by row), the others by bin and row. A
    sequence that is both among the most active and drawn from a bin is there once.

    Attributes:
        row: (n,) int64, row in Test.
        id: (n,) strings, the data set's; without any ``Test:1``, ``Test:2``, ..., counted by row.
        y: (n,) float32, measured activity of the target.
        rank: (n,) int64, place among the most active, from 1; 0 if not among them.
        bin: (n,) int64, quantile bin of activity that it was drawn from, from 1, the lowest; 0 if
            from none.
        x: (n, L, 4) uint8 one-hot.
        motif_mask: (n, L) uint8, 1 where a motif planted for the target lies; or None.
    """

    row: np.ndarray
    id: np.ndarray
    y: np.ndarray
    rank: np.ndarray
    bin: np.ndarray
    x: np.ndarray
    motif_mask: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.row)

    def groups(self) -> dict[str, np.ndarray]:
        """Where in the selection each group of sequences is.

        Returns:
            Indices of ``top1000`` (the number is that of the most active sequences), by rank, and
            of each bin, ``bin1``, ``bin2``, ...
        """
        top = np.flatnonzero(self.rank)
        groups = {f"top{len(top)}": top}
        for i in range(1, self.bin.max() + 1):
            groups[f"bin{i}"] = np.flatnonzero(self.bin == i)
        return groups


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences of a study's attribution maps.

    Attributes:
        targets: the selection of each target, in the order of the data set.
        seed: the study's, that drew them.
        sha256: hash of the content.
        dataset_sha256: of the data set they are from.
    """

    targets: Mapping[str, Selection]
    seed: int
    sha256: str
    dataset_sha256: str


def choose_rows(
    y: np.ndarray, *, top_n: int, bins: int, per_bin: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the most active sequences, and some of every quantile bin of activity.

    Bins are cut by rank, ties going by row: they are disjoint whatever the ties, and their sizes
    differ by at most one. Draws from bins do not depend on ``top_n``.

    Args:
        y: (N,) activities.
        top_n: how many of the most active to choose.
        bins: number of bins; 0 for none.
        per_bin: how many to draw from each, without replacement.
        seed: of the draw.

    Returns:
        (row, rank, bin), each (n,) int64, as in :class:`Selection`.

    Raises:
        InputError: for more sequences than there are, or fewer than a selection needs; the message
            begins with the config key.
    """
    total = len(y)
    _check_number("top_n", top_n, total)
    _check_number("per_bin", per_bin)
    _check_number("bins", bins, total, least=0, times=per_bin)
    rank, bin_of = np.zeros((2, total), np.int64)
    top = np.argsort(-y, kind="stable")[:top_n]
    rank[top] = np.arange(1, top_n + 1)
    if bins:
        rng = np.random.default_rng(seed)
        by_activity = np.argsort(y, kind="stable")
        for i, members in enumerate(np.array_split(by_activity, bins), start=1):
            bin_of[rng.choice(members, per_bin, replace=False)] = i
    others = np.flatnonzero((bin_of > 0) & (rank == 0))
    row = np.concatenate([top, others[np.argsort(bin_of[others], kind="stable")]])
    return row, rank[row], bin_of[row]


def _check_number(
    key: str, number: int, total: int | None = None, *, least: int = 1, times: int | None = None
) -> None:
    if number < least:
        raise InputError(f"attribution.{key}: {number} is too few; write {least} or more.")
    if total is not None and number * (times or 1) > total:
        wanted = f"{number} is" if times is None else f"{number} bins of {times} (per_bin) are"
        raise InputError(
            f"attribution.{key}: {wanted} more than the {total} test sequences; write a smaller "
            "number."
        )


def write_sequences(
    path: PathLike,
    dataset: PathLike,
    *,
    top_n: int,
    bins: int,
    per_bin: int,
    seed: int,
) -> None:
    """Choose test sequences of a data set, and write them whole or not at all.

    Args:
        path: the file to write.
        dataset: the study's ``dataset.h5``.
        top_n, bins, per_bin: see :func:`choose_rows`; each target has a draw of its own.
        seed: the study's seed.

    Raises:
        InputError: for more sequences than there are; the message begins with the config key.
    """
    info = read_info(dataset)
    test = read_split(dataset, _TEST, fields=("x", "y", "id", "motif_mask"))
    targets = {
        target: _select(
            test,
            column,
            *choose_rows(
                test.y[:, column],
                top_n=top_n,
                bins=bins,
                per_bin=per_bin,
                seed=derive_seed(seed, "attribution", target=target),
            ),
        )
        for column, target in enumerate(info.targets)
    }
    content = {"seed": seed, "dataset_sha256": info.sha256}
    digest = _sha256(targets, **content)
    with create_hdf5(path) as file:
        for target, selection in targets.items():
            _write(file.create_group(f"targets/{target}"), vars(selection))
        file.attrs.update(
            targets=json.dumps(list(targets)),
            sha256=digest,
            schema_version=SCHEMA_VERSION,
            **content,
        )


def read_sequences(path: PathLike, dataset_sha256: str | None = None) -> Sequences:
    """Sequences of a study's attribution maps.

    Args:
        path: file of :func:`write_sequences`.
        dataset_sha256: of the data set that they must be from; None takes any.

    Raises:
        InputError: if the file is not there, not as it was written, of another schema version, or
            of another data set.
    """
    with open_hdf5(path) as file:
        version = file.attrs.get("schema_version")
        if "targets" in file and version not in (None, SCHEMA_VERSION):
            raise InputError(
                f"{path} has schema version {version}, where {SCHEMA_VERSION} is needed; "
                f"{_MAKE_AGAIN}."
            )
        try:
            sequences = Sequences(
                targets={
                    target: Selection(**_read(file["targets"][target]))
                    for target in json.loads(file.attrs["targets"])
                },
                seed=int(file.attrs["seed"]),
                sha256=str(file.attrs["sha256"]),
                dataset_sha256=str(file.attrs["dataset_sha256"]),
            )
            digest = _sha256(
                sequences.targets,
                seed=sequences.seed,
                dataset_sha256=sequences.dataset_sha256,
            )
            whole = version is not None and sequences.sha256 == digest
        except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError):
            whole = False
    if not whole:
        raise InputError(f"{path} is not a whole file of attribution sequences; {_MAKE_AGAIN}.")
    if dataset_sha256 not in (None, sequences.dataset_sha256):
        raise InputError(f"{path} was made for another data set; {_MAKE_AGAIN}.")
    return sequences


def _select(
    test: Split, column: int, row: np.ndarray, rank: np.ndarray, bin_: np.ndarray
) -> Selection:
    labels = [f"{_TEST}:{i + 1}" for i in row] if test.id is None else test.id[row]
    mask = test.motif_mask
    return Selection(
        row=row,
        id=np.array(labels, dtype=object),
        y=test.y[row, column],
        rank=rank,
        bin=bin_,
        x=test.x[row],
        motif_mask=None if mask is None else mask[row, :, column],
    )


def _write(group: h5py.Group, arrays: Mapping[str, np.ndarray | None]) -> None:
    for key, values in arrays.items():
        if values is not None:
            write_array(group, key, values)


def _read(group: h5py.Group) -> dict[str, np.ndarray]:
    """Arrays of a selection, of which only the motif mask may be missing."""
    arrays = {}
    for key, dtype in _TYPES.items():
        if key != "motif_mask" or key in group:
            kinds = "O" if key == "id" else "biuf"
            arrays[key] = read_array(group, key, dtype_kind=kinds).astype(dtype)
    return arrays


def _sha256(targets: Mapping[str, Selection], **attributes: object) -> str:
    """Hash of the content, the same whatever the compression or the version of HDF5."""
    digest = hashlib.sha256(json.dumps([list(targets), attributes], sort_keys=True).encode())
    arrays = {f"{t}/{key}": values for t, s in targets.items() for key, values in vars(s).items()}
    for name, values in arrays.items():
        if values is None:
            continue
        digest.update(f"{name}{values.shape}".encode())
        if values.dtype == object:
            digest.update(json.dumps(list(values)).encode())
        else:
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
