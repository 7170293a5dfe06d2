"""The history of a training as a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from degu.errors import InputError
from degu.io.files import write_csv


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
    """The smallest validation loss: that of the model which a training keeps.

    NaN where none was measured.
    """
    measured = [value for value in history.get("val_loss", ()) if value == value]
    return min(measured, default=float("nan"))
