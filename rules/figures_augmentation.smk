"""Figures of augmentation and of distribution shift."""


use rule plot_summary as plot_evoaug with:
    input:
        dataset=DATASET,
        summary=f"{RESULTS}/summaries/evoaug.csv",
    output:
        pdf=f"{RESULTS}/figures/evoaug.pdf",
        png=report(
            f"{RESULTS}/figures/evoaug.png",
            caption="../workflow/report/evoaug.rst",
            category="Figures",
            subcategory="Test sequences",
            labels={"content": "EvoAug beside standard training"},
        ),
    log:
        f"{LOGS}/plot_evoaug/evoaug.log",
    benchmark:
        f"{BENCHMARKS}/plot_evoaug/evoaug.tsv"
    params:
        figure="evoaug",


use rule plot_summary as plot_dynamic_augmentation with:
    input:
        dataset=DATASET,
        summary=f"{RESULTS}/summaries/dynamic_augmentation.csv",
    output:
        pdf=f"{RESULTS}/figures/dynamic_augmentation.pdf",
        png=report(
            f"{RESULTS}/figures/dynamic_augmentation.png",
            caption="../workflow/report/dynamic_augmentation.rst",
            category="Figures",
            subcategory="Test sequences",
            labels={"content": "students by dynamic augmentation"},
        ),
    log:
        f"{LOGS}/plot_dynamic_augmentation/dynamic_augmentation.log",
    benchmark:
        f"{BENCHMARKS}/plot_dynamic_augmentation/dynamic_augmentation.tsv"
    params:
        figure="dynamic_augmentation",


rule plot_shift:
    input:
        dataset=DATASET,
        sequences=SHIFT_FILE,
        table=SHIFT_TABLE,
        ensemble=SHIFT_ENSEMBLE,
        teachers_test=lambda w: [test for test, _, _ in shift_teachers(arm_of(w))],
        teachers=lambda w: [shifted for _, shifted, _ in shift_teachers(arm_of(w))],
        students_test=lambda w: [test for test, _, _ in shift_students(arm_of(w))],
        students=lambda w: [shifted for _, shifted, _ in shift_students(arm_of(w))],
    output:
        pdf=f"{RESULTS}/figures/shift/{ENSEMBLE_JOB}.pdf",
        png=report(
            f"{RESULTS}/figures/shift/{ENSEMBLE_JOB}.png",
            caption="../workflow/report/shift.rst",
            category="Figures",
            subcategory="Shifted sequences",
            labels={
                "content": "teachers and students under shift",
                "arm": "{augmentation}, {proportion}, n = {size}",
            },
        ),
        distribution_pdf=f"{RESULTS}/figures/shift_distribution/{ENSEMBLE_JOB}.pdf",
        distribution_png=report(
            f"{RESULTS}/figures/shift_distribution/{ENSEMBLE_JOB}.png",
            caption="../workflow/report/shift_distribution.rst",
            category="Figures",
            subcategory="Shifted sequences",
            labels={
                "content": "distribution of predicted activities",
                "arm": "{augmentation}, {proportion}, n = {size}",
            },
        ),
    log:
        f"{LOGS}/plot_shift/{ENSEMBLE_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/plot_shift/{ENSEMBLE_JOB}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        arm=lambda w: asdict(arm_of(w)[0]),
        teachers=lambda w: [identity for _, _, identity in shift_teachers(arm_of(w))],
        students=lambda w: [identity for _, _, identity in shift_students(arm_of(w))],
    script:
        "../workflow/scripts/plot_shift.py"
