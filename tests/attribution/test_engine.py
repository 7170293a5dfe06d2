"""A step of DeepLIFT: what it sums, with which weights, and of which references."""

import numpy as np
import pytest
import tensorflow as tf
import twin
from architectures import LENGTH, around
from conftest import random_one_hot
from keras import layers

from degu.attribution.engine import Engine
from degu.errors import InputError

S, K, HEADS = 2, 3, [1, 0]
X = random_one_hot(S, LENGTH, 5).astype(np.float32)
OWN = random_one_hot(S * K, LENGTH, 6).reshape(S, K, LENGTH, 4).astype(np.float32)
WEIGHTS = np.array([0.5, 2.0, 0.0], np.float32)


@pytest.fixture(scope="module")
def model():
    return around(layers.Activation("silu"), layers.MaxPooling1D(3), heads=2)


@pytest.fixture(scope="module")
def single(model):
    """Contributions of each reference alone by the slow twin, (S, K, L, 4, heads)."""
    alone = [twin.deepshap(model, X, OWN[:, [i]])[..., HEADS] for i in range(K)]
    return np.stack(alone, axis=1)


def test_maps_are_sums_over_references_each_with_its_weight(model, single):
    engine = Engine(model, HEADS, S, K, LENGTH, shared=False)
    found = engine.step(tf.constant(X), tf.constant(OWN), tf.constant(WEIGHTS))
    wanted = np.einsum("skldh,k->sldh", single, WEIGHTS)
    assert found.contributions.shape == (S, LENGTH, 4, 2)
    np.testing.assert_allclose(found.contributions, wanted, atol=2e-5 * np.abs(wanted).max())
    # At the base that is there a hypothetical contribution is the position's.
    there = (found.hypothetical.numpy() * X[..., None]).sum(axis=2)
    np.testing.assert_allclose(there, wanted.sum(axis=2), atol=2e-5 * np.abs(wanted).max())


def test_predictions_are_those_of_pairs(model):
    engine = Engine(model, HEADS, S, K, LENGTH, shared=False)
    found = engine.step(tf.constant(X), tf.constant(OWN), tf.constant(WEIGHTS))
    own = model.predict(OWN.reshape(-1, LENGTH, 4), verbose=0)[:, HEADS].reshape(S, K, 2)
    np.testing.assert_allclose(found.references, own, rtol=1e-5, atol=1e-6)
    for predictions in (found.predictions, engine.predict(tf.constant(X))):
        wanted = model.predict(X, verbose=0)[:, HEADS]
        np.testing.assert_allclose(predictions, wanted, rtol=1e-5, atol=1e-6)


def test_shared_references_are_those_of_every_sequence(model):
    shared = Engine(model, HEADS, S, K, LENGTH, shared=True)
    values = shared.values(tf.constant(OWN[1]))
    found = shared.step(tf.constant(X), values, tf.constant(WEIGHTS))
    each = np.broadcast_to(OWN[1], OWN.shape)
    wanted = np.stack([twin.deepshap(model, X, each[:, [i]])[..., HEADS] for i in range(K)], 1)
    wanted = np.einsum("skldh,k->sldh", wanted, WEIGHTS)
    np.testing.assert_allclose(found.contributions, wanted, atol=2e-5 * np.abs(wanted).max())
    assert found.references.shape == (1, K, 2)


def test_a_step_has_the_weights_of_its_own_model(model):
    """Of two engines of one architecture, each has the weights of when it was made."""
    other = around(layers.Activation("silu"), layers.MaxPooling1D(3), heads=2)
    other.set_weights([2 * weight for weight in model.get_weights()])
    engines = [Engine(m, HEADS, S, K, LENGTH, shared=False) for m in (model, other)]
    other.set_weights(model.get_weights())
    inputs = tf.constant(X), tf.constant(OWN), tf.constant(WEIGHTS)
    first, second = (engine.step(*inputs).contributions.numpy() for engine in engines)
    assert np.abs(first - second).max() > 0.1
    now = Engine(other, HEADS, S, K, LENGTH, shared=False).step(*inputs).contributions
    np.testing.assert_array_equal(now, first)


def test_a_layer_without_a_rule_is_refused_when_the_engine_is_made():
    with pytest.raises(InputError, match="soft"):
        Engine(around(layers.Softmax(name="soft")), [0], S, K, LENGTH, shared=False)
