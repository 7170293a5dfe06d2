"""Named output columns of a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from degu.errors import InputError

Kind = Literal["mean", "aleatoric", "logscale", "nu", "alpha", "beta", "std", "logvar"]
"""``aleatoric`` is the natural logarithm of the variance of a measurement, ``logscale`` that of a
Laplace's or Cauchy's scale; ``nu``, ``alpha`` and ``beta`` are of evidential regression, before the
softplus that makes them positive (:mod:`degu.baselines.evidential`)."""

KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Heads:
    """Which column of a model's output is which quantity of which target.

    Columns are ordered by kind first, then by target: ``Heads(("Dev", "Hk"), ("mean", "std"))``
    names ``Dev, Hk, Dev-std, Hk-std``, the layout of the distillation files.

    Args:
        targets: names of the assay's targets, in the order of ``dataset.h5``.
        kinds: a subset of :data:`KINDS`, in that order.

    Raises:
        InputError: for no or repeated targets, unknown, repeated or disordered kinds, for ``std``
            and ``logvar`` together (they are two spellings of the epistemic head), or for a target
            named like another's head (``Dev-std`` beside ``Dev``).
    """

    targets: tuple[str, ...]
    kinds: tuple[str, ...] = ("mean",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(self.targets))
        object.__setattr__(self, "kinds", tuple(self.kinds))
        if not self.targets or len(set(self.targets)) != len(self.targets):
            raise InputError(f"Heads need distinct targets, but got {list(self.targets)}.")
        if not self.kinds or list(self.kinds) != [k for k in KINDS if k in self.kinds]:
            raise InputError(
                f"Kinds of heads are a subset of {', '.join(KINDS)} in this order, "
                f"but got {list(self.kinds)}."
            )
        if {"std", "logvar"} <= set(self.kinds):
            raise InputError("A model has either std or logvar heads, not both.")
        twice = [column for column in self.columns if self.columns.count(column) > 1]
        if twice:
            raise InputError(f"Two heads would be called {twice[0]}; rename the target.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Name of every output column, in order: ``Dev`` for a mean, ``Dev-std`` otherwise."""
        return tuple(self.name(target, kind) for kind in self.kinds for target in self.targets)

    def __len__(self) -> int:
        return len(self.kinds) * len(self.targets)

    @staticmethod
    def name(target: str, kind: str) -> str:
        """Column name of one head."""
        return target if kind == "mean" else f"{target}-{kind}"

    def column(self, target: str, kind: str = "mean") -> int:
        """Index of one head in the model's output; InputError if the model has no such head."""
        try:
            return self.kinds.index(kind) * len(self.targets) + self.targets.index(target)
        except ValueError:
            raise InputError(
                f"There is no head {self.name(target, kind)}: this model predicts "
                f"{', '.join(self.columns)}."
            ) from None

    def slice(self, kind: str) -> slice:
        """Columns of one kind, as a slice of the last axis; InputError if there are none."""
        start = self.column(self.targets[0], kind)
        return slice(start, start + len(self.targets))

    @property
    def epistemic(self) -> str | None:
        """The kind that holds the epistemic uncertainty (``std`` or ``logvar``), if any."""
        return next((kind for kind in self.kinds if kind in ("std", "logvar")), None)

    def to_json(self) -> str:
        """A string for an HDF5 attribute; ``from_json`` reads it back."""
        return json.dumps({"targets": self.targets, "kinds": self.kinds})

    @classmethod
    def from_json(cls, text: str) -> Heads:
        """Read what ``to_json`` wrote; InputError for anything else."""
        try:
            fields = json.loads(text)
            targets, kinds = (tuple(fields[name]) for name in ("targets", "kinds"))
            if not all(isinstance(name, str) for name in targets):
                raise TypeError("names are text")
        except (TypeError, ValueError, LookupError) as error:
            raise InputError(f"Heads are not described by {text!r} ({error}).") from error
        return cls(targets, kinds)

    @classmethod
    def student(cls, targets: Sequence[str], uncertainty: str) -> Heads:
        """Heads of a distilled student: every mean, then every ``std`` or ``logvar``."""
        return cls(tuple(targets), ("mean", uncertainty))
