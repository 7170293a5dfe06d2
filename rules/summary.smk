"""All numbers of the study in tidy tables: of the whole, and of each part that has a target."""

for part in parts.summarized(STUDY):

    rule:
        name:
            part.rule
        input:
            **parts.summary_inputs(STUDY, part.name),
            dataset=FILES.dataset,
        output:
            summary=(
                report(
                    FILES.summary(),
                    caption="../workflow/report/summary.rst",
                    category="Tables",
                    labels={"content": "every number of the study"},
                )
                if part.name == "all"
                else FILES.summary(part.name)
            ),
        log:
            FILES.log(part.rule),
        benchmark:
            FILES.benchmark(part.rule)
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **REQUESTS["light"],
        params:
            **parts.summary_params(STUDY, part.name),
        script:
            "../workflow/scripts/summarize.py"
