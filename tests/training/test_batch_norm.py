"""Precise batch norm, against averages that are taken layer by layer."""

import keras
import numpy as np
import pytest
from conftest import motif_activity, random_one_hot
from hypothesis import given
from hypothesis import strategies as st

from degu.dataset.copies import Copies
from degu.models.registry import build
from degu.sequences import base_codes, from_codes
from degu.training.batch_norm import PreciseAverages, PreciseBatchNorm, pool_moments
from degu.training.batches import Batches, predict
from degu.training.dynamic import DynamicStudent
from degu.training.fit import standard_train_fun, stretched

L = keras.layers


def take_averages(model, x):
    """The brute force: layer after layer, the mean and variance of all its inputs at once."""
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization) and layer.trainable:
            calls = [node.input_tensors for node in layer._inbound_nodes]
            inputs = [
                np.asarray(keras.Model(model.inputs, tensor)(x, training=False), np.float64)
                for (tensor,) in calls
            ]
            axes = tuple(i for i in range(inputs[0].ndim) if i != layer.axis % inputs[0].ndim)
            together = np.concatenate(inputs)
            layer.moving_mean.assign(together.mean(axes))
            layer.moving_variance.assign(together.var(axes))


def noisy_model(length=24, outputs=2):
    inputs = keras.Input((length, 4))
    x = L.GaussianNoise(0.5)(inputs)
    x = L.Conv1D(8, 5, padding="same")(x)
    x = L.BatchNormalization()(x)
    x = L.Activation("relu")(x)
    x = L.Dropout(0.3)(x)
    x = L.Flatten()(x)
    x = L.Dense(16)(x)
    x = L.BatchNormalization(scale=False)(x)
    x = L.Activation("relu")(x)
    x = L.Dropout(0.4)(x)
    return keras.Model(inputs, L.Dense(outputs)(x))


def averages(model):
    return [
        np.concatenate([layer.moving_mean, layer.moving_variance])
        for layer in model._flatten_layers()
        if isinstance(layer, L.BatchNormalization)
    ]


def assert_like_brute_force(model, x, **tolerance):
    before = model.get_weights()
    PreciseAverages(model, x)()
    taken, predictions = averages(model), model.predict(x, verbose=0)
    model.set_weights(before)
    take_averages(model, x)
    for a, b in zip(taken, averages(model), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)
    np.testing.assert_allclose(predictions, model.predict(x, verbose=0), **tolerance)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(1)


@pytest.fixture(scope="module")
def x():
    return random_one_hot(256, 24).astype(np.float32)


@pytest.mark.parametrize("model", [noisy_model, lambda: build("deepstarr", (24, 4), 2)])
def test_one_batch_is_like_brute_force(model, x):
    assert_like_brute_force(model(), x, rtol=1e-5, atol=1e-5)


def test_several_batches_differ_by_less_than_a_percent_of_the_spread():
    x = random_one_hot(1100, 24)
    model = build("deepstarr", (24, 4), 2)
    y = motif_activity(x).repeat(2, axis=1)
    standard_train_fun(model, x, y, None, None, "adam", "mse", epochs=2, verbose=0)
    PreciseAverages(model, x)()
    ours = predict(model, x)
    take_averages(model, x.astype(np.float32))
    twin = predict(model, x)
    assert np.sqrt(np.mean((ours - twin) ** 2, axis=0)).max() < 0.01 * twin.std(axis=0).min()


def test_layers_that_are_shared_pool_all_their_calls(x):
    inputs = keras.Input((24, 4))
    norm, conv = L.BatchNormalization(), L.Conv1D(6, 3, activation="relu")
    head, tail = conv(inputs[:, :12]), conv(3 * inputs[:, 12:])
    # What comes after is normalised by what the shared layer's averages make of both.
    both = L.Concatenate()([norm(head), norm(tail)])
    both = L.BatchNormalization()(L.Dense(5)(L.Flatten()(both)))
    assert_like_brute_force(keras.Model(inputs, L.Dense(1)(both)), x, rtol=1e-5, atol=3e-5)


def test_frozen_layers_keep_their_averages_and_are_used(x):
    model = noisy_model()
    first, second = (layer for layer in model.layers if isinstance(layer, L.BatchNormalization))
    first.trainable = False
    first.moving_mean.assign(np.full(8, 0.5))
    assert_like_brute_force(model, x, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(first.moving_mean, np.full(8, 0.5))
    assert np.abs(second.moving_mean).max() > 0


def test_nested_models_and_several_inputs(x):
    inner = noisy_model(24, 8)
    a, b = keras.Input((24, 4), name="a"), keras.Input((3,), name="b")
    outer = L.BatchNormalization()(L.Concatenate()([inner(a), b]))
    model = keras.Model({"a": a, "b": b}, L.Dense(1)(outer))
    extra = np.random.default_rng(0).normal(2, 3, (len(x), 3)).astype(np.float32)
    PreciseAverages(model, {"a": x, "b": extra})()
    twin = keras.models.clone_model(inner)
    twin.set_weights(inner.get_weights())
    take_averages(twin, x)
    for got, wanted in zip(averages(inner), averages(twin), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    own = averages(model)[-1]
    np.testing.assert_allclose(own[8:11], extra.mean(0), rtol=1e-5)
    np.testing.assert_allclose(own[19:], extra.var(0), rtol=1e-5)


@pytest.mark.parametrize("kind", [list, tuple])
def test_training_on_a_list_of_inputs(kind, x):
    a, b = keras.Input((24, 4)), keras.Input((3,))
    norm = L.BatchNormalization()
    both = norm(L.Concatenate()([L.Flatten()(a), b]))
    model = keras.Model([a, b], L.Dense(1)(both))
    extra = np.random.default_rng(0).normal(2, 3, (len(x), 3)).astype(np.float32)
    data, y = kind([x, extra]), motif_activity(x)
    settings = {"epochs": 1, "verbose": 0, "seed": 1}
    standard_train_fun(model, data, y, (data, y), None, "adam", "mse", **settings)
    np.testing.assert_allclose(norm.moving_mean[-3:], extra.mean(0), rtol=1e-5)
    assert predict(model, data).shape == (len(x), 1)


def test_any_axis_and_masked_steps():
    values = np.random.default_rng(1).normal(1, 2, (40, 6, 5)).astype(np.float32)
    values[:, 4:] = 0
    inputs = keras.Input((6, 5))
    masked = L.BatchNormalization()(L.Masking()(inputs))
    across = L.BatchNormalization(axis=1)(inputs)
    model = keras.Model(inputs, [masked, across])
    PreciseAverages(model, values, batch_size=16)()
    of_steps, of_axis = averages(model)
    np.testing.assert_allclose(of_steps[:5], values[:, :4].mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(of_steps[5:], values[:, :4].var((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(of_axis[:6], values.mean((0, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(of_axis[6:], values.var((0, 2)), rtol=1e-4, atol=1e-6)


def test_averages_are_not_rounded_under_mixed_precision():
    x = random_one_hot(600, 24)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = keras.Sequential([keras.Input((24, 4)), L.BatchNormalization()])
    finally:
        keras.config.set_dtype_policy("float32")
    model.layers[0].moving_mean.assign(np.full(4, 100.0))
    PreciseAverages(model, x)()
    np.testing.assert_allclose(model.layers[0].moving_mean, x.mean((0, 1)), rtol=1e-5)


def test_nothing_else_leaves_inference_mode(x):
    model = noisy_model()
    states = [np.array(v) for v in model.non_trainable_variables if "seed" in v.path]
    assert states
    renew = PreciseAverages(model, x)
    renew()
    first = averages(model)
    renew()
    for a, b in zip(first, averages(model), strict=True):
        np.testing.assert_array_equal(a, b)
    after = [np.array(v) for v in model.non_trainable_variables if "seed" in v.path]
    for a, b in zip(states, after, strict=True):
        np.testing.assert_array_equal(a, b)
    # And the layers are as they were: an update of training goes by their own momentum.
    norm = model.layers[3]
    before = np.array(norm.moving_mean)
    inputs = np.ones((4, 24, 8), np.float32)
    norm(inputs, training=True)
    np.testing.assert_allclose(norm.moving_mean, 0.99 * before + 0.01, rtol=1e-5)


def test_teachers_of_a_dynamic_student_stay_as_they_are(x):
    teachers = [noisy_model(), noisy_model()]
    dynamic = DynamicStudent(noisy_model(outputs=4), teachers)
    before = [teacher.get_weights() for teacher in teachers]
    own = dynamic.student.get_weights()
    PreciseAverages(dynamic, x)()
    for weights, teacher in zip(before, teachers, strict=True):
        assert all(map(np.array_equal, weights, teacher.get_weights()))
    assert not all(map(np.array_equal, own, dynamic.student.get_weights()))


def test_a_model_without_batch_norm_pays_nothing(x):
    calls = []

    class Counted(keras.Model):
        def call(self, inputs, training=None):
            calls.append(1)
            return inputs

    PreciseAverages(Counted(), x)()
    assert not calls


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_pooled_moments_are_those_of_all_numbers(sizes):
    rng = np.random.default_rng(sum(sizes))
    groups = [rng.normal(rng.normal(), 2, (n, 3)) for n in sizes]
    mean, variance = pool_moments(
        np.array(sizes, float),
        *(np.stack([f(g, axis=0) for g in groups]) for f in (np.mean, np.var)),
    )
    np.testing.assert_allclose(mean, np.concatenate(groups).mean(0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(variance, np.concatenate(groups).var(0), rtol=1e-9, atol=1e-12)


SWAPS = [None, False, True]


@pytest.mark.parametrize("swap_on_epoch", SWAPS)
@pytest.mark.parametrize("validated", [True, False])
def test_the_model_that_is_kept_has_the_averages_of_its_weights(validated, swap_on_epoch, x):
    y = motif_activity(x)
    model = noisy_model(outputs=1)
    optimizer, callbacks = keras.optimizers.Adam(0.01), []
    if swap_on_epoch is not None:
        optimizer = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
        callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=swap_on_epoch))
    data = (x[:100], y[:100]) if validated else None
    history = standard_train_fun(
        *(model, x, y, data, None, optimizer, "mse"),
        **{"epochs": 4, "batch_size": 64, "seed": 3, "verbose": 0, "callbacks": callbacks},
    )
    kept = averages(model)
    take_averages(model, x)
    for a, b in zip(kept, averages(model), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    if validated and swap_on_epoch is not False:  # it keeps other weights than are validated
        error = np.mean((model.predict(x[:100], verbose=0) - y[:100]) ** 2)
        assert error == pytest.approx(min(history["val_loss"]), rel=1e-4)


def test_averages_are_of_a_few_thousand_sequences_before_augmentation(x, monkeypatch):
    monkeypatch.setattr("degu.training.batch_norm.SEQUENCES", 50)
    model = keras.Sequential(
        [keras.Input((24, 4)), L.BatchNormalization(), L.Flatten(), L.Dense(1)]
    )
    standard_train_fun(
        *(model, x, motif_activity(x), None, None, "adam", "mse"),
        **{"epochs": 1, "seed": 3, "verbose": 0, "augment": lambda batch, rng: 0 * batch},
    )
    drawn = PreciseBatchNorm(x, 3).x
    assert drawn.shape == (50, 24, 4)
    assert len(np.unique(drawn, axis=0)) == 50
    np.testing.assert_allclose(model.layers[0].moving_mean, drawn.mean((0, 1)), rtol=1e-5)
    assert not np.array_equal(drawn, PreciseBatchNorm(x, 4).x)


def test_averages_as_trained_are_of_sequences_and_their_own_copies(x):
    y = motif_activity(x)
    codes = np.stack([np.full(x.shape[:2], 3), np.roll(base_codes(x), 5, axis=1)])
    copies = Copies(codes.astype(np.uint8), np.stack([y, y]))
    drawn = PreciseBatchNorm(x, 3, as_trained=True, copies=copies).x
    rows = PreciseBatchNorm(np.arange(len(x)), 3).x
    candidates = np.stack([x[rows], *(from_codes(codes[:, rows].astype(np.uint8)))])
    is_it = (candidates == drawn).all((2, 3))
    assert (is_it.sum(axis=0) == 1).all()
    # A third of each, within four standard errors.
    np.testing.assert_allclose(is_it.mean(axis=1), 1 / 3, atol=4 * np.sqrt(2 / 9 / len(rows)))
    model = keras.Sequential(
        [keras.Input((24, 4)), L.BatchNormalization(), L.Flatten(), L.Dense(1)]
    )
    settings = {"epochs": 1, "seed": 3, "verbose": 0, "copies": copies, "batch_norm": "as_trained"}
    standard_train_fun(model, x, y, None, None, "adam", "mse", **settings)
    np.testing.assert_allclose(model.layers[0].moving_mean, drawn.mean((0, 1)), rtol=1e-5)
    precise = PreciseBatchNorm(x, 3, copies=copies).x
    np.testing.assert_array_equal(precise, x[rows])


def test_averages_as_trained_have_dropout_on(x):
    y = motif_activity(x)
    weights = []
    for kind in ("precise", "as_trained"):
        model = keras.Sequential(
            [
                keras.Input((24, 4)),
                L.Flatten(),
                L.Dropout(0.5, seed=1),
                L.BatchNormalization(),
                L.Dense(1, kernel_initializer="zeros"),
            ]
        )
        settings = {"epochs": 2, "seed": 3, "verbose": 0, "batch_norm": kind}
        standard_train_fun(model, x, y, None, None, "adam", "mse", **settings)
        weights.append([v.numpy() for v in model.trainable_variables])
        states = [v.numpy() for v in model.variables if "seed" in v.path]
        weights[-1] += states
        variance = model.layers[2].moving_variance.numpy().mean()
        p = x.reshape(len(x), -1).mean(axis=0)
        # A base with frequency p is 2 with half of it: 4 p / 2 - p².
        expected = p - p**2 if kind == "precise" else 2 * p - p**2
        assert variance == pytest.approx(expected.mean(), rel=0.02)
    # Training, and what its dropout draws, goes on as if nothing had been looked at.
    assert states
    assert all(map(np.array_equal, *weights))


def test_moving_averages_are_keras_s_own(x):
    """Bit for bit what a plain fit in the same order gives."""
    y = motif_activity(x)
    x = x.astype(np.uint8)
    ours, plain = noisy_model(outputs=1), noisy_model(outputs=1)
    for i, layer in enumerate(ours.layers):
        plain.layers[i].set_weights(layer.get_weights())
    settings = {"epochs": 1, "shuffle": False, "verbose": 0}
    for model in (ours, plain):
        for layer in model.layers:
            if hasattr(layer, "seed_generator"):
                layer.seed_generator.state.assign(np.array([1, 2], np.uint32))
    standard_train_fun(ours, x, y, None, None, "sgd", "mse", batch_norm="moving", **settings)
    plain.compile("sgd", "mse")
    plain.fit(Batches(x, y), **settings)
    assert all(map(np.array_equal, ours.get_weights(), plain.get_weights()))


def test_another_kind_is_refused(x):
    with pytest.raises(ValueError, match="batch_norm: 'exact' is unknown"):
        standard_train_fun(
            noisy_model(outputs=1), x, x[:, 0, :1], None, None, "sgd", "mse", batch_norm="exact"
        )


@pytest.mark.parametrize(
    ("steps", "expected"), [(1000, 10), (200, 10), (100, 20), (45, 45), (3, 667)]
)
def test_patience_of_short_epochs_is_as_long_in_steps(steps, expected):
    assert stretched(10, steps, 200) == expected
    assert stretched(10, steps, 0) == 10


def test_it_is_compiled_once_for_batches_of_every_size():
    calls = []

    class Counted(L.Layer):
        def call(self, inputs):
            calls.append(inputs.shape[0])
            return inputs

    model = keras.Sequential([keras.Input((24, 4)), Counted(), L.BatchNormalization()])
    calls.clear()
    renew = PreciseAverages(model, random_one_hot(259, 24))  # batches of 130 and 129
    for _ in range(3):
        renew()
    assert calls == [None]
