"""The study's config: its validation, its defaults, and the table that documents its keys.

All three come from one JSON Schema, ``workflow/schemas/config.schema.yaml``. ``python -m
degu.config README SCHEMA`` writes the table into a README, between the lines ``<!-- keys -->`` and
``<!-- /keys -->``.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from degu.errors import InputError
from degu.models import REGISTRY
from degu.sweep import SHORT_FORM, choose_arms, expand_arms

Schema = dict[str, Any]
PathLike = str | os.PathLike[str]

_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "boolean": "true or false",
}
# Of several errors, the one that explains others goes first: a misspelt key is a missing key too.
_RANK = ("additionalProperties", "required", "type", "enum", "minItems", "uniqueItems")


def validate(config: Mapping[str, Any], schema_path: PathLike) -> dict[str, Any]:
    """Check a config and fill in its defaults.

    Args:
        config: what a person wrote, configs that were laid over each other already merged. A null
            where the schema allows one is the same as leaving the key out.
        schema_path: the JSON Schema of the config.

    Returns:
        A new config with every key that the schema has for this source of data. ``arms`` is a
        list of blocks with all three lists; the short form is gone.

    Raises:
        InputError: for the first thing that is wrong; names the key and the remedy.
    """
    schema = _load(schema_path)
    given = _plain(config)
    data = given.get("data")
    source = data.get("source") if isinstance(data, dict) else None
    rules = _resolve(schema, schema, source if isinstance(source, str) else None)
    errors = list(_Validator(rules).iter_errors(given))
    if errors:
        raise InputError(_explain(min(errors, key=_relevance), rules, schema))
    short = [key for key in SHORT_FORM if given.get(key) is not None]
    if short and given.get("arms") is not None:
        raise InputError(
            f"arms: is given beside {short[0]}; keep one of the two (`{short[0]}: null` takes back "
            "what a config below this one says)."
        )
    filled = _fill(given, rules)
    block = {key: filled.pop(key) for key in SHORT_FORM}
    filled["arms"] = filled["arms"] or [block]
    _check_meaning(filled, rules)
    return filled


def display_name(config: Mapping[str, Any]) -> str:
    """Name of the config's architecture in file names: ``DeepSTARR``, or the ``model_name``.

    Raises:
        InputError: for an unknown architecture, or a ``model_name`` that is missing or idle.
    """
    model, model_name = config["model"], config.get("model_name")
    if model in REGISTRY:
        if model_name is not None:
            raise InputError(
                f"model_name: is for a model of your own, but {model} is called "
                f"{REGISTRY[model]}; remove the line."
            )
        return REGISTRY[model]
    module, _, function = model.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), function)):
        raise InputError(
            f"model: {model!r} is neither a known architecture ({', '.join(REGISTRY)}) nor a "
            "function of your own (my_package.my_module:build); "
            f"{_did_you_mean(model, REGISTRY) or 'write one of the two.'}"
        )
    if model_name is None:
        raise InputError(
            f"model_name: is missing; name {model} for its files, for example `model_name: MyNet`."
        )
    return model_name


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
            root = yaml.compose(text, Loader=_LOADER)
            yaml.load(text, Loader=_LOADER)  # refuses tags, of Python's objects or unknown
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


# Schema


# Snakemake reads its Snakefile again in every job, and libyaml is ten times faster.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _load(path: PathLike) -> Schema:
    with open(path, encoding="utf-8") as stream:
        return yaml.load(stream, Loader=_LOADER)


def _dereference(node: Schema, schema: Schema) -> Schema:
    if "$ref" not in node:
        return node
    return {**schema["$defs"][node["$ref"].rpartition("/")[2]], **node}


def _sources(schema: Schema) -> dict[str, Schema]:
    """The schema of ``data`` for every source."""
    branches = (_dereference(branch, schema) for branch in schema["properties"]["data"]["oneOf"])
    return {branch["properties"]["source"]["const"]: branch for branch in branches}


def _resolve(node: Schema, schema: Schema, source: str | None, default: Any = ...) -> Schema:
    """A node of the schema for one source of data: no references, every key with its default.

    A ``default`` from above overrides the node's own. Without a known source, of the keys of
    ``data`` only ``source`` remains.
    """
    node = _dereference(node, schema)
    if "oneOf" in node:
        sources = _sources(schema)
        unknown: Schema = {"properties": {"source": {"enum": list(sources)}}}
        node = {**node, **sources.get(source or "", unknown)}
    layers = node.get("default", ...), node.get(f"default-{source}", ...), default
    given = [layer for layer in layers if layer is not ...]
    resolved = {key: value for key, value in node.items() if key not in ("$ref", "$defs", "oneOf")}
    if "properties" in node:
        below = {key: value for layer in given if layer for key, value in layer.items()}
        resolved["properties"] = {
            key: _resolve(child, schema, source, below.get(key, ...))
            for key, child in node["properties"].items()
        }
    if "items" in node:
        resolved["items"] = _resolve(node["items"], schema, source)
    if given:
        resolved["default"] = given[-1]
    return resolved


def _keys(node: Schema, parent: str = "") -> Iterator[tuple[str, Schema]]:
    """Every key below a resolved node, by its dotted name."""
    for name, child in node.get("properties", {}).items():
        key = _join(parent, name)
        yield key, child
        yield from _keys(child, key)


def _kind(node: Schema) -> str:
    """The JSON type of a node's values that are not null."""
    kinds = node.get("type", "string")
    return kinds if isinstance(kinds, str) else kinds[0]


def _nullable(node: Schema) -> bool:
    return "null" in node.get("type", "")


def _fill(value: Any, node: Schema) -> Any:
    """A copy of a valid value, with the defaults of a resolved node; keys in its order."""
    if isinstance(value, dict) and "properties" in node:
        filled = {}
        for key, child in node["properties"].items():
            item = value.get(key)
            if item is None:
                section = "properties" in child and not _nullable(child)
                item = {} if section else child.get("default")
            filled[key] = _fill(item, child)
        return filled
    if isinstance(value, list):
        return [_fill(item, node.get("items", {})) for item in value]
    return value


def _plain(value: Any) -> Any:
    """Nested mappings and sequences as dict and list, every key as text (YAML has others too)."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _is_number(_: object, value: object) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pattern(_: object, pattern: str, value: object, __: Schema) -> Iterator[ValidationError]:
    # Python's $ would let a line break at the end pass.
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern}")


_Validator = validators.extend(
    Draft202012Validator,
    validators={"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _is_number, "integer": _is_integer}
    ),
)


# What a schema cannot say


def _check_meaning(config: dict[str, Any], rules: Schema) -> None:
    data, targets = config["data"], config["targets"]
    if targets is None:
        raise InputError(_missing("targets", rules["properties"]["targets"]))
    if "metric" in targets:
        raise InputError(
            "targets: metric is the name of another column of the results; rename the target."
        )
    if config["dataset"] == "simulated" and data["source"] != "simulate":
        raise InputError(
            "dataset: simulated is the name of the embedded study; give yours a name of its own, "
            "for example `dataset: my_assay`."
        )
    display_name(config)
    if data["source"] == "table":
        _check_table(data, targets, rules["properties"]["data"]["properties"]["split"])
    if data["source"] == "deepstarr":
        _check_release(data)
    for section in (name for name in config if name.endswith(("training", "finetuning"))):
        floor, start = config[section]["min_learning_rate"], config[section]["learning_rate"]
        if floor > start:
            raise InputError(
                f"{section}.min_learning_rate: {floor} is above the learning_rate, {start}; write "
                "a smaller one."
            )
    if config["require_gpu"] and not config["resources"]["train"]["gpu"]:
        raise InputError(
            "require_gpu: no training job asks for a GPU; write `resources: {train: {gpu: 1}}` "
            "besides."
        )
    _check_augmentation(config)
    _check_attribution(config)
    study = expand_arms(config["arms"])
    for section in ("dynamic_augmentation", "attribution"):
        try:
            choose_arms(study, config[section]["arms"] or [])
        except InputError as error:
            raise InputError(f"{section}.arms: {error}") from None


def _check_attribution(config: dict[str, Any]) -> None:
    settings, data = config["attribution"], config["data"]
    if data["source"] != "simulate" or not settings["methods"]:
        return  # how many test sequences there are is known after they are read
    n_test, bins, per_bin = data["n_test"], settings["bins"], settings["per_bin"]
    if bins * per_bin > n_test:
        raise InputError(
            f"attribution.bins: {bins} bins of {per_bin} (per_bin) need {bins * per_bin} test "
            f"sequences, but data.n_test is {n_test}; write a smaller number of either."
        )
    for key in ("top_n", "references") if "shap" in settings["methods"] else ("top_n",):
        if settings[key] > n_test:
            raise InputError(
                f"attribution.{key}: {settings[key]} is more than the {n_test} sequences of "
                "data.n_test; write a smaller number."
            )


def _check_augmentation(config: dict[str, Any]) -> None:
    """Also gives what depends on other keys its default."""
    evoaug, dynamic, shift = (config[k] for k in ("evoaug", "dynamic_augmentation", "shift"))
    kinds = config["students"]["uncertainty"]
    dynamic["uncertainty"] = dynamic["uncertainty"] or kinds[0]
    if dynamic["modes"] and dynamic["uncertainty"] not in kinds:
        raise InputError(
            f"dynamic_augmentation.uncertainty: {dynamic['uncertainty']} is not one of "
            f"students.uncertainty, {', '.join(kinds)}, so these students would have none to be "
            "compared with; write one of them or add it there."
        )
    shift["per_sequence"] = shift["per_sequence"] or min(2, len(evoaug["augmentations"]))
    drawn = {"evoaug.per_batch": evoaug["per_batch"]}
    if "evoaug" in dynamic["modes"]:
        drawn["dynamic_augmentation.per_batch"] = dynamic["per_batch"]
    if "moderate" in shift["kinds"]:
        drawn["shift.per_sequence"] = shift["per_sequence"]
    listed = len(evoaug["augmentations"])
    for key, number in drawn.items():
        if number > listed:
            raise InputError(
                f"{key}: {number} is more than the {listed} of evoaug.augmentations; write a "
                "smaller number or list more."
            )
    for name, parameters in evoaug["parameters"].items():
        for least, most in (("min_length", "max_length"), ("min_shift", "max_shift")):
            if least in parameters and parameters[least] > parameters[most]:
                raise InputError(
                    f"evoaug.parameters.{name}.{least}: {parameters[least]} is above the {most}, "
                    f"{parameters[most]}; write a smaller one."
                )


def _check_table(data: dict[str, Any], targets: list[str], split_rules: Schema) -> None:
    """Also gives ``split`` its defaults where no column says how to split."""
    if data["split_column"] is None:
        split = data["split"] = _fill(data["split"] or {}, split_rules)
        if split["val"] + split["test"] >= 1:
            raise InputError(
                f"data.split: val {split['val']} and test {split['test']} leave nothing to train "
                "on; write shares that add up to less than 1."
            )
    elif data["split"] is not None:
        raise InputError(
            "data.split: is given beside data.split_column; keep one of the two, a random split or "
            "that of the file."
        )
    for target in data["replicates"]:
        if target not in targets:
            raise InputError(
                f"data.replicates: {target!r} is not one of the targets {', '.join(targets)}; add "
                "it to targets or remove it here."
            )


def _check_release(data: dict[str, Any]) -> None:
    # The full file takes long to download, only to be refused for its row counts afterwards.
    full = "_all.txt"
    if data["release"] == "subset" and data["path"] is None and data["url"].endswith(full):
        raise InputError(
            "data.url: is that of the full release; for `release: subset` write "
            f"{data['url'].removesuffix(full)}_subset.txt."
        )


# Messages


def _relevance(error: ValidationError) -> tuple[int, int, str]:
    rank = _RANK.index(error.validator) if error.validator in _RANK else len(_RANK)
    return rank, len(error.absolute_path), error.json_path


def _explain(error: ValidationError, rules: Schema, schema: Schema) -> str:
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
            return _missing(_join(key, child), node["properties"][child])
        case "type":
            return _wrong_type(key, node, value, nested=len(error.absolute_path) > 1)
        case "enum":
            return (
                f"{key}: {_described(value)} is not one of {', '.join(node['enum'])}; "
                f"{_did_you_mean(value, node['enum']) or 'write one of these.'}"
            )
        case "pattern":
            allowed = f"{node['pattern-in-words']}{_such_as(node)}"
            return f"{key}: {value!r} does not fit; write {allowed}."
        case "minLength":
            return f"{key}: is empty; write text{_such_as(node)}."
        case "minItems":
            least = f"{node['minItems']}{_such_as(node)}"
            return f"{key}: has too few items ({len(value)}); list at least {least}."
        case "uniqueItems":
            twice = next(item for i, item in enumerate(value) if item in value[:i])
            return f"{key}: {_yaml(twice)} occurs twice; list it once."
        case _:
            size = "small" if "inimum" in str(error.validator) else "large"
            fitting = f"{_WORDS[_kind(node)]}, {_bounds(node)}{_such_as(node)}"
            return f"{key}: {_yaml(value)} is too {size}; write {fitting}."


def _unknown_key(
    parent: str, extra: str, given: dict[str, Any], known: Schema, rules: Schema, schema: Schema
) -> str:
    key, of = _join(parent, extra), parent or "the config"
    sources = [name for name, data in _sources(schema).items() if extra in data["properties"]]
    if parent == "data":
        of = f"source {given['source']}"
        if sources:
            return (
                f"{key}: is not a key of {of}; it belongs to source {_listed(sources, 'or')}: set "
                "data.source too, or remove the key."
            )
    elsewhere = {name: None for name, _ in _keys(rules) if name.rpartition(".")[2] == extra}
    if sources:
        elsewhere[f"data.{extra}"] = None
    if elsewhere:
        remedy = f"did you mean {_listed(elsewhere, 'or')}?"
    else:
        remedy = _did_you_mean(extra, known) or f"its keys are {_listed(known, 'and')}."
    return f"{key}: is not a key of {of}; {remedy}"


def _wrong_type(key: str, node: Schema, value: Any, nested: bool) -> str:
    kind = _kind(node)
    wanted = _WORDS[kind]
    remedy = f"write {'its keys below it' if kind == 'object' else wanted}{_such_as(node)}"
    if value is None:
        needless = "default" in node or ("properties" in node and "required" not in node)
        return f"{key}: has no value; {remedy}{', or remove the line' if needless else ''}."
    match kind, value:
        case "string", bool() | int() | float():
            remedy = "put it in quotation marks"
        case "integer" | "number", str() if (number := _number(value)) is not None:
            if _yaml(value) == value:
                remedy = f"YAML takes {value} for text, so write {_yaml(number)}"
            else:
                remedy = f"write {_yaml(number)} without quotation marks"
                remedy += ", in a file (--config makes text of nested values)" if nested else ""
        case "integer", float() if value.is_integer():
            remedy = f"write {int(value)}"
        case "number", float():
            wanted = "a finite number"
        case "array", str() | bool() | int() | float():
            remedy = f"write {_yaml([value])}"
    return f"{key}: is {_described(value)}, where {wanted} is needed; {remedy}."


def _missing(key: str, node: Schema) -> str:
    example = (node.get("examples") or node["enum"])[0]
    line = _yaml({key.rpartition(".")[2]: example})[1:-1]
    return f"{key}: is missing; add it, for example `{line}`."


def _described(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"{_yaml(value)} (as YAML reads {'yes and on' if value else 'no and off'})"
        case str():
            return f"the text {value!r}"
        case int() | float():
            return f"the number {_yaml(value)}"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"


def _such_as(node: Schema) -> str:
    example = node.get("default")
    if example is None:
        example = next(iter(node.get("examples", [])), None)
    return "" if example is None else f", such as {_yaml(example)}"


def _did_you_mean(word: object, choices: Iterable[str]) -> str:
    by_lower = {choice.lower(): choice for choice in choices}
    close = get_close_matches(str(word).lower(), by_lower, n=1)
    return f"did you mean {by_lower[close[0]]}?" if close else ""


def _number(text: str) -> int | float | None:
    """The finite number that a text spells, if it spells one."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else None
    return None


def _bounds(node: Schema) -> str:
    """``above 0 and at most 1``; empty without bounds."""
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    return " and ".join(f"{text} {node[key]}" for key, text in words.items() if key in node)


def _dotted(path: Iterable[str | int]) -> str:
    """``training.epochs``; inside a list of mappings ``arms.proportions (block 2)``."""
    parts = list(path)
    block = "".join(f" (block {part + 1})" for part in parts[:-1] if isinstance(part, int))
    key = ""
    for part in parts:
        key = _join(key, part) if isinstance(part, str) else key
    return key + block


def _join(parent: str, child: str) -> str:
    child = child if re.fullmatch(r"[\w.-]+", child) else repr(child)
    return f"{parent}.{child}" if parent else child


def _listed(items: Iterable[str], conjunction: str) -> str:
    *most, last = items
    return f"{', '.join(most)} {conjunction} {last}" if most else last


def _yaml(value: object) -> str:
    """A value as a person would type it."""
    text = yaml.safe_dump([value], default_flow_style=True, sort_keys=False, width=math.inf)
    return json.dumps(value) if "\n" in text.strip() else text.strip()[1:-1]


# Table of keys


def keys_table(schema_path: PathLike) -> str:
    """A markdown table of every key: what it takes, its defaults, its meaning.

    Defaults of the embedded study have a column of their own, blank where they do not differ.
    """
    schema = _load(schema_path)
    sources = {s: dict(_keys(_resolve(schema, schema, s))) for s in _sources(schema)}
    rows: list[tuple[str, ...]] = [
        ("key", "value", "default", "with `source: simulate`", "meaning"),
        ("---",) * 5,
    ]
    for key, node in _keys(_resolve(schema, schema, None)):
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
    if "properties" in node and not _nullable(node):
        return "required" if "required" in node else ""
    if "default" not in node:
        return "required"
    default = node["default"]
    return f"`{default if isinstance(default, str) else _yaml(default)}`"


def _value(node: Schema) -> str:
    """What a key takes, in words."""
    if "enum" in node:
        return f"one of {', '.join(f'`{choice}`' for choice in node['enum'])}"
    kind = _kind(node)
    words = _WORDS[kind].removeprefix("a ") + (" or null" if _nullable(node) else "")
    items, values = node.get("items", {}), node.get("additionalProperties")
    if "properties" in items:
        names = _listed((f"`{name}`" for name in items["properties"]), "and")
        return f"{words}; each item a mapping with {names}"
    if items:
        return f"{words}; each item {_value(items)}"
    if values:
        return f"{words}; each value a {_value(values)}"
    if "pattern-in-words" in node:
        return f"{words}: {node['pattern-in-words']}"
    return ", ".join(filter(None, (words, _bounds(node))))


def write_table(readme_path: PathLike, schema_path: PathLike) -> None:
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


if __name__ == "__main__":
    write_table(*sys.argv[1:3])
