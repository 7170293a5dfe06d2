"""A study: all that its config means, asked for by rules, plans and news alike."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Self
from urllib.parse import urlsplit

from degu.augment import used_settings
from degu.errors import InputError
from degu.kinds import Kind
from degu.models.registry import source_identity
from degu.study.config import display_name
from degu.study.kinds import TEACHER, active_kinds
from degu.study.layout import Layout
from degu.study.member import Member
from degu.sweep import SPLITS, Arm, choose_arms, derive_seed, expand_arms, pool_sizes

Wildcards = Mapping[str, str]

# A setting of a kind of shift that is not listed makes nothing again.
_KIND_OF_SETTING = {"mutagenesis": "small", "per_sequence": "moderate"}


@dataclass(frozen=True)
class Study:
    """What a checked config means.

    Attributes:
        config: of :func:`degu.study.config.validate`.
        layout: where files lie.
        arms: the ensembles of the study.
        kinds: of the models that it trains.
        attribution_arms: the arms whose models get attribution maps.
        architecture_source: hash of the code of an architecture of one's own, or None.
    """

    config: Mapping[str, Any]
    layout: Layout
    arms: tuple[Arm, ...]
    kinds: tuple[Kind, ...]
    attribution_arms: tuple[Arm, ...]
    architecture_source: str | None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The study of a checked config.

        Raises:
            InputError: for arms, an architecture or a ``reseed`` that cannot be.
        """
        arms = expand_arms(config["arms"])
        maps = config["attribution"]
        study = cls(
            config,
            Layout(
                f"results/{config['dataset']}",
                display_name(config),
                tuple(config["targets"]),
                maps["top_n"],
            ),
            arms,
            active_kinds(config),
            choose_arms(arms, maps["arms"] or [{}]) if maps["methods"] else (),
            source_identity(config["model"]),
        )
        study._check_reseeded()
        return study

    # Settings that jobs go by

    @property
    def targets(self) -> list[str]:
        """The targets of its data set."""
        return self.config["targets"]

    @property
    def methods(self) -> list[str]:
        """The attribution methods that its models are explained by."""
        return self.config["attribution"]["methods"]

    @property
    def download(self) -> str | None:
        """Address of the published file of its data, where the config names no local copy."""
        data = self.config["data"]
        return None if data.get("path") else data.get("url")

    @property
    def raw(self) -> str | None:
        """The file that its data set is made of; None if it is simulated."""
        if self.download:
            return f"resources/{os.path.basename(urlsplit(self.download).path) or 'download'}"
        path = self.config["data"].get("path")
        return os.path.normpath(path) if path else None

    @property
    def data_settings(self) -> dict[str, Any]:
        """What decides the data set: where a file lies or came from does not change it."""
        whence = ("path", "url", "sha256")
        return {k: v for k, v in self.config["data"].items() if k not in whence}

    @property
    def evoaug(self) -> Mapping[str, Any]:
        """What EvoAug arms draw from, and how."""
        return used_settings(self.config["evoaug"])

    @property
    def copies(self) -> dict[str, Any] | None:
        """What decides the augmented copies that students learn from; None without any."""
        section = used_settings(self.config["distillation"])
        if not section["copies"]:
            return None
        return {"seed": derive_seed(self.config["seed"], "copies"), **section}

    @property
    def aleatoric(self) -> bool:
        """Whether teachers and students have aleatoric heads."""
        return self.config["aleatoric"] != "none"

    @property
    def shift_settings(self) -> dict[str, Any]:
        """What decides the shifted sequences."""
        settings = self.config["shift"]
        kinds = settings["kinds"]
        return {
            key: value
            for key, value in settings.items()
            if key not in _KIND_OF_SETTING or _KIND_OF_SETTING[key] in kinds
        }

    @property
    def shift_evoaug(self) -> dict[str, Any] | None:
        """What moderate shift draws from; how many, its own settings say."""
        if "moderate" not in self.config["shift"]["kinds"]:
            return None
        return {key: self.evoaug[key] for key in ("augmentations", "parameters")}

    @property
    def sequence_settings(self) -> dict[str, int]:
        """What decides which sequences get attribution maps."""
        return {key: self.config["attribution"][key] for key in ("top_n", "bins", "per_bin")}

    def seed(self, member: Member, phase: str) -> int:
        """The seed of a phase of a member's training."""
        first = phase == member.phases[0]
        draws = self.config["reseed"].count(self.layout.model(member, phase)) if first else 0
        return member.seed(self.config["seed"], phase, draws)

    # Members

    def members(
        self, arms: Iterable[Arm] | None = None, kinds: Iterable[Kind] | None = None
    ) -> list[Member]:
        """The members of some arms, by default of all, each once.

        Args:
            arms: of the study.
            kinds: of its kinds.
        """
        arms = self.arms if arms is None else tuple(arms)
        kinds = self.kinds if kinds is None else kinds
        return [member for kind in kinds for member in self._of_kind(kind, arms)]

    def _of_kind(self, kind: Kind, arms: Sequence[Arm]) -> list[Member]:
        config, choices = self.config, kind.choices(self.config)
        having = [a for a in kind.arms(config, self.arms) if a.augmentation in kind.phases]
        arms = [arm for arm in arms if arm in having]
        if kind.of_pool:
            places: list[tuple[tuple[str, float], int | None, int]]
            places = [(pool, None, n) for pool, n in pool_sizes(arms).items()]
        else:
            places = [(arm.pool, arm.size, arm.size) for arm in arms]
        return [
            Member(kind, *pool, ix, size, **{**kind.fixed(config), **own})
            for (pool, size, n), own in product(places, choices)
            for ix in range(1, kind.number(config, n) + 1)
        ]

    def trained(self, members: Iterable[Member] | None = None) -> list[Member]:
        """Those of some members, by default of all, that are trained and do not borrow a model."""
        members = self.members() if members is None else members
        return [member for member in members if member.kind.borrows is None]

    def member(self, kind: Kind, wildcards: Wildcards) -> Member:
        """The member that a path's wildcards name."""
        return Member.of(kind, wildcards, self.config)

    def pattern(self, kind: Kind) -> Member:
        """All members of a kind, with wildcards in place of what tells them apart."""
        return Member.pattern(kind, self.config)

    def batch(self, kind: Kind, wildcards: Wildcards) -> list[Member]:
        """The members that one job predicts with, from the wildcards of its paths."""
        return Member.batch(kind, wildcards, self.config)

    @property
    def choices(self) -> dict[str, str]:
        """What tells models of an arm apart: by wildcard, a pattern of the values in paths."""
        values: dict[str, list[str]] = {}
        for kind in self.kinds:
            for name, value in (item for own in kind.choices(self.config) for item in own.items()):
                values.setdefault(name, []).append(re.escape(value))
        return {name: "|".join(dict.fromkeys(found)) for name, found in values.items()}

    def arm(self, wildcards: Wildcards) -> Arm:
        """The arm that a path's wildcards name."""
        return Arm.of(wildcards)

    def teachers(self, wildcards: Wildcards) -> list[Member]:
        """The teachers of the ensemble that a path's wildcards name."""
        return self.members([self.arm(wildcards)], [TEACHER])

    def uncertain(self, arm: Arm) -> list[Member]:
        """The models of an arm that predict the uncertainty of its ensemble."""
        return [m for m in self.members([arm]) if m.kind.learns == "ensemble" and m.uncertainty]

    def explained(
        self, arms: Iterable[Arm] | None = None, kinds: Iterable[Kind] | None = None
    ) -> list[Member]:
        """The members of some arms whose kind has attribution maps."""
        kinds = self.kinds if kinds is None else kinds
        arms = self.attribution_arms if arms is None else arms
        return self.members(arms, [kind for kind in kinds if kind.maps_folder])

    def pool_explained(self, wildcards: Wildcards) -> list[Member]:
        """The teachers of a pool that have attribution maps."""
        pool = wildcards["augmentation"], float(wildcards["proportion"])
        arms = [arm for arm in self.attribution_arms if arm.pool == pool]
        return self.members(arms, [TEACHER])

    def sibling_maps(self, member: Member) -> list[str]:
        """Files of an arm's models of one kind that need the maps of all of them.

        Args:
            member: any of them, or their pattern.
        """
        return [
            path
            for method in self.methods
            for path in (
                *self.layout.top_maps(member, method, "avg"),
                *self.layout.map_spread(member, method),
            )
        ]

    # What can be wrong

    def _check_reseeded(self) -> None:
        known = {self.layout.model(m, m.phases[0]) for m in self.trained()}
        for path in self.config["reseed"]:
            if path not in known:
                raise InputError(
                    f"reseed: {path} is no model that this study trains; write the path after "
                    "`output:` of the job that failed."
                )

    # Files

    def of_ensembles(self, arms: Iterable[Arm]) -> list[str]:
        """All files of some ensembles, and what their students learn from."""
        arms, layout = list(arms), self.layout
        files = [
            path
            for arm in arms
            for path in (
                layout.subset(arm),
                layout.ensemble_mean(arm),
                *(layout.ensemble_std(arm, split) for split in SPLITS),
                *(layout.ensemble_aleatoric(arm, split) for split in SPLITS if self.aleatoric),
                layout.ensemble_performance(arm),
                layout.distillation(arm),
                *([layout.copies(arm)] if self.copies else []),
            )
        ]
        # Distillation files link to these.
        parts = {arm.wildcards["proportion"] for arm in arms if arm.proportion < 1}
        return files + [layout.subset_sequences(proportion) for proportion in sorted(parts)]

    def of_shift(self, arms: Iterable[Arm]) -> list[str]:
        """All that the study keeps about shifted sequences for some arms."""
        arms, layout = list(arms), self.layout
        if not arms or not self.config["shift"]["kinds"]:
            return []
        return [
            layout.shift,
            *(layout.shift_predictions(member) for member in self.members(arms)),
            *(f(arm) for arm in arms for f in (layout.shift_ensemble, layout.shift_table)),
        ]

    def of_attribution(self, arms: Iterable[Arm]) -> list[str]:
        """All that the study keeps about attribution for some arms."""
        arms, layout = list(arms), self.layout
        if not arms:
            return []
        files = [layout.attribution_sequences, layout.attribution_summary]
        for member, method in product(self.explained(arms), self.methods):
            files += [layout.maps(member, method), *layout.top_maps(member, method)]
            files += layout.map_distances(member, method)
        for member in self.explained(arms):
            files += self.sibling_maps(member)
        for arm in arms:
            files += [layout.attribution_maps(arm), layout.attribution_table(arm)]
        return list(dict.fromkeys(files))
