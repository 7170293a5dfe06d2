"""What students learn from: its layout, its links, its targets."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import write_small_dataset

from degu.dataset import read_info
from degu.dataset.distillation import (
    FILE_NAME,
    read_distillation,
    write_distillation,
    write_subset_sequences,
)
from degu.errors import InputError
from degu.heads import Heads
from degu.uncertainty import std_to_logvar

SIZES = {"Train": 60, "Val": 20, "Test": 25}
ROWS = np.array([0, 3, 4, 17, 40, 59])


class Study:
    """A results folder with a data set, and an ensemble's aggregates drawn at random."""

    def __init__(self, folder, **dataset):
        self.folder = folder
        self.dataset = folder / "dataset.h5"
        self.splits = write_small_dataset(self.dataset, **dataset)
        self.subset = folder / "subsets" / "downsample_0.1.h5"

    def aggregates(self, rows, seed=0):
        rng = np.random.default_rng(seed)
        sizes = {name: len(split) for name, split in self.splits.items()} | {"Train": len(rows)}
        return {
            "mean_train": rng.normal(size=(len(rows), 2)).astype(np.float32),
            "std": {name: rng.random((n, 2)).astype(np.float32) for name, n in sizes.items()},
        }

    def distill(self, rows=None, size=10, **changes):
        rows = np.arange(len(self.splits["Train"])) if rows is None else rows
        whole = len(rows) == len(self.splits["Train"])
        pool = self.folder / "standard" / ("downsample_1" if whole else "downsample_0.1")
        path = pool / "distillation" / f"n{size}" / FILE_NAME
        if not whole and not self.subset.exists():
            write_subset_sequences(self.subset, self.dataset, rows)
        arguments = {
            "dataset": self.dataset,
            "rows": rows,
            "subset_sequences": None if whole else self.subset,
            **self.aggregates(rows),
        }
        write_distillation(path, **{**arguments, **changes})
        return path


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path / "results" / "assay")


@pytest.mark.parametrize("rows", [None, ROWS], ids=["whole", "subset"])
def test_the_layout_as_plain_h5py_sees_it(study, rows):
    path = study.distill(rows)
    rows = np.arange(60) if rows is None else rows
    ensemble = study.aggregates(rows)
    assert path.name == "all_data_with_ensemble_metrics_hierarchical.h5"
    with h5py.File(path) as file:
        assert set(file) == {"Train", "Val", "Test"}
        for name, split in study.splits.items():
            group = file[name]
            assert set(group) == {"X", "y", "y_assay"}
            own = rows if name == "Train" else slice(None)
            np.testing.assert_array_equal(group["X"][:], split.x[own])
            assert group["X"].dtype == np.uint8
            assert group["y"].dtype == group["y_assay"].dtype == np.float32
            np.testing.assert_array_equal(group["y_assay"][:], split.y[own])
            # The mean to learn is the ensemble's; students are validated and tested on the assay.
            mean = ensemble["mean_train"] if name == "Train" else split.y
            np.testing.assert_array_equal(group["y"][:, :2], mean)
            np.testing.assert_array_equal(group["y"][:, 2:], ensemble["std"][name])
        assert json.loads(file.attrs["targets"]) == ["Dev", "Hk"]
        assert json.loads(file.attrs["heads"]) == {
            "targets": ["Dev", "Hk"],
            "kinds": ["mean", "std"],
        }
        assert file.attrs["dataset_sha256"] == read_info(study.dataset).sha256


def test_sequences_are_linked_and_not_copied(tmp_path):
    """Random bases hold two bits each, so no file that holds them is smaller than that."""
    length, n = 12_000, 600
    rows = np.arange(0, n, 2)
    study = Study(tmp_path, sizes=(n, 20, 20), length=length)
    bytes_of_subset = len(rows) * length * 2 / 8
    arms = [study.distill(rows, size) for size in range(2, 12)]
    whole = study.distill()
    with h5py.File(arms[0]) as file:
        assert isinstance(file["Train"].get("X", getlink=True), h5py.ExternalLink)
        assert file["Train/X"].file.filename.endswith("downsample_0.1.h5")
    assert whole.stat().st_size < bytes_of_subset / 10
    assert sum(path.stat().st_size for path in arms) < bytes_of_subset
    subsets = list(study.subset.parent.iterdir())
    assert subsets == [study.subset]
    assert study.subset.stat().st_size > bytes_of_subset


def test_the_copy_of_a_subset_says_what_it_holds(study):
    write_subset_sequences(study.subset, study.dataset, ROWS)
    with h5py.File(study.subset) as file:
        np.testing.assert_array_equal(file["X"][:], study.splits["Train"].x[ROWS])
        np.testing.assert_array_equal(file["index"][:], ROWS)
        assert file.attrs["dataset_sha256"] == read_info(study.dataset).sha256


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_a_results_folder_can_be_moved_as_a_whole(tmp_path, monkeypatch, relative):
    monkeypatch.chdir(tmp_path)
    study = Study(Path("results/assay") if relative else tmp_path / "results" / "assay")
    paths = [study.distill(), study.distill(ROWS)]
    inside = [path.relative_to(study.folder) for path in paths]
    shutil.move(tmp_path / "results", tmp_path / "archive" / "2024" / "results")
    monkeypatch.chdir("/")
    for path, rows in zip(inside, (np.arange(60), ROWS), strict=True):
        moved = tmp_path / "archive" / "2024" / "results" / "assay" / path
        x, _, _ = read_distillation(moved, "Train", "std")
        np.testing.assert_array_equal(x, study.splits["Train"].x[rows])
        with h5py.File(moved) as file:
            np.testing.assert_array_equal(file["Test/X"][:], study.splits["Test"].x)


def test_a_link_that_leads_nowhere_is_named(study):
    path = study.distill(ROWS)
    study.subset.write_bytes(study.subset.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"links to .*downsample_0.1.h5, .* or not whole"):
        read_distillation(path, "Train", "std")
    study.subset.unlink()
    with pytest.raises(InputError, match=r"links to .*downsample_0.1.h5, which is not there"):
        read_distillation(path, "Train", "std")
    read_distillation(path, "Val", "std")
    study.dataset.unlink()
    with pytest.raises(InputError, match=r"links to .*dataset.h5, .* run the workflow") as error:
        read_distillation(path, "Val", "std")
    assert str(path) in str(error.value)


def test_targets_of_both_kinds_of_student(study):
    aggregates = study.aggregates(np.arange(60))
    std = aggregates["std"]["Train"]
    std[0] = 0  # members that agree exactly
    path = study.distill(**aggregates)
    x, y, heads = read_distillation(path, "Train", "std")
    assert heads.columns == ("Dev", "Hk", "Dev-std", "Hk-std")
    np.testing.assert_array_equal(x, study.splits["Train"].x)
    np.testing.assert_array_equal(y, np.hstack([aggregates["mean_train"], std]))

    x, logvar, heads = read_distillation(path, "Train", "logvar")
    assert heads.columns == ("Dev", "Hk", "Dev-logvar", "Hk-logvar")
    assert logvar.dtype == np.float32
    np.testing.assert_array_equal(logvar[:, :2], aggregates["mean_train"])
    np.testing.assert_allclose(logvar[1:, 2:], 2 * np.log(std[1:]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logvar[0, 2:], np.log(1e-6), rtol=1e-6)
    with pytest.raises(InputError, match="variance"):
        read_distillation(path, "Train", "variance")
    with pytest.raises(InputError, match="made for another data set"):
        read_distillation(path, "Train", "std", "0" * 64)


@pytest.mark.parametrize("uncertainty", ["std", "logvar"])
def test_an_aleatoric_variance_lies_between_mean_and_std(study, uncertainty):
    aggregates = study.aggregates(np.arange(60))
    rng = np.random.default_rng(9)
    aleatoric = {
        name: rng.normal(size=std.shape).astype(np.float32)
        for name, std in aggregates["std"].items()
    }
    path = study.distill(**aggregates, aleatoric=aleatoric)
    with h5py.File(path) as file:
        stored = Heads.from_json(file.attrs["heads"])
    assert stored == Heads.student(("Dev", "Hk"), "std", aleatoric=True)
    for name, split in study.splits.items():
        _, y, heads = read_distillation(path, name, uncertainty)
        assert heads.kinds == ("mean", "aleatoric", uncertainty)
        mean = aggregates["mean_train"] if name == "Train" else split.y
        np.testing.assert_array_equal(y[:, heads.slice("mean")], mean)
        np.testing.assert_array_equal(y[:, heads.slice("aleatoric")], aleatoric[name])
        std = aggregates["std"][name]
        expected = std if uncertainty == "std" else std_to_logvar(std)
        np.testing.assert_array_equal(y[:, heads.slice(uncertainty)], expected)


def test_an_aleatoric_variance_of_another_shape_is_refused(study):
    aggregates = study.aggregates(np.arange(60))
    aleatoric = {**aggregates["std"], "Val": aggregates["std"]["Val"][:5]}
    with pytest.raises(InputError, match=r"Val has mean \(20, 2\), aleatoric \(5, 2\) and std"):
        study.distill(**aggregates, aleatoric=aleatoric)


def wrong_mean(aggregates):
    return {"mean_train": aggregates["mean_train"][:-1]}


def wrong_columns(aggregates):
    return {"std": aggregates["std"] | {"Val": aggregates["std"]["Val"][:, :1]}}


def wrong_split(aggregates):
    return {"std": aggregates["std"] | {"Test": aggregates["std"]["Val"]}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (wrong_mean, r"Train has mean \(59, 2\) and std \(60, 2\), but the assay has \(60, 2\)"),
        (wrong_columns, r"Val has mean \(20, 2\) and std \(20, 1\)"),
        (wrong_split, r"Test has mean \(25, 2\) and std \(20, 2\)"),
    ],
)
def test_aggregates_of_other_shapes_are_refused(study, change, words):
    with pytest.raises(InputError, match=words):
        study.distill(**change(study.aggregates(np.arange(60))))
    assert not list(study.folder.rglob("*hierarchical*"))


def test_a_subset_needs_its_own_sequences(study, tmp_path):
    with pytest.raises(InputError, match="needs a file with its sequences"):
        study.distill(ROWS, subset_sequences=None)
    # Of as many rows, so that no shape gives it away.
    write_subset_sequences(study.subset, study.dataset, np.append(ROWS[:-1], 58))
    with pytest.raises(InputError, match=r"downsample_0.1.h5 holds other sequences than this"):
        study.distill(ROWS)
    other = Study(tmp_path / "other", seed=1)
    write_subset_sequences(study.subset, other.dataset, ROWS)
    with pytest.raises(InputError, match="holds other sequences than this subset"):
        study.distill(ROWS)
    assert not list(study.folder.rglob("*hierarchical*"))
