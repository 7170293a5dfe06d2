"""Training and prediction of one member of a study: what the workflow's jobs call."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from degu import models
from degu.cards import Card
from degu.checkpoint import Checkpoint, History, checkpoint_path, training_lock
from degu.dataset import SPLITS, open_hdf5, read_split
from degu.dynamic import DynamicStudent, Variant, beside, mode_augmentation
from degu.ensemble import new_member
from degu.errors import DivergedError, InputError
from degu.fingerprint import FINGERPRINT
from degu.heads import Heads
from degu.predictions import constant_heads
from degu.training import (
    Augment,
    head_errors,
    load_model,
    predict,
    read_history,
    save_history,
    save_model,
    standard_train_fun,
)

Data = tuple[np.ndarray, np.ndarray]
Path_ = str | os.PathLike[str]


class Session:
    """The training of one model file and its history, as :func:`training_session` gives it.

    Attributes:
        checkpoint: for the functions of this module that train. If another process has made the
            files from the same weights, data and settings, they take the model from there.
        tracking: folder for TensorBoard's curves of this training, or None.
    """

    def __init__(self, model: Path_, history: Path_, tracking: Path_ | None = None) -> None:
        self._model, self._history = Path(model), Path(history)
        self._taken = False
        self.checkpoint = Checkpoint(checkpoint_path(model), self._take)
        self.tracking = tracking

    def save(self, model: keras.Model, history: History, card: Card) -> None:
        """Write both files, the model last, and delete the checkpoint."""
        if not self._taken:
            save_history(history, self._history)
            save_model(model, self._model, card, self.checkpoint.fingerprint)
        self.checkpoint.remove()

    def _take(self, model: keras.Model, fingerprint: str) -> History | None:
        if not (self._model.exists() and self._history.exists()):
            return None
        try:
            with open_hdf5(self._model) as file:
                if file.attrs.get(FINGERPRINT) != fingerprint:
                    return None
            made, _ = load_model(self._model)
            history = read_history(self._history)
        except InputError:
            return None
        model.set_weights(made.get_weights())
        print(f"{self._model} has been made meanwhile; it stays as it is.", file=sys.stderr)
        self._taken = True
        return history


@contextmanager
def training_session(
    model: Path_, history: Path_, config: Mapping[str, Any] | None = None
) -> Iterator[Session]:
    """Hold the lock of a model file while it is trained and saved.

    Args:
        model, history: the files to make, by :meth:`Session.save`.
        config: the study's, whose ``tracking`` says whether there are curves for TensorBoard:
            those of ``results/{dataset}/{...}/1_DeepSTARR.h5`` go to
            ``results/{dataset}/tensorboard/{...}/1_DeepSTARR``.

    Example:
        >>> with training_session("1_DeepSTARR.h5", "1_history.csv") as session:
        ...     trained = train_member(..., checkpoint=session.checkpoint)
        ...     session.save(*trained, card)
    """
    tracking = None
    if config is not None and config.get("tracking") == "tensorboard":
        results = Path("results", config["dataset"])
        tracking = results / "tensorboard" / Path(model).relative_to(results).with_suffix("")
    with training_lock(model, history):
        yield Session(model, history, tracking)


def train_member(
    architecture: str,
    heads: Heads,
    train: Data,
    validation: Data,
    *,
    seed: int,
    settings: Mapping[str, Any],
    augment: Augment | None = None,
    checkpoint: Path_ | Checkpoint | None = None,
    tracking: Path_ | None = None,
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train a teacher or a student from its seed.

    Args:
        architecture: the config's ``model``.
        heads: names of the output columns.
        train, validation: (x (N, L, 4), y (N, heads)).
        seed: of the weights, the dropout, the order of sequences and their augmentation.
        settings: the config's ``training`` or ``student_training``.
        augment, checkpoint, tracking: see :func:`degu.training.standard_train_fun`.

    Returns:
        The model with its best weights, and its history.

    Raises:
        DivergedError: if the loss is no longer finite, or a head has learned nothing.
    """
    model = _untrained(architecture, heads, train[0], seed)
    history = fit_member(
        model,
        heads,
        train,
        validation,
        seed=seed,
        settings=settings,
        augment=augment,
        checkpoint=checkpoint,
        tracking=tracking,
    )
    return model, history


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
    settings: Mapping[str, Any],
    checkpoint: Path_ | Checkpoint | None = None,
    tracking: Path_ | None = None,
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train a student from its seed on batches that its teachers label as they come.

    What is not described is as for :func:`train_member`, and :func:`finetune_member` takes up the
    student from here.

    Args:
        heads: means and ``std`` or ``logvar``, which says how the teachers' spread is learned.
        train: of its targets, only a variant that appends sees the values.
        teachers: the members of the student's ensemble; not changed.
        variant: how batches are augmented, and whether they replace those of the training set.
        augmentation: arguments of :func:`degu.dynamic.mode_augmentation` that the mode needs.

    Returns:
        The plain student with its best weights, and its history.

    Raises:
        InputError: for heads that are no student's, or teachers that do not fit them.
    """
    if heads != Heads.student(heads.targets, heads.epistemic or "std"):
        raise InputError(
            f"A student labelled by its teachers has heads for means and std or logvar, not "
            f"{', '.join(heads.columns)}; choose such heads."
        )
    student = _untrained(architecture, heads, train[0], seed)
    augment = mode_augmentation(variant.mode, **augmentation)
    history = fit_member(
        DynamicStudent(student, teachers, heads.kinds[-1]),
        heads,
        train,
        validation,
        seed=seed,
        settings=settings,
        augment=beside(augment) if variant.append else augment,
        checkpoint=checkpoint,
        tracking=tracking,
    )
    return student, history


def finetune_member(
    model: keras.Model,
    heads: Heads,
    train: Data,
    validation: Data,
    *,
    seed: int,
    settings: Mapping[str, Any],
    checkpoint: Path_ | Checkpoint | None = None,
    tracking: Path_ | None = None,
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train a model further; the given one stays as it is. Arguments as for :func:`train_member`.

    Dropout starts from ``seed`` too: a model that is loaded would repeat its first masks.
    """
    tuned = new_member(model, seed)
    tuned.set_weights(model.get_weights())
    history = fit_member(
        tuned,
        heads,
        train,
        validation,
        seed=seed,
        settings=settings,
        checkpoint=checkpoint,
        tracking=tracking,
    )
    return tuned, history


def fit_member(
    model: keras.Model,
    heads: Heads,
    train: Data,
    validation: Data,
    *,
    seed: int,
    settings: Mapping[str, Any],
    augment: Augment | None = None,
    checkpoint: Path_ | Checkpoint | None = None,
    tracking: Path_ | None = None,
) -> dict[str, list[float]]:
    """Fit a model in place; returns its history.

    Mean squared error with equal weight on all heads, by Adam, with the schedule of
    :func:`degu.training.standard_train_fun`. Arguments as for :func:`train_member`.
    """
    settings = dict(settings)
    print(
        f"{model.name}, {model.count_params():,} weights, heads {', '.join(heads.columns)}; "
        f"{len(train[0]):,} training and {len(validation[0]):,} validation sequences; seed {seed}",
        file=sys.stderr,
        flush=True,
    )
    history = standard_train_fun(
        model,
        *train,
        validation_data=validation,
        save_prefix=None,
        optimizer=keras.optimizers.Adam(settings.pop("learning_rate")),
        loss=keras.losses.MeanSquaredError(),
        metrics=head_errors(heads),
        seed=seed,
        augment=augment,
        checkpoint=checkpoint,
        tracking=tracking,
        **settings,
    )
    _check_learned(model, heads, train[1], validation[0])
    return history


def _check_learned(model: keras.Model, heads: Heads, y: np.ndarray, x: np.ndarray) -> None:
    """Refuse a model that predicts one number where its targets differ."""
    constant = constant_heads(predict(model, x), heads) if len(x) > 1 else ()
    columns = zip(heads.columns, np.ptp(y, axis=0), strict=True)
    unlearned = [name for name, spread in columns if name in constant and spread > 0]
    if unlearned:
        raise DivergedError(
            f"{', '.join(unlearned)}: the trained model predicts one number for every validation "
            "sequence, so it has learned nothing; lower the learning rate or choose another seed "
            '(docs/guide.md, "A model that learns nothing").'
        )


def predict_splits(
    model: keras.Model, dataset: str | os.PathLike[str], rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Predictions (N, heads) on the training subset, the validation and the test set."""
    predictions = {}
    for name in SPLITS:
        split = read_split(dataset, name, rows=rows if name == "Train" else None, fields=("x",))
        predictions[name] = predict(model, split.x)
        print(f"{name}: {len(split.x):,} sequences predicted", file=sys.stderr, flush=True)
    return predictions


def _untrained(architecture: str, heads: Heads, x: np.ndarray, seed: int) -> keras.Model:
    blueprint = models.build(architecture, x.shape[1:], len(heads))
    models.check_portable(blueprint)
    return new_member(blueprint, seed)
