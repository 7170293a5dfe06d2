"""What a study needs, and how far it is: targets that print, and make nothing."""

PILOT = f"results/{config['pilot']}" if config["pilot"] else None


rule plan:
    log:
        f"{LOGS}/plan.log",
    conda:
        ENVIRONMENT
    params:
        snakefile=f"{workflow.basedir}/Snakefile",
        overrides=GIVEN_CONFIG,
        results=RESULTS,
        pilot=PILOT,
    script:
        "../workflow/scripts/plan.py"


rule status:
    log:
        f"{LOGS}/status.log",
    conda:
        ENVIRONMENT
    params:
        arms=lambda wildcards: {arm_name(arm): arm_jobs(arm) for arm in ARMS},
        results=RESULTS,
        pilot=PILOT,
        study=config["dataset"],
        besides=sorted(NEWS),
    script:
        "../workflow/scripts/status.py"
