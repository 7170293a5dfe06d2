"""Compare the maps of the models of one arm, with each other and with what is true."""

from degu.attribution.analysis import evaluate_arm
from degu.attribution.selection import read_sequences
from degu.io.files import write_csv
from degu.ops.runtime import job_log

with job_log(snakemake.log[0]):
    files, identities = snakemake.input, snakemake.params
    table = evaluate_arm(
        identities.arm,
        sequences=read_sequences(files.sequences),
        teachers=zip(files.teachers, identities.teachers, strict=True),
        students=zip(files.students, identities.students, strict=True),
        output=snakemake.output.maps,
    )
    write_csv(table, snakemake.output.table)
