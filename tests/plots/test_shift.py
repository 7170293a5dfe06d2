"""Boxes over models on shifted sequences."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import PathPatch
from studies import (
    COLORS,
    GRID,
    MARKERS,
    SHIFTS,
    VARIANTS,
    Table,
    curves,
    legend_labels,
    make_summary,
)

import degu.shift.sequences
from degu.errors import InputError
from degu.plots.shift import plot_shift
from degu.plots.style import SHIFTS as DRAWN

UNITS = "log2 enrichment"
TARGETS = ("Dev", "Hk")
STUDENTS = ("student std", "student logvar")
LARGE = ("standard", 1.0, 25)


def color(series):
    return COLORS[series].lower()


def boxes(axis):
    """{(category, colour): (lower quartile, upper quartile)} of the boxes of a panel."""
    found = {}
    for patch in axis.patches:
        if isinstance(patch, PathPatch):
            x, y = patch.get_path().vertices[:-1].T
            found[round(x.mean()), to_hex(patch.get_edgecolor())] = (y.min(), y.max())
    return found


def box_lines(axis):
    """{(category, colour): all y of a box's median, caps and whiskers}."""
    found = {}
    for line in axis.lines:
        if line.get_marker() in ("None", "", None):
            key = (round(np.mean(line.get_xdata())), to_hex(line.get_color()))
            found.setdefault(key, set()).update(round(float(y), 9) for y in line.get_ydata())
    return found


def points(axis):
    """{(category, colour): values of single models}."""
    return {
        (round(np.mean(line.get_xdata())), to_hex(line.get_color())): list(line.get_ydata())
        for line in axis.lines
        if line.get_markersize() < 3 and line.get_marker() != "None"
    }


@pytest.mark.parametrize("shifts", [SHIFTS, ("none", "moderate")])
def test_boxes_over_models(shifts):
    summary = make_summary(
        GRID, students=4, dynamic={LARGE: VARIANTS[:1]}, shifts=shifts, extra_teachers=1
    )
    table = Table(summary)
    figure = plot_shift(summary, UNITS)
    axes = np.array(figure.axes).reshape(2, 2)
    for column, target in enumerate(TARGETS):
        for axis, names, head, metric, ddof in (
            (axes[0, column], ("teacher", *STUDENTS), "mean", "MSE_to_ensemble", None),
            (axes[1, column], STUDENTS, "std", "Mean", 0),
        ):
            identity = {"target": target, "head": head, "metric": metric}
            wanted = {
                (x, color(name)): table(
                    role=name.split()[0],
                    uncertainty=name.partition(" ")[2] or None,
                    **dict(zip(("augmentation", "proportion", "size"), LARGE, strict=True)),
                    shift=shift,
                    # A teacher's error has both spellings, as a part of what it is compared with.
                    ddof=0 if name == "teacher" else ddof,
                    **identity,
                )
                for x, shift in enumerate(shifts)
                for name in names
            }
            assert set(boxes(axis)) == set(wanted)
            for key, values in wanted.items():
                assert len(values) == (25 if key[1] == color("teacher") else 4)
                low, median, high = np.percentile(values, [25, 50, 75])
                assert boxes(axis)[key] == pytest.approx((low, high))
                assert points(axis)[key] == pytest.approx(values)
                levels = sorted(box_lines(axis)[key])
                expected = sorted({min(values), low, median, high, max(values)})
                assert levels == pytest.approx(expected)
            assert axis.get_ylim()[0] == 0
        names = [text.get_text() for text in axes[1, column].get_xticklabels()]
        assert names == list(shifts)
        ensemble = curves(axes[1, column])[color("ensemble"), MARKERS["ensemble"], "-", False]
        assert ensemble[0] == list(range(len(shifts)))
        expected = [
            table.series(
                *("ensemble", LARGE),
                **{"shift": shift, "target": target, "head": "std", "metric": "Mean", "ddof": 0},
            )[0]
            for shift in shifts
        ]
        assert ensemble[1] == pytest.approx(expected)
    assert [axis.get_ylabel() for axis in axes[:, 0]] == [
        "MSE to the mean\nof the teachers\n(log2 enrichment)²",
        "mean std, ddof 0\n(log2 enrichment)",
    ]
    assert figure.get_suptitle() == "standard, proportion 1, ensemble size 25"
    assert legend_labels(figure) == [
        *("single teacher, 25 models", "ensemble"),
        *("student (std), 4 models", "student (log variance), 4 models"),
    ]


def test_two_models_are_marks_and_no_box_and_no_mark_is_cut_off():
    arms = (("standard", 1.0, 2),)
    summary = make_summary(arms, kinds=("std",), students=2, shifts=SHIFTS)
    std = (summary["head"] == "std") & (summary["metric"] == "Mean")
    lowest = summary.index[std & (summary["role"] == "student")][0]
    summary.loc[lowest, "value"] = -0.02  # of a linear output
    figure = plot_shift(summary, UNITS)
    for axis in figure.axes:
        assert not boxes(axis)
        marks = [line for line in axis.lines if line.get_marker() not in ("None", "", None)]
        assert all(line.get_markersize() >= 3.5 for line in marks)
        values = np.concatenate([line.get_ydata() for line in marks])
        low, high = axis.get_ylim()
        assert low <= min(0, values.min())
        assert values.max() < high
    assert figure.axes[2].get_ylim()[0] < -0.02
    assert figure.axes[0].get_ylim()[0] == 0


def test_a_study_without_students_has_boxes_of_teachers():
    figure = plot_shift(make_summary((("standard", 1.0, 4),), kinds=(), shifts=SHIFTS), UNITS)
    assert len(boxes(figure.axes[0])) == 5
    assert len(boxes(figure.axes[2])) == 0
    assert len(curves(figure.axes[2])) == 1


def test_no_shift():
    with pytest.raises(InputError, match=r"no predictions on shifted sequences.*shift\.$"):
        plot_shift(make_summary(GRID, students=1), UNITS)


def test_shifts_are_those_that_are_made():
    assert tuple(DRAWN) == (degu.shift.sequences.NO_SHIFT, *degu.shift.sequences.SHIFTS)


def test_shifts_are_ordered_in_brightness_and_told_apart_by_line():
    luminance = [np.dot(to_rgb(color), (0.2126, 0.7152, 0.0722)) for color, _ in DRAWN.values()]
    assert luminance[:4] == sorted(luminance[:4])
    assert len({line for _, line in DRAWN.values()}) == len(DRAWN)
