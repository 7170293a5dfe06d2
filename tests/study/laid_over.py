"""Configs laid over the embedded one, and what becomes of them."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config  # type: ignore[import-untyped]

from degu.errors import InputError
from degu.study.config import validate

ROOT = Path(__file__).parents[2]
EMBEDDED = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())

TABLE = """
dataset: my_assay
data: {source: table, path: my_assay.tsv}
targets: [leaf, root]
"""
PAPER_TRAINING = {
    "epochs": 100,
    "batch_size": 128,
    "learning_rate": 0.001,
    "patience": 10,
    "lr_patience": 5,
    "lr_factor": 0.1,
    "min_learning_rate": 1e-7,
    "short_epoch": 0,
    "batch_norm": "moving",
}
OUR_TRAINING = {**PAPER_TRAINING, "short_epoch": 200, "batch_norm": "precise"}
OF_STUDENTS = {**OUR_TRAINING, "lr_factor": 0.2, "batch_norm": "as_trained"}


def overlaid(*configs: str | dict) -> dict:
    """Configs laid over the embedded one, as Snakemake does it."""
    merged = copy.deepcopy(EMBEDDED)
    for config in configs:
        update_config(merged, yaml.safe_load(config) if isinstance(config, str) else config)
    return merged


def checked(*configs: str | dict) -> dict:
    """What a study gets of such configs."""
    return validate(overlaid(*configs))


def message(*configs: str | dict) -> str:
    """The sentence with which such configs are refused."""
    with pytest.raises(InputError) as error:
        checked(*configs)
    return str(error.value)
