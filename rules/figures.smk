"""Figures, each drawn from summary.csv."""

FIGURES = expand(f"{RESULTS}/figures/performance.{{format}}", format=["pdf", "png"])


rule plot_performance:
    input:
        summary=f"{RESULTS}/summary.csv",
    output:
        pdf=f"{RESULTS}/figures/performance.pdf",
        png=report(
            f"{RESULTS}/figures/performance.png",
            caption="../workflow/report/performance.rst",
            category="Figures",
            labels={"content": "teachers, ensemble and students"},
        ),
    log:
        f"{LOGS}/plot_performance.log",
    benchmark:
        f"{BENCHMARKS}/plot_performance.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=RESOURCES["light"]["gpu"],
        mem_mb=RESOURCES["light"]["mem_mb"],
        runtime=RESOURCES["light"]["runtime"],
    script:
        "../workflow/scripts/plot_performance.py"
