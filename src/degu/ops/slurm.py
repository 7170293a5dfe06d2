"""What jobs ask of the machine or cluster that runs them, and job arrays of SLURM."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

ARRAY_COMMANDS = "--slurm-jobstep-array-execs"


def growing(amount: float) -> Callable[..., int]:
    """A resource that grows by half with each further attempt at a job, as a resource function."""
    return lambda wildcards, attempt: round(amount * (1 + (attempt - 1) / 2))


def requests(resources: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each kind of job asks for: ``train``, ``predict`` and ``light``.

    Args:
        resources: the config's section of that name.

    Returns:
        Snakemake's resources by the kind of job; memory and time grow with each attempt.
    """
    return {
        kind: {
            "gpu": resources[kind]["gpu"],
            "mem_mb": growing(resources[kind]["mem_mb"]),
            "runtime": growing(resources[kind]["runtime"]),
            # Blank leaves the choice to the cluster.
            "slurm_partition": resources[kind]["partition"] or "",
            "slurm_account": resources["account"] or "",
        }
        for kind in ("train", "predict", "light")
    }


def become_own_task_of_array() -> None:
    """In a task of a SLURM array, run the Snakemake of its own job in place of this one.

    The plugin (2.8) starts every task with the Snakemake of the array's first job, which runs that
    of the task's own job and then waits for the output of the first: a member that ends before
    member 1 would count as failed, and be trained again.
    """
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    given = [word for word in sys.argv if word.startswith(ARRAY_COMMANDS)]
    if task is None or not given or task == os.environ.get("SLURM_ARRAY_TASK_MIN"):
        return
    from snakemake_executor_plugin_slurm_jobstep import (  # type: ignore[import-untyped]
        _decompress_array_task_call,
    )

    _, _, commands = given[0].partition("=")
    commands = commands or sys.argv[sys.argv.index(ARRAY_COMMANDS) + 1]
    command = _decompress_array_task_call(commands, int(task))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execlp("sh", "sh", "-c", command)


def submit_singly_where_slots_are_few(scheduler: Any, is_local: Callable[[str], bool]) -> None:
    """Give up job arrays where Snakemake itself limits how many jobs run at once.

    The SLURM plugin (2.8) submits an array of all the jobs of a rule that are ready, and drops, for
    ever, those that Snakemake starts while it holds others of the rule back.

    Args:
        scheduler: Snakemake's.
        is_local: whether a resource is limited for each job by itself.
    """
    executor = getattr(scheduler, "_executor", None)
    limited = any(
        limit < sys.maxsize and not is_local(name)
        for name, limit in scheduler.global_resources.items()
    )
    if executor is not None and limited and getattr(executor, "array_jobs", None):
        executor.array_jobs = set()
        print(
            "Jobs are submitted one by one, and not as arrays, because --jobs or --resources "
            "limits how many run at once.",
            file=sys.stderr,
        )
