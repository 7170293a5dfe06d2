"""A teacher and one residual variance for each target: the least that an uncertainty must beat."""

from degu.baselines.baseline import Baseline

BASELINE = Baseline(
    "residual",
    "teacher, residual variance",
    of=("teacher",),
    laws="degu.calibration.forms:constant",
)
