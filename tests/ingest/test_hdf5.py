"""degu.ingest.hdf5: one content in any layout is one data set, or a sentence says why not."""

import re
import tempfile
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from degu.dataset import SPLITS, Split, read_info, read_split, write_dataset
from degu.errors import InputError
from degu.ingest import hdf5

TARGETS = ["Dev", "Hk"]
ONE_HOT = np.vstack([np.eye(4, dtype=np.uint8), np.zeros((1, 4), dtype=np.uint8)])
LOWER = {"Train": "train", "Val": "valid", "Test": "test"}


def configured(path):
    return {"source": "hdf5", "path": str(path), "units": "log2 enrichment"}


def random_content(sizes=(6, 4, 5), length=7, n_targets=2, seed=0):
    """Arrays (x, y) of every split; some rows of x are zero."""
    rng = np.random.default_rng(seed)
    return {
        name: (
            ONE_HOT[rng.integers(0, 5, (n, length))],
            rng.normal(size=(n, n_targets)).astype(np.float32),
        )
        for name, n in zip(SPLITS, sizes, strict=True)
    }


def keys(layout, split):
    if layout == "groups":
        return f"{split}/X", f"{split}/y"
    if layout == "flat":
        return f"X_{split}", f"y_{split}"
    return f"x_{LOWER[split]}", f"y_{LOWER[split]}"


def stored(
    path, content, layout="groups", *, dtype=np.float32, bases_first=False, turn=None, **options
):
    """Write content by one of the layouts; ``turn`` overrides whether y is (T, N)."""
    turn = layout == "lower" if turn is None else turn
    with h5py.File(path, "w") as file:
        for split, (x, y) in content.items():
            x_key, y_key = keys(layout, split)
            x = x.swapaxes(1, 2) if bases_first else x
            file.create_dataset(x_key, data=x.astype(dtype), **options)
            file[y_key] = y.T if turn else y
    return path


def ingested(path, targets=TARGETS):
    """The data set made of a file: its info and its splits."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "dataset.h5"
        hdf5.preflight(configured(path), targets)
        hdf5.ingest(configured(path), targets, out, 1)
        fields = ("x", "y", "y_std", "y_replicates", "id", "motif_mask")
        return read_info(out), {name: read_split(out, name, fields=fields) for name in SPLITS}


def refusal(path, targets=TARGETS, *, early=True):
    """The message with which a file is refused, early by preflight too; nothing is left behind."""
    with tempfile.TemporaryDirectory() as directory:
        with pytest.raises(InputError) as caught:
            hdf5.ingest(configured(path), targets, Path(directory) / "dataset.h5", 1)
        assert not list(Path(directory).iterdir())
    if early:
        with pytest.raises(InputError, match=re.escape(str(caught.value))):
            hdf5.preflight(configured(path), targets)
    else:
        hdf5.preflight(configured(path), targets)
    assert str(path) in str(caught.value)
    return str(caught.value)


def assert_is(splits, content):
    for name, (x, y) in content.items():
        np.testing.assert_array_equal(splits[name].x, x)
        np.testing.assert_array_equal(splits[name].y, y)
        assert splits[name].x.dtype == np.uint8
        assert splits[name].y.dtype == np.float32


@settings(max_examples=10)
@given(
    sizes=st.tuples(*3 * [st.integers(1, 6)]),
    length=st.integers(1, 9).filter(lambda length: length != 4),
    n_targets=st.integers(1, 3),
    seed=st.integers(0, 99),
    dtype=st.sampled_from([bool, "i1", "u1", "i8", "f2", "f4", ">f8"]),
)
def test_layouts_of_one_content_are_one_data_set(sizes, length, n_targets, seed, dtype):
    content = random_content(sizes, length, n_targets, seed)
    targets = [f"t{i}" for i in range(n_targets)]
    with tempfile.TemporaryDirectory() as directory:
        digests = set()
        for layout, bases_first in (
            ("groups", False),
            ("flat", False),
            ("lower", False),
            ("lower", True),
        ):
            path = Path(directory) / f"{layout}{bases_first}.h5"
            stored(path, content, layout, dtype=dtype, bases_first=bases_first)
            info, splits = ingested(path, targets)
            assert_is(splits, content)
            digests.add(info.sha256)
        assert len(digests) == 1
        direct = write_dataset(
            Path(directory) / "direct.h5",
            {name: Split(x, y) for name, (x, y) in content.items()},
            targets=targets,
            source="test",
        )
        assert digests == {direct.sha256}


@pytest.mark.parametrize("name", ["x_train_flat.csv", "hierarchical", "lentiMPRA.h5"])
@pytest.mark.parametrize("layout", ["groups", "flat", "lower"])
def test_the_files_name_is_irrelevant(tmp_path, name, layout):
    content = random_content()
    info, splits = ingested(stored(tmp_path / name, content, layout))
    assert_is(splits, content)
    assert info.source == f"HDF5 file {name}"
    assert info.targets == ("Dev", "Hk")


@pytest.mark.parametrize("layout", ["groups", "flat", "lower"])
@pytest.mark.parametrize("bases_first", [False, True])
@pytest.mark.parametrize("turn", [False, True])
def test_axes_are_told_by_shape_in_any_layout(tmp_path, layout, bases_first, turn):
    content = random_content()
    path = stored(tmp_path / "a.h5", content, layout, bases_first=bases_first, turn=turn)
    assert_is(ingested(path)[1], content)


@pytest.mark.parametrize(
    "spellings",
    [("train", "val", "test"), ("Train", "Validation", "Test"), ("TRAIN", "valid", "test")],
)
def test_spellings_of_groups_and_one_target_without_an_axis(tmp_path, spellings):
    content = random_content(n_targets=1)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for spelling, (x, y) in zip(spellings, content.values(), strict=True):
            file[f"{spelling}/X"], file[f"{spelling}/y"] = x, y[:, 0]
    assert_is(ingested(tmp_path / "a.h5", ["K562"])[1], content)


@pytest.mark.parametrize("layout", ["groups", "lower"])
@pytest.mark.parametrize("turn", [False, True])
def test_as_many_sequences_as_targets_follow_the_other_splits(tmp_path, layout, turn):
    content = random_content(sizes=(9, 2, 3))
    path = stored(tmp_path / "a.h5", content, layout, turn=turn)
    assert_is(ingested(path)[1], content)


@pytest.mark.parametrize("layout", ["groups", "flat", "lower"])
def test_as_many_sequences_as_targets_everywhere_follow_the_layout(tmp_path, layout):
    content = random_content(sizes=(2, 2, 2))
    assert_is(ingested(stored(tmp_path / "a.h5", content, layout))[1], content)


def test_lower_case_groups_are_groups(tmp_path):
    content = random_content(sizes=(2, 2, 2))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, (x, y) in content.items():
            file[f"{name.lower()}/x"], file[f"{name.lower()}/y"] = x, y
    assert_is(ingested(tmp_path / "a.h5")[1], content)


def test_sequences_of_four_bases_are_taken_as_positions_first(tmp_path):
    content = random_content(length=4)
    assert_is(ingested(stored(tmp_path / "a.h5", content))[1], content)
    path = stored(tmp_path / "b.h5", content, bases_first=True)
    assert "which is not one-hot" in refusal(path, early=False)


def test_a_data_set_of_this_package_reads_back_as_it_was(tmp_path):
    rng = np.random.default_rng(1)
    splits = {}
    for name, (x, y) in random_content(sizes=(2, 2, 2)).items():
        splits[name] = Split(
            x,
            y,
            y_std=np.float32([[0.5, np.nan], [0, 2]]),
            y_replicates=np.uint16([[2, 1], [3, 65535]]),
            id=np.array([f"{name}-é", f"{name} 2"]),
            motif_mask=rng.integers(0, 2, (2, 7, 2)).astype(np.uint8),
        )
    first = write_dataset(tmp_path / "a.h5", splits, targets=TARGETS, source="test")
    info, read = ingested(tmp_path / "a.h5")
    assert info.sha256 == first.sha256
    for name in SPLITS:
        for field in ("x", "y", "y_std", "y_replicates", "id", "motif_mask"):
            expected = getattr(splits[name], field)
            np.testing.assert_array_equal(getattr(read[name], field), expected)
    said = refusal(tmp_path / "a.h5", ["Hk", "Dev"])
    assert (
        said
        == f"targets: {tmp_path / 'a.h5'} holds Dev, Hk, not Hk, Dev; name them as the file does."
    )


def test_y_std_turns_with_y(tmp_path):
    content = random_content()
    path = stored(tmp_path / "a.h5", content, "lower")
    with h5py.File(path, "a") as file:
        for name, (_, y) in content.items():
            file[f"y_std_{LOWER[name]}"] = np.abs(y).T
            file[f"y_replicates_{LOWER[name]}"] = np.rint(np.abs(y)).T
    for name, split in ingested(path)[1].items():
        np.testing.assert_array_equal(split.y_std, np.abs(content[name][1]))
        np.testing.assert_array_equal(split.y_replicates, np.rint(split.y_std))
        assert split.y_replicates.dtype == np.uint16


def with_ids(path, key, values):
    content = random_content(sizes=(3, 2, 2))
    stored(path, content)
    with h5py.File(path, "a") as file:
        for name, labels in zip(SPLITS, values, strict=True):
            file[f"{name}/{key}"] = labels
    return path


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("idx", ([5, 3, 9], [1, 2], [0, 4]), (["5", "3", "9"], ["1", "2"], ["0", "4"])),
        # Numbers that begin anew in every split are no identities.
        (
            "idx",
            ([0, 1, 2], [0, 1], [0, 1]),
            (["Train-0", "Train-1", "Train-2"], ["Val-0", "Val-1"], ["Test-0", "Test-1"]),
        ),
        ("idx", ([7, 7, 7], [1, 1], [2, 2]), (["7", "7", "7"], ["1", "1"], ["2", "2"])),
        (
            "id",
            (["a", "b", "é"], ["c", "NA"], ["", "f"]),
            (["a", "b", "é"], ["c", "NA"], ["", "f"]),
        ),
        (
            "id",
            (np.bytes_(["a", "b", "xyz"]), np.bytes_(["c", "d"]), np.bytes_(["e", "f"])),
            (["a", "b", "xyz"], ["c", "d"], ["e", "f"]),
        ),
        (
            "idx",
            ([[1], [2], [3]], [[4], [5]], [[6], [7]]),
            (["1", "2", "3"], ["4", "5"], ["6", "7"]),
        ),
    ],
)
def test_ids(tmp_path, key, values, expected):
    splits = ingested(with_ids(tmp_path / "a.h5", key, values))[1]
    assert [list(splits[name].id) for name in SPLITS] == list(expected)


def test_ids_that_are_refused(tmp_path):
    path = with_ids(tmp_path / "a.h5", "id", (["a", "b", "c"], ["d", "a"], ["e", "f"]))
    with pytest.raises(InputError, match="the id a occurs in both Train and Val"):
        hdf5.ingest(configured(path), TARGETS, tmp_path / "out.h5", 1)
    path = with_ids(tmp_path / "e.h5", "id", ([0, 1, 2], [0, 1], [0, 1]))
    with pytest.raises(InputError, match="the id 0 occurs in both Train and Val"):
        hdf5.ingest(configured(path), TARGETS, tmp_path / "out.h5", 1)
    path = with_ids(tmp_path / "b.h5", "id", ([0.5, 1, 2], [3, 4], [5, 6]))
    assert "Train/id is of type float64; store ids as strings or integers" in refusal(
        path, early=False
    )
    path = with_ids(tmp_path / "c.h5", "idx", ([0, 1], [3, 4], [5, 6]))
    assert "Train/idx has shape (2,) where (3,) is needed" in refusal(path)
    path = with_ids(
        tmp_path / "d.h5", "id", (np.bytes_(["a", "b", b"\xff"]), ["c", "d"], ["e", "f"])
    )
    assert "Train/id is not UTF-8" in refusal(path, early=False)


# Blocks


@pytest.mark.parametrize("chunks", [None, True, (3, 2, 1), (50, 7, 4)])
@pytest.mark.parametrize("bases_first", [False, True])
def test_blocks_join_without_a_seam(tmp_path, monkeypatch, chunks, bases_first):
    monkeypatch.setattr(hdf5, "_BYTES_PER_BLOCK", 2 * 7 * 4 * 8)
    content = random_content(sizes=(53, 50, 51))
    path = stored(
        tmp_path / "a.h5",
        content,
        dtype=np.float64,
        bases_first=bases_first,
        chunks=(chunks[0], *chunks[:0:-1]) if bases_first and isinstance(chunks, tuple) else chunks,
    )
    assert_is(ingested(path)[1], content)
    with h5py.File(path, "a") as file:
        x = file["Val/X"]
        x[47] = np.nan
    assert "Val/X has [nan, nan, nan, nan] in row 48 at position 1" in refusal(path, early=False)


def test_float64_sequences_are_never_all_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_BYTES_PER_BLOCK", 1 << 20)
    content = random_content(sizes=(20_000, 1, 1), length=50)
    path = stored(tmp_path / "a.h5", content, "lower", dtype=np.float64, bases_first=True)
    tracemalloc.start()
    hdf5.ingest(configured(path), TARGETS, tmp_path / "dataset.h5", 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # As float64 they are 32 MB, as uint8 4 MB; the rest is the writer's check and one block.
    assert peak < 14e6


# Bad input


@pytest.mark.parametrize("layout", ["groups", "flat", "lower"])
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("which", [0, 1])
def test_a_missing_key_is_named(tmp_path, layout, split, which):
    path = stored(tmp_path / "a.h5", random_content(), layout)
    key = keys(layout, split)[which]
    with h5py.File(path, "a") as file:
        del file[key]
    assert f"{path} has no {key}; it has " in refusal(path)


def test_other_files(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["weights/kernel"] = [1.0]
    assert refusal(path) == (f"{path} has no Train/X, X_Train or x_train; it has weights/kernel.")
    with h5py.File(path, "w"):
        pass
    assert refusal(path).endswith("it has nothing.")
    path.write_text("sequence,leaf\n")
    assert "is not a readable HDF5 file" in refusal(path)
    for missing, message in ((tmp_path, "is a directory"), (tmp_path / "b.h5", "does not exist")):
        assert refusal(missing).startswith(f"data.path: {missing} {message}")


def test_a_link_that_leads_nowhere_is_a_missing_key(tmp_path):
    for link in (h5py.ExternalLink("gone.h5", "/X"), h5py.SoftLink("/gone")):
        path = stored(tmp_path / "a.h5", random_content())
        with h5py.File(path, "a") as file:
            del file["Val/X"]
            file["Val/X"] = link
        assert f"{path} has no Val/X" in refusal(path)


def test_a_link_to_another_file_is_followed(tmp_path):
    content = random_content()
    stored(tmp_path / "x.h5", content, "lower")
    path = stored(tmp_path / "a.h5", content)
    with h5py.File(path, "a") as file:
        del file["Val/X"]
        file["Val/X"] = h5py.ExternalLink("x.h5", "/x_valid")
    assert_is(ingested(path)[1], content)


def test_two_keys_for_one_array_are_refused(tmp_path):
    path = stored(tmp_path / "a.h5", random_content())
    with h5py.File(path, "a") as file:
        file["x_valid"] = file["Val/X"][()]
    assert "has both Val/X and x_valid" in refusal(path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_truncated_file(tmp_path, keep):
    path = stored(tmp_path / "a.h5", random_content())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert "is not a readable HDF5 file" in refusal(path)


def test_damaged_chunk(tmp_path):
    path = stored(tmp_path / "a.h5", random_content(), chunks=True, compression="gzip")
    with h5py.File(path) as file:
        chunk = file["Test/X"].id.get_chunk_info(0)
    with path.open("r+b") as stream:
        stream.seek(chunk.byte_offset)
        stream.write(b"\xff" * chunk.size)
    assert f"{path} is damaged" in refusal(path, early=False)


@pytest.mark.parametrize(
    ("split", "key", "values", "message"),
    [
        ("Train", "X", np.zeros((6, 28)), "Train/X has shape (6, 28)"),
        ("Train", "X", np.zeros((6, 7, 5)), "Train/X has shape (6, 7, 5)"),
        ("Train", "X", np.zeros((6, 1, 7, 4)), "Train/X has shape (6, 1, 7, 4)"),
        ("Val", "X", np.zeros((0, 7, 4)), "Val/X is empty"),
        ("Val", "X", np.zeros((4, 8, 4)), "7 in Train/X, 8 in Val/X, 7 in Test/X"),
        ("Val", "X", np.zeros((4, 4, 9)), "7 in Train/X, 9 in Val/X, 7 in Test/X"),
        ("Val", "X", h5py.Empty("f4"), "Val/X has shape ()"),
        ("Train", "y", np.zeros((6, 3)), "has 3 in Train/y (shape (6, 3)), but the config names 2"),
        ("Train", "y", np.zeros((3, 6)), "has 3 in Train/y (shape (3, 6)), but the config names 2"),
        ("Test", "y", np.zeros(5), "has 1 in Test/y (shape (5,)), but the config names 2"),
        ("Test", "y", np.zeros((6, 2)), "for the 5 sequences of Test/X it must be (5, 2)"),
        ("Test", "y", np.float32(1), "Test/y has shape ()"),
        ("Test", "y", h5py.Empty("f4"), "Test/y has shape ()"),
        ("Test", "y_std", np.zeros((5, 1)), "Test/y_std has shape (5, 1) where (5, 2)"),
        ("Test", "y_replicates", np.zeros((5, 3)), "Test/y_replicates has shape (5, 3) where (5"),
        ("Test", "y_replicates", np.full((5, 2), b"2"), "Test/y_replicates is of type |S1"),
        ("Test", "motif_mask", np.zeros((5, 7), "u1"), "Test/motif_mask has shape (5, 7)"),
        ("Train", "X", np.full((6, 7, 4), b"1"), "Train/X is of type |S1"),
        ("Test", "y", np.zeros((5, 2), complex), "Test/y is of type complex128"),
        ("Test", "y", np.zeros((5, 2), [("a", "f4")]), "Test/y is of type [('a', '<f4')]"),
        ("Test", "y", np.full((5, 2), "1.0", object), "Test/y is of type object"),
    ],
)
def test_keys_that_do_not_fit_are_refused_before_any_job(tmp_path, split, key, values, message):
    path = stored(tmp_path / "a.h5", random_content())
    with h5py.File(path, "a") as file:
        if key in file[split]:
            del file[split][key]
        file[split][key] = values
    assert message in refusal(path)


def test_opaque_and_variable_length_content_is_never_read(tmp_path):
    for dtype in (h5py.opaque_dtype("V8"), h5py.vlen_dtype("u1"), h5py.ref_dtype):
        for key in ("Train/y", "Train/id"):
            path = stored(tmp_path / "a.h5", random_content())
            with h5py.File(path, "a") as file:
                if key in file:
                    del file[key]
                file.create_dataset(key, (6, 2) if key == "Train/y" else (6,), dtype)
            said = refusal(path, early=key == "Train/y")
            assert f"{key} is of type" in said


@pytest.mark.parametrize(
    ("layout", "bases_first", "position", "message"),
    [
        ("groups", False, (3, 5), "Val/X has [1.0, 1.0, 0.0, 0.0] in row 4 at position 6"),
        ("lower", True, (0, 0), "x_valid has [1.0, 1.0, 0.0, 0.0] in row 1 at position 1"),
    ],
)
def test_sequences_that_are_not_one_hot(tmp_path, layout, bases_first, position, message):
    content = random_content()
    content["Val"][0][position] = [1, 1, 0, 0]
    path = stored(tmp_path / "a.h5", content, layout, bases_first=bases_first)
    assert message in refusal(path, early=False)


@pytest.mark.parametrize("value", [0.25, -1, 2, 255, np.nan, np.inf])
def test_numbers_other_than_0_and_1_are_not_one_hot(tmp_path, value):
    path = stored(tmp_path / "a.h5", random_content(), dtype=np.float64)
    with h5py.File(path, "a") as file:
        file["Test/X"][4, 6] = [0, value, 0, 0]
    assert "in row 5 at position 7, which is not one-hot" in refusal(path, early=False)


@pytest.mark.parametrize("layout", ["groups", "lower"])
@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e39])
def test_activities_that_are_not_finite(tmp_path, layout, value):
    content = {name: (x, y.astype(np.float64)) for name, (x, y) in random_content().items()}
    content["Test"][1][2, 1] = value
    said = refusal(stored(tmp_path / "a.h5", content, layout), early=False)
    assert f"{keys(layout, 'Test')[1]} has " in said
    assert "in row 3 for the target Hk" in said


def test_negative_std_is_refused(tmp_path):
    path = stored(tmp_path / "a.h5", random_content())
    with h5py.File(path, "a") as file:
        file["Val/y_std"] = -np.ones((4, 2))
    assert "Val/y_std has -1.0 in row 1 for the target Dev" in refusal(path, early=False)


@pytest.mark.parametrize("count", [-1, 2.5, np.nan, np.inf, 65536])
def test_what_counts_no_replicates_is_refused(tmp_path, count):
    path = stored(tmp_path / "a.h5", random_content())
    counts = np.full((4, 2), 3.0)
    counts[2, 1] = count
    with h5py.File(path, "a") as file:
        file["Val/y_replicates"] = counts
    said = refusal(path, early=False)
    assert f"Val/y_replicates has {count}" in said
    assert "in row 3 for the target Hk, which is no number of replicates from 0 to 65535" in said
