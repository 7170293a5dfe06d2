"""Figures of attribution: tables of an arm, its sequences, and sequence logos."""

ARM_LABEL = "{augmentation}, {proportion}, n = {size}"


rule plot_attribution:
    input:
        dataset=DATASET,
        table=ATTRIBUTION_TABLE,
    output:
        pdf=f"{RESULTS}/figures/attribution/{ENSEMBLE_JOB}.pdf",
        png=report(
            f"{RESULTS}/figures/attribution/{ENSEMBLE_JOB}.png",
            caption="../workflow/report/attribution.rst",
            category="Figures",
            subcategory="Attribution",
            labels={"content": "agreement of maps", "arm": ARM_LABEL},
        ),
    log:
        f"{LOGS}/plot_attribution/{ENSEMBLE_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/plot_attribution/{ENSEMBLE_JOB}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        figure="attribution",
    script:
        "../workflow/scripts/plot_attribution.py"


use rule plot_attribution as plot_attribution_bins with:
    output:
        pdf=f"{RESULTS}/figures/attribution_bins/{ENSEMBLE_JOB}.pdf",
        png=report(
            f"{RESULTS}/figures/attribution_bins/{ENSEMBLE_JOB}.png",
            caption="../workflow/report/attribution_bins.rst",
            category="Figures",
            subcategory="Attribution",
            labels={"content": "maps by bins of activity", "arm": ARM_LABEL},
        ),
    log:
        f"{LOGS}/plot_attribution_bins/{ENSEMBLE_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/plot_attribution_bins/{ENSEMBLE_JOB}.tsv"
    params:
        figure="attribution_bins",


use rule plot_attribution as plot_attribution_truth with:
    output:
        pdf=f"{RESULTS}/figures/attribution_truth/{ENSEMBLE_JOB}.pdf",
        png=report(
            f"{RESULTS}/figures/attribution_truth/{ENSEMBLE_JOB}.png",
            caption="../workflow/report/attribution_truth.rst",
            category="Figures",
            subcategory="Attribution",
            labels={"content": "maps against planted motifs", "arm": ARM_LABEL},
        ),
    log:
        f"{LOGS}/plot_attribution_truth/{ENSEMBLE_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/plot_attribution_truth/{ENSEMBLE_JOB}.tsv"
    params:
        figure="attribution_truth",


rule plot_attribution_scatter:
    input:
        dataset=DATASET,
        maps=ATTRIBUTION_ARM,
    output:
        pdf=f"{RESULTS}/figures/attribution_scatter/{ENSEMBLE_JOB}.pdf",
        png=report(
            f"{RESULTS}/figures/attribution_scatter/{ENSEMBLE_JOB}.png",
            caption="../workflow/report/attribution_scatter.rst",
            category="Figures",
            subcategory="Attribution",
            labels={"content": "agreement by sequence", "arm": ARM_LABEL},
        ),
    log:
        f"{LOGS}/plot_attribution_scatter/{ENSEMBLE_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/plot_attribution_scatter/{ENSEMBLE_JOB}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        arm=lambda w: asdict(arm_of(w)[0]),
    script:
        "../workflow/scripts/plot_attribution_scatter.py"


rule plot_attribution_logos:
    input:
        dataset=DATASET,
        maps=ATTRIBUTION_ARM,
        teachers=lambda w: [path for path, _ in logo_maps(w, "teacher")],
        students=lambda w: [path for path, _ in logo_maps(w, "student")],
    output:
        pdf=f"{RESULTS}/figures/attribution_logos/{ENSEMBLE_JOB}_{{target}}_{{method}}.pdf",
        png=report(
            f"{RESULTS}/figures/attribution_logos/{ENSEMBLE_JOB}_{{target}}_{{method}}.png",
            caption="../workflow/report/attribution_logos.rst",
            category="Figures",
            subcategory="Logos",
            labels={"content": "{target}, {method}", "arm": ARM_LABEL},
        ),
    log:
        f"{LOGS}/plot_attribution_logos/{ENSEMBLE_JOB}_{{target}}_{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/plot_attribution_logos/{ENSEMBLE_JOB}_{{target}}_{{method}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        arm=lambda w: asdict(arm_of(w)[0]),
        sequences=config["attribution"]["logos"],
        motifs=config["attribution"]["motifs"],
    script:
        "../workflow/scripts/plot_attribution_logos.py"
