"""Score the mean of one ensemble on the test set."""

from degu.io.card import arm_identity
from degu.jobs.score import score_ensemble
from degu.ops.runtime import job_log

with job_log(snakemake.log[0]):
    arm = arm_identity(**dict(snakemake.wildcards.items()))
    score_ensemble(arm, snakemake.input, snakemake.output.table)
