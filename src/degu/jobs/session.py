"""The training of one member's files: their lock, their checkpoint, their curves."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from degu.errors import InputError
from degu.io.card import Card
from degu.io.hdf5 import open_hdf5
from degu.models.files import FINGERPRINT, load_model, save_model
from degu.training.checkpoint import Checkpoint, History, checkpoint_path, training_lock
from degu.training.history import read_history, save_history

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

    def part(self, name: str) -> Session:
        """One of several trainings, of which one is saved: with a checkpoint and curves of its own.

        Its checkpoint goes when this session saves.
        """
        tracking = None if self.tracking is None else Path(self.tracking) / name
        own = Session(self._model, self._history, tracking)
        own.checkpoint = self.checkpoint.phase(name)
        return own

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
