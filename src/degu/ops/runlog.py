"""What Snakemake and its jobs have written of a run: read as text, as version 9 writes it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pandas as pd

TAIL_BYTES = 2**16


_TIME = re.compile(r"\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\]")


_HEADER = re.compile(r"(Error in |local)?(?:rule|checkpoint) (\w+):")


_FIELD = re.compile(r"([a-z_-]+): (.*)")


_STEPS = re.compile(r"(\d+) of (\d+) steps \(.*\) done")


_TOTAL = re.compile(r"total +(\d+)")


_FINISHED = re.compile(r"Finished jobid: (\d+) \(Rule: \w+\)")


_NO_OUTPUT = re.compile(r"Job (\d+) +completed successfully, but some output files are missing\..*")


_DATE = re.compile(r"Date: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")


_GROUP_ERROR = re.compile(r"message: Error in group \S+")


_SHOWN_LOG = re.compile(r"Logfile .+:")


_STOPPED = "Terminating processes on user request"


_CHECK_LOGS = " (check log file(s) for error details)"


_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, movements of the cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links
    r"|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


_SENTENCE = re.compile(
    r"(?:srun: |slurmstepd: )?error: .+|stopped(?: by SIG\w+)?"
    r"|[\w.]*(?:Error|Exception|Interrupt)(?:: .+)?"
)


_PROPORTION = re.compile(r"(?:^|/)(?:standard_|evoaug_|downsample_)([0-9.e-]+)(?=_|/|$)")


@dataclass(frozen=True)
class FailedJob:
    """A job whose last attempt failed.

    Attributes:
        rule: its name.
        wildcards: as Snakemake writes them, ``augmentation=standard, ix=3``; may be empty.
        logs: the job's own log, then that of the cluster, as far as they are known.
    """

    rule: str
    wildcards: str = ""
    logs: tuple[str, ...] = ()

    @property
    def log(self) -> str | None:
        """The first of its logs that anything was written to; otherwise its own."""
        written = (log for log in self.logs if log_tail(log, 1))
        return next(written, self.logs[0] if self.logs else None)

    def __str__(self) -> str:
        return f"{self.rule} ({self.wildcards})" if self.wildcards else self.rule


@dataclass(frozen=True)
class RunSummary:
    """What the log of a run of Snakemake says.

    Attributes:
        done: jobs that were finished.
        total: jobs of the run; None if it got not that far, or had none to run.
        failed: jobs whose last attempt failed; all jobs of a group, since all of them are lost.
        seconds: from the start to the last line; None if the log does not say.
        stopped: whether a person stopped the run.
    """

    done: int = 0
    total: int | None = None
    failed: tuple[FailedJob, ...] = ()
    seconds: float | None = None
    stopped: bool = False


@dataclass
class _Block:
    """What Snakemake says of one job: that it starts, or that it failed."""

    rule: str
    error: bool
    indent: int
    group: _Block | None = None
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def logs(self) -> tuple[str, ...]:
        logs = self.fields.get("log", "").removesuffix(_CHECK_LOGS)
        of_group = self.group.logs if self.group else ()
        return (*filter(None, logs.split(", ")), *of_group)


class _Output:
    """Snakemake's output, taken apart.

    Attributes:
        started: for each job's number what was said when it last started.
        failed: the same for jobs whose last attempt failed, in the order in which they failed.
        done, total: of the last line about steps, or of the table of jobs.
        date: of the start, in seconds since 1970.
        stopped: whether a person stopped the run.
    """

    def __init__(self, text: str) -> None:
        self.started: dict[str, _Block] = {}
        self.failed: dict[str, _Block] = {}
        self.done = 0
        self.total: int | None = None
        self.date: float | None = None
        self.stopped = False
        block: _Block | None = None
        group: _Block | None = None
        before = ""
        for line in _own_lines(text):
            said = line.strip()
            indent = len(line) - len(line.lstrip())
            timed = _TIME.fullmatch(before)
            if timed and (header := _HEADER.fullmatch(said)):
                error = header[1] == "Error in "
                # The jobs of a group are told apart from others by being indented.
                block = _Block(header[2], error, indent, group if error and indent else None)
            elif timed and _GROUP_ERROR.fullmatch(said):
                block = group = _Block("", True, indent - 4)
            elif block and indent == block.indent + 4 and (item := _FIELD.fullmatch(said)):
                block.fields[item[1]] = item[2]
                if item[1] == "jobid":
                    self._last_of_job(item[2], block)
            elif block and indent <= block.indent:
                block = None
            if block is None:
                self._other(said)
            before = said

    def _last_of_job(self, job: str, block: _Block) -> None:
        self.failed.pop(job, None)
        (self.failed if block.error else self.started)[job] = block

    def _other(self, said: str) -> None:
        if steps := _STEPS.fullmatch(said):
            self.done, self.total = int(steps[1]), int(steps[2])
        elif (total := _TOTAL.fullmatch(said)) and not self.total:
            self.total = int(total[1])
        elif finished := _FINISHED.fullmatch(said):
            self.failed.pop(finished[1], None)
        elif lacking := _NO_OUTPUT.fullmatch(said):
            if block := self.started.get(lacking[1]):
                self.failed[lacking[1]] = block
        elif said.startswith(_STOPPED):
            self.stopped = True
        elif (date := _DATE.fullmatch(said)) and self.date is None:
            with suppress(ValueError):
                self.date = datetime.fromisoformat(date[1]).timestamp()


def _own_lines(text: str) -> Iterator[str]:
    """The lines of an output, without the logs of failed jobs that are shown in it.

    Such a log may be one of Snakemake too, that of a cluster's job, and show further ones.
    """
    fences: list[str] = []
    before = ""
    for line in text.splitlines():
        said = line.strip()
        fence = len(said) > 8 and set(said) == {"="}
        if fence and _SHOWN_LOG.fullmatch(before):
            fences.append(said)
        elif fences and said == fences[-1]:
            fences.pop()
        elif not fences:
            yield line
        before = said


def read_run_log(path: str | os.PathLike[str]) -> RunSummary:
    """Read the log of a run, ``.snakemake/log/*.log``; never raises.

    What cannot be read or is not understood is left out. Relative paths in it stay so: they are
    relative to Snakemake's working directory.
    """
    try:
        output = _Output(Path(path).read_text(errors="replace"))
        written = os.path.getmtime(path)
    except (OSError, ValueError):
        return RunSummary()
    failed = []
    for job, block in output.failed.items():
        known = output.started.get(job, block)
        wildcards = known.fields.get("wildcards", "")
        failed.append(FailedJob(block.rule, wildcards, block.logs or known.logs))
    seconds = None if output.date is None else max(written - output.date, 0.0)
    return RunSummary(output.done, output.total, tuple(failed), seconds, output.stopped)


def log_tail(path: str | os.PathLike[str], lines: int = 15) -> list[str]:
    """The last lines of a log that say anything, without colours and the like.

    Of a progress bar, which overwrites itself, the last state is kept. An unreadable log has none.
    """
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            start = stream.seek(max(size - TAIL_BYTES, 0))
            text = stream.read().decode(errors="replace")
    except (OSError, ValueError):
        return []
    found = text.split("\n")
    if start:
        del found[0]  # part of a line
    plain = (_CONTROL.sub("", line.rstrip().rpartition("\r")[2]).rstrip() for line in found)
    return [line for line in plain if line][-lines:]


def last_sentence(path: str | os.PathLike[str]) -> str | None:
    """What a failed job's log ends with: ``error: ...``, an exception, that it was stopped.

    None for a log without: that of a job that was killed.
    """
    said = [line for line in log_tail(path, 50) if _SENTENCE.fullmatch(line)]
    return said[-1] if said else None


def failure_lines(failed: Iterable[FailedJob]) -> list[str]:
    """A line for each failed job: ``rule (wildcards): error: ... (log: path)``."""
    lines = []
    for job in failed:
        log = job.log
        # Of a group, some jobs failed and others were not run or are lost with them.
        said = (log and last_sentence(log)) or "its log ends without an error"
        lines.append(f"{job}: {said}" + (f" (log: {log})" if log else ""))
    return lines


def read_jobs(output: str) -> pd.DataFrame:
    """The jobs that a dry run of Snakemake lists, without those that make no file (``all``).

    Args:
        output: what ``snakemake --dry-run`` prints.

    Returns:
        Columns ``rule``, ``proportion``, ``partition`` (blank without one), ``gpu``, ``threads``
        and ``runtime`` (the limit in minutes, NaN without one), a row a job.
    """
    rows = []
    for block in _Output(output).started.values():
        if "output" not in block.fields:
            continue
        resources = dict(_pairs(block.fields.get("resources", "")))
        wildcards = dict(_pairs(block.fields.get("wildcards", "")))
        rows.append(
            {
                "rule": block.rule,
                "proportion": proportion_of(f"downsample_{wildcards.get('proportion', 1)}"),
                "partition": resources.get("slurm_partition", ""),
                "gpu": _number(resources.get("gpu"), 0),
                "threads": _number(block.fields.get("threads"), 1),
                "runtime": _number(resources.get("runtime"), float("nan")),
            }
        )
    columns = ["rule", "proportion", "partition", "gpu", "threads", "runtime"]
    return pd.DataFrame(rows, columns=columns)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for item in text.split(", "):
        name, equals, value = item.partition("=")
        if equals:
            yield name, value


def _number(text: str | None, default: float) -> float:
    try:
        return float(text) if text is not None else default
    except ValueError:  # <TBD>: known when the job starts
        return default


def proportion_of(name: str) -> float:
    """The proportion of the training set that the name of a job or the path of a file holds.

    1 where there is none.
    """
    found = _PROPORTION.search(name)
    with suppress(ValueError):
        return float(found[1]) if found and float(found[1]) > 0 else 1.0
    return 1.0
