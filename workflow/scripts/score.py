"""Score the predictions of one model of a study on the test set."""

from degu.jobs.score import score_member
from degu.ops.runtime import job_log, member_of

with job_log(snakemake.log[0]):
    score_member(member_of(snakemake), snakemake.input, snakemake.output.tables)
