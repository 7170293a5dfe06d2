"""Fitting of one model of a study, from its data and settings."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from degu.dataset.copies import Copies
from degu.errors import DivergedError, InputError
from degu.heads import Columns, Heads
from degu.io.predictions import constant_heads
from degu.jobs.session import Path_
from degu.models.draw import new_member
from degu.models.registry import build
from degu.models.safety import check_portable
from degu.sweep import Variant
from degu.training.batches import Augment, predict
from degu.training.checkpoint import Checkpoint
from degu.training.dynamic import DynamicStudent, beside, mode_augmentation
from degu.training.fit import head_errors, squared_error_of, standard_train_fun

Data = tuple[np.ndarray, np.ndarray]
Trained = tuple[keras.Model, dict[str, list[float]]]
"""A model with its best weights, and its history."""


def train_member(
    architecture: str,
    heads: Heads,
    train: Data,
    validation: Data,
    *,
    seed: int,
    **fit: Any,
) -> Trained:
    """Train a teacher or a student from its seed.

    Args:
        architecture: the config's ``model``.
        heads: names of the output columns.
        train, validation: (x (N, L, 4), y (N, heads), or (N, labels) where there are ``labels``).
        seed: of the weights, the dropout, the order of sequences and their augmentation.
        fit: what else :func:`fit_member` takes.

    Returns:
        The model with its best weights, and its history.

    Raises:
        DivergedError: if the loss is no longer finite, or a head has learned nothing.
    """
    model = _untrained(architecture, heads, train[0], seed)
    return model, fit_member(model, heads, train, validation, seed=seed, **fit)


def train_dynamic_member(
    architecture: str,
    heads: Heads,
    train: Data,
    validation: Data,
    *,
    teachers: Sequence[keras.Model],
    variant: Variant,
    augmentation: Mapping[str, Any],
    seed: int,
    **fit: Any,
) -> Trained:
    """Train a student from its seed on batches that its teachers label as they come.

    What is not described is as for :func:`train_member`, and :func:`finetune_member` takes up the
    student from here.

    Args:
        heads: means and ``std`` or ``logvar``, which says how the teachers' spread is learned;
            between them aleatoric ones, if the teachers have such.
        train: of its targets, only a variant that appends sees the values.
        teachers: the members of the student's ensemble; not changed.
        variant: how batches are augmented, and whether they replace those of the training set.
        augmentation: arguments of :func:`degu.training.dynamic.mode_augmentation` that the mode
            needs.

    Returns:
        The plain student with its best weights, and its history.

    Raises:
        InputError: for heads that are no student's, or teachers that do not fit them.
    """
    uncertainty = heads.epistemic or "std"
    if heads != Heads.student(heads.targets, uncertainty, "aleatoric" in heads.kinds):
        raise InputError(
            f"A student labelled by its teachers has heads for means and std or logvar, not "
            f"{', '.join(heads.columns)}; choose such heads."
        )
    student = _untrained(architecture, heads, train[0], seed)
    augment: Augment = mode_augmentation(variant.mode, **augmentation)
    dynamic = DynamicStudent(student, teachers, uncertainty, heads.of_members)
    augment = beside(augment) if variant.append else augment
    return student, fit_member(dynamic, heads, train, validation, seed=seed, augment=augment, **fit)


def finetune_member(
    model: keras.Model,
    heads: Heads,
    train: Data,
    validation: Data,
    *,
    seed: int,
    **fit: Any,
) -> Trained:
    """Train a model further; the given one stays as it is. Arguments as for :func:`train_member`.

    Dropout starts from ``seed`` too: a model that is loaded would repeat its first masks.
    """
    tuned = new_member(model, seed)
    tuned.set_weights(model.get_weights())
    return tuned, fit_member(tuned, heads, train, validation, seed=seed, **fit)


def fit_member(
    model: keras.Model,
    heads: Heads,
    train: Data,
    validation: Data,
    *,
    seed: int,
    settings: Mapping[str, Any],
    augment: Augment | None = None,
    copies: Copies | None = None,
    uncertainty_weight: float = 1,
    losses: tuple[keras.losses.Loss, keras.losses.Loss] | None = None,
    labels: Columns | None = None,
    checkpoint: Path_ | Checkpoint | None = None,
    tracking: Path_ | None = None,
) -> dict[str, list[float]]:
    """Fit a model in place; returns its history.

    Mean squared error unless there are ``losses``, by Adam, with the schedule of
    :func:`degu.training.fit.standard_train_fun`.

    Args:
        model, heads, train, validation, seed: as for :func:`train_member`.
        settings: a section of the config, such as ``training`` or ``student_training``.
        uncertainty_weight: of epistemic heads, where that of others is 1.
        losses: of training and of validation, where it is not squared errors: early stopping and
            learning rate go by the second, in the history by its name.
        labels: names of the columns of y, by default those of all heads, or with ``losses`` of the
            means.
        augment, copies, checkpoint, tracking: see :func:`degu.training.fit.standard_train_fun`.
    """
    settings = dict(settings)
    print(
        f"{model.name}, {model.count_params():,} weights, heads {', '.join(heads.columns)}; "
        f"{len(train[0]):,} training and {len(validation[0]):,} validation sequences"
        f"{f', {len(copies.codes)} copies of each' if copies else ''}; seed {seed}",
        file=sys.stderr,
        flush=True,
    )
    labels = labels or (heads if losses is None else Heads(heads.targets))
    loss = squared_error_of(heads, uncertainty_weight)
    metrics, monitor = head_errors(heads, labels), None
    if losses is not None:
        loss, likelihood = losses
        metrics.append(keras.metrics.MeanMetricWrapper(likelihood.call, name=likelihood.name))
        monitor = f"val_{likelihood.name}"
    history = standard_train_fun(
        model,
        *train,
        validation_data=validation,
        save_prefix=None,
        optimizer=keras.optimizers.Adam(settings.pop("learning_rate")),
        loss=loss,
        metrics=metrics,
        monitor=monitor,
        seed=seed,
        augment=augment,
        copies=copies,
        checkpoint=checkpoint,
        tracking=tracking,
        **settings,
    )
    _check_learned(model, heads, labels, train[1], validation[0])
    return history


def _check_learned(
    model: keras.Model, heads: Heads, labels: Columns, y: np.ndarray, x: np.ndarray
) -> None:
    """Refuse a model that predicts one number where its targets differ.

    Those of heads that are among the labels; what others should predict, nobody knows.
    """
    constant = constant_heads(predict(model, x), heads) if len(x) > 1 else ()
    columns = zip(labels.columns, np.ptp(y, axis=0), strict=True)
    unlearned = [name for name, spread in columns if name in constant and spread > 0]
    if unlearned:
        raise DivergedError(
            f"{', '.join(unlearned)}: the trained model predicts one number for every validation "
            "sequence, so it has learned nothing; lower the learning rate or choose another seed "
            '(docs/guide.md, "A model that learns nothing").'
        )


def _untrained(architecture: str, heads: Heads, x: np.ndarray, seed: int) -> keras.Model:
    blueprint = build(architecture, x.shape[1:], len(heads))
    check_portable(blueprint)
    return new_member(blueprint, seed)
