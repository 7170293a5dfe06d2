"""An arm a row: each mark where the summary says, and none besides."""

import numpy as np
import pytest
from studies import BOTH, COLORS, GRID, ONE, Table, legend_labels, make_summary, models, t_interval

from degu.errors import InputError
from degu.plots.performance import plot_performance

MANY = (
    ("standard", 1.0, 2),
    ("standard", 1.0, 4),
    ("standard", 0.25, 3),
    ("evoaug", 0.25, 3),
)
TARGETS = ("Dev", "Hk")


def color(series):
    return COLORS[series].lower()


def check_panel(axis, table, target, head, arms, series, metric):
    """Every mark, its bar and its single models, from the summary's rows."""
    found = models(axis, horizontal=True)
    assert len(found) == len(arms) * len(series)
    by_arm = {
        (round(place), hue): values for (place, hue, hollow), values in found.items() if not hollow
    }
    assert len(by_arm) == len(found)  # one place for each arm, beside its tick; none hollow
    for row, arm in enumerate(arms):
        for name in series:
            expected = table.series(name, arm, target=target, head=head, metric=metric)
            mean, bar, singles = by_arm[row, color(name)]
            assert mean == pytest.approx(np.mean(expected))
            assert singles == pytest.approx(expected)
            if len(expected) < 3:
                assert bar is None
            else:
                assert bar == pytest.approx(t_interval(expected))


@pytest.mark.parametrize("metric", ["Pearson", "Spearman"])
@pytest.mark.parametrize("arms", [ONE, MANY], ids=["one arm", "many arms"])
@pytest.mark.parametrize("kinds", [BOTH, ("std",), ("logvar",), ()], ids="-".join)
def test_marks_lie_at_the_values_of_the_table(arms, kinds, metric):
    # Rows of dynamic students and of shift are there, and not in the figure.
    dynamic = {arms[0]: ("random", "evoaug_append")} if kinds else {}
    summary = make_summary(arms, kinds=kinds, students=3, dynamic=dynamic, shifts=("none", "small"))
    table = Table(summary)
    figure = plot_performance(summary, metric)
    students = [f"student {kind}" for kind in kinds]
    heads = ("mean", "std") if kinds else ("mean",)
    assert len(figure.axes) == len(TARGETS) * len(heads)
    panels = iter(figure.axes)
    for target in TARGETS:
        for head in heads:
            axis = next(panels)
            series = ["teacher", "ensemble", *students] if head == "mean" else students
            check_panel(axis, table, target, head, arms, series, metric)
            assert axis.get_title() == target
            subject = "activity" if head == "mean" else "ensemble std"
            assert axis.get_xlabel() == f"test {metric}\nof {subject}"
    assert figure.get_size_inches()[0] == 7


def test_one_student_has_no_bar():
    summary = make_summary(ONE, students=1)
    figure = plot_performance(summary)
    series = ["student std", "student logvar"]
    check_panel(figure.axes[1], Table(summary), "Dev", "std", ONE, series, "Pearson")
    assert legend_labels(figure) == [
        *("single teacher, 5 models", "ensemble mean"),
        *("student (std), 1 model", "student (log variance), 1 model"),
    ]


def test_the_legend_counts_models():
    figure = plot_performance(make_summary(MANY, students=3))
    assert legend_labels(figure)[0] == "single teacher, 2–4 models"
    assert legend_labels(figure)[2] == "student (std), 3 models"


def test_a_model_with_an_undefined_correlation_is_left_out():
    summary = make_summary(ONE, students=3)
    own = (summary["role"] == "student") & (summary["member"] == 2) & (summary["head"] == "std")
    summary.loc[own & (summary["metric"] == "Pearson"), "value"] = np.nan
    table = Table(summary)
    axis = plot_performance(summary).axes[1]
    for name in ("student std", "student logvar"):
        values = table.series(name, ONE[0], target="Dev", head="std", metric="Pearson")
        found = {hue: v for (_, hue, _), v in models(axis, horizontal=True).items()}
        assert found[color(name)][0] == pytest.approx((values[0] + values[2]) / 2)


def test_arms_are_named_by_what_tells_them_apart():
    def labels(arms):
        axis = plot_performance(make_summary(arms, students=1)).axes[0]
        names = [text.get_text() for text in axis.get_yticklabels()]
        return names, " ".join(axis.get_ylabel().split())

    assert labels(ONE) == (["n = 5"], "ensemble size n")
    by_proportion = [("standard", p, 2) for p in (0.1, 1.0)]
    assert labels(by_proportion) == (
        ["0.1, n = 2", "1, n = 2"],
        "proportion of training data, ensemble size n",
    )
    names, axis = labels(MANY)
    assert names == [
        *("standard, 1, n = 2", "standard, 1, n = 4"),
        *("standard, 0.25, n = 3", "evoaug, 0.25, n = 3"),
    ]
    assert axis == "augmentation, proportion of training data, ensemble size n"


def test_the_first_arm_is_on_top_and_the_figure_grows_in_height():
    figure = plot_performance(make_summary(GRID, students=2))
    width, height = figure.get_size_inches()
    assert width == 7
    assert 6 < height < 9  # a page
    bottom, top = figure.axes[0].get_ylim()
    assert bottom > top
    assert figure.axes[0].get_yticklabels()[0].get_text() == "standard, 1, n = 2"
    assert len(figure.axes[0].get_yticks()) == 17


@pytest.mark.parametrize(("count", "panels"), [(1, 2), (3, 6), (5, 10)])
def test_any_number_of_targets(count, panels):
    targets = tuple("abcdefgh"[:count])
    figure = plot_performance(make_summary(ONE, targets=targets, students=2))
    assert [axis.get_title() for axis in figure.axes] == [t for t in targets for _ in range(2)]
    assert len(figure.axes) == panels
    assert figure.get_size_inches()[0] == (3.5 if count == 1 else 7)


def test_without_an_ensemble_there_is_nothing_to_draw():
    summary = make_summary(ONE)
    with pytest.raises(InputError, match="no ensemble's test Pearson"):
        plot_performance(summary[summary["role"] == "teacher"])
