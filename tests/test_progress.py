"""How runs went, go and will go: real logs of Snakemake, and folders whose sums are known."""

import fcntl
import os
import time
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from conftest import run_python
from hypothesis import given
from hypothesis import strategies as st

from degu.progress import (
    FailedJob,
    RunSummary,
    Times,
    Training,
    at_once,
    duration,
    failure_lines,
    last_sentence,
    log_tail,
    plan,
    plan_text,
    proportion_of,
    read_benchmarks,
    read_jobs,
    read_run_log,
    status,
    status_text,
    times_of,
    training_of,
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


def write_benchmark(folder, name, seconds, finished=0.0, rss="512.5"):
    path = folder / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:01\t{rss}\t3\n")
    os.utime(path, (finished, finished))


def test_benchmarks(tmp_path, capfd):
    write_benchmark(tmp_path, "train_teacher/standard_1_1", 60.5, 100)
    write_benchmark(tmp_path, "ingest", 2, 7, rss="NA")
    for name, text in {
        "empty": "",
        "other": "a\tb\n1\t2\n",
        "word": "s\tmax_rss\nlong\t1\n",
    }.items():
        (tmp_path / f"{name}.tsv").write_text(text)
    (tmp_path / "binary.tsv").write_bytes(bytes(range(256)))
    table = read_benchmarks(tmp_path)
    expected = pd.DataFrame(
        {
            "rule": ["ingest", "train_teacher"],
            "job": ["", "standard_1_1"],
            "seconds": [2, 60.5],
            "max_rss_mb": [np.nan, 512.5],
            "finished": [7.0, 100.0],
        }
    )
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    said = capfd.readouterr().err.splitlines()
    assert [line.split("/")[-1] for line in said] == [
        f"{name}.tsv is no benchmark file and is left out."
        for name in ("binary", "empty", "other", "word")
    ]
    assert read_benchmarks(tmp_path / "not_there").empty


def benchmarks(*rows):
    """(rule, job, seconds[, finished]) as benchmarks."""
    rows = [(rule, job, float(s), 0.0, float(f)) for rule, job, s, f in rows]
    return pd.DataFrame(rows, columns=["rule", "job", "seconds", "max_rss_mb", "finished"])


def test_how_many_ran_at_once():
    # 0-10, 5-15 and, after a pause, 20-30: 30 seconds of jobs in 25 seconds.
    rows = [("r", "", 10, 10), ("r", "", 10, 15), ("r", "", 10, 30)]
    assert at_once(benchmarks(*rows)) == pytest.approx(30 / 25)
    assert at_once(benchmarks(("r", "", 10, 10), ("r", "", 4, 8))) == pytest.approx(1.4)
    assert at_once(benchmarks()) == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("standard_0.25_n10_std_3", 0.25),
        ("evoaug_1_3", 1),
        ("standard_1e-05_2", 1e-05),
        ("results/a/evoaug/downsample_0.1/teachers/1_Net_aug.h5", 0.1),
        ("results/standard_0.5_mine/performance", 0.5),
        ("performance", 1),
        ("standard_0_1", 1),
        ("standard_-_1", 1),
    ],
)
def test_proportion_in_a_name(name, expected):
    assert proportion_of(name) == expected


def test_times_of_rules():
    # 300 + 100 seconds for 1 + 0.25 of the training set.
    times = Times(
        benchmarks(
            ("train_teacher", "standard_1_1", 300, 0),
            ("train_teacher", "standard_0.25_1", 100, 0),
            ("train_student", "standard_1_n2_std_1", 500, 0),
            ("predict_teacher", "standard_1_1", 10, 0),
            ("predict_teacher", "standard_0.25_1", 20, 0),
        ),
        scale=3,
    )
    assert times.seconds("train_teacher") == pytest.approx(320 * 3)
    assert times.seconds("train_teacher", 0.5) == pytest.approx(160 * 3)
    assert times.seconds("predict_teacher", 0.5) == pytest.approx(15)
    assert times.basis("train_teacher_evoaug") == "train_teacher"
    assert times.basis("train_student_evoaug") == "train_student"
    assert times.basis("train_dynamic_student") == "train_student"
    assert times.basis("predict_student_evoaug") == "predict_teacher"
    assert times.basis("finetune_teacher") == "train_student"  # the slowest training
    assert times.basis("attribute") == "predict_teacher"
    assert times.basis("ingest") is times.seconds("ingest") is None
    own = Times(benchmarks(("train_teacher", "standard_1_1", 7, 0)))
    both = own | times
    assert both.seconds("train_teacher") == 7
    assert both.seconds("train_student") == pytest.approx(1500)
    assert own.basis("predict_teacher") is None


def test_plan_is_the_sum_of_its_jobs():
    columns = ["rule", "proportion", "partition", "gpu", "threads", "runtime"]
    jobs = pd.DataFrame(
        [("train_teacher", p, "gpu", 1.0, 2.0, 60.0) for p in (1, 1, 0.5, 0.5)]
        + [("train_teacher_evoaug", 0.5, "gpu", 1.0, 2.0, 720.0)]
        + [("predict_teacher", 1, "gpu", 2.0, 2.0, np.nan)] * 3
        + [("subset", 1, "", 0.0, 1.0, 30.0)] * 2,
        columns=columns,
    )
    times = Times(
        benchmarks(
            ("train_teacher", "standard_1_1", 7200, 0), ("predict_teacher", "standard_1_1", 600, 0)
        )
    )
    table = plan(jobs, times).set_index("rule")
    assert table["jobs"].to_list() == [4, 1, 3, 2]
    np.testing.assert_allclose(table["hours"], [6, 1, 0.5, np.nan])
    np.testing.assert_allclose(table["gpu_hours"], [6, 1, 1, np.nan])
    np.testing.assert_allclose(table["minutes"], [90, 60, 10, np.nan])
    assert table["basis"].to_list() == ["train_teacher", "train_teacher", "predict_teacher", None]
    lines = plan_text(table.reset_index()).splitlines()
    assert len({len(line) for line in lines[:5]}) == 1
    header = "rule partition jobs GPUs threads minutes limit hours GPU hours"
    assert " ".join(lines[0].split()) == header
    assert " ".join(lines[1].split()) == "train_teacher gpu 4 1 2 90.0 60 6.00 6.00"
    assert " ".join(lines[4].split()) == "subset - 2 0 1 ? 30 ? ?"
    assert lines[6:] == [
        "gpu: 8 jobs, 7.5 hours of jobs, 8.0 GPU hours",
        "without a partition: 2 jobs, ? hours of jobs, ? GPU hours",
        "all: 10 jobs, 7.5 hours of jobs, 8.0 GPU hours",
        "train_teacher: a job would take 120 minutes, more than its limit; raise `runtime` of its "
        "stage under `resources`",
        "times of train_teacher stand for train_teacher_evoaug, which have none yet",
        "no times are known, and none counted, of subset",
    ]
    nothing = plan_text(plan(jobs, Times(benchmarks())))
    assert nothing.endswith("run a small study, and name it as `pilot`.")


def test_times_of_a_pilot_are_scaled_to_the_training_set(tmp_path):
    study, pilot = tmp_path / "study", tmp_path / "pilot"
    write_benchmark(pilot / "benchmarks", "train_teacher/standard_1_1", 60)
    write_benchmark(pilot / "benchmarks", "predict_teacher/standard_1_1", 10)
    study.mkdir()
    unknown, said = times_of(study, pilot)
    assert unknown.seconds("train_teacher") == 60
    assert f"not scaled to the training set: make {study}/dataset.h5 and {pilot}/" in said
    for folder, n in ((study, 5000), (pilot, 100)):
        with h5py.File(folder / "dataset.h5", "w") as file:
            file["Train/y"] = np.zeros((n, 2))
    history = pilot / "standard/downsample_1/teachers/1_history.csv"
    history.parent.mkdir(parents=True)
    history.write_text("epoch,loss\n1,2\n2,1\n")
    times, said = times_of(study, pilot)
    assert times.seconds("train_teacher") == 3000
    assert times.seconds("predict_teacher") == 10
    assert said.splitlines() == [
        f"Times: 0 benchmark files of {study}",
        f"and 2 of {pilot} (trainings of 2.0 epochs on average, 2 at most); its trainings times "
        "50, for 5,000 training sequences in place of 100",
    ]
    write_benchmark(study / "benchmarks", "train_teacher/standard_1_1", 7)
    assert times_of(study, pilot)[0].seconds("train_teacher") == 7
    assert times_of(study)[1].startswith("Times: 1 benchmark files")
    missing = study.parent / "misspelt"
    assert times_of(study, missing)[1].endswith(
        f"and none of {missing}: run that study first, or correct `pilot`"
    )


def begin_training(model, epochs=None, lock=False):
    checkpoint = model.parent / ".checkpoints" / model.name
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if epochs is not None:
        with h5py.File(checkpoint, "w") as file:
            file["state"] = f'{{"epochs": {epochs}}}'
    if lock:
        Path(f"{checkpoint}.owner").write_text("process 1 on there")
        stream = open(f"{checkpoint}.lock", "w")  # noqa: SIM115
        fcntl.flock(stream, fcntl.LOCK_EX)
        return stream
    return None


def test_trainings_that_have_begun(tmp_path):
    model = tmp_path / "1_Net.h5"
    assert training_of(model) is None
    assert not (tmp_path / ".checkpoints").exists()
    with begin_training(model, 3, lock=True):
        training = training_of(model)
        assert (training.running, training.epochs) == (True, 3)
        assert abs(training.since - time.time()) < 60
    assert training_of(model) == Training(False, None, 3)
    (tmp_path / ".checkpoints" / model.name).write_bytes(b"\x89HDF damaged")
    assert training_of(model) is None
    with begin_training(model, lock=True):
        assert training_of(model).epochs is None


def test_a_checkpoint_of_a_training_is_read(tmp_path):
    checkpoint = pytest.importorskip("degu.checkpoint")
    model = tmp_path / "1_Net.h5"
    kept = checkpoint.Checkpoint(checkpoint.checkpoint_path(model))
    kept.identify("a training")
    with checkpoint.training_lock(model):
        kept.write(checkpoint.State(epochs=7))
        training = training_of(model)
        assert (training.running, training.epochs) == (True, 7)
        assert training.since is not None
    assert training_of(model) == Training(False, None, 7)


def test_status_is_the_sum_of_what_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool = Path("results/a/standard/downsample_0.5/teachers")
    pool.mkdir(parents=True)
    models = [f"{pool}/{i}_Net.h5" for i in (1, 2, 3, 4)]
    predictions = [f"{pool}/{i}_predictions.h5" for i in (1, 2, 3, 4)]
    for path in (models[0], predictions[0]):
        Path(path).touch()
    arms = {
        "small": {"train_teacher": models[:2], "predict_teacher": predictions[:2]},
        "large": {
            "train_teacher": models,
            "predict_teacher": predictions,
            "distillation_data": ["x.h5"],
        },
    }
    times = Times(
        benchmarks(
            ("train_teacher", "standard_0.5_1", 1000, 0), ("predict_teacher", "standard_1_1", 60, 0)
        )
    )
    begin_training(Path(models[2]), 5)
    with begin_training(Path(models[1]), 12, lock=True):
        began = os.stat(f"{pool}/.checkpoints/2_Net.h5.owner").st_mtime
        table = status(arms, times, now=began + 400)
    assert table.groupby(["arm", "state"]).size().to_dict() == {
        ("large", "done"): 2,
        ("large", "left"): 6,
        ("large", "running"): 1,
        ("small", "done"): 2,
        ("small", "left"): 1,
        ("small", "running"): 1,
    }
    # 600 of the one that runs, 2 × 1000, 3 × 60; the last is not known.
    assert status_text(table, 2, times).splitlines() == [
        "arm    done  running  left  jobs",
        "small     2        1     1     4",
        "large     2        1     6     9",
        "all       2        1     6     9",
        f"{models[1]} has finished epoch 12",
        f"{models[2]} was interrupted after epoch 5",
        "no times are known, and none counted, of distillation_data",
        "About 23 min 10 s left for the others, with 2.0 jobs at once.",
    ]
    for path in models + predictions + ["x.h5"]:
        Path(path).touch()
    assert status_text(status(arms, times), 1, times).endswith("\nEverything is there.")


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
