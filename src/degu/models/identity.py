"""Whether two models have the same architecture, whatever their weights, seeds and names."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


# Where a config names layers; elsewhere "relu" is not the layer that somebody called so.
_NAMES = {"name", "keras_history", "input_layers", "output_layers"}


def reseed(config: Any, rng: np.random.Generator) -> Any:
    """The same Keras config with every ``seed`` in it drawn anew."""
    if isinstance(config, dict):
        return {
            key: int(rng.integers(2**31)) if key == "seed" else reseed(value, rng)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(reseed(value, rng) for value in config)
    return config


def nameless_config(value: Any) -> dict[str, Any]:
    """Config of a Keras object; Keras numbers names by what a process has made: adam, adam_1."""
    return {key: item for key, item in value.get_config().items() if key != "name"}


def architecture_config(model: keras.Model) -> Any:
    """A model's config without what differs between two buildings of the same architecture."""
    names = {layer.name: f"layer {i}" for i, layer in enumerate(model._flatten_layers())}

    def renamed(value: Any, is_name: bool = False) -> Any:
        if isinstance(value, dict):
            return {
                # Policies of numbers have names as well.
                key: item if key == "dtype" else renamed(item, is_name or key in _NAMES)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [renamed(item, is_name) for item in value]
        return names.get(value, value) if is_name and isinstance(value, str) else value

    try:
        config = nameless_config(model)
    except NotImplementedError:  # a subclassed model whose arguments Keras does not know
        return [[weight.path.split("/")[-1], list(weight.shape)] for weight in model.weights]
    return renamed(reseed(config, np.random.default_rng(0)))


def architecture_sha256(model: keras.Model) -> str:
    """Hash of a model's architecture, the same in every process."""
    text = json.dumps(architecture_config(model), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
