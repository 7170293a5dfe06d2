"""Predict the whole data set with one model of a study."""

from degu.ops.runtime import model_job

with model_job(snakemake) as member:
    from degu.jobs.predict import predict_member

    architecture, output = snakemake.params.architecture, snakemake.output.predictions
    predict_member(member, snakemake.input, output, architecture)
