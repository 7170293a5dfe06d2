"""Whose uncertainty is judged, and from which predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from degu.baselines import BASELINES
from degu.io.versions import STAGES
from degu.kinds import Kind
from degu.study.kinds import TEACHER, kind_of
from degu.study.layout import ARMS, Layout, Pattern, Place
from degu.study.member import Member
from degu.study.study import Study, Wildcards
from degu.sweep import Arm, format_proportion


@dataclass(frozen=True)
class Pool:
    """What arms have in common that differ in size."""

    augmentation: str
    proportion: float

    @property
    def wildcards(self) -> Mapping[str, str]:
        """Values of its paths' wildcards."""
        return {
            "augmentation": self.augmentation,
            "proportion": format_proportion(self.proportion),
        }


@dataclass(frozen=True)
class Judged:
    """A model, or an ensemble, whose laws are scored.

    Attributes:
        identity: its columns of the summary.
        form: ``module:function`` from its predictions to laws (:mod:`degu.calibration.forms`).
        members: whose predictions these are.
    """

    identity: Mapping[str, Any]
    form: str
    members: tuple[Member, ...]

    @property
    def params(self) -> dict[str, Any]:
        """What :func:`degu.jobs.uncertainty.score_uncertainty` is told of it."""
        return {"identity": self.identity, "form": self.form, "members": len(self.members)}


ENSEMBLE = "degu.calibration.forms:ensemble"
STUDENT = "degu.calibration.forms:with_std"
"""Forms of the predictions of teachers together, and of a student."""


def of_arm(study: Study, arm: Arm) -> list[Judged]:
    """Those of an arm, its ensemble first."""
    teachers = tuple(study.members([arm], [TEACHER]))
    found = [Judged({"role": "ensemble", **arm.label}, ENSEMBLE, teachers)]
    for member in study.uncertain(arm):
        found.append(Judged(member.identity, STUDENT, (member,)))
    return found + _baselines(study, [arm], pool=False)


def of_pool(study: Study, pool: tuple[str, float]) -> list[Judged]:
    """Those that all arms of a pool (augmentation, proportion) share."""
    return _baselines(study, [arm for arm in study.arms if arm.pool == pool], pool=True)


def _baselines(study: Study, arms: Sequence[Arm], *, pool: bool) -> list[Judged]:
    """Listed baselines of an arm, or those that the arms of a pool share."""
    found = []
    for name in study.config["baselines"]:
        baseline = BASELINES[name]
        kinds = [kind_of(kind) for kind in baseline.of]
        if pool == (baseline.ensemble or not all(kind.of_pool for kind in kinds)):
            continue
        members = study.members(arms, kinds)
        if baseline.ensemble:
            (arm,) = arms
            own = tuple(member for member in members if int(member.member) <= arm.size)
            found.append(Judged({"role": name, **arm.label}, baseline.laws, own))
        else:
            found += [Judged({**m.identity, "role": name}, baseline.laws, (m,)) for m in members]
    return found


def _places(study: Study, place: str, wildcards: Wildcards) -> list[Judged]:
    if place == "arm":
        return of_arm(study, study.arm(wildcards))
    return of_pool(study, (wildcards["augmentation"], float(wildcards["proportion"])))


def inputs(study: Study, place: str) -> Callable[[Wildcards], dict[str, Any]]:
    """What the uncertainty of an ``arm`` or a ``pool`` is scored from, for ``unpack``."""
    layout = study.layout

    def files(wildcards: Wildcards) -> dict[str, Any]:
        members = [m for one in _places(study, place, wildcards) for m in one.members]
        found: dict[str, Any] = {
            "dataset": layout.dataset,
            "predictions": [layout.predictions(member) for member in members],
        }
        if study.config["shift"]["kinds"]:
            found["sequences"] = layout.shift
            found["shifted"] = [layout.shift_predictions(member) for member in members]
        if place == "arm":
            arm = study.arm(wildcards)
            found["mean_train"] = layout.ensemble_mean(arm)
            found["std_train"] = layout.ensemble_std(arm, "Train")
            found["copies"] = layout.copies(arm) if study.copies else []
        return found

    return files


def params(study: Study, place: str) -> dict[str, Any]:
    """Whose files those of :func:`inputs` are, and what scores go by."""
    return {
        "judged": lambda wildcards: [one.params for one in _places(study, place, wildcards)],
        "arm": lambda wildcards: study.arm(wildcards).label if place == "arm" else None,
        "draws": {"draws": study.config["uncertainty"]["draws"]},
        "stage": STAGES["uncertainty"],
    }


def job(place: Pattern) -> str:
    """The name of an arm's, or of a pool's, job in logs."""
    return Layout.arm_job(place) if place is ARMS else Layout.pool_job(place)


def recalibrated_kinds(study: Study) -> list[Kind]:
    """Kinds of models that get a recalibration: those that predict an ensemble's uncertainty."""
    return [
        kind for kind in study.kinds if kind.role == "student" and study.pattern(kind).uncertainty
    ]


def recalibrated(study: Study) -> list[Member]:
    """The members of these kinds."""
    return study.members(kinds=recalibrated_kinds(study))


def places(study: Study) -> list[Place]:
    """Arms and pools that have a table."""
    pools = dict.fromkeys(arm.pool for arm in study.arms)
    return [*study.arms, *(Pool(*pool) for pool in pools if of_pool(study, pool))]


def tables(study: Study) -> dict[str, list[str]]:
    """What the study's tables are gathered from, by their names in the rule."""
    layout, where = study.layout, places(study)
    return {
        "tables": [layout.judged(place, "summary") for place in where],
        "curves": [layout.judged(place, "curves") for place in where],
        "draws": [layout.judged(place, "draws", "npy") for place in where],
    }


def files(study: Study) -> list[str]:
    """All that a study keeps about uncertainties."""
    layout = study.layout
    return [
        *(layout.recalibration(member) for member in recalibrated(study)),
        *(path for paths in tables(study).values() for path in paths),
        *(layout.uncertainty(table) for table in ("summary", "curves", "differences")),
    ]
