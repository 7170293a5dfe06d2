"""The one data format of the project: ``dataset.h5``.

Groups ``Train``, ``Val`` and ``Test``, each with ``X`` (N, L, 4) uint8 one-hot in the order A, C,
G, T (an unknown base is a zero row) and ``y`` (N, T) float32; optionally ``y_std`` (N, T), the std
over replicates, ``y_replicates`` (N, T) uint16, how many these are, and ``id`` (N,) strings; of
simulated data also the truth: ``motif_mask`` (N, L, T) uint8, where planted motifs lie,
``activity`` and ``noise_std`` (N, T). Attributes: ``targets``, ``units``, ``source``, ``sha256``,
``schema_version``; of an assay with constant ends of its sequences also ``flanks``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import h5py
import numpy as np

from degu.errors import InputError
from degu.io.files import MAKE_AGAIN, check_seal, read_npy
from degu.io.hdf5 import create_hdf5, find_array, open_hdf5, read_array, write_array
from degu.sequences import one_hot
from degu.sweep import SPLITS

_log = logging.getLogger(__name__)


SCHEMA_VERSION = 1

# Field of `Split` -> name in the file.
FIELDS = {
    "x": "X",
    "y": "y",
    "y_std": "y_std",
    "y_replicates": "y_replicates",
    "id": "id",
    "motif_mask": "motif_mask",
    "activity": "activity",
    "noise_std": "noise_std",
}


@dataclass(frozen=True)
class Split:
    """One split of a data set; N sequences of length L, T targets.

    Attributes:
        x: (N, L, 4) uint8 one-hot, order A, C, G, T; an unknown base is a zero row.
        y: (N, T) float32, units of the target.
        y_std: (N, T) float32, std over replicates (ddof 1), NaN where there are too few; or None.
        y_replicates: (N, T) uint16, how many replicates y is the mean of, 0 where that is unknown;
            or None. The variance of y is ``y_std ** 2 / y_replicates``.
        id: (N,) strings, or None.
        motif_mask: (N, L, T) uint8, 1 where a motif planted for that target lies; or None.
        activity, noise_std: (N, T) float32, of simulated data the truth behind y: what it would be
            without noise, and the std of one replicate around it; or None.
    """

    x: np.ndarray
    y: np.ndarray
    y_std: np.ndarray | None = None
    y_replicates: np.ndarray | None = None
    id: np.ndarray | None = None
    motif_mask: np.ndarray | None = None
    activity: np.ndarray | None = None
    noise_std: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class DatasetInfo:
    """What a data set says of itself, without its arrays."""

    targets: tuple[str, ...]
    units: str
    source: str
    sha256: str
    sizes: Mapping[str, int]
    length: int
    flanks: tuple[str, str] = ("", "")

    @property
    def input_shape(self) -> tuple[int, int]:
        """Shape of one sequence, (L, 4)."""
        return self.length, 4


def write_dataset(
    path: str | os.PathLike[str],
    splits: Mapping[str, Split],
    *,
    targets: Sequence[str],
    source: str,
    units: str = "log2 enrichment",
    flanks: tuple[str, str] = ("", ""),
) -> DatasetInfo:
    """Check the splits and write them, whole or not at all, in the types that `Split` names.

    Args:
        path: the file to write.
        splits: ``Train``, ``Val`` and ``Test``.
        targets: names of the columns of ``y``.
        source: where the data come from, in words.
        units: units of ``y``.
        flanks: constant bases at the left and right end of every sequence, if there are some.

    Raises:
        InputError: for an empty split, shapes that do not agree, sequences that are not one-hot,
            activities that are not finite, an id in two splits, or a sequence without the flanks.
    """
    splits = {name: _typed(split) for name, split in splits.items()}
    _check(splits, targets, source)
    _check_flanks(splits, flanks, source)
    _warn_of_shared_sequences(splits, source)
    digest = _sha256(splits, targets, flanks)
    with create_hdf5(path) as file:
        for name in SPLITS:
            group = file.create_group(name)
            for field, key in FIELDS.items():
                values = getattr(splits[name], field)
                if values is not None:
                    write_array(group, key, values)
        file.attrs.update(
            targets=json.dumps(list(targets)),
            units=units,
            source=source,
            sha256=digest,
            schema_version=SCHEMA_VERSION,
            **({"flanks": json.dumps(flanks)} if any(flanks) else {}),
        )
    total = sum(map(len, splits.values()))
    for name in SPLITS:
        n = len(splits[name])
        _log.info("%s: %s sequences (%.1f%%)", name, f"{n:,}", 100 * n / total)
    return read_info(path)


def read_info(path: str | os.PathLike[str]) -> DatasetInfo:
    """What the data set at ``path`` says of itself; InputError if it is not one of ours."""
    with open_hdf5(path) as file:
        _check_schema(path, file)
        info = _info(file)
    _check_content(path)
    return info


def _check_schema(path: str | os.PathLike[str], file: h5py.File) -> None:
    missing = [f"{s}/{k}" for s in SPLITS for k in ("X", "y") if f"{s}/{k}" not in file]
    version = file.attrs.get("schema_version")
    if missing or version != SCHEMA_VERSION:
        what = f"lacks {', '.join(missing)}" if missing else f"has schema version {version}"
        raise InputError(
            f"{path} {what}, where a data set of schema version {SCHEMA_VERSION} is needed; "
            "delete it and let the workflow make it again."
        )


def _info(file: h5py.File) -> DatasetInfo:
    x = {name: find_array(file, f"{name}/X") for name in SPLITS}
    left, right = map(str, json.loads(file.attrs.get("flanks", '["", ""]')))
    return DatasetInfo(
        targets=tuple(map(str, json.loads(file.attrs["targets"]))),
        units=str(file.attrs["units"]),
        source=str(file.attrs["source"]),
        sha256=str(file.attrs["sha256"]),
        sizes={name: len(array) for name, array in x.items()},
        length=x["Train"].shape[1],
        flanks=(left, right),
    )


def read_split(
    path: str | os.PathLike[str],
    name: str,
    *,
    rows: np.ndarray | None = None,
    fields: Sequence[str] = ("x", "y"),
) -> Split:
    """One split of a data set, or some of its rows.

    Args:
        path: a ``dataset.h5``.
        name: ``Train``, ``Val`` or ``Test``.
        rows: indices to keep, in this order; None keeps all.
        fields: which fields of a :class:`Split` to read; one that the file lacks is None.

    Raises:
        InputError: if the file is no data set of ours, or not as it was written.
    """
    _check_content(path)
    with open_hdf5(path) as file:
        group = file[name]
        values: dict[str, np.ndarray | None] = dict.fromkeys(("x", "y"), np.empty(0))
        for field in fields:
            if FIELDS[field] not in group:
                values[field] = None
                continue
            array = _read_field(group, field)
            # A whole training set of DeepSTARR is 0.4 GB, which need not be there twice.
            whole = rows is None or np.array_equal(rows, np.arange(len(array)))
            values[field] = array if whole else array[rows]
    return Split(**values)  # type: ignore[arg-type]


def read_subset(
    path: str | os.PathLike[str], dataset: str | os.PathLike[str], **label: Any
) -> np.ndarray:
    """Rows of a training subset.

    Args:
        path: ``subset.npy``.
        dataset: the study's ``dataset.h5``.
        label: what the file must be, such as its ``proportion``.

    Returns:
        (n,) sorted indices into Train, no two the same.

    Raises:
        InputError: if the file is not whole, or holds anything else; names it.
    """
    info = read_info(dataset)
    rows = read_npy(
        path, shape=(None,), dtype_kind="iu", **{"dataset_sha256": info.sha256, **label}
    )
    n = info.sizes["Train"]
    if not len(rows) or rows[0] < 0 or rows[-1] >= n or not (rows[1:] > rows[:-1]).all():
        raise InputError(
            f"{path} does not hold sorted, distinct rows of the {n} training sequences of "
            f"{dataset}; {MAKE_AGAIN}."
        )
    return rows


def _read_field(group: h5py.Group, field: str) -> np.ndarray:
    kinds = {"id": "O", "x": "u", "motif_mask": "u", "y_replicates": "u"}
    return read_array(group, FIELDS[field], dtype_kind=kinds.get(field, "f"))


def _check_content(path: str | os.PathLike[str]) -> None:
    """Refuse a data set whose arrays are not those that its ``sha256`` is of.

    A seal says so at the speed of reading the file. Without one (somebody has opened the file for
    writing) the arrays are read, which takes seconds for a large data set.
    """
    if not check_seal(path):
        state = os.stat(path)
        _check_sha256(os.fspath(path), state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=16)
def _check_sha256(path: str, *state: int) -> None:
    with open_hdf5(path) as file:
        _check_schema(path, file)
        info = _info(file)
        splits = {
            name: Split(
                **{
                    field: _read_field(file[name], field)
                    for field, key in FIELDS.items()
                    if key in file[name]
                }
            )
            for name in SPLITS
        }
        if _sha256(splits, info.targets, info.flanks) != info.sha256:
            raise InputError(
                f"{path} has been changed since it was written (its content has another SHA-256); "
                f"{MAKE_AGAIN}, or give what was changed to the workflow as its source of data."
            )


def _typed(split: Split) -> Split:
    """The split with every array but x in the type of the format; x is checked, not converted."""

    def array(values: np.ndarray | None, dtype: type | None = None) -> np.ndarray | None:
        return None if values is None else np.asarray(values, dtype=dtype)

    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused later
        return replace(
            split,
            x=np.asarray(split.x),
            y=np.asarray(split.y, dtype=np.float32),
            y_std=array(split.y_std, np.float32),
            y_replicates=array(split.y_replicates, np.uint16),
            id=array(split.id),
            motif_mask=array(split.motif_mask, np.uint8),
            activity=array(split.activity, np.float32),
            noise_std=array(split.noise_std, np.float32),
        )


def _check(splits: Mapping[str, Split], targets: Sequence[str], source: str) -> None:
    lengths: dict[int, str] = {}
    owner: dict[str, str] = {}
    for name in SPLITS:
        if name not in splits or len(splits[name]) == 0:
            raise InputError(
                f"{source}: the split {name} is empty; a data set needs Train, Val and Test."
            )
        split = splits[name]
        n = len(split)
        if (
            split.x.dtype != np.uint8
            or split.x.ndim != 3
            or split.x.shape[2] != 4
            or not split.x.size
        ):
            raise InputError(
                f"{source}: {name} holds sequences of shape {split.x.shape} and type "
                f"{split.x.dtype}, where uint8 one-hot of shape (N, L, 4) is needed."
            )
        lengths.setdefault(split.x.shape[1], name)
        if split.x.max() > 1 or split.x.sum(axis=2, dtype=np.uint8).max() > 1:
            raise InputError(f"{source}: {name} holds sequences that are not one-hot.")
        if split.y.shape != (n, len(targets)):
            raise InputError(
                f"{source}: {name} holds activities of shape {split.y.shape}, where "
                f"({n}, {len(targets)}) is needed for the targets {', '.join(targets)}."
            )
        for field, shape in (
            ("y_std", split.y.shape),
            ("y_replicates", split.y.shape),
            ("id", (n,)),
            ("motif_mask", (*split.x.shape[:2], len(targets))),
            ("activity", split.y.shape),
            ("noise_std", split.y.shape),
        ):
            values = getattr(split, field)
            if values is not None and values.shape != shape:
                raise InputError(
                    f"{source}: {name} holds {field} of shape {values.shape}, where {shape} is "
                    "needed."
                )
        bad = np.argwhere(~np.isfinite(split.y))
        if len(bad):
            row, column = bad[0]
            raise InputError(
                f"{source}: {name} row {row + 1} has no finite value for the target "
                f"{targets[column]}; fill it in or leave the sequence out."
            )
        for label in split.id if split.id is not None else ():
            if owner.setdefault(str(label), name) != name:
                raise InputError(
                    f"{source}: the id {label} occurs in both {owner[str(label)]} and {name}; a "
                    "sequence belongs to one split."
                )
    if len(lengths) > 1:
        described = ", ".join(f"{length} in {name}" for length, name in lengths.items())
        raise InputError(f"{source}: sequences differ in length ({described}); pad or trim them.")


def _check_flanks(splits: Mapping[str, Split], flanks: tuple[str, str], source: str) -> None:
    """Refuse a sequence that does not begin and end as all are said to."""
    left, right = map(len, flanks)
    length = splits["Train"].x.shape[1]
    if left + right >= length:
        raise InputError(
            f"{source}: flanks of {left} and {right} bases leave nothing of sequences of {length}; "
            "shorten them."
        )
    ends = ("begin", flanks[0], slice(left)), ("end", flanks[1], slice(length - right, None))
    for words, flank, place in ends:
        for name in SPLITS if flank else ():
            other = (splits[name].x[:, place] != one_hot([flank])).any(axis=(1, 2))
            if other.any():
                row, ids = int(other.argmax()), splits[name].id
                which = f"row {row + 1}" + (f" ({ids[row]})" if ids is not None else "")
                raise InputError(
                    f"{source}: the sequence of {name} {which} does not {words} with the flank "
                    f"{flank}; correct the flanks or leave the sequence out."
                )


def _warn_of_shared_sequences(splits: Mapping[str, Split], source: str) -> None:
    """Say how many test and validation sequences a model is trained on; a split may mean it so."""
    seen = {hash(row.tobytes()) for row in splits["Train"].x}
    for name in ("Val", "Test"):
        shared = sum(hash(row.tobytes()) in seen for row in splits[name].x)
        if shared:
            _log.warning(
                "%s: %s of %s sequences in %s are in Train too, so scores there are too good",
                *(source, f"{shared:,}", f"{len(splits[name]):,}", name),
            )


def _sha256(
    splits: Mapping[str, Split], targets: Sequence[str], flanks: tuple[str, str] = ("", "")
) -> str:
    """Hash of the content, the same whatever the compression or the version of HDF5."""
    digest = hashlib.sha256(json.dumps(list(targets)).encode())
    if any(flanks):
        digest.update(json.dumps(flanks).encode())
    for name in SPLITS:
        for field in FIELDS:
            values = getattr(splits[name], field)
            if values is None:
                continue
            digest.update(f"{name}/{field}{values.shape}".encode())
            if field == "id":
                digest.update("\n".join(map(str, values)).encode())
            else:
                digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
