"""Make the study's data set from its source."""

from degu.ingest import ingest
from degu.ops.runtime import job_log

with job_log(snakemake.log[0]):
    data = {**snakemake.config["data"], **snakemake.params.data}
    if snakemake.input.raw:
        data["path"] = snakemake.input.raw[0]
    ingest(data, snakemake.params.targets, snakemake.output.dataset, snakemake.params.seed)
