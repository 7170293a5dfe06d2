"""Bounds against closed forms, NumPy on drawn rows, and simulated coverage."""

import warnings

import numpy as np
import pytest
from scipy import stats

from degu.calibration.bootstrap import Resamples, bounds


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def rows_of(resamples):
    return [np.repeat(np.arange(resamples.n), w.astype(int)) for w in resamples.weights]


def test_each_draw_holds_as_many_sequences_as_there_are():
    weights = Resamples(30, draws=40).weights
    assert weights.shape == (40, 30)
    assert (weights.sum(axis=1) == 30).all()
    # A sequence is left out of a draw with probability (1 − 1/n)ⁿ.
    assert np.mean(weights == 0) == pytest.approx((1 - 1 / 30) ** 30, abs=0.03)
    assert len({tuple(row) for row in weights}) == 40


def test_models_are_compared_on_the_same_draws():
    np.testing.assert_array_equal(Resamples(20, 10).weights, Resamples(20, 10).weights)
    assert (Resamples(20, 10).weights != Resamples(20, 10, seed=1).weights).any()


def test_means_are_those_of_the_drawn_rows(rng):
    resamples = Resamples(50, draws=30)
    values = 1e6 + 1e-3 * rng.normal(size=(3, 50))  # float32 alone would lose all of it
    got = resamples.means(values)
    expected = np.array([values[:, rows].mean(axis=1) for rows in rows_of(resamples)]).T
    np.testing.assert_allclose(got - 1e6, expected - 1e6, atol=1e-8)
    np.testing.assert_allclose(resamples.means(values[1]), got[1], atol=1e-8)
    np.testing.assert_array_equal(resamples.means(np.full(50, 0.3)), 0.3)


def test_means_among_some_of_the_sequences(rng):
    resamples = Resamples(40, draws=60)
    values, among = 1e4 + rng.normal(size=40), np.arange(40) < 3
    got = resamples.means(values, among)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [values[rows[among[rows]]].mean() for rows in rows_of(resamples)]
    assert np.isnan(expected).any()  # (1 − 3/40)⁴⁰ = 4% of the draws
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_infinite_and_missing_values():
    resamples = Resamples(6, draws=50)
    values = np.array([1.0, 2, np.inf, 4, 5, 6])
    holds = resamples.weights[:, 2] > 0
    assert 0 < holds.sum() < 50
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got, negative = resamples.means(values), resamples.means(-values)
        among = resamples.means(values, values < 3)
        both = resamples.means(np.array([np.inf, -np.inf, 0, 0, 0, 0]))
        hole = resamples.means(np.array([np.nan, 1, 2, 3, 4, 5]))
    np.testing.assert_array_equal(np.isposinf(got), holds)
    np.testing.assert_array_equal(np.isneginf(negative), holds)
    assert np.isfinite(got[~holds]).all()
    assert not np.isinf(among).any()
    np.testing.assert_array_equal(
        np.isnan(both), (resamples.weights[:, 0] > 0) & (resamples.weights[:, 1] > 0)
    )
    assert np.isnan(hole).all()


def test_spread_of_the_mean_is_its_standard_error(rng):
    values = 5 + 3 * rng.normal(size=2000)
    draws = Resamples(2000, draws=2000).means(values)
    assert draws.mean() == pytest.approx(values.mean(), abs=0.01)
    assert draws.std() == pytest.approx(values.std() / np.sqrt(2000), rel=0.05)
    lower, upper = bounds(draws)
    z = stats.norm.ppf(0.975)
    assert (upper - lower) / 2 == pytest.approx(z * values.std() / np.sqrt(2000), rel=0.07)


@pytest.mark.parametrize(("n", "error"), [(700, 0.023), (5280, 0.008)])
def test_standard_error_of_coverage_in_a_quarter(n, error):
    """√(.9 · .1 / (n/4))"""
    covered = np.arange(n) % 10 > 0
    draws = Resamples(n, draws=800).means(covered, np.arange(n) < n / 4)
    assert draws.std() == pytest.approx(error, rel=0.08)
    assert np.sqrt(0.09 / (n / 4)) == pytest.approx(error, rel=0.04)


def test_correlations_are_those_of_the_drawn_rows(rng):
    resamples = Resamples(60, draws=30)
    a = rng.normal(size=60)
    b = 1e5 + a + rng.normal(size=60)
    expected = [np.corrcoef(a[rows], b[rows])[0, 1] for rows in rows_of(resamples)]
    np.testing.assert_allclose(resamples.correlations(a, b), expected, atol=1e-8)
    np.testing.assert_allclose(resamples.correlations(a, 3 * a), 1, atol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(resamples.correlations(a, np.ones(60))).all()


def test_draws_of_one_sequence_alone_have_no_correlation():
    resamples = Resamples(3, draws=200)
    alone = (resamples.weights == 3).any(axis=1)
    assert 0 < alone.sum() < 200
    got = resamples.correlations(np.array([0.1, 0.7, 0.3]), np.array([0.2, 1.1, 0.9]))
    np.testing.assert_array_equal(np.isnan(got), alone)


def test_spread_of_a_correlation_is_its_standard_error(rng):
    """(1 − r²)/√n of normal variables."""
    a = rng.normal(size=3000)
    b = 0.6 * a + 0.8 * rng.normal(size=3000)
    draws = Resamples(3000, draws=1000).correlations(a, b)
    assert draws.std() == pytest.approx((1 - 0.6**2) / np.sqrt(3000), rel=0.12)


def test_any_statistic_by_weights_and_by_rows(rng):
    resamples = Resamples(25, draws=20)
    values = rng.normal(size=25)
    by_rows = resamples.apply(lambda rows: np.median(values[rows]))
    np.testing.assert_array_equal(by_rows, [np.median(values[r]) for r in rows_of(resamples)])
    by_weights = resamples.weighted(lambda w: np.array([w @ values / w.sum(), w.max()]))
    assert by_weights.shape == (20, 2)
    np.testing.assert_allclose(by_weights[:, 0], resamples.means(values), atol=1e-6)


def test_sequences_are_not_broadcast():
    resamples = Resamples(5, draws=2)
    with pytest.raises(ValueError, match="5 sequences"):
        resamples.means(np.ones((5, 1)))
    with pytest.raises(ValueError, match="5 sequences"):
        resamples.correlations(np.ones(4), np.ones(4))


def test_bounds_leave_as_many_draws_on_either_side(rng):
    draws = rng.permutation(500.0 + np.arange(500))
    lower, upper = bounds(draws)
    assert (draws < lower).sum() == (draws > upper).sum() == 12
    lower, upper = bounds(np.stack([draws, -draws]), level=0.9)
    assert lower.shape == upper.shape == (2,)
    np.testing.assert_array_equal(lower, -upper[::-1])


def test_bounds_of_infinite_and_missing_draws():
    draws = np.arange(100.0)
    some, one, hole = draws.copy(), draws.copy(), draws.copy()
    some[:10], one[3], hole[3] = np.inf, np.inf, np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bounds(some) == (12, np.inf)
        assert np.isfinite(bounds(one)).all()
        assert np.isnan(bounds(hole)).all()


def test_bounds_hold_the_truth_as_often_as_they_say(rng):
    held = 0
    for seed in range(300):
        values = rng.normal(size=80)
        lower, upper = bounds(Resamples(80, draws=200, seed=seed).means(values), level=0.9)
        held += lower <= 0 <= upper
    assert held / 300 == pytest.approx(0.9, abs=0.05)
