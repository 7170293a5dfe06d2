"""A study of every kind of arm and of student, with an architecture of its own, as small as it can.

Most of its time goes to the start of some fifty processes that import TensorFlow.
"""

import copy

from snakemake_runs import run_snakemake

ARCHITECTURE = """
import keras

def build(input_shape, output_dim):
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv1D(32, 7, padding="same")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.MaxPooling1D(4)(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(32, activation="relu")(x)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(output_dim)(x))
"""
CONFIG = {
    "dataset": "tiny",
    "data": {"source": "simulate", "n_train": 301, "n_val": 60, "n_test": 80, "length": 40},
    "model": "own_models.small:build",
    "model_name": "Small",
    "compute_threads": 2,
    "arms": [
        {"ensemble_sizes": [2, 4]},
        {"proportions": [0.5], "ensemble_sizes": [2]},
        {"augmentations": ["evoaug"], "ensemble_sizes": [2]},
    ],
    "students": {"replicates": 1, "uncertainty": ["std"]},
    "baselines": [],
    "training": {"epochs": 2},
    "student_training": {"epochs": 2},
    "finetuning": {"epochs": 2},
    "student_finetuning": {"epochs": 1},
    "dynamic_augmentation": {
        "modes": ["evoaug"],
        "batches": ["append"],
        "arms": [{"augmentations": ["standard"], "proportions": [1], "ensemble_sizes": [2]}],
    },
    "dynamic_finetuning": {"epochs": 1},
    "uncertainty": {"draws": 20},
    "shift": {"copies": 2},
    "attribution": {
        "methods": ["saliency", "shap_dinuc_shuffle"],
        "top_n": 12,
        "bins": 2,
        "per_bin": 5,
        "references": 4,
        "logos": 2,
        "motifs": {"box": "TATAWA"},
        "arms": [{"augmentations": ["standard"], "proportions": [1]}],
    },
}


def changed(**changes):
    return {**copy.deepcopy(CONFIG), **changes}


def write_architecture(folder):
    """Put the architecture where the study's config looks for it; returns the folder."""
    (folder / "own_models").mkdir()
    (folder / "own_models/small.py").write_text(ARCHITECTURE)
    return folder


def run(folder):
    """Run the study in a folder."""
    run_snakemake(write_architecture(folder), CONFIG)
