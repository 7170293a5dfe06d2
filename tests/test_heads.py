"""Names of output columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from degu.errors import InputError
from degu.heads import Heads, Measured

TWO = ("Dev", "Hk")


def test_columns_are_ordered_by_kind_then_target():
    assert Heads(TWO).columns == ("Dev", "Hk")
    assert Heads.student(TWO, "std").columns == ("Dev", "Hk", "Dev-std", "Hk-std")
    heads = Heads(["K562"], ["mean", "aleatoric", "logvar"])
    assert heads.columns == ("K562", "K562-aleatoric", "K562-logvar")
    assert len(heads) == 3
    assert heads == Heads(("K562",), ("mean", "aleatoric", "logvar"))
    evidential = Heads(["K562"], ["mean", "nu", "alpha", "beta"])
    assert evidential.columns == ("K562", "K562-nu", "K562-alpha", "K562-beta")
    assert Heads.from_json(evidential.to_json()) == evidential
    assert Heads(["K562"], ["mean", "logscale"]).columns == ("K562", "K562-logscale")


def test_columns_and_slices_point_at_their_names():
    heads = Heads(TWO, ("mean", "aleatoric", "logvar"))
    for kind, expected in [("mean", [0, 1]), ("aleatoric", [2, 3]), ("logvar", [4, 5])]:
        assert [heads.column(target, kind) for target in TWO] == expected
        assert list(range(6))[heads.slice(kind)] == expected
    assert heads.column("Hk") == 1


def test_the_epistemic_kind():
    assert Heads(TWO).epistemic is None
    assert Heads(TWO, ("mean", "aleatoric")).epistemic is None
    assert Heads.student(TWO, "std").epistemic == "std"
    assert Heads.student(TWO, "logvar").epistemic == "logvar"


@pytest.mark.parametrize(
    ("targets", "kinds", "message"),
    [
        ((), ("mean",), "distinct targets"),
        (("Dev", "Dev"), ("mean",), "distinct targets"),
        (TWO, (), "subset"),
        (TWO, ("median",), "subset"),
        (TWO, ("std", "mean"), "in this order"),
        (TWO, ("mean", "mean"), "in this order"),
        (TWO, ("mean", "std", "logvar"), "not both"),
        (("Dev", "Dev-std"), ("mean", "std"), "called Dev-std"),
    ],
)
def test_what_heads_refuse(targets, kinds, message):
    with pytest.raises(InputError, match=message):
        Heads(targets, kinds)


def test_a_head_that_is_not_there_is_named():
    heads = Heads.student(TWO, "std")
    with pytest.raises(InputError, match=r"no head Dev-logvar: .* Dev, Hk, Dev-std, Hk-std"):
        heads.column("Dev", "logvar")
    with pytest.raises(InputError, match="no head leaf"):
        heads.column("leaf")
    with pytest.raises(InputError, match="no head Dev-logvar"):
        heads.slice("logvar")
    # The spelling of a head is not the name of a target.
    with pytest.raises(InputError, match="no head Dev-std"):
        heads.column("Dev-std")


@given(
    st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True).filter(
        lambda names: not any("-" in name for name in names)
    ),
    st.sampled_from([("mean",), ("mean", "std"), ("mean", "aleatoric", "logvar")]),
)
def test_json_round_trip(targets, kinds):
    heads = Heads(tuple(targets), kinds)
    assert Heads.from_json(heads.to_json()) == heads


def test_an_ensemble_with_aleatoric_heads_and_its_students():
    members = Heads(TWO, ("mean", "aleatoric"))
    student = Heads.student(TWO, "std", aleatoric=True)
    assert student.kinds == ("mean", "aleatoric", "std")
    assert student == members.with_epistemic("std")
    assert student.of_members == members == members.of_members
    assert student.indices(("mean", "std")) == [0, 1, 4, 5]
    with pytest.raises(InputError, match="no head Dev-logvar"):
        student.indices(("logvar",))


def test_columns_of_measurements_are_no_heads():
    labels = Measured(TWO, Measured.known)
    assert labels.columns == (
        "Dev",
        "Hk",
        "Dev-variance",
        "Hk-variance",
        "Dev-freedom",
        "Hk-freedom",
    )
    assert labels.column("Hk", "freedom") == 5
    with pytest.raises(InputError, match="subset"):
        Heads(TWO, Measured.known)
    with pytest.raises(InputError, match="subset"):
        Measured(TWO, ("mean", "std"))
    assert Measured(TWO) != Heads(TWO)
