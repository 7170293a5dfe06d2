"""Predictions by models that are borrowed: files of their own, by passes with dropout."""

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import write_small_dataset
from keras import layers

from degu.dataset import read_info
from degu.errors import InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.files import write_npy
from degu.io.predictions import read_predictions
from degu.jobs.predict import predict_members, predict_shift
from degu.jobs.score import score_members
from degu.models.draw import new_member
from degu.models.files import save_model
from degu.shift.sequences import write_shift
from degu.study.kinds import kind_of
from degu.study.member import Member
from degu.training.batch_norm import PreciseAverages

TARGETS = ("Dev", "Hk")
PARAMS = {"seed": 5, "settings": {"passes": 40}}


def network(outputs=2):
    inputs = keras.Input((12, 4))
    x = layers.Dropout(0.5)(layers.Flatten()(inputs))
    x = layers.BatchNormalization()(layers.Dense(6)(x))
    return keras.Model(inputs, layers.Dense(outputs)(x))


def member(variant="precise", ix=1, aleatoric=None):
    kind = kind_of("mc_dropout")
    return Member(kind, "standard", 1.0, ix, variant=variant, aleatoric=aleatoric)


@pytest.fixture
def files(tmp_path):
    splits = write_small_dataset(tmp_path / "dataset.h5", sizes=(300, 9, 11), length=12)
    sha256 = read_info(tmp_path / "dataset.h5").sha256
    write_npy(np.arange(300), tmp_path / "subset.npy", proportion=1.0, dataset_sha256=sha256)
    card = Card(
        **member().owner.card_fields,
        heads=Heads(TARGETS),
        architecture="own",
        seed=1,
        dataset_sha256=sha256,
    )
    path = str(tmp_path / "1_Own.h5")
    model = new_member(network(), 1)
    PreciseAverages(model, splits["Train"].x)()
    save_model(model, path, card)
    paths = {"dataset": tmp_path / "dataset.h5", "subset": tmp_path / "subset.npy"}
    return splits, paths | {"models": [path]}


def test_passes_are_predictions_of_their_own_kind(files, tmp_path):
    splits, given = files
    output = str(tmp_path / "predictions.h5")
    predict_members([member()], given, [output], "own", PARAMS)
    predictions, card = read_predictions(output)
    assert card.heads == Heads(TARGETS, ("mean", "std"))
    card.check(output, **member().card_fields, seed=5)
    assert (predictions["Test"][:, 2:] > 0).all()
    model = keras.models.load_model(given["models"][0])
    plain = model.predict(splits["Test"].x.astype(np.float32), verbose=0)
    # Of a linear model the mean of the passes is what it predicts without dropout.
    error = predictions["Test"][:, 2:] / np.sqrt(PARAMS["settings"]["passes"])
    assert np.abs((predictions["Test"][:, :2] - plain) / error).max() < 5

    again, other = str(tmp_path / "again.h5"), str(tmp_path / "other.h5")
    predict_members([member()], given, [again], "own", PARAMS)
    predict_members([member()], given, [other], "own", {**PARAMS, "seed": 6})
    np.testing.assert_array_equal(read_predictions(again)[0]["Test"], predictions["Test"])
    assert not np.allclose(read_predictions(other)[0]["Test"], predictions["Test"])

    table = str(tmp_path / "table.csv")
    score_members([member()], {**given, "predictions": [output]}, [table])
    scored = pd.read_csv(table, index_col="metric")
    assert list(scored.columns) == list(TARGETS)
    expected = ((predictions["Test"][:, :2] - splits["Test"].y) ** 2).mean(axis=0)
    np.testing.assert_allclose(scored.loc["MSE"], expected, rtol=1e-4)


def test_averages_with_dropout_are_a_variant(files, tmp_path):
    """Batch norm behind dropout of half sees a larger variance, and makes less of everything."""
    _, given = files
    spread = {}
    for variant in ("precise", "moving"):
        output = str(tmp_path / f"{variant}.h5")
        predict_members([member(variant)], given, [output], "own", PARAMS)
        predictions, card = read_predictions(output)
        assert card.variant == variant
        spread[variant] = predictions["Test"][:, 2:].mean()
    assert spread["moving"] < 0.9 * spread["precise"]


def test_shifted_sequences_too(files, tmp_path):
    _, given = files
    settings = {"kinds": ["large"], "copies": 2}
    write_shift(tmp_path / "shift.h5", given["dataset"], settings=settings, evoaug=None, seed=1)
    given = given | {"sequences": tmp_path / "shift.h5"}
    for variant in ("precise", "moving"):
        output = str(tmp_path / f"{variant}_shift.h5")
        predict_shift([member(variant)], given, [output], "own", PARAMS)
        predictions, card = read_predictions(output, ("large",))
        assert predictions["large"].shape == (22, 4)
        card.check(output, **member(variant).card_fields)


def test_a_model_of_another_teacher_is_refused(files, tmp_path):
    _, given = files
    with pytest.raises(InputError, match="has member 1, where 2 is needed"):
        predict_members([member(ix=2)], given, [str(tmp_path / "p.h5")], "own", PARAMS)


@pytest.mark.parametrize("variant", ["precise", "moving"])
def test_of_a_teacher_with_aleatoric_heads_the_means_are_passed(files, tmp_path, variant):
    _, given = files
    own = member(variant, aleatoric="learned")
    assert own.heads(TARGETS) == Heads(TARGETS, ("mean", "std"))
    assert own.owner.heads(TARGETS) == Heads(TARGETS, ("mean", "aleatoric"))
    plain = keras.models.load_model(given["models"][0])
    both = new_member(network(4), 1)
    noise = np.random.default_rng(0).normal(size=(6, 2))
    *weights, kernel, bias = plain.get_weights()
    before = both.get_weights()
    weights = [*weights, np.hstack([kernel, noise]), np.append(bias, [3, 4])]
    both.set_weights([w if w.shape == b.shape else b for w, b in zip(weights, before, strict=True)])
    card = Card(
        **own.owner.card_fields,
        heads=own.owner.heads(TARGETS),
        architecture="own",
        seed=1,
        dataset_sha256=read_info(given["dataset"]).sha256,
    )
    path = str(tmp_path / "1_Both.h5")
    save_model(both, path, card)
    outputs = str(tmp_path / "plain.h5"), str(tmp_path / "both.h5")
    predict_members([member(variant)], given, outputs[:1], "own", PARAMS)
    predict_members([own], {**given, "models": [path]}, outputs[1:], "own", PARAMS)
    expected, got = (read_predictions(output)[0]["Test"] for output in outputs)
    assert got.shape == (11, 4)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
