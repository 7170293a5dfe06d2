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

Beside EvoAug's seven there are two shuffles: of positions, which training may draw too, and
:class:`DinucleotideShuffle`, which makes sequences unlike those of the training set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Self

import numpy as np

from degu.errors import InputError
from degu.sequences import dinucleotide_shuffle, reverse_complement

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

_KEY = "evoaug.augmentations"
_PARAMETERS = "evoaug.parameters"
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
        _check_fit("deletion", self.max_length, length)
        deleted = rng.integers(self.min_length, self.max_length, (n, 1), endpoint=True)
        start = rng.integers(0, length - deleted, endpoint=True)
        source = np.arange(length) - deleted // 2
        source += deleted * (source >= start)
        return _rearrange(x, source, rng)


@dataclass(frozen=True)
class RandomInsertion:
    """Inserts random DNA into each sequence, and trims both ends to the old length.

    The number of bases is uniform over ``min_length..max_length`` and the place uniform over the
    L + 1 before, between and after bases. The mirror of :class:`RandomDeletion`: of an insertion of
    d bases, floor(d / 2) are trimmed from the start of the longer sequence and the rest from its
    end. So both ends are lost however far from them the insertion is, and an insertion less than
    d / 2 bases from an end is trimmed itself, by up to half. The original evoaug trims nothing: it
    makes up every sequence with random DNA to L + ``max_length`` bases, in training and afterwards.

    Args:
        min_length, max_length: bases inserted, both ends included, before trimming.

    Raises:
        InputError: for lengths that are no range; when called, for sequences below ``max_length``.
    """

    min_length: int = 0
    max_length: int = 20

    def __post_init__(self) -> None:
        _check_range("insertion", min_length=self.min_length, max_length=self.max_length)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        x = _as_batch(x)
        n, length, _ = x.shape
        _check_fit("insertion", self.max_length, length)
        inserted = rng.integers(self.min_length, self.max_length, (n, 1), endpoint=True)
        place = rng.integers(0, length, (n, 1), endpoint=True)
        source = np.arange(length) + inserted // 2
        right = source >= place + inserted
        new = (source >= place) ^ right
        source -= inserted * right
        source[new] = -1
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
        source = np.arange(length) - shift % length
        source += length * (source < 0)
        return _rearrange(x, source, rng)


@dataclass(frozen=True)
class RandomInversion:
    """Replaces a stretch of each sequence by its reverse complement, in place.

    The length is uniform over ``min_length..max_length`` and the place uniform over those where
    the stretch fits. A single base is complemented.

    Args:
        min_length, max_length: bases inverted, both ends included.

    Raises:
        InputError: for lengths that are no range; when called, for sequences below ``max_length``.
    """

    min_length: int = 0
    max_length: int = 20

    def __post_init__(self) -> None:
        _check_range("inversion", min_length=self.min_length, max_length=self.max_length)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        x = _as_batch(x)
        n, length, _ = x.shape
        _check_fit("inversion", self.max_length, length)
        inverted = rng.integers(self.min_length, self.max_length, (n, 1), endpoint=True)
        start = rng.integers(0, length - inverted, endpoint=True)
        stop = start + inverted
        position = np.arange(length)
        rows, places = ((position >= start) & (position < stop)).nonzero()
        result = np.array(x, order="C")
        result[rows, places] = x[rows, (start + stop - 1)[rows, 0] - places, ::-1]
        return result


@dataclass(frozen=True)
class RandomNoise:
    """Adds Gaussian noise of mean 0 to every one of the L × 4 numbers, zero rows included.

    The result is not one-hot. The noise takes 65,536 values, equally likely, at the quantiles of
    the Gaussian; the largest is 4.3 standard deviations away. Looking them up takes a quarter of
    the time of drawing from the continuous distribution.

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
        levels = rng.integers(2**16, size=x.shape, dtype=np.uint16)
        noisy = (np.float32(self.std) * _gaussian_quantiles()).take(levels)
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
        x = _as_batch(x)
        n, length, _ = x.shape
        n_drawn = round(self.fraction / _NOT_SILENT * length)
        if n_drawn == 0:
            return x.copy()
        # Comparing with the order statistic, unlike argpartition, leaves nothing to the order
        # within a partition, which differs between processors.
        keys = rng.random((n, length))
        last = np.partition(keys, n_drawn - 1, axis=1).take([n_drawn - 1], axis=1)
        drawn = np.flatnonzero(keys <= last)
        del keys
        mutated = x.copy()
        rows = mutated.reshape(-1, 4)
        known = rows[drawn].any(axis=1, keepdims=True)
        rows[drawn] = _random_dna(len(drawn), rng) * known
        return mutated


@dataclass(frozen=True)
class RandomReverseComplement:
    """Turns each sequence to its other strand with a given probability.

    Args:
        probability: of each sequence.

    Raises:
        InputError: if ``probability`` is no number from 0 to 1.
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        _check_number("reverse_complement", most=1, probability=self.probability)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        result = np.array(_as_batch(x), order="C")
        turned = rng.random(len(result)) < self.probability
        result[turned] = reverse_complement(result[turned])
        return result


@dataclass(frozen=True)
class RandomShuffle:
    """Shuffles the positions of each sequence; every order of them is equally likely.

    Base composition stays as it is, and zero rows move as bases do.
    """

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        x = _as_batch(x)
        n, length, _ = x.shape
        # Random numbers that carry their positions in the lowest bits: to sort them is twice as
        # fast as argsort. That two of a sequence agree in all bits above has a chance below 10⁻¹⁰
        # for up to 1,000 bases.
        position = np.uint64((1 << (length - 1).bit_length()) - 1)
        keys = rng.integers(2**64, size=(n, length), dtype=np.uint64)
        keys &= ~position
        keys |= np.arange(length, dtype=np.uint64)
        keys.sort(axis=1)
        keys &= position
        return _rearrange(x, keys.view(np.int64), rng)


@dataclass(frozen=True)
class DinucleotideShuffle:
    """Shuffles each sequence so that every dinucleotide occurs as often as before.

    See :func:`degu.sequences.dinucleotide_shuffle`. It is for shifting the distribution of
    sequences, and not in :data:`REGISTRY`: it takes several times as long as any of those.

    Raises:
        InputError: when called, for sequences that are not one-hot.
    """

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return dinucleotide_shuffle(_as_batch(x), 1, rng)[:, 0].astype(np.float32)


REGISTRY: dict[str, Callable[..., Augmentation]] = {
    "deletion": RandomDeletion,
    "insertion": RandomInsertion,
    "translocation": RandomTranslocation,
    "inversion": RandomInversion,
    "mutation": RandomMutation,
    "noise": RandomNoise,
    "reverse_complement": RandomReverseComplement,
    "shuffle": RandomShuffle,
}
"""Name in a config -> augmentation. The parameters that a config may give are the fields."""


@dataclass(frozen=True)
class Augmenter:
    """Applies to each batch, or to each sequence, a few augmentations drawn from a list.

    Which ones is drawn anew for every batch and is the same for all its sequences, unless
    ``each_sequence`` says otherwise; what each does is always drawn for every sequence. Those drawn
    are applied in the order of the list, but noise last: on noisy sequences a mutation would leave
    bases without noise, and make bases of zero rows. Every subset of one size is equally likely.

    Args:
        augmentations: callables ``(x, rng) -> x``, such as the classes above.
        per_batch: number of distinct augmentations that a batch (or each of its sequences) gets.
        hard: True applies exactly ``per_batch``, False 1 to ``per_batch`` with equal chances.
        each_sequence: True draws which ones, and how many, for each sequence by itself.

    Raises:
        InputError: for no augmentations, or fewer than ``per_batch``.

    Example:
        >>> augmenter = Augmenter([RandomDeletion(), RandomMutation(fraction=0.1)])
        >>> x_augmented = augmenter(x, np.random.default_rng(1))
    """

    augmentations: tuple[Augmentation, ...]
    per_batch: int = 1
    hard: bool = True
    each_sequence: bool = False

    def __post_init__(self) -> None:
        listed: Any = self.augmentations
        listed = tuple(listed) if isinstance(listed, Iterable) else (listed,)
        object.__setattr__(self, "augmentations", listed)
        for augmentation in listed:
            if not callable(augmentation) or isinstance(augmentation, type):
                raise InputError(
                    f"{_KEY}: {augmentation!r} is no augmentation; give a list of them, such as "
                    "[RandomDeletion(), RandomNoise()]."
                )
        if not self.augmentations:
            raise InputError(f"{_KEY}: the list is empty; name some of {', '.join(REGISTRY)}.")
        most = len(self.augmentations)
        if not (_is_integer(self.per_batch) and 1 <= self.per_batch <= most):
            raise InputError(
                f"evoaug.per_batch: {self.per_batch!r} is no whole number from 1 to {most}, the "
                f"number of augmentations; change it or {_KEY}."
            )
        for key in ("hard", "each_sequence"):
            value = getattr(self, key)
            if not isinstance(value, bool):
                raise InputError(f"evoaug.{key}: {value!r} is neither true nor false; write one.")

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Augment one batch.

        Args:
            x: (B, L, 4) one-hot sequences, uint8 or float; not changed.
            rng: the generator to draw from; its state decides the result.

        Returns:
            (B, L, 4) float32.
        """
        if self.each_sequence:
            return self._augment_each(x, rng)
        n = self.per_batch if self.hard else rng.integers(1, self.per_batch, endpoint=True)
        drawn = set(rng.permutation(len(self.augmentations))[:n].tolist())
        for i in self._order():
            if i in drawn:
                x = self.augmentations[i](x, rng)
        return x

    def _order(self) -> list[int]:
        """Positions in the list as they are applied: what replaces bases would undo noise."""
        noisy = [isinstance(augmentation, RandomNoise) for augmentation in self.augmentations]
        return sorted(range(len(noisy)), key=noisy.__getitem__)

    def _augment_each(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Augment each sequence by a draw of its own."""
        result = np.array(_as_batch(x))
        size, most = (len(result), 1), self.per_batch
        n = np.full(size, most) if self.hard else rng.integers(1, most, size, endpoint=True)
        ranks = np.tile(np.arange(len(self.augmentations)), size)
        drawn = rng.permuted(ranks, axis=1) < n
        for i in self._order():
            rows = drawn[:, i]
            if rows.any():
                result[rows] = self.augmentations[i](result[rows], rng)
        return result

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
                mapping of ``name`` and parameters: ``{name: deletion, max_length: 30}``. The
                section may also hold ``parameters``, a mapping from such names to parameters:
                ``{deletion: {max_length: 30}}``. Those of an item go before them, and those of
                augmentations that are not in the list are without effect. ``each_sequence`` may be
                given as well.
            per_batch, hard: as in the class.

        Raises:
            InputError: for an unknown augmentation, parameter or key, or a value that cannot be.
        """
        if isinstance(config, Mapping):
            section = {"per_batch": per_batch, "hard": hard, "augmentations": (), **config}
            names = [field.name for field in fields(cls)] + ["parameters"]
            for key in section:
                if key not in names:
                    raise InputError(f"evoaug.{key}: there is no such key; use {_listed(names)}.")
        else:
            section = {"per_batch": per_batch, "hard": hard, "augmentations": config}
        parameters = _parameters(section)
        section.pop("parameters", None)
        items = _items(section.pop("augmentations"))
        return cls(tuple(_from_item(item, parameters) for item in items), **section)


def used_settings(section: Mapping[str, Any]) -> dict[str, Any]:
    """A section ``evoaug`` without the parameters of augmentations that are not in its list.

    What is left decides the training: ``Augmenter.from_config`` makes the same of it as of the
    whole section. A workflow whose jobs depend on it alone does not train again when an idle
    parameter changes.

    Args:
        section: as for :meth:`Augmenter.from_config`; not changed.

    Returns:
        A new section, with ``parameters`` if it had some.

    Raises:
        InputError: for an unknown augmentation.
    """
    used = dict(section)
    if "parameters" in used:
        names = {_name(item) for item in _items(used.get("augmentations", ()))}
        used["parameters"] = {k: v for k, v in _parameters(used).items() if k in names}
    return used


def _items(items: Any) -> list[Any]:
    """The config's list of augmentations."""
    if isinstance(items, (str, Mapping)) or not isinstance(items, Iterable):
        raise InputError(f"{_KEY}: {items!r} is no list; write [{', '.join(REGISTRY)}].")
    return list(items)


def _parameters(section: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The parameters of a section by augmentation, listed or not; {} without any."""
    parameters = section.get("parameters", {})
    if not isinstance(parameters, Mapping):
        raise InputError(
            f"{_PARAMETERS}: {parameters!r} does not say of what; write {{name: {{parameter: "
            "value}}}."
        )
    for name, values in parameters.items():
        if name not in REGISTRY:
            raise InputError(
                f"{_PARAMETERS}: {name!r} names no augmentation; write one of "
                f"{', '.join(REGISTRY)}."
            )
        if not isinstance(values, Mapping):
            raise InputError(
                f"{_PARAMETERS}.{name}: {values!r} names no parameters; write {{parameter: value}}."
            )
    return parameters


def _name(item: Any) -> str:
    """The name in one item of the config's list."""
    name = item.get("name") if isinstance(item, Mapping) else item
    if not isinstance(name, str) or name not in REGISTRY:
        raise InputError(
            f"{_KEY}: {item!r} names no augmentation; write one of {', '.join(REGISTRY)}, or "
            "{name: ..., parameter: value}."
        )
    return name


def _from_item(item: Any, parameters: Mapping[str, Mapping[str, Any]]) -> Augmentation:
    """The augmentation that one item of the config's list stands for."""
    name = _name(item)
    own = dict(item) if isinstance(item, Mapping) else {}
    own.pop("name", None)
    settings = {**parameters.get(name, {}), **own}
    augmentation: Any = REGISTRY[name]
    allowed = [field.name for field in fields(augmentation)]
    for parameter in settings:
        if parameter not in allowed:
            remedy = f"use {_listed(allowed)}" if allowed else "it takes none"
            raise InputError(f"{_PARAMETERS}: {name} has no parameter {parameter!r}; {remedy}.")
    return augmentation(**settings)


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
        source: (B, L') int64, where in its own sequence each base of the result comes from; what
            is outside 0..L-1 stands for random DNA. It is overwritten.
        rng: the generator to draw from.

    Returns:
        (B, L', 4) float32, a new array.
    """
    n, length, _ = x.shape
    # Seen as unsigned, a negative number is a large one. What can be done in place is, here and in
    # the callers: to get and clear memory for a batch takes longer than to compute on it.
    new = np.flatnonzero(source.view(np.uint64) >= length)
    # A source outside its sequence may point into a neighbour, which is no harm.
    source += length * np.arange(n)[:, None]
    result = x.reshape(-1, 4).take(source, axis=0, mode="clip")
    result.reshape(-1, 4)[new] = _random_dna(len(new), rng)
    return result


@cache
def _gaussian_quantiles() -> np.ndarray:
    """Of the standard Gaussian, the 65,536 quantiles in the middle of equal shares; float32."""
    from scipy.special import ndtri  # not when a config is read

    return ndtri((np.arange(2**16) + 0.5) / 2**16).astype(np.float32)


def _random_dna(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 4) float32 random bases."""
    return _BASES[rng.integers(4, size=n)]


def _check_fit(augmentation: str, max_length: int, length: int) -> None:
    """Refuse stretches that may be longer than the sequences."""
    if max_length > length:
        raise InputError(
            f"{_PARAMETERS}: {augmentation} has max_length {max_length}, but sequences have "
            f"{length} bases; lower it, or leave {augmentation} out of {_KEY} (which the "
            "moderate shift draws from as well)."
        )


def _check_range(augmentation: str, **bounds: Any) -> None:
    """Refuse what is not two whole numbers 0 <= low <= high, given as low=..., high=...."""
    low, high = bounds.values()
    if not (_is_integer(low) and _is_integer(high) and 0 <= low <= high):
        low_name, high_name = bounds
        raise InputError(
            f"{_PARAMETERS}: {augmentation} has {low_name} {low!r} and {high_name} {high!r}; they "
            "must be whole numbers from 0, the first not above the second."
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
            f"{_PARAMETERS}: {augmentation} has {name} {value!r}; it must be a number, {limits}."
        )


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
