"""The history of a training as a file."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from degu.errors import InputError
from degu.io.files import write_csv

OF_REPLICATES = "replicates"
"""Name of the loss of :func:`degu.training.aleatoric.of_replicates` in histories."""


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


def lowest_error(history: Mapping[str, Sequence[float]]) -> float:
    """The validation error of the model which a training keeps, on the scale of squared errors.

    The smallest validation loss. Where early stopping went by a negative log likelihood, exp(2 NLL)
    in its place: of Gaussians about the prediction that is 2πe times the variance, so that ratios
    mean the same. Where it went by squared errors and a likelihood of variances together, the
    squared errors of means of that epoch. NaN where none was measured.
    """
    together = np.array(history.get(f"val_{OF_REPLICATES}", ()))
    if np.isfinite(together).any():
        errors = [values for name, values in history.items() if name.startswith("val_MSE_")]
        return float(np.mean(errors, axis=0)[np.nanargmin(together)])
    likelihood = "val_nll" in history
    values = history.get("val_nll" if likelihood else "val_loss", ())
    measured = [value for value in values if value == value]
    least = min(measured, default=float("nan"))
    return math.exp(min(2 * least, 700.0)) if likelihood else least
