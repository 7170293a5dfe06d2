"""Students: each learns an ensemble's mean and its std, or the logarithm of its variance."""

STUDENTS = f"{POOL}/students/n{{size}}/{{uncertainty}}"


rule train_student:
    input:
        dataset=DATASET,
        subset_sequences=subset_sequences,
        distillation=DISTILLATION,
    output:
        model=f"{STUDENTS}/{{ix}}_{MODEL}.h5",
        history=f"{STUDENTS}/{{ix}}_history.csv",
    log:
        f"{LOGS}/train_student/{STUDENT_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/train_student/{STUDENT_JOB}.tsv"
    wildcard_constraints:
        augmentation="standard",
    conda:
        ENVIRONMENT
    threads: config["compute_threads"]
    resources:
        **REQUESTS["train"],
        gpu=RESOURCES["train"]["gpu"],
    params:
        architecture=config["model"],
        architecture_source=ARCHITECTURE_SOURCE,
        uncertainty=lambda wildcards: wildcards.uncertainty,
        training=config["student_training"],
        seed=member_seed("student"),
        compute_threads=config["compute_threads"],
        stage=STAGES["train"],
    script:
        "../workflow/scripts/train_student.py"


rule predict_student:
    input:
        dataset=DATASET,
        subset=f"{POOL}/subset.npy",
        std_test=f"{ENSEMBLE}/ensemble_std_test.npy",
        model=f"{STUDENTS}/{{ix}}_{MODEL}.h5",
    output:
        predictions=f"{STUDENTS}/{{ix}}_predictions.h5",
        performance=f"{STUDENTS}/{{ix}}_performance.csv",
    log:
        f"{LOGS}/predict_student/{STUDENT_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/predict_student/{STUDENT_JOB}.tsv"
    wildcard_constraints:
        augmentation="standard",
    conda:
        ENVIRONMENT
    threads: config["compute_threads"]
    resources:
        **REQUESTS["predict"],
        gpu=RESOURCES["predict"]["gpu"],
    params:
        architecture=config["model"],
        uncertainty=lambda wildcards: wildcards.uncertainty,
        compute_threads=config["compute_threads"],
        stage=STAGES["predict"],
    script:
        "../workflow/scripts/predict_student.py"
