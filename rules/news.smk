"""News of a study: what happens in a run is recorded, and how it has ended is told."""

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
    from degu.ops.news import end_of_run_text, failed_text

    if {job.rule.name for job in workflow.dag.jobs} <= NEWS:
        return
    run = report_run(config["dataset"], succeeded=succeeded, log=log)
    failed = failed_text(parts.trained_by(STUDY), config["reseed"])
    # Through Snakemake's logger, so that it comes after all that was said before.
    if succeeded:
        made = {str(file) for job in workflow.dag.jobs for file in job.output}
        whole = FILES.summary() in made
        logger.info(end_of_run_text(FILES.results, failed, whole=whole))
    else:
        lines = list(filter(None, [failed])) + failure_lines(run.failed)
        lines.append(f"Failed: each job's log lies in {FILES.results}/logs/")
        logger.error("\n".join(lines))
