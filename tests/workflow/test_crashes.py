"""Two Snakemakes on one folder, and one that is killed while its jobs train.

One story: the two teachers of a study are in training; a second Snakemake is started; the first one
is killed; its orphaned jobs meet those of the next start.
"""

import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import psutil
import pytest
import tiny_study
from snakemake_runs import CONFIG_FILE, ROOT, run_snakemake

EPOCHS = 60
CONFIG = {
    **{key: tiny_study.CONFIG[key] for key in ("dataset", "data", "model", "model_name")},
    "compute_threads": 1,
    "ensemble_sizes": [2],
    "attribution": {"methods": []},
    "training": {"epochs": EPOCHS, "patience": EPOCHS},
}
POOL = "results/tiny/standard/downsample_1"
MODELS = [f"{POOL}/teachers/{i}_Small.h5" for i in (1, 2)]
HISTORIES = [f"{POOL}/teachers/{i}_history.csv" for i in (1, 2)]
STUDY = ("--configfile", CONFIG_FILE, "--", *MODELS)


def start_snakemake(folder):
    """Start Snakemake and leave it at work; its output goes to a file."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    with (folder / "output").open("w") as output:
        return subprocess.Popen(
            [*command, "--cores", "2", *STUDY], cwd=folder, stdout=output, stderr=output
        )


def training_process(folder, model):
    """Process that trains a model; None before its first epoch is over, and at its end."""
    checkpoint = (folder / model).parent / ".checkpoints" / Path(model).name
    if not checkpoint.exists():
        return None
    with suppress(FileNotFoundError, psutil.NoSuchProcess):
        owner = checkpoint.with_name(f"{checkpoint.name}.owner").read_text()
        return psutil.Process(int(re.search(r"process (\d+)", owner)[1]))
    return None


def logs(folder):
    """Of both trainings; empty where there is none."""
    files = [folder / f"results/tiny/logs/train_teacher/standard_1_{i}.log" for i in (1, 2)]
    return [file.read_text() if file.exists() else "" for file in files]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """What is told above; the same study in another folder is left undisturbed."""
    folder = tmp_path_factory.mktemp("crashed")
    tiny_study.write_architecture(folder)
    run_snakemake(folder, CONFIG, "--", f"{POOL}/subset.npy")
    undisturbed = tmp_path_factory.mktemp("undisturbed") / "study"
    shutil.copytree(folder, undisturbed)
    started = []
    try:
        first = start_snakemake(folder)
        started.append(first)
        orphans = {}
        while len(orphans) < 2:
            for model in set(MODELS) - set(orphans):
                if process := training_process(folder, model):
                    # In the middle of its training, where it stays until it may go on.
                    process.suspend()
                    started.append(process)
                    orphans[model] = process
            assert first.poll() is None
            time.sleep(0.01)
        untold = start_snakemake(undisturbed)
        started.append(untold)
        second = run_snakemake(folder, None, *STUDY, check=False)

        first.kill()
        first.wait()
        unlocked = run_snakemake(folder, None, "--unlock", *STUDY)
        successor = start_snakemake(folder)
        started.append(successor)
        while not all("waiting for it" in log for log in logs(folder)):
            assert successor.poll() is None
            time.sleep(0.1)
        made_while_waiting = [model for model in MODELS if (folder / model).exists()]
        # The first orphan trains to its end, the second one ends here.
        orphans[MODELS[1]].kill()
        orphans[MODELS[0]].resume()
        assert successor.wait(timeout=1500) == 0, (folder / "output").read_text()
        assert untold.wait(timeout=1500) == 0, (undisturbed / "output").read_text()
    finally:
        for process in started:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(process.pid)
                for each in (*process.children(recursive=True), process):
                    each.kill()
    return SimpleNamespace(
        folder=folder,
        undisturbed=undisturbed,
        orphans=orphans,
        second=second,
        unlocked=unlocked,
        made_while_waiting=made_while_waiting,
    )


def test_a_second_snakemake_says_why_it_cannot_start(story):
    assert story.second.returncode != 0
    said = " ".join(story.second.stdout.split())
    assert "make sure that no other Snakemake process is trying to create the same" in said
    assert str(story.folder) in said
    # And what to do if there is none, as after the first one was killed.
    assert "It can be removed with the --unlock argument." in said
    assert story.unlocked.returncode == 0


def test_two_jobs_never_train_one_member_at_once(story):
    assert story.made_while_waiting == []
    epochs = []
    for model, log in zip(MODELS, logs(story.folder), strict=True):
        before, after = log.split("waiting for it")
        assert f"{model} is being made by process {story.orphans[model].pid} on" in before
        # While it waits it does nothing.
        assert "epoch" not in before
        epochs.append([int(n) for n in re.findall(rf"^epoch (\d+)/{EPOCHS}", after, re.MULTILINE)])
    # The first orphan has trained to its end; the second one's successor goes on in the middle.
    assert epochs[0] == []
    assert epochs[1] == list(range(epochs[1][0], EPOCHS + 1))
    assert 2 <= epochs[1][0] <= EPOCHS


def test_nothing_is_lost(story):
    """Models and histories are those of the study that nobody disturbed, bit for bit."""
    for model in MODELS:
        crashed, undisturbed = (read(place / model) for place in (story.folder, story.undisturbed))
        assert len(undisturbed) > 10
        assert crashed.keys() == undisturbed.keys()
        for name, value in undisturbed.items():
            np.testing.assert_array_equal(crashed[name], value, err_msg=name)
    for history in HISTORIES:
        table = (story.folder / history).read_text()
        assert table == (story.undisturbed / history).read_text()
        assert len(table.splitlines()) == 1 + EPOCHS
    left = {path.name for path in (story.folder / POOL / "teachers").iterdir()}
    assert left == {Path(path).name for path in MODELS + HISTORIES}


def read(model):
    """Every weight and attribute of a model's file, by its path."""
    with h5py.File(model) as file:
        found = dict(file.attrs)
        file.visititems(
            lambda path, item: found.update({path: item[()]} if hasattr(item, "shape") else {})
        )
    return found
