"""Kinds of model that a study trains, each in a line of a registry.

A kind says what its models learn, what tells them apart, where their files lie and what scores
them. Rules, scripts, seeds, cards, tables and figures ask it, and none of them names a kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

from degu.errors import InputError
from degu.sweep import Arm, Variant, choose_arms

Config = Mapping[str, Any]
Choices = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes:
        name: of its rules (``train_{name}``), and in ``baselines`` of the config.
        role: in cards and in ``summary.csv``.
        folder, shift_folder: below the pool; patterns of the wildcards in ``fields``.
        number: how many models there are of a choice, from the config and the ensemble's size.
        label: its name in figures; None is ``role``.
        learns: ``assay``, the measurements, or ``ensemble``, the mean and uncertainty of an arm's
            teachers.
        seed_role: what seeds derive from; another one draws all models anew. None is ``role``.
        fields: what stands in its paths besides the pool and the number: ``size``,
            ``uncertainty``, ``variant``.
        choices: values of the last two; a model for each.
        fixed: likewise, of what stands in no path.
        arms: which of a study's arms have it; those of all pools by default.
        heads: kinds of its output columns without the epistemic one (:class:`degu.heads.Heads`).
        maps_folder: where its attribution maps lie; None if it has none.
        training, finetuning: sections of the config.
        phases: by augmentation of the arm, how its training goes; arms with another one have none.
        copies: whether its last phase learns from augmented copies as well, labelled by the
            ensemble (:mod:`degu.dataset.copies`).
        evoaug: whether the first of two phases is trained on EvoAug's sequences, as teachers are;
            otherwise its ``trainer`` makes them.
        together: whether the models of an arm are predicted with and scored by one job: nothing is
            trained on what they predict, and there are equally many in every arm, so TensorFlow is
            imported once for all of them.
        trainer: ``module:function`` that trains a model; see :mod:`degu.jobs.train`.
        needs_teachers: whether the training asks the teachers themselves.
        settings: what else the training goes by, from the config and the member's wildcards, so
            that other settings make nothing again.
    """

    name: str
    role: str
    folder: str
    shift_folder: str
    number: Callable[[Config, int], int]
    label: str | None = None
    learns: Literal["assay", "ensemble"] = "assay"
    seed_role: str | None = None
    fields: tuple[str, ...] = ()
    choices: Callable[[Config], Choices] = lambda config: ({},)
    fixed: Callable[[Config], Mapping[str, str]] = lambda config: {}
    arms: Callable[[Config, Sequence[Arm]], Sequence[Arm]] = lambda config, arms: arms
    heads: tuple[str, ...] = ("mean",)
    maps_folder: str | None = None
    training: str = "training"
    finetuning: str = "finetuning"
    phases: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"standard": ("",), "evoaug": ("aug", "finetune")}, hash=False
    )
    copies: bool = False
    evoaug: bool = True
    together: bool = False
    trainer: str = "degu.jobs.train:train_plain"
    needs_teachers: bool = False
    settings: Callable[[Config, Mapping[str, str]], Mapping[str, Any]] = lambda config, w: {}

    @property
    def of_pool(self) -> bool:
        """Whether the ensembles of a pool share its models, whatever their size."""
        return "size" not in self.fields

    def batch(self, config: Config) -> tuple[int | str, ...]:
        """Numbers of the models that one job predicts with and scores; ``{ix}`` for one of many.

        Those of a pool have each a job of its own, so that a larger ensemble leaves the predictions
        as they are that smaller ones learn from.
        """
        return tuple(range(1, self.number(config, 0) + 1)) if self.together else ("{ix}",)

    def rule(self, phase: str) -> str:
        """The rule that trains a phase."""
        if phase == "finetune":
            return f"finetune_{self.name}"
        return f"train_{self.name}" + "_evoaug" * (phase == "aug" and "" in self.trainings)

    def learns_copies(self, phase: str) -> bool:
        """Whether a phase learns from augmented copies."""
        return self.copies and any(phase == phases[-1] for phases in self.phases.values())

    @property
    def trainings(self) -> dict[str, tuple[str, ...]]:
        """The first phases, and the augmentations whose arms begin with each."""
        first: dict[str, tuple[str, ...]] = {}
        for augmentation, phases in self.phases.items():
            first[phases[0]] = (*first.get(phases[0], ()), augmentation)
        return first

    @property
    def scorings(self) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """The rules that score it: name, augmentations of the arms, phases that have a table."""
        by_phases: dict[tuple[str, ...], tuple[str, ...]] = {}
        for augmentation, phases in self.phases.items():
            by_phases[phases] = (*by_phases.get(phases, ()), augmentation)
        return [
            (f"score_{self.name}" + "_evoaug" * (len(phases) > 1 and len(by_phases) > 1), a, phases)
            for phases, a in by_phases.items()
        ]

    @property
    def tuned(self) -> tuple[str, ...]:
        """The augmentations in whose arms its models are fine-tuned."""
        return tuple(a for a, phases in self.phases.items() if len(phases) > 1)


def _replicates(config: Config, size: int) -> int:
    return config["students"]["replicates"]


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
)
STUDENT = Kind(
    "student",
    role="student",
    folder="students/n{size}/{uncertainty}",
    shift_folder="n{size}-{uncertainty}",
    maps_folder="n{size}-{uncertainty}",
    number=_replicates,
    learns="ensemble",
    copies=True,
    together=True,
    fields=("size", "uncertainty"),
    choices=lambda config: [{"uncertainty": u} for u in config["students"]["uncertainty"]],
    training="student_training",
    finetuning="student_finetuning",
)
DYNAMIC_STUDENT = Kind(
    "dynamic_student",
    role="student",
    folder="students/n{size}/dynamic",
    shift_folder="n{size}-dynamic",
    number=_replicates,
    learns="ensemble",
    together=True,
    evoaug=False,
    seed_role="dynamic student",
    fields=("size", "variant"),
    choices=_dynamic_variants,
    fixed=lambda config: {"uncertainty": config["dynamic_augmentation"]["uncertainty"]},
    arms=_dynamic_arms,
    training="student_training",
    finetuning="dynamic_finetuning",
    phases={"standard": ("aug", "finetune"), "evoaug": ("aug", "finetune")},
    trainer="degu.jobs.train:train_dynamic",
    needs_teachers=True,
    settings=_dynamic_settings,
)

BASELINES: dict[str, Kind] = {}
"""Kinds that a config may list under ``baselines``, by name."""


def active_kinds(config: Config) -> tuple[Kind, ...]:
    """The kinds that a study has: teachers, students, and the baselines that it lists."""
    dynamic = (DYNAMIC_STUDENT,) if config["dynamic_augmentation"]["modes"] else ()
    return (
        TEACHER,
        STUDENT,
        *dynamic,
        *(BASELINES[name] for name in config["baselines"]),
    )


def kind_of(name: str) -> Kind:
    """A kind by its name; InputError names the known ones."""
    known = {kind.name: kind for kind in (TEACHER, STUDENT, DYNAMIC_STUDENT)} | BASELINES
    if name not in known:
        raise InputError(f"There is no kind of model {name}; use one of {', '.join(known)}.")
    return known[name]


def register(kind: Kind) -> None:
    """Enter a baseline in the registry.

    Raises:
        ValueError: if its name is taken, or it is of a pool and has attribution maps, which are
            compared within an arm.
    """
    if kind.name in {"teacher", "student", "dynamic_student", *BASELINES}:
        raise ValueError(f"There is a kind of model {kind.name} already.")
    if kind.of_pool and (kind.maps_folder or kind.together):
        raise ValueError(
            f"{kind.name}: of the kinds without `size` among their fields teachers alone have "
            "maps, and each model has a job of its own."
        )
    BASELINES[kind.name] = kind


@contextmanager
def registered(kind: Kind) -> Iterator[Kind]:
    """Have a baseline in the registry for a while."""
    register(kind)
    try:
        yield kind
    finally:
        del BASELINES[kind.name]
