"""What a model may be made of: what opens anywhere, and runs no code of whoever made it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from degu.errors import InputError

if TYPE_CHECKING:
    import keras


def check_portable(model: keras.Model) -> None:
    """Refuse a model whose file would not open elsewhere with ``keras.models.load_model(path)``.

    Raises:
        InputError: for a subclassed model, a Lambda layer, or anything (layer, activation,
            initialiser, ...) that Keras itself does not define; names it.
    """
    import keras
    from keras.src.models.functional import Functional

    # A class derived from one of the two needs its code as well.
    if type(model) not in (keras.Sequential, Functional):
        raise InputError(
            f"model: {type(model).__name__} is a subclassed model, whose file does not open "
            "without its code; build it with the functional API or as Sequential."
        )
    try:
        config = model.get_config()
    except NotImplementedError as error:
        raise InputError(
            "model: a layer of one's own has no get_config, and the model's file would not open "
            "without its code; use the built-in layers of Keras."
        ) from error
    foreign = next(_foreign_objects(config), None)
    if foreign is not None:
        raise InputError(
            f"model: {foreign} is not a built-in layer or function of Keras (nor is an operation "
            "such as x + y), so the model's file would not open without its code; use built-in "
            "ones, such as keras.layers.Add."
        )


# Layers of Keras that run code, or read files, that their config names.
_NOT_PLAIN = {
    *("Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"),
    *("TextVectorization", "StringLookup", "IntegerLookup", "IndexLookup"),
}


def check_stored(text: object, path: str | os.PathLike[str]) -> None:
    """Refuse a stored model that could run code or read other files, before Keras sees it.

    Keras's own safe mode refuses stored functions; this refuses all that is not a plain layer.

    Args:
        text: the file's attribute ``model_config``.
        path: the file, for the message.

    Raises:
        InputError: if the text is no config of a Keras model, or names anything but built-in
            layers and functions; names it.
    """
    try:
        config = json.loads(text)  # type: ignore[arg-type]  # whatever the file holds
        layers = config["config"]["layers"]
        if config["class_name"] not in ("Functional", "Model", "Sequential") or not layers:
            raise ValueError("its class is no model")
        foreign = next(_suspects(config), None)
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} holds no Keras model ({error}); delete it and train it again."
        ) from error
    if foreign is not None:
        raise InputError(
            f"{path} holds {foreign}, which may run code of whoever made the file; only models of "
            "Keras's own plain layers are loaded: delete it and train it again."
        )


def _suspects(config: Any) -> Iterator[str]:
    """Names of what a stored config has beside Keras's own plain layers and functions."""
    if isinstance(config, dict):
        name, module = config.get("class_name"), config.get("module")
        registered = config.get("registered_name")
        if name is not None:
            if not isinstance(name, str) or name in _NOT_PLAIN or name == "__lambda__":
                yield f"a {name}" if name != "__lambda__" else "a Python function"
            elif module is not None and str(module).split(".")[0] not in ("keras", "builtins"):
                yield f"{module}.{name}"
            elif registered not in (None, name) and name != "function":
                yield str(registered)
        for key, value in config.items():
            # Weights are in the file itself; a vocabulary or a saved model is another one.
            if key in ("filepath", "vocabulary") and value is not None:
                yield f"a path to another file ({key})"
            yield from _suspects(value)
    elif isinstance(config, list):
        for value in config:
            yield from _suspects(value)


def _foreign_objects(config: Any) -> Iterator[str]:
    """Names of all that a model's config says is defined outside of Keras."""
    if isinstance(config, dict):
        # Python's lambda, which Keras stores as its compiled code.
        if set(config) == {"value"} and isinstance(config["value"], (list, tuple)):
            yield "a lambda"
        name = config.get("class_name")
        # Names like __keras_tensor__ are Keras's own marks in a config.
        if isinstance(name, str) and not name.startswith("__"):
            module = config.get("module") or ""
            if config.get("registered_name") or not module.startswith("keras") or name == "Lambda":
                # Of a plain function the class name says nothing; its own name stands in its place.
                yield str(config["config"]) if name == "function" else name
        config = config.values()
    elif not isinstance(config, (list, tuple)):
        return
    for value in config:
        yield from _foreign_objects(value)
