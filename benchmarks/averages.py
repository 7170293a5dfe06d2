"""Batch norm of students: what its averages are taken of.

Students learn from sequences and augmented copies, with dropout on; `batch_norm: precise` gives
batch norm the averages of the sequences alone, without dropout. Here the finished students of a
study are given each combination, with nothing trained, and predict the test set.

    python benchmarks/averages.py results/simulated/standard/downsample_1 --size 8
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np

from degu.dataset import read_split
from degu.dataset.copies import Copier, Copies
from degu.dataset.files import read_subset
from degu.io.files import read_npy
from degu.io.predictions import read_ensemble
from degu.metrics import in_std_units, pearson, squared_error
from degu.models.files import load_model
from degu.training.batch_norm import PreciseAverages, PreciseBatchNorm
from degu.training.batches import predict
from degu.uncertainty import ensemble_mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("pool", type=Path, help="folder of an augmentation and proportion")
    parser.add_argument("--size", type=int, required=True, help="of the ensemble")
    given = parser.parse_args()
    pool, n = given.pool, given.size
    dataset = next(f / "dataset.h5" for f in pool.parents if (f / "dataset.h5").exists())
    rows = read_subset(pool / "subset.npy", dataset)
    train = read_split(dataset, "Train", rows=rows, fields=("x",)).x
    test = read_split(dataset, "Test")
    teachers = [pool / f"teachers/{ix}_predictions.h5" for ix in range(1, n + 1)]
    mean = ensemble_mean(read_ensemble(teachers, ("Test",))[0]["Test"])
    std = read_npy(pool / f"ensemble/n{n}/ensemble_std_test.npy", dtype_kind="f")
    codes = np.stack([Copier(0).copy(train, number) for number in range(1, 5)])
    copies = Copies(codes, np.zeros((4, len(train), 1), np.float32))
    print(
        "| students | averages of | bias to ensemble | MSE | Pearson | MSE to ensemble | fidelity |"
    )
    print("|---|---|---|---|---|---|---|")
    for folder in sorted((pool / f"students/n{n}").iterdir()):
        models = [path for path in sorted(folder.glob("[0-9]*_*.h5")) if "_pred" not in path.name]
        for mixed, dropout in product((False, True), repeat=2):
            found = []
            for path in models:
                model, card = load_model(path)
                asked = PreciseBatchNorm(train, card.seed, as_trained=mixed, copies=copies)
                PreciseAverages(model, asked.x, masks=card.seed if dropout else None)()
                heads, values = in_std_units(card.heads, predict(model, test.x))
                own, spread = values[:, heads.slice("mean")], values[:, heads.slice("std")]
                found.append(
                    [
                        (own - mean).mean(axis=0),
                        squared_error(test.y, own),
                        pearson(test.y, own),
                        squared_error(mean, own),
                        pearson(std, spread),
                    ]
                )
            cells = [" / ".join(f"{v:.3f}" for v in row) for row in np.mean(found, axis=0)]
            name = "sequences and copies" if mixed else "sequences"
            name += ", dropout on" if dropout else ""
            print(f"| {folder.name} ({len(models)}) | {name} | {' | '.join(cells)} |", flush=True)
    print(f"\nMSE of the ensemble: {' / '.join(f'{v:.3f}' for v in squared_error(test.y, mean))}")


if __name__ == "__main__":
    main()
