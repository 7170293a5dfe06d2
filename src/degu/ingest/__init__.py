"""Sources of data, one a module, each ending in the same ``dataset.h5``.

A source module has two functions:

``preflight(data, targets)``
    Cheap checks of the configuration against the file's header, run before any job starts.
    Returns nothing; raises InputError with one sentence.
``ingest(data, targets, path, seed)``
    Read everything, check it, and write ``path`` with :func:`degu.dataset.write_dataset`.

``data`` is the config's ``data`` section with every default filled in, ``targets`` the config's
list of targets, ``seed`` the study's seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

SOURCES = ("simulate", "table", "deepstarr", "hdf5")


def source_module(source: str) -> ModuleType:
    """The module of a source."""
    return import_module(f"degu.ingest.{source}")


def preflight(data: Mapping[str, Any], targets: Sequence[str]) -> None:
    """Check before any job starts that the source's file is there and has what is asked of it."""
    source_module(data["source"]).preflight(data, targets)


def ingest(data: Mapping[str, Any], targets: Sequence[str], path: str | Path, seed: int) -> None:
    """Make ``dataset.h5`` from the configured source."""
    source_module(data["source"]).ingest(data, targets, path, seed)
