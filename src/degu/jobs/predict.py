"""Prediction by members of a study."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np

from degu.dataset import read_info, read_split, read_subset
from degu.dataset.copies import NAME, Copier
from degu.io.card import Card
from degu.io.predictions import BEFORE, write_predictions
from degu.jobs.lessons import Files
from degu.kinds import named
from degu.models.files import load_model
from degu.sequences import from_codes
from degu.shift.sequences import read_shift, read_shift_info
from degu.study.member import Member
from degu.sweep import SPLITS
from degu.training.batches import predict

Predictor = Callable[[np.ndarray], np.ndarray]
"""From sequences (N, L, 4) to predictions (N, heads)."""


@dataclass(frozen=True)
class Prediction:
    """What a kind's ``predictor`` is given; it returns a :data:`Predictor`.

    Attributes:
        member: who predicts.
        model, card: its model, or the one that it borrows, and what that says of itself.
        train: gives the training sequences of its pool, (N, L, 4) uint8.
        seed: of what it draws.
        settings: of the kind.
    """

    member: Member
    model: keras.Model
    card: Card
    train: Callable[[], np.ndarray]
    seed: int
    settings: Mapping[str, Any]


def predict_members(
    members: Sequence[Member],
    files: Files,
    outputs: Sequence[str],
    architecture: str,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Predict every split of the data set, and Test by the models of earlier phases too.

    Args:
        members: whose models they are.
        files: ``dataset``, ``subset`` of their pool, and ``models``, of each member one a phase.
        outputs: the files to write, one a member.
        architecture: of the models.
        params: ``seed`` and ``settings``, of a kind with a ``predictor``.

    Raises:
        InputError: if a model is not the expected one.
    """
    models = iter(files["models"])
    for member, output in zip(members, outputs, strict=True):
        predictions = {}
        for _ in member.phases[:-1]:
            model, _ = _load(member, next(models), files, architecture)
            x = read_split(files["dataset"], "Test", fields=("x",)).x
            predictions[BEFORE] = predict(model, x)
        model, card = _load(member, next(models), files, architecture)
        rows = read_subset(files["subset"], files["dataset"], proportion=member.proportion)
        predictor = _predictor(member, model, card, files, params)
        predictions |= predict_splits(predictor, files["dataset"], rows)
        write_predictions(output, predictions, _own_card(member, card, params))
        keras.backend.clear_session()


def predict_copies(
    member: Member, files: Files, output: str, architecture: str, copies: Mapping[str, Any]
) -> None:
    """Predict the augmented copies of a member's training sequences, (N, K, heads).

    Args:
        member: whose model it is.
        files: ``dataset``, ``subset`` of its pool, and ``model``.
        output: the file to write.
        architecture: the config's ``model``.
        copies: settings of :class:`degu.dataset.copies.Copier`.

    Raises:
        InputError: if the model is not the expected one.
    """
    model, card = _load(member, files["model"], files, architecture)
    rows = read_subset(files["subset"], files["dataset"], proportion=member.proportion)
    x = read_split(files["dataset"], "Train", rows=rows, fields=("x",)).x
    copier, predictions = Copier.of(copies), []
    for number in range(1, copier.copies + 1):
        predictions.append(predict(model, from_codes(copier.copy(x, number))))
        print(f"copy {number} of {len(x):,} sequences predicted", file=sys.stderr, flush=True)
    write_predictions(output, {NAME: np.stack(predictions, axis=1)}, card)


def predict_shift(
    members: Sequence[Member],
    files: Files,
    outputs: Sequence[str],
    architecture: str,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Predict every kind of shifted sequences.

    Args:
        members: whose models they are.
        files: ``dataset``, ``sequences`` (a ``shift.h5``) and ``models``, one a member; with a
            ``predictor``, ``subset``.
        outputs, architecture, params: as for :func:`predict_members`.

    Raises:
        InputError: if a model or the sequences are not the expected ones.
    """
    info = read_shift_info(files["sequences"], read_info(files["dataset"]).sha256)
    for member, path, output in zip(members, files["models"], outputs, strict=True):
        model, card = _load(member, path, files, architecture)
        predictor = _predictor(member, model, card, files, params)
        predictions = {}
        for kind in info.kinds:
            shifted = read_shift(files["sequences"], kind)
            predictions[kind] = predictor(shifted.x)
            print(f"{kind}: {len(shifted.x):,} sequences predicted", file=sys.stderr, flush=True)
        own = _own_card(member, card, params)
        write_predictions(output, predictions, own, shift_sha256=info.sha256)
        keras.backend.clear_session()


def predict_splits(
    model: keras.Model | Predictor, dataset: str | os.PathLike[str], rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Predictions (N, heads) on the training subset, the validation and the test set."""
    predictor = partial(predict, model) if isinstance(model, keras.Model) else model
    predictions = {}
    for name in SPLITS:
        split = read_split(dataset, name, rows=rows if name == "Train" else None, fields=("x",))
        predictions[name] = predictor(split.x)
        print(f"{name}: {len(split.x):,} sequences predicted", file=sys.stderr, flush=True)
    return predictions


def _load(member: Member, path: str, files: Files, architecture: str) -> tuple[keras.Model, Card]:
    info, owner = read_info(files["dataset"]), member.owner
    return load_model(
        path,
        **owner.card_fields,
        architecture=architecture,
        dataset_sha256=info.sha256,
        heads=owner.heads(info.targets),
    )


def _predictor(
    member: Member,
    model: keras.Model,
    card: Card,
    files: Files,
    params: Mapping[str, Any] | None,
) -> Predictor:
    """What predicts with a member's model, by its kind."""
    if member.kind.predictor is None:
        return partial(predict, model)
    assert params is not None

    def train() -> np.ndarray:
        rows = read_subset(files["subset"], files["dataset"], proportion=member.proportion)
        return read_split(files["dataset"], "Train", rows=rows, fields=("x",)).x

    job = Prediction(member, model, card, train, params["seed"], params["settings"])
    return named(member.kind.predictor)(job)


def _own_card(member: Member, card: Card, params: Mapping[str, Any] | None) -> Card:
    """The card of a member's predictions, by that of the model."""
    if member.kind.predictor is None:
        return card
    assert params is not None
    heads = member.heads(card.heads.targets)
    return replace(card, **member.card_fields, heads=heads, seed=params["seed"])
