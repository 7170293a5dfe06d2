"""Training of one member of a study, by its first phase or by fine-tuning."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import keras

from degu.augment import Augmenter, used_settings
from degu.dataset import read_info
from degu.dataset.copies import Copier
from degu.errors import DivergedError
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
        flanks=read_info(files["dataset"]).flanks,
    )
    trainer = named(member.kind.trainer)
    with training_session(output["model"], output["history"], config) as session:
        job = Training(member, lessons, card, files, params, session)
        model, history, chosen = _train_best(trainer, job)
        session.save(model, history, replace(card, loss=chosen))


def candidates(loss: Mapping[str, Any] | None) -> list[dict[str, float]]:
    """What is to be tried of a loss: each combination of its settings with several values.

    >>> candidates({"beta": [0.5, 1], "uncertainty_weight": 2})
    [{'beta': 0.5}, {'beta': 1}]
    """
    several = {name: values for name, values in (loss or {}).items() if isinstance(values, list)}
    return [dict(zip(several, values, strict=True)) for values in product(*several.values())]


def _train_best(
    trainer: Callable[[Training], Trained], job: Training
) -> tuple[keras.Model, dict[str, list[float]], dict[str, float]]:
    """Train with each candidate of the loss, all from one seed; the one of least validation NLL.

    Likelihoods compare what weights and penalties make incomparable: losses.
    """
    tried = candidates(job.params["loss"])
    if len(tried) == 1:
        return *trainer(_with_loss(job, tried[0])), tried[0]
    best, failed = None, None
    for own in tried:
        name = ",".join(f"{key}={value:g}" for key, value in own.items())
        print(f"{name}:", file=sys.stderr, flush=True)
        try:
            model, history = trainer(_with_loss(replace(job, session=job.session.part(name)), own))
        except DivergedError as error:
            failed = error
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            continue
        nll = min(history["val_nll"])
        print(f"{name}: validation NLL {nll:.4g}", file=sys.stderr, flush=True)
        if best is None or nll < best[0]:
            best = nll, model, history, own
    if best is None:
        assert failed is not None
        raise failed
    return best[1:]


def _with_loss(job: Training, chosen: Mapping[str, float]) -> Training:
    return replace(job, params=_chosen(job.params, chosen))


def _chosen(params: Params, chosen: Mapping[str, float]) -> Params:
    """A rule's parameters with one value for each setting of the loss."""
    return {**params, "loss": {**(params["loss"] or {}), **chosen}}


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
            **_fit(session, _chosen(params, card.loss), member.kind, lessons),
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
