"""Choose the test sequences that attribution maps are made of, and their references."""

from degu.attribution.selection import write_sequences
from degu.ops.runtime import job_log

with job_log(snakemake.log[0]):
    write_sequences(
        snakemake.output.sequences,
        snakemake.input.dataset,
        **snakemake.params.settings,
        seed=snakemake.params.seed,
    )
