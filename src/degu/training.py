"""Training and prediction of any Keras model on one-hot sequences kept as bytes."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pandas as pd

from degu.cards import Card, package_versions
from degu.checkpoint import Checkpoint, KeepState
from degu.dataset import open_hdf5
from degu.errors import DeguError, DivergedError, InputError
from degu.files import atomic_path, seal, write_csv
from degu.fingerprint import FINGERPRINT
from degu.heads import Heads
from degu.models import check_stored
from degu.models.identity import architecture_sha256
from degu.stages import STAGES
from degu.sweep import derive_seed

TrainFun = Callable[..., dict[str, list[float]]]
Augment = Callable[[np.ndarray, np.random.Generator], Any]

PREDICT_BATCH_SIZE = 512


class Batches(keras.utils.PyDataset):
    """Batches of (x, y), cast to float32 one batch at a time.

    A one-hot data set stays uint8, a quarter of the memory of float32: 0.4 instead of 1.6 GB for
    the 402,296 × 249 bases of DeepSTARR. The order of an epoch depends on the seed and the number
    of the epoch alone, so that training can be taken up at any epoch: :class:`BeginEpoch` tells it
    the number, because ``fit`` calls ``on_epoch_end`` more often than once an epoch.

    Args:
        x: array (N, ...), or a dict or list of such for models of several inputs. uint8 and bool
            become float32; other types pass unchanged.
        y: array (N, ...), or None for prediction.
        batch_size: sequences a batch; the last batch of an epoch may be smaller.
        shuffle_seed: seed of the order; None keeps the order of x.
        sample_weight: (N,) weights in the loss, or None.
        augment: ``augment(x, rng)`` makes of each batch of x what the model sees; its random
            numbers depend on ``augment_seed``, the epoch and the batch alone.
        augment_seed: see there.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 128,
        shuffle_seed: int | None = None,
        sample_weight: np.ndarray | None = None,
        augment: Augment | None = None,
        augment_seed: int = 0,
    ) -> None:
        super().__init__()
        arrays = (x,) if y is None else (x, y)
        if sample_weight is not None:
            arrays += (sample_weight,)
        self.arrays = keras.tree.map_structure(np.asarray, arrays)
        lengths = {len(a) for a in keras.tree.flatten(self.arrays)}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"x and y must be of one length above 0, but have {sorted(lengths)}.")
        self.n = lengths.pop()
        self.batch_size = batch_size
        self.shuffle_seed = shuffle_seed
        self.augment, self.augment_seed = augment, augment_seed
        self.epoch = 0
        self._order: np.ndarray | None = None

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows: Any = slice(index * self.batch_size, (index + 1) * self.batch_size)
        if self.shuffle_seed is not None:
            if self._order is None:
                rng = np.random.default_rng([self.shuffle_seed, self.epoch])
                self._order = rng.permutation(self.n)
            rows = self._order[rows]
        x, *rest = keras.tree.map_structure(lambda array: _as_float(array[rows]), self.arrays)
        if self.augment is not None:
            # NumPy takes [seed, epoch], which the order is drawn from, for [seed, epoch, 0].
            stream = [self.augment_seed, self.epoch, index + 1]
            x = self.augment(x, np.random.default_rng(stream))
        return (x, *rest)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch, counted from 0."""
        self.epoch = epoch
        self._order = None


def _as_float(batch: np.ndarray) -> np.ndarray:
    return batch.astype(np.float32) if batch.dtype in (np.uint8, np.bool_) else batch


class BeginEpoch(keras.callbacks.Callback):
    """Gives each epoch of ``fit`` the order that its number stands for."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.batches.set_epoch(epoch)


class EpochLog(keras.callbacks.Callback):
    """One line for every finished epoch, and a sign of life within long ones, on stderr.

    Args:
        epochs: the most that will be run.
        n: sequences an epoch.
        interval: seconds between signs of life.
    """

    def __init__(self, epochs: int, n: int, interval: float = 30.0) -> None:
        super().__init__()
        self.epochs, self.n, self.interval = epochs, n, interval

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.epoch = epoch + 1
        self.started = self.spoken = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        now = time.monotonic()
        if now - self.spoken >= self.interval:
            self.spoken = now
            steps = self.params.get("steps") or 0
            print(f"epoch {self.epoch}/{self.epochs}: batch {batch + 1}/{steps}", file=sys.stderr)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        seconds = time.monotonic() - self.started
        numbers = "  ".join(f"{name} {float(value):.4g}" for name, value in (logs or {}).items())
        left = (self.epochs - self.epoch) * seconds
        print(
            f"epoch {self.epoch}/{self.epochs}  {numbers}  {seconds:.1f} s, "
            f"{self.n / seconds:.0f} sequences/s, at most {left / 60:.1f} min left",
            file=sys.stderr,
            flush=True,
        )


class _StopOnDivergence(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        for name, value in (logs or {}).items():
            if not np.isfinite(value):
                raise DivergedError(
                    f"{name} is {value} after epoch {epoch + 1}: training diverged; lower the "
                    "learning rate or look for extreme values among the targets."
                )


def standard_train_fun(
    model: keras.Model,
    x: Any,
    y: np.ndarray,
    validation_data: tuple[Any, np.ndarray] | None,
    save_prefix: str | os.PathLike[str] | None,
    optimizer: keras.optimizers.Optimizer | str | None = None,
    loss: Any = None,
    *,
    epochs: int = 100,
    batch_size: int = 128,
    patience: int = 10,
    lr_patience: int = 5,
    lr_factor: float = 0.1,
    min_learning_rate: float = 1e-7,
    seed: int | None = None,
    shuffle: bool = True,
    sample_weight: np.ndarray | None = None,
    augment: Augment | None = None,
    metrics: Sequence[Any] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    tracking: str | os.PathLike[str] | None = None,
    verbose: int = 1,
    **fit_kwargs: Any,
) -> dict[str, list[float]]:
    """Train with early stopping and a learning rate that falls on plateaus.

    The published schedule: at most 100 epochs, early stopping after 10 without improvement with the
    best weights restored, the learning rate cut after 5. Compilation by XLA is left to Keras's
    ``auto``, which uses it on a GPU and not on a CPU, where it slows such models down.

    Args:
        model: any Keras model.
        x: sequences (N, L, 4), uint8 or float; or a dict or list of arrays.
        y: targets (N, T...).
        validation_data: (x, y) that early stopping and learning rate go by; None goes by the
            training loss.
        save_prefix: the weights are saved as ``{save_prefix}.weights.h5``; None saves nothing.
        optimizer, loss: what to compile the model with. With both None its own compile is kept.
            The optimizer is rebuilt from its config, because one instance serves one model only.
        epochs, batch_size, patience: as in ``fit`` and ``EarlyStopping``.
        lr_patience, lr_factor, min_learning_rate: as in ``ReduceLROnPlateau``; without effect on an
            optimizer with a learning-rate schedule.
        seed: of the order of sequences and their augmentation; None draws one. (Initial weights and
            dropout have the model's own seeds: see :func:`degu.ensemble.new_member`.)
        shuffle: whether each epoch has an order of its own.
        sample_weight: (N,) weights in the loss.
        augment: ``augment(x, rng)``, applied to each batch of the training sequences, such as
            :class:`degu.augment.Augmenter`; validation sequences stay as they are.
        metrics: for ``compile``; ignored where the model's own compile is kept.
        callbacks: more Keras callbacks.
        checkpoint: a file that holds the state of this training after every epoch, so that one that
            was killed and is started again continues from there, to the same weights and history,
            bit for bit on a CPU. It needs a ``seed``. It belongs to one training, by the content of
            all that decides it: weights, data, settings, versions, threads; one of another training
            is replaced. Delete it when the result is saved: until then a new start takes the best
            weights from it. ``callbacks`` of one's own must not depend on earlier epochs; see
            :class:`degu.checkpoint.KeepState`.
        tracking: folder for TensorBoard's curves; they change no result.
        verbose: 0 is silent, 1 writes a line an epoch to stderr.
        fit_kwargs: passed to ``model.fit``.

    Returns:
        History: a list with a number an epoch for ``loss``, ``val_loss``, ``learning_rate``, ...

    Raises:
        ValueError: if x and y differ in length, the model has no compile to keep, or a checkpoint
            could not be continued exactly.
        DivergedError: if the loss is no longer finite.
        DeguError: if the checkpoint cannot be written.
    """
    if checkpoint is not None and seed is None:
        raise ValueError("A training with a checkpoint needs a seed, to go on as it began.")
    if checkpoint is not None and "steps_per_epoch" in fit_kwargs:
        raise ValueError("With a checkpoint every epoch is a whole one: leave out steps_per_epoch.")
    if optimizer is None and loss is None:
        if not model.compiled:
            raise ValueError("The model is not compiled: compile it, or give optimizer and loss.")
    else:
        optimizer = fresh_optimizer(optimizer if optimizer is not None else model.optimizer)
        loss = loss if loss is not None else getattr(model, "loss", None)
        if optimizer is None or loss is None:
            raise ValueError("Give both optimizer and loss, or a compiled model.")
        model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics or []))

    if seed is None:
        seed = int(np.random.default_rng().integers(2**31))
    batches = Batches(
        x, y, batch_size, seed if shuffle else None, sample_weight, augment, augment_seed=seed
    )
    monitor = "loss" if validation_data is None else "val_loss"
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor, factor=lr_factor, patience=lr_patience, min_lr=min_learning_rate
    )
    # A schedule decides by itself, and Keras refuses to have its rate set.
    scheduled = isinstance(
        getattr(model.optimizer, "_learning_rate", None),
        keras.optimizers.schedules.LearningRateSchedule,
    )
    stateful = [
        # Restores the best weights at the end whether or not it stopped early.
        keras.callbacks.EarlyStopping(monitor, patience=patience, restore_best_weights=True),
        *([] if scheduled else [plateau]),
        *callbacks,
    ]
    observers: list[keras.callbacks.Callback] = [EpochLog(epochs, batches.n)] if verbose else []
    if tracking is not None:
        from degu.tracking import tensorboard_callback

        observers.append(tensorboard_callback(tracking))
    keeper = None
    if checkpoint is not None:
        build_weights(model, x)
        checkpoint = Checkpoint.at(checkpoint)
        data = x, y, validation_data, sample_weight
        order = seed, shuffle, batch_size, augment
        schedule = epochs, stateful, fit_kwargs
        columns = [str(getattr(metric, "name", metric)) for metric in metrics or []]
        environment = STAGES["train"], package_versions(), _compute_threads()
        checkpoint.identify(
            [environment, model, _compile_settings(model), data, order, schedule, columns]
        )
        finished = checkpoint.finished(model)
        if finished is not None:
            return finished
        if checkpoint.fingerprint is not None:
            keeper = KeepState(checkpoint, stateful)
    if keeper is not None and keeper.state.epochs:
        done, stopped = keeper.state.epochs, keeper.state.stopped
        fit_kwargs = {**fit_kwargs, "initial_epoch": done}
        if verbose:
            end = "had ended" if stopped or done == epochs else "continues"
            print(f"training {end} after epoch {done} of {epochs}", file=sys.stderr, flush=True)
        epochs = done if stopped else epochs
    try:
        history = model.fit(
            batches,
            validation_data=(
                None if validation_data is None else Batches(*validation_data, PREDICT_BATCH_SIZE)
            ),
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=[
                BeginEpoch(batches),
                _StopOnDivergence(),
                *stateful,
                *observers,
                keras.callbacks.History(),
                *([] if keeper is None else [keeper]),
            ],
            **fit_kwargs,
        )
    except DeguError:
        raise
    except BaseException:
        if keeper is not None and keeper.state.epochs:
            print(
                f"a new start will continue after epoch {keeper.state.epochs} of {epochs}",
                file=sys.stderr,
                flush=True,
            )
        raise
    if save_prefix is not None:
        save_weights(model, f"{save_prefix}.weights.h5")
    return {name: [float(v) for v in values] for name, values in history.history.items()}


def build_weights(model: keras.Model, x: Any) -> None:
    """Give a model its weights if it waits for its first batch with them."""
    if not model.built:
        predict(model, keras.tree.map_structure(lambda array: array[:1], x))


def _compile_settings(model: keras.Model) -> list[Any]:
    """What a model was compiled with, but for metrics, which change no weights."""
    # A loss of one's own is in no config; weights of losses are in nothing else.
    done_otherwise = ("optimizer", "loss", "metrics", "weighted_metrics")
    config = {k: v for k, v in model.get_compile_config().items() if k not in done_otherwise}
    state = [keras.ops.convert_to_numpy(variable) for variable in model.optimizer.variables]
    return [model.optimizer, state, model.loss, config]


def _compute_threads() -> tuple[int, int]:
    """TensorFlow's threads within and between operations; left to itself, it takes every core."""
    import tensorflow as tf

    threading = tf.config.threading
    # Not every system tells which cores are a process's own.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = cores or 1
    return (
        threading.get_intra_op_parallelism_threads() or cores,
        threading.get_inter_op_parallelism_threads() or cores,
    )


@dataclass(frozen=True)
class EvoAugTraining:
    """A ``train_fun`` for any Keras model: first on augmented sequences, then on them as they are.

    Both phases go by the schedule of :func:`standard_train_fun`, and the second starts from the
    best weights of the first, with a fresh optimizer. What is trained, and saved, is the plain
    model: the augmentation lies in the data pipeline and no layer is added.

    Args:
        augment: ``augment(x, rng)`` for each batch of the first phase. A
            :class:`degu.augment.Augmenter` holds a list of augmentations and says how many of them
            a batch gets, and whether exactly so many (hard) or at most (soft).
        finetune_epochs: at most, in the second phase.
        finetune_learning_rate: that the second phase starts at, in place of a schedule as well.

    Example:
        >>> augment = Augmenter([RandomDeletion(), RandomNoise()], per_batch=2, hard=False)
        >>> train = EvoAugTraining(augment)
        >>> degu.train_ensemble(x, y, train, optimizer="adam", loss="mse", epochs=100)
        >>> history = train(model, x, y, validation_data, None, "adam", "mse")

    Reference:
        Lee, Tang, Toneyan & Koo, Genome Biology 24:105, 2023.
    """

    augment: Augment
    finetune_epochs: int = 30
    finetune_learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        # Before an hour of training, and not after it.
        if not callable(self.augment) or isinstance(self.augment, type):
            raise ValueError(
                f"EvoAugTraining needs augment(x, rng), such as Augmenter([RandomDeletion()]), but "
                f"got {self.augment!r}."
            )
        if self.finetune_epochs < 1 or not self.finetune_learning_rate > 0:
            raise ValueError(
                "Fine-tuning needs at least one epoch and a learning rate above 0, but got "
                f"{self.finetune_epochs} and {self.finetune_learning_rate}; to train without it, "
                "give augment to standard_train_fun."
            )

    def __call__(
        self,
        model: keras.Model,
        x: Any,
        y: np.ndarray,
        validation_data: tuple[Any, np.ndarray] | None,
        save_prefix: str | os.PathLike[str] | None,
        optimizer: keras.optimizers.Optimizer | str | None = None,
        loss: Any = None,
        *,
        seed: int | None = None,
        checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
        tracking: str | os.PathLike[str] | None = None,
        verbose: int = 1,
        **fit_kwargs: Any,
    ) -> dict[str, list[float]]:
        """Train a model; arguments as for :func:`standard_train_fun`.

        Args:
            save_prefix: the weights are saved once, after the second phase.
            optimizer, loss: of both phases; with both None the model's own compile is kept.
            checkpoint: each phase has its own, ``{checkpoint}.augmented`` and
                ``{checkpoint}.finetuning``.
            tracking: each phase has curves of its own, in folders named likewise.
            fit_kwargs: for both phases, but ``epochs`` is the first one's.

        Returns:
            The history of both phases, one after the other. ``finetuning`` is 0 for an epoch of the
            first and 1 for one of the second; what a phase does not measure is NaN.
        """

        def files(phase: str) -> dict[str, Any]:
            return {
                "checkpoint": None
                if checkpoint is None
                else Checkpoint.at(checkpoint).phase(phase),
                "tracking": None if tracking is None else Path(tracking) / phase,
            }

        augmented = standard_train_fun(
            model,
            x,
            y,
            validation_data,
            None,
            optimizer,
            loss,
            seed=seed,
            augment=self.augment,
            **files("augmented"),
            verbose=verbose,
            **fit_kwargs,
        )
        if verbose:
            print("fine-tuning without augmentation", file=sys.stderr, flush=True)
        # To compile again would lose what standard_train_fun does not know of: the weights of
        # losses and metrics in a compile of the model's own.
        model.optimizer = _at_learning_rate(model.optimizer, self.finetune_learning_rate)
        model.make_train_function(force=True)
        finetuned = standard_train_fun(
            model,
            x,
            y,
            validation_data,
            save_prefix,
            seed=None if seed is None else derive_seed(seed, "finetuning"),
            **files("finetuning"),
            verbose=verbose,
            **{**fit_kwargs, "epochs": self.finetune_epochs},
        )
        phases = augmented, finetuned
        epochs = [len(phase["loss"]) for phase in phases]
        history: dict[str, list[float]] = {
            name: [
                value
                for phase, n in zip(phases, epochs, strict=True)
                for value in phase.get(name, [np.nan] * n)
            ]
            for name in dict.fromkeys((*augmented, *finetuned))
        }
        history["finetuning"] = [0.0] * epochs[0] + [1.0] * epochs[1]
        return history


def fresh_optimizer(optimizer: Any) -> Any:
    """A new optimizer of the same configuration: in Keras 3 an instance serves one model only."""
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer).from_config(optimizer.get_config())
    return optimizer


def _at_learning_rate(optimizer: keras.optimizers.Optimizer, rate: float) -> Any:
    """A new optimizer of the same configuration but for the learning rate."""
    config = optimizer.get_config()
    # Mixed precision puts the optimizer into another one that scales its loss.
    inner = config["inner_optimizer"]["config"] if "inner_optimizer" in config else config
    inner["learning_rate"] = rate
    return type(optimizer).from_config(config)


def head_errors(heads: Heads) -> list[Any]:
    """A metric ``MSE_{head}`` for each head, to follow them apart: the loss is their mean."""

    def squared_error(column: int) -> Callable[[Any, Any], Any]:
        return lambda y, pred: keras.ops.square(y[..., column] - pred[..., column])

    return [
        keras.metrics.MeanMetricWrapper(squared_error(i), name=f"MSE_{name}")
        for i, name in enumerate(heads.columns)
    ]


def predict(model: keras.Model, x: Any, batch_size: int = PREDICT_BATCH_SIZE) -> np.ndarray:
    """Predictions of a model in inference mode, float32 (N, T...)."""
    return np.asarray(model.predict(Batches(x, batch_size=batch_size), verbose=0), np.float32)


def save_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Save the weights (a path ending in ``.weights.h5``), whole or not at all."""
    with atomic_path(path) as temporary:
        model.save_weights(temporary, overwrite=True)


def save_model(
    model: keras.Model,
    path: str | os.PathLike[str],
    card: Card,
    fingerprint: str | None = None,
) -> None:
    """Save a whole model, uncompiled, with its card; ``keras.models.load_model(path)`` opens it.

    Args:
        model: functional or Sequential, of built-in layers (:func:`degu.models.check_portable`).
        path: ends in ``.h5``.
        card: what the model is.
        fingerprint: of the training that made it, if that had a checkpoint.
    """
    with atomic_path(path) as temporary, _quiet("absl"):
        # A compiled model's loss, stored by name, keeps Keras 3 from loading an .h5 file.
        model.save(temporary, include_optimizer=False)
        with h5py.File(temporary, "r+") as file:
            replace(card, architecture_sha256=architecture_sha256(model)).write(file.attrs)
            if fingerprint is not None:
                file.attrs[FINGERPRINT] = fingerprint
        seal(temporary)


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """Keep Keras from calling .h5 a legacy format: here it is the contract."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def load_model(path: str | os.PathLike[str], **expected: object) -> tuple[keras.Model, Card]:
    """A model and its card, refused if the card differs from what is expected.

    Args:
        path: a file of :func:`save_model`.
        expected: fields of :class:`~degu.cards.Card` and the values they must have.

    Raises:
        InputError: if the file is not a model with a card, or not the expected one.
    """
    with open_hdf5(path) as file:
        card = Card.read(file)
        stored = file.attrs.get("model_config")
    card.check(path, **expected)
    # A model file may come from anywhere: neither here nor in Keras may code in it run.
    check_stored(stored, path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be loaded as a Keras model: {reason}") from error
    # Another version of Keras may describe the same architecture in other words.
    same_words = card.versions.get("keras") == keras.__version__
    if same_words and card.architecture_sha256 not in ("", architecture_sha256(model)):
        raise InputError(
            f"{path} holds another architecture than its card says; delete it and train it again."
        )
    return model, card


def save_history(history: Mapping[str, Sequence[float]], path: str | os.PathLike[str]) -> None:
    """A CSV with a row an epoch, counted from 1."""
    table = pd.DataFrame(dict(history))
    table.insert(0, "epoch", np.arange(1, len(table) + 1))
    write_csv(table, path)


def read_history(path: str | os.PathLike[str]) -> dict[str, list[float]]:
    """What :func:`save_history` wrote; InputError if it is no such file."""
    try:
        # pandas rounds the last digit of some numbers, and Python of none.
        text = Path(path).read_text()
        table = pd.read_csv(StringIO(text), dtype=str, keep_default_na=False)
        epochs = table.pop("epoch").tolist()
        if not text.endswith("\n") or epochs != [str(i + 1) for i in range(len(epochs))]:
            raise ValueError("it is not whole")
        return {str(name): [float(value or "nan") for value in table[name]] for name in table}
    except (LookupError, OSError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is no training history ({reason}); delete it.") from error
