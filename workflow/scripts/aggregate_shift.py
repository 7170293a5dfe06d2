"""Mean and population std of the first n members on shifted sequences."""

from degu.ops.runtime import job_log
from degu.shift.scores import ensemble_shift

with job_log(snakemake.log[0]):
    ensemble_shift(
        snakemake.output.predictions,
        snakemake.input.predictions,
        snakemake.input.sequences,
        augmentation=snakemake.wildcards.augmentation,
        proportion=float(snakemake.wildcards.proportion),
    )
