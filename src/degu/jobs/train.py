"""Training of one member of a study, by its first phase or by fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from degu.augment import Augmenter, used_settings
from degu.dataset.copies import Copier
from degu.io.card import Card
from degu.jobs.fit import Trained, finetune_member, train_dynamic_member, train_member
from degu.jobs.lessons import Files, Lessons, lessons_of
from degu.jobs.session import Session, training_session
from degu.kinds import Kind, named
from degu.models.files import load_model
from degu.study.member import Member
from degu.sweep import Variant

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Training:
    """What a kind's ``trainer`` is given; it returns the model and its history.

    Attributes:
        member: who is trained.
        lessons: its data.
        card: of the model.
        files: the rule's input, with ``teachers`` where the kind needs them.
        params: the rule's: ``training`` (a section of the config), ``evoaug`` (of a phase on
            augmented sequences, else None), ``settings`` (of the kind).
        session: whose checkpoint and curves the training uses.
    """

    member: Member
    lessons: Lessons
    card: Card
    files: Files
    params: Params
    session: Session


def train(member: Member, files: Files, output: Files, params: Params, config: Params) -> None:
    """Train a member from its seed, and write its model and history.

    Args:
        member: who is trained.
        files, output, params: the rule's, by name.
        config: the study's.

    Raises:
        InputError: if a file is not of this study, or its sequences are too short for the
            augmentations of copies.
    """
    lessons = lessons_of(member, files, params["copies"])
    if config["distillation"]["copies"]:
        # Before an hour of training, and not when its teachers are to predict them.
        section = used_settings(config["distillation"])
        Copier(0, **section).copy(lessons.train[0][:1], 1)
    card = Card(
        **member.card_fields,
        heads=lessons.heads,
        architecture=params["architecture"],
        seed=params["seed"],
        dataset_sha256=lessons.dataset_sha256,
    )
    trainer = named(member.kind.trainer)
    with training_session(output["model"], output["history"], config) as session:
        model, history = trainer(Training(member, lessons, card, files, params, session))
        session.save(model, history, card)


def finetune(member: Member, files: Files, output: Files, params: Params, config: Params) -> None:
    """Train a member further, on its sequences as they are; arguments as for :func:`train`.

    ``files`` has its ``model`` before.
    """
    lessons = lessons_of(member, files, params["copies"])
    model, card = load_model(
        files["model"],
        **member.card_fields,
        architecture=params["architecture"],
        dataset_sha256=lessons.dataset_sha256,
        heads=lessons.heads,
    )
    with training_session(output["model"], output["history"], config) as session:
        tuned, history = finetune_member(
            model,
            card.heads,
            lessons.train,
            lessons.validation,
            seed=params["seed"],
            copies=lessons.copies,
            **_fit(session, params, member.kind, lessons),
        )
        session.save(tuned, history, replace(card, seed=params["seed"]))


def _fit(session: Session, params: Params, kind: Kind, lessons: Lessons) -> dict[str, Any]:
    """What every training goes by, of a job."""
    loss = {**(params["loss"] or {}), **lessons.loss}
    return {
        "settings": params["training"],
        "checkpoint": session.checkpoint,
        "tracking": session.tracking,
        "labels": lessons.labels,
        **({"losses": named(kind.losses)(lessons.heads, loss)} if kind.losses else loss),
    }


def train_plain(job: Training) -> Trained:
    """By the kind's loss on all heads, with EvoAug where it is asked for."""
    evoaug = job.params["evoaug"]
    return train_member(
        job.card.architecture,
        job.card.heads,
        job.lessons.train,
        job.lessons.validation,
        seed=job.card.seed,
        augment=Augmenter.from_config(evoaug) if evoaug else None,
        copies=job.lessons.copies,
        **_fit(job.session, job.params, job.member.kind, job.lessons),
    )


def train_dynamic(job: Training) -> Trained:
    """Students whose batches are augmented on the fly and labelled by the teachers."""
    member, card = job.member, job.card
    assert member.variant is not None
    teachers = [
        load_model(
            path,
            role="teacher",
            augmentation=card.augmentation,
            proportion=card.proportion,
            member=ix,
            architecture=card.architecture,
            heads=card.heads.of_members,
            dataset_sha256=card.dataset_sha256,
        )[0]
        for ix, path in enumerate(job.files["teachers"], start=1)
    ]
    return train_dynamic_member(
        card.architecture,
        card.heads,
        job.lessons.train,
        job.lessons.validation,
        teachers=teachers,
        variant=Variant.parse(member.variant),
        augmentation=job.params["settings"],
        seed=card.seed,
        **_fit(job.session, job.params, job.member.kind, job.lessons),
    )
