"""A config is checked, and its defaults are filled in."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from degu.errors import InputError
from degu.study.config.meaning import check_meaning
from degu.study.config.messages import explain, relevance
from degu.study.config.schema import (
    SCHEMA,
    PathLike,
    Schema,
    choices_of,
    load,
    nullable,
    resolve,
)
from degu.sweep import SHORT_FORM


def validate(config: Mapping[str, Any], schema_path: PathLike = SCHEMA) -> dict[str, Any]:
    """Check a config and fill in its defaults.

    Args:
        config: what a person wrote, configs that were laid over each other already merged. A null
            where the schema allows one is the same as leaving the key out.
        schema_path: its JSON Schema.

    Returns:
        A new config with every key that the schema has for this source of data. ``arms`` is a
        list of blocks with all three lists; the short form is gone.

    Raises:
        InputError: for the first thing that is wrong; names the key and the remedy.
    """
    schema = load(schema_path)
    given = _plain(config)
    data = given.get("data")
    source = data.get("source") if isinstance(data, dict) else None
    rules = resolve(schema, schema, source if isinstance(source, str) else None)
    errors = list(Validator(rules).iter_errors(given))
    if errors:
        raise InputError(explain(min(errors, key=relevance), rules, schema))
    short = [key for key in SHORT_FORM if given.get(key) is not None]
    if short and given.get("arms") is not None:
        raise InputError(
            f"arms: is given beside {short[0]}; keep one of the two (`{short[0]}: null` takes back "
            "what a config below this one says)."
        )
    filled = _fill(given, rules)
    block = {key: filled.pop(key) for key in SHORT_FORM}
    filled["arms"] = filled["arms"] or [block]
    check_meaning(filled, rules)
    return filled


def _plain(value: Any) -> Any:
    """Nested mappings and sequences as dict and list, every key as text (YAML has others too)."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _fill(value: Any, node: Schema) -> Any:
    """A copy of a valid value, with the defaults of a resolved node; keys in its order."""
    if isinstance(value, dict) and "properties" in node:
        filled = {}
        for key, child in node["properties"].items():
            item = value.get(key)
            if item is None:
                section = "properties" in child and not nullable(child)
                item = {} if section else child.get("default")
            filled[key] = _fill(item, child)
        return filled
    if isinstance(value, list):
        return [_fill(item, node.get("items", {})) for item in value]
    return value


def _is_number(_: object, value: object) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pattern(_: object, pattern: str, value: object, __: Schema) -> Iterator[ValidationError]:
    # Python's $ would let a line break at the end pass.
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern}")


def _enum_from(_: object, registry: str, value: object, node: Schema) -> Iterator[ValidationError]:
    if value not in (choices_of(node) or ()):
        yield ValidationError(f"{value!r} is not in {registry}", validator="enum")


Validator = validators.extend(
    Draft202012Validator,
    validators={"pattern": _pattern, "enum-from": _enum_from},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _is_number, "integer": _is_integer}
    ),
)
"""JSON Schema as a config needs it: its annotation ``enum-from`` holds, numbers are finite."""
