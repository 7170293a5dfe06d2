"""Agreement of halves against a closed form, brute force and simulation."""

import warnings
from itertools import combinations

import numpy as np
import pytest

from degu.calibration.fidelity import halves, stepped_up


def c4_squared(n):
    """Square of the mean of a sample std of n normal values, in units of σ."""
    from scipy.special import gammaln

    return 2 / (n - 1) * np.exp(2 * (gammaln(n / 2) - gammaln((n - 1) / 2)))


def agreement(cv, n):
    """Correlation of the stds of two ensembles of n, whose σ vary by ``cv`` of their mean."""
    signal = cv**2 * c4_squared(n)
    return signal / (signal + (1 + cv**2) * (1 - c4_squared(n)))


def ensemble(rng, members, n=20_000, cv=0.36):
    sigma = 1 + cv * np.sqrt(3) * rng.uniform(-1, 1, n)  # uniform, so that it stays positive
    return sigma * rng.normal(size=(members, n)), sigma


def test_stepping_up_in_closed_form():
    assert stepped_up(0.5, 2) == pytest.approx(2 / 3)
    assert stepped_up(0.46, 1) == pytest.approx(0.46)
    assert stepped_up(0.3, 3) == pytest.approx(0.9 / 1.6)
    # Twice and then three times as large is six times as large.
    assert stepped_up(stepped_up(0.2, 2), 3) == pytest.approx(stepped_up(0.2, 6))


def test_halves_of_ten_are_no_ceiling_for_a_student():
    """Two ensembles of ten agree at .67, halves at .46, the true spread with either at .82."""
    rng = np.random.default_rng(0)
    one, sigma = ensemble(rng, 10)
    other = sigma * rng.normal(size=one.shape)
    std = one.std(axis=0)
    assert agreement(0.36, 10) == pytest.approx(0.67, abs=0.01)
    assert agreement(0.36, 5) == pytest.approx(0.46, abs=0.01)
    between = np.corrcoef(std, other.std(axis=0))[0, 1]
    assert between == pytest.approx(agreement(0.36, 10), abs=0.02)
    truth = np.corrcoef(std, sigma)[0, 1]
    assert truth == pytest.approx(np.sqrt(agreement(0.36, 10)), abs=0.02)
    assert truth == pytest.approx(0.82, abs=0.02)
    got = halves(one)
    assert got == pytest.approx(stepped_up(agreement(0.36, 5), 2), abs=0.02)
    assert got < between < truth


@pytest.mark.parametrize("members", [4, 5, 6])
def test_all_splits_are_taken_once(members):
    stack, _ = ensemble(np.random.default_rng(1), members, n=30)
    half = members // 2
    found = [
        np.corrcoef(stack[list(one)].std(axis=0), stack[list(other)].std(axis=0))[0, 1]
        for one in combinations(range(members), half)
        for other in combinations(range(members), half)
        if not set(one) & set(other)
    ]
    r = np.mean(found)  # each pair twice
    k = members / half
    assert halves(stack) == pytest.approx(k * r / (1 + (k - 1) * r))


def test_of_many_splits_some_are_drawn():
    stack, _ = ensemble(np.random.default_rng(2), 8, n=2000)
    everything, some = halves(stack), halves(stack, splits=20)
    assert some == pytest.approx(everything, abs=0.03)
    assert some != everything
    assert some == halves(stack, splits=20)
    assert some != halves(stack, splits=20, seed=1)


def test_too_few_members_or_no_spread():
    rng = np.random.default_rng(3)
    assert np.isnan(halves(rng.normal(size=(3, 10))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(halves(np.ones((6, 10))))
    assert np.isfinite(halves(rng.normal(size=(4, 10)).astype(np.float32)))
