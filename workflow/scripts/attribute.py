"""Attribution maps of one or several models of a study by one method."""

from degu.ops.runtime import model_job

with model_job(snakemake) as members:
    from pathlib import Path

    from degu.attribution.maps import export_maps, write_maps
    from degu.attribution.selection import read_sequences
    from degu.dataset import read_info
    from degu.jobs.attribute import attribute, shared_references
    from degu.models.files import load_model

    info = read_info(snakemake.input.dataset)
    method = snakemake.wildcards.method
    sequences = read_sequences(snakemake.input.sequences, info.sha256)
    settings = dict(snakemake.params.settings)
    if method == "shap":
        drawn = settings.pop("shared"), sequences.seed
        settings["references"] = shared_references(snakemake.input.dataset, *drawn)
    for member, path, output in zip(
        members, snakemake.input.models, snakemake.output.maps, strict=True
    ):
        model, card = load_model(
            path,
            **member.card_fields,
            architecture=snakemake.params.architecture,
            dataset_sha256=info.sha256,
            heads=member.heads(info.targets),
        )
        maps = attribute(model, card.heads, sequences, method, **settings)
        write_maps(output, maps, card, method=method, sequences_sha256=sequences.sha256)
        export_maps(Path(output).parent, maps, sequences, card.member, method)
