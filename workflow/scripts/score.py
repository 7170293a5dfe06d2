"""Score the predictions of one or several models of a study on the test set."""

from degu.jobs.score import score_members
from degu.ops.runtime import job_log, members_of

with job_log(snakemake.log[0]):
    score_members(members_of(snakemake), snakemake.input, snakemake.output.tables)
