"""Draw any figure of the catalogue."""

from degu.ops.runtime import job_log
from degu.plots.catalogue import drawer
from degu.plots.inputs import Inputs
from degu.plots.series import register
from degu.plots.style import save_figure

with job_log(snakemake.log[0]):
    params = snakemake.params
    for series in params.series:
        register(**series)
    given = Inputs.of_job(
        dict(snakemake.input.items()),
        dict(snakemake.wildcards.items()),
        settings=params.settings,
        members=params.members,
    )
    save_figure(drawer(params.draw)(given), snakemake.output.pdf, snakemake.output.png)
