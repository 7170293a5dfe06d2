"""DEGU: distilling ensembles of genomic deep learning models into one uncertainty-aware student."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from degu.ensemble import DEGU
    from degu.metrics import eval_classification, eval_regression
    from degu.training.evoaug import EvoAugTraining
    from degu.training.fit import standard_train_fun
    from degu.uncertainty import uncertainty_logvar, uncertainty_std

__version__ = "0.1.0"

# Imported at first use: TensorFlow costs seconds, and jobs that only read tables need none.
_HOME = {
    "DEGU": "ensemble",
    "EvoAugTraining": "training.evoaug",
    "eval_classification": "metrics",
    "eval_regression": "metrics",
    "standard_train_fun": "training.fit",
    "uncertainty_logvar": "uncertainty",
    "uncertainty_std": "uncertainty",
}

__all__ = [
    "DEGU",
    "EvoAugTraining",
    "eval_classification",
    "eval_regression",
    "standard_train_fun",
    "uncertainty_logvar",
    "uncertainty_std",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"degu.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
