"""The JSON Schema of a config: its sources, defaults and types."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from degu.study.config.wording import Schema, join_key

PathLike = str | os.PathLike[str]


# Schema


# Snakemake reads its Snakefile again in every job, and libyaml is ten times faster.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


SCHEMA = Path(__file__).with_name("schema.yaml")
"""The schema of a study's config."""


def load(path: PathLike = SCHEMA) -> Schema:
    """A schema as it is written."""
    with open(path, encoding="utf-8") as stream:
        return yaml.load(stream, Loader=_LOADER)


def _dereference(node: Schema, schema: Schema) -> Schema:
    if "$ref" not in node:
        return node
    return {**schema["$defs"][node["$ref"].rpartition("/")[2]], **node}


def sources_of(schema: Schema) -> dict[str, Schema]:
    """The schema of ``data`` for every source."""
    branches = (_dereference(branch, schema) for branch in schema["properties"]["data"]["oneOf"])
    return {branch["properties"]["source"]["const"]: branch for branch in branches}


def resolve(node: Schema, schema: Schema, source: str | None, default: Any = ...) -> Schema:
    """A node of the schema for one source of data: no references, every key with its default.

    A ``default`` from above overrides the node's own. Without a known source, of the keys of
    ``data`` only ``source`` remains.
    """
    node = _dereference(node, schema)
    if "oneOf" in node:
        sources = sources_of(schema)
        unknown: Schema = {"properties": {"source": {"enum": list(sources)}}}
        node = {**node, **sources.get(source or "", unknown)}
    layers = node.get("default", ...), node.get(f"default-{source}", ...), default
    given = [layer for layer in layers if layer is not ...]
    resolved = {key: value for key, value in node.items() if key not in ("$ref", "$defs", "oneOf")}
    if "properties" in node:
        below = {key: value for layer in given if layer for key, value in layer.items()}
        resolved["properties"] = {
            key: resolve(child, schema, source, below.get(key, ...))
            for key, child in node["properties"].items()
        }
    if "items" in node:
        resolved["items"] = resolve(node["items"], schema, source)
    if given:
        resolved["default"] = given[-1]
    return resolved


def keys_of(node: Schema, parent: str = "") -> Iterator[tuple[str, Schema]]:
    """Every key below a resolved node, by its dotted name."""
    for name, child in node.get("properties", {}).items():
        key = join_key(parent, name)
        yield key, child
        yield from keys_of(child, key)


def kind_of(node: Schema) -> str:
    """The JSON type of a node's values that are not null."""
    kinds = node.get("type", "string")
    return kinds if isinstance(kinds, str) else kinds[0]


def nullable(node: Schema) -> bool:
    return "null" in node.get("type", "")


def fill(value: Any, node: Schema) -> Any:
    """A copy of a valid value, with the defaults of a resolved node; keys in its order."""
    if isinstance(value, dict) and "properties" in node:
        filled = {}
        for key, child in node["properties"].items():
            item = value.get(key)
            if item is None:
                section = "properties" in child and not nullable(child)
                item = {} if section else child.get("default")
            filled[key] = fill(item, child)
        return filled
    if isinstance(value, list):
        return [fill(item, node.get("items", {})) for item in value]
    return value


def plain(value: Any) -> Any:
    """Nested mappings and sequences as dict and list, every key as text (YAML has others too)."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _is_number(_: object, value: object) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pattern(_: object, pattern: str, value: object, __: Schema) -> Iterator[ValidationError]:
    # Python's $ would let a line break at the end pass.
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern}")


Validator = validators.extend(
    Draft202012Validator,
    validators={"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _is_number, "integer": _is_integer}
    ),
)
