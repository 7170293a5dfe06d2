"""Snakemake's logger plugin ``degu``: a line a finished job, a bar, failures with their logs' end.

``snakemake --logger degu``. What is no ordinary progress of a real run (dry runs, ``--summary``,
warnings, errors, retries, what a cluster says) is shown as Snakemake shows it, and the full log in
``.snakemake/log`` has everything.

Snakemake imports this whenever it starts, before the Snakefile chooses which ``degu`` it works
with; so nothing of that package may be imported together with this module.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable
from logging import INFO, LogRecord
from pathlib import Path
from time import localtime, strftime
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from .left import TimeLeft

__all__ = ["LogHandler"]

#: First words of what Snakemake says of every real run. One that is missing costs a line.
_ORDINARY = (
    "Assuming unrestricted shared filesystem usage",
    "Building DAG of jobs",
    "Conda environments: ignored",
    "Elapsed time: ",
    "Group jobs: inactive",
    "Processed ",
    "Removing temporary output ",
    "Select jobs to execute",
    "Shutting down, this might take some time",
    "Singularity containers: ignored",
    "Storing output in storage",
    "Touching output file ",
    "Updating checkpoint dependencies",
    "Using shell: ",
    "Waiting at most ",
)


_WHERE = "Complete log(s): "


_ORDINARY_EVENTS = {LogEvent.WORKFLOW_STARTED, LogEvent.JOB_STARTED, LogEvent.PROGRESS}


#: Of a failed job: names in a list of files, lines of a log.
SHOWN_FILES, SHOWN_LINES = 5, 20


class LogHandler(LogHandlerBase):
    """Shows a run on the terminal."""

    writes_to_stream = property(lambda self: True)
    writes_to_file = property(lambda self: False)
    needs_rulegraph = property(lambda self: False)
    # Snakemake's own, which knows of --quiet and --printshellcmds.
    has_filter = property(lambda self: False)
    has_formatter = property(lambda self: True)

    def __post_init__(self) -> None:
        from snakemake.logging import ColorizingTextHandler, DefaultFormatter

        settings = self.common_settings
        self._as_it_is = settings.dryrun or settings.verbose
        # Logs of failed jobs are shown from their ends.
        whole_logs = self._as_it_is and settings.show_failed_logs
        self._shown = ColorizingTextHandler(
            nocolor=settings.nocolor,
            stream=sys.stdout if settings.stdout else sys.stderr,
            formatter=DefaultFormatter(settings.quiet, whole_logs),
        )
        self._executing = self._remote = False
        self._jobs: dict[int, dict[str, Any]] = {}
        self._done = self._total = 0
        self._left: TimeLeft | None = None
        self._bar: Any = None

    def emit(self, record: LogRecord) -> None:
        try:
            if self._as_it_is:
                self._shown.handle(record)
            else:
                self._take(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self._close_bar()
        super().close()

    def _take(self, record: LogRecord) -> None:
        said = record.__dict__
        event = said.get("event")
        if event == LogEvent.WORKFLOW_STARTED:
            self._executing = True
        if not self._executing:
            # --lint, --summary and the like execute nothing.
            if not str(record.msg).startswith(_ORDINARY[0]):
                self._show(record)
        elif event == LogEvent.RUN_INFO:
            self._run_starts(said["stats"], record.created)
        elif event == LogEvent.RESOURCES_INFO:
            self._remote = self._remote or "nodes" in said
        elif event == LogEvent.JOB_INFO:
            self._job_starts(said)
        elif event == LogEvent.JOB_FINISHED:
            self._job_finished(said)
        elif event == LogEvent.JOB_ERROR:
            self._job_ends(said["jobid"], record.created)
            self._show(_shortened(record), _ends(said["log"]))
        elif event == LogEvent.GROUP_ERROR:
            self._show(record, _ends(said["aux_logs"]))
        elif event == LogEvent.ERROR:
            self._show(record, self._job_without_output(record))
        elif str(record.msg).startswith(_WHERE):
            if self._done < self._total:
                self._show(record)
        elif event not in _ORDINARY_EVENTS and not _is_ordinary(record):
            self._show(record)

    def _run_starts(self, stats: dict[str, int], now: float) -> None:
        self._total = stats["total"]
        self._left = TimeLeft({rule: n for rule, n in stats.items() if rule != "total"}, now)
        self._say(f"{self._total:,} job{'s' * (self._total != 1)}")
        stream = self._shown.stream
        if self._total > 1 and stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=self._total,
                file=stream,
                bar_format="{n_fmt}/{total_fmt} |{bar:30}| {desc}",
                dynamic_ncols=True,
                leave=False,
            )
            self._move_bar(now)

    def _job_starts(self, said: dict[str, Any]) -> None:
        number = said["jobid"]
        self._jobs[number] = said
        if self._left is not None:
            self._left.begin(number, said["rule_name"], said["created"])
        if self._remote and not said["local"]:
            # What the cluster says calls it by its number.
            indent = "    " if said.get("indent") else ""
            self._say(f"{indent}job {number}: {_in_words(said)}")
        self._move_bar(said["created"])

    def _job_finished(self, said: dict[str, Any]) -> None:
        self._done += 1
        if self._bar is not None:
            self._bar.n = self._done
        number, now = said["job_id"], said["created"]
        job = self._jobs.pop(number, None)
        if job is None:  # --quiet rules: nothing was said of its start
            words, took = said["msg"], None
        else:
            words, took = _in_words(job), _seconds(job, now, self._remote)
        self._job_ends(number, now, took)
        if job is None or job["output"]:  # a target makes none
            place = f"{self._done:{len(str(self._total))}}/{self._total}"
            self._say(f"{place}  {words:<72}  {_duration(took)}".rstrip())
        self._move_bar(now)

    def _job_ends(self, number: int, now: float, took: float | None = None) -> None:
        if self._left is not None:
            self._left.end(number, now, took)

    def _job_without_output(self, record: LogRecord) -> list[str]:
        from degu.ops.events import job_without_output

        number = job_without_output(record)
        job = None if number is None else self._jobs.get(number)
        if number is None or job is None:
            return []
        self._job_ends(number, record.created)
        return _ends(job["log"])

    def _say(self, text: str) -> None:
        self._write(lambda stream: stream.write(f"{text}\n"))

    def _show(self, record: LogRecord, besides: Iterable[str] = ()) -> None:
        """Show what Snakemake would, and lines besides."""

        def write(stream: Any) -> None:
            self._shown.handle(record)
            stream.writelines(f"{line}\n" for line in besides)

        self._write(write)

    def _write(self, write: Any) -> None:
        stream = self._shown.stream
        if self._bar is None:
            write(stream)
        else:
            with self._bar.external_write_mode(file=stream):
                write(stream)
        stream.flush()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _move_bar(self, now: float) -> None:
        if self._done >= self._total:
            self._close_bar()
        if self._bar is None or self._left is None:
            return
        words = [f"{self._left.running} running"] if self._left.running else []
        if (left := self._left.seconds(now)) is not None:
            # The time of day stays true while no job ends.
            end = strftime("%H:%M" if left < 86400 else "%d %b %H:%M", localtime(now + left))
            words.append(f"about {_duration(round(left))} left, till {end}")
        self._bar.set_description_str(", ".join(words))


def _is_ordinary(record: LogRecord) -> bool:
    return record.levelno <= INFO and str(record.msg).startswith(_ORDINARY)


def _shortened(record: LogRecord) -> LogRecord:
    """The record of a failed job without the bulk of its input, which is in the full log."""
    short = copy.copy(record)
    for name in ("input", "output"):
        files = list(getattr(record, name))
        if len(files) > SHOWN_FILES:
            more = f"and {len(files) - SHOWN_FILES:,} more"
            setattr(short, name, [*files[:SHOWN_FILES], more])
    return short


def _ends(logs: Iterable[str]) -> list[str]:
    """The last lines of each log."""
    from degu.ops.joblog import log_tail

    lines = []
    for log in logs:
        tail = log_tail(log, SHOWN_LINES)
        lines.append(f"Logfile {log}" + (" ends with:" if tail else ": nothing was written to it"))
        lines += [f"    {line}" for line in tail]
    return lines


def _in_words(job: dict[str, Any]) -> str:
    from degu.ops.events import in_words

    return in_words(job["rule_name"], job["wildcards"] or {})


def _duration(seconds: float | None) -> str:
    from degu.ops.events import duration

    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 10 and seconds % 1 else duration(seconds)


def _seconds(job: dict[str, Any], now: float, remote: bool) -> float:
    """How long a job took; on a cluster, by its benchmark file, since it waited in the queue."""
    if remote and job["benchmark"]:
        path = Path(job["benchmark"])
        try:
            if path.stat().st_mtime >= job["created"]:
                return float(path.read_text().splitlines()[1].split("\t")[0])
        except (OSError, ValueError, IndexError):
            pass
    return now - job["created"]
