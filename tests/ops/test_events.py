"""Events of runs: written by Snakemake here for real, and read."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import run_python
from hypothesis import given, settings
from hypothesis import strategies as st

from degu.ops.events import (
    VARIABLE,
    Job,
    Run,
    duration,
    events_file,
    failure_lines,
    in_words,
    latest_run,
    read_run,
)
from degu.ops.progress import jobs_of

HEAD = """
from snakemake.logging import logger
from degu.ops.events import record_events

if workflow.is_main_process:
    record_events(logger, "my_assay")
"""
SNAKEFILE = f"""
{HEAD}
rule all:
    input: "ok.txt", "flaky.txt", "f1_std.txt", "f2_std.txt", "never.txt", "later.txt"

rule ok:
    output: "ok.txt"
    resources: gpu=1, runtime=30, slurm_partition="long"
    threads: 2
    shell: "touch {{output}}"

rule flaky:
    output: "flaky.txt"
    log: "logs/flaky.log"
    retries: 1
    shell: "if [ -e once ]; then touch {{output}}; else touch once; echo no > {{log}}; exit 1; fi"

rule fail:
    output: "f{{i}}_{{kind}}.txt"
    log: "logs/fail/{{i}}_{{kind}}.log"
    shell: "echo 'error: the disk is full.' > {{log}}; exit 1"

rule always:
    output: "never.txt"
    log: "logs/always.log"
    retries: 1
    shell: "echo 'error: never.' > {{log}}; exit 1"

rule lost:
    output: "lost.txt"
    log: "logs/lost.log"
    shell: "echo nothing > {{log}}"

rule later:
    input: "lost.txt"
    output: "later.txt"
    shell: "touch {{output}}"
"""
MAIN = "import sys; from snakemake.cli import main; main(sys.argv[1:])"
FLAGS = ("--cores", 2, "--latency-wait", 0, "--keep-going", "--nocolor")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder in which Snakemake has run without output, and some of its jobs have failed."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "Snakefile").write_text(SNAKEFILE)
    ended = run_python(MAIN, *FLAGS, "--quiet", "all", cwd=folder)
    assert ended.returncode == 1
    return folder


def test_a_run(run, monkeypatch):
    monkeypatch.chdir(run)
    (log,) = Path(".snakemake/log").glob("*.snakemake.log")
    read = read_run(events_file(log))
    assert (read.study, read.done, read.total) == ("my_assay", 2, 8)  # ok, flaky
    assert read.over
    assert not read.stopped
    assert not read.remote
    assert read.rules["fail"] == 2
    assert {str(job): job.log for job in read.failed} == {
        "fail (i=1, kind=std)": "logs/fail/1_std.log",
        "fail (i=2, kind=std)": "logs/fail/2_std.log",
        "always": "logs/always.log",
        "lost": "logs/lost.log",
    }
    assert 0 <= read.seconds < 600
    assert sorted(failure_lines(read.failed)) == [
        "always: error: never. (log: logs/always.log)",
        "fail (i=1, kind=std): error: the disk is full. (log: logs/fail/1_std.log)",
        "fail (i=2, kind=std): error: the disk is full. (log: logs/fail/2_std.log)",
        "lost: its log ends without an error (log: logs/lost.log)",
    ]
    assert latest_run(".snakemake/log", "my_assay") == read
    assert latest_run(".snakemake/log", "my_assay", besides=frozenset(read.rules)) is None
    assert latest_run(".snakemake/log", "other") is latest_run("no/folder", "my_assay") is None


def test_a_dry_run_is_recorded_where_that_is_asked_for(run, tmp_path):
    before = set(run.glob(".snakemake/log/*"))
    events = tmp_path / "events.jsonl"
    dry = ("--dry-run", "--forceall")
    run_python(MAIN, *FLAGS, *dry, cwd=run, **{VARIABLE: str(events)})
    jobs = jobs_of(read_run(events)).set_index("rule")
    counts = {"ok": 1, "flaky": 1, "fail": 2, "always": 1, "lost": 1, "later": 1}
    assert jobs.groupby("rule").size().to_dict() == counts
    assert jobs.loc["ok"].to_dict() == {
        "proportion": 1,
        "partition": "long",
        "gpu": 1,
        "models": 1,
        "threads": 2,
        "runtime": 30,
    }
    assert jobs.loc["lost", ["partition", "gpu", "threads"]].to_list() == ["", 0, 1]
    assert set(run.glob(".snakemake/log/*")) == before


SLOW = f"""
{HEAD}
rule all:
    input: "a.txt", "b.txt"

rule slow:
    output: "{{name}}.txt"
    # No other process before it sleeps: a shell forgives a Ctrl-C that such a one outlives.
    shell: ": > {{wildcards.name}}.began; exec sleep 3000"
"""


def test_a_run_that_goes_on_and_is_stopped(tmp_path):
    (tmp_path / "Snakefile").write_text(SLOW)
    # Tests that run in the background inherit an ignored SIGINT.
    code = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n" + MAIN
    command = [sys.executable, "-c", code, *map(str, FLAGS)]
    # A group of its own, to which a terminal's Ctrl-C would go.
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 600
    while not all((tmp_path / f"{name}.began").exists() for name in "ab"):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    read = latest_run(tmp_path / ".snakemake/log", "my_assay")
    assert not read.over
    assert sorted(str(job) for job in read.of("running")) == ["slow (name=a)", "slow (name=b)"]
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(600) == 1
    read = latest_run(tmp_path / ".snakemake/log", "my_assay")
    assert read.over
    assert read.stopped
    assert read.failed == ()
    assert (len(read.of("lost")), read.done, read.total) == (2, 0, 3)


def line(event, when, **values):
    return json.dumps({"event": event, "time": when, **values})


def start(job, when, rule="train", **values):
    values = {"wildcards": {}, "output": ["x"], "logs": [], "threads": 1, "resources": {}, **values}
    return line("start", when, job=job, rule=rule, **values)


BEGIN = line("run", 10, study="a", total=5, rules={"train": 5}, remote=True, log=None)
LINES = [
    BEGIN,
    start(1, 11, logs=["1.log"], wildcards={"ix": "1"}),
    start(2, 11),
    start(3, 11),
    start(5, 11),
    line("fail", 12, job=5, rule="train", logs=[]),
    line("fail", 12, job=1, rule="train", logs=["1.log", "cluster/1.log"], message="lost node"),
    line("fail", 12, job=3, rule="train", logs=[]),
    start(1, 13, logs=["1.log"], wildcards={"ix": "1"}),
    line("finish", 14, job=2),
    line("fail", 15, job=1, rule="train", logs=["1.log", "cluster/2.log"], message="again"),
    start(3, 15),
    "not JSON",
    line("finish", 15),
    line("what", 15, job=1),
    start(4, 16),
    line("finish", 20, job=4)[:-3],
]


def test_states_of_jobs(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(LINES))
    run = read_run(path, over=False)
    assert [job.state for job in run.jobs] == ["failed", "done", "running", "failed", "running"]
    assert run.failed[0] == Job(
        "train", {"ix": "1"}, ("1.log", "cluster/2.log"), ("x",), "failed", 13, 15
    )
    assert (run.began, run.last, run.seconds, run.total, run.remote) == (10, 16, 6, 5, True)
    # What nothing more is heard of has failed, unless a person ended the run.
    assert [job.state for job in read_run(path).jobs] == [
        "failed",
        "done",
        "failed",
        "failed",
        "failed",
    ]
    path.write_text("\n".join([*LINES, "", line("stop", 15.5), line("fail", 17, job=3, logs=[])]))
    stopped = read_run(path)
    assert stopped.stopped
    # That of 15 fell together with the stop.
    assert [job.state for job in stopped.jobs] == ["lost", "done", "lost", "failed", "lost"]


def test_the_log_that_says_something(tmp_path, monkeypatch):
    """Of a job that the cluster ended, its own log is empty."""
    monkeypatch.chdir(tmp_path)
    Path("own.log").touch()
    Path("cluster.log").write_text("slurmstepd: error: Detected 1 oom_kill event in StepId=7.\n")
    (said,) = failure_lines([Job("always", {}, ("own.log", "cluster.log"))])
    assert said == (
        "always: slurmstepd: error: Detected 1 oom_kill event in StepId=7. (log: cluster.log)"
    )
    assert failure_lines([Job("a"), Job("b", {}, ("no.log",))]) == [
        "a: its log ends without an error",
        "b: its log ends without an error (log: no.log)",
    ]


def test_a_run_goes_on_while_its_file_is_locked(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(BEGIN)
    assert read_run(path).over
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert not read_run(path).over
    assert read_run(path).over
    for missing in (tmp_path / "no", tmp_path, "nul\0"):
        assert read_run(missing) == Run()


NAMES = sorted({name for text in (LINES[0], LINES[1], LINES[5]) for name in json.loads(text)})
VALUES = st.none() | st.text() | st.floats() | st.lists(st.text()) | st.just({"ingest": 1})
EVENTS = st.dictionaries(st.sampled_from(NAMES), VALUES).map(json.dumps)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(LINES) | st.text() | EVENTS, max_size=20))
def test_no_file_breaks_the_reader(tmp_path_factory, lines):
    path = tmp_path_factory.getbasetemp() / "mutated.degu.jsonl"
    path.write_bytes("\n".join(lines).encode(errors="surrogatepass") + b"\xff")
    run = read_run(path)
    assert isinstance(run, Run)
    failure_lines(run.failed)
    jobs_of(run)


def test_what_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "Snakefile").write_text(
        HEAD + 'rule a:\n    output: "a"\n    shell: "touch {output}"'
    )
    ended = run_python(MAIN, *FLAGS, cwd=tmp_path, **{VARIABLE: str(tmp_path / "Snakefile/x")})
    assert ended.returncode == 0
    (said,) = (line for line in ended.stderr.splitlines() if "was not written" in line)
    assert said.startswith(f"warning: {tmp_path}/Snakefile/x was not written: ")
    assert (tmp_path / "a").exists()


def test_a_job_in_words():
    wildcards = {"augmentation": "standard", "proportion": "0.5", "size": "4", "ix": "3"}
    assert in_words("train_student", wildcards) == (
        "train student: standard, 0.5 of Train, ensemble of 4, member 3"
    )
    assert in_words("ingest", {}) == "ingest"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (7983, "2 h 13 min"),
        (90000, "1 d 1 h"),
        (86405, "1 d"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
