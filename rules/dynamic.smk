"""Students trained on sequences that are augmented on the fly and labelled by their ensemble."""

DYNAMIC = f"{POOL}/students/n{{size}}/dynamic"


rule train_dynamic_student:
    input:
        dataset=DATASET,
        subset_sequences=subset_sequences,
        distillation=DISTILLATION,
        teachers=teacher_models,
    output:
        model=f"{DYNAMIC}/{{ix}}_{MODEL}_{{variant}}_aug.h5",
        history=f"{DYNAMIC}/{{ix}}_{{variant}}_history_aug.csv",
    log:
        f"{LOGS}/train_dynamic_student/{DYNAMIC_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/train_dynamic_student/{DYNAMIC_JOB}.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute_threads"]
    resources:
        **REQUESTS["train"],
        gpu=RESOURCES["train"]["gpu"],
    params:
        architecture=config["model"],
        architecture_source=ARCHITECTURE_SOURCE,
        uncertainty=DYNAMIC_SETTINGS["uncertainty"],
        # Only what the mode goes by, so that another mode's settings retrain nothing.
        augmentation=lambda wildcards: {
            "random": {},
            "mutagenesis": {"mutagenesis": DYNAMIC_SETTINGS["mutagenesis"]},
            "evoaug": {
                "evoaug": EVOAUG_LIST,
                "per_batch": DYNAMIC_SETTINGS["per_batch"],
            },
        }[Variant.parse(wildcards.variant).mode],
        training=config["student_training"],
        seed=member_seed("dynamic student"),
        compute_threads=config["compute_threads"],
        stage=STAGES["train"],
    script:
        "../workflow/scripts/train_dynamic_student.py"


use rule finetune_student as finetune_dynamic_student with:
    input:
        dataset=DATASET,
        subset_sequences=subset_sequences,
        distillation=DISTILLATION,
        model=f"{DYNAMIC}/{{ix}}_{MODEL}_{{variant}}_aug.h5",
    output:
        model=f"{DYNAMIC}/{{ix}}_{MODEL}_{{variant}}_finetune.h5",
        history=f"{DYNAMIC}/{{ix}}_{{variant}}_history_finetune.csv",
    log:
        f"{LOGS}/finetune_dynamic_student/{DYNAMIC_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/finetune_dynamic_student/{DYNAMIC_JOB}.tsv"
    wildcard_constraints:
        augmentation="standard|evoaug",
    params:
        uncertainty=DYNAMIC_SETTINGS["uncertainty"],
        training=config["dynamic_finetuning"],
        seed=member_seed("dynamic student finetuning"),


use rule predict_student as predict_dynamic_student with:
    input:
        dataset=DATASET,
        subset=f"{POOL}/subset.npy",
        std_test=ENSEMBLE_STD,
        model=f"{DYNAMIC}/{{ix}}_{MODEL}_{{variant}}_finetune.h5",
        model_aug=f"{DYNAMIC}/{{ix}}_{MODEL}_{{variant}}_aug.h5",
    output:
        predictions=f"{DYNAMIC}/{{ix}}_{{variant}}_predictions.h5",
        performance=f"{DYNAMIC}/{{ix}}_{{variant}}_performance_finetune.csv",
        performance_aug=f"{DYNAMIC}/{{ix}}_{{variant}}_performance_aug.csv",
    log:
        f"{LOGS}/predict_dynamic_student/{DYNAMIC_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/predict_dynamic_student/{DYNAMIC_JOB}.tsv"
    wildcard_constraints:
        augmentation="standard|evoaug",
    params:
        uncertainty=DYNAMIC_SETTINGS["uncertainty"],
