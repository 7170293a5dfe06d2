"""Files of predictions, and the cards that say whose they are."""

import importlib.metadata
import json
import platform

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from degu.errors import InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.predictions import constant_heads, read_ensemble, read_predictions, write_predictions

SIZES = {"Train": 30, "Val": 8, "Test": 9}


def card(**changes):
    fields = {
        "heads": Heads(("Dev", "Hk")),
        "architecture": "deepstarr",
        "role": "teacher",
        "augmentation": "standard",
        "proportion": 0.25,
        "size": None,
        "member": 1,
        "seed": 7,
        "dataset_sha256": "0" * 64,
    }
    return Card(**{**fields, **changes})


def random_predictions(seed=0, heads=2, **sizes):
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(size=(n, heads)).astype(np.float32) for name, n in (SIZES | sizes).items()
    }


@pytest.fixture
def write(tmp_path):
    """Function that writes a member's file and returns its path."""

    def write(member=1, predictions=None, **changes):
        path = tmp_path / f"{member}_predictions{len(list(tmp_path.iterdir()))}.h5"
        predictions = random_predictions(member) if predictions is None else predictions
        write_predictions(path, predictions, card(member=member, **changes))
        return path

    return write


# Cards


@given(
    targets=st.lists(st.text(min_size=1), min_size=1, max_size=3, unique=True),
    architecture=st.text(),
    proportion=st.floats(0, 1, exclude_min=True),
    size=st.none() | st.integers(2, 100),
    member=st.integers(1, 100),
    seed=st.integers(0, 2**31 - 1),
    variant=st.none() | st.text(),
)
def test_a_card_comes_back_as_it_was(targets, **values):
    written = card(heads=Heads(tuple(targets)), **values)
    with h5py.File("card.h5", "w", driver="core", backing_store=False) as file:
        written.write(file.attrs)
        assert Card.read(file) == written


def test_a_card_says_which_versions_made_it():
    versions = card().versions
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == np.__version__
    assert versions["h5py"] == h5py.__version__
    assert versions["degu"] == importlib.metadata.version("degu-genomics")
    assert set(versions) == {"python", "numpy", "h5py", "degu", "tensorflow", "keras"}


def test_a_card_is_plain_attributes(write):
    """What a person without this package finds."""
    with h5py.File(write(member=4, size=5)) as file:
        attributes = {name: json.loads(text) for name, text in file.attrs.items()}
    assert attributes.pop("degu_versions")["numpy"] == np.__version__
    assert attributes == {
        "degu_heads": {"targets": ["Dev", "Hk"], "kinds": ["mean"]},
        "degu_architecture": "deepstarr",
        "degu_role": "teacher",
        "degu_augmentation": "standard",
        "degu_proportion": 0.25,
        "degu_size": 5,
        "degu_member": 4,
        "degu_seed": 7,
        "degu_dataset_sha256": "0" * 64,
        "degu_variant": None,
        "degu_loss": {},
        "degu_flanks": ["", ""],
        "degu_architecture_sha256": "",
    }


def test_a_check_names_what_differs():
    card().check("model.h5", role="teacher", size=None, heads=Heads(("Dev", "Hk")))
    with pytest.raises(InputError, match=r"^model.h5 has proportion 0.25, where 1.0 is needed; "):
        card().check("model.h5", role="teacher", proportion=1.0)
    with pytest.raises(InputError, match=r"heads \('Dev', 'Hk'\), where \('Hk', 'Dev'\)"):
        card().check("model.h5", heads=Heads(("Hk", "Dev")))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("heads", "{"),
        ("heads", "[]"),
        ("heads", '{"targets": "Dev"}'),
        ("heads", '{"targets": [1], "kinds": ["mean"]}'),
        ("role", "teacher"),
        ("member", '"1"'),
        ("proportion", "null"),
        ("versions", "[]"),
        ("seed", "1.5"),
    ],
)
def test_a_damaged_card_is_named(write, name, text):
    path = write()
    with h5py.File(path, "r+") as file:
        file.attrs[f"degu_{name}"] = text
    with pytest.raises(InputError, match=rf"has a damaged card \(degu_{name}\)"):
        read_predictions(path)


# One member


def test_predictions_come_back_as_they_were(write):
    predictions = random_predictions()
    again, its_card = read_predictions(write(predictions=predictions))
    assert list(again) == ["Train", "Val", "Test"]
    for name, values in predictions.items():
        assert again[name].dtype == np.float32
        np.testing.assert_array_equal(again[name], values)
    assert its_card == card()


def test_predictions_of_profiles_and_of_one_split(write):
    """Any number of axes before that of the heads; a file of a shifted test set has one split."""
    profile = np.random.default_rng(0).normal(size=(5, 12, 2)).astype(np.float32)
    again, _ = read_predictions(write(predictions={"Test": profile}), splits=("Test",))
    assert list(again) == ["Test"]
    np.testing.assert_array_equal(again["Test"], profile)


@pytest.mark.parametrize(
    ("split", "values", "words"),
    [
        ("Val", [[1.0, np.nan]], "Val holds predictions that are not finite.* train it again"),
        ("Test", [[1.0, -np.inf]], "Test holds predictions that are not finite"),
        ("Train", [[1.0], [2.0]], r"Train has shape \(2, 1\), .* for each of Dev, Hk"),
        ("Train", [1.0, 2.0], r"Train has shape \(2,\)"),
    ],
)
def test_predictions_that_cannot_be_used_are_refused(write, split, values, words):
    path = write(predictions=random_predictions() | {split: np.array(values)})
    with pytest.raises(InputError, match=words) as error:
        read_predictions(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("constant", [0.0, -1.5, 3e-30, 1e30])
def test_a_head_of_one_number_is_named(constant):
    heads = Heads(("Dev", "Hk"), ("mean", "std"))
    values = np.random.default_rng(0).normal(size=(6, 3, 4)).astype(np.float32)
    assert constant_heads(values, heads) == ()
    values[..., [1, 2]] = constant
    assert constant_heads(values, heads) == ("Hk", "Dev-std")
    # The last digit differs where sums are taken in another order; a real difference does not pass.
    values[0, 0, 1] = np.nextafter(np.float32(constant), np.float32(np.inf))
    assert constant_heads(values, heads) == (("Hk", "Dev-std") if constant else ("Dev-std",))
    values[0, 0, 2] = constant * 1.0001 if constant else 1e-30
    assert "Dev-std" not in constant_heads(values, heads)
    # The profile of each sequence differs by position, and that of all is the same one.
    values[:] = values[0]
    assert constant_heads(values, heads) == heads.columns
    assert constant_heads(values[:1], heads) == constant_heads(values[:0], heads) == ()


def test_a_member_that_predicts_one_activity_is_refused(write):
    for split, n in SIZES.items():
        values = random_predictions()[split]
        values[:, 1] = 0.3
        path = write(predictions=random_predictions() | {split: values})
        with pytest.raises(
            InputError, match=rf"Hk is one number for all {n} .* {split}; "
        ) as error:
            read_predictions(path)
        assert str(error.value).startswith(f"{path}: ")
        with pytest.raises(InputError, match="Hk is one number"):
            read_ensemble([write(2), path])
    # One sequence has one number, and all may be equally uncertain.
    one = random_predictions(Val=1)
    read_predictions(write(predictions=one))
    both = {name: np.hstack([v, np.full_like(v, 0.5)]) for name, v in random_predictions().items()}
    for kind in ("std", "logvar"):
        heads = Heads(("Dev", "Hk"), ("mean", kind))
        read_predictions(write(predictions=both, heads=heads, role="student", size=3))


def test_files_that_lack_something_are_refused(write, tmp_path):
    path = write()
    with h5py.File(path, "r+") as file:
        del file["Val"]
    with pytest.raises(InputError, match="no predictions for Val"):
        read_predictions(path)
    read_predictions(path, splits=("Train", "Test"))

    with h5py.File(path, "r+") as file:
        del file.attrs["degu_seed"]
    with pytest.raises(InputError, match=r"carries no card \(degu_seed is missing\)"):
        read_predictions(path, splits=("Test",))

    whole = write(predictions=random_predictions(Train=5000))
    whole.write_bytes(whole.read_bytes()[:-1000])
    with pytest.raises(InputError, match="truncated"):
        read_predictions(whole)
    with pytest.raises(InputError, match="does not exist"):
        read_predictions(tmp_path / "absent.h5")


def test_objects_of_another_kind_are_refused(write, tmp_path):
    for change, words in (
        (lambda file: file.create_group("Val"), "Val is missing or no array"),
        (lambda file: file.create_dataset("Val", (8, 2)), "Val lacks a part of its values"),
        (lambda file: file.create_dataset("Val", data=np.ones((8, 2), int)), "is of type int64"),
        (lambda file: file.create_dataset("Val", (10**9, 2), "f4"), "more than the file holds"),
        (lambda file: file.__setitem__("Val", h5py.SoftLink("/no")), "Val is missing or no array"),
        (lambda file: file.__setitem__("Val", h5py.Empty("f4")), "Val is missing or no array"),
    ):
        path = write()
        with h5py.File(path, "r+") as file:
            del file["Val"]
            change(file)
        with pytest.raises(InputError, match=words) as error:
            read_predictions(path)
        assert str(error.value).startswith(str(path))
    path = write()
    path.write_bytes(path.read_bytes()[:-3] + b"\0\0\0")
    with pytest.raises(InputError, match="is not as it was written"):
        read_predictions(path)


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match="could not convert"):
        write_predictions(tmp_path / "p.h5", {"Train": np.array([["a"]])}, card())
    assert list(tmp_path.iterdir()) == []


def test_predictions_of_shifted_sequences_are_tied_to_their_file(tmp_path):
    values = {"small": np.arange(10.0).reshape(5, 2)}
    paths = [tmp_path / f"{i}_predictions.h5" for i in (1, 2, 3)]
    for i, (path, sha256) in enumerate(zip(paths, ("a" * 64, "a" * 64, None), strict=True)):
        write_predictions(path, values, card(member=i + 1), shift_sha256=sha256)
    with h5py.File(paths[0]) as file:
        assert file.attrs["shift_sha256"] == "a" * 64
    for path in paths:
        read_predictions(path, ("small",))
    read_predictions(paths[0], ("small",), shift_sha256="a" * 64)
    stacks, _ = read_ensemble(paths[:2], ("small",), shift_sha256="a" * 64)
    assert stacks["small"].shape == (2, 5, 2)
    # Made from another file of shifted sequences, or from none.
    for path, sha256 in ((paths[0], "b" * 64), (paths[2], "a" * 64)):
        with pytest.raises(InputError, match=r"was not made from this shift\.h5; ") as error:
            read_predictions(path, ("small",), shift_sha256=sha256)
        assert str(error.value).startswith(str(path))
    with pytest.raises(InputError, match=r"3_predictions\.h5 was not made from this shift\.h5"):
        read_ensemble(paths, ("small",), shift_sha256="a" * 64)


# An ensemble


def test_members_are_stacked_in_the_order_of_their_files(write):
    order = (3, 1, 2)
    predictions, first = read_ensemble([write(i) for i in order])
    for name, n in SIZES.items():
        assert predictions[name].shape == (3, n, 2)
        for stacked, i in zip(predictions[name], order, strict=True):
            np.testing.assert_array_equal(stacked, random_predictions(i)[name])
    assert first.member == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset_sha256": "1" * 64},
        {"architecture": "my_package.my_module:build"},
        {"heads": Heads(("Hk", "Dev"))},
        {"role": "student"},
        {"augmentation": "evoaug"},
        {"proportion": 0.5},
        {"size": 5},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_stranger_is_refused_by_name(write, changes):
    paths = [write(1), write(2), write(3, **changes)]
    with pytest.raises(InputError, match=f" has {next(iter(changes))} ") as error:
        read_ensemble(paths)
    assert str(error.value).startswith(str(paths[2]))
    # Its seed, member and versions are a member's own.
    read_ensemble([write(1), write(2, seed=8, versions={"numpy": "2.0"})])


def test_no_member_counts_twice(write):
    paths = [write(1), write(2), write(1)]
    with pytest.raises(InputError, match="are both member 1") as error:
        read_ensemble(paths)
    assert str(paths[0]) in str(error.value)
    assert str(paths[2]) in str(error.value)


def test_members_have_predictions_of_the_same_sequences(write):
    paths = [write(1), write(2, predictions=random_predictions(Train=29))]
    with pytest.raises(InputError, match=r"Train has shape \(29, 2\), but .* \(30, 2\)") as error:
        read_ensemble(paths)
    assert str(paths[1]) in str(error.value)
    assert read_ensemble(paths, splits=("Test",))[0]["Test"].shape == (2, 9, 2)


def test_an_ensemble_of_nobody():
    with pytest.raises(ValueError, match="needs members"):
        read_ensemble([])
