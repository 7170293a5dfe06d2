"""How often sound siblings are said to have failed, and failed ones found, as Markdown tables.

    python benchmarks/failed.py --groups 100000

Validation errors of n siblings are drawn with mean 1 and a relative standard deviation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from degu.training.failed import failed

SIZES = (3, 4, 5, 7, 9, 10, 25, 50)
FAMILIES: dict[str, Callable[[np.random.Generator, float, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda rng, sd, shape: np.abs(rng.normal(1, sd, shape)),
    "lognormal": lambda rng, sd, shape: rng.lognormal(0, np.sqrt(np.log1p(sd**2)), shape),
    "gamma": lambda rng, sd, shape: rng.gamma(sd**-2, sd**2, shape),
    # Its logarithm has the tails of Student's t with five degrees of freedom.
    "heavy-tailed": lambda rng, sd, shape: np.exp(sd * rng.standard_t(5, shape) / np.sqrt(5 / 3)),
}


def print_table(head: list[str], rows: list[list[str]]) -> None:
    for row in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(row)} |")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--groups", type=int, default=100_000, help="simulated for each number")
    groups = parser.parse_args().groups
    rng = np.random.default_rng(0)

    print("Groups of sound siblings in which one is named, %:\n")
    print_table(
        ["errors", "relative sd", *(f"n = {n}" for n in SIZES)],
        [
            [name, f"{sd:.0%}"]
            + [f"{100 * failed(draw(rng, sd, (groups, n))).any(axis=1).mean():.2f}" for n in SIZES]
            for name, draw in FAMILIES.items()
            for sd in (0.05, 0.1, 0.15)
        ],
    )
    print("Models found whose error is that many times a sound one's (lognormal), %:\n")
    rows = []
    for times in (1.5, 2, 3):
        for sd in (0.02, 0.05, 0.1):
            row = [f"{times:g}", f"{sd:.0%}"]
            for n in SIZES:
                errors = FAMILIES["lognormal"](rng, sd, (groups // 10, n))
                errors[:, 0] *= times
                row.append(f"{100 * failed(errors)[:, 0].mean():.0f}")
            rows.append(row)
    print_table(["times", "relative sd", *(f"n = {n}" for n in SIZES)], rows)


if __name__ == "__main__":
    main()
