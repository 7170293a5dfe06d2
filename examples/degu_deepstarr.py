"""DEGU on DeepSTARR, step by step: train an ensemble, evaluate it, distil it, evaluate the student.

    python examples/degu_deepstarr.py                        # a small simulated assay
    python examples/degu_deepstarr.py --dataset results/deepstarr/dataset.h5 --members 10

Needs nothing but the package. The settings are those of the study's example: Adam at 0.002 for the
ensemble and 0.001 for the student, log variance as uncertainty.
"""

import argparse
import tempfile
from pathlib import Path

import keras
import pandas as pd

from degu import DEGU, eval_regression, standard_train_fun, uncertainty_logvar
from degu.dataset import read_info, read_split
from degu.heads import Heads
from degu.ingest import ingest
from degu.models.registry import build


def simulated(folder):
    """A small simulated STARR-seq assay with two promoters."""
    path = Path(folder) / "dataset.h5"
    sizes = {"n_train": 3000, "n_val": 500, "n_test": 500}
    settings = {"length": 249, "replicates": 3, "decoys": 0.25, "noise": 0.35, "rarity": 1}
    ingest({"source": "simulate", **sizes, **settings}, ["Dev", "Hk"], path, seed=1234)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", help="a dataset.h5 of the workflow; default: simulate one")
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", default="degu_deepstarr", help="folder for weights and table")
    arguments = parser.parse_args()
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)

    with tempfile.TemporaryDirectory() as folder:
        dataset = arguments.dataset or simulated(folder)
        info = read_info(dataset)
        train, validation, test = (read_split(dataset, name) for name in ("Train", "Val", "Test"))

    # Step 1: an ensemble of models that differ in their initial weights.
    n_targets = len(info.targets)
    degu = DEGU(
        build("deepstarr", info.input_shape, n_targets),
        num_ensemble=arguments.members,
        uncertainty_fun=uncertainty_logvar,
        seed=1234,
    )
    degu.train_ensemble(
        train.x,
        train.y,
        train_fun=standard_train_fun,
        save_prefix=out / "teacher",
        optimizer=keras.optimizers.Adam(0.002),
        loss="mse",
        validation_data=(validation.x, validation.y),
        epochs=arguments.epochs,
        resume=True,  # a second start of this script reuses the members
    )

    # Step 2: its mean against its members.
    ensemble = degu.eval_ensemble(test.x, test.y, eval_fun=eval_regression)

    # Step 3: a student with a mean and a log variance for each target.
    student = build("deepstarr", info.input_shape, 2 * n_targets)
    student.compile(keras.optimizers.Adam(0.001), loss="mse")
    degu.distill_student(
        student,
        train.x,
        train.y,
        save_prefix=out / "student",
        validation_data=(validation.x, validation.y),
        epochs=arguments.epochs,
        seed=1234,
    )

    # Step 4: how well it predicts the assay, and the ensemble's uncertainty.
    distilled = degu.eval_student(student, test.x, test.y, eval_fun=eval_regression)

    heads = Heads.student(info.targets, "logvar")
    table = pd.DataFrame(
        {
            **{f"teacher {i}": r["Pearson"] for i, r in enumerate(ensemble.standard_results, 1)},
            "ensemble": ensemble.ensemble_results["Pearson"],
        },
        index=list(info.targets),
    ).reindex(heads.columns)
    table["student"] = distilled.results["Pearson"]
    print(table.round(3).to_string(na_rep=""))
    table.to_csv(out / "pearson.csv", index_label="head")


if __name__ == "__main__":
    main()
