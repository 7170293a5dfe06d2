"""Agreement of attribution maps, from made-up studies."""

import numpy as np
import pytest
from layouts import check_layout
from map_studies import (
    BOTH,
    METHODS,
    Lookup,
    look,
    made_sequences,
    make_attribution,
    marks,
    panels_of,
    parts,
    shown,
    studies,
)
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch
from studies import legend_labels, t_interval

from degu.errors import InputError
from degu.plots.attribution import p_value, plot_attribution
from degu.plots.attribution_bins import plot_attribution_bins
from degu.plots.attribution_scatter import plot_attribution_scatter
from degu.plots.attribution_truth import plot_attribution_truth
from degu.plots.maps import MEASURES


def box_edges(axis):
    """{colour: (lower quartile, upper quartile)} of the boxes of a panel."""
    found = {}
    for patch in axis.patches:
        if isinstance(patch, PathPatch):
            y = patch.get_path().vertices[:-1, 1]
            found[to_hex(patch.get_edgecolor())] = (y.min(), y.max())
    return found


def bars(axis):
    """{colour: (low, high)} of error bars."""
    found = {}
    for collection in axis.collections:
        if isinstance(collection, LineCollection):
            ((start, end),) = collection.get_segments()
            found[to_hex(collection.get_color()[0])] = (start[1], end[1])
    return found


@studies
def test_distances_spreads_and_cosines_are_those_of_the_table(study):
    arm, targets, methods, series = parts(study)
    summary = make_attribution(**study)
    table = Lookup(summary)
    figure = plot_attribution(summary, "log2 enrichment")
    panels = panels_of(figure, targets, methods, MEASURES, 1)
    assert len(figure.axes) == len(panels) == len(targets) * len(methods) * 3
    for (target, method, measure), axis in panels.items():
        identity = {"target": target, "method": method, "metric": measure, "arm": arm}
        filled, open_marks = marks(axis, hollow=False), marks(axis, hollow=True)
        expected, unbiased = set(), set()
        for place, name in enumerate(series):
            both = measure == "Std" or (measure, name) == ("RMSE_to_ensemble", "teacher")
            values = table(name, **identity, ddof=0 if both else None)
            other = table(name, **identity, ddof=1)
            if other:
                unbiased.add(look(name))
                x, y = open_marks[look(name)]
                assert y == pytest.approx([np.mean(other)])
                assert place < x[0] < place + 0.5
            if not values:
                assert study.get("students") == 1
                continue
            expected.add(look(name))
            x, y = filled[look(name)]
            assert np.abs(np.array(x) - place).max() < 0.3
            color = look(name)[0]
            if len(values) >= 5:
                assert y == pytest.approx(values)
                assert box_edges(axis)[color] == pytest.approx(np.percentile(values, [25, 75]))
            else:
                single = values if len(values) > 1 else []
                assert y == pytest.approx([*single, np.mean(values)])
                # Single models are beside their mean, which would hide them.
                assert all(place - where > 0.1 for where in x[:-1])
                assert color not in box_edges(axis)
                assert (color in bars(axis)) == (len(values) > 2)
                if len(values) > 2:
                    assert bars(axis)[color] == pytest.approx(t_interval(values))
        assert (set(filled), set(open_marks)) == (expected, unbiased)
        low, high = axis.get_ylim()
        assert low == 0
        assert high > max(y for _, own in (filled | open_marks).values() for y in own)
        if measure == "Cosine":
            assert high > 1
    assert figure.get_size_inches()[0] == 7
    assert figure.axes[0].get_title() == f"{shown(targets[0])}\nRMSE to ensemble"
    assert "log2 enrichment" in figure.axes[0].get_ylabel()
    augmentation, proportion, size = arm
    arm_name = f"{augmentation}, proportion {proportion:g}, ensemble size {size}"
    title = figure.get_suptitle().replace("\n", " ")
    assert title == f"{arm_name}: the 1,000 most active test sequences"
    legend = legend_labels(figure)
    assert legend[0] == f"single teacher, {size} models"
    assert legend[-1] == "hollow: ddof 1"
    assert len(legend) == len(series) + 1


def test_tests_of_difference_are_written_below_students():
    summary = make_attribution()
    table = Lookup(summary)
    panels = panels_of(
        plot_attribution(summary, "AU"), ("Dev", "Hk"), METHODS[:3], MEASURES, columns=1
    )
    tests = {
        "RMSE_to_ensemble": ("welch", "$g$", 1),
        "Std": ("paired_t", "$d_z$", 1),
        "Cosine": ("paired_t", "$d_z$", None),
    }
    for (target, method, measure), axis in panels.items():
        test, name, ddof = tests[measure]
        teacher, *students = [text.get_text() for text in axis.get_xticklabels()]
        assert teacher == ""
        for text, kind in zip(students, BOTH, strict=True):
            identity = {"target": target, "method": method, "metric": measure, "ddof": ddof}
            p, effect = (
                table(f"student {kind}", comparison=test, statistic=statistic, **identity)[0]
                for statistic in ("p", "effect_size")
            )
            first, second = text.replace("−", "-").split("\n")
            written = float(first.removeprefix("$p$ = "))
            assert written == pytest.approx(p, rel=0.06 if p >= 1e-3 else 0.5)
            assert second == f"{name} = {effect:.2f}"


def test_what_is_not_tested_is_left_out():
    summary = make_attribution(students=1, kinds=("std",), targets=("Dev",), methods=("shap",))
    table = Lookup(summary)
    figure = plot_attribution(summary)
    rmse, std, cosine = ([t.get_text() for t in a.get_xticklabels()] for a in figure.axes)
    # Of one student there is no test over models, so that over sequences stands there.
    identity = {"metric": "RMSE_to_ensemble", "comparison": "paired_t", "ddof": 1}
    identity |= {"target": "Dev", "method": "shap", "statistic": "effect_size"}
    (effect,) = table("student std", **identity)
    assert rmse[1].replace("−", "-").endswith(f"$d_z$ = {effect:.2f}")
    assert std == cosine == ["", "one model"]
    bare = summary[summary["comparison"].isna()]
    assert [t.get_text() for t in plot_attribution(bare).axes[0].get_xticklabels()] == ["", ""]


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.9312, "$p$ = 0.93"),
        (0.04, "$p$ = 0.04"),
        (0.0012, "$p$ = 0.0012"),
        (0.00012, "$p$ = 1e−4"),
        (4.4e-31, "$p$ = 4e−31"),
        (9.7e-12, "$p$ = 1e−11"),
        (0.0, "$p$ < 1e−300"),
        (1.0, "$p$ = 1"),
    ],
)
def test_p_values(p, text):
    assert p_value(p) == text


def test_of_several_arms_one_is_drawn():
    arms = (("evoaug", 1.0, 4), ("standard", 0.5, 4), ("standard", 1.0, 2), ("standard", 1.0, 4))
    summary = make_attribution(arms, methods=("ism",), targets=("Dev",))
    for figure in (
        plot_attribution(summary),
        plot_attribution_truth(summary),
        plot_attribution_bins(summary),
    ):
        assert "standard, proportion 1, ensemble size 4" in figure.get_suptitle().replace("\n", " ")
    figure = plot_attribution(summary)
    values = Lookup(summary)(
        "teacher",
        arm=arms[-1],
        **{"target": "Dev", "method": "ism", "metric": "RMSE_to_ensemble", "ddof": 0},
    )
    _, y = marks(figure.axes[0], hollow=False)[look("teacher")]
    assert y == pytest.approx([*values, np.mean(values)])


@pytest.mark.parametrize(
    ("draw", "change", "message"),
    [
        (plot_attribution, lambda t: t[t["metric"] == "AUROC"], "no RMSE"),
        (plot_attribution, lambda t: t[t["selection"] == "bin1"], "no RMSE"),
        (plot_attribution_bins, lambda t: t[t["selection"] == "top1000"], "in bins of activity"),
        (
            plot_attribution_truth,
            lambda t: t[t["metric"] != "AUROC"].query("metric != 'AUPRC'"),
            "planted",
        ),
        (plot_attribution, lambda t: t.drop(columns="method"), "no column method"),
        (plot_attribution_truth, lambda t: t.drop(columns="value"), "no column value"),
    ],
)
def test_what_cannot_be_drawn(draw, change, message):
    with pytest.raises(InputError, match=rf"{message}.*attribution"):
        draw(change(make_attribution(methods=("ism",))))


@studies
def test_no_text_is_cut_off_or_written_over_another(study):
    _, targets, methods, series = parts(study)
    summary = make_attribution(**study)
    figures = [plot_attribution(summary, "log2 enrichment"), plot_attribution_truth(summary)]
    figures.append(plot_attribution_bins(summary, "log2 enrichment"))
    if len(series) > 1:
        values = made_sequences(targets, methods, series, single=study.get("students") == 1)
        title = "standard, proportion 0.25, ensemble size 10: the 1,000 most active test sequences"
        figures.append(plot_attribution_scatter(values, "log2 enrichment", title))
    for figure in figures:
        check_layout(figure)
