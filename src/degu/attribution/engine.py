"""DeepLIFT of one model for a fixed number of sequences and references at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from degu.attribution.compiled import Compiler
from degu.attribution.graph import Program, program
from degu.attribution.rules import Nonlinear, Tensor


class Found(NamedTuple):
    """What a step finds; maps are sums over references, each with its weight."""

    contributions: Tensor  # (S, L, 4, H)
    hypothetical: Tensor  # (S, L, 4, H)
    predictions: Tensor  # of sequences, (S, H)
    references: Tensor  # predictions of references, (S, K, H), or (1, K, H) of shared ones


class Asked(NamedTuple):
    """What is asked of a model: output columns, and whether all sequences have one set of K
    references."""

    heads: tuple[int, ...]
    references: int
    shared: bool


class Engine:
    """One model's multipliers for S sequences with K references each, traced once.

    What is done once: the forward pass of a sequence, whatever its references; of shared
    references, whatever the sequences; all that depends on a pair's values, whatever the heads.
    Multipliers are the same for a sequence and its reference, so there is one backward pass for a
    pair and head, in which the heads are part of the batch.

    Args:
        model: the model, whose weights are those that it has now.
        heads: output columns.
        sequences, references: S and K.
        length: of the sequences.
        shared: whether all sequences have the same references.

    Attributes:
        step: from x (S, L, 4), references and their weights (K,) to what is :class:`Found`.
            References are (S, K, L, 4), or what ``values`` makes of shared ones.
        values: of shared references (K, L, 4), the values that every step needs.
        predict: from x (n, L, 4) to the model's own predictions (n, H).

    Raises:
        InputError: for an operation without a rule.
    """

    def __init__(
        self,
        model: keras.Model,
        heads: Sequence[int],
        sequences: int,
        references: int,
        length: int,
        shared: bool,
    ) -> None:
        compiler = Compiler(model)
        asked = Asked(tuple(heads), references, shared)
        one = (length, 4)
        x, weights = _spec(sequences, *one), _spec(references)
        if shared:
            self.values = compiler(_values, None, _spec(references, *one))
            given = tuple(_spec(*value.shape) for value in self.values.outputs)
            self.step = compiler(_with_shared, asked, x, given, weights)
        else:
            self.step = compiler(_with_own, asked, x, _spec(sequences, references, *one), weights)
        self.predict = compiler(_predict, asked.heads, _spec(None, *one))


def _predict(model: keras.Model, heads: tuple[int, ...], x: Tensor) -> Tensor:
    return tf.gather(model(x, training=False), heads, axis=1)


def _values(model: keras.Model, _: None, references: Tensor) -> tuple[Tensor, ...]:
    walk = program(model)
    values = {0: references}
    for step in walk.steps:
        inputs = [values[i] for i in step.inputs]
        if isinstance(step.rule, Nonlinear):
            values[step.output] = step.rule.compiled.forward(inputs)
        else:
            values[step.output] = step.rule.forward(*inputs)
    return tuple(values[i] for i in _kept(walk))


def _kept(walk: Program) -> list[int]:
    """Numbers of the values of references that a step needs."""
    kept = {0, walk.output}
    for step in walk.steps:
        if isinstance(step.rule, Nonlinear):
            kept.update(step.inputs)
    return sorted(kept)


def _with_shared(
    model: keras.Model, asked: Asked, x: Tensor, values: tuple[Tensor, ...], weights: Tensor
) -> Found:
    walk = program(model)
    return _step(walk, asked, x, dict(zip(_kept(walk), values, strict=True)), weights)


def _with_own(
    model: keras.Model, asked: Asked, x: Tensor, references: Tensor, weights: Tensor
) -> Found:
    return _step(program(model), asked, x, {0: tf.reshape(references, [-1, *x.shape[1:]])}, weights)


def _step(
    walk: Program, asked: Asked, sequences: Tensor, r: dict[int, Tensor], weights: Tensor
) -> Found:
    """
    Args:
        walk: the model's operations.
        sequences: (S, L, 4).
        r: values of references by number; all that are needed, if they are shared.
        weights: (K,) of the references.
    """
    (count, *shape), k = sequences.shape, asked.references

    def paired(values: Tensor) -> Tensor:
        """Values of references as (S, K, ...), or (1, K, ...) of shared ones."""
        return tf.reshape(values, [1 if asked.shared else count, k, *values.shape[1:]])

    x, saved = {0: sequences}, {}
    for step in walk.steps:
        rule, inputs = step.rule, [x[i] for i in step.inputs]
        if not isinstance(rule, Nonlinear):
            x[step.output] = rule.forward(*inputs)
            if not asked.shared:
                r[step.output] = rule.forward(*(r[i] for i in step.inputs))
            continue
        x_pairs = [value[:, None] for value in inputs]
        r_pairs = [paired(r[i]) for i in step.inputs]
        if asked.shared:
            x[step.output], saved[step.output] = rule.compiled.meet(x_pairs, r_pairs)
        else:
            met = rule.compiled.meet_own(x_pairs, r_pairs)
            x[step.output], r[step.output], saved[step.output] = met
    output = walk.output
    # Equal for all pairs until the first operation whose multipliers are not.
    m = {output: tf.one_hot(asked.heads, x[output].shape[1])[:, None]}
    for step in reversed(walk.steps):
        rule, shapes = step.rule, [tuple(x[i].shape[1:]) for i in step.inputs]
        backward = rule.compiled.backward if isinstance(rule, Nonlinear) else rule.backward
        found = backward(m.pop(step.output), saved.pop(step.output, []), shapes)
        for i, value in zip(step.inputs, found, strict=True):
            m[i] = m[i] + value if i in m else value

    of_pairs = tf.broadcast_to(m[0], [len(asked.heads), count * k, *shape])
    of_pairs = tf.reshape(of_pairs, [-1, count, k, *shape])
    references = paired(r[0])
    worth = tf.reduce_sum(of_pairs * references, axis=-1, keepdims=True)
    return Found(
        tf.einsum("hsklb,sklb,k->slbh", of_pairs, sequences[:, None] - references, weights),
        tf.einsum("hsklb,k->slbh", of_pairs - worth, weights),
        tf.gather(x[output], asked.heads, axis=1),
        tf.gather(paired(r[output]), asked.heads, axis=2),
    )


def _spec(*shape: int | None) -> tf.TensorSpec:
    return tf.TensorSpec(shape, tf.float32)
