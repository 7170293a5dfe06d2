"""degu: train ensembles of sequence-to-function models and distil them into students.

Write a config file of what differs from the defaults (config/README.md) and run
`snakemake --cores all --configfile my.yaml`.
"""

from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.basedir}/config/config.yaml"


report: "workflow/report/study.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/teachers.smk"
include: "rules/ensembles.smk"
include: "rules/students.smk"
include: "rules/augmentation.smk"
include: "rules/evaluation.smk"
include: "rules/figures.smk"


localrules:
    all,
    teachers,
    students,


rule all:
    default_target: True
    input:
        # Every file that is kept, and not only what is made last: Snakemake does not miss a lost
        # file, or one that a failed job took with it, if all that was made from it is there.
        DATASET,
        TEACHER_FILES,
        ENSEMBLE_FILES,
        STUDENT_FILES,
        f"{RESULTS}/summary.csv",
        FIGURES,


rule teachers:
    input:
        TEACHER_FILES,


rule students:
    input:
        STUDENT_FILES,


onsuccess:
    print(f"Finished: the results lie in {RESULTS}/")


onerror:
    print(f"Failed: each job's log lies in {RESULTS}/logs/")
