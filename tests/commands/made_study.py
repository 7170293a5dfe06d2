"""What a finished study leaves of one arm, made without training: two teachers, three students."""

import csv
import json
from pathlib import Path

import numpy as np
import tiny_models
from conftest import motif_activity, random_one_hot

from degu.calibration.tables import ROW_COLUMNS
from degu.dataset import Split, write_dataset
from degu.io.files import write_npy
from degu.io.predictions import write_predictions
from degu.io.summary import tidy
from degu.models.files import load_model
from degu.training.batches import predict

SIZES = {"Train": 40, "Val": 30, "Test": 25}
CHOSEN = 2
"""The replicate that predicts validation sequences best."""

COVERAGE = {"none": 0.5, "scaling": 0.87, "isotonic": 0.88, "conformal": 0.91, "mondrian": 0.92}
TEACHER = {"MSE": (1.0, 2.0), "Pearson": (0.5, 0.7), "Spearman": (0.4, 0.6)}
"""Metrics of Dev, of the two teachers."""


def make(root: Path, uncertainty: str = "std") -> Path:
    """Write ``root/results/assay``; returns the folder of its students."""
    results = root / "results/assay"
    splits = {}
    for seed, (name, n) in enumerate(SIZES.items()):
        x = random_one_hot(n, tiny_models.LENGTH, seed)
        ids = np.array([f"{name}-{i} x" for i in range(n)], dtype=object)
        splits[name] = Split(x, motif_activity(x, 2) * [1, 100], id=ids)
    info = write_dataset(
        results / "dataset.h5", splits, targets=tiny_models.TARGETS, source="made", units="log2"
    )
    pool = results / "standard/downsample_1"
    pool.mkdir(parents=True)
    label = {"dataset_sha256": info.sha256, "proportion": 1.0}
    write_npy(np.arange(SIZES["Train"]), pool / "subset.npy", **label)
    own = {"dataset_sha256": info.sha256}
    (pool / "teachers").mkdir()
    for ix in (1, 2):
        tiny_models.save(pool / f"teachers/{ix}_Tiny.h5", **own)
        _performance(
            pool / f"teachers/{ix}_performance.csv",
            {"Dev": [TEACHER[m][ix - 1] for m in TEACHER], "Hk": [3, 0.1, 0.2]},
        )
    _performance(
        pool / "ensemble/n2/ensemble_performance_avg.csv", {"Dev": [0.9, 0.8, 0.7], "Hk": [2] * 3}
    )
    folder = pool / f"students/n2/{uncertainty}"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    y = splits["Val"].y
    noise = rng.normal(size=y.shape) * y.std(axis=0)
    # The first is right but for a constant; a correlation would not see it.
    guesses = {1: y + 2 * y.std(axis=0), 2: y + 0.3 * noise, 3: y + 1.5 * noise}
    for ix, guess in guesses.items():
        path = tiny_models.student(folder / f"{ix}_Tiny.h5", uncertainty, size=2, **own)
        model, card = load_model(path)
        test = predict(model, splits["Test"].x)
        if ix == 3:
            test[:, :2] = splits["Test"].y  # nobody predicts Test better
        spread = np.full_like(guess, 0.1)
        train = np.arange(SIZES["Train"])[:, None] * np.ones(4)
        predictions = {
            "Train": train,
            "Val": np.hstack([guess, spread]),
            "Test": test,
        }
        write_predictions(folder / f"{ix}_predictions.h5", predictions, card)
        tiny_models.recalibrate(path, **own)
        columns = {"Dev": [0.95, 0.79, 0.69], "Hk": [2.5] * 3}
        columns |= {"Dev-std": [0.01, 0.6, 0.5], "Hk-std": [0.02, 0.4, 0.3]}
        _performance(folder / f"{ix}_performance.csv", columns)
    rows = [
        {
            **{"role": "student", "augmentation": "standard", "proportion": 1.0, "size": 2},
            **{"member": ix, "uncertainty": uncertainty, "target": target, "head": "mean"},
            **{"metric": metric, "variance": "total", "recalibration": name, "level": level},
            "value": value + (level - 0.9) - 0.01 * (ix != CHOSEN),
        }
        for ix in guesses
        for target in tiny_models.TARGETS
        for name, covered in COVERAGE.items()
        for level in (0.5, 0.9)
        for metric, value in (("PICP", covered), ("MPIW", 3.0))
    ]
    (pool / "uncertainty").mkdir()
    table = tidy(rows, ROW_COLUMNS)
    table.to_csv(pool / "uncertainty/n2_summary.csv", index=False)
    return folder


def _performance(path: Path, columns: dict[str, list[float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["metric", *columns])
        writer.writerows(zip(TEACHER, *columns.values(), strict=True))


def read(path: Path) -> dict:
    """A JSON file."""
    return json.loads(path.read_text())
