"""What a new thing costs: one of each, registered from outside, reaches plan, table and figure."""

import h5py
import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from snakemake_runs import ROOT, planned_jobs, run_snakemake

# What the extensions import is this checkout's package too.
EXTENSIONS = ["env", f"PYTHONPATH={ROOT / 'tests/workflow/extensions'}:{ROOT / 'src'}"]
CONFIG = {
    "dataset": "extended",
    "data": {"source": "letters", "number": 60},
    "targets": ["a", "c"],
    "model": "linear",
    "compute_threads": 1,
    "ensemble_sizes": [2],
    "students": {"replicates": 1, "uncertainty": ["logvar"]},
    "distillation": {"augmentations": ["translocation"], "per_sequence": 1},
    "baselines": ["average"],
    "training": {"epochs": 1},
    "student_training": {"epochs": 1},
    "shift": {"kinds": ["small"]},
    "attribution": {"methods": ["letters"], "top_n": 5, "bins": 0, "logos": 1},
}
POOL = "standard/downsample_1"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of a study that has one of each, and what its plan was."""
    folder = tmp_path_factory.mktemp("extended")
    plan = run_snakemake(folder, CONFIG, "--dry-run", "--quiet", "rules", prefix=EXTENSIONS)
    run_snakemake(folder, CONFIG, prefix=EXTENSIONS)
    return folder / "results/extended", planned_jobs(plan.stdout)


def test_the_plan_has_them(results):
    _, jobs = results
    assert jobs["train_average"] == jobs["predict_average"] == jobs["score_average"] == 2
    assert jobs["predict_shift_average"] == 2
    assert jobs["attribute_teacher"] == 2
    assert jobs["attribute_student"] == 1
    assert jobs["plot_bias"] == 1


def test_the_source_and_the_architecture(results):
    folder, _ = results
    with h5py.File(folder / "dataset.h5") as file:
        assert file["Train/X"].shape == (60, 12, 4)
        np.testing.assert_allclose(file["Test/y"], file["Test/X"][:].mean(axis=1)[:, :2])
    for path in ("teachers/2_Linear.h5", "students/n2/logvar/1_Linear.h5"):
        assert (folder / POOL / path).is_file()


def test_the_kind_of_model_and_the_metric_are_in_the_summary(results):
    folder, _ = results
    summary = pd.read_csv(folder / "summary.csv")
    assert set(summary["role"]) == {
        *("teacher", "ensemble", "student", "std_of_mean", "assay", "average")
    }
    bias = summary[(summary["metric"] == "Bias") & (summary["role"] == "average")]
    assert sorted(bias["member"]) == [1, 1, 2, 2]
    with h5py.File(folder / "dataset.h5") as file:
        expected = 3 + file["Train/y"][:].mean(axis=0) - file["Test/y"][:].mean(axis=0)
    # It predicts the mean of Train, plus three.
    for target, value in zip(("a", "c"), expected, strict=True):
        np.testing.assert_allclose(bias[bias["target"] == target]["value"], value, atol=0.02)
    shifted = summary[(summary["role"] == "average") & summary["shift"].notna()]
    assert set(shifted["shift"]) == {"none", "small"}


def test_students_of_the_log_variance_are_scored_as_those_of_the_std(results):
    folder, _ = results
    with h5py.File(folder / POOL / "students/n2/logvar/1_predictions.h5") as file:
        logvar = file["Test"][:, 2:].astype(float)
    std = np.load(folder / POOL / "ensemble/n2/ensemble_std_test.npy")
    table = pd.read_csv(folder / POOL / "students/n2/logvar/1_performance.csv", index_col="metric")
    assert list(table.columns) == ["a", "c", "a-std", "c-std"]
    expected = ((np.exp(logvar / 2) - std) ** 2).mean(axis=0)
    np.testing.assert_allclose(table.loc["MSE", ["a-std", "c-std"]], expected, rtol=1e-4)


def test_the_method_is_in_the_tables_of_attribution(results):
    folder, _ = results
    table = pd.read_csv(folder / "attribution_summary.csv")
    assert set(table["method"].dropna()) == {"letters"}
    # Every model's maps are the sequences, so none is away from the others.
    distances = table[(table["metric"] == "RMSE_to_ensemble") & table["comparison"].isna()]
    assert len(distances) > 0
    assert (distances["value"] == 0).all()


def test_the_figures_show_them(results):
    folder, _ = results
    assert imread(folder / "figures/bias.png").std() > 0
    assert (folder / "figures/attribution/standard_1_n2.png").is_file()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"model": "unheard"},
            "model: 'unheard' is neither a known architecture (compact, deepstarr, linear)",
        ),
        ({"baselines": ["unheard"]}, "baselines: the text 'unheard' is not one of residual, "),
        (
            {"attribution": {"methods": ["unheard"]}},
            "attribution.methods: the text 'unheard' is not one of saliency, shap, "
            "shap_dinuc_shuffle, ism, letters",
        ),
        ({"data": {"source": "unheard"}}, "data.source: the text 'unheard' is not one of"),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else "",
)
def test_what_is_not_registered_is_a_sentence_at_start(tmp_path, changes, sentence):
    done = run_snakemake(
        tmp_path, {**CONFIG, **changes}, "--dry-run", check=False, prefix=EXTENSIONS
    )
    assert done.returncode != 0
    assert f"error in the config: {sentence}" in done.stdout


def test_without_the_extensions_it_is_a_sentence_too(tmp_path):
    done = run_snakemake(tmp_path, CONFIG, "--dry-run", check=False)
    assert done.stdout.rstrip().splitlines()[-1].startswith("error in the config: ")
