"""Make the shifted test sequences of the study."""

from degu.ops.runtime import job_log
from degu.shift.sequences import write_shift

with job_log(snakemake.log[0]):
    write_shift(
        snakemake.output.sequences,
        snakemake.input.dataset,
        settings=snakemake.params.settings,
        evoaug=snakemake.params.evoaug,
        seed=snakemake.params.seed,
    )
