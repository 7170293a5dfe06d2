"""Draw how far the maps of single teachers and of students are off, a point a sequence."""

from degu.dataset import read_info
from degu.ops.runtime import job_log
from degu.plots.attribution import plot_attribution_scatter, read_per_sequence
from degu.plots.style import save_figure
from degu.plots.tables import describe

with job_log(snakemake.log[0]):
    units, arm = read_info(snakemake.input.dataset).units, snakemake.params.arm
    title = describe(arm["augmentation"], proportion=arm["proportion"], size=arm["size"])
    figure = plot_attribution_scatter(read_per_sequence(snakemake.input.maps), units, title)
    save_figure(figure, snakemake.output.pdf, snakemake.output.png)
