"""A student's activity and one variance for each target, beside the std that it predicts."""

from degu.baselines.baseline import Baseline

BASELINE = Baseline(
    "constant", "student, constant std", of=("student",), laws="degu.calibration.forms:constant"
)
