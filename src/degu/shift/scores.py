"""What models say of shifted sequences: rows of the summary, and distributions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from degu.dataset import read_info, read_split
from degu.errors import InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.predictions import SHARED, read_ensemble, read_predictions, write_predictions
from degu.io.summary import Identity, spread_rows, tidy
from degu.metrics import eval_regression, in_std_units
from degu.shift.sequences import _MAKE_AGAIN, _TEST, NO_SHIFT, PathLike, ShiftInfo, read_shift_info
from degu.uncertainty import ensemble_mean, uncertainty_std

QUANTILES = {"Q05": 0.05, "Q25": 0.25, "Q50": 0.5, "Q75": 0.75, "Q95": 0.95}


# Fields of a card that, beside those of its ensemble, say which model made predictions.
_OWN = ("member", "seed", "variant")


def ensemble_shift(
    path: PathLike, members: Sequence[PathLike], shift: PathLike, **expected: object
) -> None:
    """Write an ensemble's mean and std (ddof 0) on shifted sequences, (n, 2T) for each kind.

    The file is one of predictions, with the heads of a std student and a card of its own: role
    ``ensemble``, the number of members as its size, member and seed 0.

    Args:
        path: the file to write.
        members: predictions of each teacher on ``shift``.
        shift: the study's ``shift.h5``.
        expected: fields of the members' cards and the values they must have.

    Raises:
        InputError: if the members are not the expected ones, or their predictions not of
            ``shift``; names the file.
    """
    info = read_shift_info(shift)
    predictions, card = read_ensemble(
        members,
        info.kinds,
        shift_sha256=info.sha256,
        **{"role": "teacher", "dataset_sha256": info.dataset_sha256, **expected},
    )
    means = card.heads.slice("mean")
    values = {
        kind: np.concatenate([f(stack[..., means]) for f in (ensemble_mean, uncertainty_std)], -1)
        for kind, stack in predictions.items()
    }
    card = replace(
        card,
        heads=Heads.student(card.heads.targets, "std"),
        role="ensemble",
        size=len(members),
        member=0,
        seed=0,
    )
    write_predictions(path, values, card, shift_sha256=info.sha256)


Member = tuple[PathLike, PathLike, Identity]
"""Predictions of a member on shifted sequences, on the splits of the data set, and who it is."""


def evaluate_shift(
    arm: Identity,
    *,
    shift: PathLike,
    teachers: Iterable[Member],
    ensemble: PathLike,
    students: Iterable[Member],
) -> pd.DataFrame:
    """What the models of one arm predict on shifted test sequences, and on the test set itself.

    Copies are pooled. Of each shift (``none`` for the test set itself) and target there are

    - for every teacher and student and for the ensemble, head ``mean``: ``Mean`` and quantiles
      ``Q05`` to ``Q95`` of the predicted activity, and for teachers and students
      ``MSE_to_ensemble``, the mean squared difference from the mean of the arm's teachers; a
      teacher is part of that mean, so that its own number (ddof 0) is too small, and is there
      with the factor n/(n−1) as well (ddof 1);
    - for the ensemble and for students, head ``std``: ``Mean``, with ddof 0 and 1 (students learn
      the std with ddof 0, so that their other number is √(n/(n−1)) times that);
    - for other models with a std of their own, head ``std``: ``Mean`` with ddof 0;
    - for students, head ``std``: ``Pearson`` and ``Spearman`` correlation with the ensemble's std
      on the same sequences, and ``MSE``, with ddof 0 and 1.

    Args:
        arm: its ``augmentation``, ``proportion`` and ``size`` n.
        shift: the study's ``shift.h5``.
        teachers: members 1 to n; their identity is ``member``.
        ensemble: file of :func:`ensemble_shift`.
        students: likewise, of students and of all other models that are neither teachers nor the
            ensemble; their identity is ``member``, of students ``uncertainty`` and, with dynamic
            augmentation, ``variant``, of others ``role``, and ``size`` if they belong to one
            ensemble. It may repeat the arm.

    Returns:
        Rows of the summary (:data:`degu.io.summary.COLUMNS`).

    Raises:
        InputError: if a file is not of this arm, member, data set or ``shift.h5``; names it.
        ValueError: if the teachers are not members 1 to n.
    """
    arm = {name: arm[name] for name in ("augmentation", "proportion", "size")}
    info = read_shift_info(shift)
    shared: dict[str, object] = {
        "augmentation": arm["augmentation"],
        "proportion": arm["proportion"],
        "dataset_sha256": info.dataset_sha256,
    }
    first: Card | None = None
    activities: dict[int, dict[str, np.ndarray]] = {}
    for shifted, plain, identity in teachers:
        predictions, card = _read_member(
            shifted, plain, info, role="teacher", member=identity["member"], size=None, **shared
        )
        first = first or card
        card.check(shifted, **{name: getattr(first, name) for name in SHARED})
        columns = card.heads.slice("mean")
        activities[card.member] = {name: p[..., columns] for name, p in predictions.items()}
    if first is None or sorted(activities) != list(range(1, arm["size"] + 1)):
        raise ValueError(
            f"An ensemble of {arm['size']} has teachers 1 to {arm['size']}, but got "
            f"{sorted(activities)}."
        )
    targets = first.heads.targets
    stacks = {
        name: np.stack([activity[name] for activity in activities.values()])
        for name in (NO_SHIFT, *info.kinds)
    }
    mean = {name: _flat(ensemble_mean(stack)) for name, stack in stacks.items()}
    std = {name: _flat(uncertainty_std(stack)) for name, stack in stacks.items()}
    _check_ensemble(ensemble, info, mean, std, first, size=arm["size"], **shared)

    frames = []
    for name in (NO_SHIFT, *info.kinds):
        who = {"role": "ensemble", **arm, "shift": name}
        frames += [
            distribution_rows(mean[name], targets, who),
            spread_rows(std[name], targets, who),
        ]
        for member, activity in activities.items():
            who = {"role": "teacher", **arm, "member": member, "shift": name}
            values = _flat(activity[name])
            frames += [
                distribution_rows(values, targets, who),
                _error_rows(values, mean[name], targets, who, of_size=arm["size"]),
            ]
    for shifted, plain, identity in students:
        role = identity.get("role", "student")
        own = {"member": identity["member"], "variant": identity.get("variant")}
        size = identity.get("size") if role != "student" else arm["size"]
        predictions, card = _read_member(
            shifted, plain, info, role=role, size=size, **own, **shared
        )
        uncertainty = identity.get("uncertainty")
        heads = replace(card.heads, targets=targets)
        if uncertainty:
            heads = first.heads.with_epistemic(uncertainty)
        card.check(shifted, heads=heads)
        who = {"role": role, **arm, **own, "uncertainty": uncertainty}
        for name, values in predictions.items():
            who["shift"] = name
            in_std, values = in_std_units(heads, values)
            own_mean = _flat(values[..., in_std.slice("mean")])
            frames += [
                distribution_rows(own_mean, targets, who),
                _error_rows(own_mean, mean[name], targets, who),
            ]
            if in_std.epistemic:
                own_std = _flat(values[..., in_std.slice("std")])
                spread = spread_rows(own_std, targets, who)
                if not uncertainty:  # its own, of as many members as it likes
                    frames.append(spread[spread["ddof"] == 0])
                    continue
                frames += [spread, _fidelity_rows(own_std, std[name], targets, who)]
    return pd.concat(frames, ignore_index=True)


def predicted_activities(
    *, shift: PathLike, teachers: Iterable[Member], ensemble: PathLike, students: Iterable[Member]
) -> dict[str, dict[str, np.ndarray]]:
    """What one arm's models predict, for a look at its distribution.

    Args:
        shift, teachers, ensemble, students: as for :func:`evaluate_shift`, which checks them.

    Returns:
        For ``teacher``, ``ensemble``, ``student std`` and ``student logvar``, of each shift (and
        ``none``) the activities (n, T); those of single models are pooled. Students with dynamic
        augmentation are left out, and of a baseline all variants but the first.
    """
    info = read_shift_info(shift)
    pooled: dict[str, dict[str, list[np.ndarray]]] = {}

    def add(series: str, predictions: Mapping[str, np.ndarray], card: Card) -> None:
        for name, values in predictions.items():
            means = _flat(values[..., card.heads.slice("mean")])
            pooled.setdefault(series, {}).setdefault(name, []).append(means)

    unshifted = []
    for shifted, plain, _ in teachers:
        predictions, card = _read_member(shifted, plain, info, role="teacher")
        add("teacher", predictions, card)
        unshifted.append(pooled["teacher"][NO_SHIFT][-1])
    predictions, card = read_predictions(ensemble, info.kinds, shift_sha256=info.sha256)
    add("ensemble", predictions, card)
    pooled["ensemble"] = {NO_SHIFT: [np.mean(unshifted, axis=0)], **pooled["ensemble"]}
    first: dict[str, Any] = {"student": None}
    for shifted, plain, identity in students:
        role, variant = identity.get("role", "student"), identity.get("variant")
        if variant == first.setdefault(role, variant):
            series = f"{role} {identity.get('uncertainty', '')}".strip()
            add(series, *_read_member(shifted, plain, info, role=role))
    return {
        series: {name: np.concatenate(values) for name, values in by_shift.items()}
        for series, by_shift in pooled.items()
    }


def _read_member(
    shifted: PathLike, plain: PathLike, info: ShiftInfo, **expected: object
) -> tuple[dict[str, np.ndarray], Card]:
    """A member's predictions (n, heads) of the test set and of each kind of shift, and its card."""
    predictions, card = read_predictions(shifted, info.kinds, shift_sha256=info.sha256)
    card.check(shifted, **expected)
    on_splits, same = read_predictions(plain, (_TEST,))
    same.check(plain, **{name: getattr(card, name) for name in (*SHARED, *_OWN)})
    _check_rows(plain, on_splits, info.n_test)
    _check_rows(shifted, predictions, info.n_test * info.copies)
    return {NO_SHIFT: on_splits[_TEST], **predictions}, card


def _check_rows(path: PathLike, predictions: Mapping[str, np.ndarray], n: int) -> None:
    for name, values in predictions.items():
        if len(values) != n:
            raise InputError(
                f"{path}: {name} has {len(values)} rows, where {n} are needed; {_MAKE_AGAIN}."
            )


def _check_ensemble(
    path: PathLike,
    info: ShiftInfo,
    mean: Mapping[str, np.ndarray],
    std: Mapping[str, np.ndarray],
    first: Card,
    **expected: object,
) -> None:
    """Refuse a file that is not the mean and std (n, T) of these teachers."""
    predictions, card = read_predictions(path, info.kinds, shift_sha256=info.sha256)
    heads = Heads.student(first.heads.targets, "std")
    card.check(path, role="ensemble", heads=heads, **expected)
    for kind, values in predictions.items():
        for name, wanted in (("mean", mean[kind]), ("std", std[kind])):
            got = _flat(values[..., heads.slice(name)])
            if got.shape != wanted.shape or not np.allclose(got, wanted, rtol=1e-5, atol=1e-6):
                raise InputError(
                    f"{path}: {kind} is not the {name} of this arm's teachers; {_MAKE_AGAIN}."
                )


def _flat(values: np.ndarray) -> np.ndarray:
    """(n, T) float64; positions of profile data are pooled with the sequences."""
    return np.asarray(values, dtype=np.float64).reshape(-1, values.shape[-1])


def distribution_rows(
    values: np.ndarray, targets: Iterable[str], identity: Identity
) -> pd.DataFrame:
    """Mean and quantiles of activities, measured or predicted.

    Args:
        values: (n, T), units of the target.
        targets: names of its columns.
        identity: what they belong to.
    """
    columns = dict(zip(targets, _flat(values).T, strict=True))
    return tidy(
        {**identity, "target": target, "head": "mean", "metric": metric, "value": float(value)}
        for target, column in columns.items()
        for metric, value in zip(
            ("Mean", *QUANTILES),
            (column.mean(), *np.quantile(column, list(QUANTILES.values()))),
            strict=True,
        )
    )


def assay_rows(dataset: PathLike) -> pd.DataFrame:
    """Mean and quantiles of the measured activities of the test set, with the role ``assay``."""
    y = read_split(dataset, _TEST, fields=("y",)).y
    return distribution_rows(y, read_info(dataset).targets, {"role": "assay"})


def _error_rows(
    values: np.ndarray,
    mean: np.ndarray,
    targets: Sequence[str],
    identity: Identity,
    of_size: int | None = None,
) -> pd.DataFrame:
    """How far activities (n, T) are from the ensemble's; with ``of_size`` those of a member."""
    errors = np.mean((values - mean) ** 2, axis=0)
    row = {**identity, "head": "mean", "metric": "MSE_to_ensemble"}
    by_ddof = {None: 1.0} if of_size is None else {0: 1.0, 1: of_size / (of_size - 1)}
    return tidy(
        {**row, "target": target, "ddof": ddof, "value": float(error) * factor}
        for target, error in zip(targets, errors, strict=True)
        for ddof, factor in by_ddof.items()
    )


def _fidelity_rows(
    values: np.ndarray, std: np.ndarray, targets: Sequence[str], identity: Identity
) -> pd.DataFrame:
    """How well stds (n, T) agree with the ensemble's, both with ddof 0."""
    scores = eval_regression(std, values)
    size = identity["size"]
    rows: list[dict[str, Any]] = []
    for column, target in enumerate(targets):
        row = {**identity, "target": target, "head": "std"}
        rows += [
            {**row, "metric": metric, "value": float(scores[metric][column])}
            for metric in ("Pearson", "Spearman")
        ]
        error = float(scores["MSE"][column])
        rows += [
            {**row, "metric": "MSE", "ddof": ddof, "value": error * factor}
            for ddof, factor in ((0, 1.0), (1, size / (size - 1)))
        ]
    return tidy(rows)
