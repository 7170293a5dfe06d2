"""Arms of a study: which ensembles exist, what they share, and the seeds of their members.

An arm is (augmentation, proportion, ensemble size). Sizes are nested (the ensemble of n is
members 1..n), so teachers belong to a *pool* (augmentation, proportion) and are trained once for
the largest size that an arm of the pool needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Self

import numpy as np

from degu.errors import InputError

SPLITS = ("Train", "Val", "Test")
"""Parts of a data set."""

SHORT_FORM = ("augmentations", "proportions", "ensemble_sizes")
"""Keys of a block of arms."""


def format_proportion(proportion: float) -> str:
    """Spelling of a proportion in paths: ``1``, ``0.25``."""
    return format(float(proportion), "g")


@dataclass(frozen=True, order=True)
class Arm:
    """One ensemble of the study."""

    augmentation: str
    proportion: float
    size: int

    @classmethod
    def of(cls, wildcards: Mapping[str, str]) -> Self:
        """The arm that a path's wildcards name."""
        own = {name: wildcards[name] for name in ("augmentation", "proportion", "size")}
        return cls(own["augmentation"], float(own["proportion"]), int(own["size"]))

    @property
    def label(self) -> dict[str, Any]:
        """Its fields, as files of its ensemble are labelled."""
        return asdict(self)

    @property
    def pool(self) -> tuple[str, float]:
        """What the arm's teachers are shared by: (augmentation, proportion)."""
        return self.augmentation, self.proportion

    @property
    def wildcards(self) -> dict[str, str]:
        """Values of the path wildcards ``augmentation``, ``proportion`` and ``size``."""
        return {
            "augmentation": self.augmentation,
            "proportion": format_proportion(self.proportion),
            "size": str(self.size),
        }


MODES = ("random", "mutagenesis", "evoaug")
"""Modes of dynamic augmentation."""

_APPEND = "_append"


@dataclass(frozen=True)
class Variant:
    """A way of dynamic augmentation; its string is part of file names and tables.

    ``random_append`` is the mode ``random``, with the augmented batch beside the one of the
    training set and not in place of it.

    Args:
        mode: one of :data:`MODES`; see :func:`degu.training.dynamic.mode_augmentation`.
        append: whether the batch of the training set stays.

    Raises:
        InputError: for an unknown mode.
    """

    mode: str
    append: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(
                f"dynamic_augmentation.modes: {self.mode!r} is unknown; write some of "
                f"{', '.join(MODES)}."
            )

    def __str__(self) -> str:
        return self.mode + _APPEND * self.append

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` writes; InputError for anything else."""
        return cls(text.removesuffix(_APPEND), text.endswith(_APPEND))


def expand_arms(blocks: Iterable[Mapping[str, Sequence[Any]]]) -> tuple[Arm, ...]:
    """Union of blocks, each the product of its lists, in the order in which arms first appear.

    Args:
        blocks: mappings with the lists ``augmentations``, ``proportions``, ``ensemble_sizes``.

    Raises:
        InputError: for a proportion that its path cannot spell (over six significant digits).
    """
    arms: dict[Arm, None] = {}
    for block in blocks:
        for augmentation, proportion, size in product(*(block[key] for key in SHORT_FORM)):
            if float(format_proportion(proportion)) != float(proportion):
                raise InputError(
                    f"proportions: {proportion!r} has more digits than its path can spell; "
                    f"write {format_proportion(proportion)}."
                )
            arms[Arm(augmentation, float(proportion), int(size))] = None
    return tuple(arms)


def choose_arms(
    arms: Iterable[Arm], blocks: Iterable[Mapping[str, Sequence[Any] | None]]
) -> tuple[Arm, ...]:
    """Those of a study's arms that fit one of some blocks, in the order of the study.

    Args:
        arms: the study's.
        blocks: as for :func:`expand_arms`, where a list that is None or missing stands for all.

    Raises:
        InputError: for a combination that a block lists and the study does not have.
    """
    arms = tuple(arms)
    chosen = set()
    for block in blocks:
        named = {key: block.get(key) for key in SHORT_FORM}
        for augmentation, proportion, size in product(*(named[k] or [None] for k in SHORT_FORM)):
            fitting = [
                arm
                for arm in arms
                if augmentation in (None, arm.augmentation)
                and proportion in (None, arm.proportion)
                and size in (None, arm.size)
            ]
            if not fitting:
                parts = [
                    augmentation,
                    None if proportion is None else f"proportion {format_proportion(proportion)}",
                    None if size is None else f"ensemble size {size}",
                ]
                raise InputError(
                    f"{', '.join(filter(None, parts))} is not among the study's arms; add it to "
                    "them or name some that are there."
                )
            chosen.update(fitting)
    return tuple(arm for arm in arms if arm in chosen)


def pool_sizes(arms: Iterable[Arm]) -> dict[tuple[str, float], int]:
    """Number of teachers that each (augmentation, proportion) needs: its largest size."""
    sizes: dict[tuple[str, float], int] = {}
    for arm in arms:
        sizes[arm.pool] = max(arm.size, sizes.get(arm.pool, 0))
    return sizes


def sweeps(arms: Iterable[Arm], over: str) -> dict[tuple[Any, ...], tuple[Arm, ...]]:
    """The arms that differ in one field alone, where there are several such.

    Args:
        arms: the arms of a study.
        over: the field that a sweep runs over: ``augmentation``, ``proportion`` or ``size``.

    Returns:
        For each combination of the other two fields that several arms share, these arms in the
        order of the field.
    """
    others = [name for name in ("augmentation", "proportion", "size") if name != over]
    groups: dict[tuple[Any, ...], list[Arm]] = {}
    for arm in arms:
        groups.setdefault(tuple(getattr(arm, name) for name in others), []).append(arm)
    return {
        key: tuple(sorted(group, key=lambda arm: getattr(arm, over)))
        for key, group in groups.items()
        if len(group) > 1
    }


def derive_seed(base_seed: int, role: str, **identity: object) -> int:
    """A member's seed, by a hash that is stable across processes, machines and versions.

    Args:
        base_seed: the study's seed.
        role: ``teacher``, ``student``, ...
        identity: what tells the member from others of its role (augmentation, proportion, size
            where it matters, member). Proportions are spelt as in paths; the order is irrelevant.

    Returns:
        An integer in [0, 2**31), which every library's seed accepts.
    """
    spelt = {
        key: format_proportion(value) if isinstance(value, float) else str(value)
        for key, value in identity.items()
    }
    text = "|".join([str(base_seed), role, *(f"{key}={spelt[key]}" for key in sorted(spelt))])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def draw_subset(n: int, proportion: float, seed: int) -> np.ndarray:
    """Sorted indices of the training subset of an arm; shape (round(n·proportion),), int64.

    The draw is the published one, ``default_rng(seed).choice(n, round(n·p), replace=False,
    shuffle=False)``; sorting keeps reads sequential and makes proportion 1 the identity.

    Raises:
        InputError: if the proportion leaves no sequence.
    """
    if proportion == 1:
        return np.arange(n)
    size = round(n * proportion)
    if size == 0:
        raise InputError(
            f"proportions: {format_proportion(proportion)} of {n} training sequences is none; "
            f"use at least {format_proportion(1 / n)}."
        )
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(n, size, replace=False, shuffle=False))
