"""Train one model of a study further, on its sequences as they are."""

from degu.ops.runtime import model_job

with model_job(snakemake) as (member,):
    from degu.jobs.train import finetune

    finetune(member, snakemake.input, snakemake.output, snakemake.params, snakemake.config)
