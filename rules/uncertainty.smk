"""Whether uncertainties are any good: recalibrations of students, scores of all, their tables."""

for kind in judged.recalibrated_kinds(STUDY):
    several = inputs.batch(STUDY, kind)
    job = inputs.batch_job(STUDY, kind)

    rule:
        name:
            f"recalibrate_{kind.name}"
        input:
            dataset=FILES.dataset,
            predictions=[FILES.predictions(model) for model in several],
            models=inputs.final_models(STUDY, kind),
        output:
            recalibrations=[FILES.recalibration(model) for model in several],
        log:
            FILES.log(f"recalibrate_{kind.name}", job),
        benchmark:
            FILES.benchmark(f"recalibrate_{kind.name}", job)
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **REQUESTS["light"],
        params:
            kind=kind.name,
            form=judged.STUDENT,
            stage=STAGES["uncertainty"],
        script:
            "../workflow/scripts/recalibrate.py"


# Of each arm, and of what all arms of a pool share.
for place, name in ((ARMS, "arm"), (POOLS, "pool")):

    rule:
        name:
            f"score_uncertainty_{name}"
        input:
            unpack(judged.inputs(STUDY, name)),
        output:
            table=FILES.judged(place, "summary"),
            curves=FILES.judged(place, "curves"),
            draws=FILES.judged(place, "draws", "npy"),
        log:
            FILES.log(f"score_uncertainty_{name}", judged.job(place)),
        benchmark:
            FILES.benchmark(f"score_uncertainty_{name}", judged.job(place))
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **REQUESTS["light"],
        params:
            **judged.params(STUDY, name),
        script:
            "../workflow/scripts/score_uncertainty.py"


rule summarize_uncertainty:
    input:
        **judged.tables(STUDY),
    output:
        summary=report(
            FILES.uncertainty("summary"),
            caption="../workflow/report/uncertainty_summary.rst",
            category="Tables",
            labels={"content": "every number about uncertainty"},
        ),
        curves=FILES.uncertainty("curves"),
        differences=FILES.uncertainty("differences"),
    log:
        FILES.log("summarize_uncertainty"),
    benchmark:
        FILES.benchmark("summarize_uncertainty")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        stage=STAGES["uncertainty"],
    script:
        "../workflow/scripts/summarize_uncertainty.py"
