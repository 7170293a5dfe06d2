"""Teachers: trained once for the largest ensemble of their pool, predicted once."""

TEACHERS = f"{POOL}/teachers"


rule train_teacher:
    input:
        dataset=DATASET,
        subset=f"{POOL}/subset.npy",
    output:
        model=f"{TEACHERS}/{{ix}}_{MODEL}.h5",
        history=f"{TEACHERS}/{{ix}}_history.csv",
    log:
        f"{LOGS}/train_teacher/{TEACHER_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/train_teacher/{TEACHER_JOB}.tsv"
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
        training=config["training"],
        seed=member_seed("teacher"),
        compute_threads=config["compute_threads"],
        stage=STAGES["train"],
    script:
        "../workflow/scripts/train_teacher.py"


rule predict_teacher:
    input:
        dataset=DATASET,
        subset=f"{POOL}/subset.npy",
        model=f"{TEACHERS}/{{ix}}_{MODEL}.h5",
    output:
        predictions=f"{TEACHERS}/{{ix}}_predictions.h5",
        performance=f"{TEACHERS}/{{ix}}_performance.csv",
    log:
        f"{LOGS}/predict_teacher/{TEACHER_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/predict_teacher/{TEACHER_JOB}.tsv"
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
        compute_threads=config["compute_threads"],
        stage=STAGES["predict"],
    script:
        "../workflow/scripts/predict_teacher.py"
