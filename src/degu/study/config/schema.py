"""The JSON Schema of a config, and what it says of a key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from degu.ingest import SOURCES

PathLike = str | os.PathLike[str]
Schema = dict[str, Any]

SCHEMA = Path(__file__).with_name("schema.yaml")
"""The schema of a study's config."""

# Snakemake reads its Snakefile again in every job, and libyaml is ten times faster.
YamlLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""What YAML is read with, here and in configs."""


def load(path: PathLike = SCHEMA) -> Schema:
    """A schema as it is written, with the options of every source in ``degu.ingest.SOURCES``."""
    schema = _read(path)
    schema["properties"]["data"]["oneOf"] = branches = []
    for name, source in SOURCES.items():
        options = _read(source.options)
        if "targets" in options:
            schema["properties"]["targets"][f"default-{name}"] = options["targets"]
        kind = {"description": options["description"], "const": name}
        branches.append(
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["source", *options.get("required", [])],
                "properties": {"source": kind, **options["properties"]},
            }
        )
    return schema


def _read(path: PathLike) -> Schema:
    with open(path, encoding="utf-8") as stream:
        return yaml.load(stream, Loader=YamlLoader)


def sources_of(schema: Schema) -> dict[str, Schema]:
    """The schema of ``data`` for every source."""
    branches = schema["properties"]["data"]["oneOf"]
    return {branch["properties"]["source"]["const"]: branch for branch in branches}


def resolve(node: Schema, schema: Schema, source: str | None, default: Any = ...) -> Schema:
    """A node of the schema for one source of data: no references, every key with its default.

    A ``default`` from above overrides the node's own. Without a known source, of the keys of
    ``data`` only ``source`` remains.
    """
    if "$ref" in node:
        node = {**schema["$defs"][node["$ref"].rpartition("/")[2]], **node}
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


def join_key(parent: str, child: str) -> str:
    """The dotted name of a key below another; the parent of a key at the top is empty."""
    child = child if re.fullmatch(r"[\w.-]+", child) else repr(child)
    return f"{parent}.{child}" if parent else child


def choices_of(node: Schema) -> list[str] | None:
    """The names that a key is one of, in the schema or in a registry; None if it takes others.

    A registry is imported here, and so only if a config has the key, or gets it wrong.
    """
    if "enum-from" in node:
        module, _, name = node["enum-from"].partition(":")
        return list(getattr(import_module(module), name))
    return node.get("enum")


def type_of(node: Schema) -> str:
    """The JSON type of a node's values that are not null."""
    kinds = node.get("type", "string")
    return kinds if isinstance(kinds, str) else kinds[0]


def nullable(node: Schema) -> bool:
    """Whether null is among a node's values."""
    return "null" in node.get("type", "")
