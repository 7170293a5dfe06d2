"""Predict shifted sequences with one teacher or student."""

from degu.ops.devices import claim
from degu.ops.runtime import job_log, set_compute_threads

with job_log(snakemake.log[0]):
    claim(snakemake.resources.gpu, required=snakemake.config["require_gpu"])
    set_compute_threads(snakemake.params.compute_threads)

    from degu.dataset import read_info
    from degu.heads import Heads
    from degu.io.card import member_identity
    from degu.io.predictions import write_predictions
    from degu.models.files import load_model
    from degu.shift.sequences import read_shift, read_shift_info
    from degu.training.batches import predict

    info = read_info(snakemake.input.dataset)
    uncertainty = snakemake.params.uncertainty
    model, card = load_model(
        snakemake.input.model,
        **member_identity(snakemake.params.role, **dict(snakemake.wildcards.items())),
        architecture=snakemake.params.architecture,
        dataset_sha256=info.sha256,
        heads=Heads.student(info.targets, uncertainty) if uncertainty else Heads(info.targets),
    )
    shift = read_shift_info(snakemake.input.sequences, info.sha256)
    predictions = {
        kind: predict(model, read_shift(snakemake.input.sequences, kind).x) for kind in shift.kinds
    }
    write_predictions(snakemake.output.predictions, predictions, card, shift_sha256=shift.sha256)
