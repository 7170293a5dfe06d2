"""The registry of architectures, and how one of it or of one's own is found and built."""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from degu.errors import InputError

if TYPE_CHECKING:
    import keras


REGISTRY = {"compact": "Compact", "deepstarr": "DeepSTARR"}
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
