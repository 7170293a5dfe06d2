"""What a member of a study is trained and scored on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from degu.dataset import read_info, read_split, read_subset
from degu.dataset.copies import Copier, Copies, read_labels
from degu.dataset.distillation import read_lessons
from degu.heads import Heads
from degu.io.files import read_npy
from degu.study.member import Member

Files = Mapping[str, Any]
"""Paths by their names in a rule's input, a list where a name stands for several."""


class Lessons(NamedTuple):
    """What a member is trained and validated on, x (N, L, 4) uint8 and y (N, heads).

    ``copies`` are labelled copies of the training sequences, where it learns from such.
    """

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    heads: Heads
    dataset_sha256: str
    copies: Copies | None = None


def lessons_of(member: Member, files: Files, copies: Mapping[str, Any] | None = None) -> Lessons:
    """Read what a member learns: measurements of its subset, or what its ensemble says of it.

    Args:
        member: who learns.
        files: ``dataset``, and ``subset`` or ``distillation`` by what its kind learns; ``copies``
            where it learns from copies.
        copies: settings of these (:class:`degu.dataset.copies.Copier`), or None.

    Raises:
        InputError: if a file is not whole, or not of this data set, subset or ensemble.
    """
    info = read_info(files["dataset"])
    heads = member.heads(info.targets)
    if member.kind.learns == "ensemble":
        uncertainty = member.uncertainty or "std"
        pair = read_lessons(files["distillation"], uncertainty, info.sha256, **member.arm)
        # Means come first; who learns no uncertainty has no other columns.
        learned = len(heads)
        train, validation = ((lesson.x, lesson.y[:, :learned]) for lesson in pair)
        labelled = None
        if copies is not None:
            copier = Copier.of(copies)
            y, _ = read_labels(
                files["copies"],
                uncertainty=uncertainty,
                n=len(train[0]),
                copier=copier,
                dataset_sha256=info.sha256,
                **member.arm,
            )
            labelled = copier.labelled(train[0], y[..., :learned])
        return Lessons(train, validation, heads, info.sha256, labelled)
    rows = read_subset(files["subset"], files["dataset"], proportion=member.proportion)
    splits = read_split(files["dataset"], "Train", rows=rows), read_split(files["dataset"], "Val")
    train, validation = ((split.x, split.y) for split in splits)
    return Lessons(train, validation, heads, info.sha256)


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
