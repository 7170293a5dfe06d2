"""Draw one figure from a summary."""

from degu.dataset import read_info
from degu.io.summary import tidy_rows
from degu.ops.runtime import job_log
from degu.plots import FIGURES
from degu.plots.style import save_figure

with job_log(snakemake.log[0]):
    units = read_info(snakemake.input.dataset).units
    draw = FIGURES[snakemake.params.figure]
    figure = draw(tidy_rows(snakemake.input.summary), units)
    save_figure(figure, snakemake.output.pdf, snakemake.output.png)
