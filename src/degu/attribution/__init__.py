"""Attribution: which bases of a sequence a model's prediction rests on.

    from degu.attribution import deepshap, mutagenesis, saliency

Each takes a model or an ensemble, one-hot sequences x (n, L, 4) and a head (or a list of them), and
returns maps (n, L, 4) (or (n, L, 4, heads)) in the units of the head.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from degu.attribution.deeplift import Explanation, deepshap, explain
    from degu.attribution.gradients import saliency
    from degu.attribution.ism import mutagenesis
    from degu.attribution.references import sample_references, shuffled_references, uniform

# Imported at first use: TensorFlow costs seconds, and the analysis of maps needs none.
_HOME = {
    "Explanation": "deeplift",
    "deepshap": "deeplift",
    "explain": "deeplift",
    "mutagenesis": "ism",
    "saliency": "gradients",
    "sample_references": "references",
    "shuffled_references": "references",
    "uniform": "references",
}

__all__ = [
    "Explanation",
    "deepshap",
    "explain",
    "mutagenesis",
    "saliency",
    "sample_references",
    "shuffled_references",
    "uniform",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"degu.attribution.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
