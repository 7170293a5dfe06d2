"""Jobs about ensembles: labels of copies, and what uncertainties say beyond the activity."""

import keras
import numpy as np
import pytest
from conftest import write_small_dataset

from degu.dataset import read_info
from degu.dataset.copies import Copier, read_labels
from degu.errors import InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.files import read_npy, write_npy
from degu.io.predictions import write_predictions
from degu.jobs.ensemble import aggregate, fidelity_rows, label_copies
from degu.jobs.lessons import lessons_of
from degu.jobs.predict import predict_copies
from degu.models.files import save_model
from degu.sequences import base_codes, from_codes
from degu.study.kinds import STUDENT, TEACHER
from degu.study.member import Member
from degu.uncertainty import std_of_mean, std_to_logvar

ARM = {"augmentation": "standard", "proportion": 0.5, "size": 3}
N, N_TEST = 20, 40
COPIES = Copier(5, 2).settings


@pytest.fixture
def study(tmp_path):
    """Three teachers of half of a data set, their weights, and the files of their study."""
    splits = write_small_dataset(tmp_path / "dataset.h5", sizes=(2 * N, 9, N_TEST), length=30)
    sha256 = read_info(tmp_path / "dataset.h5").sha256
    rows = np.arange(0, 2 * N, 2)
    write_npy(rows, tmp_path / "subset.npy", proportion=0.5, dataset_sha256=sha256)
    models, said = [], []
    for ix in (1, 2, 3):
        member = Member(TEACHER, "standard", 0.5, ix)
        inputs = keras.Input((30, 4))
        model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))
        card = Card(
            **member.card_fields,
            heads=Heads(("Dev", "Hk")),
            architecture="linear:build",
            seed=1,
            dataset_sha256=sha256,
        )
        models.append(tmp_path / f"{ix}_Linear.h5")
        save_model(model, models[-1], card)
        said.append(model.get_weights())
    files = {"dataset": tmp_path / "dataset.h5", "subset": tmp_path / "subset.npy"}
    return splits["Train"].x[rows], said, files, models, sha256


def labels_of(study, folder):
    _, _, files, models, _ = study
    paths = []
    for ix, model in enumerate(models, start=1):
        paths.append(folder / f"{ix}_copies.h5")
        member = Member(TEACHER, "standard", 0.5, ix)
        predict_copies(member, {**files, "model": model}, paths[-1], "linear:build", COPIES)
    label_copies(ARM, {**files, "predictions": paths}, folder / "copies.h5", COPIES)
    return folder / "copies.h5"


def test_copies_are_labelled_by_what_each_teacher_says_of_them(study, tmp_path):
    x, said, _, _, sha256 = study
    y, heads = read_labels(
        labels_of(study, tmp_path), copier=Copier.of(COPIES), dataset_sha256=sha256, **ARM
    )
    assert y.shape == (N, 2, 4)
    assert heads == Heads.student(("Dev", "Hk"), "std")
    for number in (1, 2):
        copy = from_codes(Copier.of(COPIES).copy(x, number)).reshape(N, -1).astype(float)
        answers = np.stack([copy @ kernel + bias for kernel, bias in said])
        expected = np.concatenate([answers.mean(0), answers.std(0)], axis=1)
        np.testing.assert_allclose(y[:, number - 1], expected, atol=1e-3)


@pytest.mark.parametrize("uncertainty", ["std", "logvar"])
def test_a_student_gets_the_copies_with_their_labels(study, tmp_path, uncertainty, monkeypatch):
    x, _, files, _, _ = study
    path = labels_of(study, tmp_path)
    lesson = (x, np.zeros((N, 4), np.float32), Heads.student(("Dev", "Hk"), uncertainty))

    class Lesson:
        pass

    given = Lesson()
    given.x, given.y, given.heads = lesson
    monkeypatch.setattr("degu.jobs.lessons.read_lessons", lambda *args, **arm: (given, given))
    member = Member(STUDENT, "standard", 0.5, 1, 3, uncertainty)
    files = {**files, "distillation": "", "copies": path}
    assert lessons_of(member, files).copies is None
    copies = lessons_of(member, files, COPIES).copies
    y, _ = read_labels(path)
    stds = y[..., 2:] if uncertainty == "std" else std_to_logvar(y[..., 2:])
    for k in (0, 1):
        np.testing.assert_array_equal(copies.codes[k], Copier.of(COPIES).copy(x, k + 1))
        np.testing.assert_array_equal(copies.y[k][:, :2], y[:, k, :2])
        np.testing.assert_array_equal(copies.y[k][:, 2:], stds[:, k])
    assert not np.array_equal(copies.codes[0], base_codes(x))
    with pytest.raises(InputError, match="another copies"):
        lessons_of(member, files, {**COPIES, "seed": 6})


def test_fidelity_has_its_references(study, tmp_path):
    _, _, files, _, sha256 = study
    rng = np.random.default_rng(1)
    label = {**ARM, "dataset_sha256": sha256}
    test = rng.normal(size=(3, N_TEST, 2)).astype(np.float32)
    mean, std = test.mean(0), test.std(0)
    card = {"architecture": "linear:build", "seed": 1, "dataset_sha256": sha256}
    teachers = []
    for ix in (1, 2, 3):
        teachers.append(tmp_path / f"{ix}_predictions.h5")
        own = Card(
            **Member(TEACHER, "standard", 0.5, ix).card_fields, heads=Heads(("Dev", "Hk")), **card
        )
        write_predictions(teachers[-1], {"Test": test[ix - 1]}, own)
    # A student that knows nothing but the activity, and one that knows the std.
    students, identities = [], []
    for ix, guess in ((1, 2 * mean + 1), (2, std)):
        member = Member(STUDENT, "standard", 0.5, ix, 3, "logvar")
        heads = Heads.student(("Dev", "Hk"), "logvar")
        students.append(tmp_path / f"{ix}_student.h5")
        values = np.hstack([mean, 2 * np.log(np.abs(guess) + 1e-9)])
        write_predictions(
            students[-1], {"Test": values}, Card(**member.card_fields, heads=heads, **card)
        )
        identities.append(member.identity)
    known = rng.normal(size=(N, 2)).astype(np.float32), rng.random((N, 2)).astype(np.float32)
    for name, content, values in (
        ("mean_train", "mean of Train", known[0]),
        ("std_train", "std of Train", known[1]),
        ("std_test", "std of Test", std),
    ):
        write_npy(values, tmp_path / f"{name}.npy", content=content, **label)
    files = {**files, "teachers": teachers, "students": students} | {
        name: tmp_path / f"{name}.npy" for name in ("mean_train", "std_train", "std_test")
    }
    rows = fidelity_rows(ARM, files, identities)
    guess = std_of_mean(*known, mean)
    of_guess = rows[(rows["role"] == "std_of_mean") & (rows["metric"] == "Pearson")]
    expected = [np.corrcoef(std[:, t], guess[:, t])[0, 1] for t in (0, 1)]
    np.testing.assert_allclose(of_guess["value"], expected, rtol=1e-6)
    partial = rows[rows["metric"] == "Fidelity_partial"].set_index(["member", "target"])["value"]
    np.testing.assert_allclose(partial[2], 1, rtol=1e-4)
    assert set(rows["head"]) == {"std"}
    assert set(rows["size"]) == {3}
    assert rows[rows["role"] == "student"]["uncertainty"].eq("logvar").all()


@pytest.mark.parametrize("aleatoric", [False, True])
def test_an_ensemble_is_the_mean_the_spread_and_the_mean_variance_of_its_members(
    study, tmp_path, aleatoric
):
    _, _, files, _, sha256 = study
    rng = np.random.default_rng(2)
    heads = Heads(("Dev", "Hk"), ("mean", "aleatoric") if aleatoric else ("mean",))
    sizes = {"Train": N, "Val": 9, "Test": N_TEST, "Copies": N}
    said = {name: rng.normal(size=(3, n, len(heads))) for name, n in sizes.items()}
    said["Copies"] = rng.normal(size=(3, N, 2, len(heads)))
    paths = {name: [tmp_path / f"{name}_{ix}.h5" for ix in (1, 2, 3)] for name in ("own", "copies")}
    for ix in (1, 2, 3):
        card = Card(
            **Member(TEACHER, "standard", 0.5, ix).card_fields,
            heads=heads,
            architecture="linear:build",
            seed=1,
            dataset_sha256=sha256,
        )
        own = {name: values[ix - 1] for name, values in said.items()}
        copies = {"Copies": own.pop("Copies")}
        write_predictions(paths["own"][ix - 1], own, card)
        write_predictions(paths["copies"][ix - 1], copies, card)
    names = [f"{q}_{s}" for q in ("std", "aleatoric") for s in ("train", "val", "test")]
    output = {name: tmp_path / f"{name}.npy" for name in ("mean_train", *names)}
    aggregate(ARM, {**files, "predictions": paths["own"]}, output)
    mean = read_npy(output["mean_train"], content="mean of Train")
    np.testing.assert_allclose(mean, said["Train"][..., :2].mean(0), rtol=1e-4, atol=1e-6)
    for name in ("Train", "Val", "Test"):
        std = read_npy(output[f"std_{name.lower()}"], content=f"std of {name}", **ARM)
        np.testing.assert_allclose(std, said[name][..., :2].std(0), rtol=1e-4, atol=1e-6)
        path = output[f"aleatoric_{name.lower()}"]
        assert path.exists() == aleatoric
        if aleatoric:
            expected = np.log(np.exp(said[name][..., 2:]).mean(0))
            got = read_npy(path, content=f"aleatoric of {name}", **ARM)
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)

    labels = tmp_path / "labels.h5"
    label_copies(ARM, {**files, "predictions": paths["copies"]}, labels, COPIES)
    y, read = read_labels(labels, uncertainty="logvar", **ARM)
    assert read == Heads.student(("Dev", "Hk"), "logvar", aleatoric)
    means = said["Copies"][..., :2]
    np.testing.assert_allclose(y[..., read.slice("mean")], means.mean(0), atol=1e-3)
    expected = 2 * np.log(means.std(0))
    np.testing.assert_allclose(y[..., read.slice("logvar")], expected, atol=2e-2)
    if aleatoric:
        expected = np.log(np.exp(said["Copies"][..., 2:]).mean(0))
        np.testing.assert_allclose(y[..., read.slice("aleatoric")], expected, atol=1e-3)
