"""What happens in a run of Snakemake, as lines of JSON: written while it goes on, and read.

Beside each full log, ``.snakemake/log/{time}.snakemake.log``, lies ``{time}.degu.jsonl``. A line
has ``event``, ``time`` (seconds since 1970) and besides:

- ``run``: ``study``, ``total`` (jobs), ``rules`` (jobs of each), ``remote`` (on a cluster),
  ``log``; its time is that at which Snakemake started
- ``start``, once an attempt: ``job`` (a number), ``rule``, ``wildcards``, ``output``, ``logs``,
  ``threads``, ``resources``
- ``finish``: ``job``
- ``fail``, once an attempt: ``job``, ``rule``, ``logs`` (those of the cluster too), ``message``,
  ``about`` (what the executor knows, such as ``external_jobid``)
- ``stop``: a person or a time limit wants the run to end
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from degu.ops.joblog import last_sentence, log_tail

FULL_LOG, EVENTS = ".snakemake.log", ".degu.jsonl"


#: A file to write to in place of the one beside the full log; also of a dry run, which has no log.
VARIABLE = "DEGU_EVENTS"


# Snakemake hands out no event for these.
_STOPPED = ("Terminating processes on user request", "Will exit after finishing currently running")


_NO_OUTPUT = re.compile(r"\bJob (\d+) +completed successfully, but some output files are missing")


_WORDS = {"ix": "member {}", "proportion": "{} of Train", "size": "ensemble of {}"}


def full_log(logger: logging.Logger) -> str | None:
    """Path of the full log that Snakemake writes; None without one, as in a dry run."""
    names = (getattr(handler, "baseFilename", "") for handler in logger.handlers)
    return next((name for name in names if name.endswith(FULL_LOG)), None)


def events_file(log: str | os.PathLike[str]) -> Path:
    """The file of events that lies beside a full log."""
    return Path(os.fspath(log).removesuffix(FULL_LOG) + EVENTS)


def record_events(logger: logging.Logger, study: str) -> Recorder | None:
    """Write what happens in this run to a file, if Snakemake keeps a log of it.

    For the Snakefile, in the main process only. What a person sees, and which other loggers there
    are, makes no difference.

    Args:
        logger: Snakemake's.
        study: the config's ``dataset``.
    """
    log = full_log(logger)
    path = os.environ.get(VARIABLE) or (log and events_file(log))
    if not path:
        return None
    recorder = Recorder(path, study, log)
    logger.addHandler(recorder)
    return recorder


class Recorder(logging.Handler):
    """Writes the events of a run to a file, each as soon as it happens.

    The file is made when it is known which jobs are to run, and locked while this process lives, so
    that a reader knows whether the run goes on. A file that cannot be written costs one warning.

    Args:
        path: of the file.
        study: the config's ``dataset``.
        log: path of the full log.
    """

    def __init__(self, path: str | os.PathLike[str], study: str, log: str | None = None) -> None:
        super().__init__()
        self._path, self._study, self._log = Path(path).absolute(), study, log
        self._file: TextIO | None = None
        self._broken = self._stopped = False
        self._began = time.time()
        self._remote = False
        self._logs_of_group: dict[int, list[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._take(record)
        except Exception as error:  # the run must not depend on what is written about it
            if not self._broken:
                self._broken = True
                print(f"warning: {self._path} was not written: {error}", file=sys.stderr)

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None
        super().close()

    def _take(self, record: logging.LogRecord) -> None:
        said: dict[str, Any] = record.__dict__
        match said.get("event"):
            case "workflow_started":
                self._began = record.created
            case "resources_info":
                self._remote = self._remote or "nodes" in said
            case "run_info" if self._file is None:
                rules = {name: n for name, n in said["stats"].items() if name != "total"}
                self._write(
                    "run",
                    self._began,
                    study=self._study,
                    total=said["stats"]["total"],
                    rules=rules,
                    remote=self._remote,
                    log=self._log,
                )
            case "job_info":
                self._write(
                    "start",
                    record.created,
                    job=said["jobid"],
                    rule=said["rule_name"],
                    wildcards=dict(said["wildcards"] or {}),
                    output=list(said["output"] or ()),
                    logs=list(said["log"] or ()),
                    threads=said["threads"],
                    resources=dict(said["resources"].items()),
                )
            case "job_finished":
                self._write("finish", record.created, job=said["job_id"])
            case "group_error":
                for job in said["job_error_info"]:
                    self._logs_of_group[job["jobid"]] = list(said["aux_logs"])
            case "job_error":
                job = said["jobid"]
                logs = [*said["log"], *self._logs_of_group.pop(job, [])]
                self._write(
                    "fail",
                    record.created,
                    job=job,
                    rule=said["rule_name"],
                    logs=logs,
                    message=said["rule_msg"],
                    about=said["aux"],
                )
            case "error":
                if (job := job_without_output(record)) is not None:
                    self._write("fail", record.created, job=job, message=record.getMessage())
            case None if not self._stopped and str(record.msg).startswith(_STOPPED):
                self._stopped = True
                self._write("stop", record.created)

    def _write(self, event: str, when: float, **values: Any) -> None:
        if self._file is None:
            if event != "run":  # such as a dry run's, which say nothing of jobs
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w")
            with suppress(OSError):  # a file system without locks
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        line = json.dumps({"event": event, "time": round(when, 3), **values}, default=str)
        self._file.write(line + "\n")
        self._file.flush()


def job_without_output(record: logging.LogRecord) -> int | None:
    """The number of the job that an error is about which ended well, but made no file."""
    found = _NO_OUTPUT.search(record.getMessage())
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Job:
    """A job of a run, as its last attempt left it.

    Attributes:
        rule: its name.
        wildcards: their values.
        logs: its own log, then those of the cluster, as far as they are known.
        output: files that it makes; none for a target.
        state: ``running`` (on a cluster perhaps still in the queue), ``done``, ``failed``, or
            ``lost``: the run was stopped before its end.
        began, ended: seconds since 1970 of the last attempt; None if that is not known.
        threads: that it uses.
        resources: as Snakemake gives them; what is known only when a job starts is text.
    """

    rule: str
    wildcards: Mapping[str, str] = field(default_factory=dict)
    logs: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    state: str = "running"
    began: float | None = None
    ended: float | None = None
    threads: float = 1
    resources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def log(self) -> str | None:
        """The first of its logs that anything was written to; otherwise its own."""
        written = (log for log in self.logs if log_tail(log, 1))
        return next(written, self.logs[0] if self.logs else None)

    @property
    def identity(self) -> str:
        """Its wildcards for reading: ``augmentation=standard, ix=3``."""
        return ", ".join(f"{name}={value}" for name, value in self.wildcards.items())

    def __str__(self) -> str:
        return f"{self.rule} ({self.identity})" if self.wildcards else self.rule


@dataclass(frozen=True)
class Run:
    """A run of Snakemake, as far as it has got.

    Attributes:
        jobs: those that have started, in the order of their first attempts.
        total: jobs of the run, with its targets; None if it got not that far.
        study: the config's ``dataset``.
        rules: how many jobs of each rule it has.
        began, last: seconds since 1970 of its start and of the last event.
        stopped: whether it was asked to end.
        remote: whether a cluster runs its jobs.
        over: whether it has ended, one way or the other.
    """

    jobs: tuple[Job, ...] = ()
    total: int | None = None
    study: str = ""
    rules: Mapping[str, int] = field(default_factory=dict)
    began: float | None = None
    last: float | None = None
    stopped: bool = False
    remote: bool = False
    over: bool = True

    def of(self, state: str) -> tuple[Job, ...]:
        """Its jobs in a state."""
        return tuple(job for job in self.jobs if job.state == state)

    @property
    def done(self) -> int:
        """How many jobs are done."""
        return len(self.of("done"))

    @property
    def failed(self) -> tuple[Job, ...]:
        """Jobs whose last attempt failed; of a group all, since all of them are lost."""
        return self.of("failed")

    @property
    def seconds(self) -> float | None:
        """From the start to the last event."""
        if self.began is None or self.last is None:
            return None
        return max(self.last - self.began, 0.0)


def read_run(path: str | os.PathLike[str], *, over: bool | None = None) -> Run:
    """Read a file of events; never raises.

    What cannot be read or is not understood is left out. Relative paths in it stay so: they are
    relative to Snakemake's working directory.

    Args:
        path: of the file.
        over: whether the run has ended; None asks the lock on its file.
    """
    if over is None:
        over = not is_locked(path)
    run = Run(over=over)
    jobs: dict[int, Job] = {}
    for event in _lines(path):
        with suppress(AttributeError, KeyError, TypeError, ValueError):
            run = _after(run, jobs, event)
    # Where nobody wanted it to end: of a Snakemake that was killed, an executor that broke.
    left = "running" if not over else "lost" if run.stopped else "failed"
    known = (replace(job, state=left) if job.state == "running" else job for job in jobs.values())
    return replace(run, jobs=tuple(known))


def _lines(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    try:
        text = Path(path).read_text(errors="replace")
    except (OSError, ValueError):
        return
    for line in text.split("\n"):
        with suppress(ValueError, RecursionError):
            if isinstance(event := json.loads(line), dict):
                yield event


def _after(run: Run, jobs: dict[int, Job], event: Mapping[str, Any]) -> Run:
    """A run after one more event; jobs are changed in place."""
    when = float(event["time"])
    match event["event"]:
        case "run":
            run = replace(
                run,
                total=int(event["total"]),
                study=str(event["study"]),
                rules=dict(event["rules"]),
                began=when,
                remote=bool(event["remote"]),
            )
        case "start":
            jobs[int(event["job"])] = Job(
                rule=str(event["rule"]),
                wildcards=dict(event["wildcards"]),
                logs=tuple(map(str, event["logs"])),
                output=tuple(map(str, event["output"])),
                began=when,
                threads=_number(event["threads"], 1),
                resources=dict(event["resources"]),
            )
        case "finish":
            number = int(event["job"])
            jobs[number] = replace(jobs[number], state="done", ended=when)
        case "fail":
            number = int(event["job"])
            job = jobs.get(number) or Job(rule=str(event["rule"]))
            # Those that a person ends fail too.
            state = "lost" if run.stopped else "failed"
            logs = tuple(map(str, event.get("logs") or job.logs))
            jobs[number] = replace(job, state=state, ended=when, logs=logs)
        case "stop":
            run = replace(run, stopped=True)
            for number, job in jobs.items():
                # Ctrl-C reaches jobs when it reaches Snakemake, and their ends may be told first.
                if job.state == "failed" and job.ended is not None and when - job.ended < 1:
                    jobs[number] = replace(job, state="lost")
    return replace(run, last=when)


def _number(value: Any, default: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):  # <TBD>: known when the job starts
        return default


def number_of(resources: Mapping[str, Any], name: str, default: float) -> float:
    """A resource of a job as a number, ``default`` where it has none or it is not known yet."""
    return _number(resources.get(name), default)


def failure_lines(failed: Iterable[Job]) -> list[str]:
    """A line for each failed job: ``rule (wildcards): error: ... (log: path)``."""
    lines = []
    for job in failed:
        log = job.log
        # Of a group, some jobs failed and others were not run or are lost with them.
        said = (log and last_sentence(log)) or "its log ends without an error"
        lines.append(f"{job}: {said}" + (f" (log: {log})" if log else ""))
    return lines


def latest_run(
    folder: str | os.PathLike[str], study: str, *, besides: frozenset[str] = frozenset()
) -> Run | None:
    """The run of a study that began last; None if there was none.

    Args:
        folder: ``.snakemake/log``.
        study: the config's ``dataset``.
        besides: rules of targets that print; a run of these alone is left out.
    """
    for path in sorted(Path(folder).glob(f"*{EVENTS}"), reverse=True):
        head = next(_lines(path), {})
        rules = head.get("rules")
        if head.get("study") == study and isinstance(rules, dict) and not rules.keys() <= besides:
            return read_run(path)
    return None


def is_locked(path: str | os.PathLike[str]) -> bool:
    """Whether a process holds a file's lock.

    It is only looked at: by a lock that is shared and held for this moment. False for a file that
    is not there, and on a file system without locks.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (OSError, ValueError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def in_words(rule: str, wildcards: Mapping[str, Any]) -> str:
    """A job in plain words: ``train teacher: standard, 1 of Train, member 3``."""
    words = [_WORDS.get(name, "{}").format(value) for name, value in wildcards.items()]
    return rule.replace("_", " ") + (f": {', '.join(words)}" if words else "")


def duration(seconds: float) -> str:
    """A duration in its two largest units: ``2 h 13 min``, ``8 s``."""
    whole = round(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        n, whole = divmod(whole, size)
        parts.append((n, unit))
    first = next((i for i, (n, _) in enumerate(parts) if n), len(parts) - 1)
    shown = [parts[first], *((n, unit) for n, unit in parts[first + 1 : first + 2] if n)]
    return " ".join(f"{n} {unit}" for n, unit in shown)
