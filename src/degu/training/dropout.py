"""Monte-Carlo dropout: passes through a trained model with its dropout on.

Gal & Ghahramani, "Dropout as a Bayesian approximation", ICML 2016. What comes before the first
dropout is the same in every pass, and is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.src.models.functional import Functional

from degu.errors import InputError
from degu.sweep import derive_seed
from degu.training.batches import Batches

PASSES = 100

FLOATS = 1 << 22
"""Of what enters the first dropout, so many numbers are computed on at once, some 16 MB."""

_DROPOUT = (layers.Dropout, layers.AlphaDropout, layers.GaussianDropout)


def dropout_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a model, nested ones too, that drop something in training."""
    found = dict.fromkeys(model._flatten_layers())
    return [layer for layer in found if isinstance(layer, _DROPOUT) and layer.rate > 0]


@contextmanager
def dropout_on(model: keras.Model) -> Iterator[None]:
    """Have dropout drop while the rest of a model is in inference mode; for eager calls and traces.

    Not where a model is compiled already: :func:`tf.function` keeps what it has traced.
    """
    drops = dropout_layers(model)
    for layer in drops:
        vars(layer)["call"] = _dropping(layer.call)
    try:
        yield
    finally:
        for layer in drops:
            del vars(layer)["call"]


def _dropping(call: Any) -> Any:
    def dropping(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return call(inputs, training=True)

    return dropping


@contextmanager
def fixed_masks(model: keras.Model, seed: int) -> Iterator[None]:
    """Have the masks of a model's dropout depend on a seed alone; its generators stay as found."""
    states = [layer.seed_generator.state for layer in dropout_layers(model)]
    found = [keras.ops.convert_to_numpy(state.value) for state in states]
    for number, state in enumerate(states):
        state.assign([derive_seed(seed, "dropout", layer=number), 0])
    try:
        yield
    finally:
        for state, before in zip(states, found, strict=True):
            state.assign(before)


def split_at_dropout(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """What comes before the first dropout on every path to a model's output, and the rest.

    Args:
        model: a functional or Sequential model with one output.

    Returns:
        Models with the given one's layers: from its input to a list of tensors, and from these to
        its output.

    Raises:
        InputError: if no dropout is on the way to the output.
    """
    graph: Any = model._functional if isinstance(model, keras.Sequential) else model
    assert isinstance(graph, Functional)
    drops = set(dropout_layers(model))
    drawn: set[int] = set()
    border: dict[int, Any] = {}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input:
                continue
            layer = node.operation
            inside = layer._flatten_layers() if isinstance(layer, keras.layers.Layer) else ()
            fed = [tensor for tensor in node.input_tensors if id(tensor) in drawn]
            if fed or not drops.isdisjoint(inside):
                drawn.update(id(tensor) for tensor in node.outputs)
                border |= {id(t): t for t in node.input_tensors if id(t) not in drawn}
    if id(graph.outputs[0]) not in drawn:
        raise InputError(
            f"mc_dropout: the model {model.name} has no dropout on the way to its output, so all "
            "passes would be one; take mc_dropout out of baselines, or give the model a layer of "
            "dropout."
        )
    features = list(border.values())
    return keras.Model(graph.input, features), keras.Model(features, graph.outputs[0])


class DropoutPasses:
    """Mean and std of a model's predictions over passes with dropout.

    Masks depend on the seed, the number of sequences and their place among them, so that the same
    call gives the same numbers; batch norm uses its averages.

    Args:
        model: a functional or Sequential model with one output; it is not changed.
        seed: of the masks.
        passes: how many, at least two.
        columns: T of the model's output; all by default.

    Raises:
        InputError: for a model without dropout.
    """

    def __init__(
        self,
        model: keras.Model,
        seed: int,
        passes: int = PASSES,
        columns: slice = slice(None),
    ) -> None:
        self.passes = passes
        self._model, self._seed = model, seed
        before, after = split_at_dropout(model)
        self._before = tf.function(lambda x: before(x, training=False), reduce_retracing=True)

        def several(features: list[Any], times: Any) -> Any:
            """Predictions (B, passes, T)."""
            repeated = [tf.repeat(part, times, axis=0) for part in features]
            with dropout_on(model):
                y = after(repeated, training=False)[..., columns]
            return tf.reshape(y, [-1, times, y.shape[-1]])

        self._several = tf.function(several, reduce_retracing=True)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Means and then stds over the passes (ddof 0), (N, L, 4) to (N, 2T) float32."""
        with fixed_masks(self._model, self._seed):
            return self._predict(x)

    def _predict(self, x: np.ndarray) -> np.ndarray:
        batches = Batches(x, batch_size=512)
        found: list[np.ndarray] = []
        for number in range(len(batches)):
            features = keras.tree.flatten(self._before(tf.convert_to_tensor(batches[number][0])))
            size = sum(int(np.prod(part.shape[1:])) for part in features) * self.passes
            rows = max(1, FLOATS // size)
            for start in range(0, len(features[0]), rows):
                part = [feature[start : start + rows] for feature in features]
                y = self._several(part, tf.constant(self.passes)).numpy().astype(np.float64)
                found.append(np.concatenate([y.mean(axis=1), y.std(axis=1)], axis=-1))
        return np.concatenate(found).astype(np.float32)
