"""Fine-tune one teacher on its arm's subset as it is, after training on augmented sequences."""

from degu.ops.devices import claim
from degu.ops.runtime import job_log, set_compute_threads

with job_log(snakemake.log[0]):
    claim(snakemake.resources.gpu, required=snakemake.config["require_gpu"])
    set_compute_threads(snakemake.params.compute_threads)

    from dataclasses import replace

    from degu.dataset import read_info, read_split, read_subset
    from degu.heads import Heads
    from degu.io.card import member_identity
    from degu.jobs.session import training_session
    from degu.jobs.train import finetune_member
    from degu.models.files import load_model

    info = read_info(snakemake.input.dataset)
    rows = read_subset(
        snakemake.input.subset,
        snakemake.input.dataset,
        proportion=float(snakemake.wildcards.proportion),
    )
    train = read_split(snakemake.input.dataset, "Train", rows=rows)
    validation = read_split(snakemake.input.dataset, "Val")
    model, card = load_model(
        snakemake.input.model,
        **member_identity("teacher", **dict(snakemake.wildcards.items())),
        architecture=snakemake.params.architecture,
        dataset_sha256=info.sha256,
        heads=Heads(info.targets),
    )
    with training_session(
        snakemake.output.model, snakemake.output.history, snakemake.config
    ) as session:
        tuned, history = finetune_member(
            model,
            card.heads,
            (train.x, train.y),
            (validation.x, validation.y),
            seed=snakemake.params.seed,
            settings=snakemake.params.training,
            checkpoint=session.checkpoint,
            tracking=session.tracking,
        )
        session.save(tuned, history, replace(card, seed=snakemake.params.seed))
