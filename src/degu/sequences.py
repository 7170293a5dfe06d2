"""DNA as one-hot arrays, and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np

from degu.errors import InputError

ALPHABET = "ACGT"

IUPAC = {
    **{base: base for base in ALPHABET},
    **{"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC"},
    **{"B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT"},
}
"""Letters of a consensus, and the bases that each stands for (Cornish-Bowden, Nucleic Acids Res.
13:3021, 1985)."""

_UNKNOWN, _INVALID = 4, 5
_CODE = np.full(256, _INVALID, dtype=np.uint8)
for _i, _base in enumerate(ALPHABET):
    _CODE[ord(_base)] = _CODE[ord(_base.lower())] = _i
_CODE[ord("N")] = _CODE[ord("n")] = _UNKNOWN
# Of letters as they come: what stands for several bases is unknown.
_CODE_OF_LETTER = bytearray(_CODE.tobytes())
for _base in set(IUPAC) - set(ALPHABET):
    _CODE_OF_LETTER[ord(_base)] = _CODE_OF_LETTER[ord(_base.lower())] = _UNKNOWN
# Row 4 is the zero row of an unknown base.
_ONE_HOT = np.vstack([np.eye(4, dtype=np.uint8), np.zeros((1, 4), dtype=np.uint8)])
_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)
_N_LETTERS = len(_LETTERS)

# Sequences that are looked at at once.
_ROWS = 2**16

# Bases that a shuffle works on at once; it needs some 40 bytes for each.
_SHUFFLE_BLOCK = 2**21


def one_hot(sequences: Sequence[str]) -> np.ndarray:
    """One-hot encode sequences of one length.

    Args:
        sequences: N strings over A, C, G, T, N, in either case.

    Returns:
        (N, L, 4) uint8 in the order A, C, G, T; N becomes a zero row.

    Raises:
        InputError: if lengths differ or a character is outside ACGTN; the message names the first
            such sequence, counting from 1.
    """
    if len(sequences) == 0:
        raise InputError("There are no sequences to encode.")
    length = len(sequences[0])
    if length == 0:
        raise InputError("Sequence 1 is empty.")
    for i, sequence in enumerate(sequences):
        if len(sequence) != length:
            raise InputError(
                f"Sequence {i + 1} has {len(sequence)} bases but sequence 1 has {length}; "
                "pad or trim them to one length."
            )
    # A character beyond Latin-1 becomes "?", which is refused below with its position.
    text = "".join(sequences).encode("latin-1", "replace")
    codes = _CODE[np.frombuffer(text, dtype=np.uint8)].reshape(len(sequences), length)
    if codes.max() == _INVALID:
        row, column = np.argwhere(codes == _INVALID)[0]
        raise InputError(
            f"Sequence {row + 1} has the character {sequences[row][column]!r} at position "
            f"{column + 1}; only A, C, G, T and N are allowed."
        )
    return _ONE_HOT[codes]


class BadLetter(ValueError):
    """A letter that stands for no base.

    Attributes:
        row: of the sequence among those that were given, from 0.
        position: in the sequence, from 0.
        letter: the character.
    """

    def __init__(self, row: int, position: int, letter: str) -> None:
        super().__init__(f"sequence {row + 1} has {letter!r} at position {position + 1}")
        self.row, self.position, self.letter = row, position, letter


def letter_codes(sequences: Sequence[bytes]) -> np.ndarray:
    """Index in ACGTN of each letter, in either case; all other IUPAC letters become N.

    Args:
        sequences: N sequences of one length L.

    Returns:
        (N, L) uint8, N being 4; (0, 0) without sequences. :func:`from_codes` makes it one-hot.

    Raises:
        BadLetter: for the first letter that is none of IUPAC's for DNA: U, a gap, a digit.
        ValueError: if lengths differ.
    """
    length = len(sequences[0]) if sequences else 0
    if any(len(sequence) != length for sequence in sequences):
        raise ValueError("sequences have different lengths")
    text = bytearray().join(sequences).translate(_CODE_OF_LETTER)
    codes = np.frombuffer(text, dtype=np.uint8).reshape(len(sequences), length)
    if codes.size and codes.max() == _INVALID:
        row, position = map(int, np.unravel_index(codes.argmax(), codes.shape))
        # What comes before it is ASCII, so bytes and characters are counted alike.
        letter = sequences[row].decode(errors="replace")[position]
        raise BadLetter(row, position, letter)
    return codes


def decode(x: np.ndarray) -> list[str]:
    """Strings of one-hot sequences (N, L, 4); a zero row reads N."""
    return [row.tobytes().decode() for row in _LETTERS[base_codes(x)]]


def is_one_hot(x: np.ndarray) -> bool:
    """Whether sequences (N, L, 4) are one-hot, zero rows included."""
    blocks = (x[start : start + _ROWS] for start in range(0, len(x), _ROWS))
    return all(
        ((block == 0) | (block == 1)).all() and (block.sum(axis=2) <= 1).all() for block in blocks
    )


def from_codes(codes: np.ndarray) -> np.ndarray:
    """One-hot sequences (..., L, 4) uint8 of codes (..., L) of :func:`base_codes`."""
    return _ONE_HOT[codes]


def reverse_complement(x: np.ndarray) -> np.ndarray:
    """The other strand of one-hot sequences (..., L, 4), read 5' to 3'.

    With the order A, C, G, T, flipping positions and bases at once is the reverse complement.
    """
    return np.asarray(x)[..., ::-1, ::-1]


def dinucleotide_shuffle(x: np.ndarray, k: int, seed: int | np.random.Generator) -> np.ndarray:
    """Shuffle sequences so that every dinucleotide occurs as often as before.

    A sequence is a walk over its letters, a dinucleotide an edge, and a shuffle another Eulerian
    path over the same edges (Altschul and Erickson, Mol. Biol. Evol. 2:526, 1985).
    Every distinct shuffle is equally likely, the sequence itself included. The first and the last
    letter stay. An unknown base is a fifth letter, so dinucleotides with N are kept as well.

    Args:
        x: (n, L, 4) one-hot, any numeric type; an unknown base is a zero row.
        k: shuffles of each sequence.
        seed: a seed, or the generator to draw from.

    Returns:
        (n, k, L, 4) uint8; memory beyond the result is bounded, whatever n and k. The counting
        is exact below L = 200,000.

    Raises:
        InputError: if x is not one-hot or k is below 1.
    """
    x = np.asarray(x)
    if x.ndim != 3 or x.shape[1] == 0 or x.shape[2] != 4:
        raise InputError(f"A shuffle needs sequences of shape (n, L, 4), but got {x.shape}.")
    if k < 1:
        raise InputError(f"A shuffle needs k of at least 1, but got {k}.")
    rng = np.random.default_rng(seed)
    n, length = x.shape[:2]
    shuffled = np.empty((n * k, length, 4), dtype=np.uint8)
    step = max(1, _SHUFFLE_BLOCK // length)
    for start in range(0, n * k, step):
        stop = min(start + step, n * k)
        first, last = start // k, (stop - 1) // k
        block = x[first : last + 1]
        if not is_one_hot(block):
            raise InputError("A shuffle needs one-hot sequences; these hold other values.")
        sources = np.arange(start, stop) // k - first
        shuffled[start:stop] = _ONE_HOT[_eulerian_paths(base_codes(block), sources, rng)]
    return shuffled.reshape(n, k, length, 4)


def base_codes(x: np.ndarray) -> np.ndarray:
    """Index in ACGTN of each base of one-hot sequences (..., L, 4); (..., L) uint8."""
    x = np.asarray(x)
    return np.where(x.any(axis=-1), x.argmax(axis=-1), _UNKNOWN).astype(np.uint8)


@cache
def _arborescences() -> np.ndarray:
    """Every tree over the letters whose edges lead to its root.

    Returns:
        (5, 125, 5): for each root and tree, the letter that each letter leads to; the root leads
        to itself. Cayley's formula gives their number, 5^3.
    """
    letters = range(_N_LETTERS)
    trees = []
    for root in letters:
        choices = ([root] if v == root else [w for w in letters if w != v] for v in letters)
        functions = np.array(list(product(*choices)))
        reached = functions
        for _ in letters:
            reached = np.take_along_axis(functions, reached, axis=1)
        trees.append(functions[(reached == root).all(axis=1)])
    return np.stack(trees)


def _eulerian_paths(codes: np.ndarray, sources: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One uniformly drawn Eulerian path for each entry of ``sources``.

    The edges by which a path leaves each letter for the last time form a tree to the last letter
    of the sequence, and the other edges may be used in any order. There are few trees over five
    letters, so one is drawn exactly, by how many choices of edges it stands for.

    Args:
        codes: (m, L) sequences over 0..4.
        sources: (b,) row of ``codes`` that each path shuffles.
        rng: the generator to draw from.

    Returns:
        (b, L) uint8.
    """
    m, length = codes.shape
    b = len(sources)
    if length < 3:
        return codes[sources]
    rows = np.arange(m)
    edges = codes[:, :-1] * np.uint8(_N_LETTERS) + codes[:, 1:]
    n_edges = _N_LETTERS**2
    counts = np.bincount((rows[:, None] * n_edges + edges).ravel(), minlength=m * n_edges)
    counts = counts.reshape(m, _N_LETTERS, _N_LETTERS)
    out_degree = counts.sum(axis=2)
    position = np.zeros((m, n_edges), dtype=np.int64)
    position[rows[:, None], edges] = np.arange(length - 1)

    # How many choices of last edges each tree stands for. A letter that is never left puts no
    # constraint: a single made-up edge to the root keeps it out of the product.
    root = codes[:, -1]
    trees = _arborescences()[root]
    capacity = counts.copy()
    for letter in range(_N_LETTERS):
        never_left = (out_degree[:, letter] == 0).nonzero()[0]
        capacity[never_left, letter, root[never_left]] = 1
    capacity[rows, root, root] = 1
    weights = np.ones(trees.shape[:2], dtype=np.int64)
    for letter in range(_N_LETTERS):
        weights *= capacity[rows[:, None], letter, trees[:, :, letter]]
    cumulative = weights.cumsum(axis=1)
    drawn = rng.integers(cumulative[sources, -1])
    tree = trees[sources, (cumulative[sources] <= drawn[:, None]).sum(axis=1)]

    # Sorting by (letter left, is it the last time, random bits) puts the edges of each letter in
    # order of use; the lowest three bits carry along the letter that the edge leads to.
    keys = rng.integers(2**60, size=(b, length - 1), dtype=np.uint64) & ~np.uint64(7)
    keys |= (codes[:, 1:].astype(np.uint64) | codes[:, :-1].astype(np.uint64) << np.uint64(61))[
        sources
    ]
    for letter in range(_N_LETTERS):
        path = ((root[sources] != letter) & (out_degree[sources, letter] > 0)).nonzero()[0]
        edge = letter * _N_LETTERS + tree[path, letter]
        keys[path, position[sources[path], edge]] |= np.uint64(1 << 60)
    keys.sort(axis=1)
    heads = (keys & np.uint64(7)).astype(np.uint8).ravel()

    # Where in `heads` the next unused edge of each letter is.
    following = out_degree.cumsum(axis=1) - out_degree
    following = (following[sources] + np.arange(b)[:, None] * (length - 1)).ravel()
    paths = np.empty((length, b), dtype=np.uint8)
    paths[0] = codes[sources, 0]
    offset = np.arange(b) * _N_LETTERS
    for step in range(1, length):
        slot = offset + paths[step - 1]
        edge = following[slot]
        paths[step] = heads[edge]
        following[slot] = edge + 1
    return paths.T
