"""Several members of an arm in one job: each file is of its own member."""

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
from conftest import write_small_dataset

from degu.dataset import read_info
from degu.heads import Heads
from degu.io.card import Card
from degu.io.files import write_npy
from degu.jobs.predict import predict_members, predict_shift
from degu.jobs.score import score_members
from degu.models.files import save_model
from degu.shift.sequences import write_shift
from degu.study.kinds import STUDENT
from degu.study.member import Member

HEADS = Heads.student(("Dev", "Hk"), "std")
MEMBERS = [Member(STUDENT, "evoaug", 1.0, ix, 2, "std") for ix in (1, 2, 3)]
ARCHITECTURE = "linear:build"


@pytest.fixture
def models(tmp_path):
    """Two phases of three members, as they were drawn, and the files of their study."""
    splits = write_small_dataset(tmp_path / "dataset.h5", sizes=(20, 9, 11), length=12)
    sha256 = read_info(tmp_path / "dataset.h5").sha256
    write_npy(np.arange(20), tmp_path / "subset.npy", proportion=1.0, dataset_sha256=sha256)
    models, paths = [], []
    for member in MEMBERS:
        for phase in member.phases:
            inputs = keras.Input((12, 4))
            outputs = keras.layers.Dense(len(HEADS))(keras.layers.Flatten()(inputs))
            models.append(keras.Model(inputs, outputs))
            paths.append(str(tmp_path / f"{member.member}_Linear_{phase}.h5"))
            card = Card(
                **member.card_fields,
                heads=HEADS,
                architecture=ARCHITECTURE,
                seed=1,
                dataset_sha256=sha256,
            )
            save_model(models[-1], paths[-1], card)
    files = {"dataset": tmp_path / "dataset.h5", "subset": tmp_path / "subset.npy"}
    said = [model.get_weights() for model in models]
    return splits, said, files | {"models": paths}


def answer(weights, x):
    """What a model predicts, by NumPy."""
    kernel, bias = weights
    return x.reshape(len(x), -1).astype(np.float64) @ kernel + bias


def outputs(folder, name):
    return [str(folder / f"{member.member}_{name}") for member in MEMBERS]


def test_predictions_and_tables_are_of_their_member(models, tmp_path):
    splits, weights, files = models
    predicted = outputs(tmp_path, "predictions.h5")
    predict_members(MEMBERS, files, predicted, ARCHITECTURE)
    before, after = weights[::2], weights[1::2]
    for i, path in enumerate(predicted):
        with h5py.File(path) as file:
            assert file.attrs["degu_member"] == str(i + 1)
            for name, split in splits.items():
                np.testing.assert_allclose(file[name], answer(after[i], split.x), atol=1e-5)
            np.testing.assert_allclose(
                file["Test_aug"], answer(before[i], splits["Test"].x), atol=1e-5
            )

    std = np.random.default_rng(1).uniform(0.1, 1, (11, 2)).astype(np.float32)
    sha256 = read_info(files["dataset"]).sha256
    arm = {"augmentation": "evoaug", "proportion": 1.0, "size": 2, "dataset_sha256": sha256}
    write_npy(std, tmp_path / "std.npy", content="std of Test", **arm)
    tables = [str(tmp_path / f"{m.member}{p}.csv") for m in MEMBERS for p in m.phases]
    given = {
        "dataset": files["dataset"],
        "predictions": predicted,
        "std_test": tmp_path / "std.npy",
    }
    score_members(MEMBERS, given, tables)
    truth = np.hstack([splits["Test"].y, std])
    for table, own in zip(tables, weights, strict=True):
        expected = ((answer(own, splits["Test"].x) - truth) ** 2).mean(axis=0)
        mse = pd.read_csv(table, index_col="metric").loc["MSE"]
        np.testing.assert_allclose(mse, expected, rtol=1e-4)
        assert list(mse.index) == ["Dev", "Hk", "Dev-std", "Hk-std"]


def test_shifted_predictions_are_of_their_member(models, tmp_path):
    splits, weights, files = models
    settings = {"kinds": ["large"], "copies": 2}
    given = {"settings": settings, "evoaug": None, "seed": 1}
    write_shift(tmp_path / "shift.h5", files["dataset"], **given)
    given = files | {"sequences": tmp_path / "shift.h5", "models": files["models"][1::2]}
    predicted = outputs(tmp_path, "shift.h5")
    predict_shift(MEMBERS, given, predicted, ARCHITECTURE)
    with h5py.File(tmp_path / "shift.h5") as file:
        x = file["large/X"][:]
    assert len(x) == 2 * len(splits["Test"].x)
    for own, path in zip(weights[1::2], predicted, strict=True):
        with h5py.File(path) as file:
            np.testing.assert_allclose(file["large"], answer(own, x), atol=1e-5)
