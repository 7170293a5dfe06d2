"""Train one teacher on its arm's subset, with EvoAug where the rule passes its settings."""

from degu.ops.devices import claim
from degu.ops.runtime import job_log, set_compute_threads

with job_log(snakemake.log[0]):
    claim(snakemake.resources.gpu, required=snakemake.config["require_gpu"])
    set_compute_threads(snakemake.params.compute_threads)

    from degu.augment import Augmenter
    from degu.dataset import read_info, read_split, read_subset
    from degu.heads import Heads
    from degu.io.card import Card, member_identity
    from degu.jobs.session import training_session
    from degu.jobs.train import train_member

    evoaug = snakemake.params.get("evoaug")
    info = read_info(snakemake.input.dataset)
    rows = read_subset(
        snakemake.input.subset,
        snakemake.input.dataset,
        proportion=float(snakemake.wildcards.proportion),
    )
    train = read_split(snakemake.input.dataset, "Train", rows=rows)
    validation = read_split(snakemake.input.dataset, "Val")
    card = Card(
        **member_identity("teacher", **dict(snakemake.wildcards.items())),
        heads=Heads(info.targets),
        architecture=snakemake.params.architecture,
        seed=snakemake.params.seed,
        dataset_sha256=info.sha256,
    )
    with training_session(
        snakemake.output.model, snakemake.output.history, snakemake.config
    ) as session:
        model, history = train_member(
            card.architecture,
            card.heads,
            (train.x, train.y),
            (validation.x, validation.y),
            seed=card.seed,
            settings=snakemake.params.training,
            augment=Augmenter.from_config(evoaug) if evoaug else None,
            checkpoint=session.checkpoint,
            tracking=session.tracking,
        )
        session.save(model, history, card)
