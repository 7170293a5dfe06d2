"""Draw the training subset of a proportion."""

from degu.dataset import read_info
from degu.io.files import write_npy
from degu.ops.runtime import job_log
from degu.sweep import draw_subset

with job_log(snakemake.log[0]):
    info = read_info(snakemake.input.dataset)
    proportion = float(snakemake.wildcards.proportion)
    rows = draw_subset(info.sizes["Train"], proportion, snakemake.params.seed)
    write_npy(
        rows,
        snakemake.output.rows,
        content="subset",
        proportion=proportion,
        dataset_sha256=info.sha256,
    )
