"""Precise batch norm: averages of the training sequences in place of moving ones.

A moving average with momentum 0.99 follows the weights with a delay of some hundred steps, more
than an epoch of a small assay has, and dropout ahead of batch norm shifts what it averages (Li et
al., "Understanding the disharmony between dropout and batch normalization by variance shift", CVPR
2019). Validation is then noise. Here the averages are taken anew, without dropout and with the
weights of the moment, from a few thousand training sequences (Wu & Johnson, "Rethinking 'batch' in
BatchNorm", arXiv 2105.07576, section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from degu.dataset.copies import Copies
from degu.sequences import from_codes
from degu.sweep import derive_seed
from degu.training.batches import Batches

BatchNorm = Literal["precise", "as_trained", "moving"]

SEQUENCES = 4096
"""How many training sequences the averages are taken of, at most."""

BATCH_SIZE = 256
"""Sequences a batch: predictions differ by less than 1% of their spread from those with averages of
all at once, and it takes less memory than a training step of 128."""

# Of one call of a layer on one batch: how many numbers a channel has, their mean and variance.
Moments = tuple[Any, Any, Any]


class PreciseAverages:
    """Gives the batch norms of a model the averages of some sequences.

    All but batch norm is in inference mode, or also dropout drops; no state advances. Each batch is
    normalised by its own moments, as in training; these are pooled, within and between batches
    and calls, weighted by how many numbers they are of. Frozen layers keep their averages and use
    them; freeze those, too, that a model of one's own calls with ``training=False`` in training.
    What a layer that is called more than once feeds is taken after that layer has its own.

    Args:
        model: any built Keras model, nested or of several inputs too; changed when called.
        x: sequences (N, L, 4), or what else the model takes.
        batch_size: sequences a batch, at most; they are split evenly.
        masks: seed of the masks of a dropout that is on; without it dropout is off.
    """

    def __init__(
        self, model: keras.Model, x: Any, batch_size: int = BATCH_SIZE, masks: int | None = None
    ) -> None:
        self.model = model
        self.masks = masks
        n = len(keras.tree.flatten(x)[0])
        # Even batches: a last one of a single sequence has no variance.
        self.batches = Batches(x, batch_size=-(-n // -(-n // batch_size)))
        self.layers: list[keras.layers.BatchNormalization] = [
            layer
            for layer in dict.fromkeys(model._flatten_layers())
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]
        self._passes: list[tuple[list[Any], Callable[[Any], Any]]] = []

    def __call__(self) -> None:
        """Replace the averages by those under the weights as they are now."""
        if not self.layers:
            return
        with ExitStack() as stack:
            if self.masks is not None:
                from degu.training.dropout import dropout_on, fixed_masks

                stack.enter_context(dropout_on(self.model))
                stack.enter_context(fixed_masks(self.model, self.masks))
            self._settle()

    def _settle(self) -> None:
        for settled, compiled in self._compiled():
            pooled: dict[int, list[list[np.ndarray]]] = {}
            for i in range(len(self.batches)):
                moments = compiled(_tensors(self.batches[i][0]))
                for number, calls in moments.items():
                    found = pooled.setdefault(int(number), [])
                    found += [[np.asarray(part, np.float64) for part in call] for call in calls]
            for number, calls in pooled.items():
                layer = self.layers[number]
                if layer not in settled:
                    mean, variance = pool_moments(*map(np.stack, zip(*calls, strict=True)))
                    layer.moving_mean.assign(mean)
                    layer.moving_variance.assign(variance)

    def _compiled(self) -> list[tuple[list[Any], Callable[[Any], Any]]]:
        if not self._passes:
            collect, calls = self._collector([])
            first = _compile(collect, self.batches[0][0], self.model.run_eagerly)
            self._passes = [([], first)]
            shared = [self.layers[number] for number, times in calls.items() if times > 1]
            for k in range(1, len(shared) + 1):
                collect, _ = self._collector(shared[:k])
                later = _compile(collect, self.batches[0][0], self.model.run_eagerly)
                self._passes.append((shared[:k], later))
        return self._passes

    def _collector(self, settled: Sequence[Any]) -> tuple[Callable[[Any], Any], dict[int, int]]:
        """A function from a batch to moments by layer, and how often it has called each."""
        calls: dict[int, int] = {}

        def collect(x: Any) -> dict[str, list[Moments]]:
            found: dict[int, list[Moments]] = {}
            with ExitStack() as stack:
                for number, layer in enumerate(self.layers):
                    if layer not in settled:
                        stack.callback(_watch(layer, found.setdefault(number, [])))
                self.model(x, training=False)
            calls.update({number: len(moments) for number, moments in found.items()})
            return {str(number): moments for number, moments in found.items() if moments}

        return collect, calls


def pool_moments(
    counts: np.ndarray, means: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of groups taken together.

    Args:
        counts: (G,) numbers in each group.
        means, variances: (G, C) of each group, variances with ddof 0.

    Returns:
        (C,) each: the variance is that within groups and that between their means.
    """
    share = (counts / counts.sum())[:, None]
    mean = (share * means).sum(axis=0)
    return mean, (share * (variances + (means - mean) ** 2)).sum(axis=0)


def _watch(layer: keras.layers.BatchNormalization, found: list[Moments]) -> Callable[[], None]:
    """Let a layer normalise by the batch and note its moments, until what is returned is called."""
    momentum, own = layer.momentum, vars(layer)
    call = layer.call

    def noting(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["training"] = True
        outputs = call(inputs, *args, **kwargs)
        mask = kwargs.get("mask")
        if mask is not None:
            channels = inputs.shape[layer.axis]
            count = ops.sum(ops.cast(mask, "float32"))
            count *= ops.cast(ops.size(inputs) / (ops.size(mask) * channels), "float32")
        else:
            count = ops.cast(ops.size(inputs) / inputs.shape[layer.axis], "float32")
        mean, variance = layer.moving_mean, layer.moving_variance
        found.append((count, *(ops.cast(ops.copy(v.value), "float32") for v in (mean, variance))))
        return outputs

    def restore() -> None:
        own.pop("call", None)
        layer.momentum = momentum

    # The layer's own code, whatever its class, puts the batch's moments into its averages.
    layer.momentum = 0.0
    own["call"] = noting
    return restore


def _compile(function: Callable[[Any], Any], x: Any, eagerly: bool) -> Callable[[Any], Any]:
    """A function of batches of any size, traced now, while its layers are being watched."""
    if eagerly:
        return function
    import tensorflow as tf

    spec = keras.tree.map_structure(
        lambda batch: tf.TensorSpec((None, *batch.shape[1:]), batch.dtype), x
    )
    return tf.function(function).get_concrete_function(spec)


def _tensors(x: Any) -> Any:
    return keras.tree.map_structure(ops.convert_to_tensor, x)


def drawn(n: int, seed: int) -> np.ndarray:
    """Rows of n training sequences that averages are taken of, by the seed of the training."""
    rng = np.random.default_rng(derive_seed(seed, "batch norm"))
    return np.sort(rng.permutation(n)[:SEQUENCES])


class PreciseBatchNorm(keras.callbacks.Callback):
    """Replaces the averages of batch norm before each validation, and for the model that is kept.

    It belongs after callbacks that exchange weights (``SwapEMAWeights``) and before those that keep
    them (``EarlyStopping``). A model without batch norm pays nothing.

    Args:
        x: all training sequences as they are, without augmentation.
        seed: of the draw of :data:`SEQUENCES` of them, the same at every epoch.
        as_trained: whether the averages are those of what the weights are trained on: dropout
            drops, and
        copies: with equal chances, as in batches, each drawn sequence is itself or one of these.
        may_change: whether another callback may change weights between validation and the end of an
            epoch, so that the averages are taken again where one has.
    """

    def __init__(
        self,
        x: Any,
        seed: int,
        may_change: bool = False,
        as_trained: bool = False,
        copies: Copies | None = None,
    ) -> None:
        super().__init__()
        rows = drawn(len(keras.tree.flatten(x)[0]), seed)
        self.x = keras.tree.map_structure(lambda array: np.asarray(array)[rows], x)
        self.masks = derive_seed(seed, "batch norm with dropout") if as_trained else None
        self.mixed = as_trained and copies is not None
        if as_trained and copies is not None:
            rng = np.random.default_rng(derive_seed(seed, "batch norm of copies"))
            which = rng.integers(1 + len(copies.codes), size=len(rows))
            copied = np.flatnonzero(which)
            source = which[copied] - 1, rows[copied]
            self.x = self.x.copy()
            self.x[copied] = from_codes(copies.codes[source])
        self.may_change = may_change
        self._averages: PreciseAverages | None = None
        self._done_for: list[np.ndarray] | None = None

    def identity(self) -> Any:
        """What decides what it does, beside the training's data and seed."""
        sizes = [len(array) for array in keras.tree.flatten(self.x)]
        how = [] if self.masks is None else ["as trained", *(["copies"] if self.mixed else [])]
        return [BATCH_SIZE, *sizes, *how]

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._done_for = None

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._renew()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        done, now = self._done_for, self._weights()
        if done is None or not all(np.array_equal(*pair) for pair in zip(done, now, strict=True)):
            self._renew()

    def _renew(self) -> None:
        if self._averages is None:
            self._averages = PreciseAverages(self.model, self.x, masks=self.masks)
        self._averages()
        self._done_for = self._weights()

    def _weights(self) -> list[np.ndarray]:
        if not self.may_change:
            return []
        return [ops.convert_to_numpy(weight) for weight in self.model.trainable_variables]
