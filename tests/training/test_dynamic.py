"""Students on augmented batches that their teachers label."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import random_one_hot

from degu.augment import Augmenter, RandomDeletion, RandomMutation, RandomNoise, RandomShuffle
from degu.errors import InputError
from degu.heads import Heads
from degu.models.draw import new_member
from degu.sweep import Variant
from degu.training.batches import predict
from degu.training.dynamic import DynamicStudent, beside, ensemble_labels, mode_augmentation
from degu.training.fit import head_errors, standard_train_fun
from degu.uncertainty import (
    ensemble_aleatoric,
    ensemble_mean,
    uncertainty_logvar,
    uncertainty_std,
)

LENGTH = 12


def network(outputs=2, name="tiny"):
    """With everything that behaves otherwise in training: batch norm, dropout."""
    inputs = keras.Input((LENGTH, 4))
    x = keras.layers.Conv1D(5, 3)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(0.3)(x)
    return keras.Model(inputs, keras.layers.Dense(outputs)(x), name=name)


def linear(outputs, *before):
    return keras.Sequential(
        [keras.Input((LENGTH, 4)), *before, keras.layers.Flatten(), keras.layers.Dense(outputs)]
    )


class Subclassed(keras.Model):
    """Built at its first batch, without a notion of training; counts how often Python runs it."""

    def __init__(self, outputs=2):
        super().__init__()
        self.dense = keras.layers.Dense(outputs)
        self.calls = 0

    def call(self, x):
        self.calls += 1
        return self.dense(keras.ops.mean(x, axis=1))


def ensemble(n=3, outputs=2):
    """Teachers whose batch norm has statistics of its own."""
    teachers = [new_member(network(outputs), seed) for seed in range(n)]
    rng = np.random.default_rng(0)
    for teacher in teachers:
        teacher.set_weights([w + rng.uniform(0, 0.2, w.shape) for w in teacher.get_weights()])
    return teachers


def constant(*values):
    """A teacher that predicts the same for every sequence."""
    model = linear(len(values))
    model.set_weights([np.zeros((4 * LENGTH, len(values))), np.array(values)])
    return model


def numpy_labels(teachers, x, uncertainty="std"):
    predictions = np.stack([predict(teacher, x) for teacher in teachers]).astype(np.float64)
    spread = predictions.std(axis=0)
    if uncertainty == "logvar":
        spread = np.log(np.maximum(spread**2, 1e-6))
    return np.hstack([predictions.mean(axis=0), spread])


def fit(model, x, y, validation=None, optimizer=None, **settings):
    return standard_train_fun(
        model,
        x,
        y,
        validation,
        None,
        keras.optimizers.SGD(0.1) if optimizer is None else optimizer,
        "mse",
        **{"epochs": 1, "batch_size": len(x), "verbose": 0, "seed": 1, **settings},
    )


@pytest.fixture(scope="module")
def x():
    return random_one_hot(24, LENGTH)


# Variants


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("mode", ["random", "mutagenesis", "evoaug"])
def test_a_variant_is_spelt_as_in_file_names(mode, append):
    text = mode + ("_append" if append else "")
    assert Variant.parse(text) == Variant(mode, append)
    assert str(Variant(mode, append)) == text


@pytest.mark.parametrize(
    "text", ["", "shuffle", "_append", "append_random", "random_append_append"]
)
def test_other_variants_are_refused(text):
    with pytest.raises(InputError, match=r"^dynamic_augmentation.modes: .* mutagenesis, evoaug"):
        Variant.parse(text)


def test_the_augmentation_of_a_mode():
    section = {
        "augmentations": ["deletion", "noise"],
        "per_batch": 1,
        "hard": False,
        "parameters": {"deletion": {"min_length": 1, "max_length": 5}, "mutation": {}},
    }
    assert mode_augmentation("random") == RandomShuffle()
    assert mode_augmentation("mutagenesis", mutagenesis=0.1) == RandomMutation(0.1)
    expected = Augmenter((RandomDeletion(1, 5), RandomNoise()), per_batch=2, hard=True)
    assert mode_augmentation("evoaug", section, per_batch=2) == expected
    for per_batch in (0, 3, 1.5):
        with pytest.raises(InputError, match=r"dynamic_augmentation.per_batch: .* from 1 to 2"):
            mode_augmentation("evoaug", section, per_batch=per_batch)
    with pytest.raises(InputError, match="give the section evoaug"):
        mode_augmentation("evoaug")
    with pytest.raises(InputError, match="'shuffle' is unknown"):
        mode_augmentation("shuffle")


# Labels


@pytest.mark.parametrize("uncertainty", ["std", "logvar"])
def test_labels_are_the_mean_and_spread_of_the_teachers_predictions(x, uncertainty):
    teachers = [*ensemble(), linear(2), Subclassed()]
    label = ensemble_labels(teachers, uncertainty)
    batch = tf.constant(RandomNoise()(x, np.random.default_rng(0)))
    expected = numpy_labels(teachers, batch.numpy(), uncertainty)
    for labels in (label(batch), tf.function(label)(batch)):
        assert labels.dtype == "float32"
        np.testing.assert_allclose(labels, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("uncertainty", ["std", "logvar"])
def test_labels_of_teachers_with_aleatoric_heads(x, uncertainty):
    teachers = [network(4, f"teacher_{i}") for i in range(3)]
    members = Heads(("Dev", "Hk"), ("mean", "aleatoric"))
    labels = ensemble_labels(teachers, uncertainty, members)(tf.constant(x, tf.float32))
    said = np.stack([predict(teacher, x) for teacher in teachers])
    heads = members.with_epistemic(uncertainty)
    means = said[..., members.slice("mean")]
    expected = {
        "mean": ensemble_mean(means),
        "aleatoric": ensemble_aleatoric(said[..., members.slice("aleatoric")]),
        "std": uncertainty_std(means),
        "logvar": uncertainty_logvar(means),
    }
    assert labels.shape == (len(x), len(heads))
    for kind in heads.kinds:
        got = labels[:, heads.slice(kind)]
        np.testing.assert_allclose(got, expected[kind], rtol=1e-4, atol=1e-5)


def test_labels_of_profiles_keep_their_positions(x):
    teachers = [
        keras.Sequential([keras.Input((LENGTH, 4)), keras.layers.Conv1D(2, 3)]) for _ in range(3)
    ]
    predictions = np.stack([predict(teacher, x) for teacher in teachers]).astype(np.float64)
    labels = ensemble_labels(teachers, "std")(tf.constant(x, tf.float32))
    expected = np.concatenate([predictions.mean(axis=0), predictions.std(axis=0)], axis=-1)
    np.testing.assert_allclose(labels, expected, rtol=1e-4, atol=1e-5)


def test_a_spread_far_below_the_mean_is_not_lost_to_rounding(x):
    """The mean of the squares less the square of the mean would be noise of the order of 1."""
    values = np.float32([1000, 1000.001, 1000.002, 1000.004])
    labels = ensemble_labels([constant(v) for v in values], "std")(tf.constant(x, tf.float32))
    expected = [np.mean(values, dtype=np.float64), np.std(values, dtype=np.float64)]
    np.testing.assert_allclose(labels, np.tile(expected, (len(x), 1)), rtol=1e-5)


@pytest.mark.parametrize(("uncertainty", "spread"), [("std", 0.0), ("logvar", np.log(1e-6))])
def test_teachers_that_agree_exactly_teach_something_finite(x, uncertainty, spread):
    teachers = [constant(0.1, -3.3)] * 10
    labels = ensemble_labels(teachers, uncertainty)(tf.constant(x, tf.float32))
    np.testing.assert_array_equal(labels[:, :2], np.tile(np.float32([0.1, -3.3]), (len(x), 1)))
    np.testing.assert_array_equal(labels[:, 2:], np.full((len(x), 2), np.float32(spread)))
    student = network(4)
    fit(DynamicStudent(student, teachers, uncertainty), x, np.zeros((len(x), 4)))
    assert all(np.isfinite(w).all() for w in student.get_weights())


def test_no_gradient_passes_through_the_labels(x):
    batch = tf.constant(x, tf.float32)
    teachers = ensemble()
    with tf.GradientTape() as tape:
        tape.watch(batch)
        loss = tf.reduce_sum(ensemble_labels(teachers, "std")(batch))
    sources = [batch, *teachers[0].trainable_variables]
    assert all(gradient is None for gradient in tape.gradient(loss, sources))


@pytest.mark.parametrize(
    ("teachers", "uncertainty", "words"),
    [(1, "std", "there is 1; give two or more"), (2, "variance", "'variance' is unknown")],
)
def test_what_is_no_ensemble_is_refused(teachers, uncertainty, words):
    with pytest.raises(InputError, match=words):
        DynamicStudent(linear(4), ensemble(teachers), uncertainty)


def test_shapes_that_do_not_fit_are_refused_by_name(x):
    first, odd = network(2, "first"), network(3, "odd")
    y, augment = np.zeros((len(x), 4)), beside(RandomShuffle())
    with pytest.raises(InputError, match=r"Teacher 3 \(odd\) predicts \(3,\) .* \(first\) \(2,\)"):
        fit(DynamicStudent(linear(4), [first, first, odd]), x, y)
    with pytest.raises(InputError, match=r"shape \(4,\) .* student narrow are of shape \(1,\)"):
        fit(DynamicStudent(network(1, "narrow"), [first, first]), x, y)
    with pytest.raises(InputError, match=r"shape \(4,\) .* targets beside them are of shape \(2,"):
        fit(DynamicStudent(linear(4), [first, first]), x, y[:, :2], augment=augment)


# One step


def sgd_step(weights, x, y, sample_weight=1.0, rate=0.1):
    """A linear model's weights after one step of SGD on the mean of squared errors."""
    kernel, bias = (w.astype(np.float64) for w in weights)
    x = x.reshape(len(x), -1).astype(np.float64)
    error = (x @ kernel + bias - y) * np.reshape(sample_weight, (-1, 1)) * 2 / y.size
    return kernel - rate * x.T @ error, bias - rate * error.sum(axis=0)


def test_replace_is_a_step_on_the_augmented_sequences_and_the_ensembles_labels(x):
    teachers, student, seen = ensemble(), linear(4), []

    def augment(batch, rng):
        seen.append(RandomMutation(0.3)(batch, rng))
        return seen[-1]

    before = student.get_weights()
    nonsense = np.full((len(x), 4), np.nan, np.float32)
    history = fit(
        DynamicStudent(student, teachers, "logvar"), x, nonsense, augment=augment, shuffle=False
    )
    augmented = seen[-1]
    assert not np.array_equal(augmented, x)
    labels = numpy_labels(teachers, augmented, "logvar")
    for got, expected in zip(
        student.get_weights(), sgd_step(before, augmented, labels), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    kernel, bias = before
    error = (augmented.reshape(len(x), -1) @ kernel + bias - labels) ** 2
    assert history["loss"] == [pytest.approx(error.mean(), rel=1e-4)]


@pytest.mark.parametrize("weighted", [False, True])
def test_append_is_a_step_on_both_batches_each_with_its_labels(x, weighted):
    teachers, student, seen = ensemble(), linear(4), []

    def augment(batch, rng):
        seen.append(RandomShuffle()(batch, rng))
        return seen[-1]

    rng = np.random.default_rng(3)
    y = rng.normal(size=(len(x), 4))
    weight = rng.uniform(size=len(x)).astype(np.float32) if weighted else None
    before = student.get_weights()
    fit(
        DynamicStudent(student, teachers),
        x,
        y,
        augment=beside(augment),
        shuffle=False,
        sample_weight=weight,
    )
    expected = sgd_step(
        before,
        np.concatenate([x, seen[-1]]),
        np.concatenate([y, numpy_labels(teachers, seen[-1])]),
        np.tile(weight, 2) if weighted else 1.0,
    )
    for got, wanted in zip(student.get_weights(), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_batch_norm_of_the_student_goes_by_the_augmented_batch(x):
    norm = keras.layers.BatchNormalization(momentum=0.9)
    student = linear(4, norm)
    augment = RandomNoise(0.5)
    labels = np.zeros((len(x), 4))
    fit(DynamicStudent(student, ensemble()), x, labels, augment=augment, batch_norm="moving")
    order = np.random.default_rng([1, 0]).permutation(len(x))
    batch = augment(x[order], np.random.default_rng([1, 0, 1]))
    np.testing.assert_allclose(norm.moving_mean, 0.1 * batch.mean(axis=(0, 1)), rtol=1e-4)


def test_dropout_of_the_student_is_active(x):
    """With a learning rate of 0 the loss of training is that of inference, but for dropout."""
    teachers, student = ensemble(), linear(4, keras.layers.Dropout(0.5))
    dynamic = DynamicStudent(student, teachers)
    loss = fit(dynamic, x, np.zeros((len(x), 4)), optimizer=keras.optimizers.SGD(0.0))["loss"]
    inference = ((predict(student, x) - numpy_labels(teachers, x)) ** 2).mean()
    # By chance it may well come near.
    assert loss != [pytest.approx(inference, rel=1e-5)]


# Training


def test_teachers_are_no_part_of_the_student_and_never_change(x):
    teachers, student = ensemble(), network(4)
    dynamic = DynamicStudent(student, teachers)
    states = [[np.array(v) for v in teacher.variables] for teacher in teachers]
    y = np.zeros((len(x), 4), np.float32)
    fit(
        dynamic,
        x,
        y,
        (x, y),
        keras.optimizers.Adam(0.1),
        epochs=3,
        batch_size=10,
        augment=beside(RandomShuffle()),
    )
    for teacher, state in zip(teachers, states, strict=True):
        for variable, before in zip(teacher.variables, state, strict=True):
            np.testing.assert_array_equal(variable, before)

    for kind in ("weights", "trainable_variables"):
        ours, its = ({id(v) for v in getattr(model, kind)} for model in (dynamic, student))
        assert ours == its
    assert dynamic.count_params() == student.count_params()
    # Two slots for each trained array, beside the step and the learning rate.
    assert len(dynamic.optimizer.variables) == 2 + 2 * len(student.trainable_variables)
    # The student does change, its moving statistics included.
    fresh = new_member(student, 0).get_weights()
    assert not any(np.array_equal(a, b) for a, b in zip(student.get_weights(), fresh, strict=True))


def test_validation_and_early_stopping_go_by_the_stored_labels_and_the_plain_sequences(x):
    """Validation labels opposite to the ensemble's get worse with training."""
    teachers, student = ensemble(), network(4)
    opposite = -2 * numpy_labels(teachers, x).astype(np.float32)
    history = standard_train_fun(
        DynamicStudent(student, teachers),
        x,
        np.zeros((len(x), 4), np.float32),
        (x, opposite),
        None,
        keras.optimizers.Adam(0.01),
        "mse",
        epochs=6,
        batch_size=8,
        seed=1,
        augment=RandomMutation(),
        metrics=head_errors(Heads(("Dev", "Hk"), ("mean", "std"))),
        verbose=0,
    )
    losses = history["val_loss"]
    assert min(losses) < losses[-1]
    error = (predict(student, x) - opposite) ** 2
    assert error.mean() == pytest.approx(min(losses), rel=1e-4)
    best = int(np.argmin(losses))
    assert history["val_MSE_Hk-std"][best] == pytest.approx(error[:, 3].mean(), rel=1e-4)
    heads = [history[f"MSE_{name}"] for name in ("Dev", "Hk", "Dev-std", "Hk-std")]
    np.testing.assert_allclose(np.mean(heads, axis=0), history["loss"], rtol=1e-3)


@pytest.mark.parametrize("pipeline", [RandomShuffle(), beside(RandomShuffle())])
def test_teachers_are_traced_once_and_not_for_every_batch(pipeline):
    calls = []
    for n in (20, 200):
        x = random_one_hot(n, LENGTH)
        teachers = [Subclassed(), Subclassed()]
        for teacher in teachers:
            predict(teacher, x)
            teacher.calls = 0
        # The last batch is smaller.
        dynamic = DynamicStudent(linear(4), teachers)
        fit(dynamic, x, np.zeros((n, 4)), epochs=2, batch_size=9, augment=pipeline)
        calls.append([teacher.calls for teacher in teachers])
    assert calls == [[1, 1], [1, 1]]


def test_any_keras_models_will_do(x):
    """Subclassed ones, which get their weights with their first batch, included."""
    y = np.zeros((len(x), 4), np.float32)
    student = Subclassed(4)
    dynamic = DynamicStudent(student, [Subclassed(), linear(2), network(2)])
    history = fit(dynamic, x, y, (x, y), epochs=2, batch_size=8, augment=beside(RandomShuffle()))
    assert len(history["val_loss"]) == 2
    assert predict(student, x).shape == y.shape


def test_a_seed_gives_bit_identical_students(x):
    y = np.zeros((len(x), 4), np.float32)
    teachers, weights = ensemble(), []
    for seed in (1, 1, 2):
        student = new_member(network(4), 5)
        dynamic = DynamicStudent(student, teachers)
        fit(dynamic, x, y, epochs=2, batch_size=7, augment=beside(RandomMutation()), seed=seed)
        weights.append(student.get_weights())
    for a, b, c in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_what_is_saved_is_the_plain_student(x, tmp_path):
    student = network(4)
    dynamic = DynamicStudent(student, ensemble())
    standard_train_fun(
        dynamic, x, np.zeros((len(x), 4)), None, tmp_path / "s", "adam", "mse", epochs=1, verbose=0
    )
    dynamic.save(tmp_path / "student.keras")
    again = new_member(network(4))
    again.load_weights(tmp_path / "s.weights.h5")
    opened = keras.models.load_model(tmp_path / "student.keras")
    assert type(opened) is type(student)
    for model in (again, opened):
        np.testing.assert_array_equal(predict(model, x), predict(student, x))
    student.set_weights([w + 1 for w in student.get_weights()])
    dynamic.load_weights(tmp_path / "s.weights.h5")
    np.testing.assert_array_equal(predict(student, x), predict(again, x))
