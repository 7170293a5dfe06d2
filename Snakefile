"""degu: train ensembles of sequence-to-function models and distil them into students.

Write a config file of what differs from the defaults (config/README.md) and run
`snakemake --cores all --configfile my.yaml`.
"""

from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.basedir}/config/config.yaml"


report: "workflow/report/study.rst"


include: "rules/common.smk"
include: "rules/resources.smk"
include: "rules/members.smk"
include: "rules/files.smk"
include: "rules/maps.smk"
include: "rules/parts.smk"
include: "rules/data.smk"
include: "rules/teachers.smk"
include: "rules/ensembles.smk"
include: "rules/students.smk"
include: "rules/augmentation.smk"
include: "rules/dynamic.smk"
include: "rules/shift.smk"
include: "rules/attribution.smk"
include: "rules/attribution_analysis.smk"
include: "rules/evaluation.smk"
include: "rules/figures.smk"
include: "rules/figures_augmentation.smk"
include: "rules/figures_attribution.smk"
include: "rules/jobs.smk"
include: "rules/news.smk"


localrules:
    all,
    teachers,
    students,
    size_sweep,
    downsampling,
    evoaug,
    dynamic_augmentation,
    shift,
    attribution,
    plan,
    status,


rule all:
    default_target: True
    input:
        # Every file that is kept, and not only what is made last: Snakemake does not miss a lost
        # file, or one that a failed job took with it, if all that was made from it is there.
        DATASET,
        part("all"),
        shift_files(ARMS),
        shift_figures(ARMS),
        attribution_files(ATTRIBUTION_ARMS),
        attribution_figures(ATTRIBUTION_ARMS),


rule teachers:
    input:
        files_of(teachers_of(ARMS)),


rule students:
    input:
        files_of(students_of(ARMS) + dynamic_students_of(ARMS)),


rule size_sweep:
    input:
        part("size_sweep"),


rule downsampling:
    input:
        part("downsampling"),


rule evoaug:
    input:
        part("evoaug"),


rule dynamic_augmentation:
    input:
        part("dynamic_augmentation"),


rule shift:
    input:
        part("shift"),


rule attribution:
    input:
        part("attribution"),


onstart:
    submit_singly_where_slots_are_few()


onsuccess:
    end_of_run(log, succeeded=True)


onerror:
    end_of_run(log, succeeded=False)
