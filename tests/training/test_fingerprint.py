"""What a fingerprint must tell apart, and what it must not."""

import functools

import keras
import numpy as np
import pytest

from degu.training.fingerprint import fingerprint

FACTOR = 1.0


def scaled(y, prediction, factor=1.0):
    return factor * keras.ops.square(y - prediction)


CALLS = []


def by_global(y, prediction):
    CALLS.append(1)
    return FACTOR * scaled(y, prediction)


def by_helper(y, prediction):
    return by_global(y[..., 0], prediction[..., 0])


class Scaled(keras.losses.Loss):
    """A loss whose config does not tell its factor, as Keras does not ask for it."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, y, prediction):
        return scaled(y, prediction, self.factor)


def augmentation(step):
    """Objects of one name whose classes differ in code: a cell of a notebook, edited."""

    class Shift:
        def __call__(self, x, rng):
            return step(x)

    return Shift()


def network(step):
    """Models of one config that differ in the code of a layer."""

    class Shift(keras.layers.Layer):
        def call(self, x):
            return step(x)

    inputs = keras.Input((3,))
    outputs = Shift(name="shift")(inputs)
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones")(outputs))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: functools.partial(scaled, factor=1), lambda: functools.partial(scaled, factor=2)),
        (lambda: Scaled(1).call, lambda: Scaled(2).call),
        (lambda: Scaled(1), lambda: Scaled(2)),
        (lambda: augmentation(lambda x: x), lambda: augmentation(lambda x: x + 1)),
        (
            lambda: keras.callbacks.EarlyStopping(min_delta=0.1),
            lambda: keras.callbacks.EarlyStopping(min_delta=0.2),
        ),
        (lambda: {1, 2}, lambda: {1, 3}),
    ],
    ids=["partial", "method", "loss", "code of a class", "min_delta", "set"],
)
def test_what_differs(one, other):
    assert None is not fingerprint(one()) == fingerprint(one())
    assert fingerprint(one()) != fingerprint(other())


@pytest.mark.parametrize("function", [by_global, by_helper], ids=lambda f: f.__name__)
def test_globals_count_as_far_as_they_are_used(function, monkeypatch):
    first = fingerprint(function)
    assert first is not None
    monkeypatch.setitem(globals(), "unused", np.zeros(3))
    monkeypatch.setitem(globals(), "CALLS", [1])  # is no setting
    assert fingerprint(function) == first
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    second = fingerprint(function)
    assert second not in (None, first)
    monkeypatch.setitem(globals(), "scaled", lambda y, prediction: y - prediction)
    assert fingerprint(function) not in (None, first, second)


def test_layers_of_ones_own_count_by_their_code():
    def one(x):
        return x + 1

    def other(x):
        return 2 * x

    assert None is not fingerprint(network(one)) == fingerprint(network(one))
    assert fingerprint(network(one)) != fingerprint(network(other))


def test_functions_and_classes_that_use_each_other_have_an_end():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    class Again:
        def again(self):
            return Again()

    assert None is not fingerprint([even, Again()]) == fingerprint([even, Again()])


def test_installed_libraries_are_not_walked_through():
    import pandas as pd

    assert fingerprint(lambda y: pd.DataFrame(y)) is not None
    assert fingerprint(pd.DataFrame) == fingerprint(pd.DataFrame) is not None


def test_state_of_random_numbers_has_no_identity():
    rng = np.random.default_rng(0)
    assert fingerprint(lambda x: x + rng.normal()) is None
    schedule = type("Schedule", (keras.optimizers.schedules.LearningRateSchedule,), {})
    assert fingerprint(schedule()) is None  # Keras knows no config of it
