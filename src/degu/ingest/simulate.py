"""A simulated STARR-seq assay with known motifs and known noise: the embedded default data set.

Sequences
    A background is a first-order Markov chain with the strand-symmetric dinucleotide composition
    of non-coding (four of five sequences) or coding (one of five) *D. melanogaster* DNA. Motifs
    (:data:`MOTIFS`) are planted on it: 0 to 6 for each target, every combination but none at all
    equally likely; each of a random family of that target, on a random strand, at random places
    without overlap. With ``rarity`` r, 1 : r : r² : r³ of a target's motifs are of its strongest,
    ..., its weakest family. With 1 all are equally common; with more, models see few examples of
    what matters most. Ambiguous letters of a consensus are drawn uniformly. In short sequences
    motifs cover at most half of the bases; those beyond are left out.

Activity, in log2 enrichment
    A motif instance i has the affinity ``a_i = strength · WEAK ** mismatches``, where mismatches
    are counted against the strongest variant of its family. Two motifs for one target with
    centres d bp apart are synergistic if ``SPACING[0] <= d <= SPACING[1]``. The occupancy is::

        S = Σ_i a_i + SYNERGY · Σ_{i<j} a_i a_j [SPACING[0] <= d_ij <= SPACING[1]]

    and the activity saturates with it, from BASAL (no motif) to at most BASAL + RANGE::

        activity = BASAL + RANGE · S / (S + HALF)

Decoys
    A share of the sequences (``decoys``) is replaced, each by a dinucleotide shuffle of itself
    that has lost its motifs and has the activity BASAL, so that composition alone does not tell an
    enhancer. Hits of a motif that arise by chance have no effect and are not in the mask.

Measurements
    Each of ``replicates`` is the activity plus Gaussian noise, independent between replicates and
    targets, whose std is known (:func:`noise_std`): it is greater for weak and for GC-rich
    sequences, as counting noise and the amplification of a library make it::

        std = noise · (1.5 - (activity - BASAL) / RANGE) · (0.25 + 2 · GC share)

    ``y`` is the mean of the replicates, ``y_std`` their std (ddof 1) and ``y_replicates`` their
    number.

With the defaults of :func:`simulate` (249 bp, all families alike), activities have a mean of 1.0
(Dev) and 0.6 (Hk) and a std of 2.1 and 1.8, and the noise of a replicate a std of 0.46 on average
(0.28 to 0.71 for the middle 98%). The activity itself, the best possible prediction, has a Pearson
correlation of 0.99 with ``y``. Ridge regression on counts of motif hits reaches 0.94 to 0.96, on
dinucleotides 0.2 to 0.3 (6,000 sequences). In the embedded study (100 bp, few decoys, strong
families 64 times rarer than the weakest) means are 1.0 and 0.3, stds 1.7 and 1.3, the noise is 0.50
(0.32 to 0.72), the best correlation 0.99 and 0.97; the regressions reach 0.92, and 0.55 and 0.34.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from degu.errors import InputError
from degu.sequences import ALPHABET, IUPAC, dinucleotide_shuffle
from degu.sweep import derive_seed

TARGETS = ("Dev", "Hk")


class Motif(NamedTuple):
    """A family of binding sites.

    Attributes:
        name: the factor, or the published name of the motif.
        target: the target that it activates.
        consensus: IUPAC letters.
        strongest: the variant with the full strength.
        strength: contribution of the strongest variant to the occupancy.
    """

    name: str
    target: str
    consensus: str
    strongest: str
    strength: float


# Developmental: binding sites of the factors that dominate enhancers of S2 cells (de Almeida et
# al., Nat. Genet. 54:613, 2022). Housekeeping: core promoter elements of dispersed initiation
# (Ohler et al., Genome Biol. 3:research0087, 2002), as listed by Chen et al., eLife 2:e00861, 2013.
MOTIFS = (
    Motif("AP-1", "Dev", "TGACTCA", "TGACTCA", 1.5),
    Motif("GATA", "Dev", "WGATAAG", "AGATAAG", 1.2),
    Motif("twist", "Dev", "CAYATG", "CATATG", 1.0),
    Motif("Trl", "Dev", "GAGAGAG", "GAGAGAG", 0.8),
    Motif("DRE", "Hk", "WATCGATW", "TATCGATA", 1.5),
    Motif("Ohler-1", "Hk", "YGGTCACACTR", "TGGTCACACTG", 1.2),
    Motif("Ohler-6", "Hk", "YRGTATWTTY", "CGGTATTTTT", 1.0),
    Motif("Ohler-7", "Hk", "CAKCNCTR", "CATCACTA", 0.8),
)
MOST_MOTIFS = 6  # of one target in one sequence
WEAK = 0.75
SPACING = (10, 40)
SYNERGY = 0.5
BASAL = -1.5
RANGE = 8.0
HALF = 4.0

# Dinucleotide frequencies of D. melanogaster (Bergman et al., Genome Biol. 3:research0086, 2002,
# table 3); rows are the first base, columns the second, both in the order A, C, G, T.
NON_CODING = (
    (0.110, 0.052, 0.052, 0.086),
    (0.068, 0.043, 0.037, 0.052),
    (0.053, 0.052, 0.043, 0.052),
    (0.069, 0.053, 0.068, 0.110),
)
CODING = (
    (0.057, 0.054, 0.063, 0.057),
    (0.075, 0.067, 0.064, 0.063),
    (0.067, 0.081, 0.067, 0.054),
    (0.032, 0.067, 0.075, 0.057),
)
CODING_SHARE = 0.2

_SHORTEST = 2 * max(len(motif.consensus) for motif in MOTIFS)
_BLOCK = 8192


class Simulation(NamedTuple):
    """Simulated sequences with everything that an assay would not tell.

    Attributes:
        x: (n, L, 4) uint8 one-hot.
        replicates: (R, n, T) float64 measurements, log2 enrichment.
        activity: (n, T) float64, what they would be without noise.
        noise_std: (n, T) float64, std of one replicate around the activity.
        motif_mask: (n, L, T) uint8, 1 where a motif planted for the target lies.
        decoy: (n,) bool, whether the sequence is a shuffle.
    """

    x: np.ndarray
    replicates: np.ndarray
    activity: np.ndarray
    noise_std: np.ndarray
    motif_mask: np.ndarray
    decoy: np.ndarray


def preflight(data: Mapping[str, Any], targets: Sequence[str]) -> None:
    """Check the targets and the length; InputError if the simulation cannot give them."""
    if not targets or len(set(targets)) < len(targets) or not set(targets) <= set(TARGETS):
        raise InputError(
            f"targets: the simulated assay measures {' and '.join(TARGETS)}, not "
            f"{list(targets)}; set targets to [{', '.join(TARGETS)}] or to one of them."
        )
    if data["length"] < _SHORTEST:
        raise InputError(
            f"data.length: {data['length']} bp are too few to plant motifs; use at least "
            f"{_SHORTEST}."
        )


def ingest(
    data: Mapping[str, Any], targets: Sequence[str], path: str | os.PathLike[str], seed: int
) -> None:
    """Simulate the three splits and write ``path``.

    Splits are drawn from seeds of their own, so the size of one does not change another. All
    get the truth behind their measurements, Test also ``motif_mask``.

    Raises:
        InputError: as :func:`preflight`.
    """
    from degu.dataset import Split, write_dataset  # HDF5 takes long to import

    preflight(data, targets)
    columns = [TARGETS.index(target) for target in targets]
    splits = {}
    for name, key in (("Train", "n_train"), ("Val", "n_val"), ("Test", "n_test")):
        simulation = simulate(
            data[key],
            length=data["length"],
            replicates=data["replicates"],
            decoys=data["decoys"],
            noise=data["noise"],
            rarity=data["rarity"],
            seed=derive_seed(seed, "simulate", split=name),
        )
        mean, std = _mean_and_std(simulation.replicates[:, :, columns])
        splits[name] = Split(
            x=simulation.x,
            y=mean,
            y_std=std,
            y_replicates=None if std is None else np.full(std.shape, data["replicates"]),
            id=np.array([f"{name.lower()}_{i:06d}" for i in range(1, data[key] + 1)]),
            motif_mask=simulation.motif_mask[:, :, columns] if name == "Test" else None,
            activity=simulation.activity[:, columns],
            noise_std=simulation.noise_std[:, columns],
        )
    write_dataset(path, splits, targets=targets, source=f"simulated STARR-seq, seed {seed}")


def simulate(
    n: int,
    *,
    length: int = 249,
    replicates: int = 3,
    decoys: float = 0.25,
    noise: float = 0.35,
    rarity: int = 1,
    seed: int = 1234,
) -> Simulation:
    """Simulate sequences and their measurements, as the module's docstring describes.

    Motifs, decoys and noise have seeds of their own: sequences are the same whatever the noise,
    and those that are not decoys are the same whatever the share of decoys.

    Args:
        n: number of sequences.
        length: bp.
        replicates: measurements of each sequence.
        decoys: share of shuffles, from 0 to 1.
        noise: scale of :func:`noise_std`, log2 enrichment.
        rarity: how many times rarer a family is than the next weaker one of its target.
        seed: seed of everything.
    """
    rng = np.random.default_rng(derive_seed(seed, "motifs"))
    x = np.empty((n, length, 4), dtype=np.uint8)
    mask = np.empty((n, length, len(TARGETS)), dtype=np.uint8)
    activity = np.empty((n, len(TARGETS)))
    for start in range(0, n, _BLOCK):
        block = slice(start, min(start + _BLOCK, n))
        codes = _background(block.stop - start, length, rng)
        mask[block], occupancy = _plant(codes, rarity, rng)
        x[block] = np.eye(4, dtype=np.uint8)[codes]
        activity[block] = BASAL + RANGE * (occupancy / (occupancy + HALF))

    rng = np.random.default_rng(derive_seed(seed, "decoys"))
    decoy = np.zeros(n, dtype=bool)
    decoy[rng.permutation(n)[: round(n * decoys)]] = True
    x[decoy] = dinucleotide_shuffle(x[decoy], 1, rng)[:, 0]
    mask[decoy] = 0
    activity[decoy] = BASAL

    rng = np.random.default_rng(derive_seed(seed, "noise"))
    std = noise_std(x, activity, noise)
    measured = activity + std * rng.standard_normal((replicates, n, len(TARGETS)))
    return Simulation(x, measured, activity, std, mask, decoy)


def noise_std(x: np.ndarray, activity: np.ndarray, noise: float = 0.35) -> np.ndarray:
    """The std of one replicate around the activity, as the module's docstring describes.

    Args:
        x: (n, L, 4) one-hot.
        activity: (n, T) without noise, log2 enrichment.
        noise: the scale; log2 enrichment.

    Returns:
        (n, T) float64, log2 enrichment.
    """
    gc = x[:, :, 1:3].sum(axis=(1, 2), dtype=np.int64) / x.shape[1]
    return noise * (1.5 - (activity - BASAL) / RANGE) * (0.25 + 2 * gc)[:, None]


def _mean_and_std(replicates: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean and ddof-1 std over the first axis, float32; no std of a single replicate."""
    mean = replicates.mean(axis=0).astype(np.float32)
    if len(replicates) < 2:
        return mean, None
    return mean, replicates.std(axis=0, ddof=1).astype(np.float32)


def _background(n: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Markov chains (n, length) over 0..3."""
    frequencies = np.array([NON_CODING, CODING])
    marginal = frequencies.sum(axis=2)
    first = (marginal / marginal.sum(axis=1, keepdims=True)).cumsum(axis=1)[:, :-1]
    following = (frequencies / marginal[:, :, None]).cumsum(axis=2)[:, :, :-1].reshape(8, 3)
    coding = (rng.random(n) < CODING_SHARE).astype(np.intp)
    codes = np.empty((length, n), dtype=np.uint8)
    codes[0] = (rng.random(n)[:, None] >= first[coding]).sum(axis=1)
    for i in range(1, length):
        thresholds = following[4 * coding + codes[i - 1]]
        codes[i] = (rng.random(n)[:, None] >= thresholds).sum(axis=1)
    return np.ascontiguousarray(codes.T)


def _plant(
    codes: np.ndarray, rarity: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Write motifs into ``codes`` (n, L), in place.

    Returns:
        The mask (n, L, T) of what they cover, and the occupancy S (n, T) that they add up to.
    """
    n, length = codes.shape
    n_slots = MOST_MOTIFS * len(TARGETS)
    target = np.repeat(np.arange(len(TARGETS)), MOST_MOTIFS)
    widths = np.array([len(motif.consensus) for motif in MOTIFS])
    # Strongest first, which is the rarest.
    families = [
        sorted(
            (i for i, m in enumerate(MOTIFS) if m.target == name),
            key=lambda i: -MOTIFS[i].strength,
        )
        for name in TARGETS
    ]

    # Digits in base 7 of 1..48 are the numbers of Dev and Hk motifs, never both zero.
    drawn = rng.integers(1, (MOST_MOTIFS + 1) ** 2, size=n)
    number = np.stack(np.divmod(drawn, MOST_MOTIFS + 1), axis=1)
    planted = np.tile(np.arange(MOST_MOTIFS), len(TARGETS)) < number[:, target]
    # Tickets of a lottery: integers, which are drawn alike on every machine.
    tickets = np.cumsum([rarity**rank for rank in range(len(families[0]))])
    pick = tickets.searchsorted(rng.integers(tickets[-1], size=(n, n_slots)), side="right")
    family = np.array(families)[target, pick]
    reverse = rng.integers(2, size=(n, n_slots), dtype=np.uint8) == 1

    # Sorted cuts of the uncovered bases place the motifs without overlap, in a random order, which
    # also decides which of them a short sequence has no room for.
    order = rng.permuted(np.tile(np.arange(n_slots), (n, 1)), axis=1)
    width = np.take_along_axis(np.where(planted, widths[family], 0), order, axis=1)
    width[width.cumsum(axis=1) > length // 2] = 0
    covered = width.cumsum(axis=1)
    cuts = np.sort(rng.integers(length + 1 - covered[:, -1:], size=(n, n_slots)), axis=1)
    start = np.empty((n, n_slots), dtype=np.int64)
    np.put_along_axis(start, order, cuts + covered - width, axis=1)
    fits = np.empty((n, n_slots), dtype=bool)
    np.put_along_axis(fits, order, width > 0, axis=1)

    mask = np.zeros((n, length, len(TARGETS)), dtype=np.uint8)
    affinity = np.zeros((n, n_slots))
    for i, motif in enumerate(MOTIFS):
        rows, slots = np.nonzero(fits & (family == i))
        letters, strength = _instances(motif, len(rows), rng)
        flipped = reverse[rows, slots]
        letters[flipped] = 3 - letters[flipped, ::-1]
        positions = start[rows, slots, None] + np.arange(widths[i])
        codes[rows[:, None], positions] = letters
        mask[rows[:, None], positions, TARGETS.index(motif.target)] = 1
        affinity[rows, slots] = strength
    return mask, _occupancy(affinity, 2 * start + widths[family])


def _instances(motif: Motif, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Variants of a motif: (n, width) over 0..3, and their affinities (n,)."""
    letters = np.empty((n, len(motif.consensus)), dtype=np.uint8)
    mismatches = np.zeros(n, dtype=np.intp)
    for position, (symbol, best) in enumerate(zip(motif.consensus, motif.strongest, strict=True)):
        choices = np.array([ALPHABET.index(base) for base in IUPAC[symbol]], dtype=np.uint8)
        letters[:, position] = choices[rng.integers(len(choices), size=n)]
        mismatches += letters[:, position] != ALPHABET.index(best)
    return letters, motif.strength * _powers(WEAK, len(motif.consensus))[mismatches]


def _powers(base: float, n: int) -> np.ndarray:
    """1, base, base², ... base^n by multiplication, which rounds alike on every machine."""
    return np.multiply.accumulate([1.0, *[base] * n])


def _occupancy(affinity: np.ndarray, twice_centre: np.ndarray) -> np.ndarray:
    """S of the module's docstring, (n, T), from the slots' affinities and twice their centres."""
    occupancy = np.zeros((len(affinity), len(TARGETS)))
    for target in range(len(TARGETS)):
        slots = range(target * MOST_MOTIFS, (target + 1) * MOST_MOTIFS)
        # Added slot by slot: the order of a sum, and so its rounding, is the same everywhere.
        for i in slots:
            occupancy[:, target] += affinity[:, i]
            for j in range(i + 1, slots.stop):
                distance = np.abs(twice_centre[:, i] - twice_centre[:, j])
                near = (2 * SPACING[0] <= distance) & (distance <= 2 * SPACING[1])
                occupancy[:, target] += SYNERGY * near * affinity[:, i] * affinity[:, j]
    return occupancy
