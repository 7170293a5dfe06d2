"""Predict shifted sequences with one model of a study."""

from degu.ops.runtime import model_job

with model_job(snakemake) as member:
    from degu.jobs.predict import predict_shift

    architecture, output = snakemake.params.architecture, snakemake.output.predictions
    predict_shift(member, snakemake.input, output, architecture)
