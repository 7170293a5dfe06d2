"""What a training job leaves behind when it is killed, and how the next one goes on from there.

A training writes its whole state after every epoch; a job that is started again reads it and ends
at the same weights, bit for bit on a CPU, as one that was never killed. A lock of the operating
system keeps two processes from training one model at once.
"""

from __future__ import annotations

import errno
import glob
import io
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import h5py
import keras
import numpy as np
from filelock import FileLock, Timeout
from keras.src.backend.common.global_state import get_global_attribute
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR

from degu.errors import DeguError, InputError
from degu.io.files import atomic_path, check_seal, seal
from degu.models.files import FINGERPRINT
from degu.training.fingerprint import PROGRESS, fingerprint

SCHEMA = 1
"""Version of the file's layout; another one is not read."""


FOLDER = ".checkpoints"


# Of file systems that know no locks.
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


History = dict[str, list[float]]


Path_ = str | os.PathLike[str]


@dataclass
class State:
    """A training after its last completed epoch.

    Attributes:
        epochs: number of completed epochs.
        stopped: whether a callback had ended the training.
        history: a list with a number an epoch for each measure, as Keras keeps it.
        variables: of the model (weights, statistics of batch norm, states of its random numbers),
            of the optimizer, and of Keras's own random numbers, each a list of arrays.
        callbacks: for each callback, by its place, what it came to hold of
            :data:`degu.training.fingerprint.PROGRESS`.
    """

    epochs: int = 0
    stopped: bool = False
    history: History = field(default_factory=dict)
    variables: dict[str, list[np.ndarray]] = field(default_factory=dict)
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)


class Checkpoint:
    """The file that holds the state of one training, replaced as a whole after every epoch.

    HDF5 with a seal (:func:`degu.io.files.seal`), whose attributes are the schema's version and the
    fingerprint of the training. Whoever trains deletes it (:meth:`remove`) once the result is
    saved.

    Args:
        path: of the file; its folder is made.
        finished: ``finished(model, fingerprint)`` gives the model its final weights and returns the
            history if the training's results exist already, and None otherwise.
    """

    def __init__(
        self,
        path: Path_,
        finished: Callable[[keras.Model, str], History | None] = lambda model, fingerprint: None,
    ) -> None:
        self.path = Path(path)
        self.fingerprint: str | None = None
        self._finished = finished

    @classmethod
    def at(cls, checkpoint: Path_ | Self) -> Self:
        """A path as a checkpoint."""
        return checkpoint if isinstance(checkpoint, cls) else cls(checkpoint)  # type: ignore[arg-type]

    def phase(self, name: str) -> Checkpoint:
        """The checkpoint of one of several trainings of a model, which goes with this one."""
        return Checkpoint(f"{self.path}.{name}")

    def identify(self, settings: Any) -> None:
        """Say of which training this is: the fingerprint of all that decides it."""
        self.fingerprint = fingerprint([SCHEMA, settings])
        if self.fingerprint is None:
            _say(
                f"no checkpoint is kept at {self.path}: a setting of this training cannot be "
                "compared with another's."
            )

    def finished(self, model: keras.Model) -> History | None:
        """The history, and the weights in the model, if the training has its results already."""
        return None if self.fingerprint is None else self._finished(model, self.fingerprint)

    def read(self) -> State:
        """The state that was written last; that of a beginning if there is none that fits.

        A file that is damaged or of another training is left to be replaced, and a line says so.
        """
        if self.fingerprint is None or not self.path.exists():
            return State()
        try:
            reason = "is damaged"
            if check_seal(self.path):
                with h5py.File(self.path, "r") as file:
                    if (file.attrs["schema"], file.attrs[FINGERPRINT]) == (
                        SCHEMA,
                        self.fingerprint,
                    ):
                        arrays = {
                            name: _read_arrays(file[name]) for name in file if name != "state"
                        }
                        return _join(json.loads(file["state"][()]), arrays)
                reason = "is of other data, settings or versions"
        except InputError:
            pass
        _say(f"the checkpoint {self.path} {reason}; training starts afresh.")
        return State()

    def write(self, state: State) -> None:
        """Replace the file.

        Raises:
            DeguError: if it cannot be written; the last one stays.
        """
        text, arrays = _split(state)
        # HDF5 in memory, and then one plain write: the system says why it fails, not the library.
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file.attrs["schema"] = SCHEMA
            file.attrs[FINGERPRINT] = self.fingerprint
            file["state"] = text.encode()
            for name, values in arrays.items():
                group = file.create_group(name)
                for i, value in enumerate(values):
                    group[str(i)] = value
        try:
            with atomic_path(self.path) as temporary:
                temporary.write_bytes(buffer.getbuffer())
                seal(temporary)
        except OSError as error:
            raise DeguError(
                f"the checkpoint {self.path} cannot be written ({error.strerror}); make room and "
                f"start again: {_onward(state.epochs - 1)}."
            ) from error

    def remove(self) -> None:
        """Delete the file and those of phases; nothing happens if there is none."""
        for path in (self.path, *self.path.parent.glob(f"{glob.escape(self.path.name)}.*")):
            if path.suffix not in (".lock", ".owner"):
                path.unlink(missing_ok=True)


class KeepState(keras.callbacks.Callback):
    """Restores the state of a training at its beginning and writes it after each epoch.

    It must be the last of the callbacks, because all of them take part in an epoch's end.

    Args:
        checkpoint: of this training (:meth:`Checkpoint.identify`).
        callbacks: all others, with a ``keras.callbacks.History`` among them. What Keras's own ones
            keep in attributes named as in :data:`degu.training.fingerprint.PROGRESS` is restored;
            others must not depend on earlier epochs, or differ after an interruption.
    """

    def __init__(
        self, checkpoint: Checkpoint, callbacks: Sequence[keras.callbacks.Callback]
    ) -> None:
        super().__init__()
        self.checkpoint, self.callbacks = checkpoint, callbacks
        self.state = checkpoint.read()

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        if not self.state.epochs:
            return
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        variables = _variables(self.model)
        for name, values in self.state.variables.items():
            for variable, value in zip(variables[name], values, strict=True):
                variable.assign(value)
        for i, kept in self.state.callbacks.items():
            vars(self.callbacks[int(i)]).update(kept)
        history = self.model.history
        history.history.update({name: list(v) for name, v in self.state.history.items()})
        history.epoch = list(range(self.state.epochs))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        callbacks = {
            str(i): kept
            for i, callback in enumerate(self.callbacks)
            if _is_of_keras(callback)
            and (kept := {k: v for k, v in vars(callback).items() if k in PROGRESS})
        }
        state = State(
            epoch + 1,
            bool(self.model.stop_training),
            self.model.history.history,
            {
                name: [keras.ops.convert_to_numpy(variable) for variable in variables]
                for name, variables in _variables(self.model).items()
            },
            callbacks,
        )
        self.checkpoint.write(state)
        # Only what is written is gone on from.
        self.state = state


def _is_of_keras(callback: keras.callbacks.Callback) -> bool:
    """Whether it is one of Keras's own, or made of one; another's attributes may be anything."""
    kinds = type(callback).__mro__
    kinds = kinds[: kinds.index(keras.callbacks.Callback)]
    return any(kind.__module__.startswith("keras.") for kind in kinds)


def _variables(model: keras.Model) -> dict[str, list[Any]]:
    generator = get_global_attribute(GLOBAL_SEED_GENERATOR)
    return {
        "model": model.variables,
        "optimizer": _optimizer_variables(model.optimizer),
        # Of layers and losses that draw random numbers without a seed of their own, and of losses
        # with one; layers' own are variables of the model.
        "random": [
            part.state
            for part in (generator, *_parts_of_losses(model))
            if isinstance(part, keras.random.SeedGenerator)
        ],
    }


def _parts_of_losses(model: keras.Model) -> list[Any]:
    losses = keras.tree.flatten(model.loss)
    return [part for loss in losses for part in getattr(loss, "__dict__", {}).values()]


def _optimizer_variables(optimizer: keras.optimizers.Optimizer) -> list[Any]:
    variables = list(optimizer.variables)
    # Keras overlooks some of an optimizer whose loss is scaled by another one: Nadam's product.
    for part in filter(None, (optimizer, getattr(optimizer, "inner_optimizer", None))):
        known = {id(variable) for variable in variables}
        variables += [
            value
            for value in vars(part).values()
            if isinstance(value, keras.Variable) and id(value) not in known
        ]
    return variables


def _split(state: State) -> tuple[str, dict[str, list[np.ndarray]]]:
    """A state as JSON, which keeps every digit of a float, and lists of arrays."""
    arrays = dict(state.variables)
    callbacks: dict[str, dict[str, Any]] = {}
    for i, kept in state.callbacks.items():
        callbacks[i] = {k: v for k, v in kept.items() if k != "best_weights"}
        if kept.get("best_weights") is not None:
            arrays[f"best_weights {i}"] = kept["best_weights"]
    rest = {
        "epochs": state.epochs,
        "stopped": state.stopped,
        "history": state.history,
        "callbacks": callbacks,
    }
    return json.dumps(rest, default=float), arrays


def _join(rest: dict[str, Any], arrays: dict[str, list[np.ndarray]]) -> State:
    for name in [name for name in arrays if name.startswith("best_weights ")]:
        rest["callbacks"][name.split()[1]]["best_weights"] = arrays.pop(name)
    return State(variables=arrays, **rest)


def _read_arrays(group: h5py.Group) -> list[np.ndarray]:
    values = [group[str(i)][()] for i in range(len(group))]
    # HDF5 keeps bfloat16, but not its name.
    return [v.view("bfloat16") if v.dtype.kind == "V" else v for v in values]


def checkpoint_path(result: Path_) -> Path:
    """Where the checkpoint of a result lies: in a hidden folder beside it."""
    result = Path(result)
    return result.parent / FOLDER / result.name


@contextmanager
def training_lock(result: Path_, *others: Path_) -> Iterator[None]:
    """Let one process at a time make a result; another one waits, and says so once.

    The lock is the operating system's: it ends with the process that holds it, however that ends.
    On a file system without locks a line says that there is none; a lock that fails for another
    reason is a DeguError.

    Args:
        result: the file that is made.
        others: files that are made with it. What a killed process left half-written of any of them
            is deleted.
    """
    checkpoint = checkpoint_path(result)
    lock = FileLock(f"{checkpoint}.lock", fallback_to_soft=False)
    owner = Path(f"{checkpoint}.owner")
    _acquire(lock, Path(result), owner)
    try:
        with suppress(OSError):  # it only says who it is
            owner.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        _remove_leftovers(checkpoint, result, *others)
        yield
    finally:
        owner.unlink(missing_ok=True)
        # A process that waits notices that the file it holds open has no name any more.
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):  # not empty
            checkpoint.parent.rmdir()


def _acquire(lock: FileLock, result: Path, owner: Path) -> None:
    waiting = False
    while True:
        try:
            owner.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=-1 if waiting else 0, poll_interval=0.5)
        except Timeout:
            waiting = True
            who = "another process"
            with suppress(OSError):
                who = owner.read_text() or who
            _say(f"{result} is being made by {who}; waiting for it.")
        except FileNotFoundError:
            continue  # whoever had the lock has just deleted the folder
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise DeguError(
                    f"{owner.parent}: the lock of {result.name} cannot be used ({error.strerror}); "
                    "see that the folder is there and can be written, and start again."
                ) from error
            _say(
                f"{owner.parent} is on a file system without locks ({error.strerror}): see that no "
                f"two processes make {result.name} at once."
            )
            return
        else:
            return


def _remove_leftovers(checkpoint: Path, *results: Path_) -> None:
    """Delete the temporary files that ``atomic_path`` of killed processes left."""
    names = [glob.escape(os.fspath(path)) for path in (checkpoint, *results)]
    names.append(f"{names[0]}.*")  # of phases
    for folder, name in map(os.path.split, names):
        for leftover in glob.glob(os.path.join(folder, f".writing-????????-{name}")):
            Path(leftover).unlink(missing_ok=True)


def _onward(epochs: int) -> str:
    return f"training continues after epoch {epochs}" if epochs else "training begins afresh"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
