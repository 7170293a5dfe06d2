"""Training of one model: batches, schedule, saving."""

import h5py
import keras
import numpy as np
import pytest
from conftest import motif_activity, random_one_hot

from degu import DEGU
from degu.augment import Augmenter, RandomMutation, RandomNoise
from degu.errors import DivergedError, InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.models.draw import new_member
from degu.models.files import load_model, save_model
from degu.models.identity import architecture_sha256
from degu.training.batches import Batches, predict
from degu.training.callbacks import BeginEpoch
from degu.training.evoaug import EvoAugTraining
from degu.training.fit import head_errors, standard_train_fun


def small_model(length=20, outputs=1):
    inputs = keras.Input((length, 4))
    x = keras.layers.Conv1D(8, 3, padding="same")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(outputs)(x))


def card(**changes):
    fields = {
        "heads": Heads(("Dev",)),
        "architecture": "deepstarr",
        "role": "teacher",
        "augmentation": "standard",
        "proportion": 0.25,
        "size": None,
        "member": 3,
        "seed": 7,
        "dataset_sha256": "0" * 64,
    }
    return Card(**{**fields, **changes})


@pytest.fixture(scope="module")
def data():
    x = random_one_hot(300, 20)
    return x, motif_activity(x)


def test_every_epoch_holds_every_sequence_once_in_an_order_of_its_own():
    x = np.arange(10, dtype=np.int32)[:, None]
    batches = Batches(x, x, batch_size=4, shuffle_seed=5)
    orders = []
    for epoch in range(3):
        batches.set_epoch(epoch)
        parts = [batches[i] for i in range(len(batches))]
        assert [len(p[0]) for p in parts] == [4, 4, 2]
        assert all(np.array_equal(a, b) for a, b in parts)
        orders.append(np.concatenate([p[0] for p in parts]).ravel().tolist())
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    expected = np.random.default_rng([5, 2]).permutation(10).tolist()
    assert orders[2] == expected  # depends on seed and epoch alone


def test_fit_sees_the_orders_that_the_batches_promise():
    """Keras must not read ahead into the next epoch, whatever it buffers."""
    seen = []

    class Spy(Batches):
        def __getitem__(self, index):
            batch = super().__getitem__(index)
            seen.append((self.epoch, batch[0][:, 0].astype(int).tolist()))
            return batch

    x = np.arange(12, dtype=np.float32)[:, None]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", keras.losses.MeanSquaredError())
    batches = Spy(x, x, 4, shuffle_seed=1)
    model.fit(batches, epochs=3, shuffle=False, verbose=0, callbacks=[BeginEpoch(batches)])
    for epoch in range(3):
        order = np.random.default_rng([1, epoch]).permutation(12).tolist()
        # Before the first epoch Keras looks at two batches to learn their shapes.
        read = [rows for e, rows in seen if e == epoch][-3:]
        assert [row for rows in read for row in rows] == order


def test_bytes_become_floats_one_batch_at_a_time():
    x = random_one_hot(5, 6)
    batches = Batches(x, np.ones((5, 1), np.float64), batch_size=2)
    assert batches.arrays[0].dtype == np.uint8
    assert batches[0][0].dtype == np.float32
    assert batches[0][1].dtype == np.float64
    np.testing.assert_array_equal(batches[2][0], x[4:])


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        Batches(np.zeros((2, 1)), np.zeros((3, 1)))


def test_seeded_training_is_bit_identical_and_another_seed_is_not(data):
    x, y = data
    blueprint = small_model()
    weights = []
    for seed in (1, 1, 2):
        model = new_member(blueprint, seed)
        standard_train_fun(
            model, x, y, (x, y), None, "adam", "mse", epochs=2, batch_size=64, seed=seed, verbose=0
        )
        weights.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert not np.array_equal(weights[0][0], weights[2][0])


def test_augmentation_follows_the_seed_also_where_the_order_stays(data):
    def draws(seed):
        seen = []

        def augment(x, rng):
            seen.append(int(rng.integers(2**31)))
            return x

        model = new_member(small_model(), 1)
        settings = {"seed": seed, "shuffle": False, "augment": augment, "epochs": 1, "verbose": 0}
        standard_train_fun(model, *data, None, None, "adam", "mse", **settings)
        return set(seen)  # Keras looks at some batches twice

    first = draws(1)
    assert len(first) == 3  # batches of 128 of the 300
    assert draws(1) == first
    assert not draws(2) & first
    assert not draws(None) & draws(None)


def test_early_stopping_restores_the_best_epoch_and_plateaus_lower_the_rate():
    """Validation targets opposite to the training targets get worse from the second epoch on."""
    x = random_one_hot(256, 20)
    y = motif_activity(x)
    model = new_member(small_model(), 1)
    best = []

    class Best(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if not best or logs["val_loss"] < best[-1][0]:
                best.append((logs["val_loss"], self.model.get_weights()))

    history = standard_train_fun(
        model,
        x,
        y,
        (x, -y),
        None,
        keras.optimizers.Adam(0.01),
        "mse",
        epochs=50,
        batch_size=32,
        patience=4,
        lr_patience=2,
        short_epoch=0,
        lr_factor=0.1,
        seed=1,
        callbacks=[Best()],
        verbose=0,
    )
    losses = history["val_loss"]
    assert len(losses) == int(np.argmin(losses)) + 1 + 4
    for a, b in zip(model.get_weights(), best[-1][1], strict=True):
        np.testing.assert_array_equal(a, b)
    rates = history["learning_rate"]
    assert rates[0] == pytest.approx(0.01)
    assert rates[-1] == pytest.approx(0.001)


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
@pytest.mark.parametrize(("short_epoch", "patience", "rate"), [(0, 2, 1), (12, 6, 3), (4, 2, 1)])
def test_patience_of_short_epochs_is_stretched(short_epoch, patience, rate):
    """Of a model that cannot get better, in epochs of four steps; the rate's patience is half."""
    x = random_one_hot(128, 20)
    inputs = keras.Input((20, 4))
    outputs = keras.layers.Dense(1, trainable=False)(keras.layers.Flatten()(inputs))
    history = standard_train_fun(
        keras.Model(inputs, outputs),
        *(x, motif_activity(x), (x, motif_activity(x)), None, "sgd", "mse"),
        **{"epochs": 30, "batch_size": 32, "patience": 2, "lr_patience": 1, "seed": 1},
        **{"short_epoch": short_epoch, "verbose": 0},
    )
    # The first epoch is the best one.
    assert len(history["val_loss"]) == 1 + patience
    assert np.ptp(history["learning_rate"][: 1 + rate]) == 0
    assert history["learning_rate"][1 + rate] < history["learning_rate"][rate]


def test_without_optimizer_and_loss_the_own_compile_is_kept(data):
    x, y = data
    model = small_model()
    model.compile(keras.optimizers.SGD(0.0), loss="mae")
    before = model.get_weights()
    history = standard_train_fun(model, x, y, (x, y), None, epochs=1, verbose=0, patience=1)
    after = model.get_weights()
    # A learning rate of 0 moves only the statistics of batch norm.
    np.testing.assert_array_equal(before[0], after[0])
    expected = np.abs(y - predict(model, x)).mean()
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="not compiled"):
        standard_train_fun(small_model(), x, y, None, None)
    with pytest.raises(ValueError, match="both optimizer and loss"):
        standard_train_fun(small_model(), x, y, None, None, optimizer="adam")


def test_a_line_for_every_epoch(data, capsys):
    x, y = data
    standard_train_fun(small_model(), x, y, (x, y), None, "adam", "mse", epochs=2, seed=0)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "val_loss" in lines[0]
    assert "sequences/s" in lines[0]


def test_divergence_is_an_error_that_says_so(data):
    x, y = data
    with pytest.raises(DivergedError, match="after epoch 1: training diverged"):
        standard_train_fun(
            small_model(), x, y * np.float32(1e30), None, None, "adam", "mse", epochs=2, verbose=0
        )


def test_head_errors_are_the_squared_errors_of_their_columns():
    heads = Heads(("Dev", "Hk"), ("mean", "std"))
    rng = np.random.default_rng(0)
    y, pred = rng.normal(size=(2, 50, 4)).astype(np.float32)
    for column, metric in enumerate(head_errors(heads)):
        assert metric.name == f"MSE_{heads.columns[column]}"
        metric.update_state(y[:20], pred[:20])
        metric.update_state(y[20:], pred[20:])
        expected = ((y - pred) ** 2)[:, column].mean()
        assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_saved_models_open_with_keras_alone_and_carry_their_card(data, tmp_path):
    x, y = data
    model = small_model()
    standard_train_fun(model, x, y, None, None, "adam", "mse", epochs=1, verbose=0)
    path = tmp_path / "3_DeepSTARR.h5"
    save_model(model, path, card())
    opened = keras.models.load_model(path)
    assert not opened.compiled
    np.testing.assert_array_equal(predict(opened, x), predict(model, x))
    ours, its_card = load_model(path, member=3, heads=Heads(("Dev",)))
    assert its_card == card(architecture_sha256=its_card.architecture_sha256)
    # The same for the same layers, whatever their names and seeds; another for others.
    assert its_card.architecture_sha256 == architecture_sha256(new_member(small_model()))
    assert its_card.architecture_sha256 != architecture_sha256(small_model(outputs=2))
    np.testing.assert_array_equal(predict(ours, x), predict(model, x))
    assert [p.name for p in tmp_path.iterdir()] == ["3_DeepSTARR.h5"]


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({"member": 4}, "member 3, where 4"),
        ({"heads": Heads(("Hk",))}, r"heads \('Dev',\), where \('Hk',\)"),
        ({"dataset_sha256": "1" * 64}, "dataset_sha256"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_by_name(tmp_path, expected, words):
    path = tmp_path / "3_DeepSTARR.h5"
    save_model(small_model(), path, card())
    with pytest.raises(InputError, match=words) as error:
        load_model(path, **expected)
    assert str(path) in str(error.value)


def test_files_that_are_no_models_of_ours_are_refused(tmp_path):
    foreign = tmp_path / "foreign.h5"
    small_model().save(foreign)
    with pytest.raises(InputError, match="carries no card"):
        load_model(foreign)
    truncated = tmp_path / "truncated.h5"
    truncated.write_bytes(foreign.read_bytes()[:5000])
    with pytest.raises(InputError, match="truncated"):
        load_model(truncated)
    with pytest.raises(InputError, match="does not exist"):
        load_model(tmp_path / "absent.h5")


def test_code_in_a_model_file_is_not_run(tmp_path):
    inputs = keras.Input((20, 4))
    outputs = keras.layers.Lambda(lambda t: t[:, 0, :1] * 2)(inputs)
    path = tmp_path / "lambda.h5"
    keras.Model(inputs, outputs).save(path)
    with h5py.File(path, "r+") as file:
        card().write(file.attrs)
    with pytest.raises(InputError, match="holds a Lambda, which may run code"):
        load_model(path)


# EvoAug, then fine-tuning


def linear_model():
    return keras.Sequential([keras.Input((20, 4)), keras.layers.Flatten(), keras.layers.Dense(1)])


def shifted(x, rng):
    """An augmentation that a linear model cannot overlook."""
    return x + 1


def test_evoaug_training_augments_the_first_phase_alone_and_keeps_the_own_compile(data):
    """With learning rates of 0, losses and metrics say what the model saw."""
    x, y = data
    model = linear_model()
    # A schedule of the model's own does not outlast the first phase.
    rate = keras.optimizers.schedules.ExponentialDecay(0.0, 10, 0.5)
    model.compile(keras.optimizers.SGD(rate, momentum=0.5), "mae", [3.0], metrics=["mse"])
    train = EvoAugTraining(shifted, finetune_epochs=1, finetune_learning_rate=1e-30)
    history = train(model, x, y, (x, y), None, epochs=2, batch_size=128, seed=1, verbose=0)
    assert history["finetuning"] == [0, 0, 1]
    as_is, augmented = (predict(model, x.astype(np.float32) + shift) - y for shift in (0, 1))
    seen = [augmented, augmented, as_is]
    for name, values in {
        "loss": [3 * np.abs(error).mean() for error in seen],
        "mse": [(error**2).mean() for error in seen],
        "val_loss": [3 * np.abs(as_is).mean()] * 3,
        "val_mse": [(as_is**2).mean()] * 3,
        "learning_rate": [np.nan, np.nan, 1e-30],
    }.items():
        assert history[name] == pytest.approx(values, rel=1e-4, nan_ok=True)
    # A fresh optimizer of the same kind, which made one epoch's steps.
    assert (model.optimizer.momentum, int(model.optimizer.iterations)) == (0.5, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((None,), "got None"),
        (([RandomNoise()],), "Augmenter"),
        ((RandomNoise,), "needs augment"),
        ((RandomNoise(), 0), "at least one epoch"),
        ((RandomNoise(), 3, 0.0), "learning rate above 0"),
    ],
)
def test_evoaug_training_refuses_at_once_what_would_fail_after_an_hour(arguments, words):
    with pytest.raises(ValueError, match=words):
        EvoAugTraining(*arguments)


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.Adam(0.02),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02), initial_scale=8.0),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_evoaug_training_goes_on_from_its_best_weights_and_ends_with_them(
    data, tmp_path, optimizer, capsys
):
    x, y = data
    model = new_member(small_model(), 1)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append([self.model.evaluate(x.astype(np.float32), -y, verbose=0)])
            seen[-1] += [type(self.model.optimizer), list(tmp_path.iterdir())]

    # Opposite validation targets, so that the best epoch of a phase is not its last.
    history = EvoAugTraining(RandomNoise(), finetune_epochs=4, finetune_learning_rate=1e-3)(
        model,
        x,
        y,
        (x, -y),
        tmp_path / "model",
        optimizer,
        "mse",
        epochs=3,
        batch_size=32,
        seed=1,
        callbacks=[Watch()],
    )
    assert {len(values) for values in history.values()} == {7}
    assert history["finetuning"] == [0] * 3 + [1] * 4
    assert history["learning_rate"] == pytest.approx([0.02] * 3 + [1e-3] * 4)
    first, second = history["val_loss"][:3], history["val_loss"][3:]
    assert min(first) < first[-1]
    assert seen[1][0] == pytest.approx(min(first), rel=1e-4)
    assert min(second) < second[-1]
    np.testing.assert_allclose(((predict(model, x) + y) ** 2).mean(), min(second), rtol=1e-4)
    # Saved once both phases are over; the same kind of optimizer in both, the given one in none.
    assert [kind for _, kind, _ in seen] == [type(optimizer)] * 2
    assert [files for *_, files in seen] == [[], []]
    assert not optimizer.built
    again = small_model()
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(predict(again, x), predict(model, x))
    log = capsys.readouterr().err
    assert log.index("epoch 3/3") < log.index("fine-tuning") < log.index("epoch 1/4")


def test_an_ensemble_and_a_student_trained_with_evoaug(data, tmp_path, capsys):
    x, y = data
    settings = {"optimizer": "adam", "loss": "mse", "epochs": 2, "batch_size": 128, "seed": 3}

    def ensemble(fraction=0.1):
        augment = Augmenter([RandomMutation(fraction), RandomNoise()], per_batch=2, hard=False)
        train = EvoAugTraining(augment, finetune_epochs=1)
        degu = DEGU(small_model(), num_ensemble=2, seed=1)
        histories = degu.train_ensemble(
            x, y, train, tmp_path / "m", validation_data=(x, y), resume=True, verbose=0, **settings
        )
        return degu, train, histories

    degu, train, histories = ensemble()
    assert [history["finetuning"] for history in histories] == [[0, 0, 1]] * 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m_1.weights.h5", "m_2.weights.h5"]
    stamps = [p.stat().st_mtime_ns for p in sorted(tmp_path.iterdir())]
    again, _, same = ensemble()
    assert same == histories
    assert [p.stat().st_mtime_ns for p in sorted(tmp_path.iterdir())] == stamps
    assert "trained again" not in capsys.readouterr().err
    np.testing.assert_array_equal(again.member_predictions(x), degu.member_predictions(x))
    # Another augmentation makes other members.
    other, _, _ = ensemble(fraction=0.2)
    assert capsys.readouterr().err.count("trained again") == 2
    assert not np.array_equal(other.member_predictions(x), degu.member_predictions(x))

    history = degu.distill_student(
        small_model(outputs=2), x, y, train, None, validation_data=(x, y), verbose=0, **settings
    )
    assert history["finetuning"] == [0, 0, 1]


def test_a_seed_makes_evoaug_training_bit_identical(data):
    x, y = data
    weights = []
    for seed in (1, 1):
        model = new_member(small_model(), 4)
        EvoAugTraining(RandomMutation(), finetune_epochs=1)(
            model, x, y, None, None, "adam", "mse", epochs=1, batch_size=64, seed=seed, verbose=0
        )
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
