"""Ensembles of networks that differ in their random initialisation, and their distillation.

Source: Zhou, Rizzo, Christensen, Tang & Koo, bioRxiv 2024.11.13.623485; the ensembles are deep
ensembles (Lakshminarayanan, Pritzel & Blundell, NeurIPS 2017) without adversarial training.
"""

from __future__ import annotations

import inspect
import json
import operator
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras
import numpy as np

from degu.dataset.copies import COPIES, Copier, Copies
from degu.errors import InputError
from degu.metrics import eval_classification, eval_regression
from degu.models.draw import fresh_optimizer, new_member, twins
from degu.models.files import FINGERPRINT, save_weights
from degu.models.identity import architecture_config
from degu.sequences import from_codes, is_one_hot
from degu.sweep import derive_seed
from degu.training.batches import PREDICT_BATCH_SIZE, predict
from degu.training.checkpoint import Checkpoint, checkpoint_path, training_lock
from degu.training.fingerprint import fingerprint, own_layers
from degu.training.fit import TrainFun, build_weights, standard_train_fun
from degu.uncertainty import ensemble_mean, uncertainty_logvar

Results = dict[str, np.ndarray]


class EnsemblePrediction(NamedTuple):
    """Prediction of an ensemble: ``mean`` and ``uncertainty``, each (N, T...)."""

    mean: np.ndarray
    uncertainty: np.ndarray


class EnsembleEvaluation(NamedTuple):
    """Evaluation of an ensemble.

    Attributes:
        ensemble_results: results of the ensemble's mean.
        standard_results: results of each member by itself.
        predictions: the ensemble's mean (N, T...).
        uncertainties: the ensemble's uncertainty (N, T...).
    """

    ensemble_results: Any
    standard_results: list[Any]
    predictions: np.ndarray
    uncertainties: np.ndarray


class StudentEvaluation(NamedTuple):
    """Evaluation of a student.

    Attributes:
        results: of its activity heads against the measurements and of its uncertainty heads
            against the ensemble's uncertainty; columns in that order.
        predictions: its output (N, 2T).
        y_ensemble: the ensemble's mean and uncertainty side by side (N, 2T).
    """

    results: Any
    predictions: np.ndarray
    y_ensemble: np.ndarray


class DEGU:
    """An ensemble and its distillation into one student, for any Keras model.

    Args:
        model: the members' architecture: a functional or Sequential model (its weights are not
            used), or a function without arguments that builds a model of any kind.
        num_ensemble: number of members M, at least 2.
        uncertainty_fun: from the members' predictions (M, N, T...) to their uncertainty (N, T...).
        seed: makes everything reproducible; None draws new seeds at each run.

    Example:
        >>> degu = DEGU(model, num_ensemble=10)
        >>> degu.train_ensemble(x, y, optimizer="adam", loss="mse", validation_data=(xv, yv))
        >>> mean, uncertainty = degu.pred_ensemble(x_test)

    Reference:
        Zhou et al., bioRxiv 2024.11.13.623485.
    """

    def __init__(
        self,
        model: keras.Model | Callable[[], keras.Model],
        num_ensemble: int = 10,
        uncertainty_fun: Callable[[np.ndarray], np.ndarray] = uncertainty_logvar,
        seed: int | None = None,
    ) -> None:
        if operator.index(num_ensemble) < 2:
            raise ValueError(
                f"An ensemble of {num_ensemble} has no spread between members; "
                "num_ensemble must be at least 2."
            )
        self.model = model
        self.num_ensemble = num_ensemble
        self.uncertainty_fun = uncertainty_fun
        self.seed = seed
        self.members: list[keras.Model] = []

    def train_ensemble(
        self,
        x: Any,
        y: np.ndarray,
        train_fun: TrainFun = standard_train_fun,
        save_prefix: str | os.PathLike[str] | None = "ensemble",
        optimizer: Any = None,
        loss: Any = None,
        validation_data: tuple[Any, np.ndarray] | None = None,
        resume: bool = False,
        **train_kwargs: Any,
    ) -> list[dict[str, list[float]]]:
        """Train every member from an initialisation of its own.

        Args:
            x: sequences (N, L, 4), or what else the model takes.
            y: targets (N, T...).
            train_fun: ``train_fun(model, x, y, validation_data, save_prefix, optimizer, loss,
                **train_kwargs)`` trains one model and returns its history.
            save_prefix: member i, from 1, is saved as ``{save_prefix}_{i}.weights.h5``; an existing
                file is replaced. None saves nothing.
            optimizer, loss: with both None each member is compiled like the given model.
            validation_data: (x, y).
            resume: reuse a saved member if it was trained on the same data with the same settings;
                one that was not is trained again. Of an ensemble with a seed, the member whose
                training was killed is taken up after its last epoch, if ``train_fun`` has the
                argument ``checkpoint`` of :func:`degu.training.fit.standard_train_fun`.
            train_kwargs: passed to ``train_fun`` (epochs, batch_size, ...).

        Returns:
            A history for each member, in order.

        Raises:
            ValueError: if shapes do not fit each other or the model, the model cannot be cloned, or
                members begin alike although they should not.
        """
        y = np.asarray(y)
        validation_data = _as_pair(validation_data)
        _check_shapes(self._new_member(0), x, y, validation_data)
        if resume and save_prefix is None:
            raise ValueError("resume=True needs the save_prefix that the members were saved with.")
        members: list[keras.Model] = []
        histories = []
        initial: list[np.ndarray] = []
        for i in range(1, self.num_ensemble + 1):
            member = self._new_member(i)
            build_weights(member, x)
            weights = [np.array(w) for w in member.get_weights()]
            if i == 1:
                initial = weights
            elif twins(initial, weights):
                raise ValueError(
                    f"Members 1 and {i} begin with the same weights, so the ensemble would have no "
                    "spread: take constants and fixed random numbers out of the initialisers."
                )
            data, settings = (x, y, validation_data), (train_fun, optimizer, loss, train_kwargs)
            if save_prefix is None:
                history = self._train_member(i, member, data, settings, None)
            else:
                history = self._saved_member(i, member, data, settings, save_prefix, resume)
            members.append(member)
            histories.append(history)
        self.members = members
        return histories

    def _saved_member(
        self,
        i: int,
        member: keras.Model,
        data: Any,
        settings: Any,
        save_prefix: str | os.PathLike[str],
        resume: bool,
    ) -> dict[str, list[float]]:
        """Train and save a member, or load it; one process at a time."""
        prefix = f"{save_prefix}_{i}"
        path = Path(f"{prefix}.weights.h5")
        # A loss of one's own is in no config.
        compiled = [member.get_compile_config(), member.loss] if member.compiled else None
        architecture = [architecture_config(member), own_layers(member)]
        identity = fingerprint([self.seed, i, architecture, compiled, *data, *settings])
        checkpoint = Checkpoint(checkpoint_path(path))
        with training_lock(path):
            if not resume:
                checkpoint.remove()
            history = _load_member(member, path, identity) if resume else None
            if history is None:
                # Without a seed, or settings that can be compared, it could not be known again.
                kept = None if self.seed is None or identity is None else checkpoint
                history = self._train_member(i, member, data, settings, prefix, kept)
                _save_member(member, path, identity, history)
            checkpoint.remove()
        return history

    def _train_member(
        self,
        i: int,
        member: keras.Model,
        data: Any,
        settings: Any,
        prefix: str | None,
        checkpoint: Checkpoint | None = None,
    ) -> dict[str, list[float]]:
        x, y, validation_data = data
        train_fun, optimizer, loss, train_kwargs = settings
        if train_kwargs.get("verbose", 1):
            print(f"member {i}/{self.num_ensemble}", file=sys.stderr, flush=True)
        kwargs = dict(train_kwargs)
        takes = inspect.signature(train_fun).parameters
        if self.seed is not None and "seed" in takes:
            kwargs.setdefault("seed", self._seed("order", i))
        if checkpoint is not None and "checkpoint" in takes and "steps_per_epoch" not in kwargs:
            kwargs.setdefault("checkpoint", checkpoint)
        return _as_history(
            train_fun(
                member,
                x,
                y,
                validation_data=validation_data,
                save_prefix=prefix,
                # One optimizer serves one model, whatever the train_fun does with it.
                optimizer=fresh_optimizer(optimizer),
                loss=loss,
                **kwargs,
            )
        )

    def member_predictions(self, x: Any, batch_size: int = PREDICT_BATCH_SIZE) -> np.ndarray:
        """Predictions of every member, (M, N, T...)."""
        if not self.members:
            raise ValueError("The ensemble is not trained: call train_ensemble first.")
        return np.stack([predict(member, x, batch_size) for member in self.members])

    def pred_ensemble(self, x: Any, batch_size: int = PREDICT_BATCH_SIZE) -> EnsemblePrediction:
        """The ensemble's mean and uncertainty, each (N, T...) float32.

        Raises:
            ValueError: before training.
        """
        return self._aggregate(self.member_predictions(x, batch_size))

    def eval_ensemble(
        self,
        x: Any,
        y: np.ndarray,
        eval_fun: Callable[[np.ndarray, np.ndarray], Any] = eval_regression,
        batch_size: int = PREDICT_BATCH_SIZE,
    ) -> EnsembleEvaluation:
        """Evaluate the ensemble's mean and each member by itself.

        Args:
            x: sequences (N, L, 4).
            y: measurements (N, T...).
            eval_fun: from (measurements, predictions) to results.
            batch_size: sequences a batch.
        """
        predictions = self.member_predictions(x, batch_size)
        mean, uncertainty = self._aggregate(predictions)
        y = _like(y, mean)
        return EnsembleEvaluation(
            eval_fun(y, mean), [eval_fun(y, p) for p in predictions], mean, uncertainty
        )

    def distill_student(
        self,
        student_model: keras.Model,
        x: Any,
        y: np.ndarray,
        train_fun: TrainFun = standard_train_fun,
        save_prefix: str | os.PathLike[str] | None = "student",
        optimizer: Any = None,
        loss: Any = None,
        validation_data: tuple[Any, np.ndarray] | None = None,
        copies: int = COPIES,
        **train_kwargs: Any,
    ) -> dict[str, list[float]]:
        """Train a student on the ensemble's mean and uncertainty, side by side.

        As in the study, the student is trained on what the ensemble says of the training sequences,
        not on their measurements, while its validation targets are the measurements and the
        ensemble's uncertainty. Beside the training sequences it sees augmented copies of them,
        which the ensemble labels as well (:mod:`degu.dataset.copies`); the study had none.

        Args:
            student_model: a Keras model with 2T outputs, trained in place, from the weights that it
                has. The ensemble's seed decides the order of sequences, not these weights.
            x: the sequences that the ensemble was trained on (N, L, 4).
            y: their measurements (N, T...); only their shape is used.
            train_fun: as for :meth:`train_ensemble`.
            save_prefix: the weights are saved as ``{save_prefix}.weights.h5``; None saves nothing.
            optimizer, loss: with both None the student's own compile is kept.
            validation_data: (x, y) with the measurements as y.
            copies: augmented copies of each sequence; 0 for none. There are none, and a line says
                so, where x is not one array of one-hot sequences (N, L, 4) long enough for the
                augmentations, ``augment`` is given, or ``train_fun`` has no argument ``copies``
                (that of :func:`degu.training.fit.standard_train_fun`).
            train_kwargs: passed to ``train_fun``.

        Returns:
            The student's history.

        Raises:
            ValueError: before training, or if the student's output is not 2T.
        """
        y = np.asarray(y)
        validation_data = _as_pair(validation_data)
        self._check_student(student_model, x, y)
        if validation_data is not None:
            self._check_student(student_model, *validation_data)
        targets = self._side_by_side(self.pred_ensemble(x))
        if validation_data is not None:
            x_val, y_val = validation_data
            uncertainty = self.pred_ensemble(x_val).uncertainty
            validation_data = x_val, self._side_by_side((_like(y_val, uncertainty), uncertainty))
        takes = inspect.signature(train_fun).parameters
        if self.seed is not None and "seed" in takes:
            train_kwargs.setdefault("seed", self._seed("student", 1))
        if copies:
            reason = _why_no_copies(x)
            if reason is None and "copies" not in takes:
                reason = "its train_fun has no argument copies"
            if reason is None and train_kwargs.get("augment") is not None:
                reason = "its sequences are augmented as they come"
            if reason is None:
                train_kwargs["copies"] = self._labelled_copies(np.asarray(x), copies)
                if "batch_norm" in takes:
                    train_kwargs.setdefault("batch_norm", "as_trained")
            else:
                print(f"the student learns from no copies: {reason}", file=sys.stderr, flush=True)
        history = _as_history(
            train_fun(
                student_model,
                x,
                targets,
                validation_data=validation_data,
                save_prefix=save_prefix,
                optimizer=fresh_optimizer(optimizer),
                loss=loss,
                **train_kwargs,
            )
        )
        if save_prefix is not None:
            save_weights(student_model, f"{save_prefix}.weights.h5")
        return history

    def _labelled_copies(self, x: np.ndarray, copies: int) -> Copies:
        seed = int(np.random.default_rng().integers(2**31)) if self.seed is None else self.seed
        copier = Copier(derive_seed(seed, "copies"), copies)
        codes = [copier.copy(x, number) for number in range(1, copies + 1)]
        labels = [self._side_by_side(self.pred_ensemble(from_codes(copy))) for copy in codes]
        return Copies(np.stack(codes), np.stack(labels))

    def eval_student(
        self,
        student_model: keras.Model,
        x: Any,
        y: np.ndarray,
        eval_fun: Callable[[np.ndarray, np.ndarray], Any] = eval_regression,
        batch_size: int = PREDICT_BATCH_SIZE,
    ) -> StudentEvaluation:
        """Evaluate a student: activities against measurements, uncertainty against the ensemble's.

        Args:
            student_model: a distilled student.
            x: sequences (N, L, 4).
            y: measurements (N, T...).
            eval_fun: from (targets (N, 2T), predictions (N, 2T)) to results. With
                :func:`~degu.metrics.eval_classification`, which cannot score uncertainties, these
                are scored by :func:`~degu.metrics.eval_regression`, and the results have the
                metrics of both, each (T,).
            batch_size: sequences a batch.
        """
        y = np.asarray(y)
        self._check_student(student_model, x, y)
        ensemble = self.pred_ensemble(x, batch_size)
        predictions = predict(student_model, x, batch_size)
        y = _like(y, ensemble.mean)
        if eval_fun is eval_classification:
            mean, uncertainty = np.split(predictions, 2, axis=-1)
            results = {**eval_fun(y, mean), **eval_regression(ensemble.uncertainty, uncertainty)}
        else:
            results = eval_fun(self._side_by_side((y, ensemble.uncertainty)), predictions)
        return StudentEvaluation(results, predictions, self._side_by_side(ensemble))

    def _check_student(self, student: keras.Model, x: Any, y: np.ndarray) -> None:
        """Refuse a student or measurements that do not fit the ensemble, before predicting."""
        if not self.members:
            raise ValueError("The ensemble is not trained: call train_ensemble first.")
        _check_shapes(self.members[0], x, y, None)
        mean, needed = self.members[0].output_shape, getattr(student, "output_shape", None)
        if isinstance(mean, tuple) and isinstance(needed, tuple):
            wanted = (*mean[1:-1], 2 * mean[-1])
            if tuple(needed[1:]) != wanted:
                raise ValueError(
                    f"The student's output has shape {needed}, but it needs {wanted[-1]} columns: "
                    f"2 × {mean[-1]} targets, mean and uncertainty."
                )

    def _aggregate(self, predictions: np.ndarray) -> EnsemblePrediction:
        mean = ensemble_mean(predictions)
        uncertainty = np.asarray(self.uncertainty_fun(predictions))
        if uncertainty.shape != mean.shape:
            raise ValueError(
                f"uncertainty_fun made {uncertainty.shape} of {predictions.shape}; it must reduce "
                f"the first axis, to {mean.shape}."
            )
        return EnsemblePrediction(mean, uncertainty)

    @staticmethod
    def _side_by_side(pair: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        mean, uncertainty = (a[:, None] if a.ndim == 1 else a for a in pair)
        return np.concatenate([mean, uncertainty], axis=-1)

    def _seed(self, role: str, member: int) -> int | None:
        return None if self.seed is None else derive_seed(self.seed, role, member=member)

    def _new_member(self, i: int) -> keras.Model:
        return new_member(self.model, self._seed("member", i))


def _like(y: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """y with the axes of ``reference``: (N,) measurements go with (N, 1) predictions."""
    y = np.asarray(y)
    return y[:, None] if y.ndim == 1 and reference.ndim == 2 else y


def _length(x: Any) -> int:
    return len(keras.tree.flatten(x)[0])


def _as_pair(validation_data: Any) -> tuple[Any, np.ndarray] | None:
    if validation_data is None:
        return None
    if len(validation_data) != 2:
        raise ValueError(f"validation_data is (x, y), but has {len(validation_data)} parts.")
    return validation_data[0], np.asarray(validation_data[1])


def _as_history(history: Any) -> dict[str, list[float]]:
    """What a train_fun returned as a dict: Keras's own History and None will do too."""
    history = getattr(history, "history", history)
    if history is None:
        return {}
    if not isinstance(history, Mapping):
        raise ValueError(
            f"The train_fun returned a {type(history).__name__}, where a dict of lists is needed."
        )
    return dict(history)


def _check_shapes(
    model: keras.Model, x: Any, y: np.ndarray, validation_data: tuple[Any, np.ndarray] | None
) -> None:
    output_shape = getattr(model, "output_shape", None)
    if isinstance(output_shape, (list, dict)):
        raise ValueError(
            f"{model.name} has {len(output_shape)} outputs; concatenate them into one, whose last "
            "axis is the target."
        )
    for name, (inputs, targets) in {
        "training data": (x, y),
        **({"validation_data": validation_data} if validation_data is not None else {}),
    }.items():
        if _length(inputs) != len(targets):
            raise ValueError(
                f"{name}: {_length(inputs)} sequences but {len(targets)} rows of targets."
            )
        shapes = output_shape, getattr(model, "input_shape", None)
        pairs = zip(shapes, (targets, inputs), ("targets", "sequences"), strict=True)
        for shape, array, what in pairs:
            if not isinstance(shape, tuple) or not isinstance(array, np.ndarray):
                continue
            given = (*array.shape, 1) if array.ndim == 1 else array.shape
            fits = len(given) == len(shape) and all(
                s is None or s == g for s, g in zip(shape[1:], given[1:], strict=True)
            )
            if not fits:
                raise ValueError(
                    f"{name}: {what} of shape {array.shape}, but the model has {shape}."
                )


def _save_member(
    member: keras.Model, path: Path, fingerprint: str | None, history: dict[str, list[float]]
) -> None:
    save_weights(member, path)
    with h5py.File(path, "r+") as file:
        if fingerprint is not None:
            file.attrs[FINGERPRINT] = fingerprint
        file.attrs["degu_history"] = json.dumps(history, default=float)


def _load_member(
    member: keras.Model, path: Path, fingerprint: str | None
) -> dict[str, list[float]] | None:
    """Load a saved member and return its history, or None if it must be trained."""
    if not path.is_file():
        return None
    try:
        with h5py.File(path, "r") as file:
            saved = file.attrs.get(FINGERPRINT)
            history = json.loads(file.attrs.get("degu_history", "{}"))
        if fingerprint is not None and saved == fingerprint:
            member.load_weights(path)
            return history
        reason = "was trained on other data or with other settings"
        if fingerprint is None:
            reason = "may have been trained with other settings, some of which cannot be compared"
    except (OSError, ValueError) as error:
        reason = f"cannot be read ({error})"
    print(f"{path} {reason}; it is trained again.", file=sys.stderr)
    return None


def _why_no_copies(x: Any) -> str | None:
    """Why there can be no augmented copies of a student's sequences; None if there can."""
    x = np.asarray(x) if hasattr(x, "shape") else None
    if x is None or x.ndim != 3 or x.shape[2] != 4:
        return "its x is not one array of sequences (N, L, 4)"
    if not is_one_hot(x):
        return "its sequences are not one-hot"
    try:
        Copier(0, 1).copy(x[:1], 1)
    except InputError as error:
        return str(error)
    return None
