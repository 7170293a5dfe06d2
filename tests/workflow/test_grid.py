"""The paper's whole grid plans exactly the jobs that it should."""

from snakemake_runs import ROOT, planned_jobs, run_snakemake


def test_the_papers_grid_plans_its_jobs(tmp_path):
    config = (ROOT / "config/deepstarr.yaml").read_text()
    done = run_snakemake(tmp_path, config, "--dry-run", "--quiet", "rules")
    # Eight sizes at p = 1 and ten pools of size 10, of which (standard, 1, 10) is in both: 17 arms.
    standard_teachers = 25 + 4 * 10
    evoaug_teachers = 5 * 10
    standard_arms, evoaug_arms = 8 + 4, 5
    students = 2 * 10
    assert planned_jobs(done.stdout) == {
        "download": 1,
        "ingest": 1,
        "subset": 10,
        "subset_sequences": 4,
        "train_teacher": standard_teachers,
        "train_teacher_evoaug": evoaug_teachers,
        "finetune_teacher": evoaug_teachers,
        "predict_teacher": standard_teachers,
        "predict_teacher_evoaug": evoaug_teachers,
        "aggregate_ensemble": 17,
        "distillation_data": 17,
        "train_student": standard_arms * students,
        "train_student_evoaug": evoaug_arms * students,
        "finetune_student": evoaug_arms * students,
        "predict_student": standard_arms * students,
        "predict_student_evoaug": evoaug_arms * students,
        "summarize": 1,
        "plot_performance": 1,
        "all": 1,
    }
