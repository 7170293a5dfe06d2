"""Words for keys, values and remedies."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from difflib import get_close_matches

import yaml

from degu.study.config.schema import Schema

WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "boolean": "true or false",
}
"""What a JSON type is called."""


def described(value: object) -> str:
    """A value as a message names it: ``the text '5'``, ``a list``."""
    match value:
        case None:
            return "null"
        case bool():
            return f"{as_yaml(value)} (as YAML reads {'yes and on' if value else 'no and off'})"
        case str():
            return f"the text {value!r}"
        case int() | float():
            return f"the number {as_yaml(value)}"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"


def such_as(node: Schema) -> str:
    """``, such as 0.001``: a key's default or its first example; empty without either."""
    example = node.get("default")
    if example is None:
        example = next(iter(node.get("examples", [])), None)
    return "" if example is None else f", such as {as_yaml(example)}"


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """A question that names the choice most like a word; empty if none is like it."""
    by_lower = {choice.lower(): choice for choice in choices}
    close = get_close_matches(str(word).lower(), by_lower, n=1)
    return f"did you mean {by_lower[close[0]]}?" if close else ""


def number_of(text: str) -> int | float | None:
    """The finite number that a text spells, if it spells one."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else None
    return None


def bounds(node: Schema) -> str:
    """``above 0 and at most 1``; empty without bounds."""
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    return " and ".join(f"{text} {node[key]}" for key, text in words.items() if key in node)


def listed(items: Iterable[str], conjunction: str) -> str:
    """``a, b or c``."""
    *most, last = items
    return f"{', '.join(most)} {conjunction} {last}" if most else last


def as_yaml(value: object) -> str:
    """A value as a person would type it."""
    text = yaml.safe_dump([value], default_flow_style=True, sort_keys=False, width=math.inf)
    return json.dumps(value) if "\n" in text.strip() else text.strip()[1:-1]
