"""Scores of draws, sorted once, against the same scores of each draw by itself."""

import numpy as np
import pytest
from scipy import stats

from degu import metrics
from degu.calibration import resampled, scores
from degu.calibration.bootstrap import Resamples

N = 200


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(5)
    std = rng.gamma(4, 0.2, N)
    return std, std * rng.standard_t(5, N), Resamples(N, draws=40)


def test_ence(drawn):
    _, error, resamples = drawn
    rng = np.random.default_rng(7)
    many, wrong = rng.gamma(4, 0.2, 4000), rng.normal(size=4000)
    draws = Resamples(4000, draws=10)
    twin = draws.apply(lambda rows: scores.ence(many[rows], wrong[rows]))
    # Copies of one sequence may fall into two bins, which the score itself keeps together.
    np.testing.assert_allclose(resampled.ence(many, wrong, draws), twin, rtol=0.02)
    constant = np.full(N, 0.7)
    twin = resamples.apply(lambda rows: scores.ence(constant[rows], error[rows]))
    np.testing.assert_allclose(resampled.ence(constant, error, resamples), twin, rtol=1e-6)


def test_ause_and_deciles(drawn):
    std, error, resamples = drawn
    twin = resamples.apply(lambda rows: scores.ause(std[rows], error[rows]))
    np.testing.assert_allclose(resampled.ause(std, error, resamples), twin, rtol=1e-9)
    constant = np.full(N, 0.7)
    twin = resamples.apply(lambda rows: scores.ause(constant[rows], error[rows]))
    np.testing.assert_allclose(resampled.ause(constant, error, resamples), twin, rtol=1e-9)
    for own in resampled.error_of_deciles(constant, error, resamples):
        twin = resamples.apply(lambda rows: np.sqrt(np.mean(error[rows] ** 2)))
        np.testing.assert_allclose(own, twin, rtol=1e-6)
    found = resampled.error_of_deciles(std, error, resamples)
    for certain, own in zip((True, False), found, strict=True):
        twin = resamples.apply(
            lambda rows, certain=certain: scores.error_of_decile(
                std[rows], error[rows], most_certain=certain
            )
        )
        np.testing.assert_allclose(own, twin, rtol=1e-9)


def test_auroc_draws_shifted_sequences_with_their_originals(drawn):
    std, _, resamples = drawn
    rng = np.random.default_rng(6)
    shifted = np.round(rng.gamma(5, 0.2, (2, N)), 1)  # with ties
    original = np.round(std, 1)
    twin = resamples.apply(lambda rows: scores.auroc(original[rows], shifted[:, rows].ravel()))
    np.testing.assert_allclose(resampled.auroc(original, shifted, resamples), twin, rtol=1e-9)


def test_correlations(drawn):
    std, error, resamples = drawn
    other, given = np.round(std + 0.1 * error, 2), std**2 + error
    twin = resamples.apply(lambda rows: stats.spearmanr(std[rows], other[rows]).statistic)
    np.testing.assert_allclose(resampled.spearman(std, other, resamples), twin, rtol=1e-9)
    columns = [values[:, None] for values in (std, other, given)]
    twin = resamples.apply(
        lambda rows: metrics.partial_correlation(*(values[rows] for values in columns))[0]
    )
    found = resampled.partial_correlation(std, other, given, resamples)
    np.testing.assert_allclose(found, twin, rtol=1e-6)


def test_without_draws_there_are_none(drawn):
    std, error, _ = drawn
    none = Resamples(N, draws=0)
    for found in (
        resampled.ence(std, error, none),
        resampled.ause(std, error, none),
        *resampled.error_of_deciles(std, error, none),
        resampled.auroc(std, std[None], none),
        resampled.spearman(std, error, none),
        resampled.partial_correlation(std, error, std, none),
    ):
        assert found.shape == (0,)
