"""Score the models of one arm on shifted sequences."""

from degu.io.files import write_csv
from degu.ops.runtime import job_log
from degu.shift.scores import evaluate_shift

with job_log(snakemake.log[0]):
    files, identities = snakemake.input, snakemake.params
    table = evaluate_shift(
        identities.arm,
        shift=files.sequences,
        teachers=zip(files.teachers, files.teachers_test, identities.teachers, strict=True),
        ensemble=files.ensemble,
        students=zip(files.students, files.students_test, identities.students, strict=True),
    )
    write_csv(table, snakemake.output.table)
