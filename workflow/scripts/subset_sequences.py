"""Copy the sequences of a training subset once, for all arms of its proportion."""

from degu.dataset import read_info
from degu.dataset.distillation import write_subset_sequences
from degu.ops.runtime import job_log
from degu.sweep import draw_subset

with job_log(snakemake.log[0]):
    n = read_info(snakemake.input.dataset).sizes["Train"]
    rows = draw_subset(n, float(snakemake.wildcards.proportion), snakemake.params.seed)
    write_subset_sequences(snakemake.output.sequences, snakemake.input.dataset, rows)
