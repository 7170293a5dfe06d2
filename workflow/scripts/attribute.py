"""Attribution maps of one model of a study by one method."""

from degu.ops.runtime import model_job

with model_job(snakemake) as (member,):
    from degu.jobs.attribute import attribute_member

    attribute_member(
        member,
        snakemake.input,
        snakemake.output.maps,
        snakemake.wildcards.method,
        snakemake.params.settings,
        snakemake.params.architecture,
    )
