"""Ensembles of every size from the same member predictions, and what students learn from them."""


rule aggregate_ensemble:
    input:
        dataset=FILES.dataset,
        predictions=inputs.teacher_files(STUDY, FILES.predictions),
    output:
        **inputs.ensemble_aleatoric(STUDY),
        mean_train=FILES.ensemble_mean(ARMS),
        std_train=FILES.ensemble_std(ARMS, "Train"),
        std_val=FILES.ensemble_std(ARMS, "Val"),
        std_test=FILES.ensemble_std(ARMS, "Test"),
    log:
        FILES.log("aggregate_ensemble", FILES.arm_job(ARMS)),
    benchmark:
        FILES.benchmark("aggregate_ensemble", FILES.arm_job(ARMS))
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        stage=STAGES["aggregate"],
    script:
        "../workflow/scripts/aggregate_ensemble.py"


rule score_ensemble:
    input:
        dataset=FILES.dataset,
        predictions=inputs.teacher_files(STUDY, FILES.predictions),
    output:
        table=FILES.ensemble_performance(ARMS),
    log:
        FILES.log("score_ensemble", FILES.arm_job(ARMS)),
    benchmark:
        FILES.benchmark("score_ensemble", FILES.arm_job(ARMS))
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        **inputs.score_params(),
    script:
        "../workflow/scripts/score_ensemble.py"


rule score_fidelity:
    input:
        unpack(inputs.fidelity_inputs(STUDY)),
    output:
        table=FILES.fidelity(ARMS),
    log:
        FILES.log("score_fidelity", FILES.arm_job(ARMS)),
    benchmark:
        FILES.benchmark("score_fidelity", FILES.arm_job(ARMS))
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        **inputs.fidelity_params(STUDY),
    script:
        "../workflow/scripts/score_fidelity.py"


rule distillation_data:
    input:
        **inputs.ensemble_aleatoric(STUDY),
        dataset=FILES.dataset,
        subset=FILES.subset(ARMS),
        subset_sequences=inputs.subset_sequences(STUDY),
        mean_train=FILES.ensemble_mean(ARMS),
        std_train=FILES.ensemble_std(ARMS, "Train"),
        std_val=FILES.ensemble_std(ARMS, "Val"),
        std_test=FILES.ensemble_std(ARMS, "Test"),
    output:
        distillation=FILES.distillation(ARMS),
    log:
        FILES.log("distillation_data", FILES.arm_job(ARMS)),
    benchmark:
        FILES.benchmark("distillation_data", FILES.arm_job(ARMS))
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        stage=STAGES["distill"],
    script:
        "../workflow/scripts/distillation_data.py"
