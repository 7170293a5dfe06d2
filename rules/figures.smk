"""Figures, each drawn from the summary of the study or of one of its parts."""


rule plot_summary:
    input:
        dataset=DATASET,
        summary=f"{RESULTS}/summary.csv",
    output:
        pdf=f"{RESULTS}/figures/performance.pdf",
        png=report(
            f"{RESULTS}/figures/performance.png",
            caption="../workflow/report/performance.rst",
            category="Figures",
            subcategory="Test sequences",
            labels={"content": "teachers, ensemble and students"},
        ),
    log:
        f"{LOGS}/plot_summary/performance.log",
    benchmark:
        f"{BENCHMARKS}/plot_summary/performance.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        figure="performance",
    script:
        "../workflow/scripts/plot_summary.py"


use rule plot_summary as plot_performance_vs_size with:
    input:
        dataset=DATASET,
        summary=f"{RESULTS}/summaries/size_sweep.csv",
    output:
        pdf=f"{RESULTS}/figures/performance_vs_size.pdf",
        png=report(
            f"{RESULTS}/figures/performance_vs_size.png",
            caption="../workflow/report/performance_vs_size.rst",
            category="Figures",
            subcategory="Test sequences",
            labels={"content": "activity by ensemble size"},
        ),
    log:
        f"{LOGS}/plot_performance_vs_size/performance_vs_size.log",
    benchmark:
        f"{BENCHMARKS}/plot_performance_vs_size/performance_vs_size.tsv"
    params:
        figure="performance_vs_size",


use rule plot_summary as plot_fidelity_vs_size with:
    input:
        dataset=DATASET,
        summary=f"{RESULTS}/summaries/size_sweep.csv",
    output:
        pdf=f"{RESULTS}/figures/fidelity_vs_size.pdf",
        png=report(
            f"{RESULTS}/figures/fidelity_vs_size.png",
            caption="../workflow/report/fidelity_vs_size.rst",
            category="Figures",
            subcategory="Test sequences",
            labels={"content": "epistemic fidelity by ensemble size"},
        ),
    log:
        f"{LOGS}/plot_fidelity_vs_size/fidelity_vs_size.log",
    benchmark:
        f"{BENCHMARKS}/plot_fidelity_vs_size/fidelity_vs_size.tsv"
    params:
        figure="fidelity_vs_size",


use rule plot_summary as plot_performance_vs_proportion with:
    input:
        dataset=DATASET,
        summary=f"{RESULTS}/summaries/downsampling.csv",
    output:
        pdf=f"{RESULTS}/figures/performance_vs_proportion.pdf",
        png=report(
            f"{RESULTS}/figures/performance_vs_proportion.png",
            caption="../workflow/report/performance_vs_proportion.rst",
            category="Figures",
            subcategory="Test sequences",
            labels={"content": "activity by amount of training data"},
        ),
    log:
        f"{LOGS}/plot_performance_vs_proportion/performance_vs_proportion.log",
    benchmark:
        f"{BENCHMARKS}/plot_performance_vs_proportion/performance_vs_proportion.tsv"
    params:
        figure="performance_vs_proportion",


use rule plot_summary as plot_fidelity_vs_proportion with:
    input:
        dataset=DATASET,
        summary=f"{RESULTS}/summaries/downsampling.csv",
    output:
        pdf=f"{RESULTS}/figures/fidelity_vs_proportion.pdf",
        png=report(
            f"{RESULTS}/figures/fidelity_vs_proportion.png",
            caption="../workflow/report/fidelity_vs_proportion.rst",
            category="Figures",
            subcategory="Test sequences",
            labels={"content": "epistemic fidelity by amount of training data"},
        ),
    log:
        f"{LOGS}/plot_fidelity_vs_proportion/fidelity_vs_proportion.log",
    benchmark:
        f"{BENCHMARKS}/plot_fidelity_vs_proportion/fidelity_vs_proportion.tsv"
    params:
        figure="fidelity_vs_proportion",
