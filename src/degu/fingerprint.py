"""Fingerprints: hashes of all that decides a result, the same in every process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import BuiltinFunctionType, CodeType, FunctionType
from typing import Any

import keras
import numpy as np

from degu.models.identity import architecture_config

FINGERPRINT = "degu_fingerprint"
"""The HDF5 attribute of weights, models and checkpoints that holds theirs."""

# What Keras's callbacks come to hold in training. It is kept in checkpoints, and no setting.
PROGRESS = ("best", "best_weights", "best_epoch", "wait", "stopped_epoch", "cooldown_counter")
_OF_TRAINING = {*PROGRESS, "_model", "params", "monitor_op", "min_delta", "validation_data"}


def fingerprint(settings: Any) -> str | None:
    """SHA-256 of settings by their content; None if something among them has no identity.

    Args:
        settings: any nesting of numbers, strings, arrays, functions (their code and what they
            enclose), Keras objects (their config), models (their architecture and state) and plain
            objects (their attributes). An object with a method ``identity()`` is what that returns.
    """
    try:
        text = json.dumps(_identity(settings), sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(value: Any) -> Any:
    """What a value is, for JSON: the same in every process, different if the value differs."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return sorted(([str(k), _identity(v)] for k, v in value.items()), key=lambda item: item[0])
    if isinstance(value, (list, tuple)):
        return [_identity(item) for item in value]
    if isinstance(value, CodeType):
        return [value.co_code.hex(), _identity(value.co_consts), list(value.co_names)]
    name = getattr(value, "__qualname__", None) or type(value).__qualname__
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        parts = value.__code__, value.__defaults__, value.__kwdefaults__, cells
        return [name, _identity(parts)]
    if isinstance(value, (type, BuiltinFunctionType)):
        return name
    if hasattr(value, "identity"):
        return [name, _identity(value.identity())]
    if isinstance(value, keras.Model):
        state = [keras.ops.convert_to_numpy(variable) for variable in value.variables]
        return [name, _identity([architecture_config(value), state])]
    if isinstance(value, keras.callbacks.Callback):
        settings = {k: v for k, v in vars(value).items() if k not in _OF_TRAINING}
        return [name, _identity(settings)]
    if hasattr(value, "get_config"):
        return [name, _identity(_nameless(value.get_config()))]
    if hasattr(value, "__array__"):
        array = np.ascontiguousarray(value)
        if array.dtype.hasobject:
            raise TypeError(f"{name} holds objects")
        digest = hashlib.sha256(f"{array.shape}{array.dtype}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()
    return [name, _identity(vars(value))]


def _nameless(config: Any) -> Any:
    """A Keras config without names, which count what a process has made: adam, adam_1."""
    if isinstance(config, Mapping):
        return {key: _nameless(item) for key, item in config.items() if key != "name"}
    if isinstance(config, (list, tuple)):
        return [_nameless(item) for item in config]
    return config
