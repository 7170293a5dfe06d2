"""Known motifs in sequences: consensus sequences in IUPAC letters, on both strands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from degu.errors import InputError
from degu.sequences import ALPHABET, IUPAC, reverse_complement


class Occurrence(NamedTuple):
    """A place where a consensus fits.

    Attributes:
        sequence: index of the sequence.
        name: the motif's.
        start, stop: positions from ``start`` (counted from 0) to before ``stop``.
        strand: ``+``, ``-``, or ``.`` where it fits on both, such as a palindrome.
    """

    sequence: int
    name: str
    start: int
    stop: int
    strand: str


class Mark(NamedTuple):
    """A stretch of a sequence that a figure points out.

    Attributes:
        start, stop: positions from ``start`` (counted from 0) to before ``stop``.
        name: the motif's; empty if it is not known.
    """

    start: int
    stop: int
    name: str


def occurrences(x: np.ndarray, motifs: Mapping[str, str]) -> list[Occurrence]:
    """Every place where a motif's consensus fits, without a mismatch, on either strand.

    Occurrences may overlap. An unknown base fits no letter, N included: nobody knows what it is.

    Args:
        x: (n, L, 4) one-hot; an unknown base is a zero row.
        motifs: consensus of each motif in IUPAC letters, upper case, read 5' to 3'.

    Returns:
        Occurrences by sequence, then start, then in the order of ``motifs``.

    Raises:
        InputError: for a consensus that is empty or has other letters; it names the motif.
    """
    x = np.asarray(x).astype(bool)
    found = []
    for order, (name, consensus) in enumerate(motifs.items()):
        allowed = _allowed(name, consensus)
        # The consensus fits the other strand where its reverse complement fits this one.
        strands = _fits(x, allowed), _fits(x, reverse_complement(allowed))
        for sequence, start in np.argwhere(strands[0] | strands[1]).tolist():
            plus, minus = (fits[sequence, start] for fits in strands)
            strand = "." if plus and minus else "+" if plus else "-"
            place = Occurrence(sequence, name, start, start + len(consensus), strand)
            found.append((sequence, start, order, place))
    return [place for *_, place in sorted(found)]


def spans(mask: np.ndarray) -> list[tuple[int, int]]:
    """The stretches of a mask (L,) that are not 0, as (start, stop) counted from 0."""
    edges = np.diff(np.asarray(mask).astype(bool).astype(np.int8), prepend=0, append=0)
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return list(zip(starts.tolist(), stops.tolist(), strict=True))


def marks(
    x: np.ndarray, motifs: Mapping[str, str], mask: np.ndarray | None = None
) -> list[list[Mark]]:
    """What to point out in each sequence: known motifs, or the planted ones.

    Args:
        x: (n, L, 4) one-hot.
        motifs: consensus of each motif in IUPAC letters.
        mask: (n, L), 1 where a motif was planted. If given, chance hits elsewhere are left out, and
            ``motifs`` only tell which motif it is: each stretch is divided into occurrences that do
            not overlap, long ones first. What is left of it has no name.

    Returns:
        Marks of each sequence by their start; overlapping occurrences of one motif are one mark.

    Raises:
        InputError: as :func:`occurrences`.
    """
    by_sequence: list[list[Occurrence]] = [[] for _ in x]
    for place in occurrences(x, motifs):
        by_sequence[place.sequence].append(place)
    if mask is None:
        return [_merged(found) for found in by_sequence]
    return [_planted(found, planted) for found, planted in zip(by_sequence, mask, strict=True)]


def _allowed(name: str, consensus: str) -> np.ndarray:
    """Which bases fit at each position of a consensus; (W, 4) bool."""
    if not consensus or not set(consensus) <= set(IUPAC):
        raise InputError(
            f"attribution.motifs: the consensus {consensus!r} of {name} is not made of the IUPAC "
            f"letters {''.join(IUPAC)}; write it in these, in upper case."
        )
    return np.array([[base in IUPAC[letter] for base in ALPHABET] for letter in consensus])


def _fits(x: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Whether a pattern (W, 4) fits at each start; (n, max(0, L - W + 1)) bool."""
    n, length = x.shape[:2]
    starts = max(0, length - len(allowed) + 1)
    fits = np.ones((n, starts), dtype=bool)
    for offset, bases in enumerate(allowed if starts else ()):
        fits &= x[:, offset : offset + starts, bases].any(axis=2)
    return fits


def _merged(found: Iterable[Occurrence]) -> list[Mark]:
    merged: dict[str, list[Mark]] = {}
    for place in found:
        own = merged.setdefault(place.name, [])
        if own and place.start < own[-1].stop:
            own[-1] = own[-1]._replace(stop=place.stop)
        else:
            own.append(Mark(place.start, place.stop, place.name))
    return sorted(mark for own in merged.values() for mark in own)


def _planted(found: Iterable[Occurrence], mask: np.ndarray) -> list[Mark]:
    free = np.array(mask).astype(bool)
    named = []
    for place in sorted(found, key=lambda place: place.start - place.stop):
        if free[place.start : place.stop].all():
            free[place.start : place.stop] = False
            named.append(Mark(place.start, place.stop, place.name))
    return sorted([*named, *(Mark(start, stop, "") for start, stop in spans(free))])
