"""Saliency equals closed forms and finite differences, for any head, batch and ensemble."""

import keras
import numpy as np
import pytest
from conftest import random_one_hot
from keras import layers

from degu.attribution import saliency
from degu.errors import InputError

LENGTH = 16


def linear(seed=0, heads=3, length=LENGTH):
    """A linear model and its weights (L, 4, heads)."""
    weights = np.random.default_rng(seed).normal(size=(length * 4, heads)).astype(np.float32)
    model = keras.Sequential([keras.Input((length, 4)), layers.Flatten(), layers.Dense(heads)])
    model.layers[-1].set_weights([weights, np.arange(heads)])
    return model, weights.reshape(length, 4, heads)


def network(dtype="float32", seed=0):
    """A small network of DeepSTARR's kinds of layers, every weight and statistic drawn."""
    inputs = keras.Input((LENGTH, 4), dtype=dtype)
    x = inputs
    for filters, width in ((12, 5), (8, 3)):
        x = layers.Conv1D(filters, width, padding="same", dtype=dtype)(x)
        x = layers.BatchNormalization(dtype=dtype)(x)
        x = layers.Activation("relu", dtype=dtype)(x)
        x = layers.MaxPooling1D(2, dtype=dtype)(x)
    x = layers.Flatten(dtype=dtype)(x)
    x = layers.Dense(10, dtype=dtype)(x)
    x = layers.BatchNormalization(dtype=dtype)(x)
    x = layers.Activation("relu", dtype=dtype)(x)
    x = layers.Dropout(0.4, dtype=dtype)(x)
    model = keras.Model(inputs, layers.Dense(3, dtype=dtype)(x))
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        positive = weight.path.endswith("variance")
        draw = rng.uniform(0.5, 1.5, weight.shape) if positive else rng.normal(size=weight.shape)
        weight.assign(draw if positive else 0.6 * draw)
    return model


def centred(maps):
    return maps - maps.mean(axis=2, keepdims=True)


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def x():
    x = random_one_hot(11, LENGTH)
    x[2, 3:6] = 0
    return x


def test_the_gradient_of_a_linear_model_is_its_kernel(x):
    model, weights = linear()
    maps = saliency(model, x, [2, 0], centered=False)
    assert (maps.shape, maps.dtype) == ((11, LENGTH, 4, 2), np.float32)
    np.testing.assert_array_equal(maps, np.broadcast_to(weights[..., [2, 0]], maps.shape))
    # Centred it is the kernel without its mean over the bases, at unknown bases too.
    expected = weights - (weights.sum(axis=1, keepdims=True) / 4)
    maps = saliency(model, x, 1)
    assert (maps.shape, maps.dtype) == ((11, LENGTH, 4), np.float32)
    np.testing.assert_allclose(maps, np.broadcast_to(expected[..., 1], maps.shape), atol=1e-6)


def test_the_gradient_of_a_square(x):
    """Of f(x) = (w · x)² it is 2 (w · x) w."""
    inputs = keras.Input((LENGTH, 4))
    dense = layers.Dense(1, use_bias=False)
    product = dense(layers.Flatten()(inputs))
    model = keras.Model(inputs, layers.Multiply()([product, product]))
    w = np.random.default_rng(1).normal(size=(LENGTH, 4))
    dense.set_weights([w.reshape(-1, 1)])
    expected = 2 * np.einsum("nlb,lb->n", x, w)[:, None, None] * w
    np.testing.assert_allclose(saliency(model, x, centered=False), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(saliency(model, x), centred(expected), rtol=1e-4, atol=1e-4)


def test_the_gradient_is_the_limit_of_differences():
    """Central differences in float64, of predictions in inference mode."""
    exact, rounded = network("float64"), network("float32")
    rounded.set_weights(exact.get_weights())
    # Off the corners of the simplex no two inputs of a pooling window are equal.
    x = random_one_hot(4, LENGTH) + np.random.default_rng(3).normal(scale=0.05, size=(4, LENGTH, 4))
    x = x.astype(np.float32)
    step = 1e-6
    shifted = np.eye(LENGTH * 4).reshape(-1, 1, LENGTH, 4) * step
    up, down = (
        np.asarray(exact((x + s * shifted).reshape(-1, LENGTH, 4).astype(np.float64)))
        for s in (1, -1)
    )
    slope = ((up - down) / (2 * step)).reshape(LENGTH, 4, 4, 3)
    expected = np.moveaxis(slope, 2, 0)
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(
        saliency(exact, x, [0, 1, 2], centered=False), expected, rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(saliency(rounded, x, [0, 1, 2]), centred(expected), atol=1e-4)


def test_a_centred_map_is_the_map_without_its_mean(model, x):
    plain = saliency(model, x, [0, 2], centered=False)
    maps = saliency(model, x, [0, 2])
    np.testing.assert_allclose(maps, centred(plain), atol=1e-5)
    np.testing.assert_allclose(maps.sum(axis=2), 0, atol=1e-5)
    assert np.abs(plain.sum(axis=2)).max() > 0.1


def test_centring_removes_what_leaves_the_simplex(model, x):
    """A term that adds the sum of each position's bases is the same for every sequence."""
    inputs = keras.Input((LENGTH, 4))
    off, weights = linear(seed=5, heads=3)
    off.layers[-1].set_weights([np.repeat(weights[:, :1].reshape(-1, 3), 4, axis=0), np.zeros(3)])
    both = keras.Model(inputs, layers.Add()([model(inputs), off(inputs)]))
    assert np.abs(saliency(both, x, centered=False) - saliency(model, x, centered=False)).max() > 1
    np.testing.assert_allclose(saliency(both, x), saliency(model, x), atol=1e-5)


def test_heads_alone_are_the_heads_together(model, x):
    together = saliency(model, x, [2, 0, 1])
    for i, head in enumerate([2, 0, 1]):
        np.testing.assert_allclose(saliency(model, x, head), together[..., i], atol=1e-6)
        np.testing.assert_allclose(saliency(model, x, [head]), together[..., [i]], atol=1e-6)
        np.testing.assert_allclose(saliency(model, x, np.int64(head)), together[..., i], atol=1e-6)


def test_an_ensemble_is_the_mean_of_its_members(x):
    members = [network(seed=seed) for seed in range(3)]
    alone = np.stack([saliency(member, x, [0, 1]) for member in members])
    np.testing.assert_allclose(saliency(members, x, [0, 1]), alone.mean(axis=0), atol=1e-6)
    # It is the map of the mean prediction.
    inputs = keras.Input((LENGTH, 4))
    mean = keras.Model(inputs, layers.Average()([member(inputs) for member in members]))
    np.testing.assert_allclose(saliency(members, x, 2), saliency(mean, x, 2), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 11, 1000])
def test_the_batch_size_does_not_matter(model, x, batch_size):
    np.testing.assert_allclose(
        saliency(model, x, [0, 1], batch_size=batch_size), saliency(model, x, [0, 1]), atol=1e-5
    )


def test_a_sequence_does_not_depend_on_its_neighbours(model, x):
    np.testing.assert_allclose(saliency(model, x[::-1])[::-1], saliency(model, x), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.int64, np.float16, np.float64])
def test_any_numeric_type(model, x, dtype):
    maps = saliency(model, x.astype(dtype))
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, saliency(model, x), atol=1e-6)


class Counted(layers.Layer):
    """Counts how often it is called from Python."""

    calls = 0

    def call(self, inputs):
        Counted.calls += 1
        return inputs


def test_a_model_is_traced_once_for_all_heads_and_batches(model, x):
    inputs = keras.Input((LENGTH, 4))
    counted = keras.Model(inputs, model(Counted()(inputs)))
    Counted.calls = 0
    saliency(counted, x, [0, 1, 2], batch_size=4)
    assert Counted.calls == 1


def test_sequences_of_any_length():
    inputs = keras.Input((None, 4))
    pooled = layers.GlobalAveragePooling1D()(layers.Conv1D(2, 1, use_bias=False)(inputs))
    model = keras.Model(inputs, pooled)
    for length in (5, 8):
        maps = saliency(model, random_one_hot(3, length), 1, centered=False)
        expected = np.tile(model.get_weights()[0][0, :, 1] / length, (3, length, 1))
        np.testing.assert_allclose(maps, expected, rtol=1e-5)


def test_the_model_stays_as_it_was(model, x):
    before = [w.copy() for w in model.get_weights()]
    saliency(model, x)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_progress_bar_only_where_it_is_asked_for(model, x, capsys):
    saliency(model, x)
    assert capsys.readouterr().err == ""
    saliency(model, x, progress=True, batch_size=4)
    assert "11/11" in capsys.readouterr().err


class Rounded(layers.Layer):
    def call(self, inputs):
        return keras.ops.cast(keras.ops.argmax(inputs, axis=-1), "float32")


def test_a_model_without_a_gradient_is_named(x):
    inputs = keras.Input((LENGTH, 4))
    model = keras.Model(inputs, layers.Dense(1)(Rounded()(inputs)), name="MyRounded")
    with pytest.raises(
        InputError, match=r"^MyRounded has no gradient: .* use mutagenesis"
    ) as error:
        saliency([model, model], x)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"head": 3}, "no head 3: .* has 3 output columns"),
        ({"head": -1}, "no head -1"),
        ({"head": []}, "at least one"),
        ({"head": [1, 1]}, "distinct"),
        ({"x": np.zeros((2, LENGTH + 1, 4))}, r"\(n, 16, 4\), but got \(2, 17, 4\)"),
        ({"x": np.zeros((LENGTH, 4))}, r"but got \(16, 4\)"),
        ({"x": np.zeros((0, LENGTH, 4))}, r"but got \(0, 16, 4\)"),
        ({"model": []}, "empty ensemble"),
        ({"batch_size": 0}, "batch_size must be at least 1, but is 0"),
    ],
)
def test_what_does_not_fit_is_refused(model, x, arguments, words):
    with pytest.raises(InputError, match=words):
        saliency(**{"model": model, "x": x, **arguments})


class Subclassed(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs)


def test_a_subclassed_model_is_refused_until_it_is_wrapped(model, x):
    subclassed = Subclassed(model)
    with pytest.raises(
        InputError, match=r"Subclassed.*, and wrap a subclassed one as keras\.Model"
    ):
        saliency(subclassed, x)
    inputs = keras.Input((LENGTH, 4))
    wrapped = keras.Model(inputs, subclassed(inputs))
    np.testing.assert_allclose(saliency(wrapped, x), saliency(model, x), atol=1e-6)
    with pytest.raises(InputError, match=r"Sequential Keras model, but got 'teacher\.h5'"):
        saliency(["teacher.h5"], x)


def test_members_of_different_shapes_are_refused(model, x):
    with pytest.raises(InputError, match="one shape"):
        saliency([model, linear(heads=2)[0]], x)
