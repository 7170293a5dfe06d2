"""Train one student on sequences that are augmented on the fly and labelled by its ensemble."""

from degu.ops.devices import claim
from degu.ops.runtime import job_log, set_compute_threads

with job_log(snakemake.log[0]):
    claim(snakemake.resources.gpu, required=snakemake.config["require_gpu"])
    set_compute_threads(snakemake.params.compute_threads)

    from degu.dataset import read_info
    from degu.dataset.distillation import read_lessons
    from degu.heads import Heads
    from degu.io.card import Card, arm_identity, member_identity
    from degu.jobs.session import training_session
    from degu.jobs.train import train_dynamic_member
    from degu.models.files import load_model
    from degu.sweep import Variant

    info = read_info(snakemake.input.dataset)
    train, validation = read_lessons(
        snakemake.input.distillation,
        snakemake.params.uncertainty,
        info.sha256,
        **arm_identity(**dict(snakemake.wildcards.items())),
    )
    card = Card(
        **member_identity("student", **dict(snakemake.wildcards.items())),
        heads=train.heads,
        architecture=snakemake.params.architecture,
        seed=snakemake.params.seed,
        dataset_sha256=info.sha256,
    )
    teachers = [
        load_model(
            path,
            role="teacher",
            augmentation=card.augmentation,
            proportion=card.proportion,
            member=ix,
            architecture=card.architecture,
            heads=Heads(info.targets),
            dataset_sha256=info.sha256,
        )[0]
        for ix, path in enumerate(snakemake.input.teachers, start=1)
    ]
    with training_session(
        snakemake.output.model, snakemake.output.history, snakemake.config
    ) as session:
        model, history = train_dynamic_member(
            card.architecture,
            card.heads,
            (train.x, train.y),
            (validation.x, validation.y),
            teachers=teachers,
            variant=Variant.parse(snakemake.wildcards.variant),
            augmentation=snakemake.params.augmentation,
            seed=card.seed,
            settings=snakemake.params.training,
            checkpoint=session.checkpoint,
            tracking=session.tracking,
        )
        session.save(model, history, card)
