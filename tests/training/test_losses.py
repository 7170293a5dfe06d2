"""The loss of models with heads of unequal weight."""

import keras
import numpy as np
import pytest

from degu.heads import Heads
from degu.training.fit import WeightedSquaredError, squared_error_of

MEANS = Heads(("Dev", "Hk"))
STUDENT = Heads.student(("Dev", "Hk"), "std")
LOGVAR = Heads.student(("Dev", "Hk"), "logvar")


def test_closed_form():
    y = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    pred = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 3.0]])
    loss = WeightedSquaredError([1, 2, 0.5])
    # (1·1 + 2·4 + 0.5·9) / 3 and (0 + 0 + 0.5·4) / 3, and their mean.
    np.testing.assert_allclose(loss.call(y, pred), [13.5 / 3, 2 / 3], rtol=1e-6)
    assert float(loss(y, pred)) == pytest.approx(15.5 / 6)
    # Weights of sequences are another matter.
    assert float(loss(y, pred, np.array([0.0, 2.0]))) == pytest.approx(2 / 3)


@pytest.mark.parametrize("shape", [(7, 4), (7, 5, 4)])
def test_weights_of_one_are_keras_s_mean_squared_error(shape):
    y, pred = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    equal = keras.losses.MeanSquaredError()(y, pred)
    np.testing.assert_allclose(WeightedSquaredError([1] * 4)(y, pred), equal, rtol=1e-6)


@pytest.mark.parametrize(
    ("heads", "weight"), [(STUDENT, 1), (LOGVAR, 1.0), (MEANS, 1), (MEANS, 7.0)]
)
def test_where_no_weight_differs_it_is_keras_s_own(heads, weight):
    assert type(squared_error_of(heads, weight)) is keras.losses.MeanSquaredError


@pytest.mark.parametrize("heads", [STUDENT, LOGVAR])
def test_uncertainty_heads_have_the_weight_and_the_others_do_not(heads):
    assert squared_error_of(heads, 9).weights == [1, 1, 9, 9]


def test_gradients_are_as_many_times_as_large():
    tf = pytest.importorskip("tensorflow")
    y = np.zeros((3, 4), np.float32)
    pred = tf.constant(np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32))
    gradients = []
    for weight in (1, 5):
        with tf.GradientTape() as tape:
            tape.watch(pred)
            loss = squared_error_of(STUDENT, weight)(y, pred)
        gradients.append(tape.gradient(loss, pred).numpy())
    equal, weighted = gradients
    np.testing.assert_allclose(weighted / equal, np.tile([1, 1, 5, 5], (3, 1)), rtol=1e-5)


def test_it_is_saved_with_its_weights(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    model.compile("adam", squared_error_of(STUDENT, 3))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.loss.weights == [1, 1, 3, 3]
