"""Attribution maps of one teacher or student by one method."""

from degu.ops.devices import claim
from degu.ops.runtime import job_log, set_compute_threads

with job_log(snakemake.log[0]):
    claim(snakemake.resources.gpu, required=snakemake.config["require_gpu"])
    set_compute_threads(snakemake.params.compute_threads)

    from pathlib import Path

    from degu.attribution.maps import export_maps, write_maps
    from degu.attribution.selection import read_sequences
    from degu.dataset import read_info
    from degu.heads import Heads
    from degu.io.card import member_identity
    from degu.jobs.attribute import attribute, shared_references
    from degu.models.files import load_model

    info = read_info(snakemake.input.dataset)
    uncertainty, method = snakemake.params.uncertainty, snakemake.wildcards.method
    identity = {k: v for k, v in snakemake.wildcards.items() if k != "method"}
    model, card = load_model(
        snakemake.input.model,
        **member_identity(snakemake.params.role, **identity),
        architecture=snakemake.params.architecture,
        dataset_sha256=info.sha256,
        heads=Heads.student(info.targets, uncertainty) if uncertainty else Heads(info.targets),
    )
    sequences = read_sequences(snakemake.input.sequences, info.sha256)
    settings = dict(snakemake.params.settings)
    if method == "shap":
        drawn = settings.pop("shared"), sequences.seed
        settings["references"] = shared_references(snakemake.input.dataset, *drawn)
    maps = attribute(model, card.heads, sequences, method, **settings)
    write_maps(snakemake.output.maps, maps, card, method=method, sequences_sha256=sequences.sha256)
    export_maps(Path(snakemake.output.maps).parent, maps, sequences, card.member, method)
