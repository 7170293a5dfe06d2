"""Tests of difference against their definitions, and what says nothing."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from degu.attribution.comparison import paired_t, welch, wilcoxon

TESTS = (welch, paired_t, wilcoxon)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def samples(n_students, n_teachers, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0.8, 0.5, n_students), rng.normal(1.0, 1.5, n_teachers)


@pytest.mark.parametrize("sizes", [(10, 10), (2, 3), (7, 25)])
def test_welch(sizes):
    students, teachers = samples(*sizes)
    (n1, n2), (v1, v2) = sizes, (students.var(ddof=1), teachers.var(ddof=1))
    difference = students.mean() - teachers.mean()
    error = v1 / n1 + v2 / n2
    t = difference / math.sqrt(error)
    freedom = error**2 / ((v1 / n1) ** 2 / (n1 - 1) + (v2 / n2) ** 2 / (n2 - 1))
    m = n1 + n2 - 2
    pooled = math.sqrt(((n1 - 1) * v1 + (n2 - 1) * v2) / m)
    correction = math.gamma(m / 2) / (math.sqrt(m / 2) * math.gamma((m - 1) / 2))
    assert welch(students, teachers) == pytest.approx(
        {
            "difference": difference,
            "t": t,
            "p": 2 * stats.t.sf(abs(t), freedom),
            "effect_size": correction * difference / pooled,
            "n": n1 + n2,
        }
    )
    # What handbooks give in place of the gamma functions.
    assert correction == pytest.approx(1 - 3 / (4 * m - 1), rel=0.02)


def test_paired_t():
    students, teachers = samples(12, 12)
    d = students - teachers
    t = d.mean() / (d.std(ddof=1) / math.sqrt(12))
    assert paired_t(students, teachers) == pytest.approx(
        {
            "difference": d.mean(),
            "t": t,
            "p": 2 * stats.t.sf(abs(t), 11),
            "effect_size": d.mean() / d.std(ddof=1),
            "n": 12,
        }
    )


def test_wilcoxon():
    """By hand: differences −4, 3, −2, 1, −5 have the ranks 4, 3, 2, 1, 5."""
    teachers = np.full(5, 10.0)
    got = wilcoxon(teachers + np.array([-4, 3, -2, 1, -5]), teachers)
    assert got["W"] == 4
    assert got["effect_size"] == pytest.approx((4 - 11) / 15)
    assert got["difference"] == -2
    assert got["n"] == 5
    # 7 of the 32 equally likely sums of positive ranks are at most 4, and as many at least 11.
    assert got["p"] == pytest.approx(14 / 32)
    all_below = wilcoxon(teachers - np.arange(1, 6), teachers)
    assert all_below["effect_size"] == -1
    assert all_below["W"] == 0
    assert all_below["p"] == pytest.approx(2 / 32)


def test_wilcoxon_is_scipys_with_ties_and_many_sequences():
    rng = np.random.default_rng(1)
    students, teachers = rng.integers(0, 9, (2, 300)).astype(float)
    got = wilcoxon(students, teachers)
    expected = stats.wilcoxon(students, teachers, zero_method="wilcox")
    assert got["W"] == expected.statistic
    assert got["p"] == pytest.approx(expected.pvalue)
    assert got["n"] == np.count_nonzero(students != teachers)


@given(seed=st.integers(0, 10_000), n=st.integers(2, 20))
def test_which_side_is_which(seed, n):
    students, teachers = samples(n, n, seed)
    for test in TESTS:
        one, other = test(students, teachers), test(teachers, students)
        assert one["p"] == pytest.approx(other["p"])
        for statistic in ("difference", "t", "effect_size"):
            if statistic in one:
                assert one[statistic] == pytest.approx(-other[statistic])


def test_undefined_values_are_left_out():
    students, teachers = samples(9, 9)
    more = np.append(students, [np.nan, 3.0]), np.append(teachers, [1.0, np.nan])
    for test in (paired_t, wilcoxon):
        assert test(*more) == test(students, teachers)
    assert welch(*more) == welch(np.append(students, 3.0), np.append(teachers, 1.0))


@pytest.mark.parametrize("test", TESTS)
def test_what_says_nothing_is_left_out(test):
    some, nan = np.array([0.1, 0.2, 0.7]), np.full(3, np.nan)
    assert test(some[:1], some[:1]) == {}
    assert test(some[:0], some[:0]) == {}
    assert test(nan, some) == {}
    assert test(np.zeros(3), np.zeros(3)) == {}
    third = np.full(4, 1 / 3)
    assert test(third, third * (1 + 2e-16)) == {}


def test_differences_of_rounding_are_none():
    some = np.random.default_rng(0).random(30)
    noisy = some * (1 + 1e-15 * np.random.default_rng(1).normal(size=30))
    assert paired_t(some, noisy) == {}
    assert wilcoxon(some, noisy) == {}
    # A constant difference varies by rounding alone; Wilcoxon's test needs no variation.
    assert paired_t(some + 0.1, some) == {}
    assert wilcoxon(some + 0.1, some)["effect_size"] == 1


def test_one_group_may_have_no_variation():
    students, teachers = np.full(4, 0.1), np.array([0.2, 0.3, 0.5])
    expected = (0.1 - teachers.mean()) / math.sqrt(teachers.var(ddof=1) / 3)
    assert welch(students, teachers)["t"] == pytest.approx(expected)
