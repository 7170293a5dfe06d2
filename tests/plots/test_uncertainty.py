"""What figures about uncertainty show, read from their artists."""

import numpy as np
import pandas as pd
import pytest
from conftest import write_small_dataset

from degu.calibration.scores import LEVELS, QUANTILES
from degu.calibration.tables import (
    COMPARED,
    CURVE_COLUMNS,
    DIFFERENCE_COLUMNS,
    ROW_COLUMNS,
)
from degu.errors import InputError
from degu.io.files import write_csv
from degu.io.summary import tidy
from degu.plots.catalogue import FIGURES, drawer
from degu.plots.inputs import Inputs
from degu.plots.series import look
from degu.sweep import Arm

ARM = Arm("standard", 1.0, 5)
KINDS = (("ensemble", ""), ("student", "std"), ("student", "logvar"))
SHIFTS = ("none", "small", "large")
VARIANCES = ("epistemic", "aleatoric", "total")
LABELS = ["ensemble mean", "student (std)", "student (log variance)"]


def models():
    for role, uncertainty in KINDS:
        for member in [None] if role == "ensemble" else [1, 2, 3]:
            yield {
                "role": role,
                "augmentation": "standard",
                "proportion": 1.0,
                "size": 5,
                "member": member,
                "uncertainty": uncertainty or None,
            }


@pytest.fixture
def given(tmp_path):
    """Tables of an arm with numbers of their own, and rows of another arm that no figure has."""
    write_small_dataset(tmp_path / "dataset.h5")
    rng = np.random.default_rng(0)
    rows, points = [], []
    for who in [*models(), *({**one, "size": 2} for one in models())]:
        for target in ("Dev", "Hk"):
            own = {**who, "target": target, "head": "mean"}
            for variance in VARIANCES:
                for name in ("none", "scaling", "isotonic", "conformal", "mondrian"):
                    score = {**own, "variance": variance, "recalibration": name}
                    for level in LEVELS:
                        at = {**score, "level": level}
                        rows.append({**at, "metric": "PICP", "value": level - 0.01 * rng.random()})
                        rows.append({**at, "metric": "MPIW", "value": 2 * level + rng.random()})
                        rows.append({**at, "metric": "IntervalScore", "value": 3 + rng.random()})
                    for metric in ("NLL", "CRPS", "ENCE"):
                        rows.append({**score, "metric": metric, "value": rng.random()})
                    label = {**own, "variance": variance, "recalibration": name}
                    for curve, x in (("quantiles", QUANTILES), ("pit", np.arange(20) / 20)):
                        points += [{**label, "curve": curve, "x": a, "y": rng.random()} for a in x]
                for curve in ("sparsification", "oracle"):
                    label = {**own, "variance": variance, "recalibration": "none", "curve": curve}
                    points += [{**label, "x": a / 100, "y": 1 - a / 200} for a in range(101)]
                rows.append({**own, "variance": variance, "metric": "AUSE", "value": rng.random()})
                for shift in SHIFTS:
                    at = {**own, "variance": variance, "shift": shift, "head": "std"}
                    rows.append({**at, "metric": "Mean_std", "value": 0.3 + rng.random()})
                    if shift != "none":
                        rows.append({**at, "metric": "AUROC_shift", "value": 0.4})
    differences = []
    for target in ("Dev", "Hk"):
        for metric, recalibration, level in COMPARED:
            for i, (role, uncertainty) in enumerate(KINDS):
                # Of the log-variance student no difference is sure for Hk.
                lower = -0.1 if target == "Hk" and i == 2 else 0.05 * i
                differences.append(
                    {
                        "role": role,
                        "augmentation": "standard",
                        "proportion": 1.0,
                        "size": 5,
                        "uncertainty": uncertainty or None,
                        "target": target,
                        "metric": metric,
                        "variance": "total",
                        "recalibration": recalibration,
                        "level": level,
                        "best": i == 0,
                        "value": 0.1 * i,
                        "lower": lower,
                        "upper": 0.2 * i,
                    }
                )
    tables = {
        "summary": tidy(rows, ROW_COLUMNS),
        "curves": pd.DataFrame(points, columns=list(CURVE_COLUMNS)),
        "differences": pd.DataFrame(differences, columns=list(DIFFERENCE_COLUMNS)),
    }
    for name, table in tables.items():
        write_csv(table, tmp_path / f"{name}.csv")
    files = {name: tmp_path / f"{name}.csv" for name in tables}
    return Inputs({**files, "dataset": tmp_path / "dataset.h5"}, arm=ARM), tables


def drawn(name, given):
    return drawer(FIGURES[f"uncertainty_{name}"].draw)(given)


def means_of(tables, series, target, **columns):
    """Means over the models of the figure's arm."""
    role, uncertainty = series
    rows = tables[(tables["role"] == role) & (tables["size"] == 5) & (tables["target"] == target)]
    rows = rows[
        rows["uncertainty"].isna() if not uncertainty else rows["uncertainty"] == uncertainty
    ]
    for name, wanted in columns.items():
        rows = rows[rows[name] == wanted]
    return rows


def lines_of(axis, series):
    """Lines of a series, by its colour."""
    return [line for line in axis.lines if line.get_color() == look(series).color]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("name", ["reliability", "pit"])
def test_rows_are_variances_and_lines_means_over_models(given, name):
    inputs, tables = given
    figure = drawn(name, inputs)
    assert len(figure.axes) == 6
    assert [axis.get_title() for axis in figure.axes[:2]] == ["Dev", "Hk"]
    assert legend(figure) == [*LABELS, "calibrated"]
    (line,) = lines_of(figure.axes[5], "student std")
    curve = "quantiles" if name == "reliability" else "pit"
    own = means_of(
        tables["curves"],
        ("student", "std"),
        "Hk",
        curve=curve,
        variance="total",
        recalibration="scaling",
    )
    np.testing.assert_allclose(line.get_ydata(), own.groupby("x")["y"].mean())


def test_coverage_has_a_line_a_recalibration(given):
    inputs, tables = given
    figure = drawn("coverage", inputs)
    assert len(figure.axes) == 6  # a row for each series
    axis = figure.axes[2]  # students of stds, Dev
    assert len(axis.lines) == 7  # with that of the nominal level
    assert "student (std)" in axis.get_ylabel()
    own = means_of(
        tables["summary"],
        ("student", "std"),
        "Dev",
        metric="PICP",
        variance="total",
        recalibration="mondrian",
    )
    np.testing.assert_allclose(axis.lines[-1].get_ydata(), own.groupby("level")["value"].mean())
    assert legend(figure)[0] == "epistemic alone"


def test_width_is_against_the_coverage_that_there_is(given):
    inputs, tables = given
    figure = drawn("width", inputs)
    (line,) = lines_of(figure.axes[1], "ensemble")
    own = {"variance": "total", "recalibration": "conformal"}
    for data, metric in ((line.get_xdata(), "PICP"), (line.get_ydata(), "MPIW")):
        expected = means_of(tables["summary"], ("ensemble", ""), "Hk", metric=metric, **own)
        np.testing.assert_allclose(data, expected["value"])


def test_infinite_widths_are_left_out(given):
    inputs, tables = given
    rows = tables["summary"].copy()
    endless = (rows["metric"] == "MPIW") & (rows["level"] == 0.99)
    write_csv(rows.assign(value=rows["value"].mask(endless, np.inf)), inputs.files["summary"])
    (line,) = lines_of(drawn("width", inputs).axes[0], "ensemble")
    assert len(line.get_xdata()) == len(LEVELS) - 1


def test_sparsification_ends_before_the_last_few_and_has_an_oracle(given):
    inputs, _ = given
    figure = drawn("sparsification", inputs)
    lines = lines_of(figure.axes[0], "ensemble")
    assert len(lines) == 2
    assert all(max(line.get_xdata()) <= 0.95 for line in lines)
    assert legend(figure) == [*LABELS, "no information", "oracle of the ensemble"]


def test_shift_has_the_epistemic_std_and_whether_it_tells(given):
    inputs, tables = given
    figure = drawn("shift", inputs)
    top, below = figure.axes[0], figure.axes[2]
    assert [tick.get_text() for tick in below.get_xticklabels()] == list(SHIFTS)
    marks = [line for line in lines_of(top, "ensemble") if len(line.get_xdata()) == 1]
    own = means_of(
        tables["summary"], ("ensemble", ""), "Dev", metric="Mean_std", variance="epistemic"
    )
    assert sorted({float(line.get_ydata()[0]) for line in marks}) == pytest.approx(
        sorted(own["value"])
    )
    assert "AUROC" in below.get_ylabel()


def test_the_best_is_bold_only_where_every_difference_excludes_0(given):
    inputs, tables = given
    figure = drawn("table", inputs)
    for axis, bold in zip(figure.axes, (len(COMPARED), 0), strict=True):
        numbers = [text for text in axis.texts if text.get_text().replace(".", "").isdigit()]
        assert len(numbers) == len(COMPARED) * len(KINDS)
        thick = [text for text in numbers if text.get_fontweight() == "bold"]
        assert len(thick) == bold
        assert all(text.get_position()[1] == 0 for text in thick)  # the row of the ensemble
    own = means_of(
        tables["summary"], ("student", "logvar"), "Dev", metric="NLL", recalibration="scaling"
    )
    expected = f"{own[own['variance'] == 'total']['value'].mean():.3f}"
    assert expected in [text.get_text() for text in figure.axes[0].texts]


def test_a_table_with_other_columns_is_refused(given):
    inputs, tables = given
    write_csv(tables["curves"].drop(columns="curve"), inputs.files["curves"])
    with pytest.raises(InputError, match=r"curves\.csv has other columns"):
        drawn("pit", inputs)
