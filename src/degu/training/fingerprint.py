"""Fingerprints: hashes of all that decides a result, the same in every process."""

from __future__ import annotations

import dis
import functools
import hashlib
import json
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import keras
import numpy as np

from degu.models.identity import architecture_config

# What Keras's callbacks come to hold in training. It is kept in checkpoints, and no setting.
PROGRESS = (
    *("best", "best_weights", "best_epoch", "wait", "stopped_epoch", "cooldown_counter"),
    "_ema_weights_in_model",
)


_OF_TRAINING = {*PROGRESS, "_model", "params", "monitor_op"}


_STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))


_INSTALLED = {"site-packages", "dist-packages"}


# Of globals; others, such as a list, may be what a function keeps of its calls.
_COUNTED = (*(bool, int, float, str, tuple), np.ndarray, type, FunctionType, functools.partial)


def fingerprint(settings: Any) -> str | None:
    """SHA-256 of settings by their content; None if something among them has no identity.

    Args:
        settings: any nesting of numbers, strings, arrays, functions (their code, what they enclose,
            and the functions, classes, numbers, texts and arrays among the globals that they use),
            Keras objects (their config), models (their architecture and state) and plain objects
            (their attributes); of classes of one's own the code, too. An object with a method
            ``identity()`` is what that returns.
    """
    try:
        text = json.dumps(_identity(settings), sort_keys=True)
    except (NotImplementedError, RecursionError, TypeError, ValueError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(value: Any, within: tuple[Any, ...] = ()) -> Any:
    """What a value is, for JSON: the same in every process, different if the value differs.

    Args:
        value: anything.
        within: functions and classes that this is a part of, which may use each other.
    """

    def identity(part: Any) -> Any:
        return _identity(part, within)

    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if value is ...:
        return "..."
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return sorted(([str(k), identity(v)] for k, v in value.items()), key=lambda item: item[0])
    if isinstance(value, (list, tuple)):
        return [identity(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((identity(item) for item in value), key=json.dumps)
    if isinstance(value, CodeType):
        return [value.co_code.hex(), identity(value.co_consts), list(value.co_names)]
    name = getattr(value, "__qualname__", None) or type(value).__qualname__
    if isinstance(value, functools.partial):
        return [name, identity([value.func, value.args, value.keywords])]
    if isinstance(value, MethodType):
        return [name, identity([value.__self__, value.__func__])]
    if isinstance(value, ModuleType) or any(value is whole for whole in within):
        return name
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        parts = value.__code__, value.__defaults__, value.__kwdefaults__, cells
        used = {} if _of_library(value) else _globals(value)
        within = *within, value
        return [name, identity(parts), *([identity(used)] if used else [])]
    if isinstance(value, (type, BuiltinFunctionType)):
        code = own_code(value, within) if isinstance(value, type) else []
        return [name, code] if code else name
    if hasattr(value, "identity"):
        return [name, identity(value.identity())]
    own = own_code(type(value), within)
    if isinstance(value, keras.Model):
        state = [keras.ops.convert_to_numpy(variable) for variable in value.variables]
        return [name, identity([architecture_config(value), state]), *own_layers(value)]
    if isinstance(value, keras.callbacks.Callback):
        settings = {k: v for k, v in vars(value).items() if k not in _OF_TRAINING}
        if "min_delta" in settings:  # its sign is of training
            settings["min_delta"] = abs(settings["min_delta"])
        return [name, identity(settings), *own]
    if hasattr(value, "get_config"):
        if own:  # whose config may not tell all
            public = {k: v for k, v in vars(value).items() if k[0] != "_" and k != "name"}
            own = [*own, identity(public)]
        return [name, identity(_nameless(value.get_config())), *own]
    if hasattr(value, "__array__"):
        array = np.ascontiguousarray(value)
        if array.dtype.hasobject:
            raise TypeError(f"{name} holds objects")
        digest = hashlib.sha256(f"{array.shape}{array.dtype}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()
    return [name, identity(vars(value)), *own]


def own_code(kind: type, within: tuple[Any, ...] = ()) -> list[Any]:
    """The code of a class and its bases, but for those of libraries; empty if that is all."""
    if kind in within:
        return []
    return [
        _identity(part, (*within, kind))
        for base in kind.__mro__
        if not _of_library(base)
        for part in (base.__name__, *_parts(base))
    ]


def own_layers(model: keras.Model) -> list[Any]:
    """The code of a model's class and layers, as :func:`own_code`."""
    return [code for layer in model._flatten_layers() if (code := own_code(type(layer)))]


def _parts(kind: type) -> Iterator[tuple[str, Any]]:
    """The functions of a class, and values that are plain."""
    for name, part in vars(kind).items():
        part = getattr(part, "__func__", None) or getattr(part, "fget", None) or part
        plain = isinstance(part, (bool, int, float, str, tuple)) and not name.startswith("__")
        if plain or isinstance(part, FunctionType):
            yield name, part


def _of_library(value: Any) -> bool:
    """Whether a class or function is none of one's own: degu's code is known by its stages."""
    module = value.__module__ or ""
    file = getattr(sys.modules.get(module), "__file__", None)
    if module == "__main__" or file is None:
        return module != "__main__"
    path = Path(file)
    installed = path.is_relative_to(_STANDARD_LIBRARY) or not _INSTALLED.isdisjoint(path.parts)
    return installed or module.partition(".")[0] == "degu"


def _globals(function: FunctionType) -> dict[str, Any]:
    """What a function takes from its module and is counted, by name."""

    def names(code: CodeType) -> Iterator[str]:
        for step in dis.get_instructions(code):
            if step.opname == "LOAD_GLOBAL":
                yield step.argval
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                yield from names(constant)

    found = {name: function.__globals__.get(name) for name in names(function.__code__)}
    return {name: value for name, value in found.items() if isinstance(value, _COUNTED)}


def _nameless(config: Any) -> Any:
    """A Keras config without names, which count what a process has made: adam, adam_1."""
    if isinstance(config, Mapping):
        return {key: _nameless(item) for key, item in config.items() if key != "name"}
    if isinstance(config, (list, tuple)):
        return [_nameless(item) for item in config]
    return config
