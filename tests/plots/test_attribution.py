"""Figures of how alike and how right attribution maps are, from made-up studies."""

import itertools
import textwrap

import h5py
import numpy as np
import pandas as pd
import pytest
from layouts import check_layout
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch
from studies import curves, legend_labels, models, t_interval

from degu.attribution import maps
from degu.attribution.analysis import COLUMNS, evaluate_arm
from degu.attribution.maps import HeadMaps
from degu.attribution.selection import Selection, Sequences
from degu.errors import InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.files import write_csv
from degu.io.summary import tidy, tidy_rows
from degu.plots.attribution import (
    MEASURES,
    METHOD_LABELS,
    p_value,
    plot_attribution,
    plot_attribution_bins,
    plot_attribution_scatter,
    plot_truth,
    read_per_sequence,
)
from degu.plots.style import COLORS, LABELS, MARKERS, save_figure

BOTH = ("std", "logvar")
METHODS = ("saliency", "shap", "shap_dinuc_shuffle", "ism")
ARM = ("standard", 1.0, 10)
SCALE = {"saliency": 0.02, "shap": 0.003, "shap_dinuc_shuffle": 0.004, "ism": 0.3}


def make_attribution(
    arms=(ARM,),
    targets=("Dev", "Hk"),
    methods=METHODS[:3],
    kinds=BOTH,
    students=10,
    bins=4,
    top=1000,
    truth=True,
    seed=0,
):
    """The attribution summary of a study, with the rows of real ones; no two values are alike."""
    rng = np.random.default_rng(seed)
    rows = []

    def add(identity, metric, value, **more):
        value = value * (1 + rng.normal(0, 0.04))
        rows.append({"head": "mean", **identity, "metric": metric, **more, "value": value})

    def model(identity, scale, quality, teacher):
        if teacher:
            n = identity["size"]
            for ddof in (0, 1):
                value = scale * (n / (n - 1)) ** (ddof / 2)
                add(identity, "RMSE_to_ensemble", value, ddof=ddof)
            add(identity, "Cosine_to_others", quality)
        else:
            add(identity, "RMSE_to_ensemble", 0.8 * scale)
        for metric in ("Cosine_to_ensemble", "Spearman_to_ensemble"):
            add(identity, metric, quality)
        add(identity, "Residual", 1e-6)
        if truth:
            add(identity, "AUROC", 0.9 * quality)
            add(identity, "AUPRC", 0.8 * quality)

    def group(identity, scale, quality, heads, count):
        for head in heads:
            own = identity | {"head": head}
            for ddof in (0, 1):
                value = 30 * scale * (count / (count - 1)) ** (ddof / 2)
                add(own, "Std", value, ddof=ddof)
            for metric in ("Cosine", "Spearman"):
                add(own, metric, quality)

    def comparisons(identity, metric, tests, ddofs):
        for test, ddof in itertools.product(tests, ddofs):
            row = {"metric": metric, "ddof": ddof, "comparison": test}
            for statistic, value in (("difference", -0.001), ("t", -8), ("n", 20)):
                add(identity, value=value, statistic=statistic, **row)
            p, effect = 10.0 ** rng.uniform(-9, 0), rng.normal(-2, 1)
            for statistic, value in (("p", p), ("effect_size", effect)):
                rows.append({**identity, "head": "mean", **row} | {"statistic": statistic})
                rows[-1]["value"] = value

    selections = [f"top{top}", *(f"bin{i}" for i in range(1, bins + 1))]
    for (augmentation, proportion, size), method, target, selection in itertools.product(
        arms, methods, targets, selections
    ):
        arm = {"augmentation": augmentation, "proportion": proportion, "size": size}
        arm |= {"method": method, "target": target, "selection": selection}
        scale = SCALE[method] * (1 if selection.startswith("top") else 0.5)
        if truth:
            add(arm | {"role": "ensemble"}, "AUROC", 0.88)
            add(arm | {"role": "ensemble"}, "AUPRC", 0.75)
        for member in range(1, size + 1):
            model(arm | {"role": "teacher", "member": member}, scale, 0.8, True)
        group(arm | {"role": "teacher"}, scale, 0.75, ["mean"], size)
        for kind in kinds:
            own = arm | {"role": "student", "uncertainty": kind}
            for member in range(1, students + 1):
                model(own | {"member": member}, scale, 0.9, False)
            if students > 1:
                group(own, 0.7 * scale, 0.88, ["mean", kind], students)
                comparisons(own, "RMSE_to_ensemble", ["welch"], (0, 1))
                comparisons(own, "Std", ["paired_t", "wilcoxon"], (0, 1))
                comparisons(own, "Cosine", ["paired_t", "wilcoxon"], (None,))
            comparisons(own, "RMSE_to_ensemble", ["paired_t", "wilcoxon"], (0, 1))
            if truth:
                comparisons(own, "AUROC", ["paired_t", "wilcoxon"], (None,))
    if truth:
        for target, selection in itertools.product(targets, selections):
            row = {"role": "truth", "target": target, "selection": selection}
            add(row, "Chance_AUPRC", 0.12)
    return tidy(rows, COLUMNS)


class Lookup:
    """Values of a summary by identity; what is not named is blank."""

    def __init__(self, summary):
        self.keys = [name for name in COLUMNS if name not in ("member", "value")]
        self.values = {}
        for row in summary.to_dict("records"):
            key = tuple(None if pd.isna(row[name]) else row[name] for name in self.keys)
            self.values.setdefault(key, []).append(row["value"])

    def __call__(self, series, arm=ARM, **identity):
        """Values in the order of members; none if there is no such row."""
        identity = {"head": "mean", "selection": "top1000", **identity}
        if series != "truth":
            identity |= dict(zip(("augmentation", "proportion", "size"), arm, strict=True))
        role, _, kind = series.partition(" ")
        identity |= {"role": role, "uncertainty": kind or None}
        return self.values.get(tuple(identity.get(name) for name in self.keys), [])


STUDIES = {
    "both": {},
    "std": {"kinds": ("std",), "methods": METHODS[:2], "targets": ("Dev",)},
    "few": {"arms": (("evoaug", 0.25, 3),), "students": 3, "methods": METHODS[:2]},
    "pairs": {"arms": (("standard", 1.0, 2),), "students": 2, "methods": ("shap",)},
    "one": {"students": 1, "methods": METHODS[:2], "targets": ("Dev",), "kinds": ("std",)},
    "teachers": {"kinds": (), "methods": METHODS[3:]},
    "many": {"targets": ("a", "b", "c", "long name of a $ target", "$x$"), "methods": METHODS[1:]},
}
studies = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)


def parts(study):
    """Arm, targets, methods and series of a study."""
    arm = study.get("arms", (ARM,))[0]
    students = [f"student {kind}" for kind in study.get("kinds", BOTH)]
    targets = study.get("targets", ("Dev", "Hk"))
    return arm, targets, study.get("methods", METHODS[:3]), ["teacher", *students]


def panels_of(figure, targets, methods, measures, columns):
    """Axes by (target, method, measure), of blocks of so many targets side by side."""
    axes = iter(figure.axes)
    return {
        (target, method, measure): next(axes)
        for start in range(0, len(targets), columns)
        for method in methods
        for target in targets[start : start + columns]
        for measure in measures
    }


def marks(axis, *, hollow):
    """{(colour, marker): [x, y]} of marks, filled or hollow; an open circle is a hollow one."""
    found = {}
    for line in axis.lines:
        if line.get_marker() in ("None", "", None, "_", "|"):
            continue
        face = to_hex(line.get_markerfacecolor(), keep_alpha=True)
        if (face in ("#ffffffff", "#00000000")) == hollow:
            key = (to_hex(line.get_color()), line.get_marker())
            own = found.setdefault(key, ([], []))
            own[0].extend(line.get_xdata())
            own[1].extend(line.get_ydata())
    return found


def look(series):
    return COLORS[series].lower(), MARKERS[series]


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


def shown(name):
    return name.replace("$", r"\$")


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
    for figure in (plot_attribution(summary), plot_truth(summary), plot_attribution_bins(summary)):
        assert "standard, proportion 1, ensemble size 4" in figure.get_suptitle().replace("\n", " ")
    figure = plot_attribution(summary)
    values = Lookup(summary)(
        "teacher",
        arm=arms[-1],
        **{"target": "Dev", "method": "ism", "metric": "RMSE_to_ensemble", "ddof": 0},
    )
    _, y = marks(figure.axes[0], hollow=False)[look("teacher")]
    assert y == pytest.approx([*values, np.mean(values)])


@studies
def test_bins(study):
    arm, targets, methods, series = parts(study)
    summary = make_attribution(**study, bins=12)
    table = Lookup(summary)
    figure = plot_attribution_bins(summary, "AU")
    columns = {1: 1, 2: 2, 5: 3}[len(targets)]
    panels = panels_of(figure, targets, methods, [""], columns)
    assert len(figure.axes) == len(panels)
    for (target, method, _), axis in panels.items():
        drawn = {(hue, marker): line for (hue, marker, *_), line in curves(axis).items()}
        assert set(drawn) == {look(name) for name in series}
        for name in series:
            x, y = drawn[look(name)]
            assert x == list(range(1, 13))  # bin10 comes after bin9
            expected = [
                table(
                    *(name, arm),
                    **{"target": target, "method": method, "metric": "RMSE_to_ensemble"},
                    ddof=0 if name == "teacher" else None,
                    selection=f"bin{i:.0f}",
                )
                for i in x
            ]
            assert y == pytest.approx([np.mean(values) for values in expected])
            assert axis.get_ylim()[1] > max(y)
        assert axis.get_ylim()[0] == 0
    assert figure.axes[-1].get_xlabel() == "bin of measured activity"


@studies
def test_scores_against_planted_motifs(study):
    arm, targets, methods, series = parts(study)
    summary = make_attribution(**study)
    table = Lookup(summary)
    series.insert(1, "ensemble")
    figure = plot_truth(summary)
    axes = iter(figure.axes)
    assert len(figure.axes) == 2 * len(targets)
    # A row of panels holds two targets, each with its two scores.
    for target in targets:
        for metric in ("AUROC", "AUPRC"):
            axis = next(axes)
            found = models(axis, horizontal=True)
            assert len(found) == len(methods) * len(series)
            by_row = {(round(place), hue): own for (place, hue, _), own in found.items()}
            for row, method in enumerate(methods):
                for name in series:
                    identity = {"target": target, "method": method, "metric": metric}
                    values = table(name, arm, **identity)
                    mean, bar, singles = by_row[row, look(name)[0]]
                    assert mean == pytest.approx(np.mean(values))
                    assert singles == pytest.approx(values)
                    assert (bar is None) == (len(values) < 3)
            (line,) = (line for line in axis.lines if line.get_linestyle() == ":")
            (chance,) = [0.5] if metric == "AUROC" else table("truth", **TRUTH, target=target)
            assert list(line.get_xdata()) == [chance, chance]
            assert axis.get_xlim()[0] < chance
            assert axis.get_xlabel() == metric
            assert axis.get_title().replace("\n", " ") == shown(target)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [METHOD_LABELS[method] for method in methods]
    assert legend_labels(figure)[-1] == "chance"


TRUTH = {"metric": "Chance_AUPRC"}


def test_every_method_has_a_name():
    assert sorted(METHOD_LABELS) == sorted(maps.METHODS)


@pytest.mark.parametrize(
    ("draw", "change", "message"),
    [
        (plot_attribution, lambda t: t[t["metric"] == "AUROC"], "no RMSE"),
        (plot_attribution, lambda t: t[t["selection"] == "bin1"], "no RMSE"),
        (plot_attribution_bins, lambda t: t[t["selection"] == "top1000"], "in bins of activity"),
        (plot_truth, lambda t: t[t["metric"] != "AUROC"].query("metric != 'AUPRC'"), "planted"),
        (plot_attribution, lambda t: t.drop(columns="method"), "no column method"),
        (plot_truth, lambda t: t.drop(columns="value"), "no column value"),
    ],
)
def test_what_cannot_be_drawn(draw, change, message):
    with pytest.raises(InputError, match=rf"{message}.*attribution"):
        draw(change(make_attribution(methods=("ism",))))


def made_sequences(targets, methods, series, n=200, single=False, seed=0):
    """Numbers of single sequences: some students above, some below their teachers."""
    rng = np.random.default_rng(seed)
    return {
        target: {
            method: {
                measure: {name: SCALE[method] * rng.gamma(4, 1, n) for name in series}
                for measure in ("RMSE_to_ensemble", *([] if single else ["Std"]))
            }
            for method in methods
        }
        for target in targets
    }


@pytest.mark.parametrize(
    ("study", "columns", "width"),
    [("both", 1, 7), ("std", 2, 3.5), ("many", 1, 7), ("one", 4, 3.5), ("few", 1, 7)],
)
def test_a_point_is_a_sequence(study, columns, width):
    _, targets, methods, series = parts(STUDIES[study])
    single = study == "one"
    values = made_sequences(targets, methods, series, single=single)
    figure = plot_attribution_scatter(values, "AU", "which arm")
    measures = ("RMSE_to_ensemble",) if single else ("RMSE_to_ensemble", "Std")
    kinds = [(measure, name) for measure in measures for name in series[1:]]
    panels = panels_of(figure, targets, methods, kinds, columns)
    assert len(figure.axes) == len(panels)
    for (target, method, (measure, name)), axis in panels.items():
        own = values[target][method][measure]
        diagonal, points = axis.lines
        assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == list(axis.get_xlim())
        assert axis.get_xlim() == axis.get_ylim()
        assert (to_hex(points.get_color()), points.get_marker()) == look(name)
        assert list(points.get_xdata()) == list(own["teacher"])
        assert list(points.get_ydata()) == list(own[name])
        assert max(*own["teacher"], *own[name]) < axis.get_xlim()[1]
        below = sum(a < b for a, b in zip(own[name], own["teacher"], strict=True))
        (text,) = axis.texts
        assert text.get_text() == f"{round(100 * below / 200)}%\nbelow"
        assert axis.get_title() in ("", f"{wrapped(target)}\n{MEASURES[measure]}")
    assert figure.get_suptitle() == "which arm"
    assert legend_labels(figure) == [LABELS[name] for name in series[1:]]
    assert figure.get_size_inches()[0] == width


def wrapped(target):
    return shown(textwrap.fill(target, 20))


def test_a_method_that_a_target_lacks_has_no_panel():
    values = made_sequences(("Dev", "Hk"), METHODS[:2], ("teacher", "student std"))
    del values["Hk"]["shap"]
    assert len(plot_attribution_scatter(values).axes) == 6


@pytest.mark.parametrize("series", [("teacher",), ("student std",), ()])
def test_without_both_sides_there_is_nothing_to_compare(series):
    values = made_sequences(("Dev",), ("shap",), series)
    with pytest.raises(InputError, match="both teachers and students"):
        plot_attribution_scatter(values)
    with pytest.raises(InputError, match="both teachers and students"):
        plot_attribution_scatter({})


LENGTH, TOP = 6, [0, 1, 3]


@pytest.fixture
def arm_file(tmp_path):
    """The file of an arm with two teachers, three students with std and one with logvar.

    Also its table, and the maps that it was made from, by target, method and series.
    """
    rng = np.random.default_rng(3)
    targets, methods, n = ("Hk", "Dev"), ("shap_dinuc_shuffle", "saliency"), 5
    x = np.eye(4, dtype=np.uint8)[rng.integers(4, size=(n, LENGTH))]
    selection = Selection(
        row=np.arange(n),
        id=np.array([f"s{i}" for i in range(n)], dtype=object),
        y=rng.normal(size=n).astype(np.float32),
        rank=np.array([1, 2, 0, 3, 0]),
        bin=np.array([0, 0, 1, 0, 1]),
        x=x,
        motif_mask=np.eye(n, LENGTH, dtype=np.uint8),
    )
    sequences = Sequences(
        targets=dict.fromkeys(targets, selection),
        seed=1,
        sha256="5" * 64,
        dataset_sha256="d" * 64,
    )
    arm = {"augmentation": "standard", "proportion": 1.0, "size": 2}
    made, members = {}, {"teacher": [], "student": []}
    for series, count in (("teacher", 2), ("student std", 3), ("student logvar", 1)):
        role, _, kind = series.partition(" ")
        kinds = ("mean", kind) if kind else ("mean",)
        for member, method in itertools.product(range(1, count + 1), methods):
            own = {
                target: {
                    head: HeadMaps(
                        rng.normal(size=(n, LENGTH, 4)).astype(np.float32),
                        rng.normal(size=n).astype(np.float32),
                    )
                    for head in kinds
                }
                for target in targets
            }
            for target in targets:
                stack = made.setdefault((target, method, series), [])
                stack.append(own[target]["mean"].maps[TOP].astype(float))
            card = Card(
                heads=Heads(targets, kinds),
                architecture="deepstarr",
                role=role,
                **arm | {"size": 2 if kind else None},
                member=member,
                seed=member,
                dataset_sha256=sequences.dataset_sha256,
            )
            path = tmp_path / (kind or "teachers") / f"{member}_{method}.h5"
            maps.write_maps(path, own, card, method=method, sequences_sha256=sequences.sha256)
            identity = {**arm, "member": member, "method": method}
            if kind:
                identity |= {"uncertainty": kind}
            else:
                del identity["size"]
            members[role].append((path, identity))
    path = tmp_path / "n2.h5"
    table = evaluate_arm(
        arm,
        sequences=sequences,
        teachers=members["teacher"],
        students=members["student"],
        output=path,
    )
    return path, table, made, targets, methods


def test_numbers_of_sequences_are_those_of_the_maps(arm_file):
    path, _, made, targets, methods = arm_file
    found = read_per_sequence(path)
    assert list(found) == list(targets)  # in the order of the data set
    for target in targets:
        assert list(found[target]) == list(methods)
        for method in methods:
            own = found[target][method]
            teachers = np.array(made[target, method, "teacher"])
            average = teachers.mean(axis=0)
            for series, m in (("teacher", 2), ("student std", 3), ("student logvar", 1)):
                stack = np.array(made[target, method, series])
                rmse = np.sqrt(((stack - average) ** 2).mean(axis=(2, 3))).mean(axis=0)
                if series == "teacher":
                    rmse *= np.sqrt(2)
                assert own["RMSE_to_ensemble"][series] == pytest.approx(rmse, rel=1e-5)
                if m == 1:
                    assert series not in own["Std"]
                else:
                    std = np.sqrt(stack.var(axis=0, ddof=1).sum(axis=(1, 2)))
                    assert own["Std"][series] == pytest.approx(std, rel=1e-5)


def test_figures_of_a_table_and_file_as_the_workflow_makes_them(arm_file, tmp_path):
    path, table, _, targets, methods = arm_file
    write_csv(table, tmp_path / "table.csv")
    summary = tidy_rows(tmp_path / "table.csv", COLUMNS)
    figure = plot_attribution(summary)
    assert len(figure.axes) == 12
    assert figure.get_suptitle().endswith("the 3 most active test sequences")
    axis = figure.axes[0]
    # Of the methods saliency is drawn first, whatever the order of the table.
    own = table.query("metric == 'RMSE_to_ensemble' and target == 'Hk' and method == 'saliency'")
    own = own.query("selection == 'top3' and comparison.isna()")
    teachers = own.query("role == 'teacher' and ddof == 0")["value"].tolist()
    _, y = marks(axis, hollow=False)[look("teacher")]
    assert y == pytest.approx([*teachers, np.mean(teachers)])
    assert len(plot_truth(summary).axes) == 4
    assert len(plot_attribution_bins(summary).axes) == 4
    # One student with logvar: RMSE of both kinds, std of one.
    scatter = plot_attribution_scatter(read_per_sequence(path))
    assert len(scatter.axes) == 3 * len(targets) * len(methods)
    for i, drawn in enumerate((figure, scatter)):
        save_figure(drawn, tmp_path / f"{i}.png", tmp_path / f"{i}.pdf")


@pytest.mark.parametrize("what", ["rank", "teachers", "attribute", "truncated", "missing"])
def test_a_file_that_is_not_whole(arm_file, what):
    path, _, _, targets, methods = arm_file
    if what == "truncated":
        path.write_bytes(path.read_bytes()[:600])
    elif what == "missing":
        path.unlink()
    else:
        with h5py.File(path, "a") as file:
            if what == "rank":
                del file[targets[0]]["rank"]
            elif what == "teachers":
                del file[targets[1]][methods[0]]["teachers"]["std"]
            else:
                del file.attrs["targets"]
    with pytest.raises(InputError, match=str(path)):
        read_per_sequence(path)


@studies
def test_no_text_is_cut_off_or_written_over_another(study):
    _, targets, methods, series = parts(study)
    summary = make_attribution(**study)
    figures = [plot_attribution(summary, "log2 enrichment"), plot_truth(summary)]
    figures.append(plot_attribution_bins(summary, "log2 enrichment"))
    if len(series) > 1:
        values = made_sequences(targets, methods, series, single=study.get("students") == 1)
        title = "standard, proportion 0.25, ensemble size 10: the 1,000 most active test sequences"
        figures.append(plot_attribution_scatter(values, "log2 enrichment", title))
    for figure in figures:
        check_layout(figure)
