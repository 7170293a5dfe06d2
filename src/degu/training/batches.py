"""Batches of one-hot sequences that are kept as bytes, and prediction by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from degu.dataset.copies import Copies
from degu.sequences import from_codes

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
        copies: labelled copies of x; x is one array of one-hot sequences then. Batches mix them: in
            1 + K epochs, each of as many sequences as x has, every sequence and copy comes once.
            Without ``shuffle_seed`` an epoch has the sequences as they are, the next the first copy
            of each, and so on.
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
        copies: Copies | None = None,
    ) -> None:
        super().__init__()
        if isinstance(x, list):
            x = tuple(x)  # TensorFlow's data sets take a list for an array
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
        self.copies = copies
        if copies is not None:
            if not isinstance(self.arrays[0], np.ndarray) or self.arrays[0].shape[2:] != (4,):
                raise ValueError("Copies belong to one array x of sequences (N, L, 4).")
            wanted = self.arrays[0].shape[:2], self.arrays[1].shape
            if (copies.codes.shape[1:], copies.y.shape[1:]) != wanted:
                raise ValueError(
                    f"Copies of shape {copies.codes.shape} and labels of shape {copies.y.shape} do "
                    f"not fit sequences and targets of shapes {wanted[0]} and {wanted[1]}."
                )
        self.epoch = 0
        self._order: np.ndarray | None = None

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows: Any = slice(index * self.batch_size, (index + 1) * self.batch_size)
        if self.shuffle_seed is not None:
            if self._order is None:
                self._order = self._shuffled(self.shuffle_seed)
            rows = self._order[rows]
        if self.copies is not None:
            return self._mixed(np.arange(self.n)[rows] if isinstance(rows, slice) else rows)
        x, *rest = keras.tree.map_structure(lambda array: _as_float(array[rows]), self.arrays)
        if self.augment is not None:
            # NumPy takes [seed, epoch], which the order is drawn from, for [seed, epoch, 0].
            stream = [self.augment_seed, self.epoch, index + 1]
            x = self.augment(x, np.random.default_rng(stream))
        return (x, *rest)

    def _shuffled(self, seed: int) -> np.ndarray:
        """The order of this epoch: numbers of sequences, those of the k-th copy n·k later."""
        if self.copies is None:
            return np.random.default_rng([seed, self.epoch]).permutation(self.n)
        sets = 1 + len(self.copies.codes)
        cycle, place = divmod(self.epoch, sets)
        order = np.random.default_rng([seed, cycle]).permutation(sets * self.n)
        return order[place * self.n : (place + 1) * self.n]

    def _mixed(self, drawn: np.ndarray) -> tuple[np.ndarray, ...]:
        """A batch of sequences and copies, by their numbers (:meth:`_shuffled`)."""
        assert self.copies is not None
        if self.shuffle_seed is None:
            drawn = drawn + self.epoch % (1 + len(self.copies.codes)) * self.n
        which, rows = np.divmod(drawn, self.n)
        copied = np.flatnonzero(which)
        x, *rest = (_as_float(array[rows]) for array in self.arrays)
        source = which[copied] - 1, rows[copied]
        x[copied] = from_codes(self.copies.codes[source])
        # Labels are fractions even where the targets are whole numbers.
        rest[0] = rest[0].astype(np.result_type(rest[0], self.copies.y))
        rest[0][copied] = self.copies.y[source]
        return (x, *rest)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch, counted from 0."""
        self.epoch = epoch
        self._order = None


def _as_float(batch: np.ndarray) -> np.ndarray:
    return batch.astype(np.float32) if batch.dtype in (np.uint8, np.bool_) else batch


def predict(model: keras.Model, x: Any, batch_size: int = PREDICT_BATCH_SIZE) -> np.ndarray:
    """Predictions of a model in inference mode, float32 (N, T...)."""
    batches = Batches(x, batch_size=batch_size)
    try:
        return np.asarray(model.predict(batches, verbose=0), np.float32)
    finally:
        # TensorFlow keeps the object for as long as the process lives, but not what it held.
        batches.arrays = ()
