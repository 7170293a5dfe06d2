"""Figures: a rule for each in the catalogue, since a caption of the report takes no wildcards."""

from degu.plots.catalogue import FIGURES
from degu.study import figures

for figure in FIGURES.values():

    rule:
        name:
            f"plot_{figure.name}"
        input:
            unpack(figures.inputs(STUDY, figure)),
        output:
            pdf=figures.path(STUDY, figure, "pdf"),
            png=report(
                figures.path(STUDY, figure, "png"),
                caption=figure.caption,
                category=figure.category,
                subcategory=figure.subcategory,
                labels=figures.labels(figure),
            ),
        log:
            FILES.log(f"plot_{figure.name}", figures.job(figure)),
        benchmark:
            FILES.benchmark(f"plot_{figure.name}", figures.job(figure))
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **REQUESTS["light"],
        params:
            **figures.params(STUDY, figure),
        script:
            "../workflow/scripts/plot.py"
