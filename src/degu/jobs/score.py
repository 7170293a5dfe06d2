"""How well a member or an ensemble predicts the test set, from predictions that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from degu.dataset import read_info, read_split
from degu.io.files import write_csv
from degu.io.predictions import BEFORE, read_ensemble, read_predictions
from degu.jobs.lessons import Files, truth_of
from degu.metrics import performance_table
from degu.study.member import Member
from degu.uncertainty import ensemble_mean


def score_member(member: Member, files: Files, tables: Sequence[str]) -> None:
    """Write the performance table of each phase of a member.

    Args:
        member: who is scored.
        files: ``dataset``, ``predictions``, and ``std_test`` of a kind that learns from an
            ensemble.
        tables: the files to write, in the order of its phases.

    Raises:
        InputError: if the predictions are not of this member and data set.
    """
    info = read_info(files["dataset"])
    y = truth_of(member, files)
    names = [BEFORE] * (len(tables) - 1) + ["Test"]
    predictions, card = read_predictions(files["predictions"], names)
    card.check(
        files["predictions"],
        **member.card_fields,
        dataset_sha256=info.sha256,
        heads=member.heads(info.targets),
    )
    for name, table in zip(names, tables, strict=True):
        write_csv(performance_table(y, predictions[name], card.heads), table)


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
    write_csv(performance_table(y, ensemble_mean(predictions["Test"]), card.heads), table)
