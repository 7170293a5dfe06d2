"""The kinds of model of a study: teachers, students, and those of the baselines that it lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from degu.baselines import BASELINES
from degu.errors import InputError
from degu.kinds import Choices, Config, Kind, aleatoric, replicates
from degu.sweep import Arm, Variant, choose_arms


def _uncertainty_weight(config: Config, wildcards: Mapping[str, str]) -> Mapping[str, Any]:
    uncertainty = wildcards.get("uncertainty") or config["dynamic_augmentation"]["uncertainty"]
    return {"uncertainty_weight": config["students"]["uncertainty_weight"][uncertainty]}


def _dynamic_variants(config: Config) -> Choices:
    settings = config["dynamic_augmentation"]
    pairs = product(settings["modes"], settings["batches"])
    return [{"variant": str(Variant(mode, append=b == "append"))} for mode, b in pairs]


def _dynamic_arms(config: Config, arms: Sequence[Arm]) -> Sequence[Arm]:
    chosen = config["dynamic_augmentation"]["arms"]
    return choose_arms(arms, chosen) if chosen else arms


def _dynamic_settings(config: Config, wildcards: Mapping[str, str]) -> Mapping[str, Any]:
    from degu.augment import used_settings

    settings = config["dynamic_augmentation"]
    drawn = used_settings(config["evoaug"])
    return {
        "random": {},
        "mutagenesis": {"mutagenesis": settings["mutagenesis"]},
        "evoaug": {
            "evoaug": {key: drawn[key] for key in ("augmentations", "parameters")},
            "per_batch": settings["per_batch"],
        },
    }[Variant.parse(wildcards["variant"]).mode]


TEACHER = Kind(
    "teacher",
    role="teacher",
    folder="teachers",
    shift_folder="teachers",
    maps_folder="teachers",
    number=lambda config, size: size,
    fixed=aleatoric,
    losses="degu.training.aleatoric:losses",
    loss_settings=lambda config, wildcards: aleatoric(config) or None,
)
STUDENT = Kind(
    "student",
    role="student",
    folder="students/n{size}/{uncertainty}",
    shift_folder="n{size}-{uncertainty}",
    maps_folder="n{size}-{uncertainty}",
    number=replicates,
    learns="ensemble",
    copies=True,
    together=True,
    loss_settings=_uncertainty_weight,
    fields=("size", "uncertainty"),
    choices=lambda config: [{"uncertainty": u} for u in config["students"]["uncertainty"]],
    fixed=aleatoric,
    training="student_training",
    finetuning="student_finetuning",
)
DYNAMIC_STUDENT = Kind(
    "dynamic_student",
    role="student",
    folder="students/n{size}/dynamic",
    shift_folder="n{size}-dynamic",
    number=replicates,
    learns="ensemble",
    together=True,
    evoaug=False,
    seed_role="dynamic student",
    loss_settings=_uncertainty_weight,
    fields=("size", "variant"),
    choices=_dynamic_variants,
    fixed=lambda config: {
        "uncertainty": config["dynamic_augmentation"]["uncertainty"],
        **aleatoric(config),
    },
    arms=_dynamic_arms,
    training="student_training",
    finetuning="dynamic_finetuning",
    phases={"standard": ("aug", "finetune"), "evoaug": ("aug", "finetune")},
    trainer="degu.jobs.train:train_dynamic",
    needs_teachers=True,
    settings=_dynamic_settings,
)


def active_kinds(config: Config) -> tuple[Kind, ...]:
    """The kinds that a study has: teachers, students, and those that its baselines need."""
    dynamic = (DYNAMIC_STUDENT,) if config["dynamic_augmentation"]["modes"] else ()
    listed = [BASELINES[name].kind for name in config["baselines"]]
    return (TEACHER, STUDENT, *dynamic, *dict.fromkeys(filter(None, listed)))


def kind_of(name: str) -> Kind:
    """A kind by its name; InputError names the known ones."""
    kinds = [TEACHER, STUDENT, DYNAMIC_STUDENT]
    kinds += [baseline.kind for baseline in BASELINES.values() if baseline.kind]
    known = {kind.name: kind for kind in kinds}
    if name not in known:
        raise InputError(f"There is no kind of model {name}; use one of {', '.join(known)}.")
    return known[name]
