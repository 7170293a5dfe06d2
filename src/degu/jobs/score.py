"""How well a member or an ensemble predicts the test set, from predictions that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from degu.dataset import read_info, read_split
from degu.heads import Heads
from degu.io.files import write_csv
from degu.io.predictions import BEFORE, read_ensemble, read_predictions
from degu.jobs.lessons import Files, truth_of
from degu.metrics import performance_table
from degu.study.member import Member
from degu.uncertainty import ensemble_mean


def score_members(members: Sequence[Member], files: Files, tables: Sequence[str]) -> None:
    """Write the performance table of each phase of some members.

    Args:
        members: who is scored; of one arm, or one member alone.
        files: ``dataset``, ``predictions`` of each member, and ``std_test`` of a kind that learns
            from an ensemble.
        tables: the files to write, of each member one a phase.

    Raises:
        InputError: if predictions are not of their member and this data set.
    """
    info = read_info(files["dataset"])
    y, kinds = truth_of(members[0], files)
    scored = Heads(info.targets, kinds)
    written = iter(tables)
    for member, path in zip(members, files["predictions"], strict=True):
        names = [BEFORE] * (len(member.phases) - 1) + ["Test"]
        predictions, card = read_predictions(path, names)
        heads = member.heads(info.targets)
        card.check(path, **member.card_fields, dataset_sha256=info.sha256, heads=heads)
        columns = heads.indices(kinds)
        for name in names:
            values = predictions[name][..., columns]
            write_csv(performance_table(y, values, scored), next(written))


def score_ensemble(arm: Mapping[str, Any], files: Files, table: str) -> None:
    """Write the performance table of an ensemble's mean.

    Args:
        arm: its ``augmentation``, ``proportion`` and ``size``.
        files: ``dataset`` and ``predictions``, those of its members.
        table: the file to write.

    Raises:
        InputError: if the predictions are not of this ensemble's members.
    """
    expected = {**arm, "size": None, "dataset_sha256": read_info(files["dataset"]).sha256}
    predictions, card = read_ensemble(files["predictions"], ("Test",), role="teacher", **expected)
    y = read_split(files["dataset"], "Test", fields=("y",)).y
    mean = ensemble_mean(predictions["Test"][..., card.heads.slice("mean")])
    write_csv(performance_table(y, mean, Heads(card.heads.targets)), table)
