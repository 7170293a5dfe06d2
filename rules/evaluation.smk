"""All numbers of the study in one tidy table."""

ENSEMBLE_PERFORMANCE = [
    (
        arm_path(f"{ENSEMBLE}/ensemble_performance_avg.csv", arm),
        {
            "augmentation": arm.augmentation,
            "proportion": arm.proportion,
            "size": arm.size,
        },
    )
    for arm in ARMS
]
ENSEMBLE_STD = [arm_path(f"{ENSEMBLE}/ensemble_std_test.npy", arm) for arm in ARMS]


rule summarize:
    input:
        teachers=[path for path, _ in TEACHER_PERFORMANCE],
        ensembles=[path for path, _ in ENSEMBLE_PERFORMANCE],
        ensemble_std=ENSEMBLE_STD,
        students=[path for path, _ in STUDENT_PERFORMANCE],
    output:
        summary=report(
            f"{RESULTS}/summary.csv",
            caption="../workflow/report/summary.rst",
            category="Results",
            labels={"content": "every number of the study"},
        ),
    log:
        f"{LOGS}/summarize.log",
    benchmark:
        f"{BENCHMARKS}/summarize.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=RESOURCES["light"]["gpu"],
        mem_mb=RESOURCES["light"]["mem_mb"],
        runtime=RESOURCES["light"]["runtime"],
    params:
        targets=TARGETS,
        teachers=[identity for _, identity in TEACHER_PERFORMANCE],
        ensembles=[identity for _, identity in ENSEMBLE_PERFORMANCE],
        students=[identity for _, identity in STUDENT_PERFORMANCE],
        stage=STAGES["summarize"],
    script:
        "../workflow/scripts/summarize.py"
