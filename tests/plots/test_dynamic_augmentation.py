"""Students of dynamic augmentation."""

import numpy as np
import pytest
from studies import (
    COLORS,
    GRID,
    VARIANTS,
    Table,
    legend_labels,
    make_summary,
    models,
    t_interval,
)

from degu.errors import InputError
from degu.plots.dynamic_augmentation import plot_dynamic_augmentation

TARGETS = ("Dev", "Hk")
LARGE = ("standard", 1.0, 10)


def color(series):
    return COLORS[series].lower()


NAMES = {
    None: "plain",
    "random": "random, replace",
    "random_append": "random, append",
    "mutagenesis": "mutagenesis, replace",
    "mutagenesis_append": "mutagenesis, append",
    "evoaug": "evoaug, replace",
    "evoaug_append": "evoaug, append",
}


@pytest.mark.parametrize("kinds", [("std", "logvar"), ("logvar",)], ids="-".join)
@pytest.mark.parametrize("variants", [VARIANTS, ("evoaug_append", "mutagenesis")])
def test_dynamic_augmentation(kinds, variants):
    summary = make_summary(GRID, kinds=kinds, students=3, dynamic={LARGE: variants})
    table = Table(summary)
    figure = plot_dynamic_augmentation(summary)
    name = f"student {kinds[0]}"
    rows = [kind for kind in NAMES if kind is None or kind in variants]
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == [NAMES[kind] for kind in rows]
    panels = iter(figure.axes)
    for target in TARGETS:
        for head in ("mean", "std"):
            axis = next(panels)
            identity = {"target": target, "head": head, "metric": "Pearson"}
            found = {
                (round(place), hollow): (hue, *values)
                for (place, hue, hollow), values in models(axis, horizontal=True).items()
            }
            wanted = {
                (row, stage == "aug"): table.series(
                    name, LARGE, variant=kind, stage=stage, **identity
                )
                for row, kind in enumerate(rows)
                for stage in (None, "aug")
                if kind or stage is None
            }
            assert set(found) == set(wanted)
            for key, values in wanted.items():
                hue, mean, bar, singles = found[key]
                assert hue == color(name)
                assert mean == pytest.approx(np.mean(values))
                assert singles == pytest.approx(values)
                assert bar == pytest.approx(t_interval(values))
            ensemble = [line for line in axis.lines if line.get_marker() == "None"]
            if head == "mean":
                (line,) = ensemble
                assert line.get_xdata() == pytest.approx(
                    2 * table.series("ensemble", LARGE, **identity)
                )
            else:
                assert ensemble == []
    assert figure.get_suptitle() == "standard, proportion 1, ensemble size 10"
    label = "std" if kinds[0] == "std" else "log variance"
    assert legend_labels(figure) == [
        *(f"student ({label}), 3 models", "before fine-tuning", "ensemble mean")
    ]


def test_the_arm_with_most_kinds_is_drawn_and_named():
    dynamic = {
        ("standard", 1.0, 25): ("random",),
        ("standard", 0.5, 10): ("random", "evoaug"),
        ("evoaug", 1.0, 10): ("random", "mutagenesis"),
    }
    summary = make_summary(GRID, kinds=("std",), students=2, dynamic=dynamic)
    figure = plot_dynamic_augmentation(summary)
    assert figure.get_suptitle() == "standard, proportion 0.5, ensemble size 10"
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["plain", "random, replace", "evoaug, replace"]


def test_no_dynamic_students():
    with pytest.raises(InputError, match=r"no students with dynamic augmentation.*config\.$"):
        plot_dynamic_augmentation(make_summary(GRID, students=1))
