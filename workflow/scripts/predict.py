"""Predict the whole data set with one or several models of a study."""

from degu.ops.runtime import model_job

with model_job(snakemake) as members:
    from degu.jobs.predict import predict_members

    params, output = dict(snakemake.params.items()), snakemake.output.predictions
    predict_members(members, snakemake.input, output, params["architecture"], params)
