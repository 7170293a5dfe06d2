"""What is read from the logs of runs and jobs: Snakemake's own, made here for real."""

import os
from datetime import datetime
from pathlib import Path

import pytest
from conftest import run_python
from hypothesis import given
from hypothesis import strategies as st

from degu.ops.runlog import (
    FailedJob,
    RunSummary,
    failure_lines,
    last_sentence,
    log_tail,
    read_jobs,
    read_run_log,
)

SNAKEFILE = """
rule all:
    input: "ok.txt", "flaky.txt", "f1_std.txt", "f2_std.txt", "g2.txt", "never.txt", "later.txt"

rule ok:
    output: "ok.txt"
    resources: gpu=1, runtime=30, slurm_partition="long"
    threads: 2
    shell: "touch {output}"

rule flaky:
    output: "flaky.txt"
    log: "logs/flaky.log"
    retries: 1
    shell: "if [ -e once ]; then touch {output}; else touch once; echo error: 1 > {log}; exit 1; fi"

rule fail:
    output: "f{i}_{kind}.txt"
    log: "logs/fail/{i}_{kind}.log"
    shell:
        # What a job writes must not be taken for what Snakemake says.
        "echo '[Sat Nov 21 13:44:01 2026]' > {log}; echo 'Error in rule ok:' >> {log};"
        "echo '    jobid: 1' >> {log}; echo '9 of 9 steps (100%) done' >> {log};"
        "echo 'error: the disk is full.' >> {log}; exit 1"

rule always:
    output: "never.txt"
    log: "logs/always.log"
    retries: 1
    shell: "echo 'error: never.' > {log}; exit 1"

rule g1:
    output: "g1.txt"
    group: "g"
    shell: "touch {output}"

rule g2:
    input: "g1.txt"
    output: "g2.txt"
    log: "logs/g2.log"
    group: "g"
    shell: "echo killed > {log}; exit 137"

rule lost:
    output: "lost.txt"
    log: "logs/lost.log"
    shell: "echo nothing > {log}"

rule later:
    input: "lost.txt"
    output: "later.txt"
    shell: "touch {output}"
"""
MAIN = "import sys; from snakemake.cli import main; main(sys.argv[1:])"
FLAGS = ("--cores", 2, "--latency-wait", 0, "--show-failed-logs", "--keep-going", "--nocolor")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder in which Snakemake has run, and some of its jobs have failed."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "Snakefile").write_text(SNAKEFILE)
    assert run_python(MAIN, *FLAGS, cwd=folder).returncode == 1
    return folder


def test_what_the_log_of_a_run_says(run, monkeypatch):
    monkeypatch.chdir(run)
    (log,) = Path(".snakemake/log").iterdir()
    summary = read_run_log(log)
    assert (summary.done, summary.total) == (3, 10)  # ok, flaky, g1
    assert {str(job): job.log for job in summary.failed} == {
        "fail (i=1, kind=std)": "logs/fail/1_std.log",
        "fail (i=2, kind=std)": "logs/fail/2_std.log",
        "always": "logs/always.log",
        "g2": "logs/g2.log",
        "lost": "logs/lost.log",
    }
    assert 0 <= summary.seconds < 60
    assert sorted(failure_lines(summary.failed)) == [
        "always: error: never. (log: logs/always.log)",
        "fail (i=1, kind=std): error: the disk is full. (log: logs/fail/1_std.log)",
        "fail (i=2, kind=std): error: the disk is full. (log: logs/fail/2_std.log)",
        "g2: its log ends without an error (log: logs/g2.log)",
        "lost: its log ends without an error (log: logs/lost.log)",
    ]


def test_jobs_of_a_dry_run(run):
    output = run_python(MAIN, *FLAGS, "--dry-run", "--forceall", cwd=run)
    jobs = read_jobs(output.stdout + output.stderr).set_index("rule")
    counts = {"ok": 1, "flaky": 1, "fail": 2, "always": 1, "g1": 1, "g2": 1, "lost": 1, "later": 1}
    assert jobs.groupby("rule").size().to_dict() == counts
    assert jobs.loc["ok"].to_dict() == {
        "proportion": 1,
        "partition": "long",
        "gpu": 1,
        "threads": 2,
        "runtime": 30,
    }
    assert jobs.loc["g1", ["partition", "gpu", "threads"]].to_list() == ["", 0, 1]


# From a run with the SLURM executor, plugin 2.8: a group that failed, whose log is that of a
# Snakemake with a failed job's log in it; a job that failed twice; one that was started again.
SLURM_LOG = """
SNAKEMAKE
=========
  Date: {date}
  Command: snakemake -j4 --executor slurm

Job stats:
job       count
------  -------
g1            1
always        1
flaky         1
total         5

[Sat Nov 21 13:45:33 2026] Group job g (jobs in lexicogr. order):
    [Sat Nov 21 13:45:33 2026]
    rule g1:
        output: g1.txt
        log: logs/g1.log
        jobid: 6
        wildcards: ix=3
    [Sat Nov 21 13:45:33 2026]
    rule g2:
        jobid: 5
[Sat Nov 21 13:45:33 2026]
rule always:
    log: logs/always.log
    jobid: 7
[Sat Nov 21 13:46:23 2026]
    message: Error in group g
    log: slurm_logs/group_g_g1_g2/5.log (check log file(s) for error details)
    jobs:
        rule g2:
            jobid: 5
            log: logs/g2.log (check log file(s) for error details)
Logfile slurm_logs/group_g_g1_g2/5.log:
================================================================================
  Date: 2026-11-21 13:45:35
[Sat Nov 21 13:45:35 2026]
    message: Error in group g
    log: slurm_logs/other.log (check log file(s) for error details)
    [Sat Nov 21 13:45:35 2026]
    Error in rule other:
        jobid: 0
        log: logs/other.log (check log file(s) for error details)
    Logfile logs/other.log:
    ================================================================================
    Finished jobid: 7 (Rule: always)
    ================================================================================
1 of 1 steps (100%) done
================================================================================
    [Sat Nov 21 13:46:23 2026]
    Error in rule g1:
        message: None
        jobid: 6
        log: logs/g1.log (check log file(s) for error details)
    Logfile logs/g1.log: empty file
    [Sat Nov 21 13:46:23 2026]
    Error in rule g2:
        jobid: 5
        log: logs/g2.log (check log file(s) for error details)
[Sat Nov 21 13:46:23 2026]
Error in rule always:
    message: SLURM-job '7' failed, SLURM status is: 'FAILED'.
    jobid: 7
    log: logs/always.log, slurm_logs/rule_always/7.log (check log file(s) for error details)
    shell:
        jobid: 99
        (command exited with non-zero exit code)
    external_jobid: 7
[Sat Nov 21 13:46:23 2026]
Error in rule flaky:
    jobid: 2
    log: logs/flaky.log, slurm_logs/rule_flaky/6.log (check log file(s) for error details)
Trying to restart job 2.
[Sat Nov 21 13:46:23 2026]
rule flaky:
    log: logs/flaky.log
    jobid: 2
[Sat Nov 21 13:47:23 2026]
Finished jobid: 2 (Rule: flaky)
1 of 5 steps (20%) done
"""


def test_log_of_a_run_on_slurm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("slurm_logs/rule_always").mkdir(parents=True)
    Path("slurm_logs/rule_always/7.log").write_text(
        "slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch.\n"
    )
    start = datetime(2026, 11, 21, 13, 44, 53)
    log = Path("run.log")
    log.write_text(SLURM_LOG.format(date=start))
    os.utime(log, (0, start.timestamp() + 150))
    group = "slurm_logs/group_g_g1_g2/5.log"
    always = FailedJob("always", "", ("logs/always.log", "slurm_logs/rule_always/7.log"))
    expected = (
        FailedJob("g1", "ix=3", ("logs/g1.log", group)),
        FailedJob("g2", "", ("logs/g2.log", group)),
        always,
    )
    assert read_run_log(log) == RunSummary(1, 5, expected, 150)
    assert failure_lines([always]) == [
        "always: slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch. "
        "(log: slurm_logs/rule_always/7.log)"
    ]


def test_log_of_a_run_that_was_stopped(tmp_path):
    log = tmp_path / "run.log"
    log.write_text("total  2\nTerminating processes on user request, this might take some time.\n")
    assert read_run_log(log) == RunSummary(0, 2, (), None, stopped=True)


FRAGMENTS = [line for line in SLURM_LOG.splitlines() if line] + ["=" * 80, "rule :", "jobid: x"]


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(), max_size=60))
def test_no_log_breaks_the_reader(tmp_path_factory, lines):
    path = tmp_path_factory.getbasetemp() / "mutated.log"
    path.write_bytes("\n".join(lines).encode(errors="surrogatepass") + b"\xff")
    assert isinstance(read_run_log(path), RunSummary)
    last_sentence(path)
    read_jobs("\n".join(lines))


def test_logs_that_are_not_there(tmp_path):
    assert read_run_log(tmp_path / "no.log") == read_run_log(tmp_path) == RunSummary()
    assert read_run_log("nul\0") == RunSummary()
    assert log_tail(tmp_path / "no.log") == []
    assert failure_lines([FailedJob("a"), FailedJob("b", "", ("no.log",))]) == [
        "a: its log ends without an error",
        "b: its log ends without an error (log: no.log)",
    ]


def test_tail_of_a_log(tmp_path):
    log = tmp_path / "job.log"
    log.write_bytes(
        b"first\n\n"
        + b"\x1b[1;31mred\x1b[0m \x1b]8;;http://a\x07link\x1b]8;;\x07\n"
        + b"10%\r 50%\r100%\nnot utf-8: \xff\nend\r\n\n"
    )
    assert log_tail(log) == ["first", "red link", "100%", "not utf-8: \ufffd", "end"]
    assert log_tail(log, 1) == ["end"]
    log.write_text("x" * 70_000 + "\nlast")
    assert log_tail(log) == ["last"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch 1/2\nerror: loss is nan.\n", "error: loss is nan."),
        ("error: a\nerror: b\nBye\n", "error: b"),
        ("Traceback:\n  File x\nValueError: bad\n", "ValueError: bad"),
        ("pandas.errors.ParserError: bad\n", "pandas.errors.ParserError: bad"),
        ("epoch 3/9\nstopped by SIGTERM\n", "stopped by SIGTERM"),
        ("epoch 3/9: batch 7\n", None),
        ("an error: not at the start\n", None),
        ("", None),
    ],
)
def test_last_sentence(text, expected, tmp_path):
    (tmp_path / "job.log").write_text(text)
    assert last_sentence(tmp_path / "job.log") == expected
