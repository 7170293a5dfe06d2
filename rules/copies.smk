"""Augmented copies of training sequences, labelled by ensembles for their students."""

if STUDY.copies:
    teacher = STUDY.pattern(TEACHER)
    job = f"{FILES.arm_job(ARMS)}_{teacher.member}"

    rule predict_copies:
        input:
            dataset=FILES.dataset,
            subset=FILES.subset(POOLS),
            model=inputs.final_model(STUDY, TEACHER),
        output:
            predictions=temp(FILES.copies_predictions(ARMS, teacher)),
        log:
            FILES.log("predict_copies", job),
        benchmark:
            FILES.benchmark("predict_copies", job)
        conda:
            ENVIRONMENT
        threads: config["compute_threads"]
        resources:
            **inputs.copies_request(REQUESTS["predict"], STUDY),
        params:
            **inputs.copies_params(STUDY),
        script:
            "../workflow/scripts/predict_copies.py"

    rule label_copies:
        input:
            dataset=FILES.dataset,
            predictions=inputs.copies_files(STUDY),
        output:
            labels=FILES.copies(ARMS),
        log:
            FILES.log("label_copies", FILES.arm_job(ARMS)),
        benchmark:
            FILES.benchmark("label_copies", FILES.arm_job(ARMS))
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **REQUESTS["light"],
        params:
            **inputs.label_params(STUDY),
        script:
            "../workflow/scripts/label_copies.py"
