"""EvoAug: members trained on augmented sequences, then fine-tuned on the sequences themselves."""


use rule train_teacher as train_teacher_evoaug with:
    output:
        model=f"{TEACHERS}/{{ix}}_{MODEL}_aug.h5",
        history=f"{TEACHERS}/{{ix}}_history_aug.csv",
    log:
        f"{LOGS}/train_teacher_evoaug/{TEACHER_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/train_teacher_evoaug/{TEACHER_JOB}.tsv"
    wildcard_constraints:
        augmentation="evoaug",
    params:
        evoaug=EVOAUG,


rule finetune_teacher:
    input:
        dataset=DATASET,
        subset=f"{POOL}/subset.npy",
        model=f"{TEACHERS}/{{ix}}_{MODEL}_aug.h5",
    output:
        model=f"{TEACHERS}/{{ix}}_{MODEL}_finetune.h5",
        history=f"{TEACHERS}/{{ix}}_history_finetune.csv",
    log:
        f"{LOGS}/finetune_teacher/{TEACHER_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/finetune_teacher/{TEACHER_JOB}.tsv"
    wildcard_constraints:
        augmentation="evoaug",
    conda:
        ENVIRONMENT
    threads: config["compute_threads"]
    resources:
        **REQUESTS["train"],
        gpu=RESOURCES["train"]["gpu"],
    params:
        architecture=config["model"],
        training=config["finetuning"],
        seed=member_seed("teacher finetuning"),
        compute_threads=config["compute_threads"],
        stage=STAGES["train"],
    script:
        "../workflow/scripts/finetune_teacher.py"


use rule predict_teacher as predict_teacher_evoaug with:
    input:
        dataset=DATASET,
        subset=f"{POOL}/subset.npy",
        model=f"{TEACHERS}/{{ix}}_{MODEL}_finetune.h5",
        model_aug=f"{TEACHERS}/{{ix}}_{MODEL}_aug.h5",
    output:
        predictions=f"{TEACHERS}/{{ix}}_predictions.h5",
        performance=f"{TEACHERS}/{{ix}}_performance_finetune.csv",
        performance_aug=f"{TEACHERS}/{{ix}}_performance_aug.csv",
    log:
        f"{LOGS}/predict_teacher_evoaug/{TEACHER_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/predict_teacher_evoaug/{TEACHER_JOB}.tsv"
    wildcard_constraints:
        augmentation="evoaug",


use rule train_student as train_student_evoaug with:
    output:
        model=f"{STUDENTS}/{{ix}}_{MODEL}_aug.h5",
        history=f"{STUDENTS}/{{ix}}_history_aug.csv",
    log:
        f"{LOGS}/train_student_evoaug/{STUDENT_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/train_student_evoaug/{STUDENT_JOB}.tsv"
    wildcard_constraints:
        augmentation="evoaug",
    params:
        evoaug=EVOAUG,


rule finetune_student:
    input:
        dataset=DATASET,
        subset_sequences=subset_sequences,
        distillation=DISTILLATION,
        model=f"{STUDENTS}/{{ix}}_{MODEL}_aug.h5",
    output:
        model=f"{STUDENTS}/{{ix}}_{MODEL}_finetune.h5",
        history=f"{STUDENTS}/{{ix}}_history_finetune.csv",
    log:
        f"{LOGS}/finetune_student/{STUDENT_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/finetune_student/{STUDENT_JOB}.tsv"
    wildcard_constraints:
        augmentation="evoaug",
    conda:
        ENVIRONMENT
    threads: config["compute_threads"]
    resources:
        **REQUESTS["train"],
        gpu=RESOURCES["train"]["gpu"],
    params:
        architecture=config["model"],
        uncertainty=lambda wildcards: wildcards.uncertainty,
        training=config["student_finetuning"],
        seed=member_seed("student finetuning"),
        compute_threads=config["compute_threads"],
        stage=STAGES["train"],
    script:
        "../workflow/scripts/finetune_student.py"


use rule predict_student as predict_student_evoaug with:
    input:
        dataset=DATASET,
        subset=f"{POOL}/subset.npy",
        std_test=f"{ENSEMBLE}/ensemble_std_test.npy",
        model=f"{STUDENTS}/{{ix}}_{MODEL}_finetune.h5",
        model_aug=f"{STUDENTS}/{{ix}}_{MODEL}_aug.h5",
    output:
        predictions=f"{STUDENTS}/{{ix}}_predictions.h5",
        performance=f"{STUDENTS}/{{ix}}_performance_finetune.csv",
        performance_aug=f"{STUDENTS}/{{ix}}_performance_aug.csv",
    log:
        f"{LOGS}/predict_student_evoaug/{STUDENT_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/predict_student_evoaug/{STUDENT_JOB}.tsv"
    wildcard_constraints:
        augmentation="evoaug",
