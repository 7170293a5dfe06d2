"""Laws against closed forms, numerical integration and a search for roots."""

import itertools

import numpy as np
import pytest
import scoringrules
from scipy import integrate, optimize, special

from degu.calibration import laws
from degu.calibration.laws import (
    STD_FLOOR,
    Cauchy,
    Gaussian,
    Laplace,
    Mixture,
    StudentT,
    floored,
)

Y = np.array([-3.0, 0.4, 0.5, 2.0, 30.0])
AT = np.array([0.5, 0.4, 0.5, -1.0, 2.0])
SCALE = np.array([0.2, 1.0, 2.0, 3.0, 0.9])
DF = np.array([1.3, 2.5, 3.0, 7.7, 40.0])
MEANS = np.array([AT, AT + 1, AT - 4])
STDS = np.array([SCALE, 0.1 * SCALE, 2 * SCALE])

LAWS = {
    "gaussian": Gaussian(AT, SCALE),
    "laplace": Laplace(AT, SCALE),
    "cauchy": Cauchy(AT, SCALE),
    "t": StudentT(DF, AT, SCALE),
    "mixture": Mixture(MEANS, STDS),
}


def normal(x, mean, std):
    return np.exp(-(((x - mean) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))


DENSITIES = {
    "gaussian": lambda x, i: normal(x, AT[i], SCALE[i]),
    "laplace": lambda x, i: np.exp(-abs(x - AT[i]) / SCALE[i]) / (2 * SCALE[i]),
    "cauchy": lambda x, i: 1 / (np.pi * SCALE[i] * (1 + ((x - AT[i]) / SCALE[i]) ** 2)),
    "t": lambda x, i: (
        special.gamma((DF[i] + 1) / 2)
        / (special.gamma(DF[i] / 2) * np.sqrt(DF[i] * np.pi) * SCALE[i])
        * (1 + ((x - AT[i]) / SCALE[i]) ** 2 / DF[i]) ** (-(DF[i] + 1) / 2)
    ),
    "mixture": lambda x, i: np.mean([normal(x, MEANS[m, i], STDS[m, i]) for m in range(3)]),
}
"""Densities as textbooks have them."""


def integral(function, *between):
    """Of a function that has corners, over the real line."""
    ends = [-np.inf, *sorted(set(between)), np.inf]
    parts = itertools.pairwise(ends)
    return sum(integrate.quad(function, a, b, epsabs=1e-11, limit=200)[0] for a, b in parts)


@pytest.mark.parametrize("name", LAWS)
def test_log_densities_are_those_of_textbooks(name):
    # Where it is finite: 30 is 31 stds away.
    expected = [np.log(DENSITIES[name](Y[i], i)) for i in range(len(Y) - 1)]
    np.testing.assert_allclose(LAWS[name].log_density(Y)[:-1], expected, rtol=1e-10)
    assert np.isfinite(LAWS[name].log_density(Y)).all()


def test_log_densities_far_out_are_finite():
    y = np.array([1e6])
    gaussian = Gaussian(np.zeros(1), np.ones(1)).log_density(y)
    np.testing.assert_allclose(gaussian, -0.5 * np.log(2 * np.pi) - 5e11)
    mixture = Mixture(np.zeros((2, 1)), np.array([[1.0], [2.0]])).log_density(y)
    np.testing.assert_allclose(mixture, -np.log(4) - 0.5 * np.log(2 * np.pi) - 1.25e11)


@pytest.mark.parametrize("name", LAWS)
def test_probabilities_are_the_integral_of_the_density(name):
    y = AT + np.array([-0.3, 0, 0.2, 1, -2]) * SCALE
    for i, value in enumerate(LAWS[name].cdf(y)):
        center = sorted({*MEANS[:, i], y[i]}) if name == "mixture" else sorted({AT[i], y[i]})
        ends = [-np.inf, *center[: center.index(y[i]) + 1]]
        expected = sum(
            integrate.quad(DENSITIES[name], a, b, args=(i,), epsabs=1e-12)[0]
            for a, b in itertools.pairwise(ends)
        )
        assert value == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("p", [1e-6, 0.005, 0.3, 0.5, 0.9, 0.995])
@pytest.mark.parametrize("name", LAWS)
def test_quantiles_are_where_the_probabilities_are(name, p):
    law = LAWS[name]
    quantiles = law.quantile(p)
    np.testing.assert_allclose(law.cdf(quantiles), p, rtol=1e-6)
    for i in range(len(Y)):
        row = law.take([i])
        found = optimize.brentq(lambda x, row=row: row.cdf(np.array([x]))[0] - p, -1e7, 1e7)
        np.testing.assert_allclose(quantiles[i], found, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", LAWS)
def test_quantiles_of_0_and_1_are_endless(name):
    assert (LAWS[name].quantile(0.0) == -np.inf).all()
    assert (LAWS[name].quantile(1.0) == np.inf).all()


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_central_intervals_of_laplace_and_cauchy_in_closed_form(level):
    for law, half in (
        (Laplace(AT, SCALE), SCALE * np.log(1 / (1 - level))),
        (Cauchy(AT, SCALE), SCALE * np.tan(np.pi * level / 2)),
    ):
        lower, upper = law.interval(level)
        np.testing.assert_allclose(lower, AT - half)
        np.testing.assert_allclose(upper, AT + half)


@pytest.mark.parametrize("level", [0, 1, 1.5, -0.1, np.nan])
def test_levels_lie_between_0_and_1(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        LAWS["gaussian"].interval(level)


@pytest.mark.parametrize("name", LAWS)
def test_crps_is_the_integral_that_defines_it(name):
    law = LAWS[name]
    for i, value in enumerate(law.crps(Y)):
        row = law.take([i])

        def squared(x, row=row, i=i):
            return (row.cdf(np.array([x]))[0] - (x >= Y[i])) ** 2

        expected = integral(squared, Y[i], *(MEANS[:, i] if name == "mixture" else AT[[i]]))
        assert value == pytest.approx(expected, rel=1e-6)


def test_crps_of_cauchy_at_its_median_and_far_out():
    """∫₀^∞ arccot² = π ln 2; far out it is the distance, less a logarithm."""
    law = Cauchy(np.zeros(2), np.full(2, 3.0))
    at_median, far = law.crps(np.array([0.0, 3e200]))
    assert at_median == pytest.approx(3 * 2 * np.log(2) / np.pi)
    assert far == pytest.approx(3e200)


def test_crps_of_mixtures_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    means, stds, y = rng.normal(size=(3, 50)), rng.uniform(0.1, 2, (3, 50)), rng.normal(size=50)
    expected = scoringrules.crps_mixnorm(y, means.T, stds.T)
    monkeypatch.setattr(laws, "_PAIRS", 70)  # seven sequences of three members
    np.testing.assert_allclose(Mixture(means, stds).crps(y), expected, rtol=1e-12)


def test_what_does_not_exist_is_nan():
    t = StudentT(np.array([0.5, 1.0, 1.5, 2.0, 3.0]), np.zeros(5), np.ones(5))
    assert np.isnan(t.crps(np.ones(5))).tolist() == [True, True, False, False, False]
    assert np.isnan(t.std).tolist() == [True] * 4 + [False]
    assert np.isnan(Cauchy(AT, SCALE).std).all()


@pytest.mark.parametrize("name", ["gaussian", "laplace", "t", "mixture"])
def test_stds_are_the_root_of_the_integral_of_squares(name):
    law = LAWS[name]
    for i, std in enumerate(law.std):
        if np.isnan(std):
            assert (name, DF[i] <= 2) == ("t", True)
            continue
        center = law.location[i]
        corners = MEANS[:, i] if name == "mixture" else AT[[i]]
        variance = integral(lambda x, c=center, i=i: (x - c) ** 2 * DENSITIES[name](x, i), *corners)
        assert std == pytest.approx(np.sqrt(variance), rel=2e-3 if name == "t" else 1e-6)


def test_t_with_many_degrees_of_freedom_is_gaussian():
    t, gaussian = StudentT(1e9, AT, SCALE), Gaussian(AT, SCALE)
    y = AT + SCALE * np.array([0, 1, -2, 3, -4])
    for of_t, of_gaussian in (
        (t.std, gaussian.std),
        (t.log_density(y), gaussian.log_density(y)),
        (t.cdf(y), gaussian.cdf(y)),
        (t.quantile(0.99), gaussian.quantile(0.99)),
        (t.crps(y), gaussian.crps(y)),
    ):
        np.testing.assert_allclose(of_t, of_gaussian, rtol=1e-5)


def test_a_mixture_of_equals_is_one_of_them():
    mixture = Mixture(np.tile(AT, (4, 1)), np.tile(SCALE, (4, 1)))
    gaussian = Gaussian(AT, SCALE)
    np.testing.assert_allclose(mixture.location, AT)
    np.testing.assert_allclose(mixture.std, SCALE)
    np.testing.assert_allclose(mixture.log_density(Y), gaussian.log_density(Y))
    np.testing.assert_allclose(mixture.quantile(0.05), gaussian.quantile(0.05))
    np.testing.assert_allclose(mixture.crps(Y), gaussian.crps(Y))


def test_quantiles_of_members_far_apart():
    """Half of the mass far to the left: the .75 quantile is the right member's median."""
    mixture = Mixture(np.array([[-1000.0], [1000.0]]), np.full((2, 1), 1e-3))
    spread = mixture.std[0]
    assert spread == pytest.approx(1000)
    assert mixture.quantile(0.25)[0] == pytest.approx(-1000, abs=1e-8 * spread)
    assert mixture.quantile(0.75)[0] == pytest.approx(1000, abs=1e-8 * spread)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("factor", [0.5, np.array([0.1, 1, 2, 3, 4])], ids=["one", "each"])
def test_scaling_is_about_the_location(name, factor):
    law = LAWS[name]
    wider = law.scaled(factor)
    np.testing.assert_allclose(wider.location, law.location)
    np.testing.assert_allclose(wider.std, law.std * factor)
    for p in (0.1, 0.8):
        expected = law.location + factor * (law.quantile(p) - law.location)
        np.testing.assert_allclose(wider.quantile(p), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("rows", [[3, 0], np.array([True, False, True, False, False])])
@pytest.mark.parametrize("name", LAWS)
def test_some_of_the_sequences(name, rows):
    law = LAWS[name]
    np.testing.assert_array_equal(law.take(rows).log_density(Y[rows]), law.log_density(Y)[rows])


@pytest.mark.parametrize("name", LAWS)
def test_measurements_are_not_broadcast(name):
    for y in (Y[:, None], Y[:1], Y[0]):
        for method in ("log_density", "cdf", "crps"):
            with pytest.raises(ValueError, match="shape"):
                getattr(LAWS[name], method)(y)


def test_parameters_are_of_one_shape_and_positive():
    with pytest.raises(ValueError, match=r"one shape, not mean \(5,\), std \(5, 1\)"):
        Gaussian(AT, SCALE[:, None])
    with pytest.raises(ValueError, match="one shape"):
        Gaussian(AT, SCALE[:4])
    with pytest.raises(ValueError, match="one shape"):
        Mixture(AT, SCALE)
    with pytest.raises(ValueError, match="positive std; see `floored`"):
        Gaussian(AT, np.array([1, 1, 0, 1, 1.0]))
    with pytest.raises(ValueError, match="positive df"):
        StudentT(-DF, AT, SCALE)
    np.testing.assert_array_equal(Gaussian(AT, 2.0).std, np.full(5, 2.0))


def test_float32_is_taken_as_float64():
    law = Gaussian(AT.astype(np.float32), SCALE.astype(np.float32))
    assert law.mean.dtype == law.std.dtype == law.cdf(Y.astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize("name", LAWS)
def test_a_missing_prediction_is_missing_alone(name):
    law = LAWS[name]
    # The last parameter is a spread, the one before it a place.
    for field in list(law.__dataclass_fields__)[-2:]:
        values = {f: np.array(getattr(law, f)) for f in law.__dataclass_fields__}
        values[field][..., 1] = np.nan
        hole = type(law)(**values)
        for got, whole in (
            (hole.log_density(Y), law.log_density(Y)),
            (hole.cdf(Y), law.cdf(Y)),
            (hole.quantile(0.9), law.quantile(0.9)),
            (hole.crps(Y), law.crps(Y)),
        ):
            assert np.isnan(got).tolist() == [False, True, False, False, False]
            np.testing.assert_allclose(np.delete(got, 1), np.delete(whole, 1))


def test_stds_at_or_below_0_are_floored_and_counted():
    np.testing.assert_allclose(STD_FLOOR, 1e-3)
    std, count = floored(np.array([0.5, 0.0, -2.0, np.nan, STD_FLOOR]))
    np.testing.assert_array_equal(std, [0.5, STD_FLOOR, STD_FLOOR, np.nan, STD_FLOOR])
    assert count == 2
    assert floored(np.array([0.5, 0.2]), floor=0.3)[1] == 1


def test_no_sequences_at_all():
    none = np.zeros(0)
    for law in (Gaussian(none, none), Mixture(np.zeros((3, 0)), np.zeros((3, 0)))):
        assert law.crps(none).shape == law.quantile(0.5).shape == law.cdf(none).shape == (0,)


def test_a_laplace_law_has_a_density_however_far_away():
    law = Laplace(np.zeros(2), np.full(2, 2.0))
    np.testing.assert_allclose(law.log_density(np.array([2e4, -1.0])), [-1e4, -0.5] - np.log(4))
