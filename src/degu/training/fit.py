"""Training of any Keras model: the published schedule, taken up where it was interrupted."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, get_args

import keras
import numpy as np

from degu.dataset.copies import Copies
from degu.errors import DeguError
from degu.heads import Columns, Heads
from degu.io.versions import STAGES, package_versions
from degu.models.draw import fresh_optimizer
from degu.models.files import save_weights
from degu.training.batch_norm import BatchNorm, PreciseBatchNorm
from degu.training.batches import PREDICT_BATCH_SIZE, Augment, Batches, predict
from degu.training.callbacks import BeginEpoch, EpochLog, _StopOnDivergence
from degu.training.checkpoint import Checkpoint, KeepState

TrainFun = Callable[..., dict[str, list[float]]]


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
    short_epoch: int = 200,
    seed: int | None = None,
    shuffle: bool = True,
    sample_weight: np.ndarray | None = None,
    augment: Augment | None = None,
    copies: Copies | None = None,
    batch_norm: BatchNorm = "precise",
    metrics: Sequence[Any] | None = None,
    monitor: str | None = None,
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
        validation_data: (x, y) whose loss early stopping and learning rate go by; None goes by the
            training loss.
        save_prefix: the weights are saved as ``{save_prefix}.weights.h5``; None saves nothing.
        optimizer, loss: what to compile the model with. With both None its own compile is kept.
            The optimizer is rebuilt from its config, because one instance serves one model only.
        epochs, batch_size, patience: as in ``fit`` and ``EarlyStopping``.
        lr_patience, lr_factor, min_learning_rate: as in ``ReduceLROnPlateau``; without effect on an
            optimizer with a learning-rate schedule.
        short_epoch: where an epoch has fewer steps, both patiences are stretched as if it had so
            many (:func:`stretched`), so that small data sets get as many steps to improve in.
        seed: of the order of sequences and their augmentation; None draws one. (Initial weights and
            dropout have the model's own seeds: see :func:`degu.models.draw.new_member`.)
        shuffle: whether each epoch has an order of its own.
        sample_weight: (N,) weights in the loss.
        augment: ``augment(x, rng)``, applied to each batch of the training sequences, such as
            :class:`degu.augment.Augmenter`; validation sequences stay as they are.
        copies: augmented copies of x with labels of their own, which batches mix with x; an epoch
            has as many steps as without them (:class:`degu.training.batches.Batches`). Not with
            ``augment``.
        batch_norm: ``precise`` gives the layers of batch norm, before each validation and in the
            model that is kept, the averages of up to 4,096 of the training sequences as they are
            (:mod:`degu.training.batch_norm`); ``as_trained`` takes them of what the weights are
            trained on, sequences and ``copies`` as batches mix them, with dropout on; ``moving``
            leaves them their moving averages, as in the published study.
        metrics: for ``compile``; ignored where the model's own compile is kept.
        monitor: what early stopping and learning rate go by, such as ``val_`` and the name of one
            of ``metrics``, the smaller the better; by default the validation loss.
        callbacks: more Keras callbacks.
        checkpoint: a file that holds the state of this training after every epoch, so that one that
            was killed and is started again continues from there, to the same weights and history,
            bit for bit on a CPU. It needs a ``seed``. It belongs to one training, by the content of
            all that decides it: weights, data, settings, versions, threads; one of another training
            is replaced. Delete it when the result is saved: until then a new start takes the best
            weights from it. ``callbacks`` of one's own must not depend on earlier epochs; see
            :class:`degu.training.checkpoint.KeepState`.
        tracking: folder for TensorBoard's curves; they change no result.
        verbose: 0 is silent, 1 writes a line an epoch to stderr.
        fit_kwargs: passed to ``model.fit``.

    Returns:
        History: a list with a number an epoch for ``loss``, ``val_loss``, ``learning_rate``, ...

    Raises:
        ValueError: if x and y differ in length, the model has no compile to keep, ``batch_norm`` is
            none of the three, or a checkpoint could not be continued exactly.
        DivergedError: if the loss is no longer finite.
        DeguError: if the checkpoint cannot be written.
    """
    if checkpoint is not None and seed is None:
        raise ValueError("A training with a checkpoint needs a seed, to go on as it began.")
    if checkpoint is not None and "steps_per_epoch" in fit_kwargs:
        raise ValueError("With a checkpoint every epoch is a whole one: leave out steps_per_epoch.")
    if batch_norm not in get_args(BatchNorm):
        raise ValueError(
            f"batch_norm: {batch_norm!r} is unknown; write precise, as_trained or moving."
        )
    if copies is not None and augment is not None:
        raise ValueError("Copies have labels of their own, which augment would make wrong.")
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
        x,
        y,
        batch_size,
        seed if shuffle else None,
        sample_weight,
        augment,
        augment_seed=seed,
        copies=copies,
    )
    watched = [m for m in metrics or [] if f"val_{getattr(m, 'name', m)}" == monitor]
    # Keras guesses from its name whether a metric is to fall.
    falls: dict[str, Any] = {} if monitor is None else {"mode": "min"}
    monitor = monitor or ("loss" if validation_data is None else "val_loss")
    steps = fit_kwargs.get("steps_per_epoch") or len(batches)
    patience = stretched(patience, steps, short_epoch)
    lr_patience = stretched(lr_patience, steps, short_epoch)
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor, factor=lr_factor, patience=lr_patience, min_lr=min_learning_rate, **falls
    )
    # A schedule decides by itself, and Keras refuses to have its rate set.
    scheduled = isinstance(
        getattr(model.optimizer, "_learning_rate", None),
        keras.optimizers.schedules.LearningRateSchedule,
    )
    judges = [
        # Restores the best weights at the end whether or not it stopped early.
        keras.callbacks.EarlyStopping(
            monitor, patience=patience, restore_best_weights=True, **falls
        ),
        *([] if scheduled else [plateau]),
    ]
    first: list[keras.callbacks.Callback] = []
    if batch_norm != "moving":
        # Averages are those of averaged weights, and are there before the weights are kept.
        first = [c for c in callbacks if isinstance(c, keras.callbacks.SwapEMAWeights)]
        first.append(PreciseBatchNorm(x, seed, bool(first), batch_norm == "as_trained", copies))
    stateful = [*first, *judges, *(callback for callback in callbacks if callback not in first)]
    observers: list[keras.callbacks.Callback] = [EpochLog(epochs, batches.n)] if verbose else []
    if tracking is not None:
        from degu.training.tracking import tensorboard_callback

        observers.append(tensorboard_callback(tracking))
    keeper = None
    if checkpoint is not None:
        build_weights(model, x)
        checkpoint = Checkpoint.at(checkpoint)
        data = x, y, validation_data, sample_weight, copies
        order = seed, shuffle, batch_size, augment
        schedule = epochs, stateful, fit_kwargs
        columns = [str(getattr(metric, "name", metric)) for metric in metrics or []]
        environment = STAGES["train"], package_versions(), _compute_threads()
        checkpoint.identify(
            [environment, model, _compile_settings(model), data, order, schedule, columns]
            # Other metrics decide nothing.
            + [getattr(metric, "_fn", metric) for metric in watched]
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


def stretched(patience: int, steps: int, short_epoch: int) -> int:
    """A patience in epochs of so many steps that is one in epochs of ``short_epoch`` steps.

    That of longer epochs stays as it is.

    Example:
        >>> stretched(10, steps=45, short_epoch=200)
        45
    """
    return max(patience, -(-patience * short_epoch // steps))


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


@keras.saving.register_keras_serializable("degu")
class WeightedSquaredError(keras.losses.Loss):
    """Mean squared error with a weight for each output column, not normalised.

    Args:
        weights: one for each column of the output.
    """

    def __init__(self, weights: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**{"name": "weighted_squared_error", **kwargs})
        self.weights = [float(weight) for weight in weights]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The error of each sequence, (B, ..., heads) to (B, ...)."""
        y_pred = keras.ops.convert_to_tensor(y_pred)
        error = keras.ops.square(keras.ops.cast(y_true, y_pred.dtype) - y_pred)
        return keras.ops.mean(error * keras.ops.cast(self.weights, y_pred.dtype), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Its arguments."""
        return {**super().get_config(), "weights": self.weights}


def squared_error_of(heads: Heads, uncertainty_weight: float = 1) -> keras.losses.Loss:
    """The loss of a model with such heads: the mean over them of their squared errors.

    Args:
        heads: names of the output columns.
        uncertainty_weight: that the errors of epistemic heads are multiplied by. Those of aleatoric
            heads, logarithms of variances, count as those of means do.
    """
    if uncertainty_weight == 1 or heads.epistemic is None:
        return keras.losses.MeanSquaredError()
    weights = np.ones(len(heads))
    weights[heads.slice(heads.epistemic)] = uncertainty_weight
    return WeightedSquaredError(weights.tolist())


def head_errors(heads: Heads, labels: Columns | None = None) -> list[Any]:
    """A metric ``MSE_{head}`` for each head, to follow them apart: the loss is their mean.

    Args:
        heads: names of the output columns.
        labels: names of the columns of y, by default the same; heads that are not among them have
            no error.
    """
    known = (labels or heads).columns

    def squared_error(label: int, head: int) -> Callable[[Any, Any], Any]:
        return lambda y, pred: keras.ops.square(y[..., label] - pred[..., head])

    return [
        keras.metrics.MeanMetricWrapper(squared_error(known.index(name), i), name=f"MSE_{name}")
        for i, name in enumerate(heads.columns)
        if name in known
    ]
