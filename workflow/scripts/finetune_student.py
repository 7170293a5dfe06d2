"""Fine-tune one student on its targets as they are, after training on augmented sequences."""

from degu.ops.devices import claim
from degu.ops.runtime import job_log, set_compute_threads

with job_log(snakemake.log[0]):
    claim(snakemake.resources.gpu, required=snakemake.config["require_gpu"])
    set_compute_threads(snakemake.params.compute_threads)

    from dataclasses import replace

    from degu.dataset import read_info
    from degu.dataset.distillation import read_lessons
    from degu.io.card import arm_identity, member_identity
    from degu.jobs.session import training_session
    from degu.jobs.train import finetune_member
    from degu.models.files import load_model

    sha256 = read_info(snakemake.input.dataset).sha256
    train, validation = read_lessons(
        snakemake.input.distillation,
        snakemake.params.uncertainty,
        sha256,
        **arm_identity(**dict(snakemake.wildcards.items())),
    )
    model, card = load_model(
        snakemake.input.model,
        **member_identity("student", **dict(snakemake.wildcards.items())),
        architecture=snakemake.params.architecture,
        dataset_sha256=sha256,
        heads=train.heads,
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
