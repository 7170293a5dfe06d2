"""How consistent the maps of one model are: do high attributions look alike across sequences?

A model that rests on few motifs has maps whose high places point in few directions; one whose maps
are noisy has them point everywhere. Majdandzic, Rajesh, Tang, Toneyan, Labelson, Tripathy and Koo
("Selecting deep neural networks that yield consistent attribution-based interpretations for
genomics", PMLR 200:131-149, 2022) put a number on it, by maps alone: neither planted motifs nor
another model are needed. :func:`consistency` is it.
"""

from __future__ import annotations

import numpy as np

WINDOW = 3
"""Positions of a k-mer."""

SHARE = 0.1
"""Share of the windows that count as high."""

BINS = 31
"""Bins of each of the two coordinates of a direction, π/0.1."""

TIE = 1e-6
"""Maps are float32: lengths that differ by less than this part are equal."""

# Orthonormal, orthogonal to (1, 1, 1, 1), columns A, C, G, T. The last row is the pole of the
# sphere, near which bins are narrow; so it is far from the directions of the single bases.
_BASIS = np.array(
    [
        np.sqrt(2 / 3) * np.array([-1 / 2, -1 / 2, 1, 0]),
        np.sqrt(3 / 4) * np.array([-1 / 3, -1 / 3, -1 / 3, 1]),
        np.sqrt(1 / 2) * np.array([-1, 1, 0, 0]),
    ]
)


def consistency(
    maps: np.ndarray, *, window: int = WINDOW, share: float = SHARE, bins: int = BINS
) -> float:
    """KL divergence of the directions of high k-mers from directions without any preference.

    1. From the map a (L, 4) of a sequence the mean over the four bases of each position is
       subtracted; what is left lies in three dimensions, and is divided by Σ_l ‖a_l‖, so that
       every sequence counts alike.
    2. A k-mer is the sum of its k = 3 positions, v_l = a_l + a_(l+1) + a_(l+2) (:func:`embed`).
    3. Of the k-mers of all sequences the longest tenth is kept. p_b is the share of Σ‖v‖² of those
       in bin b of the sphere of directions: 31 bins of the azimuth by 31 of the cosine of the
       polar angle, B = 961 of one area (:func:`divergence`).
    4. The result is Σ_b p_b ln(p_b / q_b), q_b = 1/B, which is uniform on the sphere: 0 if there is
       no preference, ln B = 6.87 if all point into one bin.

    Of n independent k-mers of one length without preference it is (B − 1)/2n and not 0, of several
    lengths with n_eff = (Σ‖v‖²)²/Σ‖v‖⁴ in place of n (for n ≫ B), and more since k-mers overlap.
    So compare models on the same sequences, and by one method: maps whose numbers stand at the
    base that is there (DeepSHAP) prefer four directions by that alone. It rewards few directions,
    and not motifs as such: different neighbours cancel in part, so that maps whose positions are
    shuffled may have more.

    Steps 1 to 3 and k, tenth and bins are those of the authors' code (repository crajesh6/acme,
    method_2_analysis.ipynb). It differs in this:

    - Its q_b is the mean of p over the 6 × 6 bins around b, which is no distribution, is blind to
      preferences wider than these, and of 2,000 k-mers takes noise for as consistent as the maps
      of trained models; its earlier version (acme/utils.py) has a prior uniform on the sphere.
    - Its bins are equal in the polar angle and not in area, so that a prior has to be multiplied
      by the sine; the outermost ones are left out of the sum.
    - Its second coordinate lacks the third base, which bends the sphere; here axes are orthonormal.
    - Its k-mers wrap around from the end of a sequence to its start; here they do not.
    - It keeps those longer than the last of the tenth; here that one and those equal to it stay.
    - It rounds to three digits.

    Args:
        maps: (n, L, 4), of one model and head, finite.
        window: k, positions of a k-mer.
        share: of the k-mers, the part that is kept, in (0, 1]; at least one is.
        bins: of each coordinate, B = bins².

    Returns:
        In nats; NaN where all maps are zero or shorter than a k-mer.

    Raises:
        ValueError: for maps of another shape, or a setting out of its range.
    """
    return divergence(embed(maps, window=window), share=share, bins=bins)


def embed(maps: np.ndarray, *, window: int = WINDOW) -> np.ndarray:
    """The k-mers of maps, as vectors in three dimensions; steps 1 and 2 of :func:`consistency`.

    Args:
        maps: (n, L, 4).
        window: k, positions of a k-mer.

    Returns:
        (n, L − k + 1, 3) float64, as shares of the size of the sequence's map; those of a map that
        is zero are zero.

    Raises:
        ValueError: for maps of another shape, or a window below 1.
    """
    maps = np.asarray(maps, np.float64)
    if maps.ndim != 3 or maps.shape[2] != 4 or window < 1:
        raise ValueError(
            f"Consistency needs maps (n, L, 4) and k-mers of at least 1 position, but got "
            f"{maps.shape} and {window}."
        )
    # Before the projection: rounding would leave something of four equal numbers.
    points = (maps - maps.mean(axis=-1, keepdims=True)) @ _BASIS.T
    size = np.linalg.norm(points, axis=-1).sum(axis=-1)[:, None, None]
    points /= np.where(size == 0, 1, size)
    kmers = max(0, points.shape[1] - window + 1)
    # Not by differences of running sums, whose rounding errors would have a direction as well.
    total = np.zeros((len(points), kmers, 3))
    for offset in range(window if kmers else 0):
        total += points[:, offset : offset + kmers]
    return total


def divergence(points: np.ndarray, *, share: float = SHARE, bins: int = BINS) -> float:
    """KL divergence of directions from uniform ones; steps 3 and 4 of :func:`consistency`.

    Args:
        points: (..., 3), such as of :func:`embed`.
        share, bins: as for :func:`consistency`.

    Returns:
        In nats, from 0 to ln(bins²); NaN without a point that is not zero.

    Raises:
        ValueError: for points of another shape, or a setting out of its range.
    """
    points = np.asarray(points, np.float64)
    if points.shape[-1] != 3 or not 0 < share <= 1 or bins < 1:
        raise ValueError(
            f"A divergence needs points (..., 3), a share in (0, 1] and at least 1 bin, but got "
            f"{points.shape}, {share} and {bins}."
        )
    points = points.reshape(-1, 3)
    length = np.linalg.norm(points, axis=-1)
    if not length.any():
        return float("nan")
    kept = max(1, int(share * len(length)))
    last = np.partition(length, -kept)[-kept]
    high = (length > 0) & (length >= last * (1 - TIE))
    x, y, z = points[high].T
    azimuth = _bin((np.arctan2(y, x) + np.pi) / (2 * np.pi), bins)
    height = _bin((z / length[high] + 1) / 2, bins)
    weight = np.bincount(azimuth * bins + height, (length[high] / length.max()) ** 2)
    p = weight[weight > 0] / weight.sum()
    return float((p * np.log(p * bins**2)).sum())


def _bin(part: np.ndarray, bins: int) -> np.ndarray:
    """Bins of numbers from 0 to 1; 1 itself, and what rounding put outside, is in the outermost."""
    return np.clip((part * bins).astype(int), 0, bins - 1)
