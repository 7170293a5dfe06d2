"""What a member is trained, validated and scored on: the splits that it should be."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import write_small_dataset

from degu.dataset import read_info
from degu.dataset.copies import Copier, write_labels
from degu.dataset.distillation import write_distillation, write_subset_sequences
from degu.errors import InputError
from degu.heads import Heads
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


@pytest.fixture
def files(tmp_path, splits):
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
