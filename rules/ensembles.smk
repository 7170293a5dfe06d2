"""Ensembles of every size from the same member predictions, and what students learn from them."""

ENSEMBLE = POOL + "/ensemble/n{size}"
DISTILLATION = (
    POOL + "/distillation/n{size}/all_data_with_ensemble_metrics_hierarchical.h5"
)


def ensemble_predictions(wildcards):
    """Predictions of the first n members."""
    members = range(1, int(wildcards.size) + 1)
    pool = POOL.format(**wildcards)
    return [f"{pool}/teachers/{ix}_predictions.h5" for ix in members]


def subset_sequences(wildcards):
    """The copied sequences of a subset; the whole training set needs none."""
    if float(wildcards.proportion) == 1:
        return []
    return f"{RESULTS}/subsets/downsample_{wildcards.proportion}.h5"


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
        LOGS + "/aggregate_ensemble/{augmentation}_{proportion}_n{size}.log",
    benchmark:
        BENCHMARKS + "/aggregate_ensemble/{augmentation}_{proportion}_n{size}.tsv"
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
        LOGS + "/distillation_data/{augmentation}_{proportion}_n{size}.log",
    benchmark:
        BENCHMARKS + "/distillation_data/{augmentation}_{proportion}_n{size}.tsv"
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
