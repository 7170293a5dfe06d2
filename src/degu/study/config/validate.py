"""A config is checked, and its defaults are filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from degu.errors import InputError
from degu.study.config.meaning import check_meaning
from degu.study.config.messages import explain, relevance
from degu.study.config.schema import SCHEMA, PathLike, Validator, fill, load, plain, resolve
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
    given = plain(config)
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
    filled = fill(given, rules)
    block = {key: filled.pop(key) for key in SHORT_FORM}
    filled["arms"] = filled["arms"] or [block]
    check_meaning(filled, rules)
    return filled
