"""Metrics against closed forms, other libraries and brute force."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

from degu.heads import Heads
from degu.metrics import (
    eval_classification,
    eval_regression,
    in_std_units,
    partial_correlation,
    performance_table,
)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_closed_forms():
    y = np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 4.0]])
    result = eval_regression(y, y * [2, -1] + [1, 0])
    np.testing.assert_allclose(result["MSE"], [(1 + 4 + 9) / 3, (4 + 16 + 64) / 3])
    np.testing.assert_allclose(result["Pearson"], [1, -1])
    np.testing.assert_allclose(result["Spearman"], [1, -1])
    # Ranks 1 2 3 against 1 3 2: 1 - 6 · 2 / (3 · 8).
    assert eval_regression(np.arange(3.0), np.array([0, 9, 1.0]))["Spearman"] == pytest.approx(0.5)


def test_against_other_libraries(rng):
    y, pred = rng.normal(size=(2, 200, 3)).astype(np.float32)
    y[:50] = np.round(y[:50])  # ties
    result = eval_regression(y, pred)
    columns = list(zip(y.T.astype(float), pred.T.astype(float), strict=True))
    np.testing.assert_allclose(
        result["MSE"], sklearn_metrics.mean_squared_error(y, pred, multioutput="raw_values"), 1e-5
    )
    np.testing.assert_allclose(result["Pearson"], [np.corrcoef(a, b)[0, 1] for a, b in columns])
    np.testing.assert_allclose(
        result["Spearman"],
        [pd.Series(a).rank().corr(pd.Series(b).rank()) for a, b in columns],
    )
    assert {metric: values.shape for metric, values in result.items()} == {
        "MSE": (3,),
        "Pearson": (3,),
        "Spearman": (3,),
    }


def test_profiles_pool_their_positions(rng):
    y, pred = rng.normal(size=(2, 6, 7, 2))
    pooled = eval_regression(y.reshape(42, 2), pred.reshape(42, 2))
    for metric, values in eval_regression(y, pred).items():
        np.testing.assert_array_equal(values, pooled[metric])


@pytest.mark.parametrize("evaluate", [eval_regression, eval_classification])
def test_shapes_that_would_broadcast_are_refused(evaluate):
    with pytest.raises(ValueError, match=r"\(5,\) but predictions \(5, 1\)"):
        evaluate(np.zeros(5), np.zeros((5, 1)))
    with pytest.raises(ValueError, match="must be equal"):
        evaluate(np.zeros((5, 2)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="no values"):
        evaluate(np.zeros((0, 2)), np.zeros((0, 2)))


@pytest.mark.parametrize(
    "constant",
    [np.full(10, 0.3), 1 + 1e-15 * np.arange(10)],
    ids=["exact", "but for rounding"],
)
def test_correlation_with_a_constant_is_nan_and_silent(constant):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = eval_regression(np.arange(10.0), constant)
    assert math.isnan(result["Pearson"][0])
    assert math.isfinite(result["MSE"][0])


def test_a_single_sequence_has_an_error_but_no_correlation():
    result = eval_regression(np.array([[1.0, 2.0]]), np.array([[3.0, 2.0]]))
    np.testing.assert_array_equal(result["MSE"], [4, 0])
    assert np.isnan(result["Pearson"]).all()
    assert np.isnan(result["Spearman"]).all()


def test_classification_closed_form():
    y = np.array([1, 0, 1, 0, 0])
    pred = np.array([0.9, 0.8, 0.5, 0.4, 0.1])
    result = eval_classification(y, pred)
    # 5 of the 6 pairs (positive, negative) are in order; precision is 1/1 at the first positive
    # and 2/3 at the second; at 0.5 there are 2 true and 1 false positives, no false negative.
    assert result["AUROC"] == pytest.approx(5 / 6)
    assert result["AUPR"] == pytest.approx((1 + 2 / 3) / 2)
    assert result["F1"] == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert eval_classification(y, pred, threshold=0.85)["F1"] == pytest.approx(2 / 3)


def test_auroc_counts_ordered_pairs(rng):
    y = rng.integers(2, size=(60, 2))
    pred = rng.random((60, 2)).round(1)
    for target in range(2):
        positive, negative = pred[y[:, target] == 1, target], pred[y[:, target] == 0, target]
        wins = [(p > n) + (p == n) / 2 for p in positive for n in negative]
        assert eval_classification(y, pred)["AUROC"][target] == pytest.approx(np.mean(wins))


def test_classification_of_one_class_is_nan_and_of_other_labels_an_error():
    y = np.array([[0, 1], [1, 1]])
    result = eval_classification(y, np.array([[0.1, 0.2], [0.8, 0.9]]))
    for values in result.values():
        assert values[0] == 1
        assert math.isnan(values[1])
    with pytest.raises(ValueError, match="0 or 1"):
        eval_classification(y * 2, y / 2)


def test_performance_table_of_a_teacher(rng):
    y, pred = rng.normal(size=(2, 30, 2))
    table = performance_table(y, pred, Heads(("Dev", "Hk")))
    assert list(table) == ["metric", "Dev", "Hk"]
    assert list(table["metric"]) == ["MSE", "Pearson", "Spearman"]
    assert table.loc[1, "Hk"] == pytest.approx(np.corrcoef(y[:, 1], pred[:, 1])[0, 1])
    assert table.loc[0, "Dev"] == pytest.approx(np.mean((y[:, 0] - pred[:, 0]) ** 2))


def test_log_variances_are_scored_as_standard_deviations(rng):
    y = rng.normal(size=(40, 2))
    std = rng.uniform(0.1, 2, size=(40, 2))
    target = np.hstack([y, std])
    noisy = std * np.exp(rng.normal(0, 0.3, size=std.shape))
    as_std = performance_table(target, np.hstack([y, noisy]), Heads.student(("Dev", "Hk"), "std"))
    as_logvar = performance_table(
        target, np.hstack([y, 2 * np.log(noisy)]), Heads.student(("Dev", "Hk"), "logvar")
    )
    assert list(as_logvar) == ["metric", "Dev", "Hk", "Dev-std", "Hk-std"]
    pd.testing.assert_frame_equal(as_logvar, as_std, rtol=1e-5)
    assert as_logvar.loc[0, "Hk-std"] == pytest.approx(np.mean((std - noisy)[:, 1] ** 2), rel=1e-5)


def test_in_std_units_does_not_touch_its_input(rng):
    pred = rng.normal(size=(4, 3, 2)).astype(np.float32)  # a profile
    before = pred.copy()
    heads, converted = in_std_units(Heads.student(("Dev",), "logvar"), pred)
    assert heads == Heads.student(("Dev",), "std")
    np.testing.assert_array_equal(pred, before)
    np.testing.assert_array_equal(converted[..., 0], pred[..., 0])
    np.testing.assert_allclose(converted[..., 1], np.sqrt(np.exp(pred[..., 1])), rtol=1e-6)
    unchanged = Heads.student(("Dev",), "std")
    assert in_std_units(unchanged, pred)[0] is unchanged


def test_a_partial_correlation_is_that_of_what_a_regression_leaves(rng):
    given = rng.normal(size=(300, 2))
    y = given + rng.normal(size=(300, 2))
    pred = y - 2 * given + rng.normal(size=(300, 2))
    expected = []
    for column in range(2):
        design = np.column_stack([np.ones(300), given[:, column]])
        left = [v[:, column] - design @ np.linalg.lstsq(design, v[:, column])[0] for v in (y, pred)]
        expected.append(np.corrcoef(*left)[0, 1])
    np.testing.assert_allclose(partial_correlation(y, pred, given), expected, rtol=1e-9)
    assert np.isnan(partial_correlation(y, given, given)).all()
