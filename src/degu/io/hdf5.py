"""HDF5 files: written whole or not at all, read as files that may come from anywhere."""

from __future__ import annotations

import os
import resource
import signal
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from math import prod
from pathlib import Path

import h5py
import numpy as np

from degu.errors import InputError
from degu.io.files import MAKE_AGAIN, atomic_path, check_seal, seal

ROWS_PER_CHUNK = 1024


WALK_SECONDS = 20
"""Seconds of the processor that a look at the structure of a foreign HDF5 file may take."""


# HDF5 itself raises the first two; a damaged file has objects of the wrong kind, too.
_DAMAGED = (
    *(OSError, RuntimeError, MemoryError),
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
)


def write_array(
    group: h5py.Group, key: str, values: np.ndarray, *, shuffle: bool | None = None
) -> h5py.Dataset:
    """Store an array chunked by rows and compressed; strings as UTF-8.

    Args:
        group: the file, or a group in it.
        key: of the array.
        values: the array.
        shuffle: whether bytes of equal weight are put side by side before they are compressed;
            None leaves it to h5py.
    """
    values = np.asarray(values)
    if values.dtype.kind in "UO":
        values = values.astype(h5py.string_dtype())
    chunks = (max(1, min(len(values), ROWS_PER_CHUNK)), *values.shape[1:])
    # Times within the file would make equal content differ byte by byte.
    return group.create_dataset(
        key,
        data=values,
        chunks=chunks,
        compression="gzip",
        compression_opts=4,
        shuffle=shuffle,
        track_times=False,
    )


@contextmanager
def create_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """An HDF5 file to be written, whole or not at all, with a seal (:func:`degu.io.files.seal`)."""
    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w") as file:
            yield file
        seal(temporary)


@contextmanager
def open_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Nothing but reading the file belongs into the body: what h5py raises there is taken as the
    file's fault.

    Raises:
        InputError: if the file is missing, another format, truncated or damaged, not as it was
            written, or lacks what the body reads; names the file.
    """
    if not check_seal(path):
        _check_end(path)
        state = os.stat(path)
        _check_walk(os.fspath(path), state.st_ino, state.st_size, state.st_mtime_ns)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"{path} is not a readable HDF5 file ({_reason(error)}); it may be truncated: delete "
            "it, then make or download it again."
        ) from error
    with file:
        try:
            yield file
        except InputError:
            raise
        except _DAMAGED as error:
            raise InputError(
                f"{path} is damaged or not a file of this kind ({_reason(error)}); delete it, then "
                "make or download it again."
            ) from error


@lru_cache(maxsize=1024)
def _check_walk(path: str, *state: int) -> None:
    """Refuse a file without a seal in which HDF5 itself goes astray.

    Its library never returns from some damaged files, and crashes on others. A child process walks
    through the file first, and may take only so much time of the processor.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads: the child needs none
        child = os.fork()
    if child == 0:
        lost = 1
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (WALK_SECONDS, WALK_SECONDS))
            for name in ("SIGXCPU", "SIGALRM", "SIGTERM", "SIGSEGV", "SIGABRT"):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            signal.alarm(10 * WALK_SECONDS)  # on the clock, should it wait for what never comes
            lost = _walk(path)
        finally:
            os._exit(lost)
    _, status = os.waitpid(child, 0)
    if status:
        raise InputError(
            f"{path} is damaged: the HDF5 library does not get through it; delete it, then make or "
            "download it again."
        )


def _walk(path: str) -> int:
    """0 if everything in the file can be listed, or the file cannot be opened at all."""
    try:
        file = h5py.File(path, "r")
    except OSError:
        return 0

    def look(name: str, item: h5py.Group | h5py.Dataset) -> None:
        for key in item.attrs:
            with suppress(Exception):  # what cannot be read is refused when it is asked for
                item.attrs[key]
        with suppress(Exception):
            if isinstance(item, h5py.Dataset):
                item.id.get_storage_size()
                if item.chunks:
                    item.id.get_num_chunks()
                if item.dtype.kind == "O":
                    item[()]

    look("/", file)
    file.visititems(look)
    return 0


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip("'\".") if lines else type(error).__name__


def _check_end(path: str | os.PathLike[str]) -> None:
    """Refuse a file without a seal that has a little after its end: a seal that is damaged."""
    with open(path, "rb") as stream:
        head, size = stream.read(56), stream.seek(0, os.SEEK_END)
    places = {0: 40, 1: 44, 2: 28, 3: 28}  # of the end's address, by version of the superblock
    if len(head) == 56 and head[:8] == b"\x89HDF\r\n\x1a\n" and head[8] in places:
        (end,) = struct.unpack_from("<Q", head, places[head[8]])
        if end < size <= end + 4096:
            raise InputError(f"{path} is damaged at its end; {MAKE_AGAIN}.")


def read_array(
    group: h5py.Group,
    key: str,
    *,
    shape: tuple[int | None, ...] | None = None,
    dtype_kind: str = "biuf",
) -> np.ndarray:
    """Read a whole array of an HDF5 file.

    Args:
        group: the file, or a group in it.
        key: of the array.
        shape: that it must have, None standing for any size; None takes any shape.
        dtype_kind: NumPy's letters of the kinds that it may be of; ``O`` for strings.

    Raises:
        InputError: if there is no such array, it has another type or shape, parts of it are
            missing, or it lies in another file; names file and key.
    """
    array = find_array(group, key)
    where = f"{array.file.filename}: {array.name}"
    if array.dtype.kind not in dtype_kind:
        raise InputError(f"{where} is of type {array.dtype}; {MAKE_AGAIN}.")
    if shape is not None and (
        len(shape) != array.ndim
        or any(n not in (None, got) for n, got in zip(shape, array.shape, strict=True))
    ):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise InputError(
            f"{where} has shape {array.shape}, where ({wanted}) is needed; {MAKE_AGAIN}."
        )
    if array.size and array.chunks:
        pieces = zip(array.shape, array.chunks, strict=True)
        whole = array.id.get_num_chunks() == prod(-(-n // size) for n, size in pieces)
    else:
        whole = not array.size or array.id.get_storage_size() > 0
    if not whole:  # HDF5 would read zeros
        raise InputError(f"{where} lacks a part of its values; {MAKE_AGAIN}.")
    return array.asstr()[()] if array.dtype.kind == "O" else array[()]


def find_array(group: h5py.Group, key: str, *, beside: bool = False) -> h5py.Dataset:
    """An array of an HDF5 file, not read yet.

    A file may come from anywhere: its links must not make us read others.

    Args:
        group: the file, or a group in it.
        key: of the array.
        beside: whether it may be a link to an HDF5 file in the same folder, or below it.

    Raises:
        InputError: if there is no such array, it lies in another file, or is larger than the file
            can hold; names file and key.
    """
    array = group.get(key)
    where = f"{group.file.filename}: {group.name.rstrip('/')}/{key}"
    if not isinstance(array, h5py.Dataset) or array.shape is None:
        raise InputError(f"{where} is missing or no array; {MAKE_AGAIN}.")
    home, other = (os.path.realpath(part.file.filename) for part in (group, array))
    near = other == home or (beside and Path(other).is_relative_to(Path(home).parent))
    if array.is_virtual or array.external or not near:
        raise InputError(f"{where} lies in another file; store the array itself.")
    # gzip makes at most 1032 bytes of one.
    if array.nbytes > 4096 * os.path.getsize(other):
        raise InputError(
            f"{where} has shape {array.shape}, more than the file holds; make it again."
        )
    return array
