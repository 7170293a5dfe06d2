"""What holds for every figure: its size, legible text, nothing over another, the same bytes."""

import hashlib
import io
import re
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from conftest import random_one_hot, run_python
from layouts import check_layout
from matplotlib.image import imread
from matplotlib.text import Text
from studies import FROM_SUMMARY, GRID, ONE, SHIFTS, VARIANTS, draw_summary, make_summary

from degu.dataset import Split, write_dataset
from degu.errors import InputError
from degu.io.files import write_csv
from degu.io.summary import FAILED, tidy
from degu.plots.shift_distribution import plot_shift_distribution
from degu.plots.style import save_figure

UNITS = "log2 enrichment"
SMALL = (
    ("standard", 1.0, 2),
    ("standard", 1.0, 3),
    ("standard", 0.25, 3),
    ("evoaug", 1.0, 3),
)
LONG = ("leaf", "proto\u00adplast", "a target with a long name, in HepG2 cells")
STUDIES = {
    "grid": {"dynamic": {("standard", 1.0, 10): VARIANTS}, "shifts": SHIFTS},
    "one target": {
        "targets": ("activity",),
        "dynamic": {("standard", 1.0, 10): VARIANTS},
        "shifts": SHIFTS,
    },
    "three targets": {
        "targets": LONG,
        "kinds": ("std",),
        "dynamic": {("standard", 1.0, 10): VARIANTS},
        "shifts": SHIFTS,
    },
    "small": {
        "arms": SMALL,
        "students": 2,
        "dynamic": {SMALL[1]: ("mutagenesis",)},
        "shifts": SHIFTS[:3],
    },
    "five targets": {
        "arms": SMALL,
        "targets": tuple("abcde"),
        "students": 3,
        "dynamic": {SMALL[1]: ("mutagenesis",)},
        "shifts": SHIFTS,
    },
}


def draw_distribution(targets):
    rng = np.random.default_rng(0)
    assay = rng.normal(0, 2, (400, len(targets)))
    made = {
        name: {shift: assay * (1 - 0.15 * i) for i, shift in enumerate(SHIFTS)}
        for name in ("teacher", "ensemble", "student std")
    }
    return plot_shift_distribution(assay, made, targets, UNITS)


@pytest.fixture(scope="module", params=STUDIES)
def study(request):
    options = {"arms": GRID, "targets": ("Dev", "Hk"), **STUDIES[request.param]}
    return make_summary(**options)


@pytest.mark.parametrize("name", FROM_SUMMARY)
def test_a_member_that_failed_is_drawn_as_any_other(name):
    """Its row has no target and no head."""
    arm = {"augmentation": "standard", "proportion": 1.0}
    failed = [
        {"role": "teacher", "member": 2, **arm},
        {"role": "student", "member": 1, "size": 3, "uncertainty": "std", **arm},
        {"role": "student", "member": 1, "size": 3, "uncertainty": "std", **arm}
        | {"variant": "mutagenesis"},
    ]
    summary = make_summary(**STUDIES["small"])
    rows = tidy({**own, "metric": FAILED, "value": 2.5} for own in failed)
    drawn = []
    for table in (summary, pd.concat([summary, rows], ignore_index=True)):
        file = io.BytesIO()
        draw_summary(name, table, UNITS).savefig(file, format="raw", dpi=50)
        drawn.append(file.getvalue())
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("name", FROM_SUMMARY)
def test_every_text_is_legible_and_by_itself(study, name):
    check_layout(draw_summary(name, study, UNITS))


@pytest.mark.parametrize("targets", [("activity",), ("Dev", "Hk"), LONG, tuple("abcde")])
def test_distributions_are_legible(targets):
    check_layout(draw_distribution(targets))


def test_a_single_arm_is_legible():
    for targets in (("Dev", "Hk"), ("activity",)):
        for kinds in (("std",), ()):
            summary = make_summary(ONE, targets, kinds=kinds, students=2)
            check_layout(draw_summary("performance", summary, UNITS))


RELEVANT = {
    "evoaug": lambda s: s["variant"].isna() & s["shift"].isna(),
    "dynamic_augmentation": lambda s: s["shift"].isna() & s["role"].isin(["student", "ensemble"]),
    "shift": lambda s: s["shift"].notna(),
}


@pytest.mark.parametrize("name", FROM_SUMMARY)
def test_rows_of_other_analyses_leave_no_trace(name):
    options = STUDIES["small"] | {"students": 3}
    summary = make_summary(**options)
    relevant = RELEVANT.get(
        name, lambda s: s["stage"].isna() & s["variant"].isna() & s["shift"].isna()
    )(summary) & (summary["role"] != "assay")
    assert 0 < relevant.sum() < len(summary)
    poisoned = summary.assign(value=summary["value"].where(relevant, 1e6))
    figures = [draw_summary(name, rows, UNITS) for rows in (summary, poisoned, summary[relevant])]
    data, *others = (
        [
            [axis.get_ylim() for axis in figure.axes],
            [axis.get_xlim() for axis in figure.axes],
            [line.get_xydata().tolist() for axis in figure.axes for line in axis.lines],
            [text.get_text() for text in figure.findobj(Text)],
        ]
        for figure in figures
    )
    assert others == [data, data]


@pytest.mark.parametrize("name", FROM_SUMMARY)
def test_an_empty_summary_is_one_sentence(name):
    with pytest.raises(InputError) as error:
        draw_summary(name, tidy([]), UNITS)
    assert re.fullmatch(r"[A-Z][^\n]*[^.\n]\.", str(error.value))


def test_a_figure_leaves_global_settings_alone(tmp_path):
    with mpl.rc_context({"font.size": 33.0, "savefig.dpi": 71.0}):
        before = dict(mpl.rcParams)
        summary = make_summary(**STUDIES["small"])
        for name in FROM_SUMMARY:
            save_figure(draw_summary(name, summary, UNITS), tmp_path / "figure.png")
        assert dict(mpl.rcParams) == before


DRAW = """
import sys
from pathlib import Path
from degu.plots.catalogue import FIGURES, drawer
from degu.plots.inputs import Inputs
from degu.plots.style import save_figure

table, dataset, folder, *names = sys.argv[1:]
for name in names:
    given = Inputs.of_job({"dataset": dataset, "table": table}, {})
    figure = drawer(FIGURES[name].draw)(given)
    save_figure(figure, Path(folder) / f"{name}.pdf", Path(folder) / f"{name}.png")
"""


def test_a_second_run_draws_the_same_bytes(tmp_path):
    """Also from files instead of a table in memory, and in another process."""
    summary = make_summary(**STUDIES["small"])
    write_csv(summary, tmp_path / "summary.csv")
    split = Split(random_one_hot(2, 4), np.zeros((2, 2), np.float32))
    splits = dict.fromkeys(("Train", "Val", "Test"), split)
    write_dataset(
        tmp_path / "dataset.h5", splits, targets=("Dev", "Hk"), units=UNITS, source="test"
    )
    names = [f"{name}.{suffix}" for name in FROM_SUMMARY for suffix in ("pdf", "png")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in FROM_SUMMARY:
            figure = draw_summary(name, summary, UNITS)
            save_figure(figure, *(tmp_path / "first" / f"{name}.{kind}" for kind in ("pdf", "png")))
            save_figure(figure, tmp_path / "second" / f"{name}.pdf")
    process = run_python(
        *(DRAW, tmp_path / "summary.csv", tmp_path / "dataset.h5", tmp_path / "third"),
        *FROM_SUMMARY,
        cwd=tmp_path,
        PYTHONHASHSEED="7",
        TZ="Asia/Tokyo",
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    for folder in ("first", "third"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == sorted(names)
    for name in names:
        saved = sorted(tmp_path.glob(f"*/{name}"))
        assert len(saved) == (3 if name.endswith("pdf") else 2)
        assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in saved}) == 1, name
        if name.endswith("pdf"):
            assert (tmp_path / "first" / name).read_bytes().startswith(b"%PDF-")
        else:
            picture = imread(tmp_path / "first" / name)
            assert picture.shape[1] == 1400  # 7 inches
            assert picture.std() > 0


def test_distributions_of_many_sequences_are_small_files(tmp_path):
    rng = np.random.default_rng(0)
    made = {
        name: {shift: rng.normal(0, 1, (40_000, 2)) for shift in SHIFTS}
        for name in ("teacher", "ensemble", "student std")
    }
    figure = plot_shift_distribution(rng.normal(0, 1, (40_000, 2)), made, ("Dev", "Hk"), UNITS)
    paths = [tmp_path / "one.pdf", tmp_path / "two.pdf"]
    save_figure(figure, *paths)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size < 150_000
