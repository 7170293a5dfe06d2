"""Download a published data file."""

from degu.io.download import download
from degu.ops.runtime import job_log

with job_log(snakemake.log[0]):
    download(
        snakemake.params.url, snakemake.output.table, sha256=snakemake.config["data"]["sha256"]
    )
