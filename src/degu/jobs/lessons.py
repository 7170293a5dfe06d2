"""What a member of a study is trained and scored on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from degu.dataset import Split, read_info, read_split, read_subset
from degu.dataset.copies import Copier, Copies, read_labels
from degu.dataset.distillation import read_lessons
from degu.errors import InputError
from degu.heads import Columns, Heads, Measured
from degu.io.files import MAKE_AGAIN, read_npy
from degu.study.member import Member

Files = Mapping[str, Any]
"""Paths by their names in a rule's input, a list where a name stands for several."""


class Lessons(NamedTuple):
    """What a member is trained and validated on, x (N, L, 4) uint8 and y (N, labels).

    ``heads`` are the model's, and ``labels`` names of the columns of y. ``copies`` are labelled
    copies of the training sequences, where it learns from such, and ``loss`` what its loss goes by
    beside the config.
    """

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    heads: Heads
    labels: Columns
    dataset_sha256: str
    copies: Copies | None = None
    loss: Mapping[str, Any] = {}


def lessons_of(member: Member, files: Files, copies: Mapping[str, Any] | None = None) -> Lessons:
    """Read what a member learns: measurements of its subset, or what its ensemble says of it.

    Whose aleatoric heads learn from replicates gets columns of :class:`degu.heads.Measured`.

    Args:
        member: who learns.
        files: ``dataset``, and ``subset`` or ``distillation`` by what its kind learns; ``copies``
            where it learns from copies.
        copies: settings of these (:class:`degu.dataset.copies.Copier`), or None.

    Raises:
        InputError: if a file is not whole, or not of this data set, subset or ensemble, or if the
            data set has no replicates to learn from.
    """
    info = read_info(files["dataset"])
    heads = member.heads(info.targets)
    if member.kind.learns == "ensemble":
        uncertainty = member.uncertainty or "std"
        pair = read_lessons(files["distillation"], uncertainty, info.sha256, **member.arm)
        # Who learns no uncertainty, the means alone.
        train, validation = (
            (lesson.x, lesson.y[:, lesson.heads.indices(heads.kinds)]) for lesson in pair
        )
        labelled = None
        if copies is not None:
            copier = Copier.of(copies)
            y, of_copies = read_labels(
                files["copies"],
                uncertainty=uncertainty,
                n=len(train[0]),
                copier=copier,
                dataset_sha256=info.sha256,
                **member.arm,
            )
            labelled = copier.labelled(train[0], y[..., of_copies.indices(heads.kinds)])
        return Lessons(train, validation, heads, heads, info.sha256, labelled)
    rows = read_subset(files["subset"], files["dataset"], proportion=member.proportion)
    replicated = member.aleatoric == "replicates"
    fields = ("x", "y", *(("y_std", "y_replicates") if replicated else ()))
    splits = (
        read_split(files["dataset"], "Train", rows=rows, fields=fields),
        read_split(files["dataset"], "Val", fields=fields),
    )
    if not replicated:
        train, validation = ((split.x, split.y) for split in splits)
        return Lessons(train, validation, heads, Heads(info.targets), info.sha256)
    train, validation = ((split.x, _with_variance(split, files["dataset"])) for split in splits)
    labels = Measured(info.targets, Measured.known)
    lacking = _unreplicated(train[1], labels, files["dataset"])
    loss = {"unreplicated": lacking}
    return Lessons(train, validation, heads, labels, info.sha256, loss=loss)


def _with_variance(split: Split, dataset: Any) -> np.ndarray:
    """Columns of :class:`degu.heads.Measured` of a split, (N, 3T) float32."""
    std, count = split.y_std, split.y_replicates
    if std is None:
        std = np.full_like(split.y, np.nan)
    elif count is None:
        raise InputError(
            f"aleatoric: {dataset} has stds of replicates (y_std), but not how many these are "
            f"(y_replicates); {MAKE_AGAIN}, from a source that counts them, or write "
            "`aleatoric: learned`."
        )
    if count is None:
        count = np.zeros(split.y.shape, np.uint16)
    sampled = np.isfinite(std) & (count > 1)
    replicates = np.where(sampled, count, 1).astype(np.float64)
    variance = np.where(sampled, np.square(std, dtype=np.float64) / replicates, np.nan)
    return np.concatenate([split.y, variance, replicates - 1], axis=-1, dtype=np.float32)


def _unreplicated(y: np.ndarray, labels: Columns, dataset: Any) -> list[str]:
    """Names of the targets of which no training sequence has two replicates; not of all."""
    freedom = y[:, labels.slice("freedom")].max(axis=0)
    lacking = [t for t, most in zip(labels.targets, freedom, strict=True) if most == 0]
    if len(lacking) == len(labels.targets):
        raise InputError(
            f"aleatoric: no training sequence of {dataset} has two replicates of any target, whose "
            "variance could be learned; give them (`data.replicates`) or write "
            "`aleatoric: learned`."
        )
    if lacking:
        print(
            f"no training sequence has two replicates of {', '.join(lacking)}: aleatoric heads "
            "learn from the errors of the mean there",
            file=sys.stderr,
            flush=True,
        )
    return lacking


def truth_of(member: Member, files: Files) -> tuple[np.ndarray, tuple[str, ...]]:
    """What a member should predict of Test, and the kinds of heads that this is the truth of.

    The measurements are that of means, and the ensemble's std that of the epistemic heads of who
    learns from it; of an aleatoric head nothing is known.

    Args:
        member: who is scored.
        files: ``dataset``, and ``std_test`` of a kind that learns from an ensemble.

    Returns:
        (N, kinds · T), stds as such, and the kinds.

    Raises:
        InputError: if a file is not whole, or not of this data set or ensemble.
    """
    y = read_split(files["dataset"], "Test", fields=("y",)).y
    if member.kind.learns != "ensemble" or member.uncertainty is None:
        return y, ("mean",)
    label = {**member.arm, "dataset_sha256": read_info(files["dataset"]).sha256}
    std = read_npy(files["std_test"], shape=y.shape, dtype_kind="f", content="std of Test", **label)
    return np.concatenate([y, std], axis=-1), ("mean", member.uncertainty)
