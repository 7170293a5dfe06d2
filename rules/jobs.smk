"""What a study needs, and how far it is: targets that print, and make nothing."""

PILOT = f"results/{config['pilot']}" if config["pilot"] else None


rule plan:
    log:
        FILES.log("plan"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        snakefile=f"{workflow.basedir}/Snakefile",
        overrides=GIVEN_CONFIG,
        results=FILES.results,
        pilot=PILOT,
    script:
        "../workflow/scripts/plan.py"


rule status:
    log:
        FILES.log("status"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        arms=parts.status_of(STUDY),
        models=parts.models_of(STUDY),
        trained=parts.trained_by(STUDY),
        reseed=config["reseed"],
        results=FILES.results,
        pilot=PILOT,
        study=config["dataset"],
        besides=sorted(NEWS),
    script:
        "../workflow/scripts/status.py"
