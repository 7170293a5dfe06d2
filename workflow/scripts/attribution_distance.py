"""How far one teacher's maps are from the average of its pool, for each sequence."""

from degu.attribution.analysis import export_distances
from degu.attribution.selection import read_sequences
from degu.ops.runtime import job_log

with job_log(snakemake.log[0]):
    members = zip(snakemake.input.maps, snakemake.params.teacher, strict=True)
    export_distances(members, read_sequences(snakemake.input.sequences))
