"""What rules of models read and go by: files and parameters, as patterns or by wildcards.

Snakemake calls a function among them with the wildcards of a job. What a rule's parameters hold
decides what a change makes again, so each job is given what it goes by, and nothing else. Snakemake
compares the set of their values, whatever their names: numbers that may be equal go by their names
in a mapping, or a change of one of them could pass for another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from degu.attribution.methods import METHODS
from degu.io.versions import STAGES
from degu.kinds import Kind
from degu.metrics import METRICS
from degu.models.registry import source_identity
from degu.study.kinds import TEACHER
from degu.study.layout import ARMS
from degu.study.member import Member
from degu.study.study import Study, Wildcards
from degu.sweep import SPLITS

Inputs = dict[str, Any]


def subset_sequences(study: Study) -> Callable[[Wildcards], str | list[str]]:
    """The copied sequences of a subset; the whole training set needs none."""

    def files(wildcards: Wildcards) -> str | list[str]:
        proportion = wildcards["proportion"]
        return [] if float(proportion) == 1 else study.layout.subset_sequences(proportion)

    return files


def teacher_files(study: Study, path: Callable[[Member], str]) -> Callable[[Wildcards], list[str]]:
    """A file of each teacher of an ensemble, members 1 to n."""
    return lambda wildcards: [path(member) for member in study.teachers(wildcards)]


def training_inputs(study: Study, kind: Kind, phase: str) -> Inputs:
    """Files that a phase of a kind reads, without the model that fine-tuning begins with."""
    layout, pattern = study.layout, study.pattern(kind)
    files: Inputs = {"dataset": layout.dataset}
    if kind.learns == "assay":
        return files | {"subset": layout.subset(pattern)}
    files |= {
        "subset_sequences": subset_sequences(study),
        "distillation": layout.distillation(pattern),
    }
    if study.copies and kind.learns_copies(phase):
        files["copies"] = layout.copies(pattern)
    return files


def first_training_inputs(study: Study, kind: Kind, phase: str) -> Inputs:
    """Files that a first phase of a kind's training reads."""
    files = training_inputs(study, kind, phase)
    if kind.needs_teachers:
        files["teachers"] = teacher_files(study, study.layout.model)
    return files


def training_params(study: Study, kind: Kind, phase: str) -> Inputs:
    """What a phase of a kind's training goes by."""
    config = study.config

    def member(wildcards: Wildcards) -> Member:
        return study.member(kind, wildcards)

    params = {
        "kind": kind.name,
        "architecture": _architecture(study, kind),
        "seed": lambda wildcards: study.seed(member(wildcards), phase),
        "compute_threads": config["compute_threads"],
        "copies": study.copies if kind.learns_copies(phase) else None,
        "loss": lambda wildcards: kind.loss_settings(config, wildcards),
        "stage": STAGES["train"],
    }
    if phase == "finetune":
        return params | {"training": config[kind.finetuning]}
    return params | {
        "architecture_source": _architecture_source(study, kind),
        "training": config[kind.training],
        "evoaug": study.evoaug if phase == "aug" and kind.evoaug else None,
        "settings": lambda wildcards: dict(kind.settings(config, wildcards)),
        **kind.fixed(config),
    }


def _architecture(study: Study, kind: Kind) -> str | Callable[[Wildcards], str]:
    """The architecture of a kind's models, or what gives it by wildcards."""
    if kind.architecture is None:
        return study.config["model"]
    return lambda wildcards: study.member(kind, wildcards).architecture(study.config)


def _architecture_source(study: Study, kind: Kind) -> Any:
    """Hash of the code of an architecture of one's own, likewise."""
    name = _architecture(study, kind)
    if not callable(name):
        return study.architecture_source
    return lambda wildcards: source_identity(name(wildcards))


def batch(study: Study, kind: Kind) -> list[Member]:
    """Patterns of the models that one job predicts with and scores (:meth:`.Kind.batch`)."""
    return [replace(study.pattern(kind), member=ix) for ix in kind.batch(study.config)]


def batch_job(study: Study, kind: Kind) -> str:
    """The name of such a job in logs: of several models, with how many they are."""
    several = kind.batch(study.config)
    return replace(study.pattern(kind), member=f"1-{several[-1]}" if kind.together else "{ix}").job


def prediction_params(study: Study, kind: Kind) -> Inputs:
    """What a kind's predictions go by."""
    config = study.config
    return {
        "kind": kind.name,
        "architecture": _architecture(study, kind),
        "compute_threads": config["compute_threads"],
        "stage": STAGES["predict"],
        **kind.fixed(config),
        **(_predictor_params(study, kind) if kind.predictor else {}),
    }


def _predictor_params(study: Study, kind: Kind) -> Inputs:
    """What predictions go by that are not the model's alone; each job is of one member."""

    def seed(wildcards: Wildcards) -> int:
        return study.member(kind, wildcards).seed(study.config["seed"])

    return {
        "seed": seed,
        "settings": lambda wildcards: dict(kind.settings(study.config, wildcards)),
    }


def prediction_inputs(study: Study, kind: Kind) -> Inputs:
    """Files that a kind's predictions of the data set read: of each model, all phases."""
    layout = study.layout

    def models(wildcards: Wildcards) -> list[str]:
        members = study.batch(kind, wildcards)
        return [layout.model(member, phase) for member in members for phase in member.phases]

    pattern = study.pattern(kind)
    return {"dataset": layout.dataset, "subset": layout.subset(pattern), "models": models}


def score_inputs(study: Study, kind: Kind) -> Inputs:
    """Files that a kind's performance tables are made of."""
    layout, pattern = study.layout, study.pattern(kind)
    files: Inputs = {
        "dataset": layout.dataset,
        "predictions": [layout.predictions(member) for member in batch(study, kind)],
    }
    if kind.learns == "ensemble":
        files["std_test"] = layout.ensemble_std(pattern, "Test")
    return files


def final_models(study: Study, kind: Kind) -> Callable[[Wildcards], list[str]]:
    """The models that are the members of a job."""
    return lambda wildcards: [study.layout.model(m) for m in study.batch(kind, wildcards)]


def final_model(study: Study, kind: Kind) -> Callable[[Wildcards], str]:
    """The model that is a member."""
    return lambda wildcards: study.layout.model(study.member(kind, wildcards))


def shift_prediction_inputs(study: Study, kind: Kind) -> Inputs:
    """Files that a kind's predictions of shifted sequences read."""
    layout = study.layout
    files: Inputs = {"dataset": layout.dataset, "sequences": layout.shift}
    if kind.predictor:
        files["subset"] = layout.subset(study.pattern(kind))
    return files | {"models": final_models(study, kind)}


def batch_request(request: Mapping[str, Any], study: Study, kind: Kind) -> Inputs:
    """What a job asks for that predicts with several models: as much time for each."""
    several, runtime = len(kind.batch(study.config)), request["runtime"]
    return {**request, "runtime": lambda wildcards, attempt: several * runtime(wildcards, attempt)}


def score_params(kind: Kind | None = None) -> Inputs:
    """What performance tables go by, of a kind of model or of ensembles."""
    own = {} if kind is None else {"kind": kind.name}
    return {**own, "metrics": list(METRICS), "stage": STAGES["score"]}


# Ensembles


def ensemble_aleatoric(study: Study) -> Inputs:
    """The ensemble's aleatoric variance on each split; nothing where teachers predict none."""
    splits = SPLITS if study.aleatoric else ()
    path = study.layout.ensemble_aleatoric
    return {f"aleatoric_{split.lower()}": path(ARMS, split) for split in splits}


# Augmented copies, and what predicted uncertainties say


def copies_files(study: Study) -> Callable[[Wildcards], list[str]]:
    """What each teacher of an arm predicts of the copies, members 1 to n."""

    def files(wildcards: Wildcards) -> list[str]:
        arm, path = study.arm(wildcards), study.layout.copies_predictions
        return [path(arm, teacher) for teacher in study.teachers(wildcards)]

    return files


def copies_request(request: Mapping[str, Any], study: Study) -> Inputs:
    """What a job asks for that predicts all copies: as much time for each as for a model's own."""
    copies, runtime = (study.copies or {"copies": 1})["copies"], request["runtime"]
    return {**request, "runtime": lambda wildcards, attempt: copies * runtime(wildcards, attempt)}


def copies_params(study: Study) -> Inputs:
    """What the predictions of copies go by."""
    return prediction_params(study, TEACHER) | {"copies": study.copies}


def label_params(study: Study) -> Inputs:
    """What labels of copies go by, and the predictions too, which are gone by then."""
    return {
        "copies": study.copies,
        "stage": {name: STAGES[name] for name in ("predict", "aggregate")},
    }


def fidelity_inputs(study: Study) -> Callable[[Wildcards], Inputs]:
    """What an arm's fidelity is scored from, for ``unpack``."""
    layout = study.layout

    def files(wildcards: Wildcards) -> Inputs:
        arm = study.arm(wildcards)
        return {
            "dataset": layout.dataset,
            "teachers": [layout.predictions(member) for member in study.teachers(wildcards)],
            "mean_train": layout.ensemble_mean(arm),
            "std_train": layout.ensemble_std(arm, "Train"),
            "std_test": layout.ensemble_std(arm, "Test"),
            "copies": layout.copies(arm) if study.copies else [],
            "students": [layout.predictions(member) for member in study.uncertain(arm)],
        }

    return files


def fidelity_params(study: Study) -> Inputs:
    """Who the students of :func:`fidelity_inputs` are, and by what the guess is scored."""
    return {
        "metrics": list(METRICS),
        "students": lambda wildcards: [
            member.identity for member in study.uncertain(study.arm(wildcards))
        ],
        "stage": {name: STAGES[name] for name in ("score", "fidelity")},
    }


# Shifted sequences


def arm_members(study: Study, wildcards: Wildcards) -> tuple[list[Member], list[Member]]:
    """The teachers of an arm, and its other models."""
    arm = study.arm(wildcards)
    others = [kind for kind in study.kinds if kind is not TEACHER]
    return study.members([arm], [TEACHER]), study.members([arm], others)


def shift_inputs(study: Study) -> Callable[[Wildcards], Inputs]:
    """What an arm's models say of shifted sequences and of the test set, for ``unpack``."""
    layout = study.layout

    def files(wildcards: Wildcards) -> Inputs:
        teachers, others = arm_members(study, wildcards)
        return {
            "sequences": layout.shift,
            "ensemble": layout.shift_ensemble(study.arm(wildcards)),
            "teachers_test": [layout.predictions(member) for member in teachers],
            "teachers": [layout.shift_predictions(member) for member in teachers],
            "students_test": [layout.predictions(member) for member in others],
            "students": [layout.shift_predictions(member) for member in others],
        }

    return files


def shift_params(study: Study) -> Inputs:
    """Who the files of :func:`shift_inputs` belong to."""
    return {
        "arm": lambda wildcards: study.arm(wildcards).label,
        "teachers": lambda wildcards: [m.identity for m in arm_members(study, wildcards)[0]],
        "students": lambda wildcards: [m.identity for m in arm_members(study, wildcards)[1]],
    }


# Attribution


def attribution_params(study: Study, kind: Kind) -> Inputs:
    """What a kind's attribution maps go by, and no more than their method needs."""
    section = study.config["attribution"]
    return {
        "kind": kind.name,
        "architecture": study.config["model"],
        "settings": lambda wildcards: METHODS[wildcards["method"]].settings_of(section),
        "compute_threads": study.config["compute_threads"],
        "stage": STAGES["attribute"],
    }


def _maps(study: Study, members: list[Member]) -> list[str]:
    return [study.layout.maps(m, method) for m in members for method in study.methods]


def _identities(study: Study, members: list[Member]) -> list[dict[str, Any]]:
    return [{**m.identity, "method": method} for m in members for method in study.methods]


def _pool(study: Study, wildcards: Wildcards) -> list[Member]:
    """Explained teachers of a pool, or of these the one that is named."""
    teachers = study.pool_explained(wildcards)
    named = dict(wildcards.items()).get("ix")
    return [teacher for teacher in teachers if named in (None, str(teacher.member))]


def pool_maps(study: Study) -> Callable[[Wildcards], list[str]]:
    """Maps of the teachers of a pool, or of the one that is named, by every method."""
    return lambda wildcards: _maps(study, _pool(study, wildcards))


def pool_map_identities(study: Study) -> Callable[[Wildcards], list[dict[str, Any]]]:
    """Who the files of :func:`pool_maps` belong to."""
    return lambda wildcards: _identities(study, _pool(study, wildcards))


def explained(study: Study, wildcards: Wildcards) -> tuple[list[Member], list[Member]]:
    """The teachers of an arm, and its other models that have maps."""
    teachers, others = arm_members(study, wildcards)
    return teachers, [member for member in others if member.kind.maps_folder]


def comparison_inputs(study: Study) -> Callable[[Wildcards], Inputs]:
    """Maps of an arm's models, for ``unpack``."""

    def files(wildcards: Wildcards) -> Inputs:
        teachers, students = explained(study, wildcards)
        return {
            "sequences": study.layout.attribution_sequences,
            "teachers": _maps(study, teachers),
            "students": _maps(study, students),
        }

    return files


def comparison_params(study: Study) -> Inputs:
    """Who the files of :func:`comparison_inputs` belong to."""
    return {
        "arm": lambda wildcards: study.arm(wildcards).label,
        "teachers": lambda wildcards: _identities(study, explained(study, wildcards)[0]),
        "students": lambda wildcards: _identities(study, explained(study, wildcards)[1]),
        "stage": STAGES["attribution analysis"],
    }


def comparison_outputs(study: Study) -> list[str]:
    """Files of an arm's students that need the maps of all of them, or of the teachers."""
    # The same for every arm that has them, but for its wildcards.
    wildcards: dict[str, Any] = dict(ARMS.wildcards)
    explained = [m for m in study.explained() if not m.kind.of_pool]
    anywhere = dict.fromkeys(replace(m, **wildcards) for m in explained)
    files = [path for member in anywhere for path in study.sibling_maps(member)]
    for member in anywhere:
        for method in study.methods:
            files += study.layout.map_distances(member, method)
    return list(dict.fromkeys(files))
