"""Which siblings have failed: the rule at its edges, and how often it is wrong."""

import numpy as np
import pytest
from scipy import stats

from degu.training.failed import failed
from degu.training.history import lowest_error


def named(errors):
    return np.flatnonzero(failed(np.array(errors))).tolist()


@pytest.mark.parametrize(("n", "edge"), [(3, 1.3949), (5, 1.3241), (10, 1.2496), (25, 1.2)])
def test_siblings_that_agree(n, edge):
    """exp(6 · 0.08/∛n), but at least 1.2; in any units."""
    for units in (1.0, 1e-4, 1e6):
        assert named([units * (edge - 1e-3)] + [units] * (n - 1)) == []
        assert named([units * (edge + 1e-3)] + [units] * (n - 1)) == [0]
    # The other way it is a good model.
    assert named([0.01] + [1.0] * (n - 1)) == []


@pytest.mark.parametrize("far", [1.2, 2.5])
def test_siblings_that_differ(far):
    """z is SciPy's, of logarithms."""
    logs = np.array([-0.3, -0.2, 0.0, 0.1, far])
    z = far / stats.median_abs_deviation(logs, scale="normal")
    assert named(np.exp(logs)) == ([4] if z > 6 else [])
    assert (z > 6) == (far == 2.5)


def test_of_two_nobody_can_say_which():
    assert named([1.0, 100.0]) == named([1.0]) == named([]) == []
    assert failed(np.ones((5, 2))).shape == (5, 2)


def test_several_may_fail():
    assert named([9.0, 1.0, 1.05, 8.0, 0.95]) == [0, 3]
    # Of four, two are no minority.
    assert named([9.0, 1.0, 1.05, 9.0]) == []


def test_errors_that_have_no_logarithm():
    assert named([np.inf, 1.0, 1.01]) == [0]
    assert named([np.inf, np.inf, 1.0]) == []
    assert named([0.0, 0.0, 1.0]) == named([-1.0, 1.0, 9.0, 1.0]) == []
    assert named([np.nan, 1.0, 1.0, 9.0]) == []


def test_groups_are_judged_apart():
    errors = np.exp(np.random.default_rng(0).normal(0, 0.3, (5000, 4)))
    together = failed(errors)
    assert together.any()
    assert (together == [failed(row) for row in errors]).all()


def draw(family, rng, sd, shape):
    """Errors with mean 1 and a relative standard deviation."""
    if family == "normal":
        return np.abs(rng.normal(1, sd, shape))
    if family == "lognormal":
        return rng.lognormal(0, np.sqrt(np.log1p(sd**2)), shape)
    return rng.gamma(sd**-2, sd**2, shape)


@pytest.mark.parametrize("family", ["normal", "lognormal", "gamma"])
@pytest.mark.parametrize("n", [3, 4, 5, 7, 9, 10, 25])
def test_sound_siblings_are_seldom_named(family, n):
    """In less than 1% of groups; the standard error of a share of 1% is 0.07% here."""
    rng = np.random.default_rng([n, len(family)])
    for sd in (0.01, 0.05, 0.1):
        assert failed(draw(family, rng, sd, (20_000, n))).any(axis=-1).mean() < 0.01 - 2 * 0.0007


@pytest.mark.parametrize(
    ("n", "times", "sd", "found"),
    [(3, 1.5, 0.01, 0.99), (3, 2, 0.02, 0.97), (5, 1.5, 0.02, 0.97), (10, 2, 0.05, 0.97)],
)
def test_failures_are_found(n, times, sd, found):
    errors = draw("lognormal", np.random.default_rng(n), sd, (5_000, n))
    errors[:, 0] *= times
    assert failed(errors)[:, 0].mean() > found


def test_the_error_of_the_model_that_is_kept():
    assert lowest_error({"loss": [0.1, 0.2], "val_loss": [3.0, 1.0, float("nan"), 2.0]}) == 1
    assert np.isnan(lowest_error({"loss": [1.0]}))
