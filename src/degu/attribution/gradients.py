"""Saliency: how a prediction changes with an infinitesimal change of the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from degu.attribution.compiled import Compiler
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
from degu.attribution.methods import Answer, Question
from degu.errors import InputError


def saliency(
    model: keras.Model | Sequence[keras.Model],
    x: Any,
    head: Head = 0,
    *,
    centered: bool = True,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> np.ndarray:
    """Gradient of a prediction with respect to each base of its sequence, in inference mode.

    One-hot sequences lie on a simplex: the four numbers of a position add up to 1. A network is
    trained there and nowhere else, so the part of its gradient that leaves the simplex, equal for
    all four bases of a position, is arbitrary. Centring removes it (Majdandzic, Rajesh and Koo,
    Genome Biology 24:109, 2023): from each gradient, the mean over the four bases of its position
    is subtracted. This holds for the zero row of an unknown base as for any other.

    Works for any model that TensorFlow can differentiate.

    Args:
        model: a model, or an ensemble, whose map is that of the mean prediction.
        x: (n, L, 4), any numeric type.
        head: index of an output column, or several.
        centered: whether to centre the map over the four bases.
        batch_size: sequences in memory at once.
        progress: whether to show a progress bar.

    Returns:
        (n, L, 4) float32, units of the head; (n, L, 4, heads) for a list of heads, which share
        one forward pass.

    Raises:
        InputError: for inputs that do not fit the model, or a model (named) whose prediction is no
            differentiable function of its input.
    """
    models = as_models(model)
    heads = as_heads(models, head)
    x = as_sequences(models, x)
    spec = tf.TensorSpec((None, models[0].input_shape[1], 4), tf.float32)
    members = [Compiler(member)(_gradients, tuple(heads), spec) for member in models]
    maps = np.empty((*x.shape, len(heads)), np.float32)
    with progress_bar(len(x), "saliency", "sequence", progress) as bar:
        for rows in batches(len(x), batch_size):
            batch = tf.convert_to_tensor(x[rows].astype(np.float32))
            total = np.zeros((*batch.shape, len(heads)))
            for gradients in members:
                total += gradients(batch).numpy()
            if centered:
                total -= total.mean(axis=2, keepdims=True)
            maps[rows] = total / len(members)
            bar.update(len(total))
    return one_or_all(maps, head)


def make_maps(model: keras.Model, question: Question) -> Answer:
    """Saliency as a method of a study."""
    return Answer(saliency(model, question.x, question.columns, progress=question.progress))


def _gradients(model: keras.Model, heads: tuple[int, ...], x: tf.Tensor) -> tf.Tensor:
    """From sequences (B, L, 4) the gradient of each head, (B, L, 4, heads)."""
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(x)
        predictions = model(x, training=False)
        columns = [predictions[:, h] for h in heads]
    found = [tape.gradient(column, x) for column in columns]
    if any(gradient is None for gradient in found):
        raise InputError(
            f"{model.name} has no gradient: its output is no differentiable function of its "
            "input; use mutagenesis, which works for any model."
        )
    return tf.stack(found, axis=-1)
