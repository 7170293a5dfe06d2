"""What the maps of an arm's models say, in tables and figures."""


rule evaluate_attribution:
    input:
        sequences=ATTRIBUTION_SEQUENCES,
        teachers=lambda w: [path for path, _ in arm_maps(w, "teacher")],
        students=lambda w: [path for path, _ in arm_maps(w, "student")],
    output:
        maps=ATTRIBUTION_ARM,
        table=ATTRIBUTION_TABLE,
        students=student_files(MAPS_STUDENTS),
    log:
        f"{LOGS}/evaluate_attribution/{ENSEMBLE_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_attribution/{ENSEMBLE_JOB}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        arm=lambda w: asdict(arm_of(w)[0]),
        teachers=lambda w: [identity for _, identity in arm_maps(w, "teacher")],
        students=lambda w: [identity for _, identity in arm_maps(w, "student")],
        stage=STAGES["attribution analysis"],
    script:
        "../workflow/scripts/evaluate_attribution.py"


rule summarize_attribution:
    input:
        tables=[ATTRIBUTION_TABLE.format(**arm.wildcards) for arm in ATTRIBUTION_ARMS],
    output:
        summary=report(
            f"{RESULTS}/attribution_summary.csv",
            caption="../workflow/report/attribution_summary.rst",
            category="Tables",
            labels={"content": "every number about attribution"},
        ),
    log:
        f"{LOGS}/summarize_attribution.log",
    benchmark:
        f"{BENCHMARKS}/summarize_attribution.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        stage=STAGES["attribution analysis"],
    script:
        "../workflow/scripts/summarize_attribution.py"
