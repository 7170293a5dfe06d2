"""What students learn from: the training sequences with the ensemble's mean and std.

``all_data_with_ensemble_metrics_hierarchical.h5`` has groups ``Train``, ``Val`` and ``Test``, each
with ``X``, ``y`` (N, 2T: a mean for each target, then a std for each) and ``y_assay`` (N, T). Where
the ensemble predicts an aleatoric variance, its logarithm is between the two, ``y`` (N, 3T). The
mean of ``Train/y`` is the ensemble's; that of ``Val`` and ``Test`` is the assay's. ``X`` is a link
to the data set, or to the one copy of a subset that all arms of a proportion share.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from degu.dataset import SPLITS, read_info, read_split
from degu.errors import InputError
from degu.heads import Heads
from degu.io.files import MAKE_AGAIN
from degu.io.hdf5 import create_hdf5, open_hdf5, read_array, write_array
from degu.uncertainty import std_to_logvar

FILE_NAME = "all_data_with_ensemble_metrics_hierarchical.h5"


def write_subset_sequences(
    path: str | os.PathLike[str], dataset: str | os.PathLike[str], rows: np.ndarray
) -> None:
    """Copy the training sequences of a subset to a file of their own (``X``, ``index``).

    HDF5 could spare the copy with a virtual dataset, but the time it takes to map scattered rows
    grows with their square (1 s for 10,000 rows, minutes for 200,000).
    """
    info = read_info(dataset)
    split = read_split(dataset, "Train", rows=rows, fields=("x",))
    with create_hdf5(path) as file:
        write_array(file, "X", split.x)
        write_array(file, "index", np.asarray(rows))
        file.attrs["dataset_sha256"] = info.sha256


def write_distillation(
    path: str | os.PathLike[str],
    *,
    dataset: str | os.PathLike[str],
    rows: np.ndarray,
    mean_train: np.ndarray,
    std: Mapping[str, np.ndarray],
    aleatoric: Mapping[str, np.ndarray] | None = None,
    subset_sequences: str | os.PathLike[str] | None = None,
    **arm: object,
) -> None:
    """Write the training data of students.

    Args:
        path: the file to write.
        dataset: the study's ``dataset.h5``.
        rows: sorted indices into Train that the teachers were trained on.
        mean_train: the ensemble's mean on these rows (N, T).
        std: the ensemble's std (ddof 0) on each split, (N, T); Train on these rows.
        aleatoric: logarithm of its aleatoric variance on each split, likewise; None without.
        subset_sequences: file of :func:`write_subset_sequences` for the same rows; not needed
            where ``rows`` is the whole training set.
        arm: whose ensemble it is: JSON values, for :func:`read_distillation` to compare.

    Raises:
        InputError: if the shapes do not fit the data set, or a subset's sequences are not given or
            those of another one.
    """
    info = read_info(dataset)
    heads = Heads.student(info.targets, "std", aleatoric is not None)
    whole = np.array_equal(rows, np.arange(info.sizes["Train"]))
    if not whole:
        if subset_sequences is None:
            raise InputError(f"{path}: a subset of {dataset} needs a file with its sequences.")
        _check_subset(subset_sequences, dataset, info.sha256, rows)
    with create_hdf5(path) as file:
        for name in SPLITS:
            assay = read_split(
                dataset, name, rows=rows if name == "Train" else None, fields=("y",)
            ).y
            mean = mean_train if name == "Train" else assay
            labels = {"mean": mean, "std": std[name]}
            if aleatoric is not None:
                labels["aleatoric"] = aleatoric[name]
            parts = [labels[kind] for kind in heads.kinds]
            if any(part.shape != assay.shape for part in parts):
                shapes = [f"{kind} {labels[kind].shape}" for kind in heads.kinds]
                raise InputError(
                    f"{path}: the ensemble's {name} has {', '.join(shapes[:-1])} and {shapes[-1]}, "
                    f"but the assay has {assay.shape}; aggregate it again."
                )
            group = file.create_group(name)
            copied = name == "Train" and not whole
            source, key = (subset_sequences, "/X") if copied else (dataset, f"/{name}/X")
            # Relative, so that a results folder can be moved as a whole.
            relative = os.path.relpath(str(source), Path(path).parent)
            group["X"] = h5py.ExternalLink(relative, key)
            write_array(group, "y", np.concatenate(parts, axis=-1, dtype=np.float32))
            write_array(group, "y_assay", assay)
        file.attrs["heads"] = heads.to_json()
        file.attrs["dataset_sha256"] = info.sha256
        file.attrs["targets"] = json.dumps(list(info.targets))
        file.attrs["arm"] = json.dumps(arm)


def _check_subset(
    path: str | os.PathLike[str], dataset: str | os.PathLike[str], sha256: str, rows: np.ndarray
) -> None:
    with open_hdf5(path) as file:
        index = read_array(file, "index", dtype_kind="iu")
        same = file.attrs["dataset_sha256"] == sha256 and np.array_equal(index, rows)
    if not same:
        raise InputError(
            f"{path} holds other sequences than this subset of {dataset}; delete it and let the "
            "workflow make it again."
        )


class Lesson(NamedTuple):
    """One split as a student learns it: ``x`` (N, L, 4) uint8, ``y`` (N, heads) float32."""

    x: np.ndarray
    y: np.ndarray
    heads: Heads


def read_distillation(
    path: str | os.PathLike[str],
    name: str,
    uncertainty: str,
    dataset_sha256: str | None = None,
    **arm: object,
) -> Lesson:
    """One split of a distillation file as a student learns it.

    Args:
        path: file of :func:`write_distillation`.
        name: ``Train``, ``Val`` or ``Test``.
        uncertainty: ``std``, or ``logvar`` for the logarithm of its square.
        dataset_sha256: of the data set that the file must have been made for; None takes any.
        arm: whose ensemble it must be, as far as the file says it.

    Raises:
        InputError: if it was made for another data set or ensemble, holds other arrays than it
            should, or a file that it links to is gone, truncated or of another data set.
    """
    with open_hdf5(path) as file:
        stored = Heads.from_json(file.attrs["heads"])
        made_for = file.attrs["dataset_sha256"]
        if dataset_sha256 not in (None, made_for):
            raise InputError(
                f"{path} was made for another data set; delete it and run the workflow again."
            )
        said = json.loads(file.attrs.get("arm", "{}"))
        for key, wanted in arm.items():
            if said.get(key, wanted) != wanted:
                raise InputError(
                    f"{path} is of the ensemble with {key} {said[key]!r}, where {wanted!r} is "
                    f"needed; {MAKE_AGAIN}."
                )
        y = read_array(file[name], "y", shape=(None, len(stored)), dtype_kind="f")
        link = file[name].get("X", getlink=True)
    x = _follow(path, link, made_for)
    if x.ndim != 3 or x.shape[2] != 4 or len(x) != len(y):
        raise InputError(
            f"{path}: {name} has sequences of shape {x.shape} for {len(y)} rows; {MAKE_AGAIN}."
        )
    columns = stored.slice("std")
    if not np.isfinite(y).all() or (y[:, columns] < 0).any():
        raise InputError(
            f"{path}: {name} has a value that is not finite, or a negative std; {MAKE_AGAIN}."
        )
    if uncertainty == "logvar":
        y[:, columns] = std_to_logvar(y[:, columns])
    return Lesson(x, y, stored.of_members.with_epistemic(uncertainty))


def _follow(path: str | os.PathLike[str], link: object, dataset_sha256: str) -> np.ndarray:
    """The sequences that a distillation file links to.

    HDF5 would follow a link to any file. This one leads to sequences of the same data set, or is
    refused.
    """
    if not isinstance(link, h5py.ExternalLink):
        raise InputError(f"{path} has no link to its sequences; {MAKE_AGAIN}.")
    target = Path(os.path.normpath(Path(path).parent / link.filename))
    try:
        with open_hdf5(target) as file:
            own = "sha256" if "schema_version" in file.attrs else "dataset_sha256"
            same = file.attrs[own] == dataset_sha256
            x = read_array(file, link.path, dtype_kind="u")
    except InputError as error:
        raise InputError(
            f"{path} links to {link.filename}, which is not there or not whole; run the workflow "
            "again."
        ) from error
    if not same:
        raise InputError(
            f"{path} links to {link.filename}, which is of another data set; {MAKE_AGAIN}."
        )
    return x


def read_lessons(
    path: str | os.PathLike[str],
    uncertainty: str,
    dataset_sha256: str | None = None,
    **arm: object,
) -> tuple[Lesson, Lesson]:
    """What a student is trained on and what it is validated on; see :func:`read_distillation`."""
    train, validation = (
        read_distillation(path, name, uncertainty, dataset_sha256, **arm)
        for name in ("Train", "Val")
    )
    return train, validation
