"""Writing files so that nothing half-written ever carries a final name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd


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


def write_csv(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table without its index, whole or not at all; numbers read back exactly."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def write_npy(values: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write an array (a path ending in ``.npy``), whole or not at all."""
    with atomic_path(path) as temporary:
        np.save(temporary, values, allow_pickle=False)
