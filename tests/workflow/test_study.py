"""A tiny study through the real workflow: an architecture of its own, reruns, the report."""

import copy
import os
import re
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
from snakemake_runs import ROOT, planned_jobs, run_snakemake

from degu.cards import Card
from degu.sweep import derive_seed
from degu.training import load_model

ARCHITECTURE = """
import keras

def build(input_shape, output_dim):
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv1D(64, 7, padding="same")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.MaxPooling1D(4)(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(64, activation="relu")(x)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(output_dim)(x))
"""
CONFIG = {
    "dataset": "tiny",
    "data": {"source": "simulate", "n_train": 301, "n_val": 60, "n_test": 80, "length": 40},
    "model": "own_models.small:build",
    "model_name": "Small",
    "compute_threads": 2,
    "arms": [
        {"ensemble_sizes": [2, 3]},
        {"proportions": [0.5], "ensemble_sizes": [2]},
        {"augmentations": ["evoaug"], "ensemble_sizes": [2]},
    ],
    "students": {"replicates": 1, "uncertainty": ["std"]},
    "training": {"epochs": 2},
    "student_training": {"epochs": 2},
    "finetuning": {"epochs": 2},
    "student_finetuning": {"epochs": 1},
}
# Results keep their times, so one study serves all the dry runs.
NOTHING = "Nothing to be done"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "own_models").mkdir()
    (folder / "own_models/small.py").write_text(ARCHITECTURE)
    run_snakemake(folder, CONFIG)
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return folder / "results/tiny"


def changed(**changes):
    return {**copy.deepcopy(CONFIG), **changes}


def test_the_tree_is_the_documented_one(results):
    standard, half = results / "standard/downsample_1", results / "standard/downsample_0.5"
    evoaug = results / "evoaug/downsample_1"

    def members(folder):
        return sorted(p.name for p in folder.iterdir())

    def files(ix, *stages):
        model = [f"{ix}_Small{stage}.h5" for stage in stages]
        history = [f"{ix}_history{stage}.csv" for stage in stages]
        return [*model, *history, *(f"{ix}_performance{s}.csv" for s in stages)]

    predictions = [f"{ix}_predictions.h5" for ix in (1, 2, 3)]
    assert members(standard / "teachers") == sorted(
        predictions + files(1, "") + files(2, "") + files(3, "")
    )
    assert members(half / "teachers") == sorted(predictions[:2] + files(1, "") + files(2, ""))
    assert members(evoaug / "teachers") == sorted(
        predictions[:2] + files(1, "_aug", "_finetune") + files(2, "_aug", "_finetune")
    )
    assert members(standard / "students/n3/std") == sorted(predictions[:1] + files(1, ""))
    assert members(evoaug / "students/n2/std") == sorted(
        predictions[:1] + files(1, "_aug", "_finetune")
    )
    assert members(standard / "ensemble") == ["n2", "n3"]
    assert members(standard / "ensemble/n2") == [
        "ensemble_avg_y_train.npy",
        "ensemble_performance_avg.csv",
        "ensemble_std_test.npy",
        "ensemble_std_train.npy",
        "ensemble_std_val.npy",
    ]


def test_subsets_follow_the_published_draw_everywhere(results):
    half = results / "standard/downsample_0.5"
    rows = np.load(half / "subset.npy")
    draw = np.random.default_rng(1234).choice(301, round(301 * 0.5), replace=False, shuffle=False)
    np.testing.assert_array_equal(rows, np.sort(draw))
    with h5py.File(results / "dataset.h5") as file:
        x, y = file["Train/X"][:], file["Train/y"][:]
    name = "distillation/n2/all_data_with_ensemble_metrics_hierarchical.h5"
    with h5py.File(half / name) as file:
        np.testing.assert_array_equal(file["Train/X"][:], x[rows])
        np.testing.assert_array_equal(file["Train/y_assay"][:], y[rows])
        assert file["Train/y"].shape == (150, 4)
    with h5py.File(half / "teachers/2_predictions.h5") as file:
        assert file["Train"].shape == (150, 2)


def test_nested_ensembles_share_their_members(results):
    arm = results / "standard/downsample_1"
    members = []
    for ix in (1, 2, 3):
        with h5py.File(arm / f"teachers/{ix}_predictions.h5") as file:
            members.append(file["Test"][:].astype(float))
    for size in (2, 3):
        std = np.load(arm / f"ensemble/n{size}/ensemble_std_test.npy")
        np.testing.assert_allclose(std, np.std(members[:size], axis=0), rtol=1e-4, atol=1e-6)
    assert not np.allclose(members[0], members[1])


def test_cards_tell_whose_a_file_is(results):
    _, card = load_model(results / "evoaug/downsample_1/students/n2/std/1_Small_aug.h5")
    assert card.heads.columns == ("Dev", "Hk", "Dev-std", "Hk-std")
    assert (card.role, card.augmentation, card.proportion) == ("student", "evoaug", 1.0)
    assert (card.size, card.member, card.architecture) == (2, 1, "own_models.small:build")
    identity = {"augmentation": "evoaug", "proportion": "1", "size": 2, "member": 1}
    assert card.seed == derive_seed(1234, "student", **identity)
    with h5py.File(results / "dataset.h5") as file:
        assert card.dataset_sha256 == file.attrs["sha256"]
    assert set(card.versions) >= {"degu", "keras", "tensorflow", "numpy"}
    with h5py.File(results / "standard/downsample_0.5/teachers/2_predictions.h5") as file:
        assert (Card.read(file).member, Card.read(file).proportion) == (2, 0.5)


def test_the_summary_holds_every_number_once(results):
    summary = pd.read_csv(results / "summary.csv")
    assert list(summary.columns) == [
        *("role", "augmentation", "proportion", "size", "member", "stage", "variant"),
        *("uncertainty", "shift", "target", "head", "ddof", "metric", "value"),
    ]
    assert not summary.duplicated(summary.columns[:-1].tolist()).any()
    assert np.isfinite(summary["value"]).all()
    final = summary[summary["stage"].isna() & (summary["metric"] == "Pearson")]
    counts = final.groupby(["role", "head"]).size()
    # 7 teachers, 4 arms with one student each; two targets.
    assert counts.to_dict() == {
        ("teacher", "mean"): 14,
        ("ensemble", "mean"): 8,
        ("student", "mean"): 8,
        ("student", "std"): 8,
    }
    before = summary[(summary["stage"] == "aug") & (summary["metric"] == "Pearson")]
    assert before.groupby("role").size().to_dict() == {"teacher": 4, "student": 4}
    # Each number is that of its file.
    row = final[(final["role"] == "student") & (final["size"] == 3) & (final["head"] == "std")]
    path = results / "standard/downsample_1/students/n3/std/1_performance.csv"
    table = pd.read_csv(path).set_index("metric")
    expected = table.loc["Pearson", ["Dev-std", "Hk-std"]].tolist()
    assert row.sort_values("target")["value"].tolist() == expected
    spread = summary[(summary["metric"] == "Mean") & (summary["size"] == 3)]
    by_ddof = spread.groupby("ddof")["value"].sum()
    assert by_ddof[1] / by_ddof[0] == pytest.approx(np.sqrt(3 / 2))


def test_finetuning_starts_from_the_augmented_model(results):
    folder = results / "evoaug/downsample_1/teachers"
    augmented, _ = load_model(folder / "1_Small_aug.h5")
    tuned, _ = load_model(folder / "1_Small_finetune.h5")
    moved = np.abs(augmented.get_weights()[0] - tuned.get_weights()[0])
    # Two epochs of 3 steps of Adam at 1e-4 move no weight by more than about 6e-4.
    assert 0 < moved.max() < 1e-3


def test_finished_results_stay_finished(folder):
    assert NOTHING in run_snakemake(folder, CONFIG, "--dry-run").stdout
    # An edited comment touches a script; a results folder without root privilege is no obstacle.
    os.utime(ROOT / "workflow/scripts/train_teacher.py")
    assert NOTHING in run_snakemake(folder, CONFIG, "--dry-run").stdout


@pytest.mark.parametrize(
    ("lost", "made"),
    [
        ("standard/downsample_1/students/n3/std/1_Small.h5", {"train_student": 1}),
        ("standard/downsample_0.5/teachers/2_predictions.h5", {"predict_teacher": 1}),
        ("standard/downsample_1/ensemble/n2/ensemble_std_val.npy", {"aggregate_ensemble": 1}),
        ("evoaug/downsample_1/teachers/1_history_finetune.csv", {"finetune_teacher": 1}),
        ("subsets/downsample_0.5.h5", {"subset_sequences": 1}),
        ("dataset.h5", {"ingest": 1, "subset": 3, "train_teacher": 5}),
    ],
)
def test_a_lost_file_is_made_again(folder, results, tmp_path, lost, made):
    """As is one that a failed job took with it: Snakemake deletes a job's old outputs."""
    path = results / lost
    shutil.copy2(path, tmp_path / "kept")
    path.unlink()
    try:
        done = run_snakemake(folder, CONFIG, "--dry-run", "--quiet", "rules")
    finally:
        shutil.copy2(tmp_path / "kept", path)
    jobs = planned_jobs(done.stdout)
    assert made.items() <= jobs.items()
    assert jobs["all"] == 1
    if "train_teacher" not in made:
        assert "train_teacher" not in jobs
    assert NOTHING in run_snakemake(folder, CONFIG, "--dry-run").stdout


def test_an_edited_architecture_retrains_but_an_edited_comment_does_not(folder):
    path = folder / "own_models/small.py"
    try:
        path.write_text(f"# A comment.\n{ARCHITECTURE}")
        assert NOTHING in run_snakemake(folder, CONFIG, "--dry-run").stdout
        path.write_text(ARCHITECTURE.replace("Conv1D(64", "Conv1D(32"))
        done = run_snakemake(folder, CONFIG, "--dry-run", "--quiet", "rules")
    finally:
        path.write_text(ARCHITECTURE)
    jobs = planned_jobs(done.stdout)
    assert jobs["train_teacher"] == 5
    assert jobs["train_student"] == 3
    assert "ingest" not in jobs


def test_a_model_of_another_arm_is_refused_by_name(folder, results, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, symlinks=True)
    teachers = copy / "results/tiny/standard"
    shutil.copy(
        teachers / "downsample_0.5/teachers/1_Small.h5",
        teachers / "downsample_1/teachers/1_Small.h5",
    )
    done = run_snakemake(copy, CONFIG, check=False)
    assert done.returncode != 0
    log = copy / "results/tiny/logs/predict_teacher/standard_1_1.log"
    error = log.read_text().splitlines()[-1]
    assert error.startswith("error: ")
    assert "downsample_1/teachers/1_Small.h5 has proportion 0.5, where 1.0 is needed" in error


@pytest.mark.parametrize(
    ("changes", "jobs"),
    [
        (
            # One size more, within the members that exist.
            {"arms": [*CONFIG["arms"], {"augmentations": ["evoaug"], "ensemble_sizes": [2]}]},
            None,
        ),
        (
            # A larger ensemble: one new member, and what depends on it.
            {"arms": [*CONFIG["arms"], {"proportions": [0.5], "ensemble_sizes": [3]}]},
            {
                "train_teacher": 1,
                "predict_teacher": 1,
                "aggregate_ensemble": 1,
                "distillation_data": 1,
                "train_student": 1,
                "predict_student": 1,
                "summarize": 1,
                "plot_performance": 1,
                "all": 1,
            },
        ),
        (
            {"student_training": {"epochs": 2, "learning_rate": 0.01}},
            {
                "train_student": 3,
                "train_student_evoaug": 1,
                "finetune_student": 1,
                "predict_student": 3,
                "predict_student_evoaug": 1,
                "summarize": 1,
                "plot_performance": 1,
                "all": 1,
            },
        ),
        (
            {"evoaug": {"per_batch": 2}},
            {
                "train_teacher_evoaug": 2,
                "finetune_teacher": 2,
                "predict_teacher_evoaug": 2,
                "aggregate_ensemble": 1,
                "distillation_data": 1,
                "train_student_evoaug": 1,
                "finetune_student": 1,
                "predict_student_evoaug": 1,
                "summarize": 1,
                "plot_performance": 1,
                "all": 1,
            },
        ),
    ],
    ids=["the same arms", "a larger ensemble", "students' learning rate", "augmentation"],
)
def test_a_change_reruns_what_depends_on_it_and_nothing_else(folder, changes, jobs):
    done = run_snakemake(folder, changed(**changes), "--dry-run", "--quiet", "rules")
    if jobs is None:
        assert NOTHING in done.stdout
    else:
        assert planned_jobs(done.stdout) == jobs


def test_another_order_of_jobs_gives_the_same_bits(folder, results, tmp_path):
    """One core and one student first, against two cores and the whole grid."""
    shutil.copytree(folder / "own_models", tmp_path / "own_models")
    config = changed(arms=[{"ensemble_sizes": [2]}])
    run_snakemake(tmp_path, config, cores=1)
    arm = "results/tiny/standard/downsample_1"
    for name in ("teachers/1_Small.h5", "teachers/2_Small.h5", "students/n2/std/1_Small.h5"):
        ours, theirs = (load_model(base / arm / name)[0] for base in (folder, tmp_path))
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    for name in ("teachers/2_history.csv", "students/n2/std/1_performance.csv"):
        assert (folder / arm / name).read_bytes() == (tmp_path / arm / name).read_bytes()


def test_the_guides_commands_plan_what_they_say(folder):
    guide = (ROOT / "docs/guide.md").read_text()
    line = re.search(r"^snakemake (teachers .*?) +#", guide, re.MULTILINE).group(1)
    arguments = line.replace("my_assay.yaml", "study.yaml").split()
    done = run_snakemake(folder, None, *arguments, "--dry-run", "--forceall", "--quiet", "rules")
    assert planned_jobs(done.stdout)["train_teacher"] == 5
    assert "train_student" not in planned_jobs(done.stdout)


def test_the_report_opens_without_a_network(folder):
    run_snakemake(folder, CONFIG, "--report", "report.html")
    page = (folder / "report.html").read_text()
    assert "performance.png" in page
    assert "summary.csv" in page
