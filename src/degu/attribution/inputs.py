"""What every attribution method asks of its arguments."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from degu.errors import InputError

Head = int | Sequence[int]
BATCH_SIZE = 256


def as_models(model: keras.Model | Sequence[keras.Model]) -> list[keras.Model]:
    """The members of an ensemble, or the one model.

    Raises:
        InputError: if there is none, one is no functional or Sequential model, has more than one
            input or output or predicts more than one row of columns, or two differ in shape.
    """
    if model is None or isinstance(model, str | os.PathLike):
        raise InputError(
            f"Attribution needs a model, but got {model!r}; load one with keras.models.load_model."
        )
    models = [model] if isinstance(model, keras.Model) else list(model)
    if not models:
        raise InputError("Attribution needs a model, but got an empty ensemble.")
    for member in models:
        if not hasattr(member, "input_shape"):  # a subclassed model, or no model at all
            raise InputError(
                f"Attribution needs a functional or Sequential Keras model, but got {member!r}; "
                "build a Sequential one (or begin it with keras.Input), and wrap a subclassed one "
                "as keras.Model(inputs, model(inputs))."
            )
        shapes = member.input_shape, member.output_shape
        if not all(isinstance(shape, tuple) for shape in shapes) or [*map(len, shapes)] != [3, 2]:
            raise InputError(
                f"Attribution needs a model from sequences (N, L, 4) to columns (N, heads), but "
                f"{member.name} goes from {shapes[0]} to {shapes[1]}."
            )
        if shapes != (models[0].input_shape, models[0].output_shape):
            raise InputError(
                f"The members of an ensemble have one shape, but {member.name} goes from "
                f"{shapes[0]} to {shapes[1]} and {models[0].name} from {models[0].input_shape} to "
                f"{models[0].output_shape}."
            )
    return models


def as_heads(models: Sequence[keras.Model], head: Head) -> list[int]:
    """Indices of output columns.

    Raises:
        InputError: for none, for one that the models do not have, or one that is named twice.
    """
    heads = list(head) if isinstance(head, Sequence | np.ndarray) else [head]
    columns = models[0].output_shape[-1]
    for h in heads:
        if isinstance(h, bool) or not isinstance(h, int | np.integer) or not 0 <= h < columns:
            raise InputError(
                f"There is no head {h!r}: {models[0].name} has {columns} output columns, so name "
                f"one from 0 to {columns - 1}."
            )
    if not heads or len(set(heads)) != len(heads):
        raise InputError(f"Heads must be distinct and at least one, but got {heads}.")
    return [int(h) for h in heads]


def as_sequences(models: Sequence[keras.Model], x: Any, name: str = "x") -> np.ndarray:
    """Sequences (n, L, 4) that fit the models, in the type they came in.

    Raises:
        InputError: for no sequences, another shape, or what is no finite number.
    """
    x = np.asarray(x)
    length = models[0].input_shape[1]
    if x.ndim != 3 or 0 in x.shape or x.shape[2] != 4 or length not in (None, x.shape[1]):
        raise InputError(
            f"Attribution needs sequences {name} of shape (n, {length or 'L'}, 4), but got "
            f"{x.shape}."
        )
    check_numbers(x, f"sequences {name}")
    return x


def check_numbers(values: np.ndarray, name: str) -> None:
    """Refuse an array with anything but finite numbers; InputError names it."""
    if values.dtype.kind not in "buif" or not np.isfinite(values).all():
        raise InputError(
            f"Attribution needs {name} of finite numbers, but got {values.dtype} with others; "
            "encode them with degu.sequences.one_hot."
        )


def batches(n: int, batch_size: int) -> Iterator[slice]:
    """Slices that cover n rows in order, each of ``batch_size`` but the last.

    Raises:
        InputError: for a batch size below 1.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, but is {batch_size}.")
    return (slice(start, start + batch_size) for start in range(0, n, batch_size))


def one_or_all(maps: np.ndarray, head: Head) -> np.ndarray:
    """Maps (..., heads) without their last axis where a single head was asked for."""
    return maps if isinstance(head, Sequence | np.ndarray) else maps[..., 0]


def progress_bar(total: int, what: str, unit: str, shown: bool) -> tqdm:
    """A bar on stderr with an estimate of what is left; a line now and then in a log file."""
    live = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=what,
        unit=unit,
        disable=not shown,
        mininterval=0.5 if live else 30,
        maxinterval=10 if live else 30,
        file=sys.stderr,
    )
