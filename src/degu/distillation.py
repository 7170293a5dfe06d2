"""What students learn from: the training sequences with the ensemble's mean and std.

``all_data_with_ensemble_metrics_hierarchical.h5`` has groups ``Train``, ``Val`` and ``Test``, each
with ``X``, ``y`` (N, 2T: a mean for each target, then a std for each) and ``y_assay`` (N, T). The
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

from degu.dataset import SPLITS, open_hdf5, read_info, read_split, write_array
from degu.errors import InputError
from degu.files import atomic_path
from degu.heads import Heads
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
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
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
    subset_sequences: str | os.PathLike[str] | None = None,
) -> None:
    """Write the training data of students.

    Args:
        path: the file to write.
        dataset: the study's ``dataset.h5``.
        rows: sorted indices into Train that the teachers were trained on.
        mean_train: the ensemble's mean on these rows (N, T).
        std: the ensemble's std (ddof 0) on each split, (N, T); Train on these rows.
        subset_sequences: file of :func:`write_subset_sequences` for the same rows; not needed
            where ``rows`` is the whole training set.

    Raises:
        InputError: if the shapes do not fit the data set, or a subset's sequences are not given or
            those of another one.
    """
    info = read_info(dataset)
    whole = np.array_equal(rows, np.arange(info.sizes["Train"]))
    if not whole:
        if subset_sequences is None:
            raise InputError(f"{path}: a subset of {dataset} needs a file with its sequences.")
        _check_subset(subset_sequences, dataset, info.sha256, rows)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for name in SPLITS:
            assay = read_split(
                dataset, name, rows=rows if name == "Train" else None, fields=("y",)
            ).y
            mean = mean_train if name == "Train" else assay
            if not mean.shape == std[name].shape == assay.shape:
                raise InputError(
                    f"{path}: the ensemble's {name} has mean {mean.shape} and std "
                    f"{std[name].shape}, but the assay has {assay.shape}; aggregate it again."
                )
            group = file.create_group(name)
            copied = name == "Train" and not whole
            source, key = (subset_sequences, "/X") if copied else (dataset, f"/{name}/X")
            # Relative, so that a results folder can be moved as a whole.
            relative = os.path.relpath(str(source), Path(path).parent)
            group["X"] = h5py.ExternalLink(relative, key)
            write_array(group, "y", np.concatenate([mean, std[name]], axis=-1, dtype=np.float32))
            write_array(group, "y_assay", assay)
        file.attrs["heads"] = Heads.student(info.targets, "std").to_json()
        file.attrs["dataset_sha256"] = info.sha256
        file.attrs["targets"] = json.dumps(list(info.targets))


def _check_subset(
    path: str | os.PathLike[str], dataset: str | os.PathLike[str], sha256: str, rows: np.ndarray
) -> None:
    with open_hdf5(path) as file:
        same = file.attrs["dataset_sha256"] == sha256 and np.array_equal(file["index"][:], rows)
    if not same:
        raise InputError(
            f"{path} holds other sequences than this subset of {dataset}; delete it and let the "
            "workflow make it again."
        )


class Lesson(NamedTuple):
    """One split as a student learns it: ``x`` (N, L, 4) uint8, ``y`` (N, 2T) float32, its heads."""

    x: np.ndarray
    y: np.ndarray
    heads: Heads


def read_distillation(
    path: str | os.PathLike[str], name: str, uncertainty: str, dataset_sha256: str | None = None
) -> Lesson:
    """One split of a distillation file as a student learns it.

    Args:
        path: file of :func:`write_distillation`.
        name: ``Train``, ``Val`` or ``Test``.
        uncertainty: ``std``, or ``logvar`` for the logarithm of its square.
        dataset_sha256: of the data set that the file must have been made for; None takes any.

    Raises:
        InputError: if it was made for another data set, or a file that it links to is gone or
            truncated.
    """
    with open_hdf5(path) as file:
        stored = Heads.from_json(file.attrs["heads"])
        if dataset_sha256 not in (None, file.attrs["dataset_sha256"]):
            raise InputError(
                f"{path} was made for another data set; delete it and run the workflow again."
            )
        try:
            x = file[name]["X"][:]
        except KeyError as error:
            link = file[name].get("X", getlink=True)
            raise InputError(
                f"{path} links to {link.filename}, which is not there or not whole; run the "
                "workflow again."
            ) from error
        y = file[name]["y"][:]
    if uncertainty == "logvar":
        columns = stored.slice("std")
        y[:, columns] = std_to_logvar(y[:, columns])
    return Lesson(x, y, Heads.student(stored.targets, uncertainty))


def read_lessons(
    path: str | os.PathLike[str], uncertainty: str, dataset_sha256: str | None = None
) -> tuple[Lesson, Lesson]:
    """What a student is trained on and what it is validated on; see :func:`read_distillation`."""
    train, validation = (
        read_distillation(path, name, uncertainty, dataset_sha256) for name in ("Train", "Val")
    )
    return train, validation
