"""Ensembles of every size from the same member predictions, and what students learn from them."""

ENSEMBLE = f"{POOL}/ensemble/n{{size}}"
DISTILLATION = (
    f"{POOL}/distillation/n{{size}}/all_data_with_ensemble_metrics_hierarchical.h5"
)
ENSEMBLE_FILES = [
    path.format(**arm.wildcards)
    for arm in ARMS
    for path in (
        f"{POOL}/subset.npy",
        f"{ENSEMBLE}/ensemble_avg_y_train.npy",
        f"{ENSEMBLE}/ensemble_std_train.npy",
        f"{ENSEMBLE}/ensemble_std_val.npy",
        f"{ENSEMBLE}/ensemble_std_test.npy",
        f"{ENSEMBLE}/ensemble_performance_avg.csv",
        DISTILLATION,
    )
] + [
    # Distillation files link to these.
    f"{RESULTS}/subsets/downsample_{arm.wildcards['proportion']}.h5"
    for arm in ARMS
    if arm.proportion < 1
]


rule aggregate_ensemble:
    input:
        dataset=DATASET,
        predictions=ensemble_predictions,
    output:
        mean_train=f"{ENSEMBLE}/ensemble_avg_y_train.npy",
        std_train=f"{ENSEMBLE}/ensemble_std_train.npy",
        std_val=f"{ENSEMBLE}/ensemble_std_val.npy",
        std_test=f"{ENSEMBLE}/ensemble_std_test.npy",
        performance=f"{ENSEMBLE}/ensemble_performance_avg.csv",
    log:
        f"{LOGS}/aggregate_ensemble/{ENSEMBLE_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/aggregate_ensemble/{ENSEMBLE_JOB}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=RESOURCES["light"]["gpu"],
        mem_mb=RESOURCES["light"]["mem_mb"],
        runtime=RESOURCES["light"]["runtime"],
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
        gpu=RESOURCES["light"]["gpu"],
        mem_mb=RESOURCES["light"]["mem_mb"],
        runtime=RESOURCES["light"]["runtime"],
    params:
        stage=STAGES["distill"],
    script:
        "../workflow/scripts/distillation_data.py"
