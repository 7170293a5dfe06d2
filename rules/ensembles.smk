"""Ensembles of every size from the same member predictions, and what students learn from them."""

ENSEMBLE = f"{POOL}/ensemble/n{{size}}"
DISTILLATION = (
    f"{POOL}/distillation/n{{size}}/all_data_with_ensemble_metrics_hierarchical.h5"
)
ENSEMBLE_PERFORMANCE = f"{ENSEMBLE}/ensemble_performance_avg.csv"
ENSEMBLE_STD = f"{ENSEMBLE}/ensemble_std_test.npy"


rule aggregate_ensemble:
    input:
        dataset=DATASET,
        predictions=first_members(f"{TEACHERS}/{{ix}}_predictions.h5"),
    output:
        mean_train=f"{ENSEMBLE}/ensemble_avg_y_train.npy",
        std_train=f"{ENSEMBLE}/ensemble_std_train.npy",
        std_val=f"{ENSEMBLE}/ensemble_std_val.npy",
        std_test=ENSEMBLE_STD,
        performance=ENSEMBLE_PERFORMANCE,
    log:
        f"{LOGS}/aggregate_ensemble/{ENSEMBLE_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/aggregate_ensemble/{ENSEMBLE_JOB}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        stage=STAGES["aggregate"],
    script:
        "../workflow/scripts/aggregate_ensemble.py"


rule distillation_data:
    input:
        dataset=DATASET,
        subset=f"{POOL}/subset.npy",
        subset_sequences=subset_sequences,
        mean_train=f"{ENSEMBLE}/ensemble_avg_y_train.npy",
        std_train=f"{ENSEMBLE}/ensemble_std_train.npy",
        std_val=f"{ENSEMBLE}/ensemble_std_val.npy",
        std_test=f"{ENSEMBLE}/ensemble_std_test.npy",
    output:
        distillation=DISTILLATION,
    log:
        f"{LOGS}/distillation_data/{ENSEMBLE_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/distillation_data/{ENSEMBLE_JOB}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        stage=STAGES["distill"],
    script:
        "../workflow/scripts/distillation_data.py"
