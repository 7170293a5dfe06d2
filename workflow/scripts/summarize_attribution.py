"""Gather what the maps of every arm say into one tidy table."""

from degu.attribution.analysis import summarize_attribution
from degu.io.files import write_csv
from degu.ops.runtime import job_log

with job_log(snakemake.log[0]):
    write_csv(summarize_attribution(snakemake.input.tables), snakemake.output.summary)
