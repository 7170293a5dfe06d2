"""Scores against closed forms, other libraries, and brute force over all orders of ties."""

import warnings
from itertools import pairwise, permutations

import numpy as np
import pytest
import uncertainty_toolbox as uct
from scipy import stats
from sklearn.metrics import mean_pinball_loss

from degu.calibration import scores
from degu.calibration.laws import Gaussian
from degu.calibration.scores import LEVELS


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def predicted(rng):
    """Means, stds and measurements that are 1.5 times as wide as claimed."""
    mean, std = rng.normal(size=400), rng.uniform(0.1, 2, 400)
    return mean, std, mean + 1.5 * std * rng.normal(size=400)


def gaussian_intervals(mean, std):
    half = std * stats.norm.ppf((1 + np.array(LEVELS)) / 2)[:, None]
    return mean - half, mean + half


def test_levels_are_those_of_the_tables():
    assert LEVELS == (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
    assert scores.QUANTILES[0] == 0.05
    assert scores.QUANTILES[-1] == 0.95


def test_interval_score_in_closed_form():
    """Width, and 2/α for each unit outside: 20 at 90%."""
    y = np.array([1.5, 0.0, 4.0, 1.0, 2.0])
    got = scores.interval_score(np.ones(5), np.full(5, 2.0), y, 0.9)
    np.testing.assert_allclose(got, [1, 1 + 20, 1 + 40, 1, 1])


def test_interval_score_is_that_of_uncertainty_toolbox(predicted):
    mean, std, y = predicted
    expected = uct.interval_score(mean, std, y, start_p=0.9, end_p=0.9, resolution=1)
    lower, upper = Gaussian(mean, std).interval(0.9)
    got = scores.interval_score(lower, upper, y, 0.9)
    np.testing.assert_allclose(got.mean(), expected)


def test_endless_intervals_have_endless_scores_and_cover():
    lower, upper = np.array([-np.inf, -np.inf, 0.0, 0.0]), np.array([np.inf, 1.0, np.inf, 1.0])
    y = np.zeros(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = scores.interval_score(lower, upper, y, 0.9)
        weighted = scores.weighted_interval_score(y, lower[None], upper[None], y, [0.9])
    assert score.tolist() == [np.inf] * 3 + [1.0]
    assert weighted[:3].tolist() == [np.inf] * 3
    assert scores.covered(lower, upper, y).all()


def test_scores_of_one_sequence_keep_their_shape():
    one = np.ones(1)
    assert scores.interval_score(one, one, one, 0.5).shape == (1,)
    with pytest.raises(ValueError, match="Shapes differ"):
        scores.interval_score(np.ones(3), np.ones(3), np.ones((3, 1)), 0.5)


def test_ends_are_within():
    assert scores.covered(np.zeros(3), np.ones(3), np.array([0, 1, 1.1])).tolist() == [
        *(True, True),
        False,
    ]


def test_weighted_interval_score_is_a_mean_of_pinball_losses(predicted):
    """The K intervals and the median are 2K + 1 quantiles (Bracher et al. 2021, equation 2)."""
    mean, std, y = predicted
    lowers, uppers = gaussian_intervals(mean, std)
    got = scores.weighted_interval_score(mean, lowers, uppers, y)
    losses = [mean_pinball_loss(y, mean, alpha=0.5)]
    for level, lower, upper in zip(LEVELS, lowers, uppers, strict=True):
        losses += [
            mean_pinball_loss(y, lower, alpha=(1 - level) / 2),
            mean_pinball_loss(y, upper, alpha=(1 + level) / 2),
        ]
    np.testing.assert_allclose(got.mean(), 2 * np.mean(losses))


def test_weighted_interval_score_comes_close_to_the_crps(predicted):
    mean, std, y = predicted
    levels = np.arange(1, 1000) / 1000
    half = std * stats.norm.ppf((1 + levels) / 2)[:, None]
    got = scores.weighted_interval_score(mean, mean - half, mean + half, y, levels)
    np.testing.assert_allclose(got, Gaussian(mean, std).crps(y), rtol=0.01, atol=1e-3)


def test_gaussian_scores_are_those_of_uncertainty_toolbox(predicted):
    mean, std, y = predicted
    law = Gaussian(mean, std)
    np.testing.assert_allclose(-law.log_density(y).mean(), uct.nll_gaussian(mean, std, y))
    np.testing.assert_allclose(law.crps(y).mean(), uct.crps_gaussian(mean, std, y))
    np.testing.assert_allclose(scores.sharpness(std), uct.sharpness(std))


def test_quantile_calibration_error_is_that_of_uncertainty_toolbox(predicted):
    mean, std, y = predicted
    expected = uct.mean_absolute_calibration_error(mean, std, y, num_bins=101, prop_type="quantile")
    probabilities = np.linspace(0, 1, 101)
    below = scores.below_quantiles(scores.pit(Gaussian(mean, std), y), probabilities)
    assert below.shape == (101, 400)
    got = scores.quantile_calibration_error(below, probabilities)
    assert got == pytest.approx(expected, rel=1e-9)
    assert got > 0.04
    shares = scores.reliability(Gaussian(mean, std), y, probabilities)
    np.testing.assert_allclose(shares, below.mean(axis=1))
    assert scores.quantile_calibration_error(shares, probabilities) == pytest.approx(got)


def test_pit_values_of_calibrated_laws_are_uniform():
    """The quantiles of 200 even probabilities: ten in each of twenty bins."""
    mean, std = np.full(200, 3.0), np.full(200, 0.1)
    y = stats.norm.ppf((np.arange(200) + 0.5) / 200, 3, 0.1)
    got = scores.pit_histogram(scores.pit(Gaussian(mean, std), y))
    np.testing.assert_allclose(got, 1 / 20)


def test_pit_histogram_of_laws_half_as_wide_is_u_shaped():
    """The lowest of n bins holds Φ(Φ⁻¹(1/n)/2)."""
    n = 100_000
    y = stats.norm.ppf((np.arange(n) + 0.5) / n, scale=2)
    got = scores.pit_histogram(scores.pit(Gaussian(np.zeros(n), np.ones(n)), y), bins=10)
    expected = stats.norm.cdf(stats.norm.ppf(0.1) / 2)
    np.testing.assert_allclose(got[[0, -1]], expected, atol=1e-4)
    assert (got[1:-1] < 0.1).all()


def test_pit_histogram_leaves_out_what_is_missing():
    got = scores.pit_histogram(np.array([0.0, 1.0, np.nan, 0.6]), bins=2)
    np.testing.assert_allclose(got, [1 / 3, 2 / 3])
    np.testing.assert_allclose(
        scores.pit_histogram(np.array([0.55, 0.62]), bins=10)[5:7], [0.5, 0.5]
    )


def test_fair_crps_of_an_ensemble_in_closed_form(rng):
    members, y = rng.normal(size=(4, 6)), rng.normal(size=6)
    for i, value in enumerate(scores.ensemble_crps(members, y)):
        x = members[:, i]
        pairs = np.abs(x[:, None] - x).sum() / (2 * 4 * 3)
        assert value == pytest.approx(np.abs(x - y[i]).mean() - pairs)


@pytest.mark.parametrize("size", [2, 5, 20])
def test_fair_crps_does_not_depend_on_the_size(size):
    """That of draws from the truth itself is 1/√π whatever their number."""
    rng = np.random.default_rng(1)
    got = scores.ensemble_crps(rng.normal(size=(size, 20_000)), rng.normal(size=20_000))
    assert got.mean() == pytest.approx(1 / np.sqrt(np.pi), abs=4 * got.std() / np.sqrt(20_000))


# ENCE


@pytest.mark.parametrize(("factor", "expected"), [(1, 0), (2, 1), (0.5, 0.5)])
def test_ence_of_errors_that_are_all_a_multiple_of_the_std(rng, factor, expected):
    std = rng.uniform(0.1, 2, 95)
    error = factor * std * rng.choice([-1, 1], 95)
    assert scores.ence(std, error) == pytest.approx(expected)


def test_ence_of_distinct_stds_is_that_of_equal_parts(rng):
    std, error = rng.uniform(0.1, 2, 120), rng.normal(size=120)
    expected = []
    for part in np.array_split(np.argsort(std), 12):
        rmv, rmse = np.sqrt(np.mean(std[part] ** 2)), np.sqrt(np.mean(error[part] ** 2))
        expected.append(abs(rmv - rmse) / rmv)
    assert scores.ence(std, error, bins=12) == pytest.approx(np.mean(expected))


def test_a_constant_std_is_one_bin(rng):
    error = rng.normal(size=200)
    expected = abs(2 - np.sqrt(np.mean(error**2))) / 2
    assert scores.ence(np.full(200, 2.0), error) == pytest.approx(expected)


def test_equal_stds_are_never_of_two_bins(rng):
    """Whatever the order of the sequences; half of the stds at a floor, as of a poor head."""
    std = np.concatenate([np.full(50, 0.001), rng.uniform(0.1, 1, 50)])
    error = rng.normal(size=100)
    got = scores.ence(std, error)
    at_floor = np.sqrt(np.mean(error[:50] ** 2))
    parts = [abs(0.001 - at_floor) / 0.001]
    for part in np.array_split(50 + np.argsort(std[50:]), 5):
        rmv, rmse = np.sqrt(np.mean(std[part] ** 2)), np.sqrt(np.mean(error[part] ** 2))
        parts.append(abs(rmv - rmse) / rmv)
    assert got == pytest.approx(np.mean(parts))
    for _ in range(5):
        order = rng.permutation(100)
        assert scores.ence(std[order], error[order]) == pytest.approx(got, rel=1e-12)


def test_the_calibrated_reference_grows_with_the_root_of_the_bins(rng):
    """In a bin of m the relative error of an RMS is about |N(0, 1/(2m))|: 1/√(πm) on average."""
    std = rng.uniform(0.999, 1.001, 4000)
    got = {bins: scores.ence_reference(std, bins, seed=1, draws=60) for bins in (10, 40, 160)}
    for bins, value in got.items():
        assert value == pytest.approx(1 / np.sqrt(np.pi * 4000 / bins), rel=0.06)
    assert scores.ence_reference(std, 10, seed=1, draws=60) == got[10]
    assert scores.ence_reference(std, 10, seed=2, draws=60) != got[10]


def test_the_reference_of_a_constant_std_is_that_of_one_bin():
    got = scores.ence_reference(np.full(400, 7.0), bins=50, seed=1, draws=400)
    assert got == pytest.approx(1 / np.sqrt(np.pi * 400), rel=0.15)


def test_calibrated_errors_have_the_ence_of_the_reference(rng):
    std = rng.lognormal(size=5000)
    calibrated = scores.ence(std, std * rng.normal(size=5000), bins=20)
    reference = scores.ence_reference(std, 20)
    assert 0.5 * reference < calibrated < 1.6 * reference
    assert scores.ence(std, 1.3 * std * rng.normal(size=5000), bins=20) > 4 * reference


# Sparsification


def brute_force(std, error):
    """Sparsification after k = 0 to N − 1 sequences, averaged over all orders of equal stds."""
    curves = []
    for order in permutations(range(len(std))):
        if all(std[a] >= std[b] for a, b in pairwise(order)):
            left = np.array([np.mean(error[list(order[k:])]) for k in range(len(std))])
            curves.append(left / np.mean(error))
    return np.mean(curves, axis=0)


TIES = [
    ([1, 1, 2, 2, 2, 3], [0.5, 2.0, 1.0, 3.0, 0.1, 4.0]),
    ([3, 1, 3, 1, 3, 1], [5.0, 2.0, 0.0, 3.0, 0.7, 1.0]),
    ([1, 1, 1, 1, 1, 1], [5.0, 2.0, 0.0, 3.0, 0.7, 1.0]),
    ([6, 5, 4, 3, 2, 1], [5.0, 2.0, 0.0, 3.0, 0.7, 1.0]),
    ([0.2, 0.2], [1.0, 3.0]),
    ([0.2], [3.0]),
]


@pytest.mark.parametrize(("std", "error"), TIES)
def test_ties_are_averaged_over_all_orders(std, error):
    std, error = np.array(std), np.array(error)
    n = len(std)
    curve, oracle = brute_force(std, error), brute_force(error, error)
    got = scores.sparsification(std, -error, points=n + 1)
    np.testing.assert_allclose(got.fractions, np.arange(n + 1) / n)
    np.testing.assert_allclose(got.curve[:-1], curve)
    np.testing.assert_allclose(got.oracle[:-1], oracle, atol=1e-12)
    # At 1 nothing is left: the limit is the most certain one's error.
    assert got.curve[-1] == pytest.approx(curve[-1])
    area = sum((curve - oracle)[i : i + 2].sum() / 2 / n for i in range(n - 1))
    assert scores.ause(std, error) == pytest.approx(area, abs=1e-12)


def test_a_constant_std_is_the_flat_line(rng):
    error = rng.normal(size=300)
    np.testing.assert_allclose(scores.sparsification(np.full(300, 0.3), error).curve, 1)


def test_the_area_is_0_for_the_order_of_the_errors_and_largest_for_its_reverse(rng):
    error = rng.normal(size=300)
    perfect = scores.sparsification(np.abs(error), error)
    np.testing.assert_allclose(perfect.curve, perfect.oracle)
    assert scores.ause(np.abs(error) ** 3, error) == pytest.approx(0, abs=1e-12)
    flat, reverse = scores.ause(np.ones(300), error), scores.ause(-np.abs(error), error)
    assert 0 < scores.ause(rng.uniform(size=300), error) < reverse
    assert 0 < flat < reverse


def test_the_flat_area_of_even_errors_in_closed_form():
    """Of errors uniform on (0, 1) the oracle is 1 − f, and the area between it and 1 is ½."""
    n = 5000
    assert scores.ause(np.ones(n), (np.arange(n) + 0.5) / n) == pytest.approx(0.5, abs=1e-3)


def test_the_area_has_no_unit(rng):
    std, error = rng.uniform(size=200), rng.normal(size=200)
    assert scores.ause(7 * std, 100 * error) == pytest.approx(scores.ause(std, error))


def test_no_error_at_all_has_no_curve():
    assert np.isnan(scores.ause(np.ones(3), np.zeros(3)))
    assert np.isnan(scores.sparsification(np.ones(3), np.zeros(3)).curve).all()
    assert np.isnan(scores.ause(np.array([1, np.nan]), np.ones(2)))
    assert np.isnan(scores.ause(np.zeros(0), np.zeros(0)))


def test_error_of_a_decile_of_distinct_stds(rng):
    std, error = rng.uniform(size=50), rng.normal(size=50)
    order = np.argsort(std)
    for rows, most_certain in ((order[:5], True), (order[-5:], False)):
        expected = np.sqrt(np.mean(error[rows] ** 2))
        assert scores.error_of_decile(std, error, most_certain) == pytest.approx(expected)


@pytest.mark.parametrize("most_certain", [True, False])
def test_error_of_a_decile_averages_ties(most_certain):
    """Twenty sequences, of which the decile is two: 1 certain, 3 in a tie, likewise above."""
    std = np.array([1, 2, 2, 2, *([5] * 12), 7, 7, 7, 8])
    error = np.arange(1.0, 21.0)
    alone, tied = ([0], [1, 2, 3]) if most_certain else ([19], [16, 17, 18])
    pairs = [error[alone[0]] ** 2 + error[i] ** 2 for i in tied]
    got = scores.error_of_decile(std, error, most_certain)
    assert got == pytest.approx(np.sqrt(np.mean(pairs) / 2))


def test_error_of_a_decile_of_a_constant_std_is_that_of_all(rng):
    error = rng.normal(size=77)
    for most_certain in (True, False):
        got = scores.error_of_decile(np.ones(77), error, most_certain)
        assert got == pytest.approx(np.sqrt(np.mean(error**2)))


def test_auroc_is_the_share_of_pairs(rng):
    original, shifted = rng.integers(0, 6, 40) / 5, rng.integers(0, 5, 30) / 5
    pairs = (shifted[:, None] > original) + 0.5 * (shifted[:, None] == original)
    assert scores.auroc(original, shifted) == pytest.approx(pairs.mean())
    assert scores.auroc(original, shifted) < 0.5
    assert scores.auroc(np.ones(4), np.ones(9)) == 0.5


def test_what_is_missing_gives_no_number():
    hole, whole = np.array([1.0, np.nan, 2.0]), np.ones(3)
    assert np.isnan(scores.ence(hole, whole))
    assert np.isnan(scores.ence_reference(hole))
    assert np.isnan(scores.error_of_decile(hole, whole, True))
    assert np.isnan(scores.auroc(hole, whole))
    assert np.isnan(scores.auroc(whole, np.zeros(0)))
    assert np.isnan(scores.interval_score(hole, whole, whole, 0.9)[1])
