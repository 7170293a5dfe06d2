"""One-hot sequences and activities in HDF5, in any of the layouts in circulation.

The file's name is never looked at; the names of its keys and the shapes decide:

=======================================  ==========================  ====================
keys                                     sequences                   activities
=======================================  ==========================  ====================
groups ``Train/X``, ``Train/y``, ...     (N, L, 4)                   (N, T)
flat ``X_Train``, ``y_Train``, ...       (N, L, 4)                   (N, T)
lower-case ``x_train``, ``y_train``,     (N, L, 4) or (N, 4, L)      (T, N)
``x_valid``, ...
=======================================  ==========================  ====================

Case is ignored, ``val``, ``valid`` and ``validation`` are the same, and each key may have either
order of axes. The order is told by shape:

- sequences have 4 as one of their last two sizes; where both are 4 they are taken as (N, L, 4);
- activities have N and T = the number of the config's targets; where N = T, the order is that of
  the other splits if they tell it, and that of the table above otherwise; (N,) is one target.

``y_std``, ``y_replicates``, ``motif_mask`` and ``id`` are read where they are there, so a data set
that this package wrote reads back as it was. So is ``idx`` in place of ``id``; integers in it that
occur in two splits number the rows within each, and become ``Train-0``, ``Val-0``, ... Nothing but
numbers and strings is ever read. Messages count rows from 1.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from degu.dataset import SPLITS, Split, write_dataset
from degu.errors import InputError
from degu.ingest import flanks_of
from degu.ingest.table import SPLIT_NAMES, source_file
from degu.io.hdf5 import find_array, open_hdf5

FIELDS = ("x", "y", "y_std", "y_replicates", "id", "idx", "motif_mask")

_BYTES_PER_BLOCK = 64 << 20
_SHOWN_KEYS = 20

# Replicates that a field of the format can count.
_MOST = np.iinfo(np.uint16).max

_WANTED = {"y_replicates": f", which is no number of replicates from 0 to {_MOST}"}


def preflight(data: Mapping[str, Any], targets: Sequence[str]) -> None:
    """Check keys, types and shapes against the config, without reading an array.

    Args:
        data: the config's ``data`` section.
        targets: names of the targets.

    Raises:
        InputError: as :func:`ingest`, for what can be told without the arrays' content.
    """
    path = source_file(data)
    with open_hdf5(path) as file:
        _plan(path, file, targets)


def ingest(
    data: Mapping[str, Any], targets: Sequence[str], path: str | os.PathLike[str], seed: int
) -> None:
    """Write ``dataset.h5`` from the file.

    Args:
        data: the config's ``data`` section.
        targets: names of the T targets, in the order of the file's.
        path: the file to write.
        seed: unused; the file has its splits.

    Raises:
        InputError: naming key and row, for a file that is missing, truncated or damaged, a key
            that is missing or there twice, shapes or a number of targets that do not fit, arrays
            that are not numeric, an empty split, splits of different lengths, sequences that are
            not one-hot, activities that are not finite, or an id in two splits.
    """
    source = source_file(data)
    with open_hdf5(source) as file:
        layouts = _plan(source, file, targets)
        arrays = {
            name: _read_split(source, file, layout, targets) for name, layout in layouts.items()
        }
        ids = _read_ids(source, file, layouts)
    splits = {name: Split(id=ids.get(name), **arrays[name]) for name in SPLITS}
    write_dataset(
        path,
        splits,
        targets=targets,
        source=f"HDF5 file {source.name}",
        units=data["units"],
        flanks=flanks_of(data),
    )


@dataclass(frozen=True)
class _Layout:
    """Where one split lies in the file, and the order of its axes."""

    keys: Mapping[str, str]
    bases_first: bool
    targets_first: bool


def _plan(path: Path, file: h5py.File, targets: Sequence[str]) -> dict[str, _Layout]:
    found = _find(path, file)
    _check_target_names(path, file, targets)
    for name in SPLITS:
        for field in ("x", "y"):
            if field not in found[name]:
                raise InputError(
                    f"{path} has no {_spell(found, name, field)}; it has {_listing(file)}."
                )
        for field in ("x", "y", "y_std", "y_replicates", "motif_mask"):
            key = found[name].get(field)
            if key is not None and file[key].dtype.kind not in "biuf":
                raise InputError(
                    f"{path}: {key} is of type {file[key].dtype}; store it as numbers."
                )
    bases_first = {name: _bases_first(path, file, found[name]["x"]) for name in SPLITS}
    lengths = {
        found[name]["x"]: file[found[name]["x"]].shape[2 if bases_first[name] else 1]
        for name in SPLITS
    }
    if len(set(lengths.values())) > 1:
        described = ", ".join(f"{length} in {key}" for key, length in lengths.items())
        raise InputError(
            f"{path}: sequences differ in length between splits ({described}); pad or trim them."
        )
    targets_first = _targets_first(path, file, found, len(targets))
    layouts = {
        name: _Layout(found[name], bases_first[name], targets_first[name]) for name in SPLITS
    }
    for layout in layouts.values():
        _check_companions(path, file, layout, len(targets))
    return layouts


def _find(path: Path, file: h5py.File) -> dict[str, dict[str, str]]:
    """Key of every field of every split: ``found["Val"]["x"] == "x_valid"``."""
    found: dict[str, dict[str, str]] = {name: {} for name in SPLITS}

    def add(key: str, split: str, field: str) -> None:
        name = SPLIT_NAMES.get(split.lower())
        # `get` gives None for a link that leads nowhere.
        if name is None or field.lower() not in FIELDS or not _is_dataset(file, key):
            return
        if _shape(file[key]):
            find_array(file, key, beside=True)
        other = found[name].setdefault(field.lower(), key)
        if other != key:
            raise InputError(
                f"{path} has both {other} and {key}; keep the one that is meant, or name a file "
                "with one of them."
            )

    for name in file:
        if name.lower() in SPLIT_NAMES and isinstance(file.get(name), h5py.Group):
            for field in file[name]:
                add(f"{name}/{field}", name, field)
        else:
            field, _, split = name.rpartition("_")
            add(name, split, field)
    return found


def _is_dataset(file: h5py.File, key: str) -> bool:
    return isinstance(file.get(key), h5py.Dataset)


def _spell(found: Mapping[str, Mapping[str, str]], split: str, field: str) -> str:
    """The missing key, spelt as the keys that are there are."""
    field = "X" if field == "x" else field
    lower = f"{field}_{'valid' if split == 'Val' else split}".lower()
    there = [key for keys in found.values() for key in keys.values()]
    if not there:
        return f"{split}/{field}, {field}_{split} or {lower}"
    if any("/" in key for key in there):
        return f"{split}/{field}"
    return lower if any(key.islower() for key in there) else f"{field}_{split}"


def _listing(file: h5py.File) -> str:
    keys = [
        key
        for name in file
        for key in (
            [f"{name}/{field}" for field in file[name]]
            if isinstance(file.get(name), h5py.Group)
            else [name]
        )
    ]
    return ", ".join(keys[:_SHOWN_KEYS]) + (", ..." if len(keys) > _SHOWN_KEYS else "") or "nothing"


def _check_target_names(path: Path, file: h5py.File, targets: Sequence[str]) -> None:
    """A data set of this package knows the order of its targets; the config must not change it."""
    stated = file.attrs.get("targets") if "schema_version" in file.attrs else None
    if not isinstance(stated, str):
        return
    with suppress(json.JSONDecodeError, TypeError):
        names = [str(name) for name in json.loads(stated)]
        if names != list(targets):
            raise InputError(
                f"targets: {path} holds {', '.join(names)}, not {', '.join(targets)}; name them "
                "as the file does."
            )


def _bases_first(path: Path, file: h5py.File, key: str) -> bool:
    """Whether sequences are (N, 4, L) rather than (N, L, 4)."""
    shape = _shape(file[key])
    if len(shape) != 3 or 4 not in shape[1:]:
        raise InputError(
            f"{path}: {key} has shape {shape}; store one-hot sequences as (N, L, 4) or (N, 4, L)."
        )
    if 0 in shape:
        raise InputError(f"{path}: {key} is empty; Train, Val and Test must each have rows.")
    return shape[2] != 4


def _targets_first(
    path: Path, file: h5py.File, found: Mapping[str, Mapping[str, str]], n_targets: int
) -> dict[str, bool]:
    """Whether activities are (T, N) rather than (N, T), for each split."""
    told: dict[str, bool] = {}
    for name in SPLITS:
        n = len(file[found[name]["x"]])
        key = found[name]["y"]
        stored = _shape(file[key])
        shape = (*stored, 1) if len(stored) == 1 else stored
        if shape in ((n, n_targets), (n_targets, n)):
            if n != n_targets:
                told[name] = shape != (n, n_targets)
        elif len(shape) == 2 and n in shape:
            there = shape[1] if shape[0] == n else shape[0]
            raise InputError(
                f"targets: {path} has {there} in {key} (shape {stored}), but the config "
                f"names {n_targets}; name each of them."
            )
        else:
            raise InputError(
                f"{path}: {key} has shape {stored}; for the {n} sequences of "
                f"{found[name]['x']} it must be ({n}, {n_targets}) or ({n_targets}, {n})."
            )
    agreed = set(told.values())

    def guess(key: str) -> bool:
        return agreed == {True} if len(agreed) == 1 else key.islower() and "/" not in key

    return {name: told[name] if name in told else guess(found[name]["y"]) for name in SPLITS}


def _check_companions(path: Path, file: h5py.File, layout: _Layout, n_targets: int) -> None:
    x, y = file[layout.keys["x"]], file[layout.keys["y"]]
    n, length = len(x), x.shape[2 if layout.bases_first else 1]
    needed: dict[str, list[tuple[int, ...]]] = {
        "y_std": [_shape(y)],
        "y_replicates": [_shape(y)],
        "motif_mask": [(n, length, n_targets)],
        "id": [(n,), (n, 1)],
        "idx": [(n,), (n, 1)],
    }
    for field, shapes in needed.items():
        key = layout.keys.get(field)
        if key is not None and _shape(file[key]) not in shapes:
            raise InputError(
                f"{path}: {key} has shape {_shape(file[key])} where {shapes[0]} is needed; correct "
                "or delete it."
            )


def _read_split(
    path: Path, file: h5py.File, layout: _Layout, targets: Sequence[str]
) -> dict[str, np.ndarray]:
    keys = layout.keys
    arrays = {"x": _read_one_hot(path, file, keys["x"], layout.bases_first)}
    # Of fewer than two replicates there is no std, which is NaN.
    wrong_in: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "y": lambda values: ~np.isfinite(values),
        "y_std": lambda values: np.isinf(values) | (values < 0),
        "y_replicates": lambda values: ~(np.isin(values, np.arange(_MOST + 1))),
    }
    for field, is_wrong in wrong_in.items():
        if field not in keys:
            continue
        values = _read_activities(file[keys[field]], layout.targets_first)
        wrong = is_wrong(values)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise InputError(
                f"{path}: {keys[field]} has {values[row, column]} in row {row + 1} for the target "
                f"{targets[column]}{_WANTED.get(field, '')}; correct it or leave the row out."
            )
        arrays[field] = values
    if "motif_mask" in keys:
        arrays["motif_mask"] = file[keys["motif_mask"]][()].astype(np.uint8)
    return arrays


def _read_one_hot(path: Path, file: h5py.File, key: str, bases_first: bool) -> np.ndarray:
    """Sequences as (N, L, 4) uint8, read in blocks: stored as float64 they are 8 times as large."""
    x = file[key]
    n, length = len(x), x.shape[2 if bases_first else 1]
    result = np.empty((n, length, 4), dtype=np.uint8)
    rows = max(1, _BYTES_PER_BLOCK // (length * 4 * x.dtype.itemsize))
    if x.chunks:
        # Whole chunks, so that none is decompressed twice.
        rows = -(-rows // x.chunks[0]) * x.chunks[0]
    for start in range(0, n, rows):
        block = x[start : start + rows]
        if bases_first:
            block = block.swapaxes(1, 2)
        ones = block == 1
        wrong = (ones.sum(axis=2, dtype=np.uint8) > 1) | ~(ones | (block == 0)).all(axis=2)
        if wrong.any():
            row, position = np.argwhere(wrong)[0]
            raise InputError(
                f"{path}: {key} has {block[row, position].tolist()} in row {start + row + 1} "
                f"at position {position + 1}, which is not one-hot; write a single 1, or zeros "
                "for an unknown base."
            )
        result[start : start + len(block)] = ones
    return result


def _read_activities(dataset: h5py.Dataset, targets_first: bool) -> np.ndarray:
    """(N, T) float32; what float32 cannot hold is infinite."""
    with np.errstate(over="ignore"):
        values = dataset[()].astype(np.float32)
    if values.ndim == 1:
        values = values[:, None]
    return np.ascontiguousarray(values.T if targets_first else values)


def _read_ids(path: Path, file: h5py.File, layouts: Mapping[str, _Layout]) -> dict[str, np.ndarray]:
    """Ids of the splits that have them, as strings."""
    ids: dict[str, np.ndarray] = {}
    numbered: dict[str, set[int]] = {}
    for name, layout in layouts.items():
        key = layout.keys.get("id", layout.keys.get("idx"))
        if key is None:
            continue
        dataset = file[key]
        if dataset.dtype.kind in "iu":
            values = dataset[()].ravel()
            if "id" not in layout.keys:
                numbered[name] = set(values.tolist())
        elif h5py.check_string_dtype(dataset.dtype) is not None:
            try:
                values = dataset.asstr()[()].ravel()
            except UnicodeDecodeError:
                raise InputError(
                    f"{path}: {key} is not UTF-8; store it in that encoding."
                ) from None
        else:
            raise InputError(
                f"{path}: {key} is of type {dataset.dtype}; store ids as strings or integers, or "
                "delete it."
            )
        ids[name] = np.array([str(value) for value in values], dtype=object)
    if sum(map(len, numbered.values())) > len(set().union(*numbered.values())):
        for name in numbered:
            ids[name] = np.array([f"{name}-{label}" for label in ids[name]], dtype=object)
    return ids


def _shape(dataset: h5py.Dataset) -> tuple[int, ...]:
    """Shape; () for a key without a value."""
    return dataset.shape or ()
