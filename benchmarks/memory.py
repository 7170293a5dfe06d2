"""Peak memory of training jobs on a data set of DeepSTARR's size, each in a process of its own.

    python benchmarks/memory.py

A simulated data set of 402,296 + 40,570 + 41,186 sequences of 249 bp is written to a temporary
folder, and each case does what its rule's script does, with two short epochs: reading, batches,
validation on the whole validation set and the best weights restored at the end. The batches of an
epoch are alike, so leaving most of them out does not lower the peak. For comparison, `plain fit`
trains the same model on float32 arrays.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
from pathlib import Path

import numpy as np

from degu.dataset import read_info, read_split
from degu.dataset.copies import Copier, read_labels, write_labels
from degu.dataset.distillation import read_distillation, write_distillation, write_subset_sequences
from degu.heads import Heads
from degu.ingest import ingest
from degu.sequences import from_codes
from degu.sweep import draw_subset
from degu.uncertainty import ensemble_mean, uncertainty_std

SIZES = {"n_train": 402_296, "n_val": 40_570, "n_test": 41_186}
LIMIT_GB = 2.5
SHORT = {"epochs": 2, "steps_per_epoch": 30, "batch_size": 128, "learning_rate": 0.001}


def teacher(folder, proportion=1):
    """What workflow/scripts/train.py does."""
    from degu.jobs.fit import train_member

    dataset = folder / "dataset.h5"
    info = read_info(dataset)
    rows = draw_subset(info.sizes["Train"], proportion, seed=1234)
    train = read_split(dataset, "Train", rows=rows)
    validation = read_split(dataset, "Val")
    train_member(
        "deepstarr",
        Heads(info.targets),
        (train.x, train.y),
        (validation.x, validation.y),
        seed=1,
        settings=SHORT,
    )


def student(folder, proportion=1, copies=0):
    """What workflow/scripts/train.py does."""
    from degu.jobs.fit import train_member

    path = folder / f"distillation_{proportion}.h5"
    train, validation = (read_distillation(path, name, "std") for name in ("Train", "Val"))
    labelled = None
    if copies:
        y, _ = read_labels(folder / "copies.h5", copier=Copier(1, copies))
        labelled = Copier(1, copies).labelled(train.x, y)
    train_member(
        "deepstarr",
        train.heads,
        (train.x, train.y),
        (validation.x, validation.y),
        seed=1,
        settings=SHORT,
        copies=labelled,
    )


def teacher_of_copies(folder):
    """What workflow/scripts/predict_copies.py does."""
    from degu.models.registry import build
    from degu.training.batches import predict

    x = read_split(folder / "dataset.h5", "Train", fields=("x",)).x
    model = build("deepstarr", x.shape[1:], 2)
    predict(model, from_codes(Copier(1).copy(x, 1)))


def label_copies(folder):
    """What workflow/scripts/label_copies.py does, and how much its file takes."""
    n = read_info(folder / "dataset.h5").sizes["Train"]
    rng = np.random.default_rng(0)
    members = rng.normal(size=(10, n, 4, 2)).astype(np.float32)
    write_labels(
        folder / "copies.h5",
        ensemble_mean(members),
        uncertainty_std(members),
        heads=Heads.student(("Dev", "Hk"), "std"),
        copier=Copier(1),
        dataset_sha256="",
    )


def plain_fit(folder):
    """Keras alone on float32 arrays."""
    import keras

    from degu.models.registry import build

    dataset = folder / "dataset.h5"
    train, validation = (read_split(dataset, name) for name in ("Train", "Val"))
    model = build("deepstarr", train.x.shape[1:], 2)
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.MeanSquaredError())
    model.fit(
        train.x.astype(np.float32),
        train.y,
        batch_size=128,
        epochs=2,
        steps_per_epoch=30,
        validation_data=(validation.x.astype(np.float32), validation.y),
        verbose=0,
    )


CASES = {
    "teacher": (teacher, {}),
    "teacher, 0.75 of the data": (teacher, {"proportion": 0.75}),
    "student": (student, {}),
    "student, 0.75 of the data": (student, {"proportion": 0.75}),
    "a teacher predicts copies": (teacher_of_copies, {}),
    "ten teachers label copies": (label_copies, {}),
    "student, four copies": (student, {"copies": 4}),
    "plain fit": (plain_fit, {}),
}


def measure(case, folder, pipe):
    """Run one case in this process and send back its peak resident memory in GB."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["TF_CPU_ALLOCATOR_USE_BFC"] = "true"  # as jobs have it
    with open(os.devnull, "w") as quiet:
        os.dup2(quiet.fileno(), 2)
    function, arguments = CASES[case]
    function(folder, **arguments)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)


def write_data(folder):
    """The data set, and what students of it learn."""
    dataset = folder / "dataset.h5"
    source = {"source": "simulate", **SIZES, "length": 249, "replicates": 3}
    source |= {"decoys": 0.25, "noise": 0.35, "rarity": 1}
    ingest(source, ["Dev", "Hk"], dataset, seed=1234)
    sizes = read_info(dataset).sizes
    for proportion in (1, 0.75):
        rows = draw_subset(sizes["Train"], proportion, seed=1234)
        subset = folder / f"subset_{proportion}.h5"
        if proportion < 1:
            write_subset_sequences(subset, dataset, rows)
        n = {**sizes, "Train": len(rows)}
        write_distillation(
            folder / f"distillation_{proportion}.h5",
            dataset=dataset,
            rows=rows,
            mean_train=np.zeros((len(rows), 2), np.float32),
            std={name: np.ones((n[name], 2), np.float32) for name in n},
            subset_sequences=subset if proportion < 1 else None,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    arguments = parser.parse_args()
    # A forked process would begin with this one's memory.
    context = multiprocessing.get_context("spawn")
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        maker = context.Process(target=write_data, args=(folder,))
        maker.start()
        maker.join()
        for case in CASES:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=measure, args=(case, folder, theirs))
            process.start()
            theirs.close()
            peaks[case] = ours.recv()
            process.join()
            print(f"{case:28} {peaks[case]:6.2f} GB", flush=True)
        labels, data = ((folder / f).stat().st_size for f in ("copies.h5", "dataset.h5"))
        print(f"Labels of copies take {labels / data:.2f} of the data set.")
    worst = max(peak for case, peak in peaks.items() if case != "plain fit")
    verdict = "below" if worst < LIMIT_GB else "ABOVE"
    print(f"The largest job of degu needs {worst:.2f} GB, {verdict} the limit of {LIMIT_GB} GB.")
    if arguments.json:
        arguments.json.write_text(json.dumps(peaks, indent=2))


if __name__ == "__main__":
    main()
