"""How consistent maps are: closed forms, a brute-force twin, what must not matter, motifs."""

import math
import warnings

import numpy as np
import pytest
from consistency_twin import twin
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from degu.attribution.consistency import BINS, SHARE, WINDOW, consistency, divergence, embed

B = BINS**2
BASES = np.eye(4)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def directions(n, seed=0):
    """Unit vectors without preference, (n, 3)."""
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def made_maps(n=12, length=30, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, length, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("window", "share", "bins"), [(WINDOW, SHARE, BINS), (1, 1.0, 4), (6, 0.04, 31), (30, 0.5, 3)]
)
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_against_one_kmer_at_a_time(window, share, bins, offset):
    maps = made_maps() + np.float32(offset)  # what all four bases share says nothing
    got = consistency(maps, window=window, share=share, bins=bins)
    assert got == pytest.approx(twin(maps, window, share, bins), rel=1e-5)


def test_defaults_are_those_of_the_source():
    assert (WINDOW, SHARE, BINS) == (3, 0.1, 31)  # method_2_analysis.ipynb: k, cutoff, π/0.1


# Closed forms


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("base", range(4))
def test_one_direction_is_the_logarithm_of_the_number_of_bins(base, sign):
    """And no base lies at the edge of a bin, where rounding would tear it apart."""
    noise = made_maps() * 1e-3
    assert consistency(sign * BASES[base] + noise) == pytest.approx(math.log(B))
    assert consistency(np.full((2, 5, 4), sign * BASES[base])) == pytest.approx(math.log(B))


def test_two_directions_halve_it():
    maps = np.zeros((2, 10, 4))
    maps[0, :, 0], maps[1, :, 3] = 1, 1
    assert consistency(maps, share=1) == pytest.approx(math.log(B / 2))
    # A k-mer three times as long counts nine times.
    points = np.concatenate([np.tile([3.0, 0.1, 0.1], (5, 1)), np.tile([-0.1, 1.0, 0.1], (5, 1))])
    r2 = (points**2).sum(axis=1)[[0, -1]]
    p = r2 / r2.sum()
    assert divergence(points, share=1) == pytest.approx(math.log(B) - stats.entropy(p))


@pytest.mark.parametrize("n", [200, 20_000])
def test_without_preference_only_the_bias_is_left(n):
    """The mean of Σ (N_b/n) ln(B N_b/n), N_b being binomial; (B − 1)/2n where n is large."""
    m = np.arange(1, n + 1)
    exact = B * (stats.binom.pmf(m, n, 1 / B) * m / n * np.log(B * m / n)).sum()
    draws = [divergence(directions(n, seed), share=1) for seed in range(20)]
    assert np.mean(draws) == pytest.approx(exact, abs=4 * np.std(draws) / math.sqrt(19))
    if n > B:
        assert exact == pytest.approx((B - 1) / (2 * n), rel=0.05)


def test_bins_have_one_area():
    """Half the sphere is half the bins, whichever half; a third of the height a third."""
    points = directions(20_000)
    for axis in range(3):
        half = np.where(points[:, [axis]] > 0, 1, -1) * points
        assert divergence(half, share=1) == pytest.approx(math.log(2), abs=0.06)
    cap = points[points[:, 2] > 1 / 3]
    assert divergence(cap, share=1) == pytest.approx(math.log(3), abs=0.09)


def test_axes_are_orthonormal():
    """Lengths and angles are those of the centred map."""
    maps = made_maps()
    centred = maps.astype(float) - maps.mean(axis=2, dtype=float, keepdims=True)
    sizes = np.linalg.norm(centred, axis=2).sum(axis=1)
    points = embed(maps, window=1) * sizes[:, None, None]
    inner = np.einsum("nik,njk->nij", points, points)
    assert inner == pytest.approx(np.einsum("nik,njk->nij", centred, centred), abs=1e-9)


# What must not matter


@given(st.lists(st.floats(1e-3, 1e3), min_size=12, max_size=12), st.permutations(range(12)))
def test_neither_scale_nor_order_of_sequences_matters(scales, order):
    maps = made_maps()
    scaled = (maps * np.array(scales, np.float32)[:, None, None])[list(order)]
    assert consistency(scaled) == pytest.approx(consistency(maps), rel=1e-5)


def test_kmers_of_one_length_stay_together():
    """Of maps with few different numbers many k-mers tie; scale must not choose among them."""
    rng = np.random.default_rng(1)
    maps = BASES[rng.integers(4, size=(50, 20))].astype(np.float32)
    values = [consistency(maps * np.float32(factor)) for factor in (1, 0.1, 3, 1 / 3, 7e5)]
    assert values == pytest.approx([values[0]] * 5)
    # Kept are the k-mers of one base, which are the longest, and no others.
    assert consistency(maps, share=0.01) == pytest.approx(math.log(B / 4), abs=0.1)


def test_a_zero_map_and_zero_places_have_no_direction():
    assert math.isnan(consistency(np.zeros((3, 8, 4))))
    assert math.isnan(consistency(np.full((3, 8, 4), 0.1)))  # the same at all four bases
    assert math.isnan(consistency(np.zeros((0, 8, 4))))
    assert math.isnan(consistency(made_maps(length=2)))
    maps = made_maps()
    with_zeros = np.concatenate([maps, np.zeros_like(maps)])
    # Of twice as many k-mers, half of them zero, half the share is the same ones.
    assert consistency(with_zeros, share=0.1) == pytest.approx(consistency(maps, share=0.2))
    few = np.zeros((4, 8, 4))
    few[0, 0, 1] = 1
    assert consistency(few, share=1) == pytest.approx(math.log(B))


def test_ends_of_a_sequence_are_not_neighbours():
    maps = np.zeros((1, 9, 4))
    maps[0, 0, 0], maps[0, -1, 3] = 1, 1
    assert consistency(maps, share=1) == pytest.approx(math.log(B / 2))


# Motifs


def planted(n=100, length=60, seed=3):
    """Gradient maps of noise with one motif at a random place of each sequence; where it is."""
    rng = np.random.default_rng(seed)
    maps = 0.2 * rng.normal(size=(n, length, 4))
    motif = 2 * BASES[[2, 0, 3, 1, 2, 2]] - 0.5
    for own, start in zip(maps, rng.integers(length - len(motif), size=n), strict=True):
        own[start : start + len(motif)] += motif
    return maps


def test_planted_motifs_are_more_consistent_than_shuffled_maps():
    maps = planted()
    rng = np.random.default_rng(4)
    positions = rng.permuted(np.broadcast_to(np.arange(60), (100, 60)), axis=1)
    shuffled = np.take_along_axis(maps, positions[..., None], axis=1)
    bases = rng.permuted(maps, axis=2)
    noise = consistency(0.2 * rng.normal(size=maps.shape))
    # Of this motif; where all neighbours differ, their sums are short, and it may be otherwise.
    assert consistency(maps) > consistency(shuffled) + 0.3
    assert consistency(shuffled) > noise
    assert consistency(maps) > consistency(bases) + 0.5


def test_noise_makes_maps_less_consistent():
    maps, noise = planted(), np.random.default_rng(5).normal(size=(100, 60, 4))
    values = [consistency(maps + level * noise) for level in (0, 0.3, 0.6, 1.2, 5)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1] + 0.5


@pytest.mark.parametrize(
    "call",
    [
        lambda: embed(np.zeros((3, 4))),
        lambda: embed(np.zeros((2, 5, 3))),
        lambda: embed(np.zeros((2, 5, 4)), window=0),
        lambda: divergence(np.ones((5, 4))),
        lambda: divergence(np.ones((5, 3)), share=0),
        lambda: divergence(np.ones((5, 3)), share=1.1),
        lambda: divergence(np.ones((5, 3)), bins=0),
    ],
)
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(ValueError, match="needs"):
        call()
