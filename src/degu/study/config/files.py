"""Config files as a person writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from degu.errors import InputError
from degu.study.config.schema import PathLike, YamlLoader


def refuse_duplicate_keys(paths: Iterable[PathLike]) -> None:
    """Refuse config files in which a key is written twice.

    YAML takes the last one without a word.

    Args:
        paths: YAML or JSON files; Snakemake's ``workflow.configfiles``.

    Raises:
        InputError: names the file, the key and both lines; also for a file that cannot be read.
    """
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8")
            root = yaml.compose(text, Loader=YamlLoader)
            yaml.load(text, Loader=YamlLoader)  # refuses tags, of Python's objects or unknown
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{path} cannot be read as YAML ({reason}); correct the file."
            ) from error
        for key, lines in _twice(root, set()):
            raise InputError(
                f"{path}, line {lines[1]}: {key} is there already in line {lines[0]}; keep one of "
                "the two."
            )


def _twice(node: yaml.Node | None, seen: set[int]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Keys that are written twice in one mapping, with their lines, in the order of the file."""
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(item, seen)
    elif isinstance(node, yaml.MappingNode):
        first: dict[tuple[str, str], yaml.Node] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                before = first.setdefault((key.tag, key.value), key)
                if before is not key:
                    lines = before.start_mark.line + 1, key.start_mark.line + 1
                    yield key.value, lines
            yield from _twice(value, seen)
