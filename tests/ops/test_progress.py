"""How far a study is and what it will take: folders whose sums are known."""

import fcntl
import os
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from degu.ops.events import Job, Run
from degu.ops.progress import (
    Times,
    Training,
    at_once,
    jobs_of,
    plan,
    plan_text,
    proportion_of,
    read_benchmarks,
    run_text,
    status,
    status_text,
    times_of,
    training_of,
)


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
    assert times.basis("attribute_teacher") == "predict_teacher"
    assert times.basis("ingest") is times.seconds("ingest") is None
    own = Times(benchmarks(("train_teacher", "standard_1_1", 7, 0)))
    both = own | times
    assert both.seconds("train_teacher") == 7
    assert both.seconds("train_student") == pytest.approx(1500)
    assert own.basis("predict_teacher") is None


def test_a_job_takes_as_long_as_it_has_models():
    times = Times(
        benchmarks(
            ("predict_teacher", "standard_1_3", 8, 0),
            # Of four students, ten seconds each.
            ("predict_student", "standard_1_n2_std_1-4", 40, 0),
        )
    )
    assert times.seconds("predict_student", models=10) == pytest.approx(100)
    assert times.seconds("predict_teacher") == pytest.approx(8)
    # One that borrows a teacher's time, too.
    assert times.seconds("predict_shift_student", models=3) == pytest.approx(30)
    jobs = pd.DataFrame(
        [("predict_student", 1, 10, "", 0.0, 1.0, 60.0)],
        columns=["rule", "proportion", "models", "partition", "gpu", "threads", "runtime"],
    )
    assert plan(jobs, times)["minutes"].to_list() == [pytest.approx(100 / 60)]


def test_plan_is_the_sum_of_its_jobs():
    columns = ["rule", "proportion", "models", "partition", "gpu", "threads", "runtime"]
    jobs = pd.DataFrame(
        [("train_teacher", p, 1, "gpu", 1.0, 2.0, 60.0) for p in (1, 1, 0.5, 0.5)]
        + [("train_teacher_evoaug", 0.5, 1, "gpu", 1.0, 2.0, 720.0)]
        + [("predict_teacher", 1, 1, "gpu", 2.0, 2.0, np.nan)] * 3
        + [("subset", 1, 1, "", 0.0, 1.0, 30.0)] * 2,
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
    checkpoint = pytest.importorskip("degu.training.checkpoint")
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
        table = status(arms, times, {}, now=began + 400)
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
    assert status_text(status(arms, times, {}), 1, times).endswith("\nEverything is there.")


def test_jobs_of_a_run():
    known = {"slurm_partition": "long", "gpu": 1, "runtime": 30}
    jobs = (
        Job("train_teacher", {"proportion": "0.25"}, output=("a",), threads=2, resources=known),
        Job("ingest", output=("b",), resources={"runtime": "<TBD>", "slurm_partition": ""}),
        Job("all"),
    )
    expected = pd.DataFrame(
        {
            "rule": ["train_teacher", "ingest"],
            "proportion": [0.25, 1.0],
            "models": [1, 1],
            "partition": ["long", ""],
            "gpu": [1.0, 0.0],
            "threads": [2, 1],
            "runtime": [30, np.nan],
        }
    )
    pd.testing.assert_frame_equal(jobs_of(Run(jobs)), expected, check_dtype=False)
    assert list(jobs_of(Run()).columns) == list(expected.columns)


def test_text_of_a_run(tmp_path):
    log = tmp_path / "3.log"
    log.write_text("error: no room.\n")
    jobs = (
        Job("ingest", state="done", ended=130),
        Job("train_teacher", {"ix": "3"}, (str(log),), state="failed", ended=160),
        *(Job("train_teacher", {"ix": str(ix)}, began=400) for ix in range(7)),
    )
    run = Run(jobs, 20, began=100, last=400, over=False)
    assert run_text(run, now=460).splitlines() == [
        "A run goes on since 6 min: 1 of 20 jobs done, 1 failed.",
        *(f"running: train_teacher (ix={ix}), for 1 min" for ix in range(5)),
        "and 2 more",
        f"train_teacher (ix=3): error: no room. (log: {log})",
    ]
    assert "submitted: train_teacher" in run_text(replace(run, remote=True), now=460)
    ended = Run(jobs[:1], 20, began=100, last=130)
    assert run_text(ended) == "The last run has ended after 30 s: 1 of 20 jobs done."
    stopped = replace(ended, stopped=True)
    assert run_text(stopped) == "The last run was stopped after 30 s: 1 of 20 jobs done."
    assert run_text(None) == run_text(Run()) == "No run of this study is known here."
