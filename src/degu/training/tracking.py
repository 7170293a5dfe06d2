"""Training curves that TensorBoard shows, without TensorBoard being installed where one trains."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import keras
import tensorflow as tf

SUFFIX = ".degu"


VALIDATION = "val_"


def tensorboard_callback(folder: str | os.PathLike[str]) -> keras.callbacks.Callback:
    """A callback that writes every number of an epoch (losses, heads, learning rate) as a curve.

    ``tensorboard --logdir`` on the folder, or on one above it, shows what was measured on training
    and on validation data in one chart. Steps are epochs, counted from 1 as in a history file.
    Nothing about the training changes.

    Args:
        folder: of one training; made when it begins. A training that begins afresh replaces the
            curves that lie there, one that is taken up at a later epoch goes on with them. What
            cannot be written (a full disk) ends the curves with a line on stderr, and not the
            training.
    """
    return _Curves(Path(folder))


class _Curves(keras.callbacks.Callback):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.writers: dict[str, tf.io.TFRecordWriter] | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.writers = {}

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        # Only now is it known at which epoch a training is taken up.
        if self.writers == {}:
            self._attempt(self._open, epoch)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.writers:
            self._attempt(self._write, epoch, dict(logs or {}))

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        if self.writers:
            self._attempt(self._close)
        self.writers = None

    def _open(self, epoch: int) -> None:
        if epoch == 0:
            for old in self.folder.glob(f"*/events.out.tfevents.*{SUFFIX}"):
                old.unlink()
        self.writers = {}
        for run in ("train", "validation"):
            folder = self.folder / run
            folder.mkdir(parents=True, exist_ok=True)
            # TensorBoard reads the files of a folder in the order of their names.
            name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
            writer = tf.io.TFRecordWriter(str(folder / (name + SUFFIX)))
            self.writers[run] = writer
            start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
            # The second makes TensorBoard drop later steps: those of a job that was killed before
            # it could save the state that they belong to.
            for event in ({"file_version": "brain.Event:2"}, {"session_log": start}):
                writer.write(_event(epoch + 1, **event))
            writer.flush()

    def _write(self, epoch: int, logs: Mapping[str, float]) -> None:
        assert self.writers
        for run, writer in self.writers.items():
            values = [
                tf.compat.v1.Summary.Value(tag=name, simple_value=float(value))
                for name, value in _of_run(run, logs)
            ]
            if values:
                writer.write(_event(epoch + 1, summary=tf.compat.v1.Summary(value=values)))
                writer.flush()

    def _close(self) -> None:
        for writer in (self.writers or {}).values():
            writer.close()

    def _attempt(self, step: Callable[..., None], *arguments: object) -> None:
        try:
            step(*arguments)
        except (OSError, tf.errors.OpError) as error:
            self.writers = None
            reason = getattr(error, "strerror", None) or type(error).__name__
            print(
                f"{self.folder}: the training curves cannot be written ({reason}); training goes "
                "on without them.",
                file=sys.stderr,
                flush=True,
            )


def _of_run(run: str, logs: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """The numbers of a run, by the names that both runs share."""
    for name, value in logs.items():
        if name.startswith(VALIDATION) == (run == "validation"):
            yield name.removeprefix(VALIDATION), value


def _event(step: int, **content: object) -> bytes:
    return tf.compat.v1.Event(wall_time=time.time(), step=step, **content).SerializeToString()
