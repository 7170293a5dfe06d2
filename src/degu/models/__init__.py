"""Architectures, one a file, and the registry that lets a config name them.

An architecture is a function from (input shape, output dimension) to an uncompiled Keras model.
Importing this package does not import TensorFlow.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from degu.errors import InputError

if TYPE_CHECKING:
    import keras

REGISTRY = {"deepstarr": "DeepSTARR"}
"""Name in a config -> display name in file names. The function is ``degu.models.NAME.NAME``."""


def architecture(name: str) -> Callable[[tuple[int, ...], int], keras.Model]:
    """The function that builds an architecture.

    Args:
        name: a name of REGISTRY, or ``package.module:function`` for one's own.

    Raises:
        InputError: if there is no such architecture, module or function.
    """
    if name in REGISTRY:
        return getattr(import_module(f"degu.models.{name}"), name)
    module_name, function = _parts(name)
    with _working_folder():
        try:
            module = import_module(module_name)
        except ImportError as error:
            raise InputError(
                f"model: {name} cannot be imported ({error}); install the package or start the "
                "workflow in the folder that holds it."
            ) from error
    build_function = getattr(module, function, None)
    if not callable(build_function):
        raise InputError(f"model: {name}: {module_name} has no function {function!r}.")
    return build_function


def source_identity(name: str) -> str | None:
    """Hash of the module that holds one's own architecture; comments and layout do not count.

    Found without importing it, so that a workflow can tell before any job that it is not there,
    and that it was edited. None for the registry's architectures.

    Raises:
        InputError: if there is no such module.
    """
    if name in REGISTRY:
        return None
    module_name, _ = _parts(name)
    with _working_folder():
        try:
            spec = find_spec(module_name)
        except ImportError:
            spec = None
    if spec is None:
        raise InputError(
            f"model: {name}: there is no module {module_name}; install the package or start the "
            "workflow in the folder that holds it."
        )
    if not spec.origin or not spec.origin.endswith(".py"):
        return ""
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (SyntaxError, ValueError) as error:
        raise InputError(f"model: {spec.origin} is not valid Python ({error}).") from error
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _parts(name: str) -> tuple[str, str]:
    module_name, _, function = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), function)):
        raise InputError(
            f"model: {name!r} is not one of {', '.join(REGISTRY)}; name one of these, or your own "
            "function as my_package.my_module:build."
        )
    return module_name, function


@contextmanager
def _working_folder() -> Iterator[None]:
    """Let modules of the working folder be found, after all others.

    Not first, as in an interactive Python: a person's ``random.py`` would replace Python's.
    """
    folder = os.getcwd()
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def build(name: str, input_shape: tuple[int, ...], output_dim: int) -> keras.Model:
    """Build an uncompiled Keras model.

    Args:
        name: a name of REGISTRY, or ``package.module:function``.
        input_shape: shape of one sequence, (L, 4).
        output_dim: number of output columns.

    Returns:
        A model from (N, L, 4) to (N, output_dim).

    Raises:
        InputError: if there is no such architecture, or what it builds is not a Keras model of
            these shapes.
    """
    import keras

    model = architecture(name)(tuple(input_shape), output_dim)
    if not isinstance(model, keras.Model):
        raise InputError(f"model: {name} returned a {type(model).__name__}, not a Keras model.")
    if isinstance(getattr(model, "output", None), dict):
        raise InputError(
            f"model: {name} built a model with named outputs; return one tensor of {output_dim} "
            "columns."
        )
    needed = (None, *input_shape), (None, output_dim)
    got = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if got != needed:
        raise InputError(
            f"model: {name} built a model from {got[0]} to {got[1]}, where {needed[0]} to "
            f"{needed[1]} is needed; use both of its arguments, input shape and output dimension."
        )
    return model


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
