"""What a prediction has got done, so that one that was killed can go on."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from degu.errors import InputError
from degu.io.files import atomic_path

FORMAT = 1


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Journal:
    """A folder beside an output, with the tables of which it will be made.

    Attributes:
        folder: ``.{name of the output}.degu``.
        done: rows of each table that is there, in order.
    """

    def __init__(self, output: Path, schema: pa.Schema) -> None:
        self.folder = output.with_name(f".{output.name}.degu")
        self.done: list[int] = []
        self._output, self._schema = output, schema

    @contextmanager
    def open(self, about: dict[str, Any], *, resume: bool) -> Iterator[None]:
        """Hold the journal while its output is made; it goes when that is, or cannot be.

        It stays where the process is stopped, by whatever it may be.

        Args:
            about: what decides the tables, as JSON.
            resume: whether those of before are kept; otherwise they are deleted.

        Raises:
            InputError: if another process holds it, or what is kept is of something else.
        """
        about = json.loads(json.dumps({"format": FORMAT, **about}))
        with self._locked():
            if resume:
                self._check(about)
                self.done = list(self._rows())
            else:
                self._clear()
            with atomic_path(self.folder / "journal.json") as temporary:
                temporary.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
            try:
                yield
            except Exception as error:
                if isinstance(error, InputError):  # what is there is of no use to a better input
                    self._remove()
                raise
            self._remove()

    def add(self, table: pa.Table) -> None:
        """Keep a table, whole or not at all."""
        path = self._path(len(self.done))
        with atomic_path(path) as temporary, pa.ipc.new_file(temporary, self._schema) as file:
            file.write_table(table)
        self.done.append(len(table))

    def tables(self) -> Iterator[pa.Table]:
        """Those that are kept, in order."""
        for number in range(len(self.done)):
            yield self._read(self._path(number))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.arrow"

    def _rows(self) -> Iterator[int]:
        number = 0
        while (path := self._path(number)).exists():
            yield len(self._read(path))
            number += 1

    def _read(self, path: Path) -> pa.Table:
        try:
            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_file(source).read_all()
            table.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path} is damaged; start again without --resume.") from error
        if not table.schema.equals(self._schema, check_metadata=True):
            raise InputError(f"{path} has other columns; start again without --resume.")
        return table

    def _check(self, about: dict[str, Any]) -> None:
        path = self.folder / "journal.json"
        if not path.exists():
            return
        try:
            found = json.loads(path.read_bytes()[: 1 << 20])
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path} is damaged; start again without --resume.") from error
        found = found if isinstance(found, dict) else {}
        other = [key for key, value in about.items() if found.get(key) != value]
        if other:
            raise InputError(
                f"{self._output} cannot be resumed, since other {', '.join(other)} had begun it; "
                "start again without --resume."
            )

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name != _LOCK:
                path.unlink()

    def _remove(self) -> None:
        self.done = []
        shutil.rmtree(self.folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes away; the kernel takes the lock back however this one ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / _LOCK, "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(
                    f"{self._output} is being written by another process; wait for it, or name "
                    "another output."
                ) from error
            yield


_LOCK = "lock"
