"""What early stopping on validation sequences costs the coverage of conformal intervals.

Recalibrations of a study are fitted on validation sequences, which early stopping and the learning
rate have gone by as well. As a control, and outside what is shipped, they are fitted here on one
half of the test sequences and judged on the other, over many splits; the shipped ones are judged on
the same halves. Bins are quarters of predicted activity.

    python benchmarks/conformal_control.py results/my_assay/standard/downsample_1/students/n5/std
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from degu.calibration.evidence import BINS, Fitted, spread
from degu.calibration.forms import residual_of, with_std
from degu.dataset import read_split
from degu.io.predictions import read_predictions

LEVELS = (0.9, 0.95)


def coverage(fitted: Fitted, law, y: np.ndarray, quarter: np.ndarray) -> dict[str, np.ndarray]:
    """Coverage (levels, 1 + BINS) of all and of each quarter, by recalibration."""
    found = {}
    for name in ("conformal", "mondrian"):
        rows = []
        for level in LEVELS:
            lower, upper = fitted.interval(name, law, level)
            inside = (lower <= y) & (y <= upper)
            rows.append([inside.mean(), *(inside[quarter == b].mean() for b in range(BINS))])
        found[name] = np.array(rows)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("students", type=Path, help="folder of students' predictions")
    parser.add_argument("--splits", type=int, default=100, help="of Test into halves")
    given = parser.parse_args()
    dataset = next(
        folder / "dataset.h5"
        for folder in given.students.resolve().parents
        if (folder / "dataset.h5").exists()
    )
    y = {split: read_split(dataset, split, fields=("y",)).y for split in ("Val", "Test")}
    shipped: dict[tuple[str, str], list[np.ndarray]] = {}
    control: dict[tuple[str, str], list[np.ndarray]] = {}
    rng = np.random.default_rng(1234)
    for path in sorted(given.students.glob("*_predictions.h5")):
        predictions, card = read_predictions(path, ("Val", "Test"))
        for column, target in enumerate(card.heads.targets):
            own = {split: values[:, column].astype(np.float64) for split, values in y.items()}
            residual = residual_of(with_std, [predictions], card.heads, target, own["Val"])
            laws = {
                split: with_std([predictions], card.heads, target, split, residual)["total"]
                for split in own
            }
            fitted = Fitted.of(laws["Val"], own["Val"])
            quarter = fitted.mondrian.bin(laws["Test"].location)
            for _ in range(given.splits):
                order = rng.permutation(len(own["Test"]))
                one, other = np.array_split(order, 2)
                law, measured = laws["Test"].take(other), own["Test"][other]
                halved = Fitted.of(laws["Test"].take(one), own["Test"][one])
                for made, by in ((fitted, shipped), (halved, control)):
                    for name, rows in coverage(made, law, measured, quarter[other]).items():
                        by.setdefault((target, name), []).append(rows)
            width = 2 * np.mean(spread(laws["Test"])) * fitted.conformal.half_width(0.9)
            print(f"{path.name} {target}: mean width at 90% {width:.3f}")
    print("\ncoverage: all, then quarters of predicted activity from the lowest")
    for (target, name), rows in shipped.items():
        for i, level in enumerate(LEVELS):
            for label, values in (("Val", rows), ("half of Test", control[target, name])):
                numbers = " ".join(f"{v:.3f}" for v in np.mean(values, axis=0)[i])
                print(f"{target:10} {name:10} {level:.2f} fitted on {label:13} {numbers}")


if __name__ == "__main__":
    main()
