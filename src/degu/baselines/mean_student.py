"""A student of the ensemble's mean alone: what the uncertainty heads cost or bring the others."""

from degu.baselines.baseline import Baseline
from degu.kinds import Kind, replicates

KIND = Kind(
    "mean_student",
    role="mean_student",
    label="student of the mean",
    folder="baselines/n{size}/mean_student",
    shift_folder="n{size}-mean_student",
    number=replicates,
    learns="ensemble",
    copies=True,
    together=True,
    # Paired with students of both kinds of uncertainty.
    seed_role="student",
    fields=("size",),
    training="student_training",
    finetuning="student_finetuning",
)
BASELINE = Baseline(
    "mean_student",
    "student of the mean",
    of=("mean_student",),
    laws="degu.calibration.forms:single",
    kind=KIND,
)
