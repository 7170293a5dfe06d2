"""DeepLIFT of one model for a fixed number of sequences and references at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from degu.attribution.graph import Program
from degu.attribution.rules import Nonlinear, Tensor


class Found(NamedTuple):
    """What a step finds; maps are sums over references, each with its weight."""

    contributions: Tensor  # (S, L, 4, H)
    hypothetical: Tensor  # (S, L, 4, H)
    predictions: Tensor  # of sequences, (S, H)
    references: Tensor  # predictions of references, (S, K, H), or (1, K, H) of shared ones


class Engine:
    """One model's multipliers for S sequences with K references each, traced once.

    What is done once: the forward pass of a sequence, whatever its references; of shared
    references, whatever the sequences; all that depends on a pair's values, whatever the heads.
    Multipliers are the same for a sequence and its reference, so there is one backward pass for a
    pair and head, in which the heads are part of the batch.

    Args:
        model: the model.
        program: its operations.
        heads: output columns.
        sequences, references: S and K.
        length: of the sequences.
        shared: whether all sequences have the same references.
    """

    def __init__(
        self,
        model: keras.Model,
        program: Program,
        heads: Sequence[int],
        sequences: int,
        references: int,
        length: int,
        shared: bool,
    ) -> None:
        self.program = program
        self.heads, self.shared = list(heads), shared
        self.pairs = (1 if shared else sequences), references

        def predict(x: Tensor) -> Tensor:
            return tf.gather(model(x, training=False), self.heads, axis=1)

        one = (length, 4)
        self.predict = _traced(predict, _spec(None, *one))
        x, weights = _spec(sequences, *one), _spec(references)
        if shared:
            self.values = _traced(self._values, _spec(references, *one))
            given = [_spec(*value.shape) for value in self.values.structured_outputs]
            self.step = _traced(self._with_shared, x, given, weights)
        else:
            self.step = _traced(self._with_own, x, _spec(sequences, references, *one), weights)

    def _values(self, references: Tensor) -> list[Tensor]:
        """Of shared references (K, L, 4), the values that every step needs, see ``_kept``."""
        values = {0: references}
        for step in self.program.steps:
            inputs = [values[i] for i in step.inputs]
            if isinstance(step.rule, Nonlinear):
                values[step.output] = step.rule.compiled.forward(inputs)
            else:
                values[step.output] = step.rule.forward(*inputs)
        return [values[i] for i in self._kept()]

    def _kept(self) -> list[int]:
        kept = {0, self.program.output}
        for step in self.program.steps:
            if isinstance(step.rule, Nonlinear):
                kept.update(step.inputs)
        return sorted(kept)

    def _with_shared(self, x: Tensor, values: list[Tensor], weights: Tensor) -> Found:
        return self._step(x, dict(zip(self._kept(), values, strict=True)), weights)

    def _with_own(self, x: Tensor, references: Tensor, weights: Tensor) -> Found:
        return self._step(x, {0: tf.reshape(references, [-1, *x.shape[1:]])}, weights)

    def _step(self, sequences: Tensor, r: dict[int, Tensor], weights: Tensor) -> Found:
        """
        Args:
            sequences: (S, L, 4).
            r: values of references by number; all that are needed, if they are shared.
            weights: (K,) of the references.
        """
        x, saved = {0: sequences}, {}
        for step in self.program.steps:
            rule, inputs = step.rule, [x[i] for i in step.inputs]
            if not isinstance(rule, Nonlinear):
                x[step.output] = rule.forward(*inputs)
                if not self.shared:
                    r[step.output] = rule.forward(*(r[i] for i in step.inputs))
                continue
            x_pairs = [value[:, None] for value in inputs]
            r_pairs = [self._paired(r[i]) for i in step.inputs]
            if self.shared:
                x[step.output], saved[step.output] = rule.compiled.meet(x_pairs, r_pairs)
            else:
                met = rule.compiled.meet_own(x_pairs, r_pairs)
                x[step.output], r[step.output], saved[step.output] = met
        output = self.program.output
        # Equal for all pairs until the first operation whose multipliers are not.
        m = {output: tf.one_hot(self.heads, x[output].shape[1])[:, None]}
        for step in reversed(self.program.steps):
            rule, shapes = step.rule, [tuple(x[i].shape[1:]) for i in step.inputs]
            backward = rule.compiled.backward if isinstance(rule, Nonlinear) else rule.backward
            found = backward(m.pop(step.output), saved.pop(step.output, []), shapes)
            for i, value in zip(step.inputs, found, strict=True):
                m[i] = m[i] + value if i in m else value

        (count, *shape), k = sequences.shape, self.pairs[1]
        of_pairs = tf.broadcast_to(m[0], [len(self.heads), count * k, *shape])
        of_pairs = tf.reshape(of_pairs, [-1, count, k, *shape])
        references = self._paired(r[0])
        worth = tf.reduce_sum(of_pairs * references, axis=-1, keepdims=True)
        return Found(
            tf.einsum("hsklb,sklb,k->slbh", of_pairs, sequences[:, None] - references, weights),
            tf.einsum("hsklb,k->slbh", of_pairs - worth, weights),
            tf.gather(x[output], self.heads, axis=1),
            tf.gather(self._paired(r[output]), self.heads, axis=2),
        )

    def _paired(self, values: Tensor) -> Tensor:
        """Values of references as (S, K, ...), or (1, K, ...) of shared ones."""
        return tf.reshape(values, [*self.pairs, *values.shape[1:]])


def _spec(*shape: int | None) -> tf.TensorSpec:
    return tf.TensorSpec(shape, tf.float32)


def _traced(function: Callable[..., Any], *specs: Any) -> Any:
    return tf.function(function, autograph=False).get_concrete_function(*specs)
