"""Draw what the models of one arm say of shifted sequences."""

from degu.dataset import read_info, read_split
from degu.io.summary import tidy_rows
from degu.ops.runtime import job_log
from degu.plots.shifts import plot_shift, plot_shift_distribution
from degu.plots.style import save_figure
from degu.plots.tables import describe
from degu.shift.scores import predicted_activities

with job_log(snakemake.log[0]):
    files, identities, output = snakemake.input, snakemake.params, snakemake.output
    info, arm = read_info(files.dataset), identities.arm
    figure = plot_shift(tidy_rows(files.table), info.units)
    save_figure(figure, output.pdf, output.png)
    predictions = predicted_activities(
        shift=files.sequences,
        teachers=zip(files.teachers, files.teachers_test, identities.teachers, strict=True),
        ensemble=files.ensemble,
        students=zip(files.students, files.students_test, identities.students, strict=True),
    )
    assay = read_split(files.dataset, "Test", fields=("y",)).y
    title = describe(arm["augmentation"], proportion=arm["proportion"], size=arm["size"])
    figure = plot_shift_distribution(assay, predictions, info.targets, info.units, title)
    save_figure(figure, output.distribution_pdf, output.distribution_png)
