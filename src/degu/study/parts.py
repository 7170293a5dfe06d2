"""Parts of a study that a person may ask for alone, each a target of the workflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from degu.errors import InputError
from degu.io.versions import STAGES
from degu.kinds import Kind
from degu.study import figures, judged
from degu.study.kinds import DYNAMIC_STUDENT, STUDENT, TEACHER
from degu.study.member import Member
from degu.study.study import Study
from degu.sweep import Arm, sweeps

Over = Literal["augmentation", "proportion", "size"]


@dataclass(frozen=True)
class Part:
    """A part of a study.

    Attributes:
        name: of its target, and of its summary.
        needs: what a study without it would have to have, in words.
        arms: of a study, those that it is about.
        kinds: of models in it; None is all of the study.
        files: what belongs to it beside models, ensembles, summary and figures.
    """

    name: str
    needs: str
    arms: Callable[[Study], Sequence[Arm]] = lambda study: ()
    kinds: tuple[Kind, ...] | None = (TEACHER, STUDENT)
    files: Callable[[Study], list[str]] | None = None

    @property
    def rule(self) -> str:
        """The rule that makes its summary."""
        return "summarize" + f"_{self.name}" * (self.name != "all")

    def members(self, study: Study) -> list[Member]:
        """The models in its summary."""
        return study.members(self.arms(study), self.kinds)


def swept(study: Study, over: Over) -> list[Arm]:
    """The arms that differ from others in one thing alone."""
    return [arm for group in sweeps(study.arms, over).values() for arm in group]


def _evoaug_arms(study: Study) -> list[Arm]:
    own = [arm for arm in study.arms if arm.augmentation == "evoaug"]
    return list(dict.fromkeys(own + swept(study, "augmentation")))


def _dynamic_arms(study: Study) -> Sequence[Arm]:
    if DYNAMIC_STUDENT not in study.kinds:
        return ()
    return DYNAMIC_STUDENT.arms(study.config, study.arms)


PARTS = {
    part.name: part
    for part in (
        Part("all", "arms", arms=lambda study: study.arms, kinds=None),
        Part(
            "size_sweep",
            "arms that differ in ensemble size alone; list several ensemble_sizes",
            arms=lambda study: swept(study, "size"),
        ),
        Part(
            "downsampling",
            "arms that differ in proportion alone; list several proportions",
            arms=lambda study: swept(study, "proportion"),
        ),
        Part("evoaug", "arms with evoaug; add it to augmentations", arms=_evoaug_arms),
        Part(
            "dynamic_augmentation",
            "students with dynamic augmentation; list dynamic_augmentation.modes",
            arms=_dynamic_arms,
            kinds=(TEACHER, STUDENT, DYNAMIC_STUDENT),
        ),
        Part(
            "shift",
            "shifted sequences; list shift.kinds",
            files=lambda study: study.of_shift(study.arms),
        ),
        Part("uncertainty", "arms", files=judged.files),
        Part(
            "attribution",
            "a method; list some in attribution.methods",
            files=lambda study: study.of_attribution(study.attribution_arms),
        ),
    )
}
"""By name. Those with arms have a summary of their own."""


def part_files(study: Study, name: str) -> list[str]:
    """All files of a part; what lies behind them is made with them.

    Every file that is kept, and not only what is made last: Snakemake does not miss a lost file, or
    one that a failed job took with it, if all that was made from it is there.

    Raises:
        InputError: if the study has no such part; says what it would need.
    """
    if name == "all":
        parts = [part for part in PARTS.values() if _own_files(study, part)]
        whole = [study.layout.dataset, *(path for p in parts for path in _own_files(study, p))]
        return list(dict.fromkeys(whole))
    made = _own_files(study, PARTS[name])
    if not made:
        raise InputError(f"{name} needs {PARTS[name].needs}.")
    return made


def target(study: Study, name: str) -> Callable[[Any], list[str]]:
    """The files of a part as an input function; a study without it ends with a sentence."""

    def files(wildcards: Any) -> list[str]:
        try:
            return part_files(study, name)
        except InputError as error:
            raise SystemExit(f"error in the config: {error}") from None

    return files


def _own_files(study: Study, part: Part) -> list[str]:
    if part.files is not None:
        own = part.files(study)
        return own + figures.files(study, part.name) if own else []
    arms = part.arms(study)
    if not arms:
        return []
    return [
        *study.layout.files(part.members(study)),
        *study.of_ensembles(arms),
        *_fidelity(study, part),
        study.layout.summary(part.name),
        *figures.files(study, part.name),
    ]


def _fidelity(study: Study, part: Part) -> list[str]:
    """What uncertainties say, if the part has all models of its arms that predict one.

    They share a table, and a part trains no others than its own.
    """
    arms = part.arms(study)
    needed = (member for arm in arms for member in study.uncertain(arm))
    if not set(part.members(study)).issuperset(needed):
        return []
    return [study.layout.fidelity(arm) for arm in arms]


def summarized(study: Study) -> list[Part]:
    """The parts of a study that have a summary of their own."""
    return [part for part in PARTS.values() if part.arms(study)]


def summary_inputs(study: Study, name: str) -> dict[str, list[str]]:
    """Files that the summary of a part is made of, by their names in its rule."""
    part, layout = PARTS[name], study.layout
    arms = part.arms(study)
    shifted = arms if name == "all" and study.config["shift"]["kinds"] else ()
    return {
        "members": [path for m in part.members(study) for path in layout.performances(m)],
        "histories": [layout.history(m, m.phases[-1]) for m in study.trained(part.members(study))],
        "ensembles": [layout.ensemble_performance(arm) for arm in arms],
        "ensemble_std": [layout.ensemble_std(arm, "Test") for arm in arms],
        "fidelity": _fidelity(study, part),
        "shift": [layout.shift_table(arm) for arm in shifted],
    }


def summary_params(study: Study, name: str) -> dict[str, Any]:
    """What the summary of a part goes by, and whom its files (:func:`summary_inputs`) belong to."""
    part = PARTS[name]
    # Rows of the final model have a blank stage.
    return {
        "targets": study.targets,
        "stage": STAGES["summarize"],
        "members": [
            m.identity | ({} if phase == m.phases[-1] else {"stage": phase})
            for m in part.members(study)
            for phase in m.phases
        ],
        "histories": [m.identity for m in study.trained(part.members(study))],
        "ensembles": [arm.label for arm in part.arms(study)],
    }


def jobs_of(study: Study, arm: Arm) -> dict[str, list[str]]:
    """The jobs of an arm by rule, each as the last file that it makes.

    Figures are left out, and predictions of copies, which are gone once they are labels.
    """
    layout = study.layout
    jobs: dict[str, list[str]] = {}

    def add(rule: str, path: str) -> None:
        jobs.setdefault(rule, []).append(path)

    for member in study.members([arm]):
        kind = member.kind
        for phase in member.phases if kind.borrows is None else ():
            add(kind.rule(phase), layout.model(member, phase))
        if arm in study.attribution_arms and kind.maps_folder:
            for method in study.methods:
                add(f"attribute_{kind.name}", layout.maps(member, method))
        if kind.together and member.member != kind.batch(study.config)[-1]:
            continue  # the last one's files stand for the job of all
        add(f"predict_{kind.name}", layout.predictions(member))
        if study.config["shift"]["kinds"]:
            add(f"predict_shift_{kind.name}", layout.shift_predictions(member))
    add("aggregate_ensemble", layout.ensemble_std(arm, "Test"))
    add("distillation_data", layout.distillation(arm))
    if study.copies:
        add("label_copies", layout.copies(arm))
    return jobs


def trained_by(study: Study) -> list[dict[str, Any]]:
    """Of each member its ``identity``, the ``history`` of its last phase, and its first ``model``.

    The path of the first phase's model is what the config's ``reseed`` knows it by.
    """
    layout = study.layout
    return [
        {
            "identity": member.identity,
            "history": layout.history(member, member.phases[-1]),
            "model": layout.model(member, member.phases[0]),
        }
        for member in study.trained()
    ]


def models_of(study: Study) -> dict[str, int]:
    """How many models a job of a rule predicts with, where they are several."""
    several = {kind: len(kind.batch(study.config)) for kind in study.kinds if kind.together}
    return {
        f"{verb}_{kind.name}": n
        for kind, n in several.items()
        for verb in ("predict", "predict_shift")
    }


def status_of(study: Study) -> dict[str, dict[str, list[str]]]:
    """The jobs of every arm (:func:`jobs_of`), by a name for reading."""
    return {
        f"{arm.augmentation}, {arm.wildcards['proportion']} of Train, ensemble of {arm.size}": (
            jobs_of(study, arm)
        )
        for arm in study.arms
    }
