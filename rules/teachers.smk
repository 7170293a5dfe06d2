"""Teachers: trained once for the largest ensemble of their pool, predicted once."""

TEACHER_PERFORMANCE = list(pool_members(POOL + "/teachers/{ix}_performance.csv"))
TEACHER_FILES = [path for path, _ in TEACHER_PERFORMANCE]


rule train_teacher:
    input:
        dataset=DATASET,
        subset=f"{POOL}/subset.npy",
    output:
        model=POOL + "/teachers/{ix}_" + MODEL + ".h5",
        history=POOL + "/teachers/{ix}_history.csv",
    log:
        LOGS + "/train_teacher/{augmentation}_{proportion}_{ix}.log",
    benchmark:
        BENCHMARKS + "/train_teacher/{augmentation}_{proportion}_{ix}.tsv"
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
        model=POOL + "/teachers/{ix}_" + MODEL + ".h5",
    output:
        predictions=POOL + "/teachers/{ix}_predictions.h5",
        performance=POOL + "/teachers/{ix}_performance.csv",
    log:
        LOGS + "/predict_teacher/{augmentation}_{proportion}_{ix}.log",
    benchmark:
        BENCHMARKS + "/predict_teacher/{augmentation}_{proportion}_{ix}.tsv"
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
        "../workflow/scripts/predict_teacher.py"
