"""In-silico mutagenesis equals a loop that mutates strings and predicts each."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import random_one_hot
from keras import layers

from degu.attribution import mutagenesis
from degu.errors import InputError
from degu.models.registry import build
from degu.sequences import decode, one_hot
from degu.training.batches import predict

LENGTH = 16


def by_hand(predict_fun, x, heads):
    """Every mutant as a string; (n, L, 4, heads)."""
    maps = np.zeros((*x.shape, heads))
    for i, text in enumerate(decode(x)):
        mutants = {
            (position, b): text[:position] + base + text[position + 1 :]
            for position, old in enumerate(text)
            for b, base in enumerate("ACGT")
            if base != old
        }
        values = predict_fun(one_hot([text, *mutants.values()])).astype(np.float64)
        for (position, b), value in zip(mutants, values[1:], strict=True):
            maps[i, position, b] = value - values[0]
    return maps


def network(seed=0):
    """DeepSTARR with two heads; its statistics are drawn, so that inference mode matters."""
    keras.utils.set_random_seed(seed)
    model = build("deepstarr", (LENGTH, 4), 2)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "variance")):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.path.endswith(("beta", "mean")):
            weight.assign(0.1 * rng.normal(size=weight.shape))
    model.layers[-1].kernel.assign(rng.normal(size=model.layers[-1].kernel.shape))
    return model


class Watched(layers.Layer):
    """Notes the sizes of its batches when they are computed, and how often it is traced."""

    def __init__(self):
        super().__init__()
        self.sizes, self.calls = [], 0

    def call(self, inputs):
        self.calls += 1

        def note(size):
            self.sizes.append(int(size))
            return size

        if not isinstance(inputs, keras.KerasTensor):
            noted = tf.numpy_function(note, [tf.shape(inputs)[0]], tf.int32, stateful=True)
            with tf.control_dependencies([noted]):
                return tf.identity(inputs)
        return inputs


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def x():
    x = random_one_hot(5, LENGTH)
    x[1, 4:7] = 0
    x[3] = 0
    return x


@pytest.fixture(scope="module")
def expected(model, x):
    return by_hand(lambda sequences: predict(model, sequences), x, 2)


def rounding(expected):
    """What effects may be off by: differences of larger numbers, which CPUs round apart."""
    return 5e-5 * np.abs(expected).max()


def test_it_is_what_mutated_strings_predict(model, x, expected):
    maps = mutagenesis(model, x, [0, 1])
    assert (maps.shape, maps.dtype) == ((5, LENGTH, 4, 2), np.float32)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(maps, expected, atol=rounding(expected))
    # Exactly zero for the base that is there, and for no other.
    np.testing.assert_array_equal(maps[x == 1], 0)
    assert (maps[x == 0] != 0).mean() > 0.9


def test_a_linear_model_gives_differences_of_its_weights():
    weights = np.random.default_rng(0).normal(size=(LENGTH, 4, 2)).astype(np.float32)
    model = keras.Sequential([keras.Input((LENGTH, 4)), layers.Flatten(), layers.Dense(2)])
    model.layers[-1].set_weights([weights.reshape(-1, 2), np.array([0.5, -2])])
    x = random_one_hot(3, LENGTH)
    x[0, :2] = 0
    there = np.einsum("nlb,lbh->nlh", x, weights)  # 0 at an unknown base
    expected = weights[None] - there[:, :, None]
    np.testing.assert_allclose(mutagenesis(model, x, [0, 1]), expected, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 48, 10_000])
def test_the_batch_size_does_not_matter(model, x, expected, batch_size):
    maps = mutagenesis(model, x[:2], [0, 1], batch_size=batch_size)
    np.testing.assert_allclose(maps, expected[:2], atol=rounding(expected))


def test_heads_alone_are_the_heads_together(model, x, expected):
    tolerance = rounding(expected)
    for head in (0, 1):
        maps = mutagenesis(model, x, head)
        assert maps.shape == (5, LENGTH, 4)
        np.testing.assert_allclose(maps, expected[..., head], atol=tolerance)
    swapped = mutagenesis(model, x, (1, 0))
    np.testing.assert_allclose(swapped, expected[..., ::-1], atol=tolerance)


def test_an_ensemble_is_the_mean_of_its_members(x):
    members = [network(seed) for seed in (1, 2, 3)]
    alone = np.stack([mutagenesis(member, x, [0, 1]) for member in members])
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    np.testing.assert_allclose(mutagenesis(members, x, [0, 1]), alone.mean(axis=0), atol=1e-6)


def test_no_prediction_is_made_twice_and_every_batch_but_the_last_is_full(x):
    inputs = keras.Input((LENGTH, 4))
    watched = Watched()
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(watched(inputs))))
    watched.sizes.clear()
    watched.calls = 0
    mutagenesis(model, x, [0, 1], batch_size=20)
    # The sequences themselves, then 3 mutants of each known base and 4 of each unknown one.
    known, unknown = 5 * LENGTH - 19, 19
    mutants = 3 * known + 4 * unknown
    assert sum(watched.sizes) == 5 + mutants
    assert watched.sizes == [5] + [20] * (mutants // 20) + [mutants % 20]
    assert watched.calls == 1


def test_it_needs_no_gradient():
    class Argmax(layers.Layer):
        def call(self, inputs):
            return keras.ops.cast(keras.ops.argmax(inputs, axis=-1), "float32")

    inputs = keras.Input((LENGTH, 4))
    model = keras.Model(inputs, layers.Dense(1, kernel_initializer="ones")(Argmax()(inputs)))
    x = random_one_hot(2, LENGTH)
    expected = np.arange(4) - x.argmax(axis=-1)[..., None]
    np.testing.assert_array_equal(mutagenesis(model, x), expected)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32, np.float64])
def test_any_numeric_type(model, x, dtype):
    maps = mutagenesis(model, x[:2].astype(dtype))
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, mutagenesis(model, x[:2]), atol=1e-6)


def test_the_sequences_stay_as_they_were(model, x):
    before = x.copy()
    mutagenesis(model, x)
    np.testing.assert_array_equal(x, before)


def test_a_progress_bar_only_where_it_is_asked_for(model, capsys):
    x = random_one_hot(2, LENGTH)
    mutagenesis(model, x)
    assert capsys.readouterr().err == ""
    mutagenesis(model, x, progress=True)
    assert "96/96" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"head": 2}, "no head 2: DeepSTARR has 2 output columns"),
        ({"head": []}, "at least one"),
        ({"x": np.zeros((2, LENGTH + 1, 4))}, r"\(n, 16, 4\), but got \(2, 17, 4\)"),
        ({"x": np.full((2, LENGTH, 4), 0.25)}, "needs one-hot sequences"),
        ({"x": np.ones((2, LENGTH, 4), np.uint8)}, "needs one-hot sequences"),
        ({"x": np.full((2, LENGTH, 4), np.nan)}, "sequences x of finite numbers"),
        ({"model": []}, "empty ensemble"),
        ({"batch_size": 0}, "batch_size must be at least 1, but is 0"),
    ],
)
def test_what_does_not_fit_is_refused(model, x, arguments, words):
    with pytest.raises(InputError, match=words):
        mutagenesis(**{"model": model, "x": x, **arguments})
