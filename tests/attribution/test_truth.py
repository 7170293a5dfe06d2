"""Scores against planted motifs: scikit-learn's, sequence by sequence."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from degu.attribution.truth import auroc, average_precision, chance_precision, prevalence

PAIRS = ((auroc, roc_auc_score), (average_precision, average_precision_score))
SCORES = (auroc, average_precision)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def expected(function, scores, mask):
    both = 0 < mask.sum() < len(mask)
    return function(mask, scores) if both else np.nan


@given(
    mask=arrays.arrays(np.uint8, (3, 11), elements=st.integers(0, 1)),
    scores=arrays.arrays(np.float64, (3, 11), elements=st.integers(0, 4)),
)
def test_scores_equal_those_of_scikit_learn(mask, scores):
    """Few different scores, so that there are ties of every kind."""
    for own, function in PAIRS:
        wanted = [expected(function, s, m) for s, m in zip(scores, mask, strict=True)]
        np.testing.assert_allclose(own(scores, mask), wanted, rtol=1e-12)


def test_several_models_at_once():
    rng = np.random.default_rng(0)
    mask = rng.random((6, 40)) < 0.3
    scores = rng.normal(size=(2, 3, 6, 40)).astype(np.float32)
    for own, function in PAIRS:
        got = own(scores, mask)
        assert got.shape == (2, 3, 6)
        for i in np.ndindex(2, 3, 6):
            assert got[i] == pytest.approx(function(mask[i[2]], scores[i]), rel=1e-12)


def test_what_the_numbers_mean():
    mask = np.array([[1, 1, 0, 0, 0, 0, 0, 0]])
    best = np.arange(8.0)[None, ::-1]
    for score in SCORES:
        assert score(best, mask) == 1
    assert auroc(-best, mask) == 0
    assert average_precision(-best, mask) == pytest.approx((1 / 7 + 2 / 8) / 2)
    # A map that says nothing.
    assert auroc(np.zeros((1, 8)), mask) == 0.5
    assert average_precision(np.zeros((1, 8)), mask) == prevalence(mask) == 0.25


def test_chance():
    rng = np.random.default_rng(0)
    mask = np.zeros((4000, 60))
    mask[:, :12] = 1
    noise = rng.normal(size=mask.shape)
    assert auroc(noise, mask).mean() == pytest.approx(0.5, abs=0.005)
    chance = chance_precision(mask)
    assert average_precision(noise, mask).mean() == pytest.approx(chance[0], abs=0.004)
    # Clearly above the share of motif positions, and less so the longer a sequence is.
    assert chance[0] > 0.24
    longer = chance_precision(np.tile(mask[:1], 100))
    assert 0.2 < longer.item() < 0.202


def test_chance_is_the_mean_over_all_orders():
    mask = np.array([1, 1, 0, 0, 0])
    orders = list(itertools.permutations(range(5)))
    every = [average_precision_score(mask, order) for order in orders]
    assert chance_precision(mask[None]) == pytest.approx(np.mean(every), rel=1e-12)


def test_sequences_of_one_kind_of_position_have_no_score():
    mask = np.array([[0, 0, 0], [1, 1, 1], [0, 1, 0]])
    scores = np.array([[1.0, 2, 3]] * 3)
    for score in SCORES:
        np.testing.assert_array_equal(np.isnan(score(scores, mask)), [True, True, False])
    np.testing.assert_array_equal(prevalence(mask), [np.nan, np.nan, 1 / 3])
    np.testing.assert_array_equal(np.isnan(chance_precision(mask)), [True, True, False])


@pytest.mark.parametrize("shape", [(3,), (2, 4), (3, 3), (3, 2, 3)])
def test_a_mask_that_does_not_fit(shape):
    with pytest.raises(ValueError, match="do not fit a mask"):
        auroc(np.zeros((2, 3)), np.zeros(shape))
