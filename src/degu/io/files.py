"""Files that are whole: written so, and known to be still so when they are read.

Nothing half-written ever carries a final name. HDF5 and ``.npy`` files end in a *seal*: a line
after all that their libraries read, with the SHA-256 of what is before it and a label that says
what the file is. A file without a seal (made by other means, or changed by a person) is read for
what it holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from degu.errors import InputError

_SEAL = b"\n#degu "


_LONGEST_SEAL = 4096


MAKE_AGAIN = "delete it and let the workflow make it again"


Label = dict[str, Any]


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there on success, remove it on failure.

    The temporary name keeps every suffix of the final one (Keras chooses a format by it). The
    file is flushed to disk before it is renamed, so that a crash leaves the old file or the new
    one, never a mixture.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix=f"-{path.name}")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes a private file; a result has the permissions that the user's umask gives.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; move it there on success, remove it on failure.

    Raises:
        InputError: if ``path`` exists and is not an empty folder, or cannot be made.
    """
    path = Path(path)
    try:
        if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
            raise InputError(f"{path} exists and is not an empty folder; name another one.")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=".writing-"))
    except OSError as error:
        raise InputError(
            f"{path} cannot be made ({error.strerror}); name another folder."
        ) from error
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, hexadecimal; InputError if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the file.") from error


def write_csv(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table without its index, whole or not at all; numbers read back exactly."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def write_npy(values: np.ndarray, path: str | os.PathLike[str], **label: object) -> None:
    """Write an array (a path ending in ``.npy``), whole or not at all, with a seal.

    Args:
        values: the array.
        path: the file to write.
        label: what it is, for :func:`read_npy` to compare: JSON values.
    """
    with atomic_path(path) as temporary:
        np.save(temporary, values, allow_pickle=False)
        seal(temporary, **label)


def read_npy(
    path: str | os.PathLike[str],
    *,
    shape: tuple[int | None, ...] | None = None,
    dtype_kind: str | None = None,
    finite: bool = True,
    **label: object,
) -> np.ndarray:
    """Read an array of numbers; no pickle is ever read.

    Args:
        path: a ``.npy`` file.
        shape: that it must have, None standing for any size; None takes any shape.
        dtype_kind: NumPy's letters of the kinds that it may be of, such as ``iu`` for integers;
            None takes any numbers.
        finite: whether all of them must be finite.
        label: what a file of :func:`write_npy` must be; one without a seal is taken.

    Raises:
        InputError: if the file is missing, empty, truncated or damaged, no array of numbers, of
            another type or shape, is labelled as something else, or holds a value that is not
            finite where all must be; names the file.
    """
    check_seal(path, **label)
    try:
        with open(path, "rb") as stream:
            values = np.lib.format.read_array(stream, allow_pickle=False)
            rest = stream.read()
    except Exception as error:  # NumPy parses a damaged header as Python
        reason = " ".join(str(error).split()).split(". ")[0] or type(error).__name__
        raise InputError(f"{path} is not a whole .npy file ({reason}); {MAKE_AGAIN}.") from error
    if rest and not rest.startswith(_SEAL):
        raise InputError(
            f"{path} is not a whole .npy file (it goes on after its array); {MAKE_AGAIN}."
        )
    if values.dtype.kind not in (dtype_kind or "biuf"):
        raise InputError(f"{path} holds values of type {values.dtype}; {MAKE_AGAIN}.")
    if shape is not None and (
        len(shape) != values.ndim
        or any(n not in (None, got) for n, got in zip(shape, values.shape, strict=True))
    ):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise InputError(
            f"{path} has shape {values.shape}, where ({wanted}{',' * (len(shape) == 1)}) is "
            f"needed; {MAKE_AGAIN}."
        )
    if finite and not np.isfinite(values).all():
        raise InputError(f"{path} holds values that are not finite; {MAKE_AGAIN}.")
    return values


def seal(path: str | os.PathLike[str], **label: object) -> None:
    """End a finished file with a line that holds the SHA-256 of its content, and its label.

    HDF5 and NumPy read a file no further than its own data end. HDF5 drops the line when the file
    is opened for writing.

    Args:
        path: the file.
        label: what it is: JSON values.
    """
    with open(path, "r+b") as stream:
        text = json.dumps(label, sort_keys=True)
        digest = hashlib.file_digest(stream, "sha256")
        digest.update(text.encode())
        stream.seek(0, os.SEEK_END)
        stream.write(_SEAL + f"{digest.hexdigest()} {text}\n".encode())


def check_seal(path: str | os.PathLike[str], **label: object) -> bool:
    """Whether the file has a seal.

    Args:
        path: the file.
        label: what the seal must say of it, where it says anything of these names.

    Raises:
        InputError: if the file is missing or cannot be read, or its seal is of other content or of
            something else than ``label``.
    """
    if not Path(path).is_file():
        what = "is a directory" if Path(path).is_dir() else "does not exist"
        raise InputError(f"{path} {what}; check the path.")
    try:
        state = os.stat(path)
        found = _seal_of(os.fspath(path), state.st_ino, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the file.") from error
    if found is None:
        return False
    whole, given = found
    if not whole:
        raise InputError(f"{path} is not as it was written (its SHA-256 differs); {MAKE_AGAIN}.")
    expected: Label = json.loads(json.dumps(label))
    for name, wanted in expected.items():
        if name in given and given[name] != wanted:
            raise InputError(
                f"{path} has {name} {given[name]!r}, where {wanted!r} is needed; {MAKE_AGAIN}."
            )
    return True


@lru_cache(maxsize=1024)  # a job opens the same files many times
def _seal_of(path: str, *state: int) -> tuple[bool, Label] | None:
    """Whether the content is that of the file's seal, and the label; None without a seal."""
    with open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _LONGEST_SEAL))
        _, mark, line = stream.read().rpartition(_SEAL)
        if not mark:
            return None
        try:
            digest, text = line.decode().removesuffix("\n").split(" ", 1)
            label = json.loads(text)
        except ValueError:
            return False, {}
        stream.seek(0)
        got, left = hashlib.sha256(), size - len(mark) - len(line)
        while left and (block := stream.read(min(left, 1 << 20))):
            got.update(block)
            left -= len(block)
    got.update(text.encode())
    whole = got.hexdigest() == digest and line.endswith(b"\n") and isinstance(label, dict)
    return whole, label
