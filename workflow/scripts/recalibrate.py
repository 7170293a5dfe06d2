"""Fit what makes intervals of the predictions of one or several models, on validation sequences."""

from degu.jobs.uncertainty import recalibrate
from degu.ops.runtime import job_log, members_of

with job_log(snakemake.log[0]):
    members, output = members_of(snakemake), snakemake.output.recalibrations
    recalibrate(members, snakemake.input, output, snakemake.params.form)
