"""Attribution through the real workflow: its files, its numbers from them, what it refuses."""

import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score
from snakemake_runs import run_snakemake
from tiny_study import CONFIG, changed, write_architecture

from degu.attribution import saliency
from degu.models.files import load_model
from degu.training.batches import predict

METHODS = ["saliency", "shap_dinuc_shuffle"]
SHAP = "shap_dinuc_shuffle"


@pytest.fixture(scope="module")
def pool(results):
    return results / "standard/downsample_1"


@pytest.fixture(scope="module")
def summary(results):
    return pd.read_csv(results / "attribution_summary.csv", dtype={"uncertainty": str})


def test_the_files_are_those_of_the_second_document(pool):
    folder = pool / "attribution"
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        ["teachers", "n2-std", "n4-std", "n2.h5", "n4.h5", "n2_summary.csv", "n4_summary.csv"]
    )

    def maps(ix, kinds):
        return {
            f"{ix}_top12_{target}-{kind}_{method}.npy"
            for target in ("Dev", "Hk")
            for kind in kinds
            for method in METHODS
        }

    def shared(members):
        files = {f"{ix}_{method}.h5" for ix in members for method in METHODS}
        for target in ("Dev", "Hk"):
            for method in METHODS:
                files.add(f"top12_{target}_{method}_stdev.npy")
                files |= {f"{ix}_top12_{target}_{method}_euclidean_dist.npy" for ix in members}
        return files

    teachers = {p.name for p in (folder / "teachers").iterdir()}
    expected = shared((1, 2, 3, 4))
    for ix in (1, 2, 3, 4, "avg"):
        expected |= maps(ix, ["mean"])
    assert teachers == expected
    students = {p.name for p in (folder / "n4-std").iterdir()}
    assert students == shared((1,)) | maps(1, ["mean", "std"]) | maps("avg", ["mean", "std"])


def test_maps_are_of_the_most_active_sequences(results, pool):
    """From the data set and the model's file, with nothing of what chose and named them."""
    with h5py.File(results / "dataset.h5") as file:
        x, y, ids = file["Test/X"][:], file["Test/y"][:], file["Test/id"].asstr()[:]
    top = np.argsort(-y[:, 1], kind="stable")[:12]
    model, _ = load_model(pool / "teachers/3_Small.h5")
    maps = np.load(pool / "attribution/teachers/3_top12_Hk-mean_saliency.npy")
    np.testing.assert_allclose(maps, saliency(model, x[top], head=1), rtol=1e-4, atol=1e-6)
    with h5py.File(pool / "attribution/n4.h5") as file:
        assert list(file["Hk/id"].asstr()[:12]) == list(ids[top])
        np.testing.assert_array_equal(file["Hk/rank"][:12], np.arange(1, 13))
        # Two bins of five, of which some are among the most active.
        assert sorted(np.bincount(file["Hk/bin"][:])[1:]) == [5, 5]
        # By name to a map: target, method, group, member, head.
        linked = file["Hk/saliency/teachers/models/3/mean/maps"][:12]
    np.testing.assert_array_equal(linked, maps)


def test_contributions_add_up_and_say_how_well(results, pool):
    """sum of a map = prediction − mean prediction on its shuffles + residual."""
    model, _ = load_model(pool / "students/n4/std/1_Small.h5")
    with h5py.File(pool / f"attribution/n4-std/1_{SHAP}.h5") as file:
        group = file["Dev/std"]
        assert sorted(group) == ["maps", "prediction", "residual"]
        sums = group["maps"][:].sum(axis=(1, 2), dtype=np.float64)
        prediction, residual = group["prediction"][:], group["residual"][:]
        assert file.attrs["method"] == SHAP
        assert file.attrs["degu_role"] == '"student"'
    with h5py.File(results / "attribution_sequences.h5") as file:
        x = file["targets/Dev/x"][:]
    np.testing.assert_allclose(prediction, predict(model, x)[:, 2], rtol=1e-4, atol=1e-6)
    assert np.abs(residual).max() < 1e-5 * np.abs(sums).max() + 1e-6
    # What is left is the mean prediction on shuffles, which lies among predictions.
    expected = prediction - sums
    assert prediction.min() - 1 < expected.mean() < prediction.max() + 1


def test_students_are_compared_with_the_teachers_they_learned_from(pool, summary):
    """The ensemble of two against two teachers, that of four against four."""
    maps = {
        ix: np.load(pool / f"attribution/teachers/{ix}_top12_Dev-mean_{SHAP}.npy").astype(float)
        for ix in (1, 2, 3, 4)
    }
    for size in (2, 4):
        average = np.mean([maps[ix] for ix in range(1, size + 1)], axis=0)
        student = np.load(pool / f"attribution/n{size}-std/1_top12_Dev-mean_{SHAP}.npy")
        rmse = np.sqrt(np.mean((student - average) ** 2, axis=(1, 2)))
        stored = np.load(pool / f"attribution/n{size}-std/1_top12_Dev_{SHAP}_euclidean_dist.npy")
        np.testing.assert_allclose(stored, rmse, rtol=1e-4)
        row = summary.query(
            "size == @size and role == 'student' and method == @SHAP and target == 'Dev' and "
            "selection == 'top12' and metric == 'RMSE_to_ensemble' and comparison.isna()"
        )
        assert row["value"].item() == pytest.approx(rmse.mean(), rel=1e-4)
    spread = np.load(pool / f"attribution/teachers/top12_Dev_{SHAP}_stdev.npy")
    variance = np.var([*maps.values()], axis=0).sum(axis=(1, 2))
    np.testing.assert_allclose(spread, np.sqrt(variance), rtol=1e-4)


def test_maps_are_scored_against_the_planted_motifs(pool, summary):
    """Teacher 2, by scikit-learn, from its file alone."""
    maps = np.load(pool / f"attribution/teachers/2_top12_Hk-mean_{SHAP}.npy")
    with h5py.File(pool / "attribution/n2.h5") as file:
        mask = file["Hk/motif_mask"][:12]
    size = np.abs(maps.sum(axis=2, dtype=np.float64))
    there = [i for i in range(12) if 0 < mask[i].sum() < mask.shape[1]]
    assert there
    for metric, score in (("AUROC", roc_auc_score), ("AUPRC", average_precision_score)):
        expected = np.mean([score(mask[i], size[i]) for i in there])
        row = summary.query(
            "size == 2 and role == 'teacher' and member == 2 and method == @SHAP and "
            "target == 'Hk' and selection == 'top12' and metric == @metric"
        )
        assert row["value"].item() == pytest.approx(expected, rel=1e-3), metric


def test_the_summary_holds_every_number_once(summary):
    assert list(summary.columns) == [
        *("role", "augmentation", "proportion", "size", "member", "uncertainty", "method"),
        *("selection", "target", "head", "ddof", "metric", "comparison", "statistic", "value"),
    ]
    assert not summary.duplicated(summary.columns[:-1].tolist()).any()
    assert np.isfinite(summary["value"]).all()
    assert set(summary["selection"]) == {"top12", "bin1", "bin2"}
    assert set(summary["method"].dropna()) == set(METHODS)
    assert set(summary["size"].dropna()) == {2, 4}
    residuals = summary[summary["metric"] == "Residual"]
    assert set(residuals["method"]) == {SHAP}
    assert residuals["value"].max() < 1e-4


def test_figures_are_there_for_each_arm(results):
    figures = results / "figures"
    arms = {"standard_1_n2", "standard_1_n4"}
    for name in ("attribution", "attribution_bins", "attribution_scatter", "attribution_truth"):
        assert {path.stem for path in (figures / name).glob("*.png")} == arms
    logos = {path.stem for path in (figures / "attribution_logos").glob("*.pdf")}
    assert logos == {f"{arm}_{t}_{m}" for arm in arms for t in ("Dev", "Hk") for m in METHODS}


def refused(copy, size):
    """The sentence that ends the log of the comparison of an ensemble's maps."""
    table = f"results/tiny/standard/downsample_1/attribution/n{size}_summary.csv"
    done = run_snakemake(copy, CONFIG, "--", table, check=False)
    assert done.returncode != 0
    log = copy / f"results/tiny/logs/evaluate_attribution/standard_1_n{size}.log"
    return log.read_text().splitlines()[-1]


def test_more_sequences_than_there_are_is_a_sentence(tmp_path):
    """Of a data set that Snakemake cannot know the size of."""
    write_architecture(tmp_path)
    rows = ["id,sequence,split,a"]
    rng = np.random.default_rng(1)
    for i in range(60):
        sequence = "".join(rng.choice(list("ACGT"), 30))
        rows.append(f"s{i},{sequence},{('train', 'val', 'test')[i % 3]},{expit(i):.3f}{i}")
    (tmp_path / "assay.csv").write_text("\n".join(rows) + "\n")
    config = changed(
        dataset="assay",
        data={"source": "table", "path": "assay.csv", "split_column": "split"},
        targets=["a"],
        attribution={"methods": ["saliency"], "top_n": 21, "bins": 0},
    )
    # A target must not stand right after the config, which would take it for another one.
    wanted = ("--keep-going", "results/assay/attribution_sequences.h5")
    done = run_snakemake(tmp_path, config, *wanted, check=False)
    assert done.returncode != 0
    log = (tmp_path / "results/assay/logs/attribution_sequences.log").read_text()
    assert log.splitlines()[-1].startswith(
        "error: attribution.top_n: 21 is more than the 20 test sequences"
    )
    assert not (tmp_path / "results/assay/attribution_sequences.h5").exists()


def test_maps_of_another_model_are_refused_by_name(copy):
    teachers = copy / "results/tiny/standard/downsample_1/attribution/teachers"
    shutil.copy(teachers / "1_saliency.h5", teachers / "2_saliency.h5")
    error = refused(copy, 2)
    assert error.startswith("error: ")
    assert "teachers/2_saliency.h5 has member 1, where 2 is needed" in error


def test_a_truncated_file_of_maps_is_refused_by_name(copy):
    path = copy / "results/tiny/standard/downsample_1/attribution/n4-std/1_saliency.h5"
    path.write_bytes(path.read_bytes()[:3000])
    error = refused(copy, 4)
    assert "n4-std/1_saliency.h5 is not a readable HDF5 file" in error
