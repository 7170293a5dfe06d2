"""News of a study: how a run has ended, and the jobs that an arm is made of."""

from degu.ops.notify import hide_address, report_run
from degu.ops.runlog import failure_lines

# Jobs need not see where messages go.
hide_address()

# Targets that print, and make nothing.
NEWS = {"plan", "status"}


def end_of_run(log, succeeded):
    """Say how a run has ended, here and to Slack where that is wanted."""
    if {job.rule.name for job in workflow.dag.jobs} <= NEWS:
        return
    summary = report_run(config["dataset"], succeeded=succeeded, log=log)
    if succeeded:
        print(f"Finished: the results lie in {FILES.results}/")
    else:
        print(*failure_lines(summary.failed), sep="\n")
        print(f"Failed: each job's log lies in {FILES.results}/logs/")
