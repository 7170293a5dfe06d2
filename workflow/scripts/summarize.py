"""Gather every performance table of the study into one tidy table."""

from degu.io.files import write_csv
from degu.io.summary import summarize
from degu.ops.runtime import job_log
from degu.shift.scores import assay_rows
from degu.study.failed import failed_rows

with job_log(snakemake.log[0]):
    files, identities = snakemake.input, snakemake.params
    table = summarize(
        identities.targets,
        members=zip(files.members, identities.members, strict=True),
        ensembles=zip(files.ensembles, files.ensemble_std, identities.ensembles, strict=True),
        tables=[*files.fidelity, *files.shift],
        assay=assay_rows(files.dataset) if files.shift else None,
        failed=failed_rows(zip(files.histories, identities.histories, strict=True)),
    )
    write_csv(table, snakemake.output.summary)
