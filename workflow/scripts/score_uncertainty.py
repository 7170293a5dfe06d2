"""Score the uncertainty of an arm's models, or of those that all arms of a pool share."""

from degu.calibration.tables import DRAWS, compared
from degu.io.files import write_csv, write_npy
from degu.jobs.uncertainty import score_uncertainty
from degu.ops.runtime import job_log

with job_log(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    rows, curves, draws = score_uncertainty(
        snakemake.input, params.judged, draws=params.draws["draws"], arm=params.arm
    )
    write_npy(draws[compared(rows)], output.draws, content=DRAWS)
    write_csv(curves, output.curves)
    write_csv(rows, output.table)
