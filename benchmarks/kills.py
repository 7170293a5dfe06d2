"""Training jobs killed at random moments: whether they end as those that were left alone.

The workflow's own training scripts run on a tiny study: teachers and students, plain, on augmented
sequences, fine-tuned, and labelled on the fly. Each runs once undisturbed and once killed with
SIGKILL, again and again, and then to its end. Nothing may differ: weights, history, other files.

TensorFlow takes seconds to import, so every job is a fork of a process that has imported it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
import traceback
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import h5py
import keras  # noqa: F401  (for the forks)
import numpy as np

import degu.augment
import degu.jobs.train
import degu.ops.runtime
from degu.dataset import Split, read_info, write_dataset
from degu.dataset.copies import Copier, write_labels
from degu.dataset.distillation import write_distillation
from degu.heads import Heads
from degu.io.files import write_npy

FORK = get_context("fork")
ROOT = Path(__file__).parent.parent
ARCHITECTURE = """
import keras

def build(input_shape, output_dim):
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv1D(4, 3)(inputs)
    x = keras.layers.BatchNormalization(momentum=0.8)(x)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(0.3)(x)
    return keras.Model(inputs, keras.layers.Dense(output_dim)(x))
"""
LENGTH, TARGETS = 12, ("Dev", "Hk")
SIZES = {"Train": 96, "Val": 40, "Test": 8}
TRAINING = {
    "batch_size": 16,
    "learning_rate": 0.02,
    "patience": 8,
    "lr_patience": 2,
    "lr_factor": 0.5,
    "min_learning_rate": 1e-7,
    "short_epoch": 0,
    "batch_norm": "precise",
}
COPIES = Copier(5, 2, ("translocation",), 1)
EVOAUG = {
    "augmentations": ["noise", "mutation"],
    "parameters": {"noise": {"std": 0.2}, "mutation": {"fraction": 0.05}},
    "per_batch": 1,
    "hard": True,
}
TEACHERS = "standard/downsample_1/teachers"
STUDENTS = "standard/downsample_1/students/n2"
EVOAUG_TEACHERS = "evoaug/downsample_1/teachers"


class Named(dict):
    """Snakemake's named lists: attributes and ``get``."""

    __getattr__ = dict.__getitem__


class Job(SimpleNamespace):
    """A training script with its output; ``needs`` are jobs whose models it reads."""

    name: str
    script: str
    model: str
    history: str
    inputs: dict[str, Any]
    params: dict[str, Any]
    wildcards: dict[str, str]


def job(name: str, model: str, needs: dict[str, Any] | None = None, **params: Any) -> Job:
    """The job that makes a model of the results tree."""
    folder, file = model.rsplit("/", 1)
    augmentation, _, role = folder.split("/")[:3]
    role = role.removesuffix("s")
    variant = re.search("mutagenesis_append|random", file)
    inputs = {"subset": "subset.npy"} if role == "teacher" else {"distillation": "distillation.h5"}
    own = {"kind": "dynamic_student" if variant else role, "evoaug": None, "settings": {}}
    own |= {"copies": None, "loss": None}
    if params.get("copies"):
        inputs["copies"] = "copies.h5"
    return Job(
        name=name,
        script=f"{name.split()[0]}.py",
        model=model,
        history=f"{folder}/{file.replace('Tiny', 'history').removesuffix('.h5')}.csv",
        inputs={"dataset": "dataset.h5", **inputs, **(needs or {})},
        params={"architecture": "tiny_network:build", "compute_threads": 1, **own, **params},
        wildcards={
            "augmentation": augmentation,
            "proportion": "1",
            "ix": file.split("_")[0],
            **({} if role == "teacher" else {"size": "2", "uncertainty": "std"}),
            **({"variant": variant[0]} if variant else {}),
        },
    )


def lanes(epochs: int) -> tuple[list[Job], list[Job]]:
    """All kinds of training, for two cores; what a job reads is made before it in its lane."""
    teacher, second = f"{TEACHERS}/1_Tiny.h5", f"{TEACHERS}/2_Tiny.h5"
    augmented = f"{EVOAUG_TEACHERS}/1_Tiny_aug.h5"
    student, augmented_student = f"{STUDENTS}/std/1_Tiny.h5", f"{STUDENTS}/std/2_Tiny_aug.h5"
    training = TRAINING | {"epochs": epochs}
    plain: dict[str, Any] = {"training": training}
    evoaug = plain | {"evoaug": EVOAUG}
    slow: dict[str, Any] = {"training": training | {"learning_rate": 1e-3}}
    return (
        [
            job("train teacher", teacher, seed=11, **plain),
            job("train teacher, EvoAug", augmented, seed=12, **evoaug),
            job(
                "finetune teacher",
                augmented.replace("aug.h5", "finetune.h5"),
                {"model": augmented},
                seed=13,
                **slow,
            ),
            job("train teacher, second", second, seed=14, training=training | {"epochs": 1}),
            job(
                "train dynamic student",
                f"{STUDENTS}/dynamic/1_Tiny_mutagenesis_append_aug.h5",
                {"teachers": [teacher, second]},
                seed=15,
                settings={"mutagenesis": 0.2},
                **plain,
            ),
        ],
        [
            job("train student", student, seed=16, copies=COPIES.settings, **plain),
            job("train student, EvoAug", augmented_student, seed=17, **evoaug),
            job(
                "finetune student",
                augmented_student.replace("aug.h5", "finetune.h5"),
                {"model": augmented_student},
                seed=18,
                **slow,
            ),
        ],
    )


def write_inputs(folder: Path) -> None:
    """A tiny study's data set, subset, and what its students learn from, in ``folder``."""
    rng = np.random.default_rng(0)
    splits = {}
    for name, n in SIZES.items():
        x = np.eye(4, dtype=np.uint8)[rng.integers(0, 4, (n, LENGTH))]
        y = 5 * x[:, :6].mean(axis=1)[:, : len(TARGETS)] + rng.normal(0, 0.3, (n, len(TARGETS)))
        splits[name] = Split(x, y.astype(np.float32))
    write_dataset(folder / "dataset.h5", splits, targets=TARGETS, source="kills")
    rows, sha256 = np.arange(SIZES["Train"]), read_info(folder / "dataset.h5").sha256
    write_npy(rows, folder / "subset.npy", proportion=1.0, dataset_sha256=sha256)
    write_distillation(
        folder / "distillation.h5",
        dataset=folder / "dataset.h5",
        rows=rows,
        mean_train=splits["Train"].y,
        std={name: np.abs(split.y) / 4 for name, split in splits.items()},
    )
    y = splits["Train"].y[:, None].repeat(COPIES.copies, axis=1)
    heads = Heads.student(TARGETS, "std")
    labels = folder / "copies.h5"
    write_labels(labels, y, np.abs(y) / 4, heads=heads, copier=COPIES, dataset_sha256=sha256)
    (folder / "tiny_network.py").write_text(ARCHITECTURE)


def start(job: Job, study: Path, results: Path, log: Path) -> int:
    """Start a job as Snakemake does, its old results deleted; returns its process."""
    outputs = {"model": str(results / job.model), "history": str(results / job.history)}
    for path in outputs.values():
        Path(path).unlink(missing_ok=True)
    (results / job.model).parent.mkdir(parents=True, exist_ok=True)

    def placed(value: Any) -> Any:
        if isinstance(value, list):
            return [placed(item) for item in value]
        # Models come from the undisturbed run, so that each job is a test of its own.
        return str(study / ("whole" if "/" in value else "") / value)

    snakemake = SimpleNamespace(
        log=[str(log)],
        input=Named({name: placed(value) for name, value in job.inputs.items()}),
        output=Named(outputs),
        params=Named(job.params),
        wildcards=Named(job.wildcards),
        resources=Named(gpu=0),
        config={
            "dataset": "tiny",
            "require_gpu": False,
            "aleatoric": "none",
            "tracking": "none",
            "dynamic_augmentation": {"uncertainty": "std"},
            "distillation": {"copies": 0},
        },
    )
    script = ROOT / "workflow/scripts" / job.script
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        # It wants to come before TensorFlow's import.
        degu.ops.runtime.claim = lambda gpu, required: None
        sys.path.insert(0, str(study))
        exec(compile(script.read_text(), script, "exec"), {"snakemake": snakemake})
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


class Moment(NamedTuple):
    """When a job is ended, and how.

    ``epoch`` counts finished epochs; its fraction is a share of the next one. Below 0 it is a share
    of the time before the first, and beyond the last epoch one of the saving.
    """

    epoch: float
    signal: signal.Signals


class Run(NamedTuple):
    """A job that has ended: its exit code (negative: the signal), seconds, and its log."""

    code: int
    first: float
    seconds: float
    log: str


def run(job: Job, study: Path, results: Path, moment: Moment | None, pace: float) -> Run:
    """Run a job to its end, or to a moment; ``pace`` is the seconds of an epoch."""
    log = study / f"{job.name}.log"
    log.unlink(missing_ok=True)
    process = start(job, study, results, log)
    began = time.monotonic()
    first, due = 0.0, float("inf")
    if moment is not None and moment.epoch < 0:
        due = -moment.epoch
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        seconds = time.monotonic() - began
        text = log.read_text() if log.exists() else ""
        if ended:
            return Run(os.waitstatus_to_exitcode(status), first, seconds, text)
        done = finished_epochs(text)
        first = first or (seconds if done else 0.0)
        if moment is not None and due == float("inf") and done >= max(int(moment.epoch), 1) - 1:
            # An epoch is reported just before it is written, so look from the one before.
            due = seconds + pace * (moment.epoch - done)
        if seconds >= due and moment is not None:
            os.kill(process, moment.signal)
            due, moment = seconds + 20, Moment(0, signal.SIGKILL)
        time.sleep(0.01)


def finished_epochs(log: str) -> int:
    """The last epoch that a log reports, in this run or before it."""
    found = re.findall(r"^(?:epoch|training continues after epoch) (\d+)(?:/\d+  | of)", log, re.M)
    return int(found[-1]) if found else 0


def contents(path: Path) -> dict[str, Any]:
    """All arrays and attributes of an HDF5 file, or the text of another; nothing of hidden ones."""
    if "/." in str(path):
        return {}
    if path.suffix != ".h5":
        return {"text": path.read_bytes()}
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        found.update({f"{name}@{key}": str(value) for key, value in item.attrs.items()})
        if isinstance(item, h5py.Dataset):
            found[name] = item.dtype.str, item.shape, np.asarray(item[()]).tobytes()

    with h5py.File(path, "r") as file:
        visit("", file)
        file.visititems(visit)
    return found


def files(folder: Path) -> dict[str, dict[str, Any]]:
    """Whatever lies in a folder, hidden files too."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): contents(path) for path in paths}


def kill_often(job: Job, study: Path, kills: int, stops: int, rng: random.Random) -> dict[str, Any]:
    """Run a job undisturbed, and ended at random moments and started again; what came of it.

    Args:
        job: what to run.
        study: folder of its inputs.
        kills, stops: how often SIGKILL and SIGTERM are sent.
        rng: draws the moments.

    Raises:
        AssertionError: if anything is lost or differs.
    """
    results = study / "killed" / job.name
    whole = run(job, study, study / "whole", None, 0)
    assert whole.code == 0, whole.log
    made = files(study / "whole")
    expected = {name: made[name] for name in (job.model, job.history)}
    epochs, seconds = finished_epochs(whole.log), whole.seconds
    pace = (whole.seconds - whole.first) / epochs
    signals = [signal.SIGKILL] * kills + [signal.SIGTERM] * stops
    rng.shuffle(signals)
    # In their order, so that each run goes further than the one before.
    drawn = sorted(rng.uniform(-whole.first / 5, epochs + 2) for _ in signals)
    moments: deque[Moment | None] = deque([*map(Moment, drawn, signals), None])
    before = most_lost = resumed = 0
    after, endings = [], []
    while signals and moments:
        moment = moments.popleft()
        ran = run(job, study, results, moment, pace)
        seconds += ran.seconds
        onward = re.search(r"^training (?:continues|had ended) after epoch (\d+)", ran.log, re.M)
        begins = int(onward[1]) if onward else 0
        resumed += bool(onward)
        if "\nepoch " in ran.log or onward:  # else it was ended before it read its checkpoint
            most_lost = max(most_lost, before - begins)
            assert most_lost <= 1, f"{job.name}: {before} epochs were done, but {begins} are kept"
            before = max(finished_epochs(ran.log), begins)
        found = files(results)
        half_written = [name for name in found if "/.writing-" in name]
        assert len(half_written) <= 1, f"{job.name}: {half_written} pile up"
        for name in set(found) - {*half_written}:
            assert "/.checkpoints/" in name or found[name] == expected.get(name), (
                f"{job.name}: {name} is not what it should be"
            )
        if moment is None:
            assert ran.code == 0, ran.log
            assert found == expected, f"{job.name}: {sorted(found)} are left; {ran.log}"
        elif ran.code == 143:
            assert not half_written, half_written
            assert "stopped by SIGTERM" in ran.log, ran.log
            says = re.search(r"^a new start will continue after epoch (\d+)", ran.log, re.M)
            before = int(says[1]) if says else before
        else:
            assert ran.code in (0, -signal.SIGKILL, -signal.SIGTERM), ran.log
        if moment is not None and ran.code == 0:  # it was too late
            moments.appendleft(moment._replace(epoch=rng.uniform(0, epochs)))
        after.append(before)
        endings.append(ran.code)
        if job.model in found:  # it has done its work, and begins again from nothing
            before = 0
    killed, stopped = endings.count(-signal.SIGKILL), endings.count(143)
    print(
        f"{job.name:24} {epochs:3} epochs, {killed:4} kills, {stopped:3} stops, "
        f"{resumed:4} times gone on, {seconds:6.1f} s",
        flush=True,
    )
    return {
        "job": job.name,
        "epochs": epochs,
        "kills": killed,
        "stops": stopped,
        "resumed": resumed,
        "most_lost": most_lost,
        "after_epochs": after,
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Print a line a job, and a sentence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="by SIGKILL, in all (default 200)")
    parser.add_argument("--stops", type=int, default=20, help="by SIGTERM, in all (default 20)")
    parser.add_argument("--epochs", type=int, default=40, help="at most, of each job (default 40)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default 1)")
    parser.add_argument("--json", type=Path, help="write the numbers there")
    arguments = parser.parse_args()
    names = [job.name for lane in lanes(1) for job in lane if "second" not in job.name]
    share = {
        name: [(n + i) // len(names) for n in (arguments.kills, arguments.stops)]
        for i, name in enumerate(names)
    }

    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(2, FORK) as pool:
        study = Path(folder)
        write_inputs(study)
        waiting = [
            pool.submit(run_lane, lane, study, share, arguments.seed)
            for lane in lanes(arguments.epochs)
        ]
        results = [result for one in waiting for result in one.result()]
    kills, stops = (sum(result[key] for result in results) for key in ("kills", "stops"))
    most = max(result["most_lost"] for result in results)
    print(
        f"{kills} kills and {stops} stops: weights, history and files equal those of undisturbed "
        f"runs bit for bit; beside the epoch in progress, at most {most} was done again."
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


def run_lane(
    lane: list[Job], study: Path, share: dict[str, list[int]], seed: int
) -> list[dict[str, Any]]:
    """The jobs of one lane, one after the other."""
    return [
        kill_often(job, study, *share.get(job.name, (0, 0)), random.Random(f"{seed} {job.name}"))
        for job in lane
    ]


if __name__ == "__main__":
    main()
