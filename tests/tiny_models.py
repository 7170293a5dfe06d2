"""Files of small untrained models, with cards and recalibrations."""

import hashlib
import re
from pathlib import Path

import numpy as np

from degu.calibration.evidence import Fitted
from degu.calibration.laws import STD_FLOOR, Gaussian
from degu.calibration.recalibration import Recalibration
from degu.heads import Heads
from degu.io.card import Card

TARGETS = ("Dev", "Hk")
LENGTH = 30


def card(role="teacher", kinds=("mean",), targets=TARGETS, **changes):
    """The card of a model; of what is not given, something."""
    fields = {
        "architecture": "tiny:build",
        "augmentation": "standard",
        "proportion": 1.0,
        "size": 4 if role == "student" else None,
        "member": 1,
        "seed": 1,
        "dataset_sha256": "0a" * 32,
    }
    return Card(heads=Heads(targets, kinds), role=role, **{**fields, **changes})


def save(path, own=None, *, length=LENGTH, seed=None, scale=1.0, channels=4, **fields):
    """Write a model of random weights; returns its path.

    Args:
        path: where; the number in front is that of the member, and by default the seed.
        own: its card; None is that of ``fields`` (:func:`card`).
        length: of its sequences.
        seed: of the weights.
        scale: of its outputs.
        channels: of its sequences.
    """
    import keras

    from degu.models.files import save_model

    number = re.match(r"\d+", Path(path).name)
    member = int(number[0]) if number else 1
    own = own or card(**{"member": member, **fields})
    keras.utils.set_random_seed(member if seed is None else seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((length, channels)),
            layers.Conv1D(4, 5, activation="relu"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(len(own.heads), bias_initializer="glorot_uniform"),
        ]
    )
    model.layers[-1].set_weights([scale * w for w in model.layers[-1].get_weights()])
    save_model(model, path, own)
    return Path(path)


def student(path, kind="std", **more):
    """Write a student with an epistemic head; see :func:`save`."""
    return save(path, role="student", kinds=("mean", kind), **more)


def recalibrate(model, path=None, *, n=60, targets=TARGETS, seed=0, **changes):
    """Write a recalibration of a model's file, fitted to numbers of its own; returns it."""
    rng = np.random.default_rng(seed)
    fitted = []
    for _ in targets:
        mean, std = rng.normal(size=n), rng.uniform(0.1, 2, n)
        fitted.append(Fitted.of(Gaussian(mean, std), mean + 2 * std * rng.normal(size=n)))
    own = {
        "targets": tuple(targets),
        "variance": "total",
        "n_validation": n,
        "aleatoric": tuple(0.1 * (i + 1) for i in range(len(targets))),
        "std_floor": STD_FLOOR,
        "model_sha256": hashlib.sha256(Path(model).read_bytes()).hexdigest(),
        "dataset_sha256": "0a" * 32,
    }
    for name in ("scaling", "isotonic", "conformal", "mondrian"):
        own[name] = tuple(getattr(one, name) for one in fitted)
    made = Recalibration(**{**own, **changes})
    if path is None:
        path = Path(model).with_name(f"{Path(model).name.split('_')[0]}_recalibration.json")
    made.write(path)
    return made


def codes(n, length=LENGTH, seed=0, letters=5):
    """Random sequences (n, length) uint8, some bases unknown."""
    return np.random.default_rng(seed).integers(0, letters, (n, length), dtype=np.uint8)
