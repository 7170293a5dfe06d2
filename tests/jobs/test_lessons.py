"""What a member is trained, validated and scored on: the splits that it should be."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import write_small_dataset

from degu.dataset import Split, read_info, write_dataset
from degu.dataset.copies import Copier, write_labels
from degu.dataset.distillation import write_distillation, write_subset_sequences
from degu.errors import InputError
from degu.heads import Heads, Measured
from degu.io.card import Card
from degu.io.files import write_npy
from degu.io.predictions import write_predictions
from degu.jobs.lessons import lessons_of, truth_of
from degu.jobs.score import score_members
from degu.study.kinds import STUDENT, TEACHER, kind_of
from degu.study.member import Member

N_TRAIN, N_VAL, N_TEST = 40, 14, 9


@pytest.fixture
def splits(tmp_path):
    return write_small_dataset(tmp_path / "dataset.h5", sizes=(N_TRAIN, N_VAL, N_TEST))


def ensemble_files(tmp_path, aleatoric=False):
    """The files of an ensemble of two on half of the training set, and its numbers."""
    rng = np.random.default_rng(0)
    dataset = tmp_path / "dataset.h5"
    rows = np.sort(rng.choice(N_TRAIN, N_TRAIN // 2, replace=False))
    sha256 = read_info(dataset).sha256
    write_npy(
        rows, tmp_path / "subset.npy", content="subset", proportion=0.5, dataset_sha256=sha256
    )
    mean = rng.normal(size=(len(rows), 2)).astype(np.float32)
    std = {
        name: rng.random((n, 2)).astype(np.float32)
        for name, n in (("Train", len(rows)), ("Val", N_VAL), ("Test", N_TEST))
    }
    arm = {"augmentation": "standard", "proportion": 0.5, "size": 2}

    write_subset_sequences(tmp_path / "half.h5", dataset, rows)
    write_distillation(
        tmp_path / "distillation.h5",
        dataset=dataset,
        rows=rows,
        mean_train=mean,
        std=std,
        aleatoric={name: -values for name, values in std.items()} if aleatoric else None,
        subset_sequences=tmp_path / "half.h5",
        **arm,
    )
    label = {**arm, "dataset_sha256": sha256}
    write_npy(std["Test"], tmp_path / "std_test.npy", content="std of Test", **label)
    paths = {
        "dataset": dataset,
        "subset": tmp_path / "subset.npy",
        "distillation": tmp_path / "distillation.h5",
        "std_test": tmp_path / "std_test.npy",
    }
    return paths, rows, mean, std


@pytest.fixture
def files(tmp_path, splits):
    return ensemble_files(tmp_path)


def test_a_teacher_learns_its_subset_and_stops_by_the_validation_set(files, splits):
    paths, rows, _, _ = files
    lessons = lessons_of(Member(TEACHER, "standard", 0.5, 1), paths)
    np.testing.assert_array_equal(lessons.train[0], splits["Train"].x[rows])
    np.testing.assert_array_equal(lessons.train[1], splits["Train"].y[rows])
    np.testing.assert_array_equal(lessons.validation[0], splits["Val"].x)
    np.testing.assert_array_equal(lessons.validation[1], splits["Val"].y)
    assert lessons.heads.columns == ("Dev", "Hk")


@pytest.mark.parametrize("uncertainty", ["std", "logvar"])
def test_a_student_learns_its_ensemble_and_stops_by_the_validation_set(files, splits, uncertainty):
    paths, rows, mean, std = files
    member = Member(STUDENT, "standard", 0.5, 1, 2, uncertainty)
    lessons = lessons_of(member, paths)
    spread = {name: s if uncertainty == "std" else np.log(s**2) for name, s in std.items()}
    np.testing.assert_array_equal(lessons.train[0], splits["Train"].x[rows])
    np.testing.assert_allclose(lessons.train[1], np.hstack([mean, spread["Train"]]), rtol=1e-5)
    np.testing.assert_array_equal(lessons.validation[0], splits["Val"].x)
    expected = np.hstack([splits["Val"].y, spread["Val"]])
    np.testing.assert_allclose(lessons.validation[1], expected, rtol=1e-5)
    assert lessons.heads.kinds == ("mean", uncertainty)


def test_what_members_are_scored_on(files, splits):
    paths, _, _, std = files
    teacher, kinds = truth_of(Member(TEACHER, "standard", 0.5, 1), paths)
    assert kinds == ("mean",)
    np.testing.assert_array_equal(teacher, splits["Test"].y)
    # Stds as such, whatever the student predicts.
    student, kinds = truth_of(Member(STUDENT, "standard", 0.5, 1, 2, "logvar"), paths)
    assert kinds == ("mean", "logvar")
    np.testing.assert_array_equal(student, np.hstack([splits["Test"].y, std["Test"]]))


def test_heads_without_a_truth_are_not_scored(files, splits, tmp_path):
    """Of a heteroscedastic model, the activities alone."""
    paths, *_ = files
    kind = replace(TEACHER, name="heteroscedastic", heads=("mean", "aleatoric"))
    member = Member(kind, "standard", 0.5, 1)
    predictions = {"Test": np.hstack([splits["Test"].y + 0.5, np.ones((N_TEST, 2))])}
    card = Card(
        **member.card_fields,
        heads=member.heads(("Dev", "Hk")),
        architecture="own",
        seed=1,
        dataset_sha256=read_info(paths["dataset"]).sha256,
    )
    write_predictions(tmp_path / "predictions.h5", predictions, card)
    given = {**paths, "predictions": [tmp_path / "predictions.h5"]}
    score_members([member], given, [str(tmp_path / "table.csv")])
    table = pd.read_csv(tmp_path / "table.csv").set_index("metric")
    assert list(table.columns) == ["Dev", "Hk"]
    np.testing.assert_allclose(table.loc["MSE"], 0.25, rtol=1e-5)


def test_lessons_of_another_ensemble_are_refused(files):
    paths, *_ = files
    with pytest.raises(InputError, match="size 2, where 3 is needed"):
        lessons_of(Member(STUDENT, "standard", 0.5, 1, 3, "std"), paths)
    with pytest.raises(InputError, match=r"subset\.npy"):
        lessons_of(Member(TEACHER, "standard", 0.25, 1), paths)


def test_a_student_of_the_mean_learns_the_mean_alone(files, splits, tmp_path):
    paths, rows, mean, _ = files
    member = Member(kind_of("mean_student"), "standard", 0.5, 1, 2)
    copier = Copier(1, copies=2)
    y = np.random.default_rng(3).random((2, len(rows), 2, 2)).astype(np.float32)
    write_labels(
        tmp_path / "copies.h5",
        *y,
        heads=Heads.student(("Dev", "Hk"), "std"),
        copier=copier,
        dataset_sha256=read_info(paths["dataset"]).sha256,
        **member.arm,
    )
    lessons = lessons_of(member, {**paths, "copies": tmp_path / "copies.h5"}, copier.settings)
    np.testing.assert_allclose(lessons.train[1], mean, rtol=1e-6)
    np.testing.assert_array_equal(lessons.validation[1], splits["Val"].y)
    np.testing.assert_allclose(lessons.copies.y, np.moveaxis(y[0], 1, 0), atol=1e-3)
    assert lessons.heads == Heads(("Dev", "Hk"))
    truth, kinds = truth_of(member, paths)
    assert kinds == ("mean",)
    np.testing.assert_array_equal(truth, splits["Test"].y)


@pytest.mark.parametrize("uncertainty", ["std", "logvar", None])
def test_who_learns_from_an_ensemble_with_aleatoric_heads(splits, tmp_path, uncertainty):
    """A student all that its ensemble says; a student of the mean, the mean alone."""
    paths, _, mean, std = ensemble_files(tmp_path, aleatoric=True)
    kind = STUDENT if uncertainty else kind_of("mean_student")
    learned = "replicates" if uncertainty else None
    member = Member(kind, "standard", 0.5, 1, 2, uncertainty, aleatoric=learned)
    copier = Copier(1, copies=2)
    y = np.random.default_rng(3).random((3, len(mean), 2, 2)).astype(np.float32)
    write_labels(
        tmp_path / "copies.h5",
        *y,
        heads=Heads.student(("Dev", "Hk"), "std", aleatoric=True),
        copier=copier,
        dataset_sha256=read_info(paths["dataset"]).sha256,
        **member.arm,
    )
    lessons = lessons_of(member, {**paths, "copies": tmp_path / "copies.h5"}, copier.settings)
    heads = lessons.heads
    assert heads == lessons.labels == member.heads(("Dev", "Hk"))
    train, validation, copies = lessons.train[1], lessons.validation[1], lessons.copies.y
    np.testing.assert_array_equal(train[:, heads.slice("mean")], mean)
    np.testing.assert_array_equal(validation[:, heads.slice("mean")], splits["Val"].y)
    of_copies = {"mean": y[0], "std": y[1], "aleatoric": y[2]}
    if uncertainty is None:
        assert heads.kinds == ("mean",)
        np.testing.assert_allclose(copies, np.moveaxis(y[0], 1, 0), atol=1e-3)
        return
    assert heads.kinds == ("mean", "aleatoric", uncertainty)
    np.testing.assert_array_equal(train[:, heads.slice("aleatoric")], -std["Train"])
    np.testing.assert_array_equal(validation[:, heads.slice("aleatoric")], -std["Val"])
    expected = std["Train"] if uncertainty == "std" else np.log(std["Train"] ** 2)
    np.testing.assert_allclose(train[:, heads.slice(uncertainty)], expected, rtol=1e-5)
    for kind in ("mean", "aleatoric"):
        expected = np.moveaxis(of_copies[kind], 1, 0)
        np.testing.assert_allclose(copies[..., heads.slice(kind)], expected, atol=1e-3)
    truth, kinds = truth_of(member, paths)
    assert kinds == ("mean", uncertainty)
    assert truth.shape == (N_TEST, 4)


def replicated(tmp_path, splits, **changes):
    """Files of a data set with two and three replicates, and none of row 0 and of Hk."""
    rng = np.random.default_rng(4)
    made = {}
    for name, split in splits.items():
        y_std = rng.random(split.y.shape).astype(np.float32)
        counts = rng.integers(2, 4, split.y.shape)
        counts[0], y_std[0] = 1, np.nan
        counts[:, 1], y_std[:, 1] = 0, np.nan
        own = {"y_std": y_std, "y_replicates": counts, **changes}
        made[name] = Split(split.x, split.y, **own)
    path = tmp_path / "replicated.h5"
    write_dataset(path, made, targets=("Dev", "Hk"), source="test")
    rows = np.arange(0, N_TRAIN, 2)
    sha256 = read_info(path).sha256
    write_npy(rows, tmp_path / "own.npy", proportion=0.5, dataset_sha256=sha256)
    return {"dataset": path, "subset": tmp_path / "own.npy"}, rows, made


def test_a_teacher_gets_the_variance_of_the_mean_of_the_replicates(tmp_path, splits, capsys):
    paths, rows, made = replicated(tmp_path, splits)
    lessons = lessons_of(Member(TEACHER, "standard", 0.5, 1, aleatoric="replicates"), paths)
    labels = lessons.labels
    assert labels == Measured(("Dev", "Hk"), Measured.known)
    assert lessons.heads == Heads(("Dev", "Hk"), ("mean", "aleatoric"))
    for (_, y), name, own in ((lessons.train, "Train", rows), (lessons.validation, "Val", ...)):
        split = made[name]
        np.testing.assert_array_equal(y[:, labels.slice("mean")], split.y[own])
        variance = split.y_std[own, 0] ** 2 / split.y_replicates[own, 0]
        np.testing.assert_allclose(y[:, labels.column("Dev", "variance")], variance, rtol=1e-6)
        freedom = y[:, labels.column("Dev", "freedom")]
        np.testing.assert_array_equal(freedom[1:], split.y_replicates[own, 0][1:] - 1)
        assert freedom[0] == 0
        assert np.isnan(y[0, labels.column("Dev", "variance")])
        assert np.isnan(y[:, labels.column("Hk", "variance")]).all()
        assert (y[:, labels.column("Hk", "freedom")] == 0).all()
    assert lessons.loss == {"unreplicated": ["Hk"]}
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no training sequence has two replicates of Hk: " in said


def test_a_teacher_that_learns_from_errors_needs_no_replicates(files, splits):
    paths, rows, _, _ = files
    lessons = lessons_of(Member(TEACHER, "standard", 0.5, 1, aleatoric="learned"), paths)
    np.testing.assert_array_equal(lessons.train[1], splits["Train"].y[rows])
    assert lessons.heads.kinds == ("mean", "aleatoric")
    assert lessons.labels == Heads(("Dev", "Hk"))
    assert lessons.loss == {}


def test_no_replicates_are_no_lesson(files, splits, tmp_path):
    member = Member(TEACHER, "standard", 0.5, 1, aleatoric="replicates")
    with pytest.raises(InputError, match=r"^aleatoric: no training .*`data\.replicates`.* learned"):
        lessons_of(member, files[0])
    with pytest.raises(InputError, match=r"^aleatoric: no training sequence of"):
        lessons_of(member, replicated(tmp_path, splits, y_std=None)[0])
    with pytest.raises(InputError, match=r"^aleatoric: .* not how many .* \(y_replicates\)"):
        lessons_of(member, replicated(tmp_path, splits, y_replicates=None)[0])
