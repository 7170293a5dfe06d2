"""Agreement of attribution maps by sequence, and the file that it is read from."""

import itertools
import textwrap

import h5py
import numpy as np
import pytest
from map_studies import (
    METHODS,
    STUDIES,
    look,
    made_sequences,
    marks,
    panels_of,
    parts,
    shown,
)
from matplotlib.colors import to_hex
from studies import LABELS, legend_labels

from degu.attribution import maps
from degu.attribution.analysis import COLUMNS, evaluate_arm
from degu.attribution.maps import HeadMaps
from degu.attribution.selection import Selection, Sequences
from degu.errors import InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.files import write_csv
from degu.io.summary import tidy_rows
from degu.plots.attribution import plot_attribution
from degu.plots.attribution_bins import plot_attribution_bins
from degu.plots.attribution_scatter import plot_attribution_scatter, read_per_sequence
from degu.plots.attribution_truth import plot_attribution_truth
from degu.plots.maps import MEASURES
from degu.plots.style import save_figure


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
    assert len(plot_attribution_truth(summary).axes) == 4
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
