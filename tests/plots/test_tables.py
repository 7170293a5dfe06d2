"""What figures read off the summary."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies import GRID, make_summary, t_interval

from degu.errors import InputError
from degu.io.files import write_csv
from degu.io.summary import tidy
from degu.plots.tables import (
    arms_of,
    final_members,
    longest_slice,
    mean_interval,
    of_arms,
    preferred,
    read_summary,
)
from degu.sweep import Arm

SMALL = (("standard", 1.0, 3), ("standard", 0.25, 2), ("evoaug", 1.0, 2))


def test_a_summary_reads_the_same_from_memory_and_file(tmp_path):
    summary = make_summary(
        SMALL, students=2, dynamic={SMALL[0]: ("random",)}, shifts=("none", "small")
    )
    write_csv(summary, tmp_path / "summary.csv")
    rows = read_summary(summary)
    pd.testing.assert_frame_equal(read_summary(pd.read_csv(tmp_path / "summary.csv")), rows)
    assert rows["series"].drop_duplicates().tolist() == [
        *("teacher", "ensemble", "student std", "student logvar", "assay")
    ]
    assert rows.loc[rows["role"] == "assay", "augmentation"].unique().tolist() == [""]


def test_a_summary_without_students_reads_too(tmp_path):
    """Whole columns are blank then, and come from the file as numbers."""
    summary = make_summary((("standard", 1.0, 2),), kinds=())
    write_csv(summary, tmp_path / "summary.csv")
    rows = read_summary(pd.read_csv(tmp_path / "summary.csv"))
    assert len(final_members(rows)) == len(summary)
    assert set(rows["series"]) == {"teacher", "ensemble", "assay"}


def test_undefined_correlations_are_left_out():
    summary = make_summary(SMALL, students=3)
    summary.loc[7, "value"] = np.nan
    assert len(read_summary(summary)) == len(summary) - 1


def test_a_summary_without_a_column_is_refused():
    with pytest.raises(InputError, match=r"^The summary has no column shift; run .*again\.$"):
        read_summary(make_summary(SMALL).drop(columns="shift"))


def test_targets_named_like_numbers_stay_themselves():
    rows = read_summary(make_summary(SMALL, targets=("1", "2"), students=1))
    assert set(rows["target"]) == {"1", "2"}


def test_teachers_of_an_arm_are_the_first_of_its_pool():
    rows = final_members(read_summary(make_summary(SMALL, targets=("a",), students=1)))
    pearson = rows[(rows["metric"] == "Pearson") & (rows["head"] == "mean")]
    own = of_arms(pearson, [Arm("standard", 1.0, 3), Arm("evoaug", 1.0, 2)])
    teachers = own[own["role"] == "teacher"]
    assert [*zip(teachers["augmentation"], teachers["size"], teachers["member"], strict=True)] == [
        *[("standard", 3, member) for member in (1, 2, 3)],
        *[("evoaug", 2, member) for member in (1, 2)],
    ]
    assert set(own["proportion"]) == {1.0}
    assert of_arms(pearson, []).empty


def test_arms_appear_in_the_order_of_the_summary():
    rows = read_summary(make_summary(GRID, students=1))
    assert arms_of(rows[rows["role"] == "ensemble"]) == [Arm(*arm) for arm in GRID]


@pytest.mark.parametrize(
    ("arms", "along", "expected"),
    [
        (GRID, "proportion", [("standard", p, 10) for p in (0.1, 0.25, 0.5, 0.75, 1.0)]),
        (GRID, "size", [("standard", 1.0, n) for n in (2, 3, 4, 5, 10, 15, 20, 25)]),
        # The longest, though it is not standard.
        (
            [("standard", 1.0, 2), ("standard", 1.0, 3), *[("evoaug", 0.5, n) for n in (5, 3, 2)]],
            "size",
            [("evoaug", 0.5, n) for n in (2, 3, 5)],
        ),
        # Of equal length: standard, then the largest.
        (
            [(a, p, n) for a in ("evoaug", "standard") for p in (0.5, 1.0) for n in (2, 10)],
            "size",
            [("standard", 1.0, 2), ("standard", 1.0, 10)],
        ),
        (
            [(a, p, n) for a in ("evoaug", "standard") for p in (1.0, 0.5) for n in (10, 2)],
            "proportion",
            [("standard", 0.5, 10), ("standard", 1.0, 10)],
        ),
        ([("standard", 1.0, 2), ("evoaug", 1.0, 3), ("standard", 0.5, 3)], "size", []),
        ([], "proportion", []),
    ],
)
def test_the_longest_slice(arms, along, expected):
    assert longest_slice([Arm(*arm) for arm in arms], along) == [Arm(*arm) for arm in expected]


def test_the_preferred_arm():
    arms = [Arm(*arm) for arm in (("evoaug", 1.0, 9), ("standard", 0.5, 9), ("standard", 1.0, 3))]
    assert preferred(arms) == arms[2]
    assert preferred(arms[:2]) == arms[1]


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=30).filter(lambda v: np.ptp(v) > 1e-6))
def test_the_interval_is_that_of_scipy(values):
    mean, low, high = mean_interval(np.array(values))
    assert mean == pytest.approx(sum(values) / len(values), abs=1e-12)
    assert (low, high) == pytest.approx(t_interval(values), rel=1e-9, abs=1e-12)


def test_equal_models_have_an_interval_of_no_width_and_one_or_two_models_none():
    assert mean_interval(np.full(4, 0.5)) == (0.5, 0.5, 0.5)
    for values in ([0.25], [0.125, 0.375]):
        mean, low, high = mean_interval(np.array(values))
        assert mean == 0.25
        assert np.isnan([low, high]).all()


def test_a_table_of_no_rows():
    assert arms_of(read_summary(tidy([]))) == []
