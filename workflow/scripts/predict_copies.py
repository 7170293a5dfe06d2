"""Predict the augmented copies of a pool's training sequences with one of its teachers."""

from degu.ops.runtime import model_job

with model_job(snakemake) as (member,):
    from degu.jobs.predict import predict_copies

    files, params = snakemake.input, snakemake.params
    predict_copies(member, files, snakemake.output.predictions, params.architecture, params.copies)
