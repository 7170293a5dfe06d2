"""Versions of the science of each stage.

Snakemake reruns a job when its parameters change, and every rule passes its stage's number as one.
So raise a number by hand when that stage's results change, and only then: a renamed variable or a
new comment must not retrain anything.
"""

from __future__ import annotations

import platform
from importlib.metadata import version

import degu

STAGES = {
    "ingest": 1,
    "subset": 1,
    "train": 1,
    "predict": 1,
    "score": 1,
    "shift": 1,
    "attribute": 1,
    "attribution analysis": 2,
    "aggregate": 1,
    "fidelity": 1,
    "distill": 1,
    "uncertainty": 1,
    "summarize": 1,
}


def package_versions() -> dict[str, str]:
    """Versions of what decides a result's bits."""
    packages = ("tensorflow", "keras", "numpy", "h5py")
    return {
        "python": platform.python_version(),
        "degu": degu.__version__,
        **{name: version(name) for name in packages},
    }
