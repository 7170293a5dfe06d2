"""What a member is trained and validated on, from the files of its study."""

import numpy as np
import pytest
from conftest import write_small_dataset

from degu.dataset import read_info
from degu.dataset.distillation import write_distillation, write_subset_sequences
from degu.heads import Heads
from degu.io.files import write_npy
from degu.jobs.lessons import lessons_of, truth_of
from degu.study.kinds import DYNAMIC_STUDENT, STUDENT, TEACHER
from degu.study.member import Member

ROWS = np.array([1, 4, 5, 30, 58])
ARM = {"augmentation": "standard", "proportion": 0.25, "size": 2}


@pytest.fixture
def study(tmp_path):
    """Splits, the ensemble's mean and std, and the files with them."""
    dataset = tmp_path / "dataset.h5"
    splits = write_small_dataset(dataset)
    sha256 = read_info(dataset).sha256
    rng = np.random.default_rng(3)
    kept = {name: len(split.y) for name, split in splits.items()} | {"Train": len(ROWS)}
    std = {name: rng.uniform(0.1, 2, (n, 2)).astype(np.float32) for name, n in kept.items()}
    mean = rng.normal(size=(len(ROWS), 2)).astype(np.float32)
    names = ("subset.npy", "sequences.h5", "distillation.h5", "std.npy")
    subset, sequences, distillation, std_test = (tmp_path / name for name in names)
    write_npy(ROWS, subset, proportion=0.25, dataset_sha256=sha256)
    write_subset_sequences(sequences, dataset, ROWS)
    write_distillation(
        distillation,
        dataset=dataset,
        rows=ROWS,
        mean_train=mean,
        std=std,
        subset_sequences=sequences,
        **ARM,
    )
    write_npy(std["Test"], std_test, content="std of Test", dataset_sha256=sha256, **ARM)
    files = {"dataset": dataset, "subset": subset, "distillation": distillation}
    return splits, mean, std, files | {"std_test": std_test}


def test_teachers_learn_their_subset_and_are_validated_on_val(study):
    splits, _, _, files = study
    lessons = lessons_of(Member(TEACHER, "standard", 0.25, 2), files)
    np.testing.assert_array_equal(lessons.train[0], splits["Train"].x[ROWS])
    np.testing.assert_array_equal(lessons.train[1], splits["Train"].y[ROWS])
    np.testing.assert_array_equal(lessons.validation[0], splits["Val"].x)
    np.testing.assert_array_equal(lessons.validation[1], splits["Val"].y)
    assert lessons.heads == Heads(("Dev", "Hk"))


@pytest.mark.parametrize("kind", [STUDENT, DYNAMIC_STUDENT], ids=lambda kind: kind.name)
@pytest.mark.parametrize("uncertainty", ["std", "logvar"])
def test_students_learn_their_ensemble_and_are_validated_on_val(study, kind, uncertainty):
    """The mean on Val is the assay's, as published."""
    splits, mean, std, files = study
    student = Member(kind, "standard", 0.25, 1, 2, uncertainty)
    lessons = lessons_of(student, files)
    spread = (lambda s: s) if uncertainty == "std" else (lambda s: np.log(np.square(s)))
    np.testing.assert_array_equal(lessons.train[0], splits["Train"].x[ROWS])
    expected = np.hstack([mean, spread(std["Train"])])
    np.testing.assert_allclose(lessons.train[1], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(lessons.validation[0], splits["Val"].x)
    expected = np.hstack([splits["Val"].y, spread(std["Val"])])
    np.testing.assert_allclose(lessons.validation[1], expected, rtol=1e-5, atol=1e-6)
    assert lessons.heads == Heads.student(("Dev", "Hk"), uncertainty)


def test_all_are_scored_on_test(study):
    """A student's uncertainty against the std, whatever it has learned."""
    splits, _, std, files = study
    teacher = Member(TEACHER, "standard", 0.25, 1)
    np.testing.assert_array_equal(truth_of(teacher, files), splits["Test"].y)
    student = Member(STUDENT, "standard", 0.25, 1, 2, "logvar")
    expected = np.hstack([splits["Test"].y, std["Test"]])
    np.testing.assert_array_equal(truth_of(student, files), expected)
