"""Train one student on its ensemble's mean and uncertainty, with EvoAug where the rule says so."""

from degu.ops.devices import claim
from degu.ops.runtime import job_log, set_compute_threads

with job_log(snakemake.log[0]):
    claim(snakemake.resources.gpu, required=snakemake.config["require_gpu"])
    set_compute_threads(snakemake.params.compute_threads)

    from degu.augment import Augmenter
    from degu.dataset import read_info
    from degu.dataset.distillation import read_lessons
    from degu.io.card import Card, arm_identity, member_identity
    from degu.jobs.session import training_session
    from degu.jobs.train import train_member

    evoaug = snakemake.params.get("evoaug")
    sha256 = read_info(snakemake.input.dataset).sha256
    train, validation = read_lessons(
        snakemake.input.distillation,
        snakemake.params.uncertainty,
        sha256,
        **arm_identity(**dict(snakemake.wildcards.items())),
    )
    card = Card(
        **member_identity("student", **dict(snakemake.wildcards.items())),
        heads=train.heads,
        architecture=snakemake.params.architecture,
        seed=snakemake.params.seed,
        dataset_sha256=sha256,
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
