"""Repairs against closed forms, crepes, scikit-learn, and simulated coverage."""

import math
import warnings

import numpy as np
import pytest
from crepes import ConformalRegressor
from scipy import integrate, optimize, stats
from sklearn.isotonic import IsotonicRegression

from degu.calibration import recalibration
from degu.calibration.laws import STD_FLOOR, Cauchy, Gaussian, Laplace, Mixture, StudentT, floored
from degu.calibration.recalibration import (
    Conformal,
    Isotonic,
    Mondrian,
    rank_of_level,
    residual_variance,
    variance_scaling,
)
from degu.calibration.scores import (
    LEVELS,
    below_quantiles,
    covered,
    quantile_calibration_error,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def measured(rng, n, factor=1.5):
    """Means, claimed stds and measurements that are ``factor`` times as wide as claimed."""
    mean, std = rng.normal(size=n), rng.uniform(0.1, 2, n)
    return mean, std, mean + factor * std * rng.normal(size=n)


# Variances


def test_residual_variance_is_the_mean_square_and_so_has_the_bias():
    location, y = np.zeros(4), np.array([3.0, 1.0, 3.0, 1.0])
    assert residual_variance(location, y) == 5  # a variance of 1 and a bias of 2
    assert residual_variance(location, y, np.array([1.0, 2.0, 3.0, 0.0])) == 3.5
    assert residual_variance(location, y, 7.0) == 0


@pytest.mark.parametrize("y", [[1.0, np.nan], [], [[1.0], [2.0]]])
def test_fits_need_finite_numbers(y):
    y = np.array(y)
    with pytest.raises(ValueError, match="finite"):
        residual_variance(np.zeros(y.shape), y)


def test_scaling_is_the_root_mean_square_of_z():
    law = Gaussian(np.zeros(2), np.array([1.0, 2.0]))
    assert variance_scaling(law, np.array([3.0, 2.0])) == pytest.approx(np.sqrt((9 + 1) / 2))


@pytest.mark.parametrize("kind", ["gaussian", "mixture", "laplace", "t"])
def test_scaled_laws_have_the_spread_of_the_measurements(rng, kind):
    mean, std, y = measured(rng, 300, 3.0)
    law = {
        "gaussian": Gaussian(mean, std),
        "mixture": Mixture(np.array([mean, mean + 0.1]), np.array([std, 2 * std])),
        "laplace": Laplace(mean, std),
        "t": StudentT(5.0, mean, std),
    }[kind]
    wider = law.scaled(variance_scaling(law, y))
    assert np.mean(((y - wider.location) / wider.std) ** 2) == pytest.approx(1)


def test_scaling_of_a_gaussian_is_of_greatest_likelihood(rng):
    mean, std, y = measured(rng, 200)
    law = Gaussian(mean, std)
    best = optimize.minimize_scalar(
        lambda s: -stats.norm.logpdf(y, mean, s * std).mean(), bounds=(0.1, 10), method="bounded"
    )
    assert variance_scaling(law, y) == pytest.approx(best.x, rel=1e-4)


@pytest.mark.parametrize("df", [1.0, 1.7])
@pytest.mark.parametrize("factor", [2.5, 4e-5, 7e4])
def test_scaling_without_a_variance_is_of_greatest_likelihood(rng, df, factor):
    """There, the mean of (df + 1) z²/(df + z²) is 1."""
    location, scale = rng.normal(size=400), rng.uniform(0.5, 2, 400)
    y = location + factor * scale * rng.standard_t(df, 400)
    law = Cauchy(location, scale) if df == 1 else StudentT(df, location, scale)
    found = variance_scaling(law, y)
    z = (y - location) / (found * scale)
    assert np.mean((df + 1) * z**2 / (df + z**2)) == pytest.approx(1, abs=1e-6)
    assert found == pytest.approx(factor, rel=0.25)


# Isotonic


def test_isotonic_map_is_that_of_scikit_learn(rng):
    """On shares of n + 1, ties included; between the first and the last of validation."""
    mean, std, y = measured(rng, 200)
    y[:40], mean[:40], std[:40] = 1.0, 0.5, 1.0
    law = Gaussian(mean, std)
    fitted = Isotonic.fit(law, y)
    values = law.scaled(variance_scaling(law, y)).cdf(y)
    share = np.array([np.mean(values <= v) for v in values]) * 200 / 201
    twin = IsotonicRegression().fit(values, share)
    new = np.linspace(mean.mean() - 3, mean.mean() + 3, 50)
    at = Gaussian(np.zeros(50), np.full(50, 1.1))
    inside = at.scaled(fitted.scaling).cdf(new)
    inside = np.clip(inside, values.min(), values.max())
    np.testing.assert_allclose(
        np.clip(fitted.cdf(at, new), share.min(), share.max()), twin.predict(inside)
    )
    np.testing.assert_allclose(fitted.cdf(law, y), share)


def test_isotonic_quantiles_are_those_of_the_truth(rng):
    """Claimed is a Gaussian of half the width, around another place."""
    n = 20_000
    mean, std = rng.normal(size=n), rng.uniform(0.5, 2, n)
    y = mean + std * (0.3 + 2 * rng.laplace(size=n))
    fitted = Isotonic.fit(Gaussian(mean, std), y)
    new = Gaussian(np.array([0.0, 10.0]), np.array([1.0, 2.0]))
    for p in (0.025, 0.05, 0.25, 0.5, 0.9, 0.975):
        truth = 0.3 + 2 * stats.laplace.ppf(p)
        error = 2 * 3.5 * np.sqrt(p * (1 - p) / n) / stats.laplace.pdf(stats.laplace.ppf(p))
        quantile = fitted.quantile(new, p)
        assert quantile[0] == pytest.approx(truth, abs=error + 0.02)
        assert quantile[1] == pytest.approx(10 + 2 * quantile[0])
    lower, upper = fitted.interval(new, 0.9)
    np.testing.assert_allclose(lower, fitted.quantile(new, 0.05))
    np.testing.assert_allclose(upper, fitted.quantile(new, 0.95))


def test_isotonic_probabilities_are_uniform_on_new_sequences(rng):
    mean, std, y = measured(rng, 4000, 4.0)
    fitted = Isotonic.fit(Gaussian(mean, std), y)
    mean, std, y = measured(rng, 4000, 4.0)
    law = Gaussian(mean, std)
    before = quantile_calibration_error(below_quantiles(law.cdf(y)))
    after = quantile_calibration_error(below_quantiles(fitted.cdf(law, y)))
    assert before > 0.15
    assert after < 0.02
    for level in LEVELS:
        share = covered(*fitted.interval(law, level), y).mean()
        error = np.sqrt(2 * level * (1 - level) / 4000)  # of validation and of these
        assert share == pytest.approx(level, abs=4 * error + 5e-4)


def test_isotonic_quantiles_and_probabilities_are_inverse(rng):
    mean, std, y = measured(rng, 50)
    law = Gaussian(mean, std)
    fitted = Isotonic.fit(law, y)
    probabilities = np.linspace(0.001, 0.999, 97)
    quantiles = np.array([fitted.quantile(law, p) for p in probabilities])
    assert (np.diff(quantiles, axis=0) > 0).all()
    for p, quantile in zip(probabilities, quantiles, strict=True):
        np.testing.assert_allclose(fitted.cdf(law, quantile), p)


def test_isotonic_of_a_law_thirty_times_too_narrow_is_finite(rng):
    """Its own probabilities would be 0 and 1 but for rounding."""
    mean, std, y = measured(rng, 3000, 30.0)
    law = Gaussian(mean, std)
    assert np.mean(law.cdf(y) == 1) > 0.3
    lower, upper = Isotonic.fit(law, y).interval(law, 0.99)
    assert np.isfinite(lower).all()
    assert np.isfinite(upper).all()
    np.testing.assert_allclose((upper - lower).mean() / std.mean(), 2 * 30 * 2.576, rtol=0.15)


def test_isotonic_keeps_a_thousand_knots(rng):
    mean, std, y = measured(rng, 5000)
    fitted = Isotonic.fit(Gaussian(mean, std), y)
    assert len(fitted.law) == len(fitted.observed) == recalibration._KNOTS + 2
    values = np.sort(Gaussian(mean, std).scaled(fitted.scaling).cdf(y))
    # Between the knots it is off by less than a thousandth.
    share = np.arange(1, 5001) / 5001
    got = np.interp(values, fitted.law, fitted.observed)
    assert np.abs(got - share).max() < 1e-3


# Conformal


def test_ranks_of_levels_are_exact():
    """⌈(n + 1) · level⌉ in integers: .55 · 100 is 55.00000000000001 in floating point."""
    for n in range(1, 250):
        for percent in range(1, 100):
            assert rank_of_level(n, percent / 100) == -(-(n + 1) * percent // 100)
    assert rank_of_level(99, np.float64(0.55)) == 55
    assert rank_of_level(999, 0.995) == 995


@pytest.mark.parametrize("level", [0, 1, -0.5, 1.01])
def test_levels_of_intervals_lie_between_0_and_1(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        rank_of_level(10, level)


@pytest.mark.parametrize("level", LEVELS)
def test_conformal_intervals_are_those_of_crepes(rng, level):
    mean, std, y = measured(rng, 537)  # no level is met exactly, where crepes goes by rounding
    other = ConformalRegressor().fit(y - mean, sigmas=std)
    new_mean, new_std, _ = measured(rng, 20)
    expected = other.predict_int(new_mean, sigmas=new_std, confidence=level)
    lower, upper = Conformal.fit(mean, std, y).interval(new_mean, new_std, level)
    np.testing.assert_allclose(np.stack([lower, upper], axis=1), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_mondrian_intervals_are_those_of_crepes(rng, level):
    mean, std, y = measured(rng, 528)  # again no level is met exactly, by 132
    fitted = Mondrian.fit(mean, std, y)
    edges = np.quantile(mean, [0.25, 0.5, 0.75])
    other = ConformalRegressor().fit(y - mean, sigmas=std, bins=np.digitize(mean, edges))
    new_mean, new_std, _ = measured(rng, 50)
    new_mean[:2] = -1e3, 1e3  # beyond all of validation
    bins = np.digitize(new_mean, edges)
    expected = other.predict_int(new_mean, sigmas=new_std, bins=bins, confidence=level)
    np.testing.assert_array_equal(fitted.bin(new_mean), bins)
    lower, upper = fitted.interval(new_mean, new_std, level)
    np.testing.assert_allclose(np.stack([lower, upper], axis=1), expected, rtol=1e-6, atol=1e-6)


def test_levels_that_want_more_sequences_are_endless():
    """90% of nine is the largest of them; of eight there is none."""
    y = np.arange(1.0, 10.0)
    nine, eight = (Conformal.fit(np.zeros(n), 1.0, y[:n]) for n in (9, 8))
    assert nine.half_width(0.9) == 9
    assert nine.half_width(0.91) == math.inf
    assert eight.half_width(0.9) == math.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lower, upper = eight.interval(np.zeros(2), np.array([1.0, STD_FLOOR]), 0.9)
        bins = Mondrian.fit(y[:8], 1.0, y[:8]).interval(np.array([0.0, 99.0]), 1.0, 0.9)
    for low, high in ((lower, upper), bins):
        assert (low == -np.inf).all()
        assert (high == np.inf).all()
    assert covered(lower, upper, np.array([1e300, -5])).all()


def test_no_sequence_of_validation_is_rounded_out_of_its_interval(rng):
    y = rng.normal(size=999)
    fitted = Conformal.fit(np.zeros(999), 1.0, y)
    assert fitted.scores.dtype == np.float32
    for rank, score in enumerate(np.sort(np.abs(y)), start=1):
        half = fitted.half_width(rank / 1000)
        assert score <= half <= score * (1 + 2.4e-7)


def test_scores_need_positive_stds_and_finite_numbers():
    with pytest.raises(ValueError, match="positive stds; see"):
        Conformal.fit(np.zeros(2), np.array([1.0, 0.0]), np.ones(2))
    with pytest.raises(ValueError, match="positive stds"):
        Mondrian.fit(np.zeros(2), np.array([1.0, np.nan]), np.ones(2))
    with pytest.raises(ValueError, match="Shapes differ"):
        Conformal.fit(np.zeros(2), 1.0, np.ones((2, 1)))
    for y in ([1.0, np.nan], [1e300, 0], []):
        with pytest.raises(ValueError, match="finite scores"):
            Conformal.fit(np.zeros(len(y)), 1.0, np.array(y))


DRAWS = 10_000


@pytest.mark.parametrize(("n", "level"), [(30, 0.9), (99, 0.95), (200, 0.5)])
def test_coverage_given_the_validation_set_is_beta(n, level):
    """Beta(k, n + 1 − k), k the rank (Vovk 2012), whatever the law: here 10,000 sets of a t."""
    rng = np.random.default_rng(n)
    law, sigma = stats.t(3), rng.uniform(0.1, 5, n)
    y = sigma * law.rvs((DRAWS, n), random_state=rng)
    halves = [Conformal.fit(np.zeros(n), sigma, row).half_width(level) for row in y]
    coverage = law.cdf(halves) - law.cdf(np.negative(halves))
    k = math.ceil((n + 1) * level - 1e-9)
    assert stats.kstest(coverage, stats.beta(k, n + 1 - k).cdf).pvalue > 0.01
    assert coverage.mean() == pytest.approx(k / (n + 1), abs=4 * coverage.std() / DRAWS**0.5)


def test_coverage_with_ties_is_beta_at_each_value_and_not_below_the_level():
    """Of scores 0, 1, 2, ... the coverage is at most F(j) as often as Beta is."""
    n, level = 40, 0.9
    rng = np.random.default_rng(1)
    law = stats.poisson(2)
    sign = rng.choice([-1, 1], n)
    sets = law.rvs((DRAWS, n), random_state=rng)
    halves = np.array(
        [Conformal.fit(np.zeros(n), 1.0, sign * row).half_width(level) for row in sets]
    )
    assert (halves == np.round(halves)).all()
    coverage = law.cdf(halves)
    k = math.ceil((n + 1) * level)
    for value in law.cdf(np.arange(2, 8)):
        expected = stats.beta(k, n + 1 - k).cdf(value)
        error = np.sqrt(expected * (1 - expected) / DRAWS)
        assert np.mean(coverage <= value + 1e-12) == pytest.approx(expected, abs=4 * error + 1e-4)
    assert coverage.mean() >= level


def test_a_std_near_0_in_thirty_makes_intervals_twice_as_wide(rng):
    """Normalised by a predicted std of which 2.8% are floored, against total and constant."""
    n, level = 40_000, 0.9
    cut = stats.norm.ppf(0.028)
    epistemic, count = floored(0.1 * (1 - rng.normal(size=n) / cut))
    assert count / n == pytest.approx(0.028, abs=0.003)
    noise = 0.5
    total = np.sqrt(epistemic**2 + noise**2)
    y = total * rng.normal(size=n)
    widths = {}
    for name, sigma in (("epistemic", epistemic), ("total", total), ("constant", np.ones(n))):
        fitted = Conformal.fit(np.zeros(n // 2), sigma[::2], y[::2])
        lower, upper = fitted.interval(np.zeros(n // 2), sigma[1::2], level)
        assert covered(lower, upper, y[1::2]).mean() == pytest.approx(level, abs=0.01)
        widths[name] = np.mean(upper - lower)

    def share(q):
        """Of measurements within q times the predicted std, whose density is normal."""
        spread = 0.1 / -cut

        def at(s):
            s_floored = max(s, STD_FLOOR)
            z = q * s_floored / np.sqrt(s_floored**2 + noise**2)
            return stats.norm.pdf(s, 0.1, spread) * (2 * stats.norm.cdf(z) - 1)

        return integrate.quad(at, -0.2, 0.5, points=[STD_FLOOR, 0.02, 0.1])[0]

    q = optimize.brentq(lambda q: share(q) - level, 1, 100)
    assert widths["epistemic"] == pytest.approx(2 * q * epistemic.mean(), rel=0.05)
    assert widths["epistemic"] / widths["constant"] == pytest.approx(2, abs=0.3)
    assert widths["total"] == pytest.approx(2 * 1.645 * total.mean(), rel=0.02)
    assert widths["total"] < 1.01 * widths["constant"]


# Mondrian


def of_sizes(*sizes):
    """Bins of so many sequences; the scores of bin i begin at i + 1."""
    parts = tuple(
        Conformal(np.linspace(i + 1, i + 1.5, size).astype(np.float32))
        for i, size in enumerate(sizes)
    )
    return Mondrian(np.arange(len(sizes) - 1) + 0.5, parts)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((9, 9, 9), [(0,), (1,), (2,)]),  # nine suffice for 90%
        ((10, 5, 20), [(0, 1), (2,)]),  # with the smaller neighbour
        ((20, 5, 10), [(0,), (1, 2)]),
        ((20, 5, 20), [(0, 1), (2,)]),  # with the lower one of equals
        ((20, 20, 5), [(0,), (1, 2)]),
        ((3, 3, 3, 100), [(0, 1, 2), (3,)]),  # again and again
        ((100, 4, 8, 100), [(0,), (1, 2), (3,)]),
        ((8, 30, 5, 5), [(0, 1), (2, 3)]),  # in two places
        ((2, 2, 2), [(0, 1, 2)]),  # and still too few
    ],
)
def test_bins_that_are_too_small_are_merged(sizes, expected):
    fitted = of_sizes(*sizes)
    assert list(fitted.merged(0.9)) == expected
    widths = fitted.half_widths(0.9)
    for own in expected:
        scores = np.sort(np.concatenate([fitted.parts[i].scores for i in own]))
        rank = -(-(len(scores) + 1) * 9 // 10)
        wanted = scores[rank - 1] if rank <= len(scores) else np.inf
        np.testing.assert_array_equal(widths[list(own)], wanted)


def test_no_bin_is_merged_for_a_lower_level():
    fitted = of_sizes(9, 9, 50)
    assert fitted.merged(0.5) == ((0,), (1,), (2,))
    assert fitted.merged(0.95) == ((0, 1, 2),)
    assert np.isinf(fitted.half_widths(0.99)).all()


def test_edges_are_quantiles_of_validation_and_outer_bins_have_no_end(rng):
    mean, std, y = measured(rng, 100)
    fitted = Mondrian.fit(mean, std, y)
    np.testing.assert_allclose(fitted.edges, np.quantile(mean, [0.25, 0.5, 0.75]))
    assert [len(part.scores) for part in fitted.parts] == [25] * 4
    assert fitted.bin(np.array([-np.inf, -1e9, 1e9])).tolist() == [0, 0, 3]
    np.testing.assert_array_equal(fitted.bin(fitted.edges), [1, 2, 3])


def test_equal_predictions_are_of_one_bin(rng):
    """Half of the predictions are one number, as of a unit that is off."""
    location = np.concatenate([np.zeros(50), rng.uniform(1, 2, 50)])
    y = location + rng.normal(size=100)
    fitted = Mondrian.fit(location, 1.0, y)
    counts = np.bincount(fitted.bin(location))
    assert [len(part.scores) for part in fitted.parts] == counts.tolist()
    assert counts.sum() == 100
    assert counts[0] == 50
    constant = Mondrian.fit(np.full(100, 0.3), 1.0, y)
    assert len(constant.parts) == 1
    assert len(constant.edges) == 0
    np.testing.assert_array_equal(
        constant.half_widths(0.9), Conformal.fit(np.full(100, 0.3), 1.0, y).half_width(0.9)
    )


def test_coverage_holds_in_each_quarter_where_the_plain_one_does_not():
    """The noise grows with the activity; 400 validation sets, new sequences of a known law."""
    rng = np.random.default_rng(5)
    plain, by_bin = np.zeros(4), np.zeros(4)
    for _ in range(400):
        location, new = rng.uniform(0, 4, 200), (np.arange(400) + 0.5) / 100
        y = location + (0.2 + location) * rng.normal(size=200)
        for fitted, total in (
            (Conformal.fit(location, 1.0, y), plain),
            (Mondrian.fit(location, 1.0, y), by_bin),
        ):
            lower, upper = fitted.interval(new, 1.0, 0.9)
            truth = stats.norm(new, 0.2 + new)
            total += (truth.cdf(upper) - truth.cdf(lower)).reshape(4, 100).mean(axis=1) / 400
    assert plain[0] > 0.99
    assert plain[3] < 0.8
    np.testing.assert_allclose(by_bin, 0.91, atol=0.02)  # ⌈51 · .9⌉/51 = .902, blurred at edges
