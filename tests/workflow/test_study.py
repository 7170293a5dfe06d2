"""A tiny study through the real workflow: its files, an architecture of its own, the report."""

import re
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
import tiny_study
import yaml
from scipy import stats
from snakemake_runs import ROOT, planned_jobs, run_snakemake
from tiny_study import CONFIG, changed

from degu.io.card import Card
from degu.models.files import load_model
from degu.sweep import derive_seed


def test_the_tree_is_the_documented_one(results):
    standard, half = results / "standard/downsample_1", results / "standard/downsample_0.5"
    evoaug = results / "evoaug/downsample_1"

    def members(folder):
        return sorted(p.name for p in folder.iterdir())

    def files(ix, *stages):
        model = [f"{ix}_Small{stage}.h5" for stage in stages]
        history = [f"{ix}_history{stage}.csv" for stage in stages]
        return [*model, *history, *(f"{ix}_performance{s}.csv" for s in stages)]

    predictions = [f"{ix}_predictions.h5" for ix in (1, 2, 3, 4)]
    assert members(standard / "teachers") == sorted(
        predictions + [name for ix in (1, 2, 3, 4) for name in files(ix, "")]
    )
    assert members(half / "teachers") == sorted(predictions[:2] + files(1, "") + files(2, ""))
    assert members(evoaug / "teachers") == sorted(
        predictions[:2] + files(1, "_aug", "_finetune") + files(2, "_aug", "_finetune")
    )
    repaired = [*predictions[:1], "1_recalibration.json"]
    assert members(standard / "students/n4/std") == sorted(repaired + files(1, ""))
    assert members(evoaug / "students/n2/std") == sorted(repaired + files(1, "_aug", "_finetune"))
    assert members(half / "uncertainty") == [
        f"n2_{n}" for n in ("curves.csv", "draws.npy", "summary.csv")
    ]
    assert members(standard / "ensemble") == ["n2", "n4"]
    assert members(standard / "ensemble/n2") == [
        "ensemble_avg_y_train.npy",
        "ensemble_performance_avg.csv",
        "ensemble_std_test.npy",
        "ensemble_std_train.npy",
        "ensemble_std_val.npy",
        "fidelity.csv",
    ]
    # As in the list of outputs of the second document; histories are tables and no pickles.
    assert members(standard / "students/n2/dynamic") == [
        "1_Small_evoaug_append_aug.h5",
        "1_Small_evoaug_append_finetune.h5",
        "1_evoaug_append_history_aug.csv",
        "1_evoaug_append_history_finetune.csv",
        "1_evoaug_append_performance_aug.csv",
        "1_evoaug_append_performance_finetune.csv",
        "1_evoaug_append_predictions.h5",
        "1_evoaug_append_recalibration.json",
    ]
    shift = standard / "shift"
    assert members(shift / "teachers") == predictions
    assert members(shift / "n4-std") == predictions[:1]
    assert members(shift / "n2-dynamic") == ["1_evoaug_append_predictions.h5"]
    assert (results / "shift.h5").is_file()


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
    for ix in (1, 2, 3, 4):
        with h5py.File(arm / f"teachers/{ix}_predictions.h5") as file:
            members.append(file["Test"][:].astype(float))
    for size in (2, 4):
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


def test_every_model_has_a_seed_of_its_own(results):
    models = {}
    for path in results.glob("**/*_Small*.h5"):
        with h5py.File(path) as file:
            models[str(path.relative_to(results))] = int(file.attrs["degu_seed"])
    # 6 standard and 2 × 2 EvoAug teachers; 3 and 2 such students; 2 with dynamic augmentation.
    assert len(models) == 17
    assert len(set(models.values())) == 17
    # printf '1234|dynamic student|augmentation=standard|member=1|proportion=1|size=2|'\
    # 'variant=evoaug_append' | sha256sum
    path = "standard/downsample_1/students/n2/dynamic/1_Small_evoaug_append_aug.h5"
    assert models[path] == int("d825d8cd", 16) // 2


def test_the_parts_have_their_arms_of_the_summary(results):
    summary = pd.read_csv(results / "summary.csv", dtype={"variant": str, "stage": str})
    whole = summary[summary["shift"].isna() & (summary["role"] != "assay")]
    arms = {
        "size_sweep": [("standard", 1, 2), ("standard", 1, 4)],
        "downsampling": [("standard", 1, 2), ("standard", 0.5, 2)],
        "evoaug": [("standard", 1, 2), ("evoaug", 1, 2)],
        "dynamic_augmentation": [("standard", 1, 2)],
    }
    assert {path.stem for path in (results / "summaries").iterdir()} == set(arms)
    for part, wanted in arms.items():
        rows = pd.read_csv(results / f"summaries/{part}.csv", dtype={"variant": str, "stage": str})
        rows = rows[rows["role"] != "assay"]
        chosen = whole.iloc[:0]
        for augmentation, proportion, size in wanted:
            pool = whole[
                (whole["augmentation"] == augmentation) & (whole["proportion"] == proportion)
            ]
            own = (pool["size"] == size) | ((pool["role"] == "teacher") & (pool["member"] <= size))
            chosen = pd.concat([chosen, pool[own]])
        if part != "dynamic_augmentation":
            chosen = chosen[chosen["variant"].isna()]
            # An arm has one table of these, with its students of every kind.
            chosen = chosen[chosen["role"] != "std_of_mean"]
            chosen = chosen[chosen["metric"] != "Fidelity_partial"]
        chosen = chosen.drop_duplicates()
        columns = list(rows.columns)
        pd.testing.assert_frame_equal(
            rows.sort_values(columns).reset_index(drop=True),
            chosen.sort_values(columns).reset_index(drop=True),
            check_dtype=False,
        )


def test_the_summary_holds_every_number_once(results):
    summary = pd.read_csv(results / "summary.csv")
    assert list(summary.columns) == [
        *("role", "augmentation", "proportion", "size", "member", "stage", "variant"),
        *("uncertainty", "shift", "target", "head", "ddof", "metric", "value"),
    ]
    assert not summary.duplicated(summary.columns[:-1].tolist()).any()
    assert np.isfinite(summary["value"]).all()
    unshifted = summary[summary["shift"].isna()]
    final = unshifted[unshifted["stage"].isna() & (unshifted["metric"] == "Pearson")]
    counts = final.groupby(["role", "head"]).size()
    # 8 teachers, 4 arms with one student each, one more with dynamic augmentation; two targets.
    assert counts.to_dict() == {
        ("teacher", "mean"): 16,
        ("ensemble", "mean"): 8,
        ("student", "mean"): 10,
        ("student", "std"): 10,
        ("std_of_mean", "std"): 8,
    }
    partial = unshifted[unshifted["metric"] == "Fidelity_partial"]
    assert partial["role"].tolist() == ["student"] * 10
    before = summary[(summary["stage"] == "aug") & (summary["metric"] == "Pearson")]
    assert before.groupby("role").size().to_dict() == {"teacher": 4, "student": 8}
    # Each number is that of its file.
    row = final[(final["role"] == "student") & (final["size"] == 4) & (final["head"] == "std")]
    path = results / "standard/downsample_1/students/n4/std/1_performance.csv"
    table = pd.read_csv(path).set_index("metric")
    expected = table.loc["Pearson", ["Dev-std", "Hk-std"]].tolist()
    assert row.sort_values("target")["value"].tolist() == expected
    spread = unshifted[(unshifted["metric"] == "Mean") & (unshifted["size"] == 4)]
    by_ddof = spread.groupby("ddof")["value"].sum()
    assert by_ddof[1] / by_ddof[0] == pytest.approx(np.sqrt(4 / 3))


def test_shifted_sequences_are_scored_against_the_arms_own_teachers(results):
    """One number of each kind, from the prediction files by NumPy and SciPy."""
    arm = results / "standard/downsample_1"

    def read(path, name):
        with h5py.File(arm / path) as file:
            return file[name][:].astype(float)

    teachers = [read(f"shift/teachers/{ix}_predictions.h5", "large") for ix in (1, 2)]
    student = read("shift/n2-std/1_predictions.h5", "large")
    dynamic = read("shift/n2-dynamic/1_evoaug_append_predictions.h5", "large")
    assert student.shape == (2 * 80, 4)
    mean, std = np.mean(teachers, axis=0), np.std(teachers, axis=0)
    summary = pd.read_csv(results / "summary.csv")
    rows = summary[
        (summary["augmentation"] == "standard")
        & (summary["proportion"] == 1)
        & (summary["size"] == 2)
        & (summary["shift"] == "large")
        & (summary["target"] == "Hk")
    ]

    def number(role, head, metric, member=1, variant=None, ddof=None):
        found = rows[(rows["role"] == role) & (rows["head"] == head) & (rows["metric"] == metric)]
        for name, wanted in {"member": member, "variant": variant, "ddof": ddof}.items():
            found = found[found[name].isna() if wanted is None else found[name] == wanted]
        return found["value"].item()

    for values, who in (
        (teachers[1], {"role": "teacher", "member": 2, "ddof": 0}),
        (student, {"role": "student"}),
        (dynamic, {"role": "student", "variant": "evoaug_append"}),
    ):
        error = np.mean((values[:, 1] - mean[:, 1]) ** 2)
        assert number(head="mean", metric="MSE_to_ensemble", **who) == pytest.approx(
            error, rel=1e-4
        )
    fidelity = stats.pearsonr(student[:, 3], std[:, 1]).statistic
    assert number("student", "std", "Pearson") == pytest.approx(fidelity, rel=1e-3)
    spread = number("ensemble", "std", "Mean", member=None, ddof=0)
    assert spread == pytest.approx(std[:, 1].mean(), rel=1e-4)


def test_performance_tables_are_of_the_predictions(results):
    """The mean head against the assay, the other one against the ensemble's std, by SciPy."""
    arm = results / "standard/downsample_1"
    with h5py.File(results / "dataset.h5") as file:
        truth = np.hstack([file["Test/y"][:], np.load(arm / "ensemble/n2/ensemble_std_test.npy")])

    def predictions(path):
        with h5py.File(arm / path) as file:
            return file["Test"][:].astype(float)

    teachers = [predictions(f"teachers/{ix}_predictions.h5") for ix in (1, 2)]
    dynamic = predictions("students/n2/dynamic/1_evoaug_append_predictions.h5")
    for path, values in {
        "teachers/2_performance.csv": teachers[1],
        "ensemble/n2/ensemble_performance_avg.csv": np.mean(teachers, axis=0),
        "students/n2/std/1_performance.csv": predictions("students/n2/std/1_predictions.h5"),
        "students/n2/dynamic/1_evoaug_append_performance_finetune.csv": dynamic,
    }.items():
        table = pd.read_csv(arm / path, index_col="metric")
        assert list(table.index) == ["MSE", "Pearson", "Spearman"]
        assert list(table.columns) == ["Dev", "Hk", "Dev-std", "Hk-std"][: values.shape[1]]
        for i, name in enumerate(table.columns):
            expected = [
                np.mean((values[:, i] - truth[:, i]) ** 2),
                stats.pearsonr(values[:, i], truth[:, i]).statistic,
                stats.spearmanr(values[:, i], truth[:, i]).statistic,
            ]
            np.testing.assert_allclose(table[name], expected, rtol=1e-4, err_msg=f"{path} {name}")


def test_finetuning_starts_from_the_augmented_model(results):
    folder = results / "evoaug/downsample_1/teachers"
    augmented, _ = load_model(folder / "1_Small_aug.h5")
    tuned, _ = load_model(folder / "1_Small_finetune.h5")
    moved = np.abs(augmented.get_weights()[0] - tuned.get_weights()[0])
    # Two epochs of 3 steps of Adam at 1e-4 move no weight by more than about 6e-4.
    assert 0 < moved.max() < 1e-3


def test_a_model_of_another_arm_is_refused_by_name(copy):
    teachers = copy / "results/tiny/standard"
    shutil.copy(
        teachers / "downsample_0.5/teachers/1_Small.h5",
        teachers / "downsample_1/teachers/1_Small.h5",
    )
    predictions = "results/tiny/standard/downsample_1/teachers/1_predictions.h5"
    done = run_snakemake(copy, CONFIG, "--", predictions, check=False)
    assert done.returncode != 0
    log = copy / "results/tiny/logs/predict_teacher/standard_1_1.log"
    error = log.read_text().splitlines()[-1]
    assert error.startswith("error: ")
    assert "downsample_1/teachers/1_Small.h5 has proportion 0.5, where 1.0 is needed" in error


@pytest.mark.long
@pytest.mark.ci
def test_another_order_of_jobs_gives_the_same_bits(folder, tmp_path):
    """One core and one student first, against two cores and the whole grid."""
    arm = "results/tiny/standard/downsample_1"
    config = changed(arms=[{"ensemble_sizes": [2]}])
    wanted = (
        f"{arm}/students/n2/std/1_performance.csv",
        f"{arm}/students/n2/dynamic/1_Small_evoaug_append_finetune.h5",
    )
    run_snakemake(tiny_study.write_architecture(tmp_path), config, "--", *wanted, cores=1)
    for name in (
        "teachers/1_Small.h5",
        "teachers/2_Small.h5",
        "students/n2/std/1_Small.h5",
        "students/n2/dynamic/1_Small_evoaug_append_aug.h5",
        "students/n2/dynamic/1_Small_evoaug_append_finetune.h5",
    ):
        ours, theirs = (load_model(base / arm / name)[0] for base in (folder, tmp_path))
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    for name in ("teachers/2_history.csv", "students/n2/std/1_performance.csv"):
        assert (folder / arm / name).read_bytes() == (tmp_path / arm / name).read_bytes()


def test_the_guides_commands_plan_what_they_say(tmp_path):
    guide = (ROOT / "docs/guide.md").read_text()
    line = re.search(r"^snakemake (teachers .*?) +#", guide, re.MULTILINE).group(1)
    tiny_study.write_architecture(tmp_path)
    (tmp_path / "guide.yaml").write_text(yaml.safe_dump(CONFIG))
    arguments = line.replace("my_assay.yaml", "guide.yaml").split()
    done = run_snakemake(tmp_path, None, *arguments, "--dry-run", "--quiet", "rules")
    assert planned_jobs(done.stdout)["train_teacher"] == 6
    assert "train_student" not in planned_jobs(done.stdout)


def test_the_report_opens_without_a_network(copy):
    run_snakemake(copy, CONFIG, "--report", "report.html")
    page = (copy / "report.html").read_text()
    for name in ("performance.png", "fidelity_vs_size.png", "evoaug.png", "summary.csv"):
        assert name in page
    assert "shift_distribution" in page
