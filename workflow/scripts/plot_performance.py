"""Teachers, ensemble and students side by side."""

import pandas as pd

from degu.plots.performance import plot_performance
from degu.plots.style import save_figure
from degu.runtime import job_log

with job_log(snakemake.log[0]):
    figure = plot_performance(pd.read_csv(snakemake.input.summary))
    save_figure(figure, snakemake.output.pdf, snakemake.output.png)
