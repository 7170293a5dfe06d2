"""Gather all that is known of the uncertainties of a study, and which differences are no chance."""

from degu.calibration.tables import gather
from degu.io.files import write_csv
from degu.ops.runtime import job_log

with job_log(snakemake.log[0]):
    files, output = snakemake.input, snakemake.output
    summary, curves, differences = gather(files.tables, files.curves, files.draws)
    write_csv(summary, output.summary)
    write_csv(curves, output.curves)
    write_csv(differences, output.differences)
