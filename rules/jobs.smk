"""News of a study: how a run has ended, and the jobs that an arm is made of."""

from collections import defaultdict

from snakemake.logging import logger

from degu.ops.events import failure_lines, record_events
from degu.ops.notify import hide_address, report_run

# Jobs need not see where messages go.
hide_address()

# For Slack and `status`, whichever logger shows the run.
if workflow.is_main_process:
    record_events(logger, config["dataset"])

# Targets that print, and make nothing.
NEWS = {"plan", "status"}


def end_of_run(log, succeeded):
    """Say how a run has ended, here and to Slack where that is wanted."""
    # Here and not above, since it costs every job the import of pandas.
    from degu.ops.news import end_of_run_text

    if {job.rule.name for job in workflow.dag.jobs} <= NEWS:
        return
    run = report_run(config["dataset"], succeeded=succeeded, log=log)
    # Through Snakemake's logger, so that it comes after all that was said before.
    if succeeded:
        made = {str(file) for job in workflow.dag.jobs for file in job.output}
        logger.info(end_of_run_text(RESULTS, whole=f"{RESULTS}/summary.csv" in made))
    else:
        lines = [
            *failure_lines(run.failed),
            f"Failed: each job's log lies in {RESULTS}/logs/",
        ]
        logger.error("\n".join(lines))


def member_jobs(folder, identity):
    """The jobs of a member: (rule, the last file that it makes)."""
    evoaug = identity["augmentation"] == "evoaug"
    role = "teacher" if folder == TEACHERS else "student"
    if "variant" in identity:
        role, evoaug = "dynamic_student", False
    rules = {
        "": f"train_{role}",
        "_aug": f"train_{role}{'_evoaug' * evoaug}",
        "_finetune": f"finetune_{role}",
    }
    suffixes = stages_of(identity)
    models = member_models(folder, identity)
    yield from zip((rules[suffix] for suffix in suffixes), models, strict=True)
    yield f"predict_{role}{'_evoaug' * evoaug}", member_predictions(folder, identity)


def arm_jobs(arm):
    """The jobs of an arm by rule, each as the last file that it makes; figures are left out."""
    jobs = defaultdict(list)
    members = teachers_of([arm]) + students_of([arm]) + dynamic_students_of([arm])
    for member in members:
        for rule, file in member_jobs(*member):
            jobs[rule].append(file)
    jobs["aggregate_ensemble"].append(ENSEMBLE_STD.format(**arm.wildcards))
    jobs["distillation_data"].append(DISTILLATION.format(**arm.wildcards))
    if SHIFT_SETTINGS["kinds"]:
        for _, path, identity in shift_teachers([arm]) + shift_students([arm]):
            role = "_student" if "uncertainty" in identity else ""
            role = "_dynamic_student" if "variant" in identity else role
            jobs[f"predict_shift{role}"].append(path)
    if arm in ATTRIBUTION_ARMS:
        for rule, of_role, folder in (
            ("attribute", teachers_of, MAPS_TEACHERS),
            ("attribute_student", students_of, MAPS_STUDENTS),
        ):
            jobs[rule] += [path for path, _ in maps_of(of_role([arm]), folder, METHODS)]
    return dict(jobs)


def arm_name(arm):
    """A name of an arm for reading."""
    return f"{arm.augmentation}, {arm.wildcards['proportion']} of Train, ensemble of {arm.size}"


def check_reseeded():
    """End with a sentence where `reseed` names no member."""
    members = teachers_of(ARMS) + students_of(ARMS) + dynamic_students_of(ARMS)
    known = {first_model(*member) for member in members}
    for path in config["reseed"]:
        if path not in known:
            sys.exit(
                f"error in the config: reseed: {path} is no model that this study trains; write "
                "the path after `output:` of the job that failed."
            )


check_reseeded()
