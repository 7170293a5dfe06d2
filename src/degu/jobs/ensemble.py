"""What an ensemble says, from its members' predictions that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from degu.dataset import read_info
from degu.dataset.copies import NAME, Copier, read_labels, write_labels
from degu.heads import Heads
from degu.io.files import read_npy, write_npy
from degu.io.predictions import read_ensemble, read_predictions
from degu.io.summary import Identity, tidy
from degu.jobs.lessons import Files
from degu.metrics import METRICS, in_std_units, partial_correlation
from degu.sweep import SPLITS
from degu.uncertainty import ensemble_aleatoric, ensemble_mean, std_of_mean, uncertainty_std

Arm = Mapping[str, Any]
"""Its ``augmentation``, ``proportion`` and ``size``."""


def aggregate(arm: Arm, files: Files, output: Files) -> None:
    """Write an ensemble's mean on Train, and on each split its std (ddof 0).

    Args:
        arm: whose it is.
        files: ``dataset`` and ``predictions``, a file a member.
        output: ``mean_train``, and for each split ``std_{split}``; of members with aleatoric heads
            ``aleatoric_{split}`` too, the logarithm of the mean of their variances.

    Raises:
        InputError: if the predictions are not of this ensemble's members.
    """
    label = {**arm, "dataset_sha256": read_info(files["dataset"]).sha256}
    members, card = read_ensemble(files["predictions"], role="teacher", **{**label, "size": None})
    means = {name: members[name][..., card.heads.slice("mean")] for name in SPLITS}
    mean = ensemble_mean(means["Train"])
    write_npy(mean, output["mean_train"], content="mean of Train", **label)
    for name in SPLITS:
        std = uncertainty_std(means[name])
        write_npy(std, output[f"std_{name.lower()}"], content=f"std of {name}", **label)
        if "aleatoric" in card.heads.kinds:
            aleatoric = ensemble_aleatoric(members[name][..., card.heads.slice("aleatoric")])
            path = output[f"aleatoric_{name.lower()}"]
            write_npy(aleatoric, path, content=f"aleatoric of {name}", **label)


def label_copies(arm: Arm, files: Files, output: str, copies: Mapping[str, Any]) -> None:
    """Write what an ensemble says of augmented copies: mean, std (ddof 0) and aleatoric variance.

    Args:
        arm: whose it is.
        files: ``dataset`` and ``predictions`` of the copies, a file a member.
        output: the file to write.
        copies: settings of :class:`degu.dataset.copies.Copier`.

    Raises:
        InputError: if the predictions are not of this ensemble's members.
    """
    info = read_info(files["dataset"])
    expected = {**arm, "size": None, "dataset_sha256": info.sha256}
    members, card = read_ensemble(files["predictions"], (NAME,), role="teacher", **expected)
    stack = members[NAME][..., card.heads.slice("mean")]
    aleatoric = None
    if "aleatoric" in card.heads.kinds:
        aleatoric = ensemble_aleatoric(members[NAME][..., card.heads.slice("aleatoric")])
    write_labels(
        output,
        ensemble_mean(stack),
        uncertainty_std(stack),
        aleatoric,
        heads=Heads.student(info.targets, "std", aleatoric is not None),
        copier=Copier.of(copies),
        dataset_sha256=info.sha256,
        **arm,
    )


def guessed_std(arm: Arm, files: Files, at: np.ndarray) -> np.ndarray:
    """The guess of an ensemble's std by its mean alone (:func:`degu.uncertainty.std_of_mean`).

    Looked up among training sequences, and their copies where there are some.

    Args:
        arm: whose ensemble it is.
        files: ``dataset``; ``mean_train`` and ``std_train`` of the ensemble; ``copies``, its labels
            of the copies, or nothing.
        at: (N, T) means to guess at.

    Raises:
        InputError: if a file is not of this arm and data set.
    """
    label = {**arm, "dataset_sha256": read_info(files["dataset"]).sha256}
    mean, std = (
        read_npy(files[f"{name}_train"], dtype_kind="f", content=f"{name} of Train", **label)
        for name in ("mean", "std")
    )
    known = [(mean, std)]
    if files.get("copies"):
        y, heads = read_labels(files["copies"], **label)
        flat = y.reshape(-1, len(heads))
        known.append((flat[:, heads.slice("mean")], flat[:, heads.slice("std")]))
    means, stds = (np.concatenate(parts) for parts in zip(*known, strict=True))
    return std_of_mean(means, stds, at)


def fidelity_rows(arm: Arm, files: Files, students: Sequence[Identity]) -> pd.DataFrame:
    """How much predicted uncertainties say of the ensemble's beyond what the activity does.

    Two references for the agreement of a student's std with the ensemble's on Test: role
    ``std_of_mean`` is the best guess from the activity alone (:func:`degu.uncertainty.std_of_mean`,
    looked up among training sequences and copies), and ``Fidelity_partial`` of a student the
    partial correlation of the stds given the ensemble's mean.

    Args:
        arm: whose models they are.
        files: ``dataset``; ``teachers``, predictions of its members; ``mean_train``, ``std_train``
            and ``std_test`` of the ensemble; ``copies``, its labels of the copies, or nothing;
            ``students``, predictions of each model with epistemic heads.
        students: who these are: columns of the summary.

    Returns:
        Rows of the summary (:data:`degu.io.summary.COLUMNS`).

    Raises:
        InputError: if a file is not of this arm and data set.
    """
    info = read_info(files["dataset"])
    label = {**arm, "dataset_sha256": info.sha256}
    expected = {**label, "size": None}
    teachers, card = read_ensemble(files["teachers"], ("Test",), role="teacher", **expected)
    mean = ensemble_mean(teachers["Test"][..., card.heads.slice("mean")])

    std = read_npy(files["std_test"], dtype_kind="f", content="std of Test", **label)
    guess = guessed_std(arm, files, mean)
    rows: list[dict[str, Any]] = []

    def add(identity: Identity, metric: str, values: np.ndarray) -> None:
        for target, value in zip(info.targets, values, strict=True):
            row = {**arm, **identity, "target": target, "head": "std", "metric": metric}
            rows.append({**row, "value": value})

    size = arm["size"]
    for name, metric in METRICS.items():
        # Errors are given for both conventions of a std; correlations are the same for both.
        factors = {0: 1.0, 1: size / (size - 1)} if name == "MSE" else {None: 1.0}
        for ddof, factor in factors.items():
            add({"role": "std_of_mean", "ddof": ddof}, name, factor * metric(std, guess))
    for path, identity in zip(files["students"], students, strict=True):
        predictions, card = read_predictions(path, ("Test",))
        own = {k: v for k, v in identity.items() if k in ("role", "member", "variant")}
        card.check(path, **{**label, **own})
        heads, values = in_std_units(card.heads, predictions["Test"])
        add(
            identity,
            "Fidelity_partial",
            partial_correlation(std, values[..., heads.slice("std")], mean),
        )
    return tidy(rows)
