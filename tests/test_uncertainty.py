"""Spread over members."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from degu.uncertainty import (
    LOG_VARIANCES,
    VARIANCE_FLOOR,
    ensemble_aleatoric,
    ensemble_mean,
    logvar_to_std,
    std_of_mean,
    std_to_logvar,
    unbiased_std,
    uncertainty_logvar,
    uncertainty_std,
)

predictions = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=4, max_side=5),
    elements=st.floats(-50, 50, width=32),
)


def test_closed_form_of_two_members():
    pair = np.array([[[1.0, 0.0]], [[4.0, 0.0]]])
    np.testing.assert_allclose(ensemble_mean(pair), [[2.5, 0]])
    np.testing.assert_allclose(uncertainty_std(pair), [[1.5, 0]])
    np.testing.assert_allclose(uncertainty_logvar(pair), [[2 * math.log(1.5), math.log(1e-6)]])


@given(predictions)
def test_against_plain_python(values):
    members = values.reshape(len(values), -1).astype(float).T.tolist()
    means = [math.fsum(m) / len(m) for m in members]
    variances = [
        math.fsum((v - mean) ** 2 for v in m) / len(m)
        for m, mean in zip(members, means, strict=True)
    ]
    for function, expected in [
        (ensemble_mean, means),
        (uncertainty_std, [math.sqrt(v) for v in variances]),
        (uncertainty_logvar, [math.log(max(v, 1e-6)) for v in variances]),
    ]:
        result = function(values)
        assert result.shape == values.shape[1:]
        assert result.dtype == np.float32
        np.testing.assert_allclose(result.ravel(), expected, rtol=1e-5, atol=1e-5)


def test_variance_of_close_float32_values_is_not_rounding_noise():
    # The members are exact in float32, their sum is not.
    values = np.array([1000, 1000, 1000 + 2**-13], dtype=np.float32).reshape(3, 1, 1)
    np.testing.assert_allclose(uncertainty_std(values), 2**-13 * math.sqrt(2) / 3, rtol=1e-6)


def test_log_variance_has_its_floor():
    assert VARIANCE_FLOOR == 1e-6
    agreed = np.full((10, 3, 2), 0.7, dtype=np.float32)
    np.testing.assert_allclose(uncertainty_logvar(agreed), math.log(1e-6), rtol=1e-6)
    np.testing.assert_allclose(std_to_logvar(np.array([0.0, 1e-9])), math.log(1e-6), rtol=1e-6)
    np.testing.assert_allclose(logvar_to_std(np.array([math.log(1e-6)])), 1e-3, rtol=1e-5)


def test_std_and_log_variance_are_each_others_inverse():
    std = np.geomspace(1e-3, 30, 50)
    np.testing.assert_allclose(logvar_to_std(std_to_logvar(std)), std, rtol=1e-5)
    np.testing.assert_allclose(logvar_to_std(np.array([0.0, math.log(4)])), [1, 2], rtol=1e-6)


@pytest.mark.parametrize("size", [2, 3, 10, 25])
def test_unbiased_std(size):
    values = np.random.default_rng(size).normal(size=(size, 20, 2))
    np.testing.assert_allclose(
        unbiased_std(np.std(values, axis=0), size), np.std(values, axis=0, ddof=1), rtol=1e-12
    )


def test_unbiased_std_of_one_member_is_refused():
    with pytest.raises(ValueError, match="at least two members, but got 1"):
        unbiased_std(np.zeros(3), 1)


def test_the_guess_from_the_mean_is_the_average_of_its_bin():
    rng = np.random.default_rng(2)
    mean, at = rng.normal(size=(400, 2)), rng.normal(size=(90, 2)) * 2
    std = rng.gamma(2, 1, (400, 2))
    guess = std_of_mean(mean, std, at, bins=8)
    for column in range(2):
        edges = np.quantile(mean[:, column], np.arange(9) / 8)
        edges[0], edges[-1] = -np.inf, np.inf
        for value, got in zip(at[:, column], guess[:, column], strict=True):
            k = next(k for k in range(8) if edges[k] <= value < edges[k + 1])
            own = (edges[k] <= mean[:, column]) & (mean[:, column] < edges[k + 1])
            assert got == pytest.approx(std[own, column].mean())


def test_the_guess_from_means_that_are_often_equal_is_finite():
    mean = np.repeat([[0.0], [0.0], [0.0], [1.0]], 10, axis=0)
    std = np.where(mean == 0, 2.0, 5.0)
    guess = std_of_mean(mean, std, np.array([[-1.0], [0.0], [1.0], [7.0]]))
    np.testing.assert_allclose(guess[:, 0], [2, 2, 5, 5])


def test_the_aleatoric_variance_of_an_ensemble_is_the_mean_one():
    variances = np.array([[[0.5, 1e-4]], [[1.5, 3e-4]]])
    got = ensemble_aleatoric(np.log(variances).astype(np.float32))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.log([[1.0, 2e-4]]), rtol=1e-5, atol=1e-7)
    # Not beyond what losses look at, either.
    edges = ensemble_aleatoric(np.full((2, 1, 1), 900.0))
    np.testing.assert_allclose(edges, LOG_VARIANCES[1], rtol=1e-6)
