"""All numbers of the study in one tidy table."""


rule summarize:
    input:
        teachers=TEACHER_TABLES,
        ensembles=[
            f"{ENSEMBLE}/ensemble_performance_avg.csv".format(**arm.wildcards)
            for arm in ARMS
        ],
        ensemble_std=[
            f"{ENSEMBLE}/ensemble_std_test.npy".format(**arm.wildcards) for arm in ARMS
        ],
        students=STUDENT_TABLES,
    output:
        summary=report(
            f"{RESULTS}/summary.csv",
            caption="../workflow/report/summary.rst",
            category="Tables",
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
        ensembles=[asdict(arm) for arm in ARMS],
        students=[identity for _, identity in STUDENT_PERFORMANCE],
        stage=STAGES["summarize"],
    script:
        "../workflow/scripts/summarize.py"
