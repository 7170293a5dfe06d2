"""Score the mean of one ensemble on the test set."""

from degu.jobs.score import score_ensemble
from degu.ops.runtime import job_log
from degu.sweep import Arm

with job_log(snakemake.log[0]):
    arm = Arm.of(snakemake.wildcards).label
    score_ensemble(arm, snakemake.input, snakemake.output.table)
