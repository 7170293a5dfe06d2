"""Shifted sequences: test sequences made less and less like those that models are trained on.

``shift.h5`` has a group for each kind of shift, with ``X`` (copies · N, L, 4), N being the number
of test sequences: uint8 where all are one-hot, otherwise float32 (EvoAug may add noise); ``index``,
the row in Test; ``copy``, from 1; and ``id`` where the data set has them. All of copy 1 comes
first. Models predict each kind as they do the splits of a data set, and files of such predictions
(:func:`degu.io.predictions.write_predictions`) carry the ``sha256`` of the ``shift.h5`` that they
were made from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import h5py
import numpy as np

from degu.augment import (
    Augmentation,
    Augmenter,
    DinucleotideShuffle,
    RandomMutation,
    RandomShuffle,
)
from degu.dataset import read_info, read_split
from degu.errors import InputError
from degu.io.hdf5 import ROWS_PER_CHUNK, create_hdf5, find_array, open_hdf5, read_array, write_array
from degu.sequences import is_one_hot
from degu.sweep import derive_seed

PathLike = str | os.PathLike[str]


SHIFTS = ("small", "moderate", "dinucleotide", "large")
"""Kinds of shift, by size: a shuffle that keeps every dinucleotide changes less than one that does
not."""


NO_SHIFT = "none"
"""What the test sequences themselves are called beside the kinds of shift."""


BLOCK = 4096
"""Sequences shifted at once, to bound memory. The numbers that a sequence draws depend on it, so
that another value is another version of the science."""


_TEST = "Test"


_MAKE_AGAIN = "delete it and let the workflow make it again"


class ShiftInfo(NamedTuple):
    """What a ``shift.h5`` says of itself.

    Attributes:
        kinds: its kinds of shift, in the order of the config.
        copies: shifted copies of the test set in each kind.
        n_test: test sequences.
        sha256: hash of its content.
        dataset_sha256: of the data set whose test sequences were shifted.
    """

    kinds: tuple[str, ...]
    copies: int
    n_test: int
    sha256: str
    dataset_sha256: str


class Shifted(NamedTuple):
    """Sequences of one kind of shift; n = copies · N.

    Attributes:
        x: (n, L, 4), uint8 one-hot, or float32 if there is noise on any.
        index: (n,) row in Test.
        copy: (n,) from 1.
        id: (n,) strings, or None.
    """

    x: np.ndarray
    index: np.ndarray  # type: ignore[assignment]  # the column's name; nobody searches this tuple
    copy: np.ndarray
    id: np.ndarray | None


def write_shift(
    path: PathLike,
    dataset: PathLike,
    *,
    settings: Mapping[str, Any],
    evoaug: Mapping[str, Any] | None,
    seed: int,
) -> None:
    """Shift the test sequences of a data set, and write them whole or not at all.

    Each copy of each kind has a seed of its own, so that one more changes no other.

    Args:
        path: the file to write.
        dataset: the study's ``dataset.h5``.
        settings: the config's ``shift``: ``kinds``, ``copies``, for the kind small ``mutagenesis``
            (expected share of positions that change), and for the kind moderate ``per_sequence``
            (augmentations).
        evoaug: the config's ``evoaug``; only the kind moderate needs it.
        seed: the study's seed.

    Raises:
        InputError: for an unknown kind, or settings that an augmentation cannot have.
    """
    shifts = {kind: _shift(kind, settings, evoaug) for kind in settings["kinds"]}
    info = read_info(dataset)
    test = read_split(dataset, _TEST, fields=("x", "id"))
    n, copies = len(test), settings["copies"]
    with create_hdf5(path) as file:
        for kind, (shift, description) in shifts.items():
            seeds = [derive_seed(seed, "shift", kind=kind, copy=i + 1) for i in range(copies)]
            group = file.create_group(kind)
            write_array(group, "index", np.tile(np.arange(n), copies))
            write_array(group, "copy", np.repeat(np.arange(1, copies + 1), n))
            if test.id is not None:
                write_array(group, "id", np.tile(test.id, copies))
            _write_sequences(group, (copies * n, *info.input_shape), test.x, shift, seeds)
            group.attrs.update(description=description, sha256=_content_sha256(group))
        file.attrs.update(
            dataset_sha256=info.sha256,
            sha256=_file_sha256(info.sha256, {kind: file[kind].attrs["sha256"] for kind in shifts}),
            settings=json.dumps(settings),
            evoaug=json.dumps(evoaug),
            seed=seed,
        )


def _shift(
    kind: str, settings: Mapping[str, Any], evoaug: Mapping[str, Any] | None
) -> tuple[Augmentation, str]:
    """The augmentation that makes one kind of shift, and what it does in words."""
    if kind == "small":
        fraction = settings["mutagenesis"]
        mutation = RandomMutation(fraction)
        return mutation, f"random mutation of an expected share of {fraction:g} of the positions"
    if kind == "moderate":
        section = {"augmentations": (), **(evoaug or {})}
        drawn, listed = settings["per_sequence"], len(section["augmentations"])
        if drawn > listed:
            raise InputError(
                f"shift.per_sequence: {drawn} is more than the {listed} of evoaug.augmentations; "
                "write a smaller number or list more."
            )
        section |= {"per_batch": drawn, "hard": True, "each_sequence": True}
        described = f"EvoAug with {drawn} of the study's augmentations, drawn for each sequence"
        return Augmenter.from_config(section), described
    if kind == "large":
        return RandomShuffle(), "positions shuffled"
    if kind == "dinucleotide":
        return DinucleotideShuffle(), "shuffled with the number of every dinucleotide kept"
    raise InputError(f"shift.kinds: there is no kind {kind}; use some of {', '.join(SHIFTS)}.")


def _write_sequences(
    group: h5py.Group,
    shape: tuple[int, ...],
    x: np.ndarray,
    shift: Augmentation,
    seeds: Sequence[int],
) -> None:
    """Write ``X`` of one kind: a shifted copy of x (N, L, 4) for each seed."""

    def blocks() -> Iterator[np.ndarray]:
        for seed in seeds:
            rng = np.random.default_rng(seed)
            for start in range(0, len(x), BLOCK):
                yield shift(x[start : start + BLOCK], rng)

    # The type has to be known before anything is written, and drawing twice needs no memory.
    stored = group.create_dataset(
        "X",
        shape,
        np.uint8 if all(map(is_one_hot, blocks())) else np.float32,
        chunks=(min(shape[0], ROWS_PER_CHUNK), *shape[1:]),
        compression="gzip",
        compression_opts=4,
        track_times=False,
    )
    start = 0
    for block in blocks():
        stored[start : start + len(block)] = block.astype(stored.dtype)
        start += len(block)


def _content_sha256(group: h5py.Group) -> str:
    """Hash of the arrays of one kind, whatever their compression."""
    digest = hashlib.sha256()
    for key in sorted(group):
        stored = group[key]
        digest.update(f"{key}{stored.shape}{stored.dtype}".encode())
        values = stored.asstr() if key == "id" else stored
        for start in range(0, len(stored), BLOCK):
            block = values[start : start + BLOCK]
            digest.update(json.dumps(list(block)).encode() if key == "id" else block.data)
    return digest.hexdigest()


def _file_sha256(dataset_sha256: str, by_kind: Mapping[str, str]) -> str:
    return hashlib.sha256(
        json.dumps([dataset_sha256, by_kind], sort_keys=True).encode()
    ).hexdigest()


def read_shift_info(path: PathLike, dataset_sha256: str | None = None) -> ShiftInfo:
    """What the file at ``path`` says of itself.

    Args:
        path: a ``shift.h5``.
        dataset_sha256: of the data set that it must have been made for; None takes any.

    Raises:
        InputError: if it is not a whole ``shift.h5``, or of another data set.
    """
    with open_hdf5(path) as file:
        try:
            kinds = tuple(json.loads(file.attrs["settings"])["kinds"])
            by_kind = {kind: str(file[kind].attrs["sha256"]) for kind in kinds}
            copy = find_array(file, f"{kinds[0]}/copy")
            info = ShiftInfo(
                kinds=kinds,
                copies=int(copy[-1]),
                n_test=len(copy) // int(copy[-1]),
                sha256=str(file.attrs["sha256"]),
                dataset_sha256=str(file.attrs["dataset_sha256"]),
            )
            whole = info.sha256 == _file_sha256(info.dataset_sha256, by_kind)
        except (LookupError, OSError, ValueError):
            whole = False
    if not whole:
        raise InputError(f"{path} is not a whole file of shifted sequences; {_MAKE_AGAIN}.")
    if dataset_sha256 not in (None, info.dataset_sha256):
        raise InputError(f"{path} was made for another data set; {_MAKE_AGAIN}.")
    return info


def read_shift(path: PathLike, kind: str, dataset_sha256: str | None = None) -> Shifted:
    """Sequences of one kind of shift.

    Args:
        path: file of :func:`write_shift`.
        kind: one of :data:`SHIFTS` that it has.
        dataset_sha256: of the data set that it must have been made for; None takes any.

    Raises:
        InputError: if the file is not there, not whole or of another data set, or lacks the kind.
    """
    info = read_shift_info(path, dataset_sha256)
    if kind not in info.kinds:
        raise InputError(
            f"{path} has no sequences of the kind {kind}, only of {', '.join(info.kinds)}; add it "
            "to shift.kinds and run the workflow again."
        )
    with open_hdf5(path) as file:
        group = file[kind]
        try:
            # Sizes first: hashing would go on for as long as a damaged one says.
            shifted = Shifted(
                x=read_array(group, "X", shape=(len(group["index"]), None, 4)),
                index=read_array(group, "index", dtype_kind="i"),
                copy=read_array(group, "copy", dtype_kind="i"),
                id=read_array(group, "id", dtype_kind="O") if "id" in group else None,
            )
            whole = _content_sha256(group) == group.attrs["sha256"]
        except (LookupError, OSError, ValueError):
            whole = False
    if not whole:
        raise InputError(f"{path}: {kind} is not as it was written; {_MAKE_AGAIN}.")
    return shifted
