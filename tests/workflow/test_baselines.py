"""Baselines through the real workflow: files, tables, figures, and what another setting makes."""

import shutil

import numpy as np
import pandas as pd
import pytest
from snakemake_runs import planned_jobs, run_snakemake

from degu.baselines import BASELINES
from degu.heads import Heads
from degu.io.predictions import read_predictions
from degu.models.files import load_model

pytestmark = pytest.mark.long

CONFIG = {
    "dataset": "compared",
    "data": {"source": "simulate", "n_train": 201, "n_val": 60, "n_test": 80, "length": 40},
    "model": "compact",
    "compute_threads": 1,
    "ensemble_sizes": [2],
    "students": {"replicates": 1, "uncertainty": ["std"]},
    "training": {"epochs": 2},
    "student_training": {"epochs": 2},
    "distillation": {"copies": 1},
    "baselines": ["heteroscedastic", "evidential", "mc_dropout", "mean_student"],
    "baseline_settings": {
        "mc_dropout": {"passes": 10, "batch_norm": ["precise", "moving"]},
        "evidential": {"penalty": [0.001, 0.01]},
    },
    "mixed_architectures": ["compact"],
    "shift": {"kinds": ["small"]},
    "attribution": {"methods": []},
}
TARGETS = ("Dev", "Hk")
POOL = "results/compared/standard/downsample_1"


def changed(**changes):
    return {**CONFIG, **changes}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    run_snakemake(folder, CONFIG)
    return folder


def plan(folder, config):
    done = run_snakemake(folder, config, "--dry-run", "--quiet", "rules")
    return {} if "Nothing to be done" in done.stdout else planned_jobs(done.stdout)


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("heteroscedastic/1", ("mean", "aleatoric")),
        ("evidential/1", ("mean", "nu", "alpha", "beta")),
        ("mc_dropout/1_precise", ("mean", "std")),
        ("mc_dropout/1_moving", ("mean", "std")),
        ("n2/mean_student/1", ("mean",)),
    ],
)
def test_predictions_have_their_heads_and_a_law(compared, path, kinds):
    predictions, card = read_predictions(compared / POOL / f"baselines/{path}_predictions.h5")
    assert card.heads == Heads(TARGETS, kinds)
    assert {name: len(p) for name, p in predictions.items()} == {
        **{"Train": 201, "Val": 60, "Test": 80}
    }
    for target in TARGETS:
        for split in predictions:
            laws = BASELINES[card.role].laws_of([predictions], card.heads, target, split, 0.3)
            assert laws["total"].location.shape == (len(predictions[split]),)
            lower, upper = laws["total"].interval(0.9)
            assert (lower < upper).all()


def test_models_open_by_themselves_and_histories_have_the_likelihood(compared):
    folder = compared / POOL / "baselines/evidential"
    model, card = load_model(folder / "1_Compact.h5", role="evidential", size=None, member=1)
    assert model.output_shape == (None, 8)
    history = pd.read_csv(folder / "1_history.csv")
    assert {"nll", "val_nll", "loss", "val_loss", "val_MSE_Dev", "val_MSE_Hk"} <= set(history)
    assert card.loss["penalty"] in (0.001, 0.01)
    # Its penalty is in the loss alone.
    assert (history["val_loss"] > history["val_nll"]).all()
    assert not list((compared / POOL / "baselines/mc_dropout").glob("*_Compact.h5"))


def test_rows_of_the_summary(compared):
    summary = pd.read_csv(compared / "results/compared/summary.csv")
    on_test = summary[summary["shift"].isna()]
    for role in CONFIG["baselines"]:
        own = on_test[on_test["role"] == role]
        assert set(own["head"]) == {"mean"}
        assert set(own["metric"]) == {"MSE", "Pearson", "Spearman"}
        assert set(own["target"]) == set(TARGETS)
    assert set(on_test[on_test["role"] == "mc_dropout"]["variant"]) == {"precise", "moving"}
    shifted = summary[(summary["role"] == "mc_dropout") & (summary["head"] == "std")]
    # How its std grows with the shift, and no more.
    assert set(shifted["metric"]) == {"Mean"}
    assert set(shifted["ddof"]) == {0}
    assert set(shifted["shift"]) == {"none", "small"}
    assert (shifted["value"] > 0).all()


def test_figures_are_drawn(compared):
    figures = compared / "results/compared/figures"
    assert (figures / "performance.png").is_file()
    assert (figures / "shift/standard_1_n2.png").is_file()


def test_nothing_is_left(compared):
    assert plan(compared, CONFIG) == {}


@pytest.mark.parametrize(
    ("changes", "made"),
    [
        # Those that are there are enough.
        ({"baselines": [*CONFIG["baselines"], "residual", "constant"]}, {}),
        (
            {"baselines": [*CONFIG["baselines"], "heteroscedastic_ensemble"]},
            {"train_heteroscedastic": 1, "predict_heteroscedastic": 1},
        ),
        (
            {"baselines": [*CONFIG["baselines"], "mixed_ensemble"]},
            {"train_mixed": 2, "predict_mixed": 2},
        ),
        (
            {
                "baseline_settings": {
                    **CONFIG["baseline_settings"],
                    "mc_dropout": {"passes": 11, "batch_norm": ["precise"]},
                }
            },
            {"predict_mc_dropout": 1},
        ),
        (
            {
                "baseline_settings": {
                    **CONFIG["baseline_settings"],
                    "evidential": {"penalty": [1]},
                    "beta_nll": {"beta": [0.25]},  # which is not listed
                }
            },
            {"train_evidential": 1, "predict_evidential": 1},
        ),
        # Of the ensemble alone; those of the pool stay.
        (
            {"ensemble_sizes": [2, 3]},
            {
                **{"train_teacher": 1, "predict_teacher": 1, "predict_copies": 3},
                **{"train_student": 1, "predict_student": 1},
                **{"train_mean_student": 1, "predict_mean_student": 1},
            },
        ),
        # Of uncertainty heads, which the student of the mean has not.
        (
            {"students": {**CONFIG["students"], "uncertainty_weight": {"std": 2}}},
            {"train_student": 1, "predict_student": 1},
        ),
    ],
    ids=["laws alone", "ensemble", "mixed", "passes", "penalty", "another size", "weight"],
)
def test_a_change_makes_its_own_models_and_no_others(compared, changes, made):
    jobs = plan(compared, changed(**changes))
    starts = ("train_", "finetune_", "predict_")
    trained = {
        name: n
        for name, n in jobs.items()
        if name.startswith(starts) and not name.startswith("predict_shift")
    }
    assert trained == made


def test_the_same_passes_again_bit_for_bit(compared, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(compared, again, symlinks=True)
    path = f"{POOL}/baselines/mc_dropout/1_moving_predictions.h5"
    (again / path).unlink()
    run_snakemake(again, CONFIG, "--", path)
    for name, values in read_predictions(compared / path)[0].items():
        np.testing.assert_array_equal(read_predictions(again / path)[0][name], values)
