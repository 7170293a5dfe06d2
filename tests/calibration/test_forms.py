"""Laws of predictions that several kinds of model share."""

import numpy as np
import pytest

from degu.baselines import BASELINES
from degu.calibration.forms import constant, ensemble, residual_of, single, with_std
from degu.calibration.laws import STD_FLOOR
from degu.heads import Heads

HEADS = Heads(("A", "B"))


def test_a_single_model_has_what_is_left_of_the_measurements():
    val = np.array([[0.0, 1.0], [0.0, 3.0]])
    y = np.array([2.0, 3.0])
    residual = residual_of(single, [{"Val": val}], HEADS, "B", y)
    assert residual == pytest.approx(0.5)  # mean square of 1 and 0: bias counts
    laws = single([{"Val": val}], HEADS, "B", "Val", residual)
    assert set(laws) == {"aleatoric", "total"}
    np.testing.assert_allclose(laws["total"].std, np.sqrt(0.5))
    np.testing.assert_array_equal(laws["total"].location, [1, 3])


def test_an_ensemble_leaves_its_own_variance_out_of_the_residual():
    members = [{"Val": np.array([[0.0], [1.0]])}, {"Val": np.array([[2.0], [1.0]])}]
    heads = Heads(("A",))
    y = np.array([3.0, 1.0])
    residual = residual_of(ensemble, members, heads, "A", y)
    # Errors 2 and 0: mean square 2; variances 1 and 0 (floored): mean 0.5.
    assert residual == pytest.approx(1.5, abs=1e-5)
    laws = ensemble(members, heads, "A", "Val", residual)
    np.testing.assert_allclose(laws["epistemic"].std, [1, STD_FLOOR])
    np.testing.assert_allclose(laws["total"].std ** 2, [2.5, 1.5], atol=1e-5)


def test_an_epistemic_variance_above_all_errors_leaves_no_residual():
    members = [{"Val": np.array([[0.0], [0.0]])}, {"Val": np.array([[2.0], [2.0]])}]
    heads = Heads(("A",))
    assert residual_of(ensemble, members, heads, "A", np.array([1.0, 1.0])) == 0
    laws = ensemble(members, heads, "A", "Val", 0.0)
    np.testing.assert_allclose(laws["aleatoric"].std, STD_FLOOR)
    np.testing.assert_allclose(laws["total"].std, 1)


@pytest.mark.parametrize(("kind", "column"), [("std", 0.3), ("logvar", 2 * np.log(0.3))])
def test_a_student_of_either_kind(kind, column):
    heads = Heads.student(("A",), kind)
    made = [{"Test": np.array([[1.0, column], [2.0, column]])}]
    laws = with_std(made, heads, "A", "Test", 0.16)
    np.testing.assert_allclose(laws["epistemic"].std, 0.3, rtol=1e-6)
    np.testing.assert_allclose(laws["total"].std, 0.5, rtol=1e-6)


def test_stds_at_or_below_0_are_floored():
    heads = Heads.student(("A",), "std")
    laws = with_std([{"Test": np.array([[1.0, -0.4], [1.0, 0.0]])}], heads, "A", "Test", 0.25)
    np.testing.assert_allclose(laws["epistemic"].std, STD_FLOOR)
    np.testing.assert_allclose(laws["total"].std, 0.5, rtol=1e-5)


ALEATORIC = Heads(("A", "B"), ("mean", "aleatoric"))


def test_an_aleatoric_head_stands_in_for_the_residual():
    values = np.array([[1.0, 5.0, np.log(0.25), np.log(4.0)], [2.0, 5.0, np.log(0.09), 40.0]])
    laws = single([{"Test": values}], ALEATORIC, "A", "Test", 123.0)
    assert set(laws) == {"aleatoric", "total"}
    np.testing.assert_allclose(laws["total"].std, [0.5, 0.3])
    # Beyond the range of the losses it is the nearest, a std of 1,000.
    laws = single([{"Test": values}], ALEATORIC, "B", "Test", 123.0)
    np.testing.assert_allclose(laws["total"].std, [2, 1000])


@pytest.mark.parametrize(("kind", "column"), [("std", 0.3), ("logvar", 2 * np.log(0.3))])
def test_a_student_adds_its_own_variances(kind, column):
    heads = Heads.student(("A",), kind, aleatoric=True)
    made = [{"Test": np.array([[1.0, np.log(0.16), column], [2.0, np.log(0.07), column]])}]
    laws = with_std(made, heads, "A", "Test", 123.0)
    np.testing.assert_allclose(laws["epistemic"].std, 0.3, rtol=1e-6)
    np.testing.assert_allclose(laws["aleatoric"].std, np.sqrt([0.16, 0.07]), rtol=1e-6)
    np.testing.assert_allclose(laws["total"].std, [0.5, 0.4], rtol=1e-6)
    np.testing.assert_array_equal(laws["total"].location, [1, 2])


def test_an_ensemble_adds_the_mean_of_its_members_variances():
    heads = Heads(("A",), ("mean", "aleatoric"))
    members = [{"Val": np.array([[0.0, np.log(0.1)]])}, {"Val": np.array([[2.0, np.log(0.7)]])}]
    laws = ensemble(members, heads, "A", "Val", 123.0)
    assert laws["epistemic"].std ** 2 == pytest.approx(1)
    assert laws["aleatoric"].std ** 2 == pytest.approx(0.4)
    assert laws["total"].std ** 2 == pytest.approx(1.4)
    assert type(laws["total"]).__name__ == "Gaussian"


def test_a_constant_variance_is_one_whatever_the_heads():
    heads = Heads.student(("A",), "std", aleatoric=True)
    made = [{"Val": np.array([[1.0, 0.3, 0.2], [2.0, 9.0, 0.2]])}]
    assert residual_of(constant, made, heads, "A", np.array([2.0, 2.0])) == pytest.approx(0.5)
    laws = constant(made, heads, "A", "Val", 0.5)
    assert set(laws) == {"aleatoric", "total"}
    np.testing.assert_allclose(laws["total"].std, np.sqrt(0.5))


def test_baselines_of_one_variance_keep_it():
    for name in ("residual", "constant"):
        assert BASELINES[name].laws_of is constant
