"""DeepSHAP: DeepLIFT's contributions, averaged over references.

Of a sequence x and a reference r, DeepLIFT gives each base a multiplier, what a change from r to x
is worth there at the output. The contributions multiplier · (x − r) of all bases add up to
f(x) − f(r) (:mod:`degu.attribution.rules` has the rules, :mod:`degu.attribution.engine` applies
them). DeepSHAP (Lundberg and Lee, NeurIPS 2017) is their mean over references.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from degu.attribution.engine import Engine
from degu.attribution.inputs import (
    BATCH_SIZE,
    Head,
    as_heads,
    as_models,
    as_sequences,
    batches,
    check_numbers,
    one_or_all,
    progress_bar,
)
from degu.attribution.methods import Answer, Question
from degu.attribution.references import sample_references, shuffled_references
from degu.errors import InputError
from degu.sweep import derive_seed

logger = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""A larger residual is worth a warning, as a share of the typical (root mean square) difference
between a prediction and that on references."""

MISMATCH = 0.05
"""What rounding can explain of a difference between two ways of computing one prediction, as a
share of the largest prediction."""


@dataclass(frozen=True)
class Explanation:
    """DeepSHAP of n sequences for a list of heads; float32, in units of the heads.

    Attributes:
        contributions: (n, L, 4, heads), the mean over references of multiplier · (x − r).
        hypothetical: (n, L, 4, heads), what each base would contribute if it were the one that is
            there: the mean over references of its multiplier minus Σ_b multiplier_b · r_b. At the
            base that is there, it is the sum of the position's contributions.
        prediction: (n, heads), f(x).
        expected: (n, heads), the mean of f over references.
        residual: (n, heads), the sum of all contributions minus (prediction − expected): what
            rounding leaves of additivity.
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
    """DeepSHAP's contributions alone; arguments and errors as of :func:`explain`.

    Returns:
        (n, L, 4) float32, units of the head; (n, L, 4, heads) for a list of heads. They are not
        centred: the sum over a sequence is its prediction minus the mean on its references.
    """
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
    """DeepSHAP: contributions that add up, and how exactly they do.

    All heads share one forward pass over pairs of sequence and reference. A reference that equals
    the sequence is a reference as any other; its contributions are zero. The zero row of an
    unknown base, in x or in a reference, is the value 0 of four inputs, as it is for the model; its
    position contributes where x and r differ. Where residuals are large, a warning is logged.

    The first call for an architecture, number of heads and size of a step traces and compiles,
    which takes a second or two (:mod:`degu.attribution.compiled`); another model of the same
    architecture does not.

    Args:
        model: functional or Sequential, or an ensemble of such, whose contributions are those of
            the mean prediction.
        x: (n, L, 4), any numeric type.
        references: (k, L, 4) for all sequences, or (n, k, L, 4) for each its own.
        head: index of an output column, or several.
        batch_size: pairs of sequence and reference in memory at once.
        progress: whether to show a progress bar.

    Raises:
        InputError: for inputs that do not fit the model; for a model with a layer that the rule
            does not cover (named), before anything is computed.

    Example:
        >>> found = explain(model, x, shuffled_references(x, k=100, seed=1), head=[0, 1])
        >>> found.contributions.shape, abs(found.residual).max()
    """
    models = as_models(model)
    heads = as_heads(models, head)
    x = as_sequences(models, x)
    references = _as_references(references, x)
    rows = list(batches(len(x), batch_size))

    k, shared = references.shape[-3], references.ndim == 3
    # As many references a step as there is room for, in steps of one size.
    width = -(-k // -(-k // batch_size))
    height = min(len(x), max(1, batch_size // width))
    # All of them first, so that a model without rules is refused before anything is computed.
    engines = [Engine(member, heads, height, width, x.shape[1], shared) for member in models]
    maps = np.zeros((2, *x.shape, len(heads)), np.float32)
    prediction, expected = np.zeros((2, len(x), len(heads)))
    with (
        progress_bar(len(models) * len(x) * k, "DeepSHAP", "pair", progress) as bar,
        _full_precision(),
    ):
        for member, engine in zip(models, engines, strict=True):
            own = np.concatenate([engine.predict(_float(x[some])) for some in rows])
            if not np.isfinite(own).all():
                raise InputError(
                    f"DeepSHAP: {member.name} predicts values that are not finite; train it again."
                )
            prediction += own / len(models)
            for columns in batches(k, width):
                block = references[..., columns, :, :]
                count = block.shape[-3]
                block = _filled(block, width, axis=-3)
                weights = np.repeat([1 / (k * len(models)), 0], [count, width - count])
                values = engine.values(_float(block)) if shared else None
                for some in batches(len(x), height):
                    given = values if shared else _float(_filled(block[some], height, axis=0))
                    found = engine.step(
                        _float(_filled(x[some], height, axis=0)), given, _float(weights)
                    )
                    there = len(x[some])
                    maps[0, some] += found.contributions[:there]
                    maps[1, some] += found.hypothetical[:there]
                    expected[some] += np.einsum("skh,k->sh", found.references, weights)[:there]
                    _check_predictions(member, found.predictions[:there], own[some], own)
                    bar.update(there * count)
    residual = maps[0].sum(axis=(1, 2), dtype=np.float64) - (prediction - expected)
    _warn_of(residual, prediction, expected)
    numbers = (part.astype(np.float32) for part in (prediction, expected, residual))
    return Explanation(*maps, *numbers)


def make_maps(model: keras.Model, question: Question, *, k: int, hypothetical: bool) -> Answer:
    """DeepSHAP as a method of a study, with k test sequences that all sequences share.

    Raises:
        InputError: if there are not so many; names the config key.
    """
    test = question.test()
    if k > len(test):
        raise InputError(
            f"attribution.references: {k} is more than the {len(test)} test sequences; write a "
            "smaller number, or leave shap out of attribution.methods."
        )
    return _answer(model, question, sample_references(test, k, question.seed), hypothetical)


def make_maps_by_shuffles(
    model: keras.Model, question: Question, *, k: int, hypothetical: bool
) -> Answer:
    """DeepSHAP as a method of a study, with k dinucleotide shuffles of each sequence."""
    seed = derive_seed(question.seed, "attribution references", target=question.target)
    return _answer(model, question, shuffled_references(question.x, k, seed), hypothetical)


def _answer(
    model: keras.Model, question: Question, references: np.ndarray, hypothetical: bool
) -> Answer:
    """
    Args:
        hypothetical: whether to keep the hypothetical contributions.
    """
    made = explain(model, question.x, references, question.columns, progress=question.progress)
    others = made.hypothetical if hypothetical else None
    return Answer(made.contributions, made.prediction, made.residual, others)


def _as_references(references: Any, x: np.ndarray) -> np.ndarray:
    references = np.asarray(references)
    shape, (n, length) = references.shape, x.shape[:2]
    fits = references.ndim == 3 or (references.ndim == 4 and len(references) == n)
    if not fits or 0 in shape or shape[-2:] != (length, 4):
        raise InputError(
            f"DeepSHAP needs references (k, {length}, 4) for all sequences, or ({n}, k, {length}, "
            f"4) for each its own, but got {shape}."
        )
    check_numbers(references, "references")
    return references


def _float(values: np.ndarray) -> tf.Tensor:
    return tf.convert_to_tensor(values.astype(np.float32))


def _filled(values: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Repeat the last entry of an axis up to a length."""
    missing = length - values.shape[axis]
    last = np.take(values, [-1], axis)
    return np.concatenate([values, *[last] * missing], axis) if missing else values


@contextmanager
def _full_precision() -> Iterator[None]:
    """Keep GPUs from rounding products to 10 bits (TensorFloat-32), which additivity would show."""
    config = tf.config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        config.enable_tensor_float_32_execution(before)


def _check_predictions(
    model: keras.Model, found: tf.Tensor, own: np.ndarray, every: np.ndarray
) -> None:
    """Refuse a model that does not predict what its layers, one after another, do."""
    distance = np.abs(found.numpy() - own)
    if (distance > MISMATCH * np.abs(every).max(axis=0)).any():
        raise InputError(
            f"DeepSHAP: {model.name} does not predict what its layers do by themselves (off by "
            f"{distance.max():.2g}), so that it has operations that the rescale rule does not "
            "know; use saliency or mutagenesis, which need no rule."
        )


def _warn_of(residual: np.ndarray, prediction: np.ndarray, expected: np.ndarray) -> None:
    spread = np.sqrt(np.mean(np.square(prediction - expected), axis=0))
    rounding = 16 * np.finfo(np.float32).eps * np.abs(prediction).max(axis=0)  # by itself
    # Not a number is large as well.
    large = ~(np.abs(residual) <= np.maximum(TOLERANCE * spread, rounding))
    count = int(large.any(axis=1).sum())
    if count:
        logger.warning(
            "DeepSHAP: additivity is missed by more than %g of the typical difference between a "
            "prediction and that on references, for %d of %d sequences.",
            TOLERANCE,
            count,
            len(large),
        )
