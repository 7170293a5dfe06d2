"""Test sequences made unlike the training sequences, and what every model says of them."""


rule shift_sequences:
    input:
        dataset=FILES.dataset,
    output:
        sequences=FILES.shift,
    log:
        FILES.log("shift_sequences"),
    benchmark:
        FILES.benchmark("shift_sequences")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        settings=STUDY.shift_settings,
        evoaug=STUDY.shift_evoaug,
        seed=config["seed"],
        stage=STAGES["shift"],
    script:
        "../workflow/scripts/shift_sequences.py"


for kind in STUDY.kinds:
    several = inputs.batch(STUDY, kind)
    job = inputs.batch_job(STUDY, kind)

    rule:
        name:
            f"predict_shift_{kind.name}"
        input:
            **inputs.shift_prediction_inputs(STUDY, kind),
        output:
            predictions=[FILES.shift_predictions(model) for model in several],
        log:
            FILES.log(f"predict_shift_{kind.name}", job),
        benchmark:
            FILES.benchmark(f"predict_shift_{kind.name}", job)
        conda:
            ENVIRONMENT
        threads: config["compute_threads"]
        resources:
            **inputs.batch_request(REQUESTS["predict"], STUDY, kind),
        params:
            **inputs.prediction_params(STUDY, kind),
        script:
            "../workflow/scripts/predict_shift.py"


rule aggregate_shift:
    input:
        sequences=FILES.shift,
        predictions=inputs.teacher_files(STUDY, FILES.shift_predictions),
    output:
        predictions=FILES.shift_ensemble(ARMS),
    log:
        FILES.log("aggregate_shift", FILES.arm_job(ARMS)),
    benchmark:
        FILES.benchmark("aggregate_shift", FILES.arm_job(ARMS))
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        stage=STAGES["aggregate"],
    script:
        "../workflow/scripts/aggregate_shift.py"


rule evaluate_shift:
    input:
        unpack(inputs.shift_inputs(STUDY)),
    output:
        table=FILES.shift_table(ARMS),
    log:
        FILES.log("evaluate_shift", FILES.arm_job(ARMS)),
    benchmark:
        FILES.benchmark("evaluate_shift", FILES.arm_job(ARMS))
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        **inputs.shift_params(STUDY),
        stage=STAGES["summarize"],
    script:
        "../workflow/scripts/evaluate_shift.py"
