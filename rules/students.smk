"""Students: each learns an ensemble's mean and its std, or the logarithm of its variance."""

STUDENTS = POOL + "/students/n{size}/{uncertainty}"
STUDENT_PERFORMANCE = list(arm_students(f"{STUDENTS}/{{ix}}_performance.csv"))
STUDENT_FILES = [path for path, _ in STUDENT_PERFORMANCE]


rule train_student:
    input:
        dataset=DATASET,
        subset_sequences=subset_sequences,
        distillation=DISTILLATION,
    output:
        model=STUDENTS + "/{ix}_" + MODEL + ".h5",
        history=STUDENTS + "/{ix}_history.csv",
    log:
        LOGS
        + "/train_student/{augmentation}_{proportion}_n{size}_{uncertainty}_{ix}.log",
    benchmark:
        (
            BENCHMARKS
            + "/train_student/{augmentation}_{proportion}_n{size}_{uncertainty}_{ix}.tsv"
        )
    wildcard_constraints:
        augmentation="standard",
    conda:
        ENVIRONMENT
    threads: config["compute_threads"]
    resources:
        gpu=RESOURCES["train"]["gpu"],
        mem_mb=RESOURCES["train"]["mem_mb"],
        runtime=RESOURCES["train"]["runtime"],
    params:
        architecture=config["model"],
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
        model=STUDENTS + "/{ix}_" + MODEL + ".h5",
    output:
        predictions=STUDENTS + "/{ix}_predictions.h5",
        performance=STUDENTS + "/{ix}_performance.csv",
    log:
        LOGS
        + "/predict_student/{augmentation}_{proportion}_n{size}_{uncertainty}_{ix}.log",
    benchmark:
        (
            BENCHMARKS
            + "/predict_student/{augmentation}_{proportion}_n{size}_{uncertainty}_{ix}.tsv"
        )
    wildcard_constraints:
        augmentation="standard",
    conda:
        ENVIRONMENT
    threads: config["compute_threads"]
    resources:
        gpu=RESOURCES["predict"]["gpu"],
        mem_mb=RESOURCES["predict"]["mem_mb"],
        runtime=RESOURCES["predict"]["runtime"],
    params:
        compute_threads=config["compute_threads"],
        stage=STAGES["predict"],
    script:
        "../workflow/scripts/predict_student.py"
