"""What is compiled serves all models of an architecture, and only those."""

import gc
import weakref

import architectures
import keras
import numpy as np
import pytest
import tensorflow as tf
from architectures import LENGTH, around, randomized
from conftest import random_one_hot
from keras import layers

from degu.attribution import compiled, explain, mutagenesis, saliency
from degu.attribution.compiled import KEPT, Compiler

X = random_one_hot(3, LENGTH, 1)
REFERENCES = random_one_hot(6, LENGTH, 2).reshape(3, 2, LENGTH, 4)

METHODS = {
    "saliency": lambda model: saliency(model, X, [0, 1]),
    "ism": lambda model: mutagenesis(model, X[:1], [0, 1]),
    "DeepSHAP": lambda model: explain(model, X, REFERENCES, [0, 1]).contributions,
    "DeepSHAP, shared": lambda model: explain(model, X, REFERENCES[0], [0, 1]).contributions,
}


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    """Nothing is compiled yet."""
    monkeypatch.setattr(compiled, "_SHARED", compiled.Kept())


@pytest.fixture
def traces(monkeypatch):
    """A list that grows with each graph that TensorFlow traces, whatever traces it."""
    made, begin = [], tf.Graph.__init__

    def count(graph, *args, **kwargs):
        made.append(type(graph).__name__)
        begin(graph, *args, **kwargs)

    monkeypatch.setattr(tf.Graph, "__init__", count)
    return made


def net(seed=0, activation="relu"):
    model = around(
        layers.BatchNormalization(),
        layers.Activation(activation),
        layers.MaxPooling1D(3),
        layers.Dense(5),
        layers.Dropout(0.3),
    )
    return randomized(model, seed)


def fresh(method, model):
    """By a new model with the same weights, and nothing that has been compiled."""
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    before, compiled._SHARED = compiled._SHARED, compiled.Kept()
    try:
        return method(twin)
    finally:
        compiled._SHARED = before


@pytest.mark.parametrize("name", METHODS)
def test_a_second_call_and_a_second_member_trace_nothing(name, traces):
    method, models = METHODS[name], [net(seed) for seed in range(3)]
    first = method(models[0])
    assert traces
    traces.clear()
    np.testing.assert_array_equal(method(models[0]), first)
    maps = [method(model) for model in models[1:]]
    together = method(models)
    loaded = keras.models.model_from_json(models[1].to_json())
    loaded.set_weights(models[1].get_weights())
    of_loaded = method(loaded)
    assert traces == []
    np.testing.assert_array_equal(of_loaded, maps[0])
    assert np.abs(maps[0] - maps[1]).max() > 0.01
    for model, own in zip(models[1:], maps, strict=True):
        np.testing.assert_array_equal(own, fresh(method, model))
    np.testing.assert_allclose(together, np.mean([first, *maps], axis=0), atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_weights_that_have_changed_are_seen(name, traces):
    method, model = METHODS[name], net()
    before = method(model)
    traces.clear()
    model.set_weights([weight * 1.1 for weight in model.get_weights()])
    changed = method(model)
    assert traces == []
    model.compile("sgd", "mse")
    model.fit(X.astype(np.float32), np.ones((3, 2)), epochs=2, verbose=0)
    trained = method(model)
    assert np.abs(changed - before).max() > 0.01
    assert np.abs(trained - changed).max() > 1e-4
    np.testing.assert_array_equal(trained, fresh(method, model))


@pytest.mark.parametrize("name", METHODS)
def test_another_architecture_is_another_function(name):
    method = METHODS[name]
    relu, silu = net(), net(activation="silu")
    maps = [method(model) for model in (relu, silu)]
    assert np.abs(maps[0] - maps[1]).max() > 0.01
    np.testing.assert_array_equal(maps[1], fresh(method, silu))


def test_names_of_layers_tell_nothing():
    """Layers that are called as their activations are two architectures all the same."""

    def named(activation):
        return around(layers.Activation(activation, name=activation))

    tanh = named("tanh")
    saliency(named("relu"), X)
    np.testing.assert_array_equal(saliency(tanh, X), fresh(lambda m: saliency(m, X), tanh))


@pytest.mark.parametrize("name", METHODS)
def test_other_batches_trace_nothing_and_other_heads_do(name, traces):
    model = net()
    METHODS[name](model)
    traces.clear()
    more = random_one_hot(7, LENGTH, 3)
    if name.startswith("DeepSHAP"):
        # Steps are of one size, if there are sequences enough for one.
        references = random_one_hot(14, LENGTH, 4).reshape(7, 2, LENGTH, 4)
        references = references[0] if "shared" in name else references
        explain(model, more[:3], references[..., :3, :, :][:3], [0, 1])
        assert not traces or references.ndim == 3
        traces.clear()
        explain(model, more, references, [0, 1], batch_size=6)
        traces.clear()
        explain(
            model, more[:5], references[: 5 if references.ndim == 4 else None], [0, 1], batch_size=6
        )
        assert traces == []
        explain(model, more, references, [0], batch_size=6)
    else:
        function = saliency if name == "saliency" else mutagenesis
        for batch_size in (1, 2, 7):
            function(model, more[:2], [0, 1], batch_size=batch_size)
        assert traces == []
        function(model, more[:2], [1, 0])
    assert traces


def test_a_model_of_any_length_is_traced_once_by_methods_that_need_no_length(traces):
    inputs = keras.Input((None, 4))
    pooled = layers.GlobalAveragePooling1D()(layers.Conv1D(3, 3)(inputs))
    model = keras.Model(inputs, pooled)
    for method in (saliency, mutagenesis):
        method(model, random_one_hot(2, 12))
        traces.clear()
        method(model, random_one_hot(2, 17))
        assert traces == []


# Code of one's own


class Scaled(layers.Layer):
    """Multiplies by a number that its config does not tell."""

    traced = 0

    def __init__(self, factor):
        super().__init__()
        self.factor, self.calls = factor, 0

    def call(self, inputs):
        Scaled.traced += 1
        self.calls += 1
        return self.factor * inputs


def scaled(factor, seed=0):
    return randomized(around(layers.Activation("relu"), Scaled(factor)), seed)


@pytest.mark.parametrize("method", [METHODS["saliency"], METHODS["ism"]])
def test_a_model_with_a_layer_of_ones_own_is_traced_once_for_itself(method):
    models = [scaled(2.0), scaled(3.0)]
    maps = [method(model) for model in models]
    np.testing.assert_allclose(maps[1], 1.5 * maps[0], rtol=1e-4, atol=1e-4)
    Scaled.traced = 0
    for model, own in zip(models, maps, strict=True):
        np.testing.assert_array_equal(method(model), own)
    assert Scaled.traced == 0
    models[0].set_weights([0 * weight for weight in models[0].get_weights()])
    assert not method(models[0]).any()
    assert Scaled.traced == 0
    # An attribute is no weight, but it is seen as well.
    models[1].layers[3].factor = 4.0
    np.testing.assert_allclose(method(models[1]), maps[1] / 3 * 4, rtol=1e-4, atol=1e-4)


def closure(factor):
    return around(layers.Activation("relu"), layers.Lambda(lambda z: factor * z))


def with_another_call():
    model = around(layers.Activation("relu", name="odd"))
    model.get_layer("odd").call = lambda z: 2 * keras.ops.relu(z)
    return model


def adapted(scale):
    inputs = keras.Input((LENGTH, 4))
    normal = layers.Normalization()
    normal.adapt(scale * np.random.default_rng(0).normal(size=(9, LENGTH, 4)))
    outputs = layers.Dense(2)(layers.Flatten()(layers.Conv1D(3, 3)(normal(inputs))))
    return keras.Model(inputs, outputs)


class Own(keras.Model):
    def call(self, inputs, training=False):
        return 2 * super().call(inputs, training=training)


def subclassed():
    plain = around()
    return Own(plain.inputs, plain.outputs)


def my_activation(z):
    return 2 * keras.ops.relu(z)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: closure(1.0), lambda: closure(2.0)),
        (lambda: around(layers.Activation("relu", name="odd")), with_another_call),
        (lambda: adapted(1.0), lambda: adapted(0.5)),
        (around, subclassed),
        (
            lambda: around(layers.Activation("relu")),
            lambda: around(layers.Activation(my_activation)),
        ),
    ],
    ids=["closure", "another call", "numbers beside variables", "subclass", "function"],
)
def test_models_that_differ_in_code_alone_differ(one, other):
    """The second one is worth twice the first, which has the same weights."""
    first, second = one(), other()
    second.set_weights(first.get_weights())
    if isinstance(first.layers[1], layers.Normalization):
        # What adapting has found are weights as well, and the numbers that count follow them.
        second.layers[1].finalize_state()
        second.layers[1].mean, second.layers[1].variance = (
            first.layers[1].mean,
            first.layers[1].variance / 4,
        )
    maps = [saliency(model, X, centered=False) for model in (first, second)]
    np.testing.assert_allclose(maps[1], 2 * maps[0], rtol=1e-4, atol=1e-6)
    assert np.abs(maps[0]).max() > 0.01


def test_normalization_that_is_adapted_again_is_seen():
    model = adapted(1.0)
    first = saliency(model, X, centered=False)
    explain(model, X, REFERENCES)
    model.layers[1].adapt(0.5 * np.random.default_rng(0).normal(size=(9, LENGTH, 4)))
    np.testing.assert_allclose(saliency(model, X, centered=False), 2 * first, rtol=1e-3, atol=1e-6)


def test_an_activation_that_is_taken_out_is_seen():
    model = around(layers.Conv1D(4, 3, activation="silu"))
    first = explain(model, X, REFERENCES).contributions
    model.layers[2].activation = keras.activations.linear
    second = explain(model, X, REFERENCES).contributions
    assert np.abs(first - second).max() > 0.01
    np.testing.assert_array_equal(
        second, fresh(lambda m: explain(m, X, REFERENCES).contributions, model)
    )


# Memory


def explained(method, make, count):
    """References to models that have been explained and are gone, if all is well."""
    gone = []
    for seed in range(count):
        model = randomized(make(), seed)
        method(model)
        gone.append(weakref.ref(model))
        del model
    keras.backend.clear_session()
    gc.collect()
    return gone


MAKES = {"plain": net, "own code": lambda: scaled(2.0)}


@pytest.mark.parametrize(
    ("name", "make"),
    [("saliency", "plain"), ("ism", "plain"), ("DeepSHAP", "plain"), ("saliency", "own code")],
)
def test_no_model_is_kept(name, make):
    method, make = METHODS[name], MAKES[make]
    explained(method, make, 2)

    def alive():
        gc.collect()
        kinds = (keras.Model, tf.Graph, tf.types.experimental.ConcreteFunction, tf.Variable)
        # By type: isinstance asks a weak proxy for what it stands for, which may be gone.
        return [sum(issubclass(type(item), kind) for item in gc.get_objects()) for kind in kinds]

    before = alive()
    gone = explained(method, make, 6)
    assert [ref() for ref in gone] == [None] * 6
    assert all(now <= then for now, then in zip(alive(), before, strict=True))


def test_functions_that_have_not_been_taken_for_long_are_dropped():
    function, spec = lambda model, options, x: model(x) + options, tf.TensorSpec((1, LENGTH, 4))
    model, x = around(), tf.zeros((1, LENGTH, 4))
    compiler = Compiler(model)
    first = compiler(function, 0.0, spec)
    for i in range(1, KEPT + 5):
        assert compiler(function, 0.0, spec).traced is first.traced  # taken again and again
        compiler(function, float(i), spec)
    assert len(compiled._SHARED.functions) == KEPT
    options = {key[1] for key in compiled._SHARED.functions}
    assert options == {0.0, *map(float, range(6, KEPT + 5))}
    np.testing.assert_allclose(first(x), model(x), rtol=1e-6)


def test_another_precision_is_another_function():
    """The same weights in half precision round differently."""
    half, full = (
        keras.Sequential(
            [
                keras.Input((LENGTH, 4)),
                layers.Conv1D(5, 3, dtype=dtype),
                layers.Flatten(),
                layers.Dense(2),
            ]
        )
        for dtype in ("mixed_float16", "float32")
    )
    half.set_weights(full.get_weights())
    rounded, exact = (mutagenesis(model, X[:1]) for model in (half, full))
    assert 1e-6 < np.abs(rounded - exact).max() < 1e-2
    np.testing.assert_array_equal(rounded, fresh(lambda m: mutagenesis(m, X[:1]), half))


def test_published_architectures_are_shared():
    for build in (architectures.deepstarr, architectures.small_residualbind, architectures.gated):
        assert Compiler(build()).shared
