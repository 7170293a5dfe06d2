"""Attribution maps of one or several models of a study by one method."""

from degu.ops.runtime import model_job

with model_job(snakemake) as members:
    from degu.jobs.attribute import attribute_members

    attribute_members(
        members,
        snakemake.input,
        snakemake.output.maps,
        snakemake.wildcards.method,
        snakemake.params.settings,
        snakemake.params.architecture,
    )
