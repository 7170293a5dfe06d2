"""Distributions of predictions for shifted sequences."""

import numpy as np
import pytest
from studies import (
    LABELS,
    SHIFTS,
    legend_labels,
)

from degu.errors import InputError
from degu.plots.shift_distribution import plot_shift_distribution
from degu.plots.style import SHIFTS as DRAWN

UNITS = "log2 enrichment"
TARGETS = ("Dev", "Hk")


def predictions(rng, series, shifts, targets, n=300):
    return {
        name: {
            shift: rng.normal(i, 1 + 0.2 * i, (n + i, targets)) for i, shift in enumerate(shifts)
        }
        for name in series
    }


@pytest.mark.parametrize("targets", [("Dev",), ("Dev", "Hk"), ("a", "b", "c", "d")])
def test_curves_are_cumulative_shares(targets):
    rng = np.random.default_rng(0)
    assay = rng.normal(0, 1, (211, len(targets)))
    series = ("teacher", "ensemble", "student std")
    made = predictions(rng, series, SHIFTS, len(targets))
    figure = plot_shift_distribution(assay, made, targets, UNITS)
    assert len(figure.axes) == len(targets) * len(series)
    panels = iter(figure.axes)
    by_panel = {}
    # Of four targets, two at a time are side by side.
    columns = {1: 1, 2: 2, 4: 2}[len(targets)]
    for start in range(0, len(targets), columns):
        for name in series:
            for column in range(start, start + columns):
                by_panel[name, column] = next(panels)
    for (name, column), axis in by_panel.items():
        reference, *lines = axis.lines
        assert len(lines) == len(SHIFTS)
        drawn = [(reference, assay), *zip(lines, made[name].values(), strict=True)]
        for line, values in drawn:
            own = np.sort(values[:, column])
            x, share = line.get_data()
            assert len(x) == 501
            assert (x[0], x[-1]) == pytest.approx((own[0], own[-1]))
            assert (share[0], share[-1]) == (0, 1)
            # The empirical distribution, up to a step of one sequence.
            empirical = np.searchsorted(own, x, side="right") / len(own)
            assert np.abs(empirical - share).max() <= 1.001 / len(own)
        assert [line.get_color() for line in lines] == [hue for hue, _ in DRAWN.values()]
    for name in series:
        assert LABELS[name] in by_panel[name, 0].get_ylabel()
    assert figure.axes[-1].get_xlabel() == "activity (log2 enrichment)"
    assert legend_labels(figure) == [
        *("assay, test sequences", "predicted, no shift", "predicted, small shift"),
        *("predicted, moderate shift", "predicted, dinucleotide shuffle"),
        "predicted, large shift",
    ]


def test_panels_of_a_target_have_one_scale():
    rng = np.random.default_rng(1)
    made = predictions(rng, ("teacher", "ensemble"), ("none",), 2)
    made["ensemble"]["none"] *= 3
    figure = plot_shift_distribution(rng.normal(0, 1, (50, 2)), made, TARGETS, UNITS)
    axes = np.array(figure.axes).reshape(2, 2)
    assert axes[0, 0].get_xlim() == axes[1, 0].get_xlim()
    assert axes[0, 0].get_xlim() != axes[0, 1].get_xlim()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made.clear(), "no predictions"),
        (lambda made: made["teacher"].clear(), "no predictions"),
        (lambda made: made["teacher"].update(none=np.zeros((4, 3))), "teacher on shift none .*3"),
        (lambda made: made["teacher"].update(small=np.zeros(4)), "teacher on shift small"),
        (lambda made: made["teacher"].update(small=np.zeros((0, 2))), "teacher on shift small"),
        (lambda made: made["teacher"].update(huge=np.zeros((4, 2))), "shift huge is not one of"),
    ],
)
def test_predictions_that_cannot_be_drawn(change, message):
    made = predictions(np.random.default_rng(0), ("teacher",), ("none",), 2)
    change(made)
    with pytest.raises(InputError, match=message):
        plot_shift_distribution(np.zeros((3, 2)), made, TARGETS, UNITS)
