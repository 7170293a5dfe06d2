"""Draw one figure from a summary."""

from degu.dataset import read_info
from degu.plots import FIGURES
from degu.plots.style import save_figure
from degu.runtime import job_log
from degu.summary import tidy_rows

with job_log(snakemake.log[0]):
    units = read_info(snakemake.input.dataset).units
    draw = FIGURES[snakemake.params.figure]
    figure = draw(tidy_rows(snakemake.input.summary), units)
    save_figure(figure, snakemake.output.pdf, snakemake.output.png)
