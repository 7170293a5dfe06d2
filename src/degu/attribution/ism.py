"""In-silico mutagenesis: what a model predicts after every possible substitution of one base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from degu.sequences import base_codes, from_codes


def mutagenesis(
    model: keras.Model | Sequence[keras.Model],
    x: Any,
    head: Head = 0,
    *,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> np.ndarray:
    """Change of a prediction by every single-base substitution, in inference mode.

    The entry of base b at position l is f(x with b at l) − f(x): zero for the base that is there.
    An unknown base (a zero row) has no such base, so that all four entries are differences from
    the sequence with N there. Takes 3L + 1 predictions for a sequence of L known bases, and works
    for any model.

    Args:
        model: a model, or an ensemble, whose map is that of the mean prediction.
        x: (n, L, 4) one-hot, any numeric type.
        head: index of an output column, or several.
        batch_size: mutants predicted at once, of one sequence or several.
        progress: whether to show a progress bar.

    Returns:
        (n, L, 4) float32, units of the head; (n, L, 4, heads) for a list of heads, which share
        all predictions.

    Raises:
        InputError: for inputs that do not fit the model, or sequences that are not one-hot.
    """
    models = as_models(model)
    heads = as_heads(models, head)
    x = _as_one_hot(as_sequences(models, x))
    spec = tf.TensorSpec((None, models[0].input_shape[1], 4), tf.uint8)
    members = [Compiler(member)(_predictions, tuple(heads), spec) for member in models]

    def predict(sequences: np.ndarray) -> np.ndarray:
        batch = tf.convert_to_tensor(sequences)
        return np.asarray(
            np.mean([member(batch).numpy() for member in members], axis=0, dtype=np.float64)
        )

    n, length = x.shape[:2]
    bases = length * 4
    before = np.concatenate([predict(x[rows]) for rows in batches(n, batch_size)])
    maps = np.zeros((n * bases, len(heads)), np.float32)
    with progress_bar(x.size - int(x.sum()), "mutagenesis", "mutant", progress) as bar:
        for chosen, mutated in mutants(base_codes(x), x == 0, batch_size):
            maps[chosen] = predict(from_codes(mutated)) - before[chosen // bases]
            bar.update(len(chosen))
    return one_or_all(maps.reshape(n, length, 4, len(heads)), head)


def make_maps(model: keras.Model, question: Question) -> Answer:
    """In-silico mutagenesis as a method of a study."""
    return Answer(mutagenesis(model, question.x, question.columns, progress=question.progress))


def _as_one_hot(x: np.ndarray) -> np.ndarray:
    """x as uint8; InputError if a position holds anything but one base or none."""
    if not (((x == 0) | (x == 1)).all() and (x.sum(axis=2) <= 1).all()):
        raise InputError(
            "Mutagenesis needs one-hot sequences, with a zero row for an unknown base; these hold "
            "other values."
        )
    return x.astype(np.uint8)


def mutants(
    codes: np.ndarray, wanted: np.ndarray, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sequences with one base in place of another, ``batch_size`` at a time.

    Batches run on from one sequence to the next, so that all but the last are full.

    Args:
        codes: (n, L) uint8, of :func:`degu.sequences.base_codes`.
        wanted: (n, L, 4) bool, which base is to stand where.
        batch_size: mutants at once.

    Yields:
        Flat indices into ``wanted`` (m,), and the mutants of which they say where they differ, as
        codes (m, L).
    """
    bases = wanted[0].size
    for chosen in _numbers(wanted, batch_size):
        row, place = np.divmod(chosen, bases)
        mutated = codes[row]
        mutated[np.arange(len(row)), place // 4] = place % 4
        yield chosen, mutated


def _numbers(wanted: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Flat indices of what is true, ``batch_size`` at a time."""
    waiting = np.empty(0, np.int64)
    for row, own in enumerate(wanted):
        waiting = np.concatenate([waiting, np.flatnonzero(own) + row * own.size])
        while len(waiting) >= batch_size:
            yield waiting[:batch_size]
            waiting = waiting[batch_size:]
    if len(waiting):
        yield waiting


def _predictions(model: keras.Model, heads: tuple[int, ...], x: tf.Tensor) -> tf.Tensor:
    """From sequences (B, L, 4) uint8 predictions (B, heads) float32."""
    columns = model(tf.cast(x, tf.float32), training=False)
    return tf.cast(tf.gather(columns, heads, axis=1), tf.float32)
