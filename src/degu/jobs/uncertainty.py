"""What is said about the uncertainty of a study's models: recalibrations, scores, curves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from degu.calibration import evidence
from degu.calibration.bootstrap import Resamples
from degu.calibration.evidence import Curve, Fitted, Score
from degu.calibration.fidelity import halves
from degu.calibration.forms import Form, Predictions, own_aleatoric, residual_of
from degu.calibration.laws import STD_FLOOR, Law
from degu.calibration.recalibration import Recalibration
from degu.calibration.tables import CURVE_COLUMNS, ROW_COLUMNS
from degu.dataset import read_info, read_split
from degu.heads import Heads
from degu.io.predictions import read_predictions
from degu.io.summary import Identity, tidy
from degu.jobs.ensemble import guessed_std
from degu.jobs.lessons import Files
from degu.metrics import in_std_units
from degu.shift.sequences import read_shift_info
from degu.study.member import Member
from degu.uncertainty import ensemble_mean, uncertainty_std

JUDGED_BY = ("Val", "Test")


@dataclass(frozen=True)
class Judged:
    """A model, or an ensemble, with what it predicts.

    Attributes:
        identity: its columns of the table.
        form: what laws its predictions stand for.
        heads: names of the columns of its predictions.
        predictions: of each member, by split and by kind of shift.
    """

    identity: Identity
    form: Form
    heads: Heads
    predictions: Predictions

    def residual(self, target: str, y: np.ndarray) -> float:
        """What neither mean nor epistemic std account for; ``y`` is measured of Val."""
        return residual_of(self.form, self.predictions, self.heads, target, y)

    def laws(self, target: str, y: np.ndarray, splits: Sequence[str]) -> dict[str, dict[str, Law]]:
        """Laws of a target, by variance and by split; ``y`` is measured of Val."""
        residual = self.residual(target, y)
        by_split = {
            split: self.form(self.predictions, self.heads, target, split, residual)
            for split in splits
        }
        return {
            variance: {split: laws[variance] for split, laws in by_split.items()}
            for variance in by_split[splits[0]]
        }


def score_uncertainty(
    files: Files, judged: Sequence[Mapping[str, Any]], *, draws: int, arm: Identity | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Score the uncertainty of the models of an arm, or of what all arms of a pool share.

    Args:
        files: ``dataset``; ``predictions`` and, of a study with shifted sequences, ``sequences``
            and ``shifted`` predictions, a file for each member of each that is judged; of an arm,
            what :func:`degu.jobs.ensemble.guessed_std` needs.
        judged: ``identity``, ``form`` (``module:function``, see :mod:`degu.calibration.forms`) and
            number of ``members`` of each. In an arm, the first is its ensemble.
        draws: of the bootstrap; 0 gives no bounds.
        arm: of which fidelity is scored.

    Returns:
        Rows of ``uncertainty_summary.csv``; points of its curves; values of the rows on resampled
        sequences (rows, draws), NaN for rows without bounds.

    Raises:
        InputError: if a file is not of this data set and model.
    """
    info = read_info(files["dataset"])
    y = {split: read_split(files["dataset"], split, fields=("y",)).y for split in JUDGED_BY}
    resamples = Resamples(len(y["Test"]), draws=draws)
    models = list(_read(files, judged, info.sha256))
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    drawn: list[np.ndarray] = []

    def add(found: Iterator[Score | Curve], identity: Identity, target: str) -> None:
        for item in found:
            own = {**identity, "target": target}
            if isinstance(item, Score):
                rows.append(own | item.row)
                values = np.full(draws, np.nan) if item.draws is None else item.draws
                drawn.append(values.astype(np.float32))
                continue
            label = {k: getattr(item, k) for k in ("curve", "variance", "recalibration")}
            curves.extend(
                own | label | {"x": a, "y": b} for a, b in zip(item.x, item.y, strict=True)
            )

    for column, target in enumerate(info.targets):
        measured = {split: values[:, column] for split, values in y.items()}
        for model in models:
            add(_of_model(model, target, measured, resamples), model.identity, target)
        if arm is not None:
            members = [p["Test"][:, models[0].heads.column(target)] for p in models[0].predictions]
            drawn_from = evidence.of_members(np.stack(members), measured["Test"], resamples)
            add(iter([drawn_from]), models[0].identity, target)
            for identity, found in _fidelity(models, files, arm, target, resamples):
                add(found, identity, target)
    return (
        tidy(rows, ROW_COLUMNS),
        pd.DataFrame(curves, columns=list(CURVE_COLUMNS)),
        np.stack(drawn),
    )


def _of_model(
    model: Judged, target: str, y: Mapping[str, np.ndarray], resamples: Resamples
) -> Iterator[Score | Curve]:
    laws = model.laws(target, y["Val"], (*JUDGED_BY, *_shifts(model)))
    for variance, own in laws.items():
        yield from evidence.calibration(variance, own, y, resamples)
        std = {split: evidence.spread(law) for split, law in own.items()}
        # What is the same for all sequences tells shifted ones apart no more than others.
        shifts = _shifts(model) if np.ptp(std["Test"]) else []
        shifted = {kind: std[kind].reshape(-1, len(y["Test"])) for kind in shifts}
        error = y["Test"] - own["Test"].location
        yield from evidence.usefulness(variance, std["Test"], error, resamples, shifted)
    if model.heads.epistemic and "epistemic" in laws:
        heads, values = in_std_units(model.heads, model.predictions[0]["Test"])
        low = values[:, heads.column(target, "std")] <= STD_FLOOR
        yield Score("Floored", int(low.sum()), variance="epistemic", head="std")


def _shifts(model: Judged) -> list[str]:
    return [name for name in model.predictions[0] if name not in JUDGED_BY]


def _fidelity(
    models: Sequence[Judged], files: Files, arm: Identity, target: str, resamples: Resamples
) -> Iterator[tuple[Identity, Iterator[Score | Curve]]]:
    """Scores of what is predicted of an ensemble's std, and of the guess from its mean alone."""
    ensemble, *others = models
    column = ensemble.heads.column(target)
    members = np.stack([p["Test"][:, ensemble.heads.slice("mean")] for p in ensemble.predictions])
    means, std = ensemble_mean(members), uncertainty_std(members)[:, column]
    mean = means[:, column]
    quarter = evidence.quarters(mean, mean)
    if len(members) > 3:
        agreed = halves(members[..., column])
        found = Score("Fidelity_halves", agreed, variance="epistemic", head="std")
        yield ensemble.identity, iter([found])
    guessed: Identity = {**arm, "role": "std_of_mean"}
    guesses = [(guessed, guessed_std(arm, files, means)[:, column])]
    for model in others:
        laws = model.form(model.predictions, model.heads, target, "Test", 0.0)
        if model.heads.epistemic and "epistemic" in laws:
            guesses.append((model.identity, np.asarray(laws["epistemic"].std)))
    for identity, guess in guesses:
        yield identity, evidence.fidelity(std, guess, mean, resamples, quarter)


def _read(
    files: Files, judged: Sequence[Mapping[str, Any]], dataset_sha256: str
) -> Iterator[Judged]:
    """Those that are judged, with the predictions of their members."""
    predicted = iter(files["predictions"])
    shifted = iter(files.get("shifted") or [])
    shift = read_shift_info(files["sequences"]) if files.get("shifted") else None
    for one in judged:
        members, heads = [], None
        for _ in range(one["members"]):
            path = next(predicted)
            values, card = read_predictions(path, JUDGED_BY)
            card.check(path, dataset_sha256=dataset_sha256, **({"heads": heads} if heads else {}))
            heads = card.heads
            if shift is not None:
                path = next(shifted)
                strange, own = read_predictions(path, shift.kinds, shift_sha256=shift.sha256)
                own.check(path, heads=heads, member=card.member, role=card.role)
                values |= strange
            members.append(values)
        assert heads is not None
        yield Judged(one["identity"], _form(one["form"]), heads, members)


def _form(name: str) -> Form:
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


def recalibrate(members: Sequence[Member], files: Files, outputs: Sequence[str], form: str) -> None:
    """Write the recalibration of some students: fitted on validation sequences, beside each.

    Its ``aleatoric`` is None where that variance is the student's own.

    Args:
        members: who they are.
        files: ``dataset``, and of each ``predictions`` and ``models``.
        outputs: the files to write.
        form: what laws they stand for.

    Raises:
        InputError: if predictions are not of their model and this data set.
    """
    info = read_info(files["dataset"])
    y = read_split(files["dataset"], "Val", fields=("y",)).y
    for member, path, model, output in zip(
        members, files["predictions"], files["models"], outputs, strict=True
    ):
        values, card = read_predictions(path, ("Val",))
        card.check(path, **member.card_fields, dataset_sha256=info.sha256)
        own = Judged({}, _form(form), card.heads, [values])
        laws = [own.laws(t, y[:, i], ("Val",))["total"]["Val"] for i, t in enumerate(info.targets)]
        fitted = [Fitted.of(law, y[:, i]) for i, law in enumerate(laws)]
        Recalibration(
            targets=tuple(info.targets),
            variance="total",
            n_validation=len(y),
            aleatoric=tuple(
                None if own_aleatoric(card.heads) else own.residual(t, y[:, i])
                for i, t in enumerate(info.targets)
            ),
            std_floor=STD_FLOOR,
            **{
                name: tuple(getattr(one, name) for one in fitted)
                for name in ("scaling", "isotonic", "conformal", "mondrian")
            },
            model_sha256=hashlib.sha256(Path(model).read_bytes()).hexdigest(),
            dataset_sha256=info.sha256,
        ).write(output)
