"""Batches of one-hot sequences that are kept as bytes, and prediction by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

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


def predict(model: keras.Model, x: Any, batch_size: int = PREDICT_BATCH_SIZE) -> np.ndarray:
    """Predictions of a model in inference mode, float32 (N, T...)."""
    return np.asarray(model.predict(Batches(x, batch_size=batch_size), verbose=0), np.float32)
