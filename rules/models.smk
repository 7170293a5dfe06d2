"""Models of every kind: trained, fine-tuned where their arm augments, predicting, scored."""

for kind in STUDY.kinds:
    model = STUDY.pattern(kind)

    for phase, augmentations in kind.trainings.items():

        rule:
            name:
                kind.rule(phase)
            input:
                **inputs.first_training_inputs(STUDY, kind, phase),
            output:
                model=FILES.model(model, phase),
                history=FILES.history(model, phase),
            log:
                FILES.log(kind.rule(phase), model.job),
            benchmark:
                FILES.benchmark(kind.rule(phase), model.job)
            wildcard_constraints:
                augmentation="|".join(augmentations),
            conda:
                ENVIRONMENT
            threads: config["compute_threads"]
            resources:
                **REQUESTS["train"],
            params:
                **inputs.training_params(STUDY, kind, phase),
            script:
                "../workflow/scripts/train.py"

    if kind.tuned:

        rule:
            name:
                kind.rule("finetune")
            input:
                **inputs.training_inputs(STUDY, kind, "finetune"),
                model=FILES.model(model, "aug"),
            output:
                model=FILES.model(model, "finetune"),
                history=FILES.history(model, "finetune"),
            log:
                FILES.log(kind.rule("finetune"), model.job),
            benchmark:
                FILES.benchmark(kind.rule("finetune"), model.job)
            wildcard_constraints:
                augmentation="|".join(kind.tuned),
            conda:
                ENVIRONMENT
            threads: config["compute_threads"]
            resources:
                **REQUESTS["train"],
            params:
                **inputs.training_params(STUDY, kind, "finetune"),
            script:
                "../workflow/scripts/finetune.py"

    several = inputs.batch(STUDY, kind)
    job = inputs.batch_job(STUDY, kind)

    rule:
        name:
            f"predict_{kind.name}"
        input:
            **inputs.prediction_inputs(STUDY, kind),
        output:
            predictions=[FILES.predictions(model) for model in several],
        log:
            FILES.log(f"predict_{kind.name}", job),
        benchmark:
            FILES.benchmark(f"predict_{kind.name}", job)
        conda:
            ENVIRONMENT
        threads: config["compute_threads"]
        resources:
            **inputs.batch_request(REQUESTS["predict"], STUDY, kind),
        params:
            **inputs.prediction_params(STUDY, kind),
        script:
            "../workflow/scripts/predict.py"

    for name, augmentations, phases in kind.scorings:

        rule:
            name:
                name
            input:
                **inputs.score_inputs(STUDY, kind),
            output:
                tables=[
                    FILES.performance(m, phase) for m in several for phase in phases
                ],
            log:
                FILES.log(name, job),
            benchmark:
                FILES.benchmark(name, job)
            wildcard_constraints:
                augmentation="|".join(augmentations),
            conda:
                ENVIRONMENT
            threads: 1
            resources:
                **REQUESTS["light"],
            params:
                **inputs.score_params(kind),
            script:
                "../workflow/scripts/score.py"
