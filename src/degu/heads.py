"""Named output columns of a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, get_args

from degu.errors import InputError

Kind = Literal["mean", "aleatoric", "logscale", "nu", "alpha", "beta", "std", "logvar"]
"""``aleatoric`` is the natural logarithm of the variance of the measurement that ``mean`` is of,
which is the mean of the replicates where there are some, in squared units of the target;
``logscale`` that of a Laplace's or Cauchy's scale; ``nu``, ``alpha`` and ``beta`` are of evidential
regression, before the softplus that makes them positive (:mod:`degu.baselines.evidential`)."""

KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Columns:
    """Which column of an array is which quantity of which target.

    Columns are ordered by kind first, then by target.

    Args:
        targets: names of the assay's targets, in the order of ``dataset.h5``.
        kinds: a subset of :attr:`known`, in that order.

    Raises:
        InputError: for no or repeated targets, unknown, repeated or disordered kinds, or for a
            target named like another's column (``Dev-std`` beside ``Dev``).
    """

    targets: tuple[str, ...]
    kinds: tuple[str, ...] = ("mean",)

    known: ClassVar[tuple[str, ...]] = KINDS

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(self.targets))
        object.__setattr__(self, "kinds", tuple(self.kinds))
        if not self.targets or len(set(self.targets)) != len(self.targets):
            raise InputError(f"Heads need distinct targets, but got {list(self.targets)}.")
        if not self.kinds or list(self.kinds) != [k for k in self.known if k in self.kinds]:
            raise InputError(
                f"Kinds of heads are a subset of {', '.join(self.known)} in this order, "
                f"but got {list(self.kinds)}."
            )
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

    def indices(self, kinds: Sequence[str]) -> list[int]:
        """Columns of several kinds, in their order; InputError if there are none of one."""
        return [self.column(target, kind) for kind in kinds for target in self.targets]


class Measured(Columns):
    """Columns of what is known of measurements: more than a model has heads for.

    ``mean`` is the mean of the replicates, ``variance`` the variance of that mean as estimated from
    them (squared units of the target; NaN where there are fewer than two), and ``freedom`` that
    estimate's degrees of freedom, one less than replicates (0 where there is no estimate).
    """

    known = ("mean", "variance", "freedom")


@dataclass(frozen=True)
class Heads(Columns):
    """Columns of a model's output.

    ``Heads(("Dev", "Hk"), ("mean", "std"))`` names ``Dev, Hk, Dev-std, Hk-std``, the layout of the
    distillation files.

    Raises:
        InputError: as :class:`Columns`, and for ``std`` and ``logvar`` together (they are two
            spellings of the epistemic head).
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if {"std", "logvar"} <= set(self.kinds):
            raise InputError("A model has either std or logvar heads, not both.")

    @property
    def epistemic(self) -> str | None:
        """The kind that holds the epistemic uncertainty (``std`` or ``logvar``), if any."""
        return next((kind for kind in self.kinds if kind in ("std", "logvar")), None)

    @property
    def of_members(self) -> Heads:
        """Heads of the members of an ensemble whose student has these: all but the epistemic."""
        return Heads(self.targets, tuple(k for k in self.kinds if k != self.epistemic))

    def with_epistemic(self, uncertainty: str) -> Heads:
        """Heads of a student whose ensemble's members have these."""
        return Heads(self.targets, (*self.kinds, uncertainty))

    def to_json(self) -> str:
        """A string for an HDF5 attribute; ``from_json`` reads it back."""
        return json.dumps({"targets": self.targets, "kinds": self.kinds})

    @classmethod
    def from_json(cls, text: str) -> Self:
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
    def student(cls, targets: Sequence[str], uncertainty: str, aleatoric: bool = False) -> Self:
        """Heads of a distilled student: every mean, then every ``std`` or ``logvar``.

        Between them are those of the aleatoric variance, if its ensemble predicts one.
        """
        between = ("aleatoric",) if aleatoric else ()
        return cls(tuple(targets), ("mean", *between, uncertainty))
