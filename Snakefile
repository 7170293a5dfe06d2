"""degu: train ensembles of sequence-to-function models and distil them into students.

Write a config file of what differs from the defaults (config/README.md) and run
`snakemake --cores all --configfile my.yaml`.
"""

from snakemake.utils import min_version

min_version("9.11")


configfile: f"{workflow.basedir}/config/config.yaml"


report: "workflow/report/study.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/ensembles.smk"
include: "rules/copies.smk"
include: "rules/shift.smk"
include: "rules/uncertainty.smk"
include: "rules/attribution.smk"
include: "rules/attribution_tables.smk"
include: "rules/summary.smk"
include: "rules/figures.smk"
include: "rules/news.smk"
include: "rules/jobs.smk"


# What a person may ask for.
for part in parts.PARTS.values():

    rule:
        name:
            part.name
        default_target: part.name == "all"
        input:
            parts.target(STUDY, part.name),
        localrule: True


rule teachers:
    input:
        FILES.files(STUDY.members(kinds=[TEACHER])),
    localrule: True


rule students:
    input:
        FILES.files(
            STUDY.members(kinds=[k for k in STUDY.kinds if k.role == "student"])
        ),
    localrule: True


onstart:
    slurm.submit_singly_where_slots_are_few(
        workflow.scheduler, workflow.resource_scopes.is_local
    )


onsuccess:
    end_of_run(log, succeeded=True)


onerror:
    end_of_run(log, succeeded=False)
