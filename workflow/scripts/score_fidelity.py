"""What the uncertainty of an arm's models says beyond their activity."""

from degu.io.files import write_csv
from degu.jobs.ensemble import fidelity_rows
from degu.ops.runtime import job_log
from degu.sweep import Arm

with job_log(snakemake.log[0]):
    arm, files = Arm.of(snakemake.wildcards).label, snakemake.input
    write_csv(fidelity_rows(arm, files, snakemake.params.students), snakemake.output.table)
