"""DeepSHAP: DeepLIFT's contributions, averaged over references.

A sequence x and a reference r give each base the contribution multiplier · (x − r), and these add
up to f(x) − f(r) (:mod:`degu.attribution.rules`). DeepSHAP (Lundberg and Lee, NeurIPS 2017) is
their mean over references.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from degu.attribution.graph import program
from degu.attribution.inputs import (
    BATCH_SIZE,
    Head,
    as_heads,
    as_models,
    as_sequences,
    batches,
    one_or_all,
    progress_bar,
)
from degu.attribution.rules import Nonlinear, Tensor
from degu.errors import InputError

logger = logging.getLogger(__name__)

LARGE_RESIDUAL = 1e-3
"""Share of a prediction's typical distance from its references that contributions may miss."""


@dataclass(frozen=True)
class Explanation:
    """What DeepSHAP finds for n sequences and the heads that were asked for, float32.

    Attributes:
        contributions: (n, L, 4, heads), of each base, in units of the head; their sum over a
            sequence is ``prediction − expected + residual``.
        hypothetical: (n, L, 4, heads), what each base would contribute if it were there, all
            multipliers left as they are.
        prediction: (n, heads).
        expected: (n, heads), mean prediction on the sequence's references.
        residual: (n, heads), what additivity is missed by.
    """

    contributions: np.ndarray
    hypothetical: np.ndarray
    prediction: np.ndarray
    expected: np.ndarray
    residual: np.ndarray


def deepshap(
    model: keras.Model | Sequence[keras.Model],
    x: Any,
    references: Any,
    head: Head = 0,
    *,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> np.ndarray:
    """Contributions of :func:`explain`, (n, L, 4), or (n, L, 4, heads) for a list of heads."""
    found = explain(model, x, references, head, batch_size=batch_size, progress=progress)
    return one_or_all(found.contributions, head)


def explain(
    model: keras.Model | Sequence[keras.Model],
    x: Any,
    references: Any,
    head: Head = 0,
    *,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Explanation:
    """DeepSHAP."""
    models = as_models(model)
    heads = as_heads(models, head)
    x = as_sequences(models, x)
    references = _as_references(references, x)
    shared = references.ndim == 3
    n, k = len(x), references.shape[-3]
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, but is {batch_size}.")
    steps = -(-k // batch_size)
    width = -(-k // steps)
    height = min(n, max(1, batch_size // width))
    engines = [Engine(m, heads, height, width, x.shape[1], shared) for m in models]

    contributions = np.zeros((n, x.shape[1], 4, len(heads)), np.float32)
    hypothetical = np.zeros_like(contributions)
    prediction = np.zeros((n, len(heads)))
    expected = np.zeros((n, len(heads)))
    with progress_bar(len(models) * n * k, "DeepSHAP", "pair", progress) as bar:
        for engine in engines:
            for columns in batches(k, width):
                block = references[..., columns, :, :]
                weights = np.zeros(width, np.float32)
                weights[: block.shape[-3]] = 1 / (k * len(models))
                block = _padded(block, width, -3)
                values = engine.values(_float(block)) if shared else None
                for rows in batches(n, height):
                    count = len(x[rows])
                    batch = _float(_padded(x[rows], height, 0))
                    if shared:
                        found = engine.shared(batch, values, weights)
                    else:
                        own = _float(_padded(block[rows], height, 0))
                        found = engine.own(batch, own, weights)
                    maps, would_be, mean = (part[:count] for part in found)
                    contributions[rows] += maps
                    hypothetical[rows] += would_be
                    expected[rows] += mean
                    bar.update(count * min(width, k - columns.start))
            for rows in batches(n, batch_size):
                prediction[rows] += engine.predict(_float(x[rows])) / len(models)
    residual = contributions.sum(axis=(1, 2), dtype=np.float64) - (prediction - expected)
    found = Explanation(
        contributions,
        hypothetical,
        *(part.astype(np.float32) for part in (prediction, expected, residual)),
    )
    _warn_of_residuals(found)
    return found


def _warn_of_residuals(found: Explanation) -> None:
    difference = found.prediction.astype(np.float64) - found.expected
    spread = np.sqrt(np.mean(np.square(difference), axis=0))
    large = ~(np.abs(found.residual) <= LARGE_RESIDUAL * spread)
    large &= found.residual != 0
    count = int(large.any(axis=1).sum())
    if count:
        logger.warning(
            "DeepSHAP: the contributions of %d of %d sequences miss the difference of predictions "
            "by more than %g of its typical size.",
            count,
            len(large),
            LARGE_RESIDUAL,
        )


def _as_references(references: Any, x: np.ndarray) -> np.ndarray:
    references = np.asarray(references)
    shapes = (x.shape[1:], (len(x), *x.shape[1:]))
    ok = (
        references.ndim in (3, 4)
        and references.shape[-2:] == x.shape[1:]
        and 0 not in references.shape
    )
    if ok and references.ndim == 4:
        ok = len(references) == len(x)
    if not ok:
        raise InputError(
            f"DeepSHAP needs references of shape (k, {x.shape[1]}, 4), or ({len(x)}, k, "
            f"{x.shape[1]}, 4) for references of each sequence, but got {references.shape}."
        )
    return references


def _float(array: np.ndarray) -> Tensor:
    return tf.convert_to_tensor(array.astype(np.float32))


def _padded(array: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Repeat the last entry of an axis up to a length."""
    short = length - array.shape[axis]
    if not short:
        return array
    last = np.take(array, [-1], axis=axis)
    return np.concatenate([array, np.repeat(last, short, axis=axis)], axis=axis)


class Engine:
    """DeepLIFT of one model, traced once for S sequences and K references each."""

    def __init__(
        self,
        model: keras.Model,
        heads: Sequence[int],
        sequences: int,
        references: int,
        length: int,
        shared: bool,
    ) -> None:
        self.program = program(model)
        self.heads, self.sequences, self.references = list(heads), sequences, references
        x = tf.TensorSpec((sequences, length, 4), tf.float32)
        r = tf.TensorSpec((references, length, 4), tf.float32)
        own = tf.TensorSpec((sequences, references, length, 4), tf.float32)
        weights = tf.TensorSpec((references,), tf.float32)

        @tf.function(autograph=False)
        def predict(x: Tensor) -> Tensor:
            return tf.gather(model(x, training=False), self.heads, axis=1)

        self.predict = predict
        self.values = tf.function(self._forward, input_signature=[r], autograph=False)
        self.shared = tf.function(self._shared, autograph=False)
        self.own = tf.function(self._own, input_signature=[x, own, weights], autograph=False)

    def _forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """The values of references that a step with shared references needs, by number."""
        values = {0: inputs}
        needed = {0, self.program.output}
        for step in self.program.steps:
            given = [values[i] for i in step.inputs]
            if isinstance(step.rule, Nonlinear):
                needed |= {*step.inputs}
                values[step.output] = step.rule.compiled.forward(given)
            else:
                values[step.output] = step.rule.forward(*given)
        return {str(i): values[i] for i in needed}

    def _shared(self, x: Tensor, values: dict[str, Tensor], weights: Tensor) -> list[Tensor]:
        r = {int(i): value for i, value in values.items()}
        return self._step(x, r, weights, shared=True)

    def _own(self, x: Tensor, r: Tensor, weights: Tensor) -> list[Tensor]:
        return self._step(x, {0: tf.reshape(r, [-1, *r.shape[2:]])}, weights, shared=False)

    def _step(self, x_in, r, weights, shared):
        s, k = self.sequences, self.references
        lead = (1, k) if shared else (s, k)
        x = {0: x_in}
        saved = {}
        steps = self.program.steps
        for step in steps:
            x_here = [x[i] for i in step.inputs]
            if not isinstance(step.rule, Nonlinear):
                x[step.output] = step.rule.forward(*x_here)
                if not shared:
                    r[step.output] = step.rule.forward(*(r[i] for i in step.inputs))
                continue
            x[step.output] = step.rule.compiled.forward(x_here)
            x_pairs = [value[:, None] for value in x_here]
            r_pairs = [tf.reshape(r[i], [*lead, *r[i].shape[1:]]) for i in step.inputs]
            if shared:
                saved[step.output] = step.rule.compiled.save(x_pairs, r_pairs)
            else:
                r[step.output], saved[step.output] = step.rule.compiled.meet(x_pairs, r_pairs)
        out = self.program.output
        columns = x[out].shape[-1]
        m = {out: tf.one_hot(self.heads, columns)[:, None]}
        for step in reversed(steps):
            shapes = [tuple(x[i].shape[1:]) for i in step.inputs]
            top = m.pop(step.output)
            if isinstance(step.rule, Nonlinear):
                found = step.rule.compiled.backward(top, saved[step.output], shapes)
            else:
                found = step.rule.backward(top, [], shapes)
            for i, value in zip(step.inputs, found, strict=True):
                m[i] = m[i] + value if i in m else value
        top = m[0]
        length = x_in.shape[1]
        top = tf.broadcast_to(top, [len(self.heads), s * k, length, 4])
        top = tf.reshape(top, [-1, s, k, length, 4])
        r_in = tf.reshape(r[0], [1 if shared else s, k, length, 4])
        contributions = tf.einsum("hsklb,sklb,k->slbh", top, x_in[:, None] - r_in, weights)
        base = tf.reduce_sum(top * r_in, axis=-1, keepdims=True)
        hypothetical = tf.einsum("hsklb,k->slbh", top - base, weights)
        predictions = tf.gather(r[out], self.heads, axis=1)
        predictions = tf.reshape(predictions, [1 if shared else s, k, -1])
        expected = tf.einsum("skh,k->sh", predictions, weights)
        return contributions, hypothetical, tf.broadcast_to(expected, [s, len(self.heads)])
