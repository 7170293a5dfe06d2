"""Ensemble of different architectures, whose members differ by more than their seeds."""

from __future__ import annotations

from degu.baselines.baseline import Baseline
from degu.kinds import Config, Kind


def _architecture(config: Config, member: int) -> str:
    """That of a member: the config's list, over and over."""
    listed = config["mixed_architectures"]
    return listed[(member - 1) % len(listed)]


KIND = Kind(
    "mixed",
    role="mixed",
    label="one of mixed architectures",
    folder="baselines/mixed",
    shift_folder="mixed",
    number=lambda config, size: size,
    architecture=_architecture,
    model_name="Mixed",
)
BASELINE = Baseline(
    "mixed_ensemble",
    "mixed architectures",
    of=("mixed",),
    laws="degu.calibration.forms:ensemble",
    kind=KIND,
    ensemble=True,
)
