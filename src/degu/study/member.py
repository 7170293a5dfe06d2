"""A member: one model of a study, with its identity, its phases and its seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from degu.heads import Heads
from degu.kinds import Config, Kind
from degu.study.kinds import kind_of
from degu.sweep import derive_seed, format_proportion


@dataclass(frozen=True)
class Member:
    """One model of a study, or of all of its kind the pattern.

    Attributes:
        kind: what it is.
        augmentation, proportion: its pool.
        member: its number, from 1.
        size: of its ensemble; None where the ensembles of a pool share it.
        uncertainty: what it predicts of its ensemble's uncertainty, ``std`` or ``logvar``; None if
            it does not.
        variant: how its batches are augmented and labelled on the fly, such as ``random_append``.
        aleatoric: how its aleatoric heads, or those of its ensemble, are learned: ``replicates`` or
            ``learned``; None without such heads. Of who borrows a model, as of that model.

    In a pattern, each field that stands in paths is a wildcard, such as ``{ix}``.
    """

    kind: Kind
    augmentation: str
    proportion: float | str
    member: int | str
    size: int | str | None = None
    uncertainty: str | None = None
    variant: str | None = None
    aleatoric: str | None = None

    @classmethod
    def pattern(cls, kind: Kind, config: Config) -> Self:
        """Of all models of a kind, with wildcards in place of what tells them apart."""
        own: dict[str, Any] = {name: f"{{{name}}}" for name in kind.fields}
        own = {**kind.fixed(config), **own}
        return cls(kind, "{augmentation}", "{proportion}", "{ix}", **own)

    @classmethod
    def of(cls, kind: Kind, wildcards: Mapping[str, str], config: Config) -> Self:
        """The member that a path's wildcards name."""
        own: dict[str, Any] = {name: wildcards[name] for name in kind.fields}
        if "size" in own:
            own["size"] = int(own["size"])
        pool = wildcards["augmentation"], float(wildcards["proportion"])
        return cls(kind, *pool, int(wildcards["ix"]), **{**kind.fixed(config), **own})

    @classmethod
    def batch(cls, kind: Kind, wildcards: Mapping[str, str], config: Config) -> list[Self]:
        """The members that one job is about, from the wildcards of its paths."""
        own = dict(wildcards.items())
        numbers = [own["ix"]] if "ix" in own else kind.batch(config)
        return [cls.of(kind, {**own, "ix": str(ix)}, config) for ix in numbers]

    @property
    def phases(self) -> tuple[str, ...]:
        """Suffixes of its trainings, in order; the model of the last one is the member."""
        return self.kind.phases[self.augmentation]

    @property
    def owner(self) -> Member:
        """Whose model it is: of a kind that borrows, the member with its number, else itself."""
        if self.kind.borrows is None:
            return self
        kind = kind_of(self.kind.borrows)
        own = {name: getattr(self, name) for name in kind.fields}
        pool = self.augmentation, self.proportion
        return Member(kind, *pool, self.member, aleatoric=self.aleatoric, **own)

    def architecture(self, config: Config) -> str:
        """The name of its architecture; it has a number."""
        of_member = self.owner.kind.architecture
        return of_member(config, int(self.member)) if of_member else config["model"]

    @property
    def wildcards(self) -> dict[str, str]:
        """What its paths are filled in with."""
        proportion = self.proportion
        if not isinstance(proportion, str):
            proportion = format_proportion(proportion)
        pool = {"augmentation": self.augmentation, "proportion": proportion}
        own = {name: str(getattr(self, name)) for name in self.kind.fields}
        return {**pool, **own, "ix": str(self.member)}

    @property
    def identity(self) -> dict[str, Any]:
        """Its columns of the summary, without those that do not apply."""
        columns = ("augmentation", "proportion", "size", "member", "variant", "uncertainty")
        known = {name: getattr(self, name) for name in columns}
        return {"role": self.kind.role} | {k: v for k, v in known.items() if v is not None}

    @property
    def card_fields(self) -> dict[str, Any]:
        """Its fields of a :class:`degu.io.card.Card`."""
        columns = ("augmentation", "proportion", "size", "member", "variant")
        return {"role": self.kind.role} | {name: getattr(self, name) for name in columns}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of its output columns."""
        own = self.aleatoric and self.kind.borrows is None
        others = ("aleatoric" if own else None, self.uncertainty)
        return (*self.kind.heads, *filter(None, others))

    def heads(self, targets: Sequence[str]) -> Heads:
        """Names of its output columns."""
        return Heads(tuple(targets), self.kinds)

    @property
    def arm(self) -> dict[str, Any]:
        """Its arm, as files of ensembles are labelled."""
        return {name: getattr(self, name) for name in ("augmentation", "proportion", "size")}

    @property
    def job(self) -> str:
        """Its name in logs: ``standard_1_n3_std_2``; without a number, that of all."""
        own = self.wildcards
        size = [f"n{own['size']}"] if "size" in own else []
        rest = [own[name] for name in self.kind.fields if name != "size"]
        parts = [own["augmentation"], own["proportion"], *size, *rest, own["ix"]]
        return "_".join(filter(None, parts))

    def seed(self, base: int, phase: str = "", draws: int = 0) -> int:
        """The seed of a phase of its training.

        Args:
            base: the study's seed.
            phase: one of its phases.
            draws: how often it was drawn anew before (the config's ``reseed``).
        """
        named = ("augmentation", "proportion", "size", "variant")
        own: dict[str, object] = {k: v for k, v in self.wildcards.items() if k in named}
        if draws:
            own["draw"] = draws + 1
        role = self.kind.seed_role or self.kind.role
        return derive_seed(
            base, role + " finetuning" * (phase == "finetune"), member=self.member, **own
        )
