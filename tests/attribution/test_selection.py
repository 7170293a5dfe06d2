"""The chosen sequences are those a plain twin chooses; the file gives back what it was given."""

from itertools import pairwise

import h5py
import numpy as np
import pandas as pd
import pytest
from conftest import motif_activity, random_one_hot
from hypothesis import given
from hypothesis import strategies as st

from degu.attribution.selection import choose_rows, read_sequences, write_sequences
from degu.dataset import Split, read_info, write_dataset
from degu.errors import InputError
from degu.sweep import derive_seed

N, LENGTH = 60, 12
TARGETS = ("Dev", "Hk")
SETTINGS = {"top_n": 20, "bins": 4, "per_bin": 5}


def make_dataset(path, ids=True, truth=True, seed=0):
    """A data set with ties among the activities; returns its test split."""
    splits = {}
    for i, (name, n) in enumerate({"Train": 8, "Val": 6, "Test": N}.items()):
        x = random_one_hot(n, LENGTH, seed=10 * seed + i)
        rng = np.random.default_rng(seed)
        splits[name] = Split(
            x,
            motif_activity(x, 2),
            id=np.array([f"{name}_{j} é" for j in range(n)]) if ids else None,
            motif_mask=rng.integers(0, 2, (n, LENGTH, 2), dtype=np.uint8) if truth else None,
        )
    write_dataset(path, splits, targets=TARGETS, source="test")
    return splits["Test"]


def make(path, dataset, *, seed=1234, **changes):
    write_sequences(path, dataset, **SETTINGS | changes, seed=seed)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("selection")


@pytest.fixture(scope="module")
def test_set(folder):
    return make_dataset(folder / "dataset.h5")


@pytest.fixture(scope="module")
def path(folder, test_set):
    return make(folder / "attribution_sequences.h5", folder / "dataset.h5")


# The choice


def twin(y, top_n, bins, per_bin, seed):
    """Rows by rank, and rows by bin, with pandas."""
    table = pd.DataFrame({"y": y, "row": range(len(y))})
    top = table.sort_values(["y", "row"], ascending=[False, True])["row"].tolist()[:top_n]
    ranked = table.sort_values(["y", "row"])["row"].tolist()
    rng = np.random.default_rng(seed)
    drawn, start = [], 0
    for i in range(bins):
        size = len(y) // bins + (i < len(y) % bins)
        drawn.append(set(rng.choice(ranked[start : start + size], per_bin, replace=False).tolist()))
        start += size
    return top, drawn


@st.composite
def choices(draw):
    y = draw(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
    bins = draw(st.integers(0, len(y)))
    return {
        "y": np.array(y, np.float32) / 2,
        "top_n": draw(st.integers(1, len(y))),
        "bins": bins,
        "per_bin": draw(st.integers(1, len(y) // bins if bins else 100)),
        "seed": draw(st.integers(0, 2**31 - 1)),
    }


@given(choices())
def test_it_is_what_the_twin_chooses(chosen):
    row, rank, bin_ = choose_rows(**chosen)
    top, drawn = twin(**chosen)
    others = sorted((i, r) for i, rows in enumerate(drawn) for r in rows if r not in top)
    assert row.tolist() == top + [r for _, r in others]
    assert rank.tolist() == [*range(1, len(top) + 1)] + [0] * len(others)
    expected = {r: i for i, rows in enumerate(drawn, start=1) for r in rows}
    assert bin_.tolist() == [expected.get(r, 0) for r in row.tolist()]
    assert row.dtype == rank.dtype == bin_.dtype == np.int64


@given(choices())
def test_bins_are_disjoint_ordered_and_full(chosen):
    row, _, bin_ = choose_rows(**chosen)
    y, bins = chosen["y"], chosen["bins"]
    assert len(set(row.tolist())) == len(row)
    members = [row[bin_ == i] for i in range(1, bins + 1)]
    assert all(len(m) == chosen["per_bin"] for m in members)
    for lower, higher in pairwise(members):
        assert y[lower].max() <= y[higher].min()


def test_bins_are_cut_at_the_quantiles_where_nothing_ties():
    y = np.random.default_rng(0).permutation(1000).astype(np.float32)
    row, _, bin_ = choose_rows(y, top_n=1, bins=4, per_bin=250, seed=0)
    codes = pd.qcut(y, 4, labels=False) + 1
    np.testing.assert_array_equal(bin_, codes[row])


def test_the_number_of_the_most_active_changes_no_bin():
    y = np.random.default_rng(0).normal(size=200)
    few, many = (choose_rows(y, top_n=n, bins=4, per_bin=10, seed=3) for n in (1, 150))
    assert {r: b for r, _, b in zip(*few, strict=True) if b} == {
        r: b for r, _, b in zip(*many, strict=True) if b
    }


def test_all_sequences_the_same():
    row, rank, bin_ = choose_rows(np.zeros(7), top_n=3, bins=2, per_bin=3, seed=0)
    assert row[:3].tolist() == [0, 1, 2]
    assert rank[:3].tolist() == [1, 2, 3]
    assert set(row[bin_ == 1]) <= {0, 1, 2, 3}
    assert set(row[bin_ == 2]) == {4, 5, 6}


# The file


def test_each_target_has_its_own_sequences(test_set, path):
    sequences = read_sequences(path)
    assert list(sequences.targets) == ["Dev", "Hk"]
    for column, (target, selection) in enumerate(sequences.targets.items()):
        y = test_set.y[:, column]
        seed = derive_seed(1234, "attribution", target=target)
        top, drawn = twin(y, 20, 4, 5, seed)
        row = selection.row
        assert len(selection) == len(row) == len(set(top).union(*drawn))
        assert row[:20].tolist() == top
        assert [set(row[selection.bin == i]) for i in (1, 2, 3, 4)] == drawn
        np.testing.assert_array_equal(selection.x, test_set.x[row])
        np.testing.assert_array_equal(selection.y, y[row])
        np.testing.assert_array_equal(selection.id, test_set.id[row])
        np.testing.assert_array_equal(selection.motif_mask, test_set.motif_mask[row, :, column])
        assert all(isinstance(label, str) for label in selection.id)
    # Some are among the most active and in a bin: one row, both marks.
    assert ((selection.rank > 0) & (selection.bin > 0)).any()


def test_types(path):
    selection = read_sequences(path).targets["Dev"]
    types = {name: getattr(selection, name).dtype for name in ("row", "y", "rank", "bin", "x")}
    assert types == {
        "row": np.int64,
        "y": np.float32,
        "rank": np.int64,
        "bin": np.int64,
        "x": np.uint8,
    }
    assert selection.motif_mask.dtype == np.uint8


def test_another_seed_draws_others(path, folder):
    sequences = read_sequences(path)
    other = read_sequences(make(folder / "seed.h5", folder / "dataset.h5", seed=7))
    assert (sequences.seed, other.seed) == (1234, 7)
    drawn = [set(s.targets["Dev"].row[s.targets["Dev"].bin > 0]) for s in (sequences, other)]
    assert drawn[0] != drawn[1]


def test_groups(path):
    selection = read_sequences(path).targets["Hk"]
    groups = selection.groups()
    assert list(groups) == ["top20", "bin1", "bin2", "bin3", "bin4"]
    np.testing.assert_array_equal(selection.rank[groups["top20"]], range(1, 21))
    for i in range(1, 5):
        indices = groups[f"bin{i}"]
        assert len(indices) == 5
        assert (selection.bin[indices] == i).all()


def test_no_bins(folder, test_set):
    sequences = read_sequences(make(folder / "top.h5", folder / "dataset.h5", bins=0, per_bin=999))
    for selection in sequences.targets.values():
        assert len(selection) == 20
        assert not selection.bin.any()
        assert list(selection.groups()) == ["top20"]


def test_a_data_set_without_ids_or_truth(tmp_path):
    make_dataset(tmp_path / "dataset.h5", ids=False, truth=False)
    selection = read_sequences(make(tmp_path / "s.h5", tmp_path / "dataset.h5")).targets["Dev"]
    assert selection.id.tolist() == [f"Test:{row + 1}" for row in selection.row]
    assert selection.motif_mask is None


def test_the_whole_test_set(tmp_path, folder, test_set):
    made = make(tmp_path / "s.h5", folder / "dataset.h5", top_n=N, per_bin=N // 4)
    sequences = read_sequences(made)
    for selection in sequences.targets.values():
        assert sorted(selection.row) == [*range(N)]
        assert np.bincount(selection.bin).tolist() == [0, 15, 15, 15, 15]


def test_the_layout_as_plain_h5py_sees_it(folder, path):
    with h5py.File(path) as file:
        assert set(file) == {"targets"}
        assert set(file["targets"]) == {"Dev", "Hk"}
        arrays = {"row", "id", "y", "rank", "bin", "x", "motif_mask"}
        assert all(set(group) == arrays for group in file["targets"].values())
        assert file.attrs["dataset_sha256"] == read_info(folder / "dataset.h5").sha256
        assert file.attrs["seed"] == 1234
        assert file.attrs["schema_version"] == 1
        assert len(file.attrs["sha256"]) == 64


def test_equal_content_has_an_equal_hash_whatever_the_compression(folder, path, tmp_path):
    again = make(tmp_path / "again.h5", folder / "dataset.h5")
    assert again.read_bytes() == path.read_bytes()
    with h5py.File(again, "r+") as file:
        x = file["targets/Dev/x"][:]
        del file["targets/Dev/x"]
        file["targets/Dev"].create_dataset("x", data=x)
    assert read_sequences(again).sha256 == read_sequences(path).sha256


@pytest.mark.parametrize("changes", [{"seed": 1}, {"top_n": 19}, {"bins": 3}, {"per_bin": 4}])
def test_other_content_has_another_hash(folder, path, tmp_path, changes):
    other = read_sequences(make(tmp_path / "other.h5", folder / "dataset.h5", **changes))
    assert other.sha256 != read_sequences(path).sha256


def test_the_same_choice_from_another_data_set_has_another_hash(tmp_path, folder, path):
    make_dataset(tmp_path / "dataset.h5", truth=False)
    other = read_sequences(make(tmp_path / "s.h5", tmp_path / "dataset.h5"))
    mine = read_sequences(path)
    assert other.dataset_sha256 != mine.dataset_sha256
    assert other.sha256 != mine.sha256


# What is refused


def one_sentence(error, start):
    text = str(error.value)
    assert text.startswith(str(start))
    assert text.endswith(".")
    assert ". " not in text


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"top_n": 61}, "top_n", "61 is more than the 60 test sequences"),
        (
            {"per_bin": 16},
            "bins",
            "4 bins of 16 (per_bin) are more than the 60 test sequences",
        ),
        ({"top_n": 0}, "top_n", "0 is too few; write 1 or more"),
        ({"bins": -1}, "bins", "-1 is too few; write 0 or more"),
        ({"per_bin": 0}, "per_bin", "0 is too few; write 1 or more"),
    ],
)
def test_numbers_that_cannot_be_leave_no_file(tmp_path, folder, test_set, changes, key, words):
    with pytest.raises(InputError) as error:
        make(tmp_path / "s.h5", folder / "dataset.h5", **changes)
    assert words in str(error.value)
    one_sentence(error, f"attribution.{key}: ")
    assert list(tmp_path.iterdir()) == []


def edit(change):
    def apply(path):
        with h5py.File(path, "r+") as file:
            change(file)

    return apply


def drop(name):
    return edit(lambda file: file.__delitem__(name))


def attribute(name, value):
    return edit(lambda file: file.attrs.__setitem__(name, value))


def put(name, index, value):
    return edit(lambda file: file[name].__setitem__(index, value))


def swap_for_a_group(file):
    del file["targets/Dev/id"]
    file.create_group("targets/Dev/id")


def swap_for_an_array(file):
    del file["targets/Dev"]
    file["targets/Dev"] = [1, 2, 3]


def flip_compressed_bytes(path):
    """Damage within the stored bases, where HDF5 itself opens the file."""
    with h5py.File(path) as file:
        chunk = file["targets/Hk/x"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    middle = chunk.byte_offset + chunk.size // 2
    content[middle : middle + 20] = bytes(255 - b for b in content[middle : middle + 20])
    path.write_bytes(content)


NOT_WHOLE = "is not a whole file of attribution sequences"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3000]), "truncated"),
        (lambda path: path.write_text("not HDF5"), "not a readable HDF5 file"),
        (flip_compressed_bytes, "is not as it was written"),
        (put("targets/Dev/x", (0, 0), 0), NOT_WHOLE),
        (put("targets/Dev/id", 3, "someone else"), NOT_WHOLE),
        (put("targets/Dev/row", 0, 59), NOT_WHOLE),
        (drop("targets"), NOT_WHOLE),
        (drop("targets/Hk"), NOT_WHOLE),
        (drop("targets/Hk/rank"), NOT_WHOLE),
        (drop("targets/Hk/motif_mask"), NOT_WHOLE),
        (edit(swap_for_a_group), NOT_WHOLE),
        (edit(swap_for_an_array), NOT_WHOLE),
        (attribute("targets", "["), NOT_WHOLE),
        (attribute("targets", '["Dev"]'), NOT_WHOLE),
        (attribute("targets", "3"), NOT_WHOLE),
        (attribute("seed", 3), NOT_WHOLE),
        (attribute("dataset_sha256", "1" * 64), NOT_WHOLE),
        (attribute("sha256", "1" * 64), NOT_WHOLE),
        (edit(lambda file: file.attrs.__delitem__("schema_version")), NOT_WHOLE),
        (edit(lambda file: file.attrs.clear()), NOT_WHOLE),
        (attribute("schema_version", 2), "has schema version 2, where 1 is needed"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, path, damage, words):
    copy = tmp_path / "copy.h5"
    copy.write_bytes(path.read_bytes())
    damage(copy)
    with pytest.raises(InputError, match=words) as error:
        read_sequences(copy)
    one_sentence(error, copy)


def test_another_data_set_or_file_is_refused(folder, path):
    sha256 = read_info(folder / "dataset.h5").sha256
    assert read_sequences(path, sha256).dataset_sha256 == sha256
    with pytest.raises(InputError, match="was made for another data set") as error:
        read_sequences(path, "0" * 64)
    one_sentence(error, path)
    with pytest.raises(InputError, match=NOT_WHOLE) as error:
        read_sequences(folder / "dataset.h5")
    one_sentence(error, folder / "dataset.h5")
