"""Test sequences made unlike the training sequences, and what every model says of them."""

SHIFT_FILE = f"{RESULTS}/shift.h5"
SHIFT = f"{POOL}/shift"
SHIFT_TEACHER = f"{SHIFT}/teachers/{{ix}}_predictions.h5"
SHIFT_STUDENT = f"{SHIFT}/n{{size}}-{{uncertainty}}/{{ix}}_predictions.h5"
SHIFT_DYNAMIC = f"{SHIFT}/n{{size}}-dynamic/{{ix}}_{{variant}}_predictions.h5"
SHIFT_ENSEMBLE = f"{SHIFT}/n{{size}}-ensemble/predictions.h5"
SHIFT_TABLE = f"{SHIFT}/n{{size}}_summary.csv"


rule shift_sequences:
    input:
        dataset=DATASET,
    output:
        sequences=SHIFT_FILE,
    log:
        f"{LOGS}/shift_sequences.log",
    benchmark:
        f"{BENCHMARKS}/shift_sequences.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        settings=SHIFT_SETTINGS,
        evoaug=EVOAUG_LIST if "moderate" in SHIFT_SETTINGS["kinds"] else None,
        seed=config["seed"],
        stage=STAGES["shift"],
    script:
        "../workflow/scripts/shift_sequences.py"


rule predict_shift:
    input:
        dataset=DATASET,
        sequences=SHIFT_FILE,
        model=final_model(TEACHERS),
    output:
        predictions=SHIFT_TEACHER,
    log:
        f"{LOGS}/predict_shift/{TEACHER_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/predict_shift/{TEACHER_JOB}.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute_threads"]
    resources:
        **REQUESTS["predict"],
        gpu=RESOURCES["predict"]["gpu"],
    params:
        architecture=config["model"],
        role="teacher",
        uncertainty=None,
        compute_threads=config["compute_threads"],
        stage=STAGES["predict"],
    script:
        "../workflow/scripts/predict_shift.py"


use rule predict_shift as predict_shift_student with:
    input:
        dataset=DATASET,
        sequences=SHIFT_FILE,
        model=final_model(STUDENTS),
    output:
        predictions=SHIFT_STUDENT,
    log:
        f"{LOGS}/predict_shift_student/{STUDENT_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/predict_shift_student/{STUDENT_JOB}.tsv"
    params:
        role="student",
        uncertainty=lambda wildcards: wildcards.uncertainty,


use rule predict_shift as predict_shift_dynamic_student with:
    input:
        dataset=DATASET,
        sequences=SHIFT_FILE,
        model=final_model(DYNAMIC),
    output:
        predictions=SHIFT_DYNAMIC,
    log:
        f"{LOGS}/predict_shift_dynamic_student/{DYNAMIC_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/predict_shift_dynamic_student/{DYNAMIC_JOB}.tsv"
    params:
        role="student",
        uncertainty=DYNAMIC_SETTINGS["uncertainty"],


rule aggregate_shift:
    input:
        sequences=SHIFT_FILE,
        predictions=first_members(SHIFT_TEACHER),
    output:
        predictions=SHIFT_ENSEMBLE,
    log:
        f"{LOGS}/aggregate_shift/{ENSEMBLE_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/aggregate_shift/{ENSEMBLE_JOB}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        stage=STAGES["aggregate"],
    script:
        "../workflow/scripts/aggregate_shift.py"
