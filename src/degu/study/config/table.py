"""The table of keys in ``config/README.md``, made from the schema."""

from __future__ import annotations

from pathlib import Path

from degu.errors import InputError
from degu.study.config.schema import (
    SCHEMA,
    PathLike,
    Schema,
    choices_of,
    keys_of,
    load,
    nullable,
    resolve,
    sources_of,
    type_of,
)
from degu.study.config.wording import WORDS, as_yaml, bounds, listed


def keys_table(schema_path: PathLike = SCHEMA) -> str:
    """A markdown table of every key: what it takes, its defaults, its meaning.

    Defaults of the embedded study have a column of their own, blank where they do not differ.
    """
    schema = load(schema_path)
    sources = {s: dict(keys_of(resolve(schema, schema, s))) for s in sources_of(schema)}
    rows: list[tuple[str, ...]] = [
        ("key", "value", "default", "with `source: simulate`", "meaning"),
        ("---",) * 5,
    ]
    for key, node in keys_of(resolve(schema, schema, None)):
        if key != "data.source":
            defaults = {source: _default(keys[key]) for source, keys in sources.items()}
            rows.append(_row(f"`{key}`", node, defaults))
            continue
        rows.append((f"`{key}`", _value(node), "required", "", "Kind of source."))
        for source, keys in sources.items():
            for name, child in keys.items():
                if name.startswith("data.") and name != key:
                    rows.append(_row(f"`{name}` ({source})", child, {}))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(key: str, node: Schema, by_source: dict[str, str]) -> tuple[str, ...]:
    default = _default(node)
    other = {source: text for source, text in by_source.items() if text != default}
    demonstration = other.pop("simulate", "")
    special = [f"{text} with `source: {source}`" for source, text in other.items()]
    shown = "; ".join([*special, f"otherwise {default}"]) if special else default
    return key, _value(node), shown, demonstration, " ".join(node["description"].split())


def _default(node: Schema) -> str:
    if "properties" in node and not nullable(node):
        return "required" if "required" in node else ""
    if "default" not in node:
        return "required"
    default = node["default"]
    return f"`{default if isinstance(default, str) else as_yaml(default)}`"


def _value(node: Schema) -> str:
    """What a key takes, in words."""
    choices = choices_of(node)
    if choices is not None:
        return f"one of {', '.join(f'`{choice}`' for choice in choices) or '(none yet)'}"
    kind = type_of(node)
    words = WORDS[kind].removeprefix("a ") + (" or null" if nullable(node) else "")
    items, values = node.get("items", {}), node.get("additionalProperties")
    if "properties" in items:
        names = listed((f"`{name}`" for name in items["properties"]), "and")
        return f"{words}; each item a mapping with {names}"
    if items:
        return f"{words}; each item {_value(items)}"
    if values:
        return f"{words}; each value a {_value(values)}"
    if "pattern-in-words" in node:
        return f"{words}: {node['pattern-in-words']}"
    return ", ".join(filter(None, (words, bounds(node))))


def write_table(readme_path: PathLike, schema_path: PathLike = SCHEMA) -> None:
    """Put the table of keys between the two marker comments of a README.

    Raises:
        InputError: if the markers are missing.
    """
    start, end = "<!-- keys -->", "<!-- /keys -->"
    readme = Path(readme_path)
    before, found, rest = readme.read_text(encoding="utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise InputError(f"{readme}: has no lines {start} and {end}; add them.")
    table = keys_table(schema_path)
    text = f"{before}{start}\n\n{table}\n{end}{after}"
    readme.write_text(text, encoding="utf-8")
