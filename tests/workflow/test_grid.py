"""The paper's whole grid plans exactly the jobs that it should."""

import pytest
from snakemake_runs import ROOT, planned_jobs, run_snakemake

UNCERTAINTY = ("reliability", "coverage", "width", "pit", "sparsification", "shift", "table")


def test_the_papers_grid_plans_its_jobs(tmp_path):
    config = (ROOT / "config/deepstarr.yaml").read_text()
    done = run_snakemake(tmp_path, config, "--dry-run", "--quiet", "rules")
    # Eight sizes at p = 1 and ten pools of size 10, of which (standard, 1, 10) is in both: 17 arms.
    standard_teachers = 25 + 4 * 10
    evoaug_teachers = 5 * 10
    standard_arms, evoaug_arms = 8 + 4, 5
    teachers, arms = standard_teachers + evoaug_teachers, standard_arms + evoaug_arms
    students = 2 * 10
    # Three modes, each with two kinds of batches, for one arm.
    dynamic = 3 * 2 * 10
    # Every ensemble of ten gets maps, by three methods.
    mapped = 5 + 5
    assert planned_jobs(done.stdout) == {
        "download": 1,
        "ingest": 1,
        "subset": 10,
        "subset_sequences": 4,
        "train_teacher": standard_teachers,
        "train_teacher_evoaug": evoaug_teachers,
        "finetune_teacher": evoaug_teachers,
        "predict_teacher": teachers,
        "score_teacher": standard_teachers,
        "score_teacher_evoaug": evoaug_teachers,
        "aggregate_ensemble": arms,
        "score_ensemble": arms,
        "score_fidelity": arms,
        "recalibrate_student": arms * 2,
        "recalibrate_dynamic_student": 3 * 2,
        "score_uncertainty_arm": arms,
        "summarize_uncertainty": 1,
        **{f"plot_uncertainty_{name}": arms for name in UNCERTAINTY},
        "distillation_data": arms,
        "train_student": standard_arms * students,
        "train_student_evoaug": evoaug_arms * students,
        "finetune_student": evoaug_arms * students,
        # The ten students of a kind are predicted with and scored by one job.
        "predict_student": arms * 2,
        "score_student": standard_arms * 2,
        "score_student_evoaug": evoaug_arms * 2,
        "train_dynamic_student": dynamic,
        "finetune_dynamic_student": dynamic,
        "predict_dynamic_student": 3 * 2,
        "score_dynamic_student": 3 * 2,
        "shift_sequences": 1,
        "predict_shift_teacher": teachers,
        "predict_shift_student": arms * 2,
        "predict_shift_dynamic_student": 3 * 2,
        "aggregate_shift": arms,
        "evaluate_shift": arms,
        "plot_shift": arms,
        "plot_shift_distribution": arms,
        "attribution_sequences": 1,
        "attribute_teacher": mapped * 10 * 3,
        "attribute_student": mapped * students * 3,
        "average_attribution": mapped,
        "attribution_distance": mapped * 10,
        "evaluate_attribution": mapped,
        "summarize_attribution": 1,
        "plot_attribution": mapped,
        "plot_attribution_bins": mapped,
        "plot_attribution_scatter": mapped,
        # Two targets.
        "plot_attribution_logos": mapped * 2 * 3,
        "summarize": 1,
        "summarize_size_sweep": 1,
        "summarize_downsampling": 1,
        "summarize_evoaug": 1,
        "summarize_dynamic_augmentation": 1,
        "plot_performance": 1,
        "plot_performance_vs_size": 1,
        "plot_fidelity_vs_size": 1,
        "plot_performance_vs_proportion": 1,
        "plot_fidelity_vs_proportion": 1,
        "plot_evoaug": 1,
        "plot_dynamic_augmentation": 1,
        "all": 1,
    }


# A grid of the same shape, on which Snakemake plans a part within seconds.
GRID = {
    "baselines": [],
    "arms": [
        {"ensemble_sizes": [2, 3, 4]},
        {"augmentations": ["standard", "evoaug"], "proportions": [0.5, 1], "ensemble_sizes": [2]},
    ],
    "students": {"replicates": 2, "uncertainty": ["std", "logvar"]},
    "dynamic_augmentation": {
        "modes": ["random", "evoaug"],
        "batches": ["replace", "append"],
        "arms": [{"augmentations": ["standard"], "proportions": [1], "ensemble_sizes": [2]}],
    },
    "attribution": {"methods": ["saliency"], "arms": [{"ensemble_sizes": [2]}]},
}
# What a person gets who asks for one part: its members, and nothing of the others.
PARTS = {
    # The pool of four teachers, whose three ensembles have four students each.
    "size_sweep": {"train_teacher": 4, "train_student": 3 * 4},
    # Four pools of two teachers: of the pool of four, only what the ensemble of two needs.
    "downsampling": {
        "train_teacher": 4,
        "train_teacher_evoaug": 4,
        "train_student": 2 * 4,
        "train_student_evoaug": 2 * 4,
    },
    "evoaug": {
        "train_teacher": 4,
        "train_teacher_evoaug": 4,
        "train_student": 2 * 4,
        "train_student_evoaug": 2 * 4,
    },
    "dynamic_augmentation": {
        "train_teacher": 2,
        "train_student": 4,
        "train_dynamic_student": 2 * 2 * 2,
    },
    "shift": {
        "train_teacher": 6,
        "train_teacher_evoaug": 4,
        "train_student": 4 * 4,
        "train_student_evoaug": 2 * 4,
        "train_dynamic_student": 8,
        "predict_shift_teacher": 10,
        "predict_shift_student": 6 * 2,
        "predict_shift_dynamic_student": 4,
    },
    "attribution": {
        "train_teacher": 4,
        "train_teacher_evoaug": 4,
        "train_student": 2 * 4,
        "train_student_evoaug": 2 * 4,
    },
    "teachers": {"train_teacher": 6, "train_teacher_evoaug": 4},
    "students": {
        "train_teacher": 6,
        "train_teacher_evoaug": 4,
        "train_student": 4 * 4,
        "train_student_evoaug": 2 * 4,
        "train_dynamic_student": 8,
    },
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_plans_its_own_members_only(tmp_path, part):
    done = run_snakemake(tmp_path, GRID, "--dry-run", part, "--quiet", "rules")
    jobs = planned_jobs(done.stdout)
    trained = {name: n for name, n in jobs.items() if name.startswith(("train_", "predict_shift"))}
    assert trained == PARTS[part]
    assert "summarize" not in jobs


def test_a_part_that_a_study_does_not_have_is_a_sentence(tmp_path):
    for part in ("size_sweep", "downsampling", "evoaug", "dynamic_augmentation"):
        done = run_snakemake(tmp_path, "seed: 1", "--dry-run", part, check=False)
        assert done.returncode != 0
        assert (
            done.stdout.rstrip().splitlines()[-1].startswith(f"error in the config: {part} needs ")
        )
        assert "Traceback" not in done.stdout


def test_a_study_may_do_without_maps(tmp_path):
    config = "attribution: {methods: []}"
    done = run_snakemake(tmp_path, config, "--dry-run", "--quiet", "rules")
    assert not [job for job in planned_jobs(done.stdout) if "attribut" in job]
    done = run_snakemake(tmp_path, config, "--dry-run", "attribution", check=False)
    assert done.stdout.rstrip().endswith("list some in attribution.methods.")


def test_a_study_may_be_called_what_its_files_are_called(tmp_path):
    done = run_snakemake(tmp_path, "dataset: peak_performance", "--dry-run", "--quiet", "rules")
    assert planned_jobs(done.stdout)["train_teacher"] == 8
