"""How far a study is and what it will take: from benchmark files and what is there."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import h5py
import pandas as pd

from degu.ops.events import Run, duration, failure_lines, is_locked, number_of

# What a rule's time is taken from where a pilot never ran it: the same with these in place.
_LIKE = (("_evoaug", ""), ("dynamic_student", "student"), ("student", "teacher"))


_PROPORTION = re.compile(r"(?:^|/)(?:standard_|evoaug_|downsample_)([0-9.e-]+)(?=_|/|$)")
_MODELS = re.compile(r"_1-(\d+)(?:\.log)?$")


#: Jobs of a run that are shown by name.
SHOWN_JOBS = 5


def proportion_of(name: str) -> float:
    """The proportion of the training set that the name of a job or the path of a file holds.

    1 where there is none.
    """
    found = _PROPORTION.search(name)
    with suppress(ValueError):
        return float(found[1]) if found and float(found[1]) > 0 else 1.0
    return 1.0


def models_of(name: str) -> int:
    """How many models the job of this name, or log, predicts with: ``..._1-10`` is of ten."""
    found = _MODELS.search(name)
    return int(found[1]) if found else 1


def read_benchmarks(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """The benchmark files of a study, a row a job.

    Args:
        folder: ``results/{dataset}/benchmarks``, with ``{rule}/{job}.tsv`` and ``{rule}.tsv``.

    Returns:
        Columns ``rule``, ``job`` (blank where a rule has one job), ``seconds``, ``max_rss_mb`` and
        ``finished`` (seconds since 1970, when the file was written). A file that is no benchmark
        is left out, and a line on stderr says so. A folder that is not there has no rows.
    """
    rows = []
    for path in sorted(Path(folder).glob("**/*.tsv")):
        where = path.relative_to(folder).with_suffix("")
        try:
            table = pd.read_csv(path, sep="\t")
            seconds = float(pd.to_numeric(table["s"]).mean())
            if not 0 <= seconds < float("inf"):
                raise ValueError
            rss = float(pd.to_numeric(table["max_rss"], errors="coerce").max())
            finished = path.stat().st_mtime
        except (OSError, ValueError, KeyError):  # pandas's own errors are ValueErrors
            print(f"{path} is no benchmark file and is left out.", file=sys.stderr)
            continue
        rows.append((where.parts[0], "/".join(where.parts[1:]), seconds, rss, finished))
    return pd.DataFrame(rows, columns=["rule", "job", "seconds", "max_rss_mb", "finished"]).astype(
        {"rule": str, "job": str, "seconds": float, "max_rss_mb": float, "finished": float}
    )


def stage_of(rule: str) -> str:
    """The stage whose ``resources`` of the config a rule has: train, predict or light."""
    if rule.startswith(("train_", "finetune_")):
        return "train"
    if rule.startswith(("attribute_", "predict_")):
        return "predict"
    return "light"


def at_once(benchmarks: pd.DataFrame) -> float:
    """How many jobs ran at once on average while any ran; 1 if nothing ran."""
    busy, end = 0.0, float("-inf")
    spans = benchmarks.assign(start=benchmarks["finished"] - benchmarks["seconds"])
    for start, finished in spans.sort_values("start")[["start", "finished"]].itertuples(
        index=False
    ):
        busy += max(finished - max(start, end), 0.0)
        end = max(end, finished)
    return max(float(benchmarks["seconds"].sum()) / busy, 1.0) if busy else 1.0


class Times:
    """How long a job of a rule takes, going by benchmark files.

    A training takes as long as it has sequences: seconds of the rule's trainings, divided by their
    proportions of the training set. Other jobs take the mean of their rule, for each model. A rule
    without files borrows the time of one that is like it (a teacher's for a student's, one without
    EvoAug for one with it), or else of the slowest rule of its kind.

    ``times | others`` takes what ``times`` has no files of from others.

    Args:
        benchmarks: of :func:`read_benchmarks`.
        scale: training sequences of the study that is asked about, divided by those of the one that
            the files are of.
    """

    def __init__(self, benchmarks: pd.DataFrame, scale: float = 1.0) -> None:
        work = [
            proportion_of(job) if stage_of(rule) == "train" else float(models_of(job))
            for rule, job in zip(benchmarks["rule"], benchmarks["job"], strict=True)
        ]
        sums = benchmarks.assign(work=work).groupby("rule")[["seconds", "work"]].sum()
        rates = sums["seconds"] / sums["work"]
        self._rates = {
            str(rule): float(rate) * (scale if stage_of(str(rule)) == "train" else 1.0)
            for rule, rate in rates.items()
        }

    def __or__(self, others: Times) -> Times:
        both = copy(self)
        both._rates = {**others._rates, **self._rates}
        return both

    def basis(self, rule: str) -> str | None:
        """The rule whose files a rule's time is taken from; None if there is none of its kind."""
        for n in range(len(_LIKE) + 1):
            for changes in combinations(_LIKE, n):
                like = rule
                for old, new in changes:
                    like = like.replace(old, new)
                if like in self._rates:
                    return like
        same_kind = [other for other in self._rates if stage_of(other) == stage_of(rule)]
        return max(same_kind, key=self._rates.__getitem__, default=None)

    def seconds(self, rule: str, proportion: float = 1.0, models: int = 1) -> float | None:
        """Seconds of a job; None if nothing is known.

        Args:
            rule: the job's.
            proportion: of the training set that it uses.
            models: that it predicts with, or scores.
        """
        basis = self.basis(rule)
        if basis is None:
            return None
        return self._rates[basis] * (proportion if stage_of(rule) == "train" else models)


def times_of(
    study: str | os.PathLike[str], pilot: str | os.PathLike[str] | None = None
) -> tuple[Times, str]:
    """How long a study's jobs take, by its own benchmark files and those of a pilot.

    Args:
        study, pilot: folders of results. Of the pilot those rules count that the study has not run;
            its trainings are scaled to the study's training set where both data sets are there.

    Returns:
        The times, and lines that say what they rest on.
    """
    own = read_benchmarks(Path(study) / "benchmarks")
    times = Times(own)
    lines = [f"Times: {len(own):,} benchmark files of {study}{_epochs(study)}"]
    if pilot is not None and Path(pilot) != Path(study):
        others = read_benchmarks(Path(pilot) / "benchmarks")
        if others.empty:
            lines.append(f"and none of {pilot}: run that study first, or correct `pilot`")
            return times, "\n".join(lines)
        sizes = {folder: _training_size(folder) for folder in (study, pilot)}
        own_size, pilot_size = sizes.values()
        scale = 1.0
        if own_size and pilot_size:
            scale = own_size / pilot_size
            how = (
                f"times {scale:.3g}, for {own_size:,} training sequences in place of {pilot_size:,}"
            )
        else:
            unknown = " and ".join(f"{folder}/dataset.h5" for folder, n in sizes.items() if not n)
            how = f"not scaled to the training set: make {unknown} first (a target by that name)"
        times = times | Times(others, scale)
        lines.append(f"and {len(others):,} of {pilot}{_epochs(pilot)}; its trainings {how}")
    return times, "\n".join(lines)


def _training_size(results: str | os.PathLike[str]) -> int | None:
    with suppress(Exception), h5py.File(Path(results) / "dataset.h5", "r") as file:
        return len(file["Train/y"])
    return None


def _epochs(results: str | os.PathLike[str]) -> str:
    """How many epochs the trainings of a study took, since time goes by them too."""
    epochs = []
    for path in Path(results).glob("*/downsample_*/**/*_history*.csv"):
        with suppress(OSError), open(path, "rb") as file:
            epochs.append(sum(1 for _ in file) - 1)
    if not epochs:
        return ""
    mean = sum(epochs) / len(epochs)
    return f" (trainings of {mean:.1f} epochs on average, {max(epochs)} at most)"


def jobs_of(run: Run) -> pd.DataFrame:
    """The jobs of a run, or of a dry run, without those that make no file (``all``).

    Returns:
        Columns ``rule``, ``proportion``, ``models``, ``partition`` (blank without one), ``gpu``,
        ``threads`` and ``runtime`` (the limit in minutes, NaN without one), a row a job.
    """
    rows = [
        {
            "rule": job.rule,
            "proportion": proportion_of(f"downsample_{job.wildcards.get('proportion', 1)}"),
            "models": models_of(job.logs[0]) if job.logs else 1,
            "partition": str(job.resources.get("slurm_partition", "")),
            "gpu": number_of(job.resources, "gpu", 0),
            "threads": job.threads,
            "runtime": number_of(job.resources, "runtime", float("nan")),
        }
        for job in run.jobs
        if job.output
    ]
    columns = ["rule", "proportion", "models", "partition", "gpu", "threads", "runtime"]
    return pd.DataFrame(rows, columns=columns)


def plan(jobs: pd.DataFrame, times: Times) -> pd.DataFrame:
    """What a study needs, a row a rule.

    Args:
        jobs: of :func:`jobs_of`.
        times: of a pilot.

    Returns:
        Columns ``rule``, ``partition``, ``gpu`` and ``threads`` (of a job), ``jobs``, ``minutes``
        (mean of a job), ``longest`` (minutes of the longest), ``limit`` (minutes that a job may
        take), ``hours`` and ``gpu_hours`` (of all jobs), ``basis`` (the rule whose times these
        are). Where nothing is known, times are NaN and the basis is None.
    """
    seconds = [
        times.seconds(rule, proportion, models)
        for rule, proportion, models in zip(
            jobs["rule"], jobs["proportion"], jobs["models"], strict=True
        )
    ]
    jobs = jobs.assign(hours=pd.Series(seconds, jobs.index, dtype=float) / 3600)
    keys = ["rule", "partition", "gpu", "threads"]
    table = jobs.groupby(keys, sort=False, as_index=False).agg(
        jobs=("hours", "size"),
        minutes=("hours", lambda hours: hours.mean() * 60),
        longest=("hours", lambda hours: hours.max() * 60),
        limit=("runtime", "min"),
        hours=("hours", lambda hours: hours.sum(min_count=1)),
    )
    table["gpu_hours"] = table["hours"] * table["gpu"]
    # As objects: pandas 3 would make NaN of a None among texts.
    basis = [times.basis(rule) for rule in table["rule"]]
    table["basis"] = pd.Series(basis, table.index, dtype=object)
    return table


def plan_text(table: pd.DataFrame) -> str:
    """A plan for reading: its rules, totals by partition, and what its times rest on."""
    lines = []
    shown = pd.DataFrame(
        {
            "rule": table["rule"],
            "partition": table["partition"].replace("", "-"),
            "jobs": table["jobs"].map("{:,}".format),
            "GPUs": table["gpu"].map("{:g}".format),
            "threads": table["threads"].map("{:g}".format),
            "minutes": table["minutes"].map(_decimals),
            "limit": table["limit"].map(_whole),
            "hours": table["hours"].map(_decimals),
            "GPU hours": table["gpu_hours"].map(_decimals),
        }
    )
    lines.append(_aligned(shown))
    columns = table[["jobs", "hours", "gpu_hours"]]
    # Zero hours only where that much is known.
    totals = columns.groupby(table["partition"], sort=False).sum(min_count=1)
    lines.append("")
    for partition, row in [*totals.iterrows(), ("all", columns.sum(min_count=1))]:
        name = "without a partition" if partition == "" else partition
        hours, gpu_hours = ("?" if pd.isna(n) else f"{n:,.1f}" for n in row[["hours", "gpu_hours"]])
        lines.append(
            f"{name}: {row['jobs']:,.0f} jobs, {hours} hours of jobs, {gpu_hours} GPU hours"
        )
    limits = table[["rule", "longest", "limit"]]
    for rule, longest, limit in limits.itertuples(index=False, name=None):
        if longest > limit:
            lines.append(
                f"{rule}: a job would take {longest:,.0f} minutes, more than its limit; raise "
                "`runtime` of its stage under `resources`"
            )
    return "\n".join(lines + _borrowed(dict(zip(table["rule"], table["basis"], strict=True))))


def _borrowed(basis: Mapping[str, str | None]) -> list[str]:
    """What is to be known of rules that have no times of their own."""
    borrowers: dict[str | None, list[str]] = {}
    for rule, source in basis.items():
        if source != rule:
            borrowers.setdefault(source, []).append(rule)
    if basis and set(borrowers) == {None} and set(basis) == set(borrowers[None]):
        return ["No job has been timed yet: run a small study, and name it as `pilot`."]
    return [
        f"no times are known, and none counted, of {', '.join(rules)}"
        if source is None
        else f"times of {source} stand for {', '.join(rules)}, which have none yet"
        for source, rules in borrowers.items()
    ]


def _aligned(table: pd.DataFrame) -> str:
    """Columns of text, the first to the left and the others to the right."""
    widths = [max([len(str(name)), *map(len, table[name])]) for name in table]
    rows = [tuple(table.columns), *table.itertuples(index=False, name=None)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _decimals(value: float) -> str:
    return "?" if pd.isna(value) else f"{value:,.{1 if value >= 10 else 2}f}"


def _whole(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:,.0f}"


@dataclass(frozen=True)
class Training:
    """A training that has begun: whether a process holds its lock, since when, how far it is.

    Attributes:
        running: whether it goes on now; otherwise it was interrupted.
        since: seconds since 1970 when it began or was taken up; None if that is unknown.
        epochs: completed, of its checkpoint; None if it has none that can be read.
    """

    running: bool
    since: float | None
    epochs: int | None


def training_of(model: str | os.PathLike[str]) -> Training | None:
    """The state of the training that makes a model file; None if none has begun.

    The lock is only looked at, and never created.
    """
    model = Path(model)
    checkpoint = model.parent / ".checkpoints" / model.name
    lock = Path(f"{checkpoint}.lock")
    running = is_locked(lock)
    epochs = None
    # Whatever h5py makes of a damaged file, or of one that is replaced just now.
    with suppress(Exception), h5py.File(checkpoint, "r") as file:
        epochs = int(json.loads(file["state"][()])["epochs"])
    if not running and epochs is None:
        return None
    since = None
    with suppress(OSError):
        since = Path(f"{checkpoint}.owner").stat().st_mtime
    return Training(running, since if running else None, epochs)


def status(
    arms: Mapping[str, Mapping[str, Sequence[str]]],
    times: Times,
    models: Mapping[str, int],
    *,
    now: float | None = None,
) -> pd.DataFrame:
    """What is done of a study, a row a job.

    Args:
        arms: for each arm's name its rules, and for each rule the final file of each of its jobs.
            Arms may share files.
        times: of jobs that are done, or of a pilot.
        models: how many a job of a rule predicts with, where they are several.
        now: seconds since 1970; None asks the clock.

    Returns:
        Columns ``arm``, ``rule``, ``file``, ``state`` (``done``; ``running``, of trainings only;
        ``left``), ``epochs`` (completed, of a training that has begun) and ``seconds`` (that it
        will still take; NaN if nothing is known). A file of several arms has a row in each.
    """
    now = time.time() if now is None else now
    rows = []
    known: dict[tuple[str, str], tuple[str, float, float]] = {}
    for arm, rules in arms.items():
        for rule, files in rules.items():
            for file in files:
                if (rule, file) not in known:
                    known[rule, file] = _state(rule, file, times, models.get(rule, 1), now)
                rows.append((arm, rule, file, *known[rule, file]))
    return pd.DataFrame(rows, columns=["arm", "rule", "file", "state", "epochs", "seconds"])


def _state(rule: str, file: str, times: Times, models: int, now: float) -> tuple[str, float, float]:
    nan = float("nan")
    if os.path.exists(file):
        return "done", nan, 0.0
    seconds = times.seconds(rule, proportion_of(file), models)
    left = nan if seconds is None else seconds
    training = training_of(file) if stage_of(rule) == "train" else None
    if training is None:
        return "left", nan, left
    if training.running and training.since is not None:
        left = max(left - max(now - training.since, 0.0), 0.0) if left == left else left
    epochs = nan if training.epochs is None else float(training.epochs)
    return ("running" if training.running else "left"), epochs, left


def status_text(table: pd.DataFrame, at_once: float, times: Times) -> str:
    """A status for reading: a line an arm, and what the whole study needs.

    Args:
        table: of :func:`status`.
        at_once: jobs that run at once.
        times: that the table was made with.
    """
    whole = table.drop_duplicates(["rule", "file"])
    rows = [(arm, part) for arm, part in table.groupby("arm", sort=False)]
    shown = pd.DataFrame(
        [
            {
                "arm": name,
                **{
                    state: f"{(part['state'] == state).sum():,}"
                    for state in ("done", "running", "left")
                },
                "jobs": f"{len(part):,}",
            }
            for name, part in [*rows, ("all", whole)]
        ],
        columns=["arm", "done", "running", "left", "jobs"],
    )
    lines = [_aligned(shown)]
    begun = whole.loc[whole["epochs"].notna(), ["file", "state", "epochs"]]
    for file, state, epochs in begun.itertuples(index=False, name=None):
        verb = "has finished" if state == "running" else "was interrupted after"
        lines.append(f"{file} {verb} epoch {epochs:g}")
    unfinished = whole[whole["state"] != "done"]
    if unfinished.empty:
        return "\n".join([*lines, "Everything is there."])
    lines += _borrowed({rule: times.basis(rule) for rule in unfinished["rule"].unique()})
    if unfinished["seconds"].notna().any():
        left = duration(unfinished["seconds"].sum() / at_once)
        besides = " for the others" if unfinished["seconds"].isna().any() else ""
        lines.append(f"About {left} left{besides}, with {at_once:.1f} jobs at once.")
    return "\n".join(lines)


def run_text(run: Run | None, now: float | None = None) -> str:
    """A study's latest run for reading: how far it is, what runs, what failed and why.

    Args:
        run: of :func:`degu.ops.events.latest_run`.
        now: seconds since 1970; None asks the clock.
    """
    if run is None or run.began is None or run.total is None:
        return "No run of this study is known here."
    now = time.time() if now is None else now
    counts = [f"{run.done:,} of {run.total:,} jobs done"]
    if run.failed:
        counts.append(f"{len(run.failed):,} failed")
    if run.over:
        ended = "was stopped" if run.stopped else "has ended"
        head = f"The last run {ended}"
        if run.seconds is not None:
            head += f" after {duration(run.seconds)}"
    else:
        head = f"A run goes on since {duration(max(now - run.began, 0.0))}"
    lines = [f"{head}: {', '.join(counts)}."]
    running = run.of("running")
    verb = "submitted" if run.remote else "running"
    for job in running[:SHOWN_JOBS]:
        since = now if job.began is None else job.began
        lines.append(f"{verb}: {job}, for {duration(max(now - since, 0.0))}")
    if len(running) > SHOWN_JOBS:
        lines.append(f"and {len(running) - SHOWN_JOBS:,} more")
    return "\n".join(lines + failure_lines(run.failed))
