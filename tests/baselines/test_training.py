"""A model of a likelihood is trained as others are, and early stopping goes by the likelihood."""

import keras
import numpy as np
import pytest
from conftest import random_one_hot

from degu.baselines import BASELINES
from degu.heads import Heads
from degu.jobs.fit import finetune_member, train_member
from degu.kinds import named
from degu.training.checkpoint import Checkpoint
from degu.training.history import lowest_error

NETWORK = """
import keras
from keras import layers

def build(input_shape, output_dim):
    inputs = keras.Input(input_shape)
    x = layers.Flatten()(inputs)
    x = layers.Dropout(0.2)(layers.Dense(8, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(output_dim)(x), name="tiny")
"""
SETTINGS = {
    **{"epochs": 5, "batch_size": 16, "learning_rate": 0.02, "patience": 2, "lr_patience": 1},
    **{"lr_factor": 0.1, "min_learning_rate": 1e-7, "short_epoch": 0},
}
LOSS = {"beta_nll": {"beta": 0.5}, "evidential": {"penalty": 0.5}}
NAMES = [name for name, b in BASELINES.items() if b.kind and b.kind.losses and not b.ensemble]


@pytest.fixture
def architecture(own_module):
    return own_module("likelihoods", NETWORK) + ":build"


@pytest.fixture
def data():
    """Sequences whose noise grows with their share of A; on validation the sign is another."""
    x = random_one_hot(120, 12, seed=1)
    share = x[..., 0].mean(axis=1)[:, None]
    y = (share + share * np.random.default_rng(0).normal(size=(120, 2))).astype(np.float32)
    return (x[:90], y[:90]), (x[90:], -4 * y[90:])


def train(name, architecture, data, train=train_member, **changes):
    kind = BASELINES[name].kind
    heads = Heads(("Dev", "Hk"), kind.heads)
    losses = named(kind.losses)(heads, LOSS.get(name, {}))
    settings = {**SETTINGS, **changes.pop("settings", {})}
    return train(
        architecture, heads, *data, seed=3, settings=settings, losses=losses, **changes
    ), losses


@pytest.mark.parametrize("name", NAMES)
def test_the_kept_model_is_that_of_the_best_likelihood(name, architecture, data):
    (model, history), (loss, likelihood) = train(name, architecture, data)
    x, y = data[1]
    pred = model.predict(x.astype(np.float32), verbose=0)
    assert pred.shape == (30, 2 * len(BASELINES[name].kind.heads))
    best = min(history["val_nll"])
    # Opposite values, so that it is not the last epoch.
    assert best < history["val_nll"][-1]
    assert float(likelihood(y, pred)) == pytest.approx(best, rel=1e-4)
    kept = history["val_loss"][int(np.argmin(history["val_nll"]))]
    assert float(loss(y, pred)) == pytest.approx(kept, rel=1e-4)
    # What is measured of means is followed, as for others.
    np.testing.assert_allclose(
        [history[f"val_MSE_{t}"][int(np.argmin(history["val_nll"]))] for t in ("Dev", "Hk")],
        ((pred[:, :2] - y) ** 2).mean(axis=0),
        rtol=1e-4,
    )
    assert not [column for column in history if "aleatoric" in column]
    tuned, again = finetune_member(
        model,
        Heads(("Dev", "Hk"), BASELINES[name].kind.heads),
        *data,
        seed=4,
        settings={**SETTINGS, "epochs": 1},
        losses=(loss, likelihood),
    )
    assert again["val_nll"]
    assert isinstance(tuned, keras.Model)


def test_a_penalty_decides_nothing_about_the_end(architecture, data):
    """The penalised loss of validation is smallest at another epoch than the likelihood."""
    train_data, (x, y) = data
    (model, history), (_, likelihood) = train("evidential", architecture, (train_data, (x, y / 4)))
    best = {name: int(np.argmin(history[f"val_{name}"])) for name in ("nll", "loss")}
    assert best["nll"] != best["loss"]
    pred = model.predict(x.astype(np.float32), verbose=0)
    assert float(likelihood(y / 4, pred)) == pytest.approx(min(history["val_nll"]), rel=1e-4)


def test_variances_are_learned(architecture, data):
    """Noise is eight times as large in one half, and the model says so."""
    x = random_one_hot(800, 12, seed=2)
    noisy = x[:, 0, 0] == 1
    y = np.where(noisy, 0.8, 0.1)[:, None] * np.random.default_rng(1).normal(size=(800, 2))
    pair = ((x[:600], y[:600].astype(np.float32)), (x[600:], y[600:].astype(np.float32)))
    more = {"epochs": 30, "patience": 20, "lr_patience": 10}
    (model, _), _ = train("heteroscedastic", architecture, pair, settings=more)
    logvar = model.predict(x[600:].astype(np.float32), verbose=0)[:, 2:]
    std = np.exp(logvar / 2)
    assert 0.6 < np.median(std[noisy[600:]]) < 1.0
    assert 0.07 < np.median(std[~noisy[600:]]) < 0.2


class Interrupted(Exception):
    pass


class Killed(Checkpoint):
    """Ends the process after a state was written."""

    def write(self, state):
        super().write(state)
        raise Interrupted


@pytest.mark.parametrize("name", ["beta_nll", "evidential"])
def test_a_killed_training_goes_on_to_the_same_model(name, architecture, data, tmp_path):
    (model, history), _ = train(name, architecture, data)
    path = tmp_path / "checkpoint.h5"
    for _ in range(2):
        with pytest.raises(Interrupted):
            train(name, architecture, data, checkpoint=Killed(path))
    (resumed, same), _ = train(name, architecture, data, checkpoint=Checkpoint(path))
    assert same == history
    for a, b in zip(model.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_loss_is_a_part_of_what_a_checkpoint_is_of(architecture, data, tmp_path):
    told = []

    class Told(Checkpoint):
        def read(self):
            told.append(self.fingerprint)
            raise Interrupted

    def say(name, loss):
        kind = BASELINES[name].kind
        heads = Heads(("Dev", "Hk"), kind.heads)
        with pytest.raises(Interrupted):
            train_member(
                architecture,
                heads,
                *data,
                seed=3,
                settings=SETTINGS,
                losses=named(kind.losses)(heads, loss),
                checkpoint=Told(tmp_path / "unused"),
            )
        return told[-1]

    first = say("beta_nll", {"beta": 0.5})
    assert first is not None
    assert first == say("beta_nll", {"beta": 0.5})
    others = [
        say("beta_nll", {"beta": 0.4}),
        say("heteroscedastic", {}),
        say("laplace", {}),
        say("cauchy", {}),
    ]
    assert len({first, *others}) == 5


def test_the_error_of_a_likelihood_has_the_scale_of_squared_errors():
    """A std that is twice as large is four times the error, wherever the likelihood's zero is."""
    nll = [0.5 * np.log(2 * np.pi * np.e * std**2) for std in (0.01, 0.02, 5.0)]
    errors = [lowest_error({"val_loss": [1.0], "val_nll": [9.0, value]}) for value in nll]
    assert errors[1] / errors[0] == pytest.approx(4)
    assert errors[2] / (2 * np.pi * np.e) == pytest.approx(25)
    assert np.isnan(lowest_error({"val_nll": [float("nan")]}))
    assert lowest_error({"val_nll": [1e9]}) < float("inf")
