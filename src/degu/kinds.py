"""A kind of model: what its models learn, what tells them apart, where their files lie.

Rules, scripts, seeds, cards, tables and figures ask it, and none of them names a kind. Those of
every study are in :mod:`degu.study.kinds`, others in :mod:`degu.baselines`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from degu.sweep import Arm

Config = Mapping[str, Any]
Choices = Sequence[Mapping[str, str]]

BUILT_IN = ("teacher", "student", "dynamic_student")
"""Names of the kinds that every study knows."""


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes:
        name: of its rules (``train_{name}``).
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
        heads: kinds of its output columns (:class:`degu.heads.Heads`) without the epistemic one,
            and without the aleatoric one that the config asks for.
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
        losses: ``module:function`` from heads and :attr:`loss_settings` to the loss of training and
            the one of validation, which early stopping goes by: a negative log likelihood, named
            ``nll``. Or to None: squared errors, as None in its place always gives.
        loss_settings: what the loss goes by, likewise; of those with several values, each model is
            trained with every one, and the one of least validation NLL is kept.
        borrows: name of another kind whose models it predicts with, those of the same number; it
            trains none.
        predictor: ``module:function`` that makes what predicts with a model, where that is not the
            model alone; see :class:`degu.jobs.predict.Prediction`. ``settings`` are its own then.
        architecture: of a member, by its number, where it is not the config's ``model``.
        model_name: in file names, where ``architecture`` differs from member to member.
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
    losses: str | None = None
    loss_settings: Callable[[Config, Mapping[str, str]], Mapping[str, Any] | None] = (
        lambda config, wildcards: None
    )
    borrows: str | None = None
    predictor: str | None = None
    architecture: Callable[[Config, int], str] | None = None
    model_name: str | None = None

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
        """The first phases, and the augmentations whose arms begin with each; none if borrowed."""
        first: dict[str, tuple[str, ...]] = {}
        if self.borrows:
            return first
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


def named(reference: str) -> Callable[..., Any]:
    """The function that ``module:function`` names."""
    module, _, function = reference.partition(":")
    return getattr(import_module(module), function)


def aleatoric(config: Config) -> dict[str, str]:
    """Of :attr:`Kind.fixed`: how the aleatoric heads of teachers, and of who learns from them, are
    learned; nothing without such heads, so that these change no job's parameters."""
    return {} if config["aleatoric"] == "none" else {"aleatoric": config["aleatoric"]}


def replicates(config: Config, size: int) -> int:
    """As many models as there are students of an arm."""
    return config["students"]["replicates"]
