"""The model card of an export, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from degu.dataset import DatasetInfo
from degu.io.card import Card

SHOWN_LEVEL = 0.9
"""Of the intervals whose coverage the text shows; the JSON has all levels."""


def limits_of(info: DatasetInfo, card: Card) -> list[str]:
    """What the model is not for, and when not to believe an interval."""
    limits = [
        "An interval is for one more measurement by the same assay (cells, library, laboratory), "
        "of sequences like those of the data set. Of sequences that were drawn in another way "
        "(shuffled, designed, of another species or length) it may cover less than it says.",
        "Its coverage is an average over sequences, and not a promise for each of them.",
        "Validation sequences have served three times: to stop training early, to choose this "
        "replicate, and to fit the recalibration. Test sequences have served for none of these; "
        "coverage and performance here are of them.",
        "The epistemic std says how much teachers disagree; it is no error of a measurement, and "
        "all teachers may be wrong in the same way.",
        "Effects of variants are differences of two predictions, for which no interval was "
        "calibrated.",
    ]
    if card.proportion < 1:
        limits.append(f"The model has seen a share of {card.proportion:g} of the training set.")
    if "simulate" in info.source:
        limits.insert(0, "The data are simulated: the model says nothing of real sequences.")
    return limits


def as_markdown(card: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    data, training = card["data"], card["training"]
    sizes = ", ".join(f"{name} {n:,}" for name, n in data["sizes"].items())
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    level = min({row["level"] for row in card["calibration"]}, key=lambda x: abs(x - SHOWN_LEVEL))
    calibration = [row for row in card["calibration"] if row["level"] == level]
    errors = ", ".join(f"{ix}: {e:.4g}" for ix, e in training["validation_errors"].items())
    measured = [row for row in card["performance"] if row["head"] == "mean"]
    learned = [row for row in card["performance"] if row["head"] == "std"]
    return f"""# {card["name"]}

{card["intended_use"]}

    degu predict . sequences.fa                # the student
    degu predict ensemble/*.h5 sequences.fa    # its {training["ensemble_size"]} teachers

## Data

- {data["name"]}: {data["source"]}
- targets: {", ".join(data["targets"])} ({data["units"]}); sequences of {data["length"]} bp
- constant flanks: {" and ".join(f"`{f}`" for f in data["flanks"] if f) or "none"}
- {sizes}; trained on {data["trained_on"]:,} of Train
- SHA-256 of the content: `{data["sha256"]}`

## Training

- architecture {training["architecture"]}, {training["augmentation"]} training, proportion \
{training["proportion"]:g}; {training["ensemble_size"]} teachers, distilled with \
{training["uncertainty"]} heads; seed {training["seed"]}
- replicate {training["replicate"]} of {training["replicates"]}, chosen by the least \
{training["chosen_by"]} ({errors})
- config: {training["config"] or "not given"}; versions: {versions}

## Performance on Test

{_table(measured, ("target", "metric", "single", "single_std", "ensemble", "student"))}
`single` is the mean over the teachers, `single_std` their standard deviation.

How well the student predicts the ensemble's standard deviation:

{_table(learned, ("target", "metric", "student"))}
## Calibration on Test

Coverage of intervals at level {level:g}, and their mean width in units of the target (other \
levels: `model_card.json`). `degu predict` gives those of `mondrian` unless told otherwise.

{_table(calibration, ("target", "recalibration", "coverage", "width"))}
## Limits, and when not to believe an interval

{"".join(f"- {limit}{chr(10)}" for limit in card["limits"])}"""


def _table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(name)) for name in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
