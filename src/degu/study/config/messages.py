"""What is wrong with a config, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from degu.study.config.schema import Schema, choices_of, join_key, keys_of, sources_of, type_of
from degu.study.config.wording import (
    WORDS,
    as_yaml,
    bounds,
    described,
    did_you_mean,
    listed,
    number_of,
    such_as,
)

if TYPE_CHECKING:
    from jsonschema import ValidationError

# Of several errors, the one that explains others goes first: a misspelt key is a missing key too.
_RANK = ("additionalProperties", "required", "type", "enum", "minItems", "uniqueItems")


def relevance(error: ValidationError) -> tuple[int, int, str]:
    """Sorts the errors of one config: the one to tell a person of comes first."""
    rank = _RANK.index(error.validator) if error.validator in _RANK else len(_RANK)
    return rank, len(error.absolute_path), error.json_path


def explain(error: ValidationError, rules: Schema, schema: Schema) -> str:
    """One sentence that says what is wrong and what to write instead."""
    key = _dotted(error.absolute_path)
    node: Any = error.schema
    value: Any = error.instance
    match error.validator:
        case "additionalProperties":
            extra = next(name for name in value if name not in node["properties"])
            return _unknown_key(key, extra, value, node["properties"], rules, schema)
        case "required":
            child = next(name for name in node["required"] if name not in value)
            return missing_key(join_key(key, child), node["properties"][child])
        case "type":
            return _wrong_type(key, node, value, nested=len(error.absolute_path) > 1)
        case "enum":
            choices = choices_of(node)
            if not choices:
                return (
                    f"{key}: {described(value)} is not known, since there are none yet; remove it."
                )
            return (
                f"{key}: {described(value)} is not one of {', '.join(choices)}; "
                f"{did_you_mean(value, choices) or 'write one of these.'}"
            )
        case "pattern":
            allowed = f"{node['pattern-in-words']}{such_as(node)}"
            return f"{key}: {value!r} does not fit; write {allowed}."
        case "minLength":
            return f"{key}: is empty; write text{such_as(node)}."
        case "minItems":
            least = f"{node['minItems']}{such_as(node)}"
            return f"{key}: has too few items ({len(value)}); list at least {least}."
        case "uniqueItems":
            twice = next(item for i, item in enumerate(value) if item in value[:i])
            return f"{key}: {as_yaml(twice)} occurs twice; list it once."
        case _:
            size = "small" if "inimum" in str(error.validator) else "large"
            fitting = f"{WORDS[type_of(node)]}, {bounds(node)}{such_as(node)}"
            return f"{key}: {as_yaml(value)} is too {size}; write {fitting}."


def missing_key(key: str, node: Schema) -> str:
    """The sentence for a required key that is not there."""
    examples = node.get("examples") or choices_of(node) or []
    line = as_yaml({key.rpartition(".")[2]: examples[0]})[1:-1]
    return f"{key}: is missing; add it, for example `{line}`."


def _unknown_key(
    parent: str, extra: str, given: dict[str, Any], known: Schema, rules: Schema, schema: Schema
) -> str:
    key, of = join_key(parent, extra), parent or "the config"
    sources = [name for name, data in sources_of(schema).items() if extra in data["properties"]]
    if parent == "data":
        of = f"source {given['source']}"
        if sources:
            return (
                f"{key}: is not a key of {of}; it belongs to source {listed(sources, 'or')}: set "
                "data.source too, or remove the key."
            )
    elsewhere = {name: None for name, _ in keys_of(rules) if name.rpartition(".")[2] == extra}
    if sources:
        elsewhere[f"data.{extra}"] = None
    if elsewhere:
        remedy = f"did you mean {listed(elsewhere, 'or')}?"
    else:
        remedy = did_you_mean(extra, known) or f"its keys are {listed(known, 'and')}."
    return f"{key}: is not a key of {of}; {remedy}"


def _wrong_type(key: str, node: Schema, value: Any, nested: bool) -> str:
    kind = type_of(node)
    wanted = WORDS[kind]
    remedy = f"write {'its keys below it' if kind == 'object' else wanted}{such_as(node)}"
    if value is None:
        needless = "default" in node or ("properties" in node and "required" not in node)
        return f"{key}: has no value; {remedy}{', or remove the line' if needless else ''}."
    match kind, value:
        case "string", bool() | int() | float():
            remedy = "put it in quotation marks"
        case "integer" | "number", str() if (number := number_of(value)) is not None:
            if as_yaml(value) == value:
                remedy = f"YAML takes {value} for text, so write {as_yaml(number)}"
            else:
                remedy = f"write {as_yaml(number)} without quotation marks"
                remedy += ", in a file (--config makes text of nested values)" if nested else ""
        case "integer", float() if value.is_integer():
            remedy = f"write {int(value)}"
        case "number", float():
            wanted = "a finite number"
        case "array", str() | bool() | int() | float():
            remedy = f"write {as_yaml([value])}"
    return f"{key}: is {described(value)}, where {wanted} is needed; {remedy}."


def _dotted(path: Iterable[str | int]) -> str:
    """``training.epochs``; inside a list of mappings ``arms.proportions (block 2)``."""
    parts = list(path)
    block = "".join(f" (block {part + 1})" for part in parts[:-1] if isinstance(part, int))
    key = ""
    for part in parts:
        key = join_key(key, part) if isinstance(part, str) else key
    return key + block
