"""Curves along the sweep equal means and intervals of the table, series by series."""

import itertools

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from studies import (
    BOTH,
    COLORS,
    GRID,
    LINES,
    MARKERS,
    PROPORTIONS,
    SHIFTS,
    SIZES,
    VARIANTS,
    Table,
    bands,
    curves,
    legend_labels,
    make_summary,
    t_interval,
)

from degu.errors import InputError
from degu.plots.fidelity_vs_proportion import plot_fidelity_vs_proportion
from degu.plots.fidelity_vs_size import plot_fidelity_vs_size
from degu.plots.performance_vs_proportion import plot_performance_vs_proportion
from degu.plots.performance_vs_size import plot_performance_vs_size

UNITS = "log2 enrichment"
TARGETS = ("Dev", "Hk")
STUDENTS = ("student std", "student logvar")
BY_PROPORTION = [("standard", p, 10) for p in PROPORTIONS]
BY_SIZE = [("standard", 1.0, n) for n in SIZES]


@pytest.fixture(scope="module")
def summary():
    return make_summary(
        GRID,
        students=4,
        dynamic={("standard", 1.0, 10): VARIANTS[:2], ("standard", 0.5, 10): VARIANTS[:1]},
        shifts=SHIFTS[:2],
        extra_teachers=2,
    )


@pytest.fixture(scope="module")
def table(summary):
    return Table(summary)


def check_curves(axis, expected):
    """Exactly these lines and bands; expected: look to {x: values of the models}."""
    found = curves(axis)
    assert set(found) == set(expected)
    with_band = []
    for look, points in expected.items():
        x, y = found[look]
        assert x == list(points)
        assert y == pytest.approx([np.mean(values) for values in points.values()])
        if len(next(iter(points.values()))) > 1:
            with_band.append((look[0], {k: t_interval(v) for k, v in points.items()}))
    drawn = bands(axis)
    assert len(drawn) == len(with_band)
    for color, edges in with_band:
        own = [band for hue, band in drawn if hue == color]
        assert any(
            set(band) == set(edges) and all(band[x] == pytest.approx(edges[x]) for x in edges)
            for band in own
        )


def look(series, line=None, hollow=False):
    return (COLORS[series].lower(), MARKERS[series], line or LINES[series], hollow)


def grid(figure, rows):
    axes = np.array(figure.axes).reshape(rows, len(TARGETS))
    assert [axis.get_title() for axis in axes[0]] == list(TARGETS)
    return axes


def test_performance_vs_proportion(summary, table):
    figure = plot_performance_vs_proportion(summary, UNITS)
    axes = grid(figure, 3)
    for (row, metric), (column, target) in itertools.product(
        enumerate(("Pearson", "Spearman", "MSE")), enumerate(TARGETS)
    ):
        expected = {
            look(name): {
                arm[1]: table.series(name, arm, target=target, head="mean", metric=metric)
                for arm in BY_PROPORTION
            }
            for name in ("teacher", "ensemble", *STUDENTS)
        }
        assert all(len(v) == 10 for v in expected[look("teacher")].values())
        check_curves(axes[row, column], expected)
    assert [axis.get_ylabel() for axis in axes[:, 0]] == [
        "test Pearson\nof activity",
        "test Spearman\nof activity",
        "test MSE\n(log2 enrichment)²",
    ]
    assert {axis.get_xlabel() for axis in axes[-1]} == {"proportion of training data"}
    assert figure.get_suptitle() == "standard, ensemble size 10"
    assert legend_labels(figure) == [
        "single teacher, 10 models",
        "ensemble mean",
        "student (std), 4 models",
        "student (log variance), 4 models",
    ]


def test_performance_vs_size(summary, table):
    figure = plot_performance_vs_size(summary, UNITS)
    axes = grid(figure, 3)
    for (row, metric), (column, target) in itertools.product(
        enumerate(("Pearson", "Spearman", "MSE")), enumerate(TARGETS)
    ):
        axis = axes[row, column]
        identity = {"target": target, "head": "mean", "metric": metric}
        check_curves(
            axis,
            {
                look(name): {arm[2]: table.series(name, arm, **identity) for arm in BY_SIZE}
                for name in ("ensemble", *STUDENTS)
            },
        )
        # Of all teachers of the pool, also of those beyond the largest ensemble.
        pool = table(role="teacher", augmentation="standard", proportion=1.0, **identity)
        assert len(pool) == 27
        (line,) = [line for line in axis.lines if line.get_marker() == "None"]
        assert line.get_ydata() == pytest.approx([np.mean(pool)] * 2)
        assert line.get_linestyle() == LINES["teacher"]
        (span,) = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
        assert (span.get_y(), span.get_y() + span.get_height()) == pytest.approx(t_interval(pool))
    assert {axis.get_xlabel() for axis in axes[-1]} == {"ensemble size"}
    assert figure.get_suptitle() == "standard, proportion 1"
    assert legend_labels(figure)[0] == "single teacher, 27 models"


def check_fidelity(figure, rows, table, arms, along):
    axes = grid(figure, rows)
    for column, target in enumerate(TARGETS):
        identity = {"target": target, "head": "std"}
        pearson = {
            look(name, "-"): {
                arm[along]: table.series(name, arm, metric="Pearson", **identity) for arm in arms
            }
            for name in STUDENTS
        }
        check_curves(axes[0, column], pearson)
        error = {
            look(name, line, hollow=ddof == 1): {
                arm[along]: table.series(name, arm, metric="MSE", ddof=ddof, **identity)
                for arm in arms
            }
            for name in STUDENTS
            for ddof, line in ((0, "-"), (1, "--"))
        }
        check_curves(axes[1, column], error)
    assert [axis.get_ylabel() for axis in axes[:2, 0]] == [
        "test Pearson\nof ensemble std",
        "test MSE of std\n(log2 enrichment)²",
    ]
    assert legend_labels(figure)[-2:] == ["std with ddof 0", "std with ddof 1"]
    return axes


def test_fidelity_vs_proportion(summary, table):
    figure = plot_fidelity_vs_proportion(summary, UNITS)
    check_fidelity(figure, 2, table, BY_PROPORTION, along=1)
    assert figure.get_suptitle() == "standard, ensemble size 10"


def test_fidelity_vs_size(summary, table):
    figure = plot_fidelity_vs_size(summary, UNITS)
    axes = check_fidelity(figure, 3, table, BY_SIZE, along=2)
    for column, target in enumerate(TARGETS):
        spread = {
            look("ensemble", line, hollow=ddof == 1): {
                arm[2]: table.series(
                    "ensemble", arm, target=target, head="std", metric="Mean", ddof=ddof
                )
                for arm in BY_SIZE
            }
            for ddof, line in ((0, "-"), (1, "--"))
        }
        check_curves(axes[2, column], spread)
    assert axes[2, 0].get_ylabel() == "mean test std\n(log2 enrichment)"
    assert legend_labels(figure)[0] == "ensemble"
    assert figure.get_suptitle() == "standard, proportion 1"


def test_without_students_the_ensemble_s_std_is_still_drawn():
    arms = [("standard", 1.0, 2), ("standard", 1.0, 3)]
    figure = plot_fidelity_vs_size(make_summary(arms, kinds=()), UNITS)
    assert [axis.get_ylabel() for axis in figure.axes] == ["mean test std\n(log2 enrichment)", ""]
    assert len(plot_performance_vs_size(make_summary(arms, kinds=()), UNITS).axes) == 6


def test_one_student_has_no_band():
    arms = [("standard", 1.0, 2), ("standard", 1.0, 3)]
    for axis in plot_fidelity_vs_size(make_summary(arms, students=1), UNITS).axes:
        assert bands(axis) == []


def test_an_error_s_interval_is_not_shown_below_zero():
    arms = [("standard", 1.0, 2), ("standard", 1.0, 3)]
    summary = make_summary(arms, students=3)
    rows = (summary["head"] == "std") & (summary["metric"] == "MSE")
    summary.loc[rows, "value"] = np.where(summary.loc[rows, "member"] == 1, 0.01, 0.9)
    figure = plot_fidelity_vs_size(summary, UNITS)
    axis = figure.axes[2]
    assert min(low for _, band in bands(axis) for low, _ in band.values()) < 0
    assert axis.get_ylim()[0] == 0


def test_many_decades_of_data_get_a_logarithmic_axis():
    proportions = [0.001, 0.01, 0.1, 1.0]
    arms = [("standard", p, 2) for p in proportions]
    axis = plot_performance_vs_proportion(make_summary(arms, students=2), UNITS).axes[0]
    assert axis.get_xscale() == "log"
    assert list(axis.get_xticks()) == proportions
    assert len(axis.get_xticks(minor=True)) == 0


def test_units_are_shown_as_they_are_written():
    arms = [("standard", 1.0, 2), ("standard", 1.0, 3)]
    figure = plot_performance_vs_size(make_summary(arms, ("a$b$",), students=1), "$ per $")
    assert figure.axes[2].get_ylabel() == "test MSE\n(\\$ per \\$)²"
    assert figure.axes[0].get_title() == "a\\$b\\$"


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (2, 1), (3, 1), (4, 2), (7, 3)])
def test_targets_continue_below(count, rows):
    targets = tuple("abcdefg"[:count])
    arms = [("standard", 1.0, 2), ("standard", 1.0, 3)]
    figure = plot_performance_vs_size(make_summary(arms, targets, students=2), UNITS)
    assert len(figure.axes) == 3 * count
    titled = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titled == list(targets)
    width, height = figure.get_size_inches()
    assert width == (3.5 if count == 1 else 7)
    assert height == pytest.approx(0.9 + 3 * rows * 1.55)
    # Every target's lowest panel has the axis's name.
    assert sum(axis.get_xlabel() == "ensemble size" for axis in figure.axes) == count


ARMS = (("standard", 1.0, 3), ("evoaug", 0.5, 3), ("evoaug", 1.0, 2))


@pytest.mark.parametrize(
    ("function", "arms", "kinds", "message"),
    [
        (plot_performance_vs_proportion, ARMS, BOTH, "no two proportions .* and ensemble size"),
        (plot_fidelity_vs_proportion, ARMS, BOTH, "no two proportions .* and ensemble size"),
        (plot_performance_vs_size, ARMS, BOTH, "no two ensemble sizes .* and proportion"),
        (plot_fidelity_vs_size, ARMS, BOTH, "no two ensemble sizes .* and proportion"),
        (plot_fidelity_vs_proportion, BY_PROPORTION[:2], (), "no students"),
    ],
)
def test_nothing_to_draw(function, arms, kinds, message):
    with pytest.raises(InputError, match=f"^The summary has {message}.*config\\.$"):
        function(make_summary(arms, kinds=kinds, students=1), UNITS)
