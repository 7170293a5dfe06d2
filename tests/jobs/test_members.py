"""One member of a study: trained from its seed, predicted on every split."""

import keras
import numpy as np
import pytest
from conftest import random_one_hot, write_small_dataset

from degu import models
from degu.errors import DivergedError, InputError
from degu.heads import Heads, Measured
from degu.io.card import Card
from degu.jobs.predict import predict_splits
from degu.jobs.train import finetune_member, train_dynamic_member, train_member
from degu.models.draw import new_member
from degu.models.files import load_model, save_model
from degu.sweep import Variant
from degu.training.aleatoric import losses
from degu.training.batches import predict
from degu.training.history import lowest_error

# With everything that draws random numbers: initial weights, dropout, order of sequences.
NETWORK = """
import keras
from keras import layers

def build(input_shape, output_dim):
    inputs = keras.Input(input_shape)
    x = layers.Conv1D(6, 3)(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.Dropout(0.2)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(output_dim)(x), name="tiny")

def square(x):
    return x * x

def constant(input_shape, output_dim):
    inputs = keras.Input(input_shape)
    x = layers.Flatten()(layers.Rescaling(0.0)(inputs))
    return keras.Model(inputs, layers.Dense(output_dim)(x), name="constant")

def with_own_function(input_shape, output_dim):
    inputs = keras.Input(input_shape)
    x = layers.Flatten()(layers.Activation(square)(inputs))
    return keras.Model(inputs, layers.Dense(output_dim)(x))
"""
HEADS = Heads(("Dev", "Hk"))
SETTINGS = {
    "epochs": 4,
    "batch_size": 16,
    "learning_rate": 0.01,
    "patience": 10,
    "lr_patience": 5,
    "lr_factor": 0.1,
    "min_learning_rate": 1e-7,
}


@pytest.fixture
def architecture(own_module):
    return own_module("tiny_network", NETWORK)


@pytest.fixture
def dataset(tmp_path):
    return tmp_path / "dataset.h5"


@pytest.fixture
def splits(dataset):
    return write_small_dataset(dataset, sizes=(90, 20, 25))


def data(splits, name, columns=2):
    """A split as a member sees it; a student has two columns more."""
    split = splits[name]
    return split.x, np.hstack([split.y, np.abs(split.y)])[:, :columns]


def train(architecture, splits, seed=1, heads=HEADS, validation=None, **settings):
    columns, settings = len(heads), SETTINGS | settings
    given = dict(settings)
    trained = train_member(
        f"{architecture}:build",
        heads,
        data(splits, "Train", columns),
        validation or data(splits, "Val", columns),
        seed=seed,
        settings=settings,
    )
    assert settings == given
    return trained


def test_a_seed_gives_the_same_member_and_another_seed_another(architecture, splits):
    (first, history), (again, same_history), (other, _) = (
        train(architecture, splits, seed) for seed in (5, 5, 6)
    )
    assert history == same_history
    for a, b, c in zip(*(m.get_weights() for m in (first, again, other)), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_members_begin_apart(architecture, splits):
    """With a learning rate of 0 the weights stay as they were drawn."""
    kernels = [
        train(architecture, splits, seed, epochs=1, learning_rate=0.0)[0].get_weights()[0]
        for seed in (1, 2)
    ]
    assert not np.allclose(*kernels)


@pytest.mark.parametrize("heads", [HEADS, Heads.student(("Dev", "Hk"), "std")], ids=len)
def test_training_follows_its_settings_and_every_head(architecture, splits, heads, capsys):
    # Opposite targets, so that the best epoch is not the last.
    x, y = data(splits, "Val", len(heads))
    settings = {"epochs": 6, "learning_rate": 0.02, "validation": (x, -y)}
    model, history = train(architecture, splits, heads=heads, **settings)
    assert model.output_shape == (None, len(heads))
    assert len(history["loss"]) == 6
    assert history["learning_rate"][0] == pytest.approx(0.02)
    for name in heads.columns:
        assert len(history[f"MSE_{name}"]) == len(history[f"val_MSE_{name}"]) == 6
    # Equal weight on all heads.
    each = [history[f"val_MSE_{name}"] for name in heads.columns]
    np.testing.assert_allclose(np.mean(each, axis=0), history["val_loss"], rtol=1e-4)
    assert history["loss"][-1] < history["loss"][0]
    assert min(history["val_loss"]) < history["val_loss"][-1]
    error = ((model.predict(x.astype("float32"), verbose=0) + y) ** 2).mean()
    assert error == pytest.approx(min(history["val_loss"]), rel=1e-4)

    log = capsys.readouterr().err
    weights = (3 * 4 + 1) * 6 + 4 * 6 + (6 + 1) * len(heads)
    assert f"{weights:,} weights" in log
    assert ", ".join(heads.columns) in log
    assert "90 training and 20 validation sequences" in log
    assert sum(line.startswith("epoch ") for line in log.splitlines()) == 6


@pytest.fixture
def teachers(architecture):
    """As they were drawn: what they have learned is of no account here."""
    blueprint = models.build(f"{architecture}:build", (30, 4), 2)
    return [new_member(blueprint, seed) for seed in (1, 2)]


def train_dynamic(architecture, splits, teachers, variant, heads):
    return train_dynamic_member(
        f"{architecture}:build",
        heads,
        data(splits, "Train", 4),
        data(splits, "Val", 4),
        teachers=teachers,
        variant=Variant.parse(variant),
        augmentation={"mutagenesis": 0.2},
        seed=1,
        settings=SETTINGS | {"epochs": 2},
    )


def test_a_dynamic_student_is_a_plain_model_that_its_seed_and_variant_decide(
    architecture, splits, teachers, tmp_path, capsys
):
    before = [teacher.get_weights() for teacher in teachers]
    heads = Heads.student(("Dev", "Hk"), "std")
    student, history = train_dynamic(architecture, splits, teachers, "mutagenesis", heads)
    assert "heads Dev, Hk, Dev-std, Hk-std; 90 training" in capsys.readouterr().err
    assert len(history["val_MSE_Hk-std"]) == len(history["loss"]) == 2
    x, y = data(splits, "Val", 4)
    error = ((predict(student, x) - y) ** 2).mean()
    assert error == pytest.approx(min(history["val_loss"]), rel=1e-4)
    for teacher, weights in zip(teachers, before, strict=True):
        for a, b in zip(teacher.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)

    again, append = (
        train_dynamic(architecture, splits, teachers, variant, heads)[0].get_weights()
        for variant in ("mutagenesis", "mutagenesis_append")
    )
    for a, b, c in zip(student.get_weights(), again, append, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)

    path = tmp_path / "1_Tiny_mutagenesis_aug.h5"
    card = Card(heads, "own", "student", "standard", 1.0, 2, 1, 1, "0" * 64, variant="mutagenesis")
    save_model(student, path, card)
    opened, _ = load_model(path, variant="mutagenesis")
    np.testing.assert_array_equal(predict(opened, x), predict(student, x))
    with pytest.raises(InputError, match="variant 'mutagenesis', where 'random' is needed"):
        load_model(path, variant="random")
    tuned, _ = finetune_member(
        opened, heads, data(splits, "Train", 4), (x, y), seed=3, settings=SETTINGS | {"epochs": 1}
    )
    assert type(tuned) is type(student)
    assert not np.array_equal(tuned.get_weights()[0], student.get_weights()[0])


def test_a_dynamic_student_learns_the_aleatoric_variance_of_its_ensemble(architecture, splits):
    blueprint = models.build(f"{architecture}:build", (30, 4), 4)
    teachers = [new_member(blueprint, seed) for seed in (1, 2)]
    heads = Heads.student(("Dev", "Hk"), "logvar", aleatoric=True)

    def with_labels(name):
        x, y = data(splits, name)
        return x, np.hstack([y, y - 1, y - 2])

    student, history = train_dynamic_member(
        f"{architecture}:build",
        heads,
        with_labels("Train"),
        with_labels("Val"),
        teachers=teachers,
        variant=Variant.parse("mutagenesis_append"),
        augmentation={"mutagenesis": 0.2},
        seed=1,
        settings=SETTINGS | {"epochs": 1},
    )
    assert student.output_shape == (None, 6)
    assert {f"val_MSE_{name}" for name in heads.columns} <= set(history)


@pytest.mark.parametrize(
    ("targets", "kinds", "words"),
    [
        (("Dev", "Hk"), ("mean",), "not Dev, Hk; choose"),
        (("Dev", "Hk"), ("mean", "nu", "std"), "not Dev, Hk, Dev-nu"),
        (("Dev", "Hk"), ("mean", "aleatoric", "std"), r"Labels are of shape \(4,\)"),
        (("Dev",), ("mean", "std"), r"shape \(4,\) .* the student tiny are of shape \(2,\)"),
    ],
)
def test_a_dynamic_student_has_the_heads_of_its_ensemble(
    architecture, splits, teachers, targets, kinds, words
):
    with pytest.raises(InputError, match=words):
        train_dynamic(architecture, splits, teachers, "mutagenesis", Heads(targets, kinds))


def test_fine_tuning_goes_on_from_the_model_and_leaves_it_as_it_is(architecture, splits):
    """With a learning rate of 0 nothing but the averages of batch normalization moves."""
    model, _ = train(architecture, splits, epochs=1)
    before = model.get_weights()
    settings = SETTINGS | {"epochs": 1, "learning_rate": 0.0}
    tuned, _ = finetune_member(
        model, HEADS, data(splits, "Train"), data(splits, "Val"), seed=9, settings=settings
    )
    for variable, old, kept in zip(tuned.weights, before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, old)
        if not variable.path.endswith(("moving_mean", "moving_variance", "seed_generator_state")):
            np.testing.assert_array_equal(variable.numpy(), old, err_msg=variable.path)


def test_a_head_that_learned_nothing_is_named(architecture, splits):
    x, y = data(splits, "Train")
    flat = y.copy()
    flat[:, 1] = 0.5  # what is constant itself is rightly predicted so
    for targets, names in ((y, "Dev, Hk: "), (flat, "Dev: ")):
        with pytest.raises(DivergedError, match=f"^{names}.*another seed"):
            train_member(
                f"{architecture}:constant",
                HEADS,
                (x, targets),
                data(splits, "Val"),
                seed=1,
                settings=SETTINGS | {"epochs": 1},
            )


def test_a_model_that_would_not_open_elsewhere_is_refused_untrained(architecture, splits, capsys):
    with pytest.raises(InputError, match="square is not a built-in"):
        train_member(
            f"{architecture}:with_own_function",
            HEADS,
            data(splits, "Train"),
            data(splits, "Val"),
            seed=1,
            settings=SETTINGS,
        )
    assert "epoch" not in capsys.readouterr().err


def test_predictions_of_every_split_are_those_of_the_saved_model(
    architecture, dataset, splits, tmp_path
):
    model, _ = train(architecture, splits, epochs=1)
    rows = np.array([2, 3, 50, 89])
    predictions = predict_splits(model, dataset, rows)
    assert list(predictions) == ["Train", "Val", "Test"]
    expected = {
        "Train": splits["Train"].x[rows],
        "Val": splits["Val"].x,
        "Test": splits["Test"].x,
    }
    for name, x in expected.items():
        assert predictions[name].shape == (len(x), 2)
        assert predictions[name].dtype == np.float32
        by_keras = model(x.astype(np.float32), training=False).numpy()
        np.testing.assert_allclose(predictions[name], by_keras, rtol=1e-4, atol=1e-5)

    card = Card(HEADS, f"{architecture}:build", "teacher", "standard", 1.0, None, 1, 1, "0" * 64)
    save_model(model, tmp_path / "1_Tiny.h5", card)
    opened, _ = load_model(tmp_path / "1_Tiny.h5")
    for name, values in predict_splits(opened, dataset, rows).items():
        np.testing.assert_array_equal(values, predictions[name])
    assert keras.models.load_model(tmp_path / "1_Tiny.h5").output_shape == (None, 2)


def noisy(n=400, seed=2):
    """Two measurements a sequence, whose noise is eight times as large where a base is C.

    Returns:
        Sequences, labels of :class:`degu.heads.Measured` with A lacking some and B all estimates,
        and where it is large.
    """
    x = random_one_hot(n, 12, seed)
    large = x[:, 0, 1] == 1
    noise = np.where(large, 0.8, 0.1)[:, None, None]
    pair = 3 * x[:, :2, 0, None] + noise * np.random.default_rng(seed).normal(size=(n, 2, 2))
    mean, variance = pair.mean(axis=2), pair.var(axis=2, ddof=1) / 2
    freedom = np.ones_like(variance)
    variance[::5, 0], freedom[::5, 0] = np.nan, 0
    variance[:, 1], freedom[:, 1] = np.nan, 0
    return x, np.hstack([mean, variance, freedom]).astype(np.float32), large


LINEAR = """
import keras

def build(input_shape, output_dim):
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(16, activation="relu")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(output_dim)(x), name="linear")
"""


def test_variances_are_learned_from_replicates_and_where_there_are_none_from_errors(
    own_module, tmp_path
):
    architecture = f"{own_module('linear_network', LINEAR)}:build"
    heads = Heads(("A", "B"), ("mean", "aleatoric"))
    x, y, large = noisy(900)
    pair = (x[:600], y[:600]), (x[600:], y[600:])
    fit = {
        "losses": losses(heads, {"aleatoric": "replicates", "unreplicated": ["B"]}),
        "labels": Measured(heads.targets, Measured.known),
        "settings": SETTINGS | {"epochs": 40, "patience": 40, "lr_patience": 20},
    }
    path = tmp_path / "checkpoint.h5"
    model, history = train_member(architecture, heads, *pair, seed=1, checkpoint=path, **fit)
    std = np.exp(predict(model, x[600:])[:, heads.slice("aleatoric")] / 2) * np.sqrt(2)
    for target in (0, 1):
        assert 0.6 < np.median(std[large[600:], target]) < 1.1
        assert 0.06 < np.median(std[~large[600:], target]) < 0.3
    kept = int(np.argmin(history["val_replicates"]))
    means = [history[f"val_MSE_{target}"][kept] for target in heads.targets]
    error = ((predict(model, x[600:])[:, :2] - y[600:, :2]) ** 2).mean(axis=0)
    np.testing.assert_allclose(means, error, rtol=1e-4)
    assert lowest_error(history) == pytest.approx(np.mean(means))
    assert not [name for name in history if "aleatoric" in name or "nll" in name]
    # What was finished is taken from its checkpoint, NaN among its labels or not.
    again, same = train_member(architecture, heads, *pair, seed=1, checkpoint=path, **fit)
    assert same == history
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    fit["settings"] = SETTINGS | {"epochs": 1}
    tuned, again = finetune_member(model, heads, *pair, seed=2, **fit)
    assert np.isfinite(again["val_replicates"]).all()
    assert tuned.output_shape == (None, 4)
