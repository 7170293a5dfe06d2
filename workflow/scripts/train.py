"""Train one model of a study from its seed."""

from degu.ops.runtime import model_job

with model_job(snakemake) as (member,):
    from degu.jobs.train import train

    train(member, snakemake.input, snakemake.output, snakemake.params, snakemake.config)
