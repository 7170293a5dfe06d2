"""Files of a member's predictions on every split of its data set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from degu.errors import InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.hdf5 import create_hdf5, open_hdf5, read_array, write_array
from degu.sweep import SPLITS

BEFORE = "Test_aug"
"""Beside the splits of a fine-tuned member: what the model before that predicts of Test."""

# Fields of the card that the members of one ensemble have in common.
SHARED = (
    "dataset_sha256",
    "architecture",
    "architecture_sha256",
    "heads",
    "role",
    "augmentation",
    "proportion",
    "size",
)


def constant_heads(predictions: np.ndarray, heads: Heads) -> tuple[str, ...]:
    """Heads that predict one number, but for rounding, for every sequence.

    A network whose last units are all dead does so: it has learned its bias and nothing else.

    Args:
        predictions: (N, ..., heads); positions of profile data are compared across sequences.
        heads: names of the last axis.

    Returns:
        Names of columns, in order; none for fewer than two sequences, which cannot tell.
    """
    if len(predictions) < 2:
        return ()
    values = np.asarray(predictions, np.float64)
    sizes = np.abs(values).max(axis=0)
    same = np.ptp(values, axis=0) <= 8 * np.finfo(np.float32).eps * sizes
    same = same.all(axis=tuple(range(same.ndim - 1)))
    return tuple(name for name, constant in zip(heads.columns, same, strict=True) if constant)


def write_predictions(
    path: str | os.PathLike[str],
    predictions: Mapping[str, np.ndarray],
    card: Card,
    *,
    shift_sha256: str | None = None,
) -> None:
    """Write predictions (N, heads) of each split, and the card of the model that made them.

    Args:
        path: the file to write.
        predictions: name of each split, or of each kind of shifted sequences, and its predictions.
        card: of the model.
        shift_sha256: of the ``shift.h5`` whose sequences were predicted, if they were shifted.
    """
    with create_hdf5(path) as file:
        for name, values in predictions.items():
            write_array(file, name, np.asarray(values, np.float32))
        card.write(file.attrs)
        if shift_sha256 is not None:
            file.attrs["shift_sha256"] = shift_sha256


def read_predictions(
    path: str | os.PathLike[str],
    splits: Sequence[str] = SPLITS,
    *,
    shift_sha256: str | None = None,
) -> tuple[dict[str, np.ndarray], Card]:
    """Predictions of each split, (N, heads) float32, and the card of the model that made them.

    Args:
        path: file of :func:`write_predictions`.
        splits: which splits, or kinds of shifted sequences, to read.
        shift_sha256: of the ``shift.h5`` that the predictions must be of; None takes any.

    Raises:
        InputError: if the file lacks a split or a card, holds values that are not finite or a mean
            that is one number for all sequences of a split, or was made from another
            ``shift.h5``.
    """
    with open_hdf5(path) as file:
        card = Card.read(file)
        if shift_sha256 is not None and file.attrs.get("shift_sha256") != shift_sha256:
            raise InputError(
                f"{path} was not made from this shift.h5; delete these predictions and let the "
                "workflow make them again."
            )
        predictions = {}
        for name in splits:
            if name not in file:
                raise InputError(f"{path} has no predictions for {name}; make it again.")
            predictions[name] = read_array(file, name, dtype_kind="f")
            shape = predictions[name].shape
            if len(shape) < 2 or shape[-1] != len(card.heads):
                raise InputError(
                    f"{path}: {name} has shape {shape}, which is not a column for each of "
                    f"{', '.join(card.heads.columns)}; make it again."
                )
            if not np.isfinite(predictions[name]).all():
                raise InputError(
                    f"{path}: {name} holds predictions that are not finite; delete this member's "
                    "model and train it again."
                )
            # An uncertainty may well be one number; an activity that is, no model has learned.
            constant = constant_heads(predictions[name], card.heads)
            constant = tuple(column for column in constant if column in card.heads.targets)
            if constant:
                raise InputError(
                    f"{path}: {', '.join(constant)} is one number for all {shape[0]} sequences of "
                    f"{name}; delete this member's model and train it again with a lower learning "
                    "rate or another seed, or leave out a target that the assay has one value of."
                )
    return predictions, card


def read_ensemble(
    paths: Sequence[str | os.PathLike[str]],
    splits: Sequence[str] = SPLITS,
    *,
    shift_sha256: str | None = None,
    **expected: object,
) -> tuple[dict[str, np.ndarray], Card]:
    """Predictions of several members, (M, N, heads) for each split, and the first member's card.

    Args:
        paths: a file for each member.
        splits, shift_sha256: see :func:`read_predictions`.
        expected: fields of the members' cards and the values they must have.

    Raises:
        InputError: if the members are not the expected ones, or not different members of one
            ensemble (other data, arm, architecture or shape); names the file.
    """
    stacks: dict[str, list[np.ndarray]] = {name: [] for name in splits}
    first: Card | None = None
    owner: dict[int, object] = {}
    for path in paths:
        predictions, card = read_predictions(path, splits, shift_sha256=shift_sha256)
        first = first or card
        card.check(path, **expected)
        card.check(path, **{name: getattr(first, name) for name in SHARED})
        if card.member in owner:
            raise InputError(
                f"{path} and {owner[card.member]} are both member {card.member}; an ensemble has "
                "each member once."
            )
        owner[card.member] = path
        for name in splits:
            if stacks[name] and stacks[name][0].shape != predictions[name].shape:
                raise InputError(
                    f"{path}: {name} has shape {predictions[name].shape}, but other members have "
                    f"{stacks[name][0].shape}; make it again."
                )
            stacks[name].append(predictions[name])
    if first is None:
        raise ValueError("An ensemble needs members.")
    return {name: np.stack(members) for name, members in stacks.items()}, first
