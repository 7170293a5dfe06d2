"""A reduced study of real STARR-seq, through Snakemake, with the published architecture."""

import warnings

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
import shap
from conftest import shared_file
from snakemake_runs import run_snakemake

from degu.training.batches import predict

pytestmark = pytest.mark.long

SIZES = {"train": 3000, "val": 600, "test": 1000}
TARGETS = ["tobacco", "maize"]
CONFIG = {
    "dataset": "terminators",
    "data": {
        "source": "table",
        "path": "reduced.tsv",
        "id_column": "sequence_id",
        "split_column": "split",
    },
    "targets": TARGETS,
    "compute_threads": 1,
    "arms": [
        {"ensemble_sizes": [2, 3]},
        {"proportions": [0.5], "ensemble_sizes": [2]},
        {"augmentations": ["evoaug"], "ensemble_sizes": [2]},
    ],
    "students": {"replicates": 1, "uncertainty": ["std", "logvar"]},
    # So few sequences make few batches, and batch norm needs some hundreds of them.
    "training": {"epochs": 5, "batch_size": 32},
    "student_training": {"epochs": 8, "batch_size": 32},
    "finetuning": {"epochs": 2, "batch_size": 32},
    "student_finetuning": {"epochs": 2, "batch_size": 32},
    "dynamic_augmentation": {
        "modes": ["mutagenesis"],
        "uncertainty": "logvar",
        "arms": [{"ensemble_sizes": [3]}, {"proportions": [0.5]}],
    },
    "dynamic_finetuning": {"epochs": 6, "batch_size": 32},
    # The tiny study has them.
    "shift": {"kinds": []},
    "attribution": {
        "methods": ["shap"],
        "top_n": 50,
        "bins": 0,
        "references": 20,
        "arms": [{"ensemble_sizes": [3]}],
    },
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    table = pd.read_csv(shared_file("data/plant_terminators.tsv.gz"), sep="\t")
    parts = [table[table["split"] == s].sample(n, random_state=1) for s, n in SIZES.items()]
    folder = tmp_path_factory.mktemp("terminators")
    pd.concat(parts).to_csv(folder / "reduced.tsv", sep="\t", index=False)
    run_snakemake(folder, CONFIG)
    return folder / "results/terminators"


def test_the_ensemble_is_better_than_its_members(study):
    summary = pd.read_csv(study / "summary.csv")
    pearson = summary[(summary["metric"] == "Pearson") & (summary["head"] == "mean")]
    pool = (pearson["augmentation"] == "standard") & (pearson["proportion"] == 1)
    # All three teachers of the pool, and their ensemble.
    pearson = pearson[pool & pearson["size"].isin([3, np.nan])]
    for target in TARGETS:
        of_target = pearson[pearson["target"] == target].groupby("role")["value"]
        assert of_target.get_group("teacher").size == 3
        assert of_target.mean()["ensemble"] > of_target.mean()["teacher"]
        # Above chance: the standard error of a correlation of 0 over 1,000 sequences is 0.032.
        assert of_target.mean()["ensemble"] > 4 * 0.032


def test_outputs_load_as_promised(study):
    arm = study / "standard/downsample_1"
    n = dict(zip(("Train", "Val", "Test"), SIZES.values(), strict=True))
    assert np.array_equal(np.load(arm / "subset.npy"), np.arange(n["Train"]))
    with h5py.File(study / "dataset.h5") as file:
        x = file["Test/X"][:]
        assay = {name: file[name]["y"][:] for name in n}
    members = []
    for ix in (1, 2, 3):
        model = keras.models.load_model(arm / f"teachers/{ix}_DeepSTARR.h5")
        with h5py.File(arm / f"teachers/{ix}_predictions.h5") as file:
            stored = {name: file[name][:] for name in n}
        for name, values in stored.items():
            assert values.shape == (n[name], 2)
            assert values.dtype == np.float32
            assert np.isfinite(values).all()
        np.testing.assert_allclose(predict(model, x), stored["Test"], rtol=1e-4, atol=1e-4)
        members.append(stored)
        history = pd.read_csv(arm / f"teachers/{ix}_history.csv")
        assert history["epoch"].tolist() == list(range(1, len(history) + 1))
        assert {"loss", "val_loss", "learning_rate"} <= set(history.columns)
        performance = pd.read_csv(arm / f"teachers/{ix}_performance.csv")
        assert performance["metric"].tolist() == ["MSE", "Pearson", "Spearman"]
        assert set(performance.columns) == {"metric", *TARGETS}
        mse = ((stored["Test"] - assay["Test"]) ** 2).mean(axis=0)
        np.testing.assert_allclose(performance.loc[0, TARGETS].astype(float), mse, rtol=1e-4)

    stacked = {name: np.stack([m[name] for m in members]) for name in n}
    ensemble = arm / "ensemble/n3"
    mean = np.load(ensemble / "ensemble_avg_y_train.npy")
    np.testing.assert_allclose(mean, stacked["Train"].mean(axis=0), rtol=1e-5, atol=1e-5)
    std = {name: np.load(ensemble / f"ensemble_std_{name.lower()}.npy") for name in n}
    for name in n:
        expected = stacked[name].astype(float).std(axis=0, ddof=0)
        np.testing.assert_allclose(std[name], expected, rtol=1e-4, atol=1e-6)

    name = "all_data_with_ensemble_metrics_hierarchical.h5"
    with h5py.File(arm / "distillation/n3" / name) as file:
        np.testing.assert_array_equal(file["Test/X"][:], x)
        np.testing.assert_array_equal(file["Train/y"][:], np.hstack([mean, std["Train"]]))
        np.testing.assert_array_equal(file["Val/y"][:], np.hstack([assay["Val"], std["Val"]]))
        np.testing.assert_array_equal(file["Train/y_assay"][:], assay["Train"])


def test_students_of_both_kinds_are_scored_in_units_of_std(study):
    arm = study / "standard/downsample_1"
    std = np.load(arm / "ensemble/n3/ensemble_std_test.npy")
    for kind in ("std", "logvar"):
        folder = arm / f"students/n3/{kind}"
        assert keras.models.load_model(folder / "1_DeepSTARR.h5").output_shape == (None, 4)
        performance = pd.read_csv(folder / "1_performance.csv").set_index("metric")
        assert list(performance.columns) == [*TARGETS, "tobacco-std", "maize-std"]
        with h5py.File(folder / "1_predictions.h5") as file:
            predicted = file["Test"][:, 2:].astype(float)
        if kind == "logvar":
            predicted = np.sqrt(np.exp(predicted))
        mse = ((predicted - std) ** 2).mean(axis=0)
        np.testing.assert_allclose(performance.iloc[0, 2:].astype(float), mse, rtol=1e-3)


def test_every_kind_of_arm_learns(study):
    summary = pd.read_csv(study / "summary.csv")
    pearson = summary[
        (summary["metric"] == "Pearson") & (summary["head"] == "mean") & summary["stage"].isna()
    ]
    ensembles = pearson[pearson["role"] == "ensemble"]
    arms = ensembles.groupby(["augmentation", "proportion", "size"])["value"].mean()
    assert list(arms.index) == [
        ("evoaug", 1, 2),
        ("standard", 0.5, 2),
        ("standard", 1, 2),
        ("standard", 1, 3),
    ]
    # Above chance, as above; of both targets, as half of the data for so few epochs is little.
    assert (arms > 4 * 0.032).all()
    # And of each target with all the data.
    assert (ensembles.loc[ensembles["proportion"] == 1, "value"] > 4 * 0.032).all()
    dynamic = pearson[pearson["variant"] == "mutagenesis"].set_index(["proportion", "target"])
    assert set(dynamic.index) == {(p, target) for p in (0.5, 1) for target in TARGETS}
    # With all the data; half of it, for so few epochs, is not enough for a student of any kind.
    assert dynamic.loc[(1, "tobacco"), "value"] > 4 * 0.032


def test_logs_show_every_epoch(study):
    log = (study / "logs/train_teacher/standard_1_1.log").read_text()
    epochs = [line for line in log.splitlines() if line.startswith("epoch ") and "val_loss" in line]
    assert len(epochs) == len(pd.read_csv(study / "standard/downsample_1/teachers/1_history.csv"))
    benchmark = pd.read_csv(study / "benchmarks/train_teacher/standard_1_1.tsv", sep="\t")
    assert benchmark["s"].item() > 0


def test_maps_of_a_trained_model_are_those_of_shap(study):
    """With nothing from here but the files: DeepSTARR, both heads of a student, its references."""
    arm = study / "standard/downsample_1"
    model = keras.models.load_model(arm / "students/n3/std/1_DeepSTARR.h5")
    with h5py.File(study / "dataset.h5") as file:
        x, y = file["Test/X"][:].astype(np.float32), file["Test/y"][:]
    references = x[np.random.default_rng(1234).choice(len(x), 20, replace=False)]
    top = np.argsort(-y[:, 1], kind="stable")[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = shap.DeepExplainer(model, references)
        expected = np.asarray(explainer.shap_values(x[top], check_additivity=False))
    for kind, column in (("mean", 1), ("std", 3)):
        maps = np.load(arm / f"attribution/n3-std/1_top50_maize-{kind}_shap.npy")
        assert maps.shape == (50, *x.shape[1:])
        largest = np.abs(expected[..., column]).max()
        np.testing.assert_allclose(maps[:2], expected[..., column], atol=1e-4 * largest)


def test_maps_add_up(study):
    summary = pd.read_csv(study / "attribution_summary.csv")
    residuals = summary[summary["metric"] == "Residual"]
    # Three teachers, and two students with two heads each, of two targets.
    assert len(residuals) == 3 * 2 + 2 * 2 * 2
    assert residuals["value"].max() < 1e-4
    # The truth is not known of an assay, which has bins only on request.
    assert not set(summary["metric"]) & {"AUROC", "AUPRC", "Prevalence"}
    figures = {path.name for path in (study / "figures").iterdir() if path.is_dir()}
    assert figures == {"attribution", "attribution_scatter", "attribution_logos"}


def test_the_figures_are_there(study):
    figures = [path for path in (study / "figures").iterdir() if path.is_file()]
    assert {path.stem for path in figures} == {
        "performance",
        "performance_vs_size",
        "fidelity_vs_size",
        "performance_vs_proportion",
        "fidelity_vs_proportion",
        "evoaug",
        "dynamic_augmentation",
    }
    for path in figures:
        start = {".png": b"\x89PNG", ".pdf": b"%PDF"}[path.suffix]
        assert path.read_bytes().startswith(start)
