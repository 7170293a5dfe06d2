"""Training that is interrupted and goes on: the same weights and history, to the bit."""

import errno
import fcntl
import json
import os
import resource
import subprocess
import sys
import threading
import time

import h5py
import keras
import numpy as np
import pytest
from conftest import motif_activity, random_one_hot

from degu import DEGU
from degu.augment import Augmenter, RandomMutation, RandomNoise
from degu.errors import DeguError, DivergedError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.versions import STAGES
from degu.jobs.session import training_session
from degu.models.draw import new_member
from degu.training.checkpoint import Checkpoint, State, checkpoint_path, training_lock
from degu.training.dynamic import DynamicStudent, beside
from degu.training.evoaug import EvoAugTraining
from degu.training.fit import standard_train_fun

LENGTH, TARGETS = 12, 2
SETTINGS = {
    **{"batch_size": 16, "epochs": 8, "lr_patience": 1, "patience": 3, "short_epoch": 0},
    "verbose": 0,
}
SCHEDULE = keras.optimizers.schedules.ExponentialDecay(0.02, 4, 0.8)
OPTIMIZERS = {
    "schedule": lambda: keras.optimizers.SGD(SCHEDULE, momentum=0.9),
    "averages": lambda: keras.optimizers.AdamW(
        0.01, use_ema=True, ema_overwrite_frequency=3, gradient_accumulation_steps=3
    ),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Nadam(0.01), dynamic_growth_steps=5
    ),
}


class Interrupted(Exception):
    """Stands for the end of a process."""


class Interrupt(keras.callbacks.Callback):
    """Ends a training in the middle of the epoch after ``epochs`` whole ones; None never does."""

    def __init__(self, epochs=None):
        super().__init__()
        self.epochs, self.begun = epochs, []

    def identity(self):
        return "no setting of the training"

    def on_epoch_begin(self, epoch, logs=None):
        self.begun.append(epoch)

    def on_train_batch_end(self, batch, logs=None):
        if self.begun[-1] == self.epochs:
            raise Interrupted


def network(outputs=TARGETS, rate=0.3):
    inputs = keras.Input((LENGTH, 4))
    x = keras.layers.Conv1D(4, 3)(inputs)
    x = keras.layers.BatchNormalization(momentum=0.8)(x)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(rate)(x)
    return keras.Model(inputs, keras.layers.Dense(outputs)(x), name="tiny")


@pytest.fixture(scope="module")
def data():
    x = random_one_hot(80, LENGTH)
    y = motif_activity(x, TARGETS)
    # Other targets in validation make plateaus and an early stop.
    return x[:64], y[:64], (x[64:], y[64:] / 2)


def train(data, checkpoint, interrupt=None, *, optimizer=None, model=None, fun=None, **settings):
    """A member from its seed: its model, its history and the epochs that were begun."""
    x, y, validation = data
    model = new_member(network(), 3) if model is None else model
    spy = Interrupt(interrupt)
    history = (fun or standard_train_fun)(
        model,
        x,
        y,
        validation,
        None,
        keras.optimizers.Adam(0.06) if optimizer is None else optimizer,
        "mse",
        **{"seed": 3, **SETTINGS, **settings},
        checkpoint=checkpoint,
        callbacks=[spy],
    )
    return model, history, spy.begun


def variables(model):
    return [np.array(v) for v in (*model.variables, *model.optimizer.variables)]


def assert_same(first, second):
    (model, history, _), (other, other_history, _) = first, second
    assert history == other_history
    for a, b in zip(variables(model), variables(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_training_interrupted_in_every_epoch_ends_as_if_it_had_not_been(data, tmp_path):
    """Adam, plateaus, an early stop, dropout, batch norm, EvoAug."""
    path = tmp_path / "hidden/checkpoint.h5"
    settings = {"augment": Augmenter([RandomMutation(), RandomNoise()], per_batch=1)}
    whole = train(data, None, **settings)
    history = whole[1]
    epochs = len(history["loss"])
    best = int(np.argmin(history["val_loss"]))
    assert 0 < best < epochs - 1 < SETTINGS["epochs"] - 1  # it stopped early
    assert len(set(history["learning_rate"])) > 1

    with pytest.raises(Interrupted):
        train(data, path, 0, **settings)
    assert not path.exists()
    for i in range(1, epochs):
        with pytest.raises(Interrupted):
            train(data, path, i, **settings)
        assert [p.name for p in path.parent.iterdir()] == [path.name]
    resumed = train(data, path, **settings)
    assert resumed[2] == [epochs - 1]
    assert_same(whole, resumed)
    # What is finished is not trained any further.
    again = train(data, path, **settings)
    assert again[2] == []
    assert_same(whole, again)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on_as_it_was(name, data, tmp_path):
    make, path = OPTIMIZERS[name], tmp_path / "checkpoint.h5"
    whole = train(data, None, optimizer=make(), epochs=4)
    with pytest.raises(Interrupted):
        train(data, path, 2, optimizer=make(), epochs=4)
    resumed = train(data, path, optimizer=make(), epochs=4)
    assert resumed[2] == [2, 3]
    assert_same(whole, resumed)


def test_a_dynamic_student_goes_on_and_only_with_its_teachers(data, tmp_path, capsys):
    x, y, (x_val, y_val) = data
    lessons = x, np.hstack([y, np.abs(y)]), (x_val, np.hstack([y_val, np.abs(y_val)]))

    def student(path, interrupt=None, teachers=(1, 2)):
        teachers = [new_member(network(), seed) for seed in teachers]
        model = DynamicStudent(new_member(network(2 * TARGETS), 3), teachers, "std")
        settings = {"augment": beside(RandomMutation(0.2)), "epochs": 4}
        return train(lessons, path, interrupt, model=model, **settings)

    path = tmp_path / "checkpoint.h5"
    whole = student(None)
    with pytest.raises(Interrupted):
        student(path, 2)
    kept = path.read_bytes()
    resumed = student(path)
    assert resumed[2] == [2, 3]
    assert_same(whole, resumed)
    path.write_bytes(kept)
    assert "afresh" not in capsys.readouterr().err
    assert student(path, teachers=(1, 3))[2] == [0, 1, 2, 3]
    assert (
        "is of other data, settings or versions; training starts afresh" in capsys.readouterr().err
    )


class NoisyError(keras.losses.Loss):
    """A loss with random numbers of its own."""

    def __init__(self):
        super().__init__()
        self.generator = keras.random.SeedGenerator(4)

    def call(self, y, prediction):
        return keras.random.uniform((), seed=self.generator) * keras.ops.square(y - prediction)


def test_a_loss_with_random_numbers_goes_on(data, tmp_path, monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity")  # some systems have none
    x, y, validation = data
    path = tmp_path / "checkpoint.h5"

    def fit(path, interrupt=None):
        model, spy = new_member(network(), 3), Interrupt(interrupt)
        settings = {**SETTINGS, "epochs": 4, "seed": 3, "callbacks": [spy], "checkpoint": path}
        history = standard_train_fun(
            model, x, y, validation, None, keras.optimizers.Adam(), NoisyError(), **settings
        )
        return model, history, spy.begun

    whole = fit(None)
    with pytest.raises(Interrupted):
        fit(path, 2)
    resumed = fit(path)
    assert resumed[2] == [2, 3]
    assert_same(whole, resumed)


class Best(keras.callbacks.Callback):
    """A callback of one's own, whose attributes happen to be named as Keras's are."""

    def __init__(self):
        super().__init__()
        self.best, self.best_weights = np.zeros(3), "best.weights.h5"


def test_other_callbacks_go_on(data, tmp_path):
    """Keras's that exchanges weights between epochs, and one of one's own."""
    x, y, validation = data
    path = tmp_path / "checkpoint.h5"

    def fit(path, interrupt=None):
        model, spy = new_member(network(), 3), Interrupt(interrupt)
        callbacks = [Best(), keras.callbacks.SwapEMAWeights(swap_on_epoch=True), spy]
        optimizer = keras.optimizers.Adam(0.03, use_ema=True, ema_momentum=0.8)
        settings = {**SETTINGS, "epochs": 4, "seed": 3, "callbacks": callbacks}
        history = standard_train_fun(
            model, x, y, validation, None, optimizer, "mse", checkpoint=path, **settings
        )
        return model, history, spy.begun

    whole = fit(None)
    with pytest.raises(Interrupted):
        fit(path, 2)
    resumed = fit(path)
    assert resumed[2] == [2, 3]
    assert_same(whole, resumed)


def test_both_phases_of_evoaug_go_on(data, tmp_path):
    fun = EvoAugTraining(Augmenter([RandomNoise()]), finetune_epochs=3)
    settings = {"fun": fun, "epochs": 2}
    path = tmp_path / "checkpoint.h5"
    whole = train(data, None, **settings)
    assert whole[2] == [0, 1, 0, 1, 2]

    with pytest.raises(Interrupted):
        train(data, path, 1, **settings)  # in the first phase
    with pytest.raises(Interrupted):
        train(data, path, 2, **settings)  # in the second
    resumed = train(data, path, **settings)
    assert resumed[2] == [2]
    assert_same(whole, resumed)
    Checkpoint(path).remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"epochs": 7},
        {"patience": 4},
        {"batch_norm": "moving"},
        {"batch_size": 8},
        {"sample_weight": np.ones(64)},
        {"augment": Augmenter([RandomNoise()])},
        {"optimizer": keras.optimizers.Adam(0.03)},
        {"model": lambda: new_member(network(), 4)},
        {"model": lambda: new_member(network(rate=0.2), 3)},
        {"data": lambda x, y, v: (x, y + 1e-6, v)},
        {"data": lambda x, y, v: (x, y, (v[0], v[1] + 1e-6))},
        {"versions": {"keras": "0"}},
        {"threads": (9, 9)},
        {"stage": 9},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_checkpoint_is_of_one_training_alone(change, data, monkeypatch):
    """Read from what a training says of itself before its first epoch."""
    said = []

    class Told(Checkpoint):
        def read(self):
            said.append(self.fingerprint)
            raise Interrupted

    def say(data, model=None, **settings):
        with pytest.raises(Interrupted):
            train(data, Told("unused"), model=model and model(), **settings)
        return said[-1]

    first = say(data)
    assert first == say(data)  # another building of the same
    x, y, validation = data
    versions, threads, stage = (change.get(name) for name in ("versions", "threads", "stage"))
    if versions:
        monkeypatch.setattr("degu.training.fit.package_versions", lambda: versions)
    if threads:
        monkeypatch.setattr("degu.training.fit._compute_threads", lambda: threads)
    if stage:
        monkeypatch.setitem(STAGES, "train", stage)
    given = change.get("data", lambda *data: data)(x, y, validation)
    elsewhere = ("data", "versions", "threads", "stage")
    settings = {name: value for name, value in change.items() if name not in elsewhere}
    assert say(given, **settings) != first


def test_no_exact_continuation_no_checkpoint(data, tmp_path, capsys):
    path = tmp_path / "checkpoint.h5"
    with pytest.raises(ValueError, match="needs a seed"):
        train(data, path, seed=None)
    with pytest.raises(ValueError, match="leave out steps_per_epoch"):
        train(data, path, steps_per_epoch=2)
    rng = np.random.default_rng(0)  # whose state no setting tells
    train(data, path, augment=lambda x, _: x + rng.normal(0, 0.1, x.shape), epochs=1)
    assert "no checkpoint is kept" in capsys.readouterr().err
    assert not path.exists()


def test_a_diverged_epoch_is_never_kept(data, tmp_path):
    path = tmp_path / "checkpoint.h5"
    x, y, validation = data
    with pytest.raises(DivergedError, match="after epoch"):
        train((x, y, validation), path, optimizer=keras.optimizers.SGD(1e9))
    if path.exists():
        with h5py.File(path) as file:
            history = json.loads(file["state"][()])["history"]
        assert np.isfinite(list(history.values())).all()


def a_state(epochs=3):
    rng = np.random.default_rng(epochs)
    weights = [rng.normal(size=(40, 3)).astype(np.float32), np.float32(epochs)]
    return State(
        epochs,
        False,
        {"loss": [0.1 + 0.2, float(np.float32(0.1)), 5e-324]},
        {"model": weights, "optimizer": [np.array(7, np.int64)], "random": []},
        {"0": {"best": 0.1 + 0.2, "wait": 1, "best_weights": weights}, "2": {"best": None}},
    )


def kept(path, settings="this"):
    checkpoint = Checkpoint(path)
    checkpoint.identify(settings)
    return checkpoint


def test_a_state_is_read_as_it_was_written(tmp_path):
    checkpoint, state = kept(tmp_path / "checkpoint.h5"), a_state()
    checkpoint.write(state)
    read = checkpoint.read()
    assert (read.epochs, read.stopped, read.history) == (3, False, state.history)
    assert read.callbacks["2"] == {"best": None}
    assert read.callbacks["0"]["best"] == 0.1 + 0.2
    pairs = [(read.variables[name], state.variables[name]) for name in state.variables]
    pairs.append((read.callbacks["0"]["best_weights"], state.callbacks["0"]["best_weights"]))
    for arrays, written in pairs:
        for a, b in zip(arrays, written, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


def test_damaged_files_start_afresh_and_say_so(tmp_path, capsys):
    checkpoint = kept(tmp_path / "checkpoint.h5")
    checkpoint.write(a_state())
    whole = checkpoint.path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [b"", b"not HDF5", *(whole[:n] for n in rng.integers(1, len(whole), 20))]
    for position in rng.integers(0, len(whole), 100):
        damaged.append(
            whole[:position]
            + bytes([whole[position] ^ rng.integers(1, 256)])
            + whole[position + 1 :]
        )
    for content in damaged:
        checkpoint.path.write_bytes(content)
        assert checkpoint.read() == State()
        said = capsys.readouterr().err
        assert "afresh" in said
        assert said.count("\n") == 1
    checkpoint.path.write_bytes(whole)
    assert checkpoint.read().epochs == 3
    assert kept(checkpoint.path, "that").read() == State()
    assert "is of other data, settings or versions" in capsys.readouterr().err


def test_a_full_disk_leaves_the_last_checkpoint_and_one_sentence(tmp_path):
    checkpoint = kept(tmp_path / "checkpoint.h5")
    checkpoint.write(a_state(3))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DeguError, match=r"cannot be written .* continues after epoch 3\."):
            checkpoint.write(a_state(4))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.h5"]
    assert checkpoint.read().epochs == 3


def test_one_process_at_a_time_makes_a_result(tmp_path, capsys):
    result = tmp_path / "1_Tiny.h5"
    hidden = checkpoint_path(result).parent
    held, order, said = threading.Event(), [], ""

    def first():
        nonlocal said
        with training_lock(result):
            held.set()
            # Until the other one has said that it waits.
            while "1_Tiny.h5" not in said:
                said += capsys.readouterr().err
                time.sleep(0.01)
            order.append("first")

    thread = threading.Thread(target=first)
    with training_lock(tmp_path / "2_Tiny.h5"):  # another result waits for nothing
        assert not capsys.readouterr().err
    thread.start()
    assert held.wait(60)
    with training_lock(result):
        order.append("second")
        assert [p.name for p in hidden.iterdir() if p.suffix == ".lock"] == ["1_Tiny.h5.lock"]
    thread.join()
    assert order == ["first", "second"]
    said += capsys.readouterr().err
    assert said.count("\n") == 1
    assert "1_Tiny.h5 is being made by process" in said
    assert not hidden.exists()


def test_what_a_killed_process_left_half_written_is_deleted(tmp_path):
    result, history = tmp_path / "1_Tiny.h5", tmp_path / "1_history.csv"
    hidden = checkpoint_path(result).parent
    hidden.mkdir()
    stale = [
        tmp_path / ".writing-abc_1234-1_Tiny.h5",
        tmp_path / ".writing-abc_1234-1_history.csv",
        hidden / ".writing-abc_1234-1_Tiny.h5",
        hidden / ".writing-abc_1234-1_Tiny.h5.finetuning",
    ]
    others = [
        tmp_path / ".writing-abc_1234-11_Tiny.h5",
        hidden / ".writing-abc_1234-21_Tiny.h5",
    ]
    for path in (*stale, *others):
        path.touch()
    with training_lock(result, history):
        assert not any(path.exists() for path in stale)
    assert all(path.exists() for path in others)


def test_what_another_process_has_made_meanwhile_is_taken_as_it_is(data, tmp_path, capsys):
    files = tmp_path / "1_Tiny.h5", tmp_path / "1_history.csv"
    card = Card(Heads(("Dev", "Hk")), "own", "teacher", "standard", 1.0, None, 1, 3, "0" * 64)

    def make(**settings):
        with training_session(*files) as session:
            model, history, begun = train(data, session.checkpoint, epochs=2, **settings)
            session.save(model, history, card)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["1_Tiny.h5", "1_history.csv"]
        return model, history, begun

    first = make()
    assert first[2] == [0, 1]
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files]
    again = make()
    assert again[2] == []
    assert "has been made meanwhile" in capsys.readouterr().err
    assert again[1] == first[1]
    for a, b in zip(first[0].get_weights(), again[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files] == before
    # Files of another training, or damaged ones, are replaced.
    assert make(seed=4)[2] == [0, 1]
    files[0].write_bytes(files[0].read_bytes()[:-2000])
    assert make(seed=4)[2] == [0, 1]


def test_an_ensemble_takes_up_its_half_trained_member(data, tmp_path):
    x, y, validation = data

    def ensemble(folder, interrupt=None, **settings):
        degu, spy = DEGU(network(), num_ensemble=2, seed=1), Interrupt(interrupt)
        histories = degu.train_ensemble(
            x,
            y,
            save_prefix=tmp_path / folder / "member",
            optimizer="adam",
            loss="mse",
            validation_data=validation,
            callbacks=[spy],
            **SETTINGS | {"epochs": 3} | settings,
        )
        return degu, histories, spy.begun

    whole, histories, _ = ensemble("whole")
    with pytest.raises(Interrupted):
        ensemble("killed", 2)
    resumed, same_histories, begun = ensemble("killed", resume=True)
    assert begun == [2, 0, 1, 2]
    assert same_histories == histories
    for a, b in zip(whole.members, resumed.members, strict=True):
        for c, d in zip(a.get_weights(), b.get_weights(), strict=True):
            np.testing.assert_array_equal(c, d)
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == [
        "member_1.weights.h5",
        "member_2.weights.h5",
    ]


@pytest.mark.long
@pytest.mark.ci
def test_training_jobs_killed_at_random_moments_end_as_those_left_alone(root, tmp_path):
    """The workflow's scripts, in processes of their own; see benchmarks/kills.py."""
    options = ["--kills", "14", "--stops", "2", "--epochs", "12", "--json", tmp_path / "kills.json"]
    run = subprocess.run(
        [sys.executable, root / "benchmarks/kills.py", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    results = json.loads((tmp_path / "kills.json").read_text())
    # One that comes after the end of its job is none.
    assert sum(result["kills"] for result in results) == 14
    assert sum(result["resumed"] for result in results) > 0


def test_a_lock_that_fails_is_a_sentence_and_one_that_is_unknown_a_warning(
    tmp_path, monkeypatch, capsys
):
    """As a stale network file system does, and one that has no locks."""

    def failing(number):
        def flock(*_):
            raise OSError(number, os.strerror(number))

        return flock

    monkeypatch.setattr(fcntl, "flock", failing(errno.ESTALE))
    lock = training_lock(tmp_path / "m.h5")
    with pytest.raises(DeguError, match=r"the lock of m\.h5 cannot be used \(Stale file handle\)"):
        lock.__enter__()
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    with training_lock(tmp_path / "m.h5"):
        pass
    assert "without locks" in capsys.readouterr().err
