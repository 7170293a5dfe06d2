"""Prediction of one member of a study."""

from __future__ import annotations

import os
import sys

import keras
import numpy as np

from degu.dataset import SPLITS, read_split
from degu.training.batches import predict


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
