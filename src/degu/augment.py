"""EvoAug: evolution-inspired augmentations of batches of sequences.

After Lee, Tang, Toneyan & Koo, "EvoAug: improving generalization and interpretability of genomic
deep neural networks with evolution-inspired data augmentations", Genome Biology 24:105, 2023.

An augmentation is a frozen dataclass whose fields are its parameters and whose
``__call__(x, rng)`` takes one-hot sequences (B, L, 4), uint8 or float, and returns new ones of the
same shape in float32. Every sequence of a batch gets its own draw, all randomness comes from
``rng``, and x is left as it was. Sequences keep their length. To add an augmentation, write the
class and enter it in :data:`REGISTRY`; one that only moves bases or brings in random DNA need do no
more than say where each base comes from (:func:`_rearrange`).

A zero row (N, or padding) is a base like the others to what moves or deletes bases; it stays zero
under mutation, and gets noise as every row does. Random DNA has the four bases in equal shares and
no N.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from degu.errors import InputError

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

_KEY = "evoaug.augmentations"
_BASES = np.eye(4, dtype=np.float32)
# How often a base drawn from all four differs from the one that it replaces.
_NOT_SILENT = 0.75


@dataclass(frozen=True)
class RandomDeletion:
    """Deletes a stretch of each sequence and joins what is left and right of it.

    The length is uniform over ``min_length..max_length`` and the place uniform over those where
    the stretch fits. Random DNA makes up for the loss at both ends, as in evoaug: of a deletion of
    d bases, floor(d / 2) come before the joined sequence and the rest after it.

    Args:
        min_length, max_length: bases deleted, both ends included.

    Raises:
        InputError: for lengths that are no range; when called, for sequences below ``max_length``.
    """

    min_length: int = 0
    max_length: int = 20

    def __post_init__(self) -> None:
        _check_range("deletion", min_length=self.min_length, max_length=self.max_length)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        x = _as_batch(x)
        n, length, _ = x.shape
        if self.max_length > length:
            raise InputError(
                f"{_KEY}: deletion has max_length {self.max_length}, but sequences have {length} "
                "bases; lower it."
            )
        deleted = rng.integers(self.min_length, self.max_length, (n, 1), endpoint=True)
        start = rng.integers(0, length - deleted, endpoint=True)
        source = np.arange(length) - deleted // 2
        source += deleted * (source >= start)
        return _rearrange(x, source, rng)


@dataclass(frozen=True)
class RandomTranslocation:
    """Cuts each sequence in two and swaps the parts: a circular roll.

    The size of the shift is uniform over ``min_shift..max_shift``, to the left or to the right
    with equal chances.

    Args:
        min_shift, max_shift: bases, both ends included; beyond L they wrap around again.

    Raises:
        InputError: for shifts that are no range.
    """

    min_shift: int = 0
    max_shift: int = 20

    def __post_init__(self) -> None:
        _check_range("translocation", min_shift=self.min_shift, max_shift=self.max_shift)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        x = _as_batch(x)
        n, length, _ = x.shape
        shift = rng.integers(self.min_shift, self.max_shift, (n, 1), endpoint=True)
        shift *= rng.choice((-1, 1), (n, 1))
        return _rearrange(x, (np.arange(length) - shift) % length, rng)


@dataclass(frozen=True)
class RandomNoise:
    """Adds Gaussian noise of mean 0 to every one of the L × 4 numbers, zero rows included.

    The result is not one-hot.

    Args:
        std: standard deviation of the noise.

    Raises:
        InputError: if ``std`` is negative or no finite number.
    """

    std: float = 0.2

    def __post_init__(self) -> None:
        _check_number("noise", std=self.std)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        x = _as_batch(x)
        noisy = rng.standard_normal(x.shape, dtype=np.float32)
        noisy *= np.float32(self.std)
        noisy += x
        return noisy


@dataclass(frozen=True)
class RandomMutation:
    """Replaces bases by random ones, so that a given fraction of positions is expected to change.

    A quarter of the replacements is silent. As in evoaug this is corrected for: in each sequence
    exactly round(fraction / 0.75 × L) distinct positions are drawn, all sets equally likely, and
    each gets one of the four bases. At the default and L = 249 that is 17 positions, of which
    12.75 change on average. A drawn zero row stays zero.

    Args:
        fraction: expected share of positions that change, at most 0.75 (all of them are drawn).

    Raises:
        InputError: if ``fraction`` is no number from 0 to 0.75.
    """

    fraction: float = 0.05

    def __post_init__(self) -> None:
        _check_number("mutation", most=_NOT_SILENT, fraction=self.fraction)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        mutated = np.array(_as_batch(x), order="C")
        n, length, _ = mutated.shape
        n_drawn = round(self.fraction / _NOT_SILENT * length)
        if n_drawn == 0:
            return mutated
        # Comparing with the order statistic, unlike argpartition, leaves nothing to the order
        # within a partition, which differs between processors.
        keys = rng.random((n, length))
        last = np.partition(keys, n_drawn - 1, axis=1)[:, n_drawn - 1 : n_drawn]
        drawn = np.flatnonzero(keys <= last)
        rows = mutated.reshape(-1, 4)
        known = rows[drawn].any(axis=1, keepdims=True)
        rows[drawn] = _random_dna(len(drawn), rng) * known
        return mutated


REGISTRY: dict[str, Callable[..., Augmentation]] = {
    "deletion": RandomDeletion,
    "translocation": RandomTranslocation,
    "noise": RandomNoise,
    "mutation": RandomMutation,
}
"""Name in a config -> augmentation. The parameters that a config may give are the fields."""


@dataclass(frozen=True)
class Augmenter:
    """Applies to each batch a few augmentations drawn from a list.

    Which ones is drawn anew for every batch and is the same for all its sequences; what each does
    is drawn for every sequence. Those drawn are applied in the order of the list, and every subset
    of one size is equally likely.

    Args:
        augmentations: callables ``(x, rng) -> x``, such as the classes above.
        per_batch: number of distinct augmentations.
        hard: True applies exactly ``per_batch``, False 1 to ``per_batch`` with equal chances.

    Raises:
        InputError: for no augmentations, or fewer than ``per_batch``.

    Example:
        >>> augmenter = Augmenter([RandomDeletion(), RandomMutation(fraction=0.1)])
        >>> x_augmented = augmenter(x, np.random.default_rng(1))
    """

    augmentations: tuple[Augmentation, ...]
    per_batch: int = 1
    hard: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "augmentations", tuple(self.augmentations))
        if not self.augmentations:
            raise InputError(f"{_KEY}: the list is empty; name some of {', '.join(REGISTRY)}.")
        most = len(self.augmentations)
        if not (_is_integer(self.per_batch) and 1 <= self.per_batch <= most):
            raise InputError(
                f"evoaug.per_batch: {self.per_batch!r} is no whole number from 1 to {most}, the "
                f"number of augmentations; change it or {_KEY}."
            )
        if not isinstance(self.hard, bool):
            raise InputError(f"evoaug.hard: {self.hard!r} is neither true nor false; write one.")

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Augment one batch.

        Args:
            x: (B, L, 4) one-hot sequences, uint8 or float; not changed.
            rng: the generator to draw from; its state decides the result.

        Returns:
            (B, L, 4) float32.
        """
        n = self.per_batch if self.hard else rng.integers(1, self.per_batch, endpoint=True)
        for i in sorted(rng.permutation(len(self.augmentations))[:n]):
            x = self.augmentations[i](x, rng)
        return x

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any] | Iterable[Any],
        per_batch: int = 1,
        hard: bool = True,
    ) -> Self:
        """The augmenter that a config describes.

        Args:
            config: the section ``evoaug``, a mapping with ``augmentations`` and, if they are to
                differ from the arguments below, ``per_batch`` and ``hard``; or the list
                ``augmentations`` alone. Each item of the list is a name of :data:`REGISTRY`, or a
                mapping of ``name`` and parameters: ``{name: deletion, max_length: 30}``.
            per_batch, hard: as in the class.

        Raises:
            InputError: for an unknown augmentation, parameter or key, or a value that cannot be.
        """
        if isinstance(config, Mapping):
            section = {"per_batch": per_batch, "hard": hard, "augmentations": (), **config}
            names = [field.name for field in fields(cls)]
            for key in section:
                if key not in names:
                    raise InputError(f"evoaug.{key}: there is no such key; use {_listed(names)}.")
        else:
            section = {"augmentations": config, "per_batch": per_batch, "hard": hard}
        items = section.pop("augmentations")
        if isinstance(items, str) or not isinstance(items, Iterable):
            raise InputError(f"{_KEY}: {items!r} is no list; write [{', '.join(REGISTRY)}].")
        return cls(tuple(_from_item(item) for item in items), **section)


def _from_item(item: Any) -> Augmentation:
    """The augmentation that one item of the config's list stands for."""
    parameters = dict(item) if isinstance(item, Mapping) else {"name": item}
    name = parameters.pop("name", None)
    if not isinstance(name, str) or name not in REGISTRY:
        raise InputError(
            f"{_KEY}: {item!r} names no augmentation; write one of {', '.join(REGISTRY)}, or "
            "{name: ..., parameter: value}."
        )
    augmentation: Any = REGISTRY[name]
    allowed = [field.name for field in fields(augmentation)]
    for parameter in parameters:
        if parameter not in allowed:
            raise InputError(
                f"{_KEY}: {name} has no parameter {parameter!r}; use {_listed(allowed)}."
            )
    return augmentation(**parameters)


def _as_batch(x: np.ndarray) -> np.ndarray:
    """x in float32, x itself where it is so already."""
    x = np.asarray(x, dtype=np.float32)
    if x.ndim != 3 or x.shape[1] == 0 or x.shape[2] != 4:
        raise InputError(f"An augmentation needs sequences of shape (B, L, 4), but got {x.shape}.")
    return x


def _rearrange(x: np.ndarray, source: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Copy bases to where they go.

    Args:
        x: (B, L, 4) float32.
        source: (B, L') where in its own sequence each base of the result comes from; what is
            outside 0..L-1 stands for random DNA.
        rng: the generator to draw from.

    Returns:
        (B, L', 4) float32, a new array.
    """
    n, length, _ = x.shape
    # A source outside its sequence may point into a neighbour, and is overwritten.
    rows = source + length * np.arange(n)[:, None]
    result = x.reshape(-1, 4).take(rows, axis=0, mode="clip")
    outside = (source < 0) | (source >= length)
    result[outside] = _random_dna(int(outside.sum()), rng)
    return result


def _random_dna(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 4) float32 random bases."""
    return _BASES[rng.integers(4, size=n)]


def _check_range(augmentation: str, **bounds: Any) -> None:
    """Refuse what is not two whole numbers 0 <= low <= high, given as low=..., high=...."""
    low, high = bounds.values()
    if not (_is_integer(low) and _is_integer(high) and 0 <= low <= high):
        low_name, high_name = bounds
        raise InputError(
            f"{_KEY}: {augmentation} has {low_name} {low!r} and {high_name} {high!r}; they must be "
            "whole numbers from 0, the first not above the second."
        )


def _check_number(augmentation: str, most: float | None = None, **parameter: Any) -> None:
    """Refuse what is no finite number from 0 (to ``most``), given as name=value."""
    [(name, value)] = parameter.items()
    numeric = isinstance(value, (int, float, np.integer, np.floating))
    if (
        not numeric
        or isinstance(value, bool)
        or not 0 <= value < np.inf
        or (most is not None and value > most)
    ):
        limits = "0 or more" if most is None else f"from 0 to {most:g}"
        raise InputError(
            f"{_KEY}: {augmentation} has {name} {value!r}; it must be a number, {limits}."
        )


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
