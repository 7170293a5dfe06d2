"""What watches a training: the order of its epochs, its log, a loss that is no number."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import keras
import numpy as np

from degu.errors import DivergedError
from degu.training.batches import Batches


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
