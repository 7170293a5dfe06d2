"""Sources of data, one a module, each ending in the same ``dataset.h5``.

A source is a module, a YAML file of the module's name beside it, and a line in :data:`SOURCES`.

The YAML file describes the options that the source adds to the config's ``data``, with the words of
the config's schema (``degu/study/config/schema.yaml``): ``description`` of the source, ``required``
(names of options, none by default), ``properties``; and ``targets``, the default of the config's
list, where the source knows what it measures.

The module has a function ``ingest``, the other two where there is something to check:

``ingest(data, targets, path, seed)``
    Read everything, check it, and write ``path`` with :func:`degu.dataset.write_dataset`.
``preflight(data, targets)``
    Cheap checks of the configuration against the file's header, run before any job starts.
    Returns nothing; raises InputError with one sentence.
``check(data, targets, options)``
    What a schema cannot say of the options by themselves; raises InputError as well. It may write
    defaults that depend on other options into ``data``; ``options`` has the schema of each. Since
    it runs whenever a config is read, in every job on a cluster, it opens no file, and the module
    imports at its top nothing that takes long.

``data`` is the config's ``data`` section with every default filled in, ``targets`` the config's
list of targets, ``seed`` the study's seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from degu.errors import InputError


@dataclass(frozen=True)
class Source:
    """A source of data; its module is imported at first use.

    Attributes:
        name: ``data.source`` of a config.
        module: dotted name of its module.
        test_size: the option that says how many test sequences there will be, if one does.
    """

    name: str
    module: str
    test_size: str | None = None

    @property
    def options(self) -> Path:
        """The YAML file of its options; found without importing the module."""
        spec = find_spec(self.module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"data.source {self.name}: there is no module {self.module}.")
        return Path(spec.origin).with_suffix(".yaml")

    def load(self) -> ModuleType:
        """Its module."""
        return import_module(self.module)


SOURCES = {
    source.name: source
    for source in (
        Source("simulate", "degu.ingest.simulate", test_size="n_test"),
        Source("table", "degu.ingest.table"),
        Source("deepstarr", "degu.ingest.deepstarr"),
        Source("hdf5", "degu.ingest.hdf5"),
    )
}
"""Sources by name, in the order in which messages and the table of keys list them."""


def register(source: Source) -> None:
    """Enter a source in the registry; ValueError if its name is taken."""
    if source.name in SOURCES:
        raise ValueError(f"There is a source {source.name} already.")
    SOURCES[source.name] = source


@contextmanager
def registered(source: Source) -> Iterator[Source]:
    """Have a source in the registry for a while."""
    register(source)
    try:
        yield source
    finally:
        del SOURCES[source.name]


def source_of(data: Mapping[str, Any]) -> Source:
    """The source that a config's ``data`` names; InputError names those that there are."""
    name = data["source"]
    if not isinstance(name, str) or name not in SOURCES:
        raise InputError(
            f"data.source: {name!r} is not one of {', '.join(SOURCES)}; write one of these."
        )
    return SOURCES[name]


def check(data: dict[str, Any], targets: Sequence[str], options: Mapping[str, Any]) -> None:
    """Check the options by themselves, and give those that depend on others their defaults.

    Args:
        data: the config's ``data`` section; defaults are written into it.
        targets: the config's list of targets.
        options: the schema of each option, by name.

    Raises:
        InputError: for options that contradict each other.
    """
    # What says nothing must not change the parameters of jobs that are done.
    if not any(flanks_of(data)):
        data.pop("flanks", None)
    own = getattr(source_of(data).load(), "check", None)
    if own is not None:
        own(data, targets, options)


def flanks_of(data: Mapping[str, Any]) -> tuple[str, str]:
    """Constant bases at the left and right end of every sequence, empty where there are none."""
    given = data.get("flanks") or {}
    return given.get("left", "").upper(), given.get("right", "").upper()


def preflight(data: Mapping[str, Any], targets: Sequence[str]) -> None:
    """Check before any job starts that the source's file is there and has what is asked of it."""
    own = getattr(source_of(data).load(), "preflight", None)
    if own is not None:
        own(data, targets)


def ingest(data: Mapping[str, Any], targets: Sequence[str], path: str | Path, seed: int) -> None:
    """Make ``dataset.h5`` from the configured source."""
    source_of(data).load().ingest(data, targets, path, seed)
