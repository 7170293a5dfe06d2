"""degu.study.config.schema: what is written in it, and the registries that it asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module

import pytest
from jsonschema import Draft202012Validator
from laid_over import checked, message

from degu.augment import REGISTRY as AUGMENTATIONS
from degu.ingest import SOURCES
from degu.study.config.schema import choices_of, keys_of, load, resolve, sources_of
from degu.study.config.validate import Validator


def nodes_of(node: object) -> Iterator[dict]:
    """Every mapping of a schema."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes_of(value)
    elif isinstance(node, list):
        for value in node:
            yield from nodes_of(value)


class TestSchema:
    def test_is_a_json_schema(self):
        Draft202012Validator.check_schema(load())

    def test_every_level_is_closed_and_every_key_is_described_and_typed(self):
        for node in nodes_of(load()):
            if not isinstance(node.get("properties"), dict):
                continue
            assert node["additionalProperties"] is False
            for key, child in node["properties"].items():
                assert child.get("description"), key
                assert {"type", "enum", "enum-from", "const", "$ref"} & set(child), key

    def test_defaults_obey_their_own_rules(self):
        schema = load()
        for node in nodes_of(schema):
            for key, value in node.items():
                if key.startswith("default") and not isinstance(value, dict):
                    full = {**node, "$defs": schema["$defs"]}
                    assert Validator(full).is_valid(value), (node, key)

    def test_sources_are_those_of_ingest(self):
        assert list(sources_of(load())) == list(SOURCES)


# A config for each key whose values are the names of a registry.
REGISTERED = {
    "evoaug.augmentations": "evoaug: {augmentations: [dummy]}",
    "dynamic_augmentation.modes": "dynamic_augmentation: {modes: [dummy]}",
    "shift.kinds": "shift: {kinds: [dummy]}",
    "attribution.methods": "attribution: {methods: [dummy]}",
    "baselines": "baselines: [dummy]",
    "data.release": "{dataset: a, data: {source: deepstarr, release: dummy}}",
}


def registry_of(key: str) -> tuple[object, str]:
    """Module and name of the registry that the schema asks for a key's values."""
    schema = load()
    node = dict(keys_of(resolve(schema, schema, "deepstarr")))[key]
    module, _, name = node.get("items", node)["enum-from"].partition(":")
    return import_module(module), name


class TestRegistries:
    @pytest.mark.parametrize("key", REGISTERED)
    def test_what_is_registered_is_valid_and_nothing_else(self, key, monkeypatch):
        assert message(REGISTERED[key]).startswith(f"{key}: the text 'dummy' is no")
        module, name = registry_of(key)
        registry = getattr(module, name)
        if isinstance(registry, dict):
            # What else it is does not matter here.
            monkeypatch.setitem(registry, "dummy", next(iter(registry.values()), None))
        else:
            monkeypatch.setattr(module, name, (*registry, "dummy"))
        config = checked(REGISTERED[key], "evoaug: {per_batch: 1}", "shift: {per_sequence: 1}")
        for part in key.split("."):
            config = config[part]
        assert config in ("dummy", ["dummy"])
        # A misspelt name is told all that there are now.
        text = message(REGISTERED[key].replace("dummy", "dumy"))
        assert text.endswith("dummy; did you mean dummy?")

    def test_every_key_that_asks_a_registry_is_tried_here(self):
        asking = [node for node in nodes_of(load()) if "enum-from" in node]
        assert len(asking) == len(REGISTERED)

    def test_where_nothing_is_registered_there_is_a_sentence_for_it(self, monkeypatch):
        monkeypatch.setattr(*registry_of("baselines"), {})
        text = message("baselines: [mc_dropout]")
        assert (
            text
            == "baselines: the text 'mc_dropout' is not known, since there are none yet; remove it."
        )

    def test_parameters_of_augmentations_and_their_published_settings(self):
        parameters = checked()["evoaug"]["parameters"]
        for name, augmentation in AUGMENTATIONS.items():
            assert parameters.get(name, {}) == asdict(augmentation())

    def test_choices_are_those_of_the_schema_or_of_the_registry(self):
        assert choices_of({"enum": ["a", "b"]}) == ["a", "b"]
        assert choices_of({"enum-from": "degu.sweep:MODES"}) == ["random", "mutagenesis", "evoaug"]
        assert choices_of({"type": "string"}) is None
