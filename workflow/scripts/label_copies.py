"""Label the augmented copies of an arm's training sequences by its ensemble."""

from degu.jobs.ensemble import label_copies
from degu.ops.runtime import job_log
from degu.sweep import Arm

with job_log(snakemake.log[0]):
    arm, files = Arm.of(snakemake.wildcards).label, snakemake.input
    label_copies(arm, files, snakemake.output.labels, snakemake.params.copies)
