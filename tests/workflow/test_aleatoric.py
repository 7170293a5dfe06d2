"""A study whose teachers learn the variance of measurements from replicates, to its figures."""

import numpy as np
import pandas as pd
import pytest
from snakemake_runs import run_snakemake

from degu.calibration.recalibration import Recalibration
from degu.dataset.copies import read_labels
from degu.dataset.distillation import FILE_NAME, read_distillation
from degu.heads import Heads
from degu.io.predictions import read_predictions
from degu.models.files import load_model

pytestmark = pytest.mark.long

CONFIG = {
    "dataset": "noisy",
    "data": {"source": "simulate", "n_train": 201, "n_val": 60, "n_test": 80, "length": 40},
    "model": "compact",
    "compute_threads": 1,
    "aleatoric": "replicates",
    "ensemble_sizes": [2],
    "students": {"replicates": 1, "uncertainty": ["std", "logvar"]},
    "training": {"epochs": 2},
    "student_training": {"epochs": 2},
    "distillation": {"copies": 1},
    "baselines": ["residual", "constant", "mc_dropout"],
    "baseline_settings": {"mc_dropout": {"passes": 3}},
    "uncertainty": {"draws": 20},
    "shift": {"kinds": ["small"]},
    "attribution": {
        "methods": ["saliency"],
        "top_n": 12,
        "bins": 2,
        "per_bin": 5,
        "logos": 2,
    },
}
TARGETS = ("Dev", "Hk")
POOL = "results/noisy/standard/downsample_1"
TEACHER = ("mean", "aleatoric")


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noisy")
    run_snakemake(folder, CONFIG)
    return folder


def test_models_have_aleatoric_heads(noisy):
    for path, kinds in (
        ("teachers/1", TEACHER),
        ("students/n2/std/1", (*TEACHER, "std")),
        ("students/n2/logvar/1", (*TEACHER, "logvar")),
    ):
        model, card = load_model(noisy / POOL / f"{path}_Compact.h5")
        assert card.heads == Heads(TARGETS, kinds)
        assert model.output_shape == (None, len(card.heads))
        history = pd.read_csv(noisy / POOL / f"{path}_history.csv")
        own = {f"val_MSE_{name}" for name in card.heads.columns}
        assert own <= set(history) or "val_replicates" in history
        assert {"val_MSE_Dev", "val_MSE_Hk"} <= set(history)
        table = pd.read_csv(noisy / POOL / f"{path}_performance.csv")
        assert not [name for name in table if "aleatoric" in name]
    _, card = read_predictions(noisy / POOL / "baselines/mc_dropout/1_precise_predictions.h5")
    assert card.heads == Heads(TARGETS, ("mean", "std"))


def test_students_learn_the_mean_of_their_teachers_variances(noisy):
    heads = Heads(TARGETS, TEACHER)
    members = [read_predictions(noisy / POOL / f"teachers/{ix}_predictions.h5")[0] for ix in (1, 2)]
    for split in ("Train", "Val", "Test"):
        said = np.stack([p[split][:, heads.slice("aleatoric")] for p in members])
        expected = np.log(np.exp(said.astype(float)).mean(axis=0))
        path = noisy / POOL / "distillation/n2" / FILE_NAME
        lesson = read_distillation(path, split, "std")
        assert lesson.heads.kinds == (*TEACHER, "std")
        got = lesson.y[:, lesson.heads.slice("aleatoric")]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    y, of_copies = read_labels(noisy / POOL / "distillation/n2/copies.h5")
    assert y.shape == (201, 1, 6)
    assert of_copies == lesson.heads


def test_what_is_said_about_their_uncertainty(noisy):
    for uncertainty in ("std", "logvar"):
        path = noisy / POOL / f"students/n2/{uncertainty}/1_recalibration.json"
        assert Recalibration.read(path).aleatoric == (None, None)
    rows = pd.read_csv(noisy / "results/noisy/uncertainty_summary.csv")
    own = rows[(rows["metric"] == "Sharpness") & (rows["recalibration"] == "none")]
    own = own[own["target"] == "Dev"].groupby(["role", "variance"])["value"].mean()
    for role in ("ensemble", "student"):
        variances = own[role] ** 2
        total = variances["epistemic"] + variances["aleatoric"]
        assert variances["total"] == pytest.approx(total, rel=0.1)
    for role in ("ensemble", "student", "residual", "constant", "mc_dropout"):
        assert {"aleatoric", "total"} <= set(own[role].index)


def test_summaries_and_figures_are_made(noisy):
    summary = pd.read_csv(noisy / "results/noisy/summary.csv")
    assert set(summary["head"].dropna()) == {"mean", "std"}
    assert set(summary.loc[summary["shift"] == "small", "role"]) >= {"teacher", "student"}
    maps = pd.read_csv(noisy / "results/noisy/attribution_summary.csv")
    assert {"mean", "aleatoric", "std", "logvar"} <= set(maps["head"].dropna())
    folder = noisy / POOL / "attribution/n2-std"
    assert (folder / "avg_top12_Dev-aleatoric_saliency.npy").is_file()
    figures = noisy / "results/noisy/figures"
    for name in ("performance", "shift/standard_1_n2", "uncertainty_coverage/standard_1_n2"):
        assert (figures / f"{name}.png").is_file()


def test_nothing_is_left(noisy):
    done = run_snakemake(noisy, CONFIG, "--dry-run", "--quiet", "rules")
    assert "Nothing to be done" in done.stdout
