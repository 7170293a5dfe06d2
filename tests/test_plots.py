"""Figures show the summary: each mark where the table says, and none besides."""

import hashlib
import itertools
import statistics
import warnings
from collections import defaultdict

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from conftest import run_python
from matplotlib.colors import to_hex
from matplotlib.image import imread

from degu.files import write_csv
from degu.plots.performance import plot_performance
from degu.plots.style import COLORS, LABELS, MARKERS, save_figure
from degu.summary import tidy

TARGETS = ("Dev", "Hk")
BOTH = ("std", "logvar")


def make_summary(arms, kinds=BOTH, students=3):
    """A summary with random values of two metrics; arms are (augmentation, proportion, size)."""
    rng = np.random.default_rng(0)
    rows = []

    def add(head="mean", **identity):
        for target, metric in itertools.product(TARGETS, ("Pearson", "Spearman")):
            row = {**identity, "target": target, "head": head, "metric": metric}
            rows.append(row | {"value": rng.random()})

    pools = defaultdict(int)
    for augmentation, proportion, size in arms:
        pools[augmentation, proportion] = max(size, pools[augmentation, proportion])
    for (augmentation, proportion), size in pools.items():
        pool = {"augmentation": augmentation, "proportion": proportion}
        for member in range(1, size + 1):
            add(role="teacher", member=member, **pool)
            # Of a model before fine-tuning, which no figure of members shows.
            add(role="teacher", member=member, stage="aug", **pool)
    for augmentation, proportion, size in arms:
        arm = {"augmentation": augmentation, "proportion": proportion, "size": size}
        add(role="ensemble", **arm)
        rows.append(
            arm | {"role": "ensemble", "target": "Dev", "head": "std", "ddof": 0, "metric": "Mean"}
        )
        for kind, member, head in itertools.product(kinds, range(1, students + 1), ("mean", "std")):
            add(role="student", uncertainty=kind, member=member, head=head, **arm)
    return tidy(rows)


def expected_values(summary, target, head, arm, series, metric="Pearson"):
    """The values of one series in one arm, read off the table row by row."""
    augmentation, proportion, size = arm
    role, _, kind = series.partition(" ")
    values = []
    for row in summary.to_dict("records"):
        belongs = (
            row["role"] == role
            and row["augmentation"] == augmentation
            and row["proportion"] == proportion
            and (row["member"] <= size if role == "teacher" else row["size"] == size)
            and (not kind or row["uncertainty"] == kind)
            and pd.isna(row["stage"])
        )
        if belongs and (row["target"], row["head"], row["metric"]) == (target, head, metric):
            values.append(row["value"])
    return values


def marks(axis, series):
    """Marks of one series in a panel: x -> (mean, values of single models)."""
    own = [
        line
        for line in axis.lines
        if to_hex(line.get_color()).upper() == COLORS[series].upper()
        and line.get_marker() == MARKERS[series]
    ]
    means = {
        float(line.get_xdata()[0]): float(line.get_ydata()[0])
        for line in own
        if len(line.get_xdata()) == 1
    }
    several = {
        float(np.mean(line.get_xdata())): list(line.get_ydata())
        for line in own
        if len(line.get_xdata()) > 1
    }
    return means, several


def bars(axis):
    """Error bars of a panel: x -> (lower end, upper end)."""
    return {
        round(float(segment[0][0]), 6): (segment[:, 1].min(), segment[:, 1].max())
        for collection in axis.collections
        for segment in collection.get_segments()
    }


def check_panels(figure, summary, arms, metric="Pearson", kinds=BOTH):
    axes = np.array(figure.axes).reshape(2, len(TARGETS))
    for (row, head), (column, target) in itertools.product(
        enumerate(("mean", "std")), enumerate(TARGETS)
    ):
        axis = axes[row, column]
        drawn = 0
        for series in LABELS:
            means, several = marks(axis, series)
            wanted = {
                position: values
                for position, arm in enumerate(arms)
                if (values := expected_values(summary, target, head, arm, series, metric))
            }
            # One place for each arm, beside its tick.
            assert [round(x) for x in sorted(means)] == sorted(wanted)
            for x, mean in means.items():
                values = wanted[round(x)]
                assert mean == pytest.approx(statistics.fmean(values))
                if len(values) > 1:
                    near = min(several, key=lambda other, x=x: abs(other - x))
                    assert several[near] == pytest.approx(values)
                    low, high = bars(axis)[round(x, 6)]
                    spread = statistics.stdev(values)
                    assert (low, high) == pytest.approx((mean - spread, mean + spread))
            drawn += len(means)
        series = (2 if head == "mean" else 0) + len(kinds)
        assert drawn == series * len(arms)


ONE = [("standard", 1.0, 5)]
MANY = [
    ("standard", 1.0, 2),
    ("standard", 1.0, 4),
    ("standard", 0.25, 3),
    ("evoaug", 0.25, 3),
]


@pytest.mark.parametrize("metric", ["Pearson", "Spearman"])
@pytest.mark.parametrize("arms", [ONE, MANY], ids=["one arm", "many arms"])
@pytest.mark.parametrize("kinds", [BOTH, ("std",), ("logvar",), ()], ids="-".join)
def test_marks_lie_at_the_values_of_the_table(arms, kinds, metric):
    summary = make_summary(arms, kinds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plot_performance(summary, metric)
    check_panels(figure, summary, arms, metric, kinds)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "single teacher",
        "ensemble mean",
        *(f"student ({'std' if kind == 'std' else 'log variance'})" for kind in kinds),
    ]
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["Dev", "Hk", "", ""]
    assert metric in figure.axes[0].get_ylabel()


def test_one_student_has_no_spread():
    summary = make_summary(ONE, students=1)
    figure = plot_performance(summary)
    check_panels(figure, summary, ONE)
    assert len(bars(figure.axes[0])) == 1  # the teachers'
    assert len(bars(figure.axes[2])) == 0


def test_arms_are_named_by_what_tells_them_apart():
    def labels(arms):
        axis = plot_performance(make_summary(arms, students=1)).axes[2]
        return [text.get_text() for text in axis.get_xticklabels()], axis.get_xlabel()

    assert labels(ONE) == (["5"], "ensemble size")
    by_proportion = [("standard", p, 2) for p in (0.1, 1.0)]
    assert labels(by_proportion) == (
        ["2\n0.1", "2\n1"],
        "ensemble size, proportion of training data",
    )
    ticks, name = labels(MANY)
    assert ticks == ["2\n1\nstandard", "4\n1\nstandard", "3\n0.25\nstandard", "3\n0.25\nevoaug"]
    assert name == "ensemble size, proportion of training data, augmentation"


def test_a_figure_leaves_global_settings_alone(tmp_path):
    with mpl.rc_context({"font.size": 33.0, "savefig.dpi": 71.0}):
        before = dict(mpl.rcParams)
        save_figure(plot_performance(make_summary(ONE)), tmp_path / "figure.png")
        assert dict(mpl.rcParams) == before


DRAW = """
import sys
import pandas as pd
from degu.plots.performance import plot_performance
from degu.plots.style import save_figure

save_figure(plot_performance(pd.read_csv(sys.argv[1])), *sys.argv[2:])
"""


@pytest.mark.parametrize("kinds", [BOTH, ()], ids=["students", "no students"])
def test_a_second_run_draws_the_same_bytes(tmp_path, kinds):
    """Also from the file instead of the table in memory, and in another process."""
    summary = make_summary(MANY, kinds)
    write_csv(summary, tmp_path / "summary.csv")
    names = ("performance.pdf", "performance.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(plot_performance(summary), *(tmp_path / name for name in names))
    again = [tmp_path / "again" / name for name in names]
    process = run_python(
        DRAW, tmp_path / "summary.csv", *again, cwd=tmp_path, PYTHONHASHSEED="7", TZ="Asia/Tokyo"
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    for name, path in zip(names, again, strict=True):
        first, second = (hashlib.sha256(p.read_bytes()) for p in (tmp_path / name, path))
        assert first.hexdigest() == second.hexdigest()
    assert (tmp_path / names[0]).read_bytes().startswith(b"%PDF-")
    picture = imread(tmp_path / names[1])
    assert min(picture.shape[:2]) > 500
    assert picture.std() > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", *names, "summary.csv"]
