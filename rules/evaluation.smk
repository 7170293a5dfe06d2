"""All numbers of the study in tidy tables: of the whole, and of each part that has a target."""


rule summarize:
    input:
        dataset=DATASET,
        teachers=lambda w: [path for path, _ in part_members(w, "teacher")],
        ensembles=lambda w: part_ensembles(w, ENSEMBLE_PERFORMANCE),
        ensemble_std=lambda w: part_ensembles(w, ENSEMBLE_STD),
        students=lambda w: [path for path, _ in part_members(w, "student")],
        shift=part_shift,
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
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        targets=TARGETS,
        teachers=lambda w: [identity for _, identity in part_members(w, "teacher")],
        ensembles=lambda w: [asdict(arm) for arm in PART_ARMS[w.get("part", "all")]],
        students=lambda w: [identity for _, identity in part_members(w, "student")],
        stage=STAGES["summarize"],
    script:
        "../workflow/scripts/summarize.py"


use rule summarize as summarize_part with:
    output:
        summary=f"{RESULTS}/summaries/{{part}}.csv",
    log:
        f"{LOGS}/summarize_part/{{part}}.log",
    benchmark:
        f"{BENCHMARKS}/summarize_part/{{part}}.tsv"
    wildcard_constraints:
        part="|".join(part for part in PART_ARMS if part != "all"),


rule evaluate_shift:
    input:
        sequences=SHIFT_FILE,
        ensemble=SHIFT_ENSEMBLE,
        teachers_test=lambda w: [test for test, _, _ in shift_teachers(arm_of(w))],
        teachers=lambda w: [shifted for _, shifted, _ in shift_teachers(arm_of(w))],
        students_test=lambda w: [test for test, _, _ in shift_students(arm_of(w))],
        students=lambda w: [shifted for _, shifted, _ in shift_students(arm_of(w))],
    output:
        table=SHIFT_TABLE,
    log:
        f"{LOGS}/evaluate_shift/{ENSEMBLE_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_shift/{ENSEMBLE_JOB}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        arm=lambda w: asdict(arm_of(w)[0]),
        teachers=lambda w: [identity for _, _, identity in shift_teachers(arm_of(w))],
        students=lambda w: [identity for _, _, identity in shift_students(arm_of(w))],
        stage=STAGES["summarize"],
    script:
        "../workflow/scripts/evaluate_shift.py"
