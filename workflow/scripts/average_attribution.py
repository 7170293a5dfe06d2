"""Average the maps of a pool's teachers, and say how far they are from each other."""

from degu.attribution.analysis import average_folder
from degu.attribution.selection import read_sequences
from degu.ops.runtime import job_log

with job_log(snakemake.log[0]):
    members = zip(snakemake.input.maps, snakemake.params.teachers, strict=True)
    average_folder(members, read_sequences(snakemake.input.sequences))
