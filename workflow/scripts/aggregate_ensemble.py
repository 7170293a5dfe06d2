"""Mean, population std and aleatoric variance of the first n members."""

from degu.jobs.ensemble import aggregate
from degu.ops.runtime import job_log
from degu.sweep import Arm

with job_log(snakemake.log[0]):
    aggregate(Arm.of(snakemake.wildcards).label, snakemake.input, snakemake.output)
