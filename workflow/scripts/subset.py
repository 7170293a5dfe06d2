"""Draw the training subset of a proportion."""

from degu.dataset import read_info
from degu.files import write_npy
from degu.runtime import job_log
from degu.sweep import draw_subset

with job_log(snakemake.log[0]):
    n = read_info(snakemake.input.dataset).sizes["Train"]
    rows = draw_subset(n, float(snakemake.wildcards.proportion), snakemake.params.seed)
    write_npy(rows, snakemake.output.rows)
