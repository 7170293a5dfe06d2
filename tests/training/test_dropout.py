"""Monte-Carlo dropout: moments over passes, what is computed once, masks by their seed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import random_one_hot
from keras import layers

from degu.errors import InputError
from degu.models.draw import new_member
from degu.models.registry import build
from degu.training.batch_norm import PreciseAverages
from degu.training.batches import predict
from degu.training.dropout import (
    DropoutPasses,
    dropout_layers,
    dropout_on,
    split_at_dropout,
)

LENGTH = 20
X = random_one_hot(40, LENGTH)


def branched():
    """Dropout in one of two branches, in a nested model, and none before a convolution."""
    inner_input = keras.Input((8,))
    inner = layers.Dropout(0.3)(layers.BatchNormalization()(inner_input))
    nested = keras.Model(inner_input, layers.Dense(5)(inner))
    inputs = keras.Input((LENGTH, 4))
    x = layers.Conv1D(8, 3, activation="relu")(inputs)
    x = layers.GlobalAveragePooling1D()(x)
    plain = layers.Dense(6)(x)
    both = layers.Concatenate()([nested(x), plain])
    both = layers.GaussianDropout(0.2)(layers.BatchNormalization()(both))
    return keras.Model(inputs, layers.Dense(2)(both))


def sequential():
    return keras.Sequential(
        [
            keras.Input((LENGTH, 4)),
            layers.Flatten(),
            layers.Dense(6, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(2),
        ]
    )


def at_the_input():
    inputs = keras.Input((LENGTH, 4))
    x = layers.SpatialDropout1D(0.3)(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


MODELS = {
    "branched": branched,
    "sequential": sequential,
    "at the input": at_the_input,
    "compact": lambda: build("compact", (LENGTH, 4), 2),
}


@pytest.fixture(params=MODELS)
def model(request):
    model = new_member(MODELS[request.param](), 3)
    rng = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(size=layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 2, layer.moving_variance.shape))
    return model


def test_the_two_halves_are_the_model(model):
    before, after = split_at_dropout(model)
    features = before(X.astype(np.float32), training=False)
    halves = after(features, training=False)
    np.testing.assert_allclose(halves, predict(model, X), rtol=1e-4, atol=1e-5)
    # Nothing that is drawn is among what is computed once.
    assert not dropout_layers(before)


def test_all_that_can_be_is_computed_once():
    """Of compact the last layer alone is in every pass; of DeepSTARR the last two dense ones."""
    _, after = split_at_dropout(build("compact", (LENGTH, 4), 2))
    assert after.count_params() == 64 * 2 + 2
    _, after = split_at_dropout(build("deepstarr", (LENGTH, 4), 2))
    assert after.count_params() == (256 * 256 + 256) + 4 * 256 + (256 * 2 + 2)


def test_moments_are_those_of_whole_passes(model):
    """Within the error of both, of passes through the whole model with its dropout on."""
    passes = 400
    got = DropoutPasses(model, seed=1, passes=passes)(X)
    means, stds = got[:, :2], got[:, 2:]
    x = tf.constant(X, tf.float32)
    with dropout_on(model):
        whole = tf.function(lambda: model(x, training=False))
        brute = np.stack([whole().numpy() for _ in range(passes)]).astype(np.float64)
    error = np.sqrt(2 / passes) * brute.std(axis=0)
    assert np.abs((means - brute.mean(axis=0)) / error).max() < 5
    # Of a std, whose relative error is √(1/2n) where the law is normal, and more for others.
    np.testing.assert_allclose(stds, brute.std(axis=0), rtol=0.35)
    assert stds.min() > 0


def test_a_seed_gives_the_same_numbers_and_another_others(model):
    first = DropoutPasses(model, seed=1, passes=8)
    one, again = first(X), first(X)
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(one, DropoutPasses(model, seed=1, passes=8)(X))
    assert not np.allclose(one, DropoutPasses(model, seed=2, passes=8)(X))


def test_masks_of_passes_sequences_and_layers_differ():
    """With one unit, a pass is 0 or twice the weight; twins of a sequence are drawn apart."""
    inputs = keras.Input((1, 4))
    x = layers.Flatten()(inputs)
    x = layers.Dropout(0.5)(layers.Dropout(0.5)(x))
    model = keras.Model(inputs, layers.Dense(1, use_bias=False, kernel_initializer="ones")(x))
    x = np.zeros((2000, 1, 4), np.uint8)
    x[:, 0, 0] = 1
    got = DropoutPasses(model, seed=1, passes=2)(x)
    # A quarter passes both, at four times: mean 1, variance 3. Equal masks would make it 1/2.
    assert got[:, 0].mean() == pytest.approx(1, abs=0.15)
    assert (got[:, 1] ** 2).mean() * 2 == pytest.approx(3, abs=0.5)
    assert len(np.unique(got[:, 0])) == 3  # none, one or both of two passes


def test_few_rows_at_a_time_are_as_many_sequences(monkeypatch, model):
    monkeypatch.setattr("degu.training.dropout.FLOATS", 1)
    few = DropoutPasses(model, seed=1, passes=3)(X)
    assert few.shape == (40, 4)
    assert np.isfinite(few).all()


def test_layers_are_as_they_were_afterwards(model):
    before = predict(model, X)
    DropoutPasses(model, seed=1, passes=3)(X)
    np.testing.assert_array_equal(predict(model, X), before)


def without():
    inputs = keras.Input((LENGTH, 4))
    x = layers.Dropout(0.0)(layers.Flatten()(inputs))
    return keras.Model(inputs, layers.Dense(2)(x))


def test_a_model_without_dropout_is_refused():
    with pytest.raises(InputError, match="no dropout on the way to its output"):
        DropoutPasses(without(), seed=1)


def test_averages_taken_with_dropout_on_are_those_of_moving_averages():
    """Behind dropout of half, the variance of the input is that of training."""
    inputs = keras.Input((1000,))
    x = layers.BatchNormalization()(layers.Dropout(0.5)(inputs))
    model = keras.Model(inputs, layers.Dense(1)(x))
    x = np.random.default_rng(0).normal(1, 1, size=(4000, 1000)).astype(np.float32)
    batch_norm = next(la for la in model.layers if isinstance(la, layers.BatchNormalization))
    PreciseAverages(model, x)()
    assert float(np.mean(batch_norm.moving_variance)) == pytest.approx(1, rel=0.01)
    with dropout_on(model):
        PreciseAverages(model, x)()
    # E[(2mx)²] − E[x]² = 2 · 2 − 1.
    assert float(np.mean(batch_norm.moving_variance)) == pytest.approx(3, rel=0.01)
    assert float(np.mean(batch_norm.moving_mean)) == pytest.approx(1, rel=0.01)
