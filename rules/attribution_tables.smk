"""What the maps of an arm's models say, in tables."""


rule evaluate_attribution:
    input:
        unpack(inputs.comparison_inputs(STUDY)),
    output:
        maps=FILES.attribution_maps(ARMS),
        table=FILES.attribution_table(ARMS),
        students=inputs.comparison_outputs(STUDY),
    log:
        FILES.log("evaluate_attribution", FILES.arm_job(ARMS)),
    benchmark:
        FILES.benchmark("evaluate_attribution", FILES.arm_job(ARMS))
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        **inputs.comparison_params(STUDY),
    script:
        "../workflow/scripts/evaluate_attribution.py"


rule summarize_attribution:
    input:
        tables=[FILES.attribution_table(arm) for arm in STUDY.attribution_arms],
    output:
        summary=report(
            FILES.attribution_summary,
            caption="../workflow/report/attribution_summary.rst",
            category="Tables",
            labels={"content": "every number about attribution"},
        ),
    log:
        FILES.log("summarize_attribution"),
    benchmark:
        FILES.benchmark("summarize_attribution")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        stage=STAGES["attribution analysis"],
    script:
        "../workflow/scripts/summarize_attribution.py"
