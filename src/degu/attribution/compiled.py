"""What is computed with a model, traced and compiled once for all models of its architecture.

The weights are arguments of such a function, so that it belongs to no model: the next member of an
ensemble takes what the first one had compiled, weights that have changed are seen, and no model is
kept in memory. That is right for a model whose config and variables say all that it does. One with
code of its own (a layer, a function, an operation), or with numbers beside its variables (such as
``Normalization``), has functions of its own, which are kept with it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from degu.models.identity import architecture_sha256
from degu.models.safety import check_portable

KEPT = 32
"""Functions that are kept at most, those of all models together or of one with its own code."""

_LOCK = threading.RLock()
_OWN = "_degu_compiled"


class Kept:
    """The functions that were taken last, by key."""

    def __init__(self) -> None:
        self.functions: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        if key in self.functions:
            self.functions.move_to_end(key)
        return self.functions.get(key)

    def put(self, key: Hashable, function: Any) -> None:
        self.functions[key] = function
        while len(self.functions) > KEPT:
            self.functions.popitem(last=False)


_SHARED = Kept()


@dataclass(frozen=True)
class Compiled:
    """A traced function of tensors, with the weights of one model."""

    traced: Any
    weights: Sequence[Any]

    def __call__(self, *inputs: Any) -> Any:
        return self.traced(self.weights, *inputs)

    @property
    def outputs(self) -> Any:
        """What it returns, with shapes in place of values."""
        return self.traced.structured_outputs


class Compiler:
    """Compiled functions of one model, with the weights that it has when this is made.

    Of code of one's own, what it reads beside variables, plain attributes of layers and arrays is
    that of the first call, as in ``model.predict``.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.shared = _says_all(model)
        variables = model.variables if self.shared else []
        self.weights = [tf.convert_to_tensor(variable) for variable in variables]
        if self.shared:
            self._identity: Hashable = (
                architecture_sha256(model),
                tuple((tuple(weight.shape), weight.dtype) for weight in self.weights),
                tuple(layer.autocast for layer in model._flatten_layers()),
            )

    def __call__(self, function: Callable[..., Any], options: Hashable, *specs: Any) -> Compiled:
        """Trace a function, unless it has been.

        Args:
            function: (model, options, *tensors) to tensors; one of a module, since it is part of
                the key.
            options: what else the trace depends on.
            specs: of the tensors; a tuple of specs for a tuple of tensors.
        """
        with _LOCK:
            kept = _SHARED if self.shared else vars(self.model).setdefault(_OWN, Kept())
            traced = kept.get(self._key(function, options, specs))
            if traced is None:
                traced = self._trace(function, options, specs)
                # A layer may count how often it is called: the key is what the next call finds.
                kept.put(self._key(function, options, specs), traced)
        return Compiled(traced, self.weights)

    def _key(self, function: Callable[..., Any], options: Hashable, specs: Hashable) -> Hashable:
        where = tf.zeros(()).device  # of tf.device
        identity = self._identity if self.shared else _state(self.model)
        return function, options, specs, where, identity

    def _trace(self, function: Callable[..., Any], options: Hashable, specs: Any) -> Any:
        def traced(weights: Sequence[Any], *inputs: Any) -> Any:
            with self._scope(weights):
                return function(self.model, options, *inputs)

        weights = [tf.TensorSpec(weight.shape, weight.dtype) for weight in self.weights]
        # Without autograph, an error leaves the trace as it was raised.
        return tf.function(traced, autograph=False).get_concrete_function(weights, *specs)

    def _scope(self, weights: Sequence[Any]) -> Any:
        """Where the model's variables have the values of ``weights``."""
        if not self.shared:
            return nullcontext()
        return keras.StatelessScope(list(zip(self.model.variables, weights, strict=True)))


def _says_all(model: keras.Model) -> bool:
    """Whether what a model does follows from its config and its variables."""
    if any(
        not _is_of_keras(layer)
        or "call" in vars(layer)
        or any(isinstance(value, np.ndarray | tf.Tensor) for value in vars(layer).values())
        for layer in model._flatten_layers()
    ):
        return False
    try:
        check_portable(model)
    except Exception:  # whatever a config of one's own raises
        return False
    return True


def _is_of_keras(layer: keras.Layer) -> bool:
    return type(layer).__module__.startswith("keras.")


def _is_eager(value: Any) -> bool:
    return isinstance(value, tf.Tensor) and hasattr(value, "numpy")


def _state(model: keras.Model) -> Hashable:
    """What a model with code of its own may go by beside variables: attributes of its layers."""
    state: list[Hashable] = []
    for layer in model._flatten_layers():
        if isinstance(layer, keras.Model) and _is_of_keras(layer):
            continue  # its attributes are about its training
        for name, value in vars(layer).items():
            if isinstance(value, np.ndarray) or _is_eager(value):
                state.append((layer, name, np.asarray(value).tobytes()))
            elif isinstance(value, bool | int | float | str | FunctionType | None):
                state.append((layer, name, value))
    return tuple(state)
