"""The registry of series: none is missing from a figure without a word."""

import numpy as np
import pandas as pd
import pytest
from map_studies import make_attribution
from matplotlib.colors import to_hex
from studies import GRID, SHIFTS, VARIANTS, draw_summary, legend_labels, make_summary

from degu.errors import InputError
from degu.io.summary import tidy
from degu.plots.attribution import plot_attribution
from degu.plots.attribution_scatter import plot_attribution_scatter
from degu.plots.series import BUILT_IN, SERIES, in_order, look, register

UNITS = "log2 enrichment"
LARGE = ("standard", 1.0, 10)
FIGURES = (
    *("performance", "performance_vs_size", "performance_vs_proportion"),
    *("fidelity_vs_size", "fidelity_vs_proportion", "evoaug", "shift"),
)


@pytest.fixture
def registry():
    """The registry with what is built in, which is as before after the test."""
    before = dict(SERIES)
    for name in set(SERIES) - BUILT_IN:
        del SERIES[name]
    yield SERIES
    SERIES.clear()
    SERIES.update(before)


def with_dummies(summary, **changes):
    """A study that has a model of another role beside each student with std."""
    own = summary[(summary["role"] == "student") & (summary["uncertainty"] == "std")]
    own = own[own["variant"].isna()].assign(**{"role": "dummy", "uncertainty": None, **changes})
    return tidy(pd.concat([summary, own]).to_dict("records"), summary.columns)


@pytest.fixture(scope="module")
def summary():
    return make_summary(GRID, students=3, dynamic={LARGE: VARIANTS[:1]}, shifts=SHIFTS[:2])


@pytest.mark.parametrize("name", FIGURES)
def test_a_role_that_is_not_registered_is_an_error(summary, name):
    with pytest.raises(InputError, match="'dummy'") as error:
        draw_summary(name, with_dummies(summary), UNITS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", FIGURES)
def test_of_variants_of_a_baseline_the_first_is_drawn(summary, name, registry):
    register("dummy", "a dummy")
    both = with_dummies(with_dummies(summary, variant="precise"), variant="moving")
    once = draw_summary(name, with_dummies(summary), UNITS)
    figure = draw_summary(name, both, UNITS)
    assert "a dummy, 3 models" in legend_labels(figure)
    counts = [[len(axis.lines) for axis in drawn.axes] for drawn in (once, figure)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", FIGURES)
def test_a_registered_role_is_drawn_and_in_the_legend(summary, name, registry):
    register("dummy", "a dummy")
    figure = draw_summary(name, with_dummies(summary), UNITS)
    assert "a dummy, 3 models" in legend_labels(figure)
    drawn = [
        axis
        for axis in figure.axes
        if any(to_hex(line.get_color()) == look("dummy").color.lower() for line in axis.lines)
    ]
    student = look("student std").color.lower()
    beside = [a for a in figure.axes if any(to_hex(x.get_color()) == student for x in a.lines)]
    assert drawn == beside != []


def test_a_role_that_only_other_parts_have_is_no_error(summary):
    """The figure of dynamic augmentation shows its own students and the plain ones."""
    figure = draw_summary("dynamic_augmentation", with_dummies(summary), UNITS)
    assert not [label for label in legend_labels(figure) if "dummy" in label]


@pytest.mark.parametrize("along", ["size", "proportion"])
def test_models_that_no_size_tells_apart_are_those_of_every_arm(summary, along, registry):
    """As baselines that are trained beside teachers: once a pool, and with a blank size."""
    register("dummy", "a dummy")
    pool = summary[(summary["role"] == "teacher") & (summary["member"] <= 3)]
    shared = pool[pool["size"].isna()].assign(role="dummy")
    shared["value"] -= 0.1
    rows = tidy(pd.concat([summary, shared]).to_dict("records"), summary.columns)
    figure = draw_summary(f"performance_vs_{along}", rows, UNITS)
    assert "a dummy, 3 models" in legend_labels(figure)
    own = shared.query("augmentation == 'standard' and metric == 'Pearson' and target == 'Dev'")
    own = own[own["stage"].isna()]
    (line,) = (
        line
        for line in figure.axes[0].lines
        if to_hex(line.get_color()) == look("dummy").color.lower()
    )
    if along == "size":
        expected = own.query("proportion == 1")["value"].mean()
        assert list(line.get_ydata()) == pytest.approx([expected, expected])
    else:
        means = own.groupby("proportion")["value"].mean()
        assert list(line.get_xdata()) == list(means.index)
        assert list(line.get_ydata()) == pytest.approx(means.to_list())
    assert len(draw_summary("performance", rows, UNITS).axes) == 4


def test_maps_of_a_role_that_is_not_registered(registry):
    summary = make_attribution(methods=("ism",), targets=("Dev",), kinds=("std",))
    summary.loc[summary["role"] == "student", ["role", "uncertainty"]] = ["dummy", None]
    numbers = {"Dev": {"ism": {"Std": {"teacher": np.array([1.0]), "dummy": np.array([2.0])}}}}
    for plot, given in ((plot_attribution, summary), (plot_attribution_scatter, numbers)):
        with pytest.raises(InputError, match="'dummy'"):
            plot(given)
    register("dummy", "a dummy")
    assert "a dummy, 10 models" in legend_labels(plot_attribution(summary))
    assert legend_labels(plot_attribution_scatter(numbers)) == ["a dummy"]


def test_a_method_that_is_not_registered():
    summary = make_attribution(methods=("ism",), targets=("Dev",))
    with pytest.raises(InputError, match="'guess'"):
        plot_attribution(summary.replace({"method": {"ism": "guess"}}))


def test_a_shift_that_has_no_look():
    summary = make_summary((LARGE,), shifts=("none", "huge"), students=2)
    with pytest.raises(InputError, match="huge"):
        draw_summary("shift", summary, UNITS)


def test_series_differ_in_more_than_colour(registry):
    for number in range(4):
        register(f"kind {number}", f"label {number}")
    looks = list(registry.values())
    for what in ("label", "color", "marker"):
        assert len({getattr(own, what) for own in looks}) == len(looks) == 9
    # More series than colours: mark and colour together tell them apart still.
    for number in range(4, 20):
        register(f"kind {number}", f"label {number}")
    looks = list(registry.values())
    assert len({(own.color, own.marker) for own in looks}) == len(looks) == 25


def test_a_look_depends_on_those_before_alone(registry):
    first, second = [], []
    for names, found in ((("a", "b"), first), (("a", "b", "c"), second)):
        for name in names:
            register(name, f"label {name}")
            found.append(look(name))
        for name in names:
            del registry[name]
    assert first == second[:2]


def test_what_is_registered_twice(registry):
    register("dummy", "a dummy", color="#123456")
    register("dummy", "a dummy")
    assert look("dummy").color == "#123456"
    for role, label in (("dummy", "another"), ("other", "a dummy")):
        with pytest.raises(ValueError, match="registered"):
            register(role, label)


def test_order_is_that_of_the_registry():
    names = ["student logvar", "ensemble", "teacher", "ensemble"]
    assert in_order(names) == ["teacher", "ensemble", "student logvar"]
    with pytest.raises(InputError, match="'nobody'"):
        in_order(["teacher", "nobody"])
