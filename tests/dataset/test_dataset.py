"""The data set file: round trips, refusals, identity."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from degu.dataset import SPLITS, Split, read_info, read_split, read_subset, write_dataset
from degu.errors import InputError
from degu.io.files import write_npy
from degu.io.hdf5 import open_hdf5

TARGETS = ("Dev", "Hk")
ALL_FIELDS = ("x", "y", "y_std", "y_replicates", "id", "motif_mask")
LENGTH = 12


def make_split(name: str, n: int) -> Split:
    rng = np.random.default_rng([SPLITS.index(name), n])
    x = np.eye(4, dtype=np.uint8)[rng.integers(4, size=(n, LENGTH))]
    x[0, 0] = 0  # an unknown base
    return Split(
        x=x,
        y=rng.normal(size=(n, 2)).astype(np.float32),
        y_std=rng.random((n, 2)).astype(np.float32),
        y_replicates=rng.integers(4, size=(n, 2), dtype=np.uint16),
        id=np.array([f"{name}-é{i}" for i in range(n)]),
        motif_mask=rng.integers(2, size=(n, LENGTH, 2), dtype=np.uint8),
    )


@pytest.fixture
def splits():
    return {
        "Train": make_split("Train", 20),
        "Val": make_split("Val", 5),
        "Test": make_split("Test", 7),
    }


def write(path, splits, **overrides):
    return write_dataset(path, splits, **{"targets": TARGETS, "source": "my.tsv"} | overrides)


def test_round_trip(tmp_path, splits):
    info = write(tmp_path / "d.h5", splits, units="log2(RNA/DNA)")
    assert info == read_info(tmp_path / "d.h5")
    assert info.targets == TARGETS
    assert info.units == "log2(RNA/DNA)"
    assert info.source == "my.tsv"
    assert info.sizes == {"Train": 20, "Val": 5, "Test": 7}
    assert info.input_shape == (LENGTH, 4)
    for name, split in splits.items():
        again = read_split(tmp_path / "d.h5", name, fields=ALL_FIELDS)
        for field in ALL_FIELDS:
            expected, found = getattr(split, field), getattr(again, field)
            np.testing.assert_array_equal(found, expected)
            assert field == "id" or found.dtype == expected.dtype


def test_the_file_as_plain_h5py_sees_it(tmp_path, splits):
    write(tmp_path / "d.h5", splits)
    with h5py.File(tmp_path / "d.h5") as file:
        assert sorted(file) == ["Test", "Train", "Val"]
        assert sorted(file["Train"]) == ["X", "id", "motif_mask", "y", "y_replicates", "y_std"]
        assert file["Train/X"].dtype == np.uint8
        assert file["Train/y"].dtype == np.float32
        assert all(array.compression == "gzip" for array in file["Train"].values())
        assert json.loads(file.attrs["targets"]) == list(TARGETS)
        assert file.attrs["schema_version"] == 1
        assert len(file.attrs["sha256"]) == 64


def test_reading_some_rows_and_fields(tmp_path, splits):
    write(tmp_path / "d.h5", splits)
    rows = np.array([3, 0, 19])
    some = read_split(tmp_path / "d.h5", "Train", rows=rows, fields=("x", "y", "id"))
    np.testing.assert_array_equal(some.x, splits["Train"].x[rows])
    np.testing.assert_array_equal(some.id, splits["Train"].id[rows])
    assert some.y_std is None
    assert len(some) == 3


def test_optional_fields_may_be_absent(tmp_path, splits):
    bare = {name: Split(split.x, split.y) for name, split in splits.items()}
    write(tmp_path / "d.h5", bare)
    again = read_split(tmp_path / "d.h5", "Test", fields=ALL_FIELDS)
    assert again.y_std is again.y_replicates is again.id is again.motif_mask is None


def test_numbers_are_stored_in_the_types_of_the_format(tmp_path, splits):
    precise = replace(
        splits["Train"],
        y=splits["Train"].y.astype(np.float64),
        y_std=splits["Train"].y_std.tolist(),
        y_replicates=splits["Train"].y_replicates.astype(float),
        id=splits["Train"].id.tolist(),
        motif_mask=splits["Train"].motif_mask.astype(bool),
    )
    sha256 = write(tmp_path / "d.h5", splits).sha256
    assert write(tmp_path / "e.h5", splits | {"Train": precise}).sha256 == sha256
    again = read_split(tmp_path / "e.h5", "Train", fields=ALL_FIELDS)
    assert again.y.dtype == again.y_std.dtype == np.float32
    assert again.motif_mask.dtype == np.uint8
    assert again.y_replicates.dtype == np.uint16


def test_a_missing_replicate_std_is_no_error(tmp_path, splits):
    y_std = splits["Val"].y_std.copy()
    y_std[2, 1] = np.nan
    write(tmp_path / "d.h5", splits | {"Val": replace(splits["Val"], y_std=y_std)})
    again = read_split(tmp_path / "d.h5", "Val", fields=("y_std",))
    np.testing.assert_array_equal(again.y_std, y_std)


def test_sha256_is_of_the_content_alone(tmp_path, splits):
    first = write(tmp_path / "a.h5", splits)
    again = write(tmp_path / "b.h5", dict(reversed(splits.items())), source="copy", units="other")
    assert first.sha256 == again.sha256
    write(tmp_path / "c.h5", splits)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "c.h5").read_bytes()


def changed(split, field):
    values = np.array(getattr(split, field))
    if field == "x":
        values[1] = values[1, :, ::-1]
    elif field == "id":
        values[1] = "other"
    elif field == "motif_mask":
        values[1, 1, 1] ^= 1
    else:
        values[1, 1] += 1
    return replace(split, **{field: values})


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("field", ALL_FIELDS)
def test_sha256_changes_with_every_field(tmp_path, splits, name, field):
    before = write(tmp_path / "a.h5", splits).sha256
    assert write(tmp_path / "a.h5", splits | {name: changed(splits[name], field)}).sha256 != before
    assert (
        write(tmp_path / "a.h5", splits | {name: replace(splits[name], y_std=None)}).sha256
        != before
    )


def test_sha256_changes_with_the_targets(tmp_path, splits):
    before = write(tmp_path / "a.h5", splits).sha256
    assert write(tmp_path / "a.h5", splits, targets=("Hk", "Dev")).sha256 != before


def with_row(array, row, value):
    array = np.array(array)
    array[row] = value
    return array


REFUSALS = {
    "an empty split": (
        lambda s: {"Val": Split(s["Val"].x[:0], s["Val"].y[:0])},
        r"my\.tsv: the split Val is empty",
    ),
    "float sequences": (
        lambda s: {"Val": replace(s["Val"], x=s["Val"].x.astype(float))},
        "Val holds sequences of shape .* and type float64",
    ),
    "sequences with the bases before the positions": (
        lambda s: {"Val": replace(s["Val"], x=s["Val"].x.transpose(0, 2, 1))},
        r"shape \(5, 4, 12\)",
    ),
    "sequences without a base": (
        lambda s: {"Val": replace(s["Val"], x=s["Val"].x[:, :0])},
        r"shape \(5, 0, 4\)",
    ),
    "two bases at once": (
        lambda s: {"Test": replace(s["Test"], x=with_row(s["Test"].x, 3, 1))},
        "Test holds sequences that are not one-hot",
    ),
    "counts": (
        lambda s: {"Test": replace(s["Test"], x=2 * s["Test"].x)},
        "Test holds sequences that are not one-hot",
    ),
    "one activity too few": (
        lambda s: {"Train": replace(s["Train"], y=s["Train"].y[:-1])},
        r"shape \(19, 2\), where \(20, 2\) is needed for the targets Dev, Hk",
    ),
    "one target too few": (
        lambda s: {"Train": replace(s["Train"], y=s["Train"].y[:, :1])},
        r"shape \(20, 1\), where \(20, 2\)",
    ),
    "stds of another shape": (
        lambda s: {"Train": replace(s["Train"], y_std=s["Train"].y_std[:, :1])},
        r"Train holds y_std of shape \(20, 1\), where \(20, 2\)",
    ),
    "counts of another shape": (
        lambda s: {"Val": replace(s["Val"], y_replicates=s["Val"].y_replicates[:-1])},
        r"Val holds y_replicates of shape \(4, 2\), where \(5, 2\)",
    ),
    "one id too many": (
        lambda s: {"Val": replace(s["Val"], id=np.append(s["Val"].id, "x"))},
        r"Val holds id of shape \(6,\), where \(5,\)",
    ),
    "a mask of another length": (
        lambda s: {"Test": replace(s["Test"], motif_mask=s["Test"].motif_mask[:, 1:])},
        r"motif_mask of shape \(7, 11, 2\), where \(7, 12, 2\)",
    ),
    "a missing activity": (
        lambda s: {"Train": replace(s["Train"], y=with_row(s["Train"].y, (4, 1), np.nan))},
        "Train row 5 has no finite value for the target Hk",
    ),
    "an activity that float32 cannot hold": (
        lambda s: {
            "Train": replace(s["Train"], y=with_row(s["Train"].y.astype(float), (0, 0), 1e300))
        },
        "Train row 1 has no finite value for the target Dev",
    ),
    "an id in two splits": (
        lambda s: {"Test": replace(s["Test"], id=with_row(s["Test"].id, 2, s["Val"].id[1]))},
        "the id Val-é1 occurs in both Val and Test",
    ),
    "lengths that differ": (
        lambda s: {"Val": Split(s["Val"].x[:, 1:], s["Val"].y)},
        r"differ in length \(12 in Train, 11 in Val\)",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSALS.values(), ids=REFUSALS)
def test_bad_splits_are_refused_and_leave_no_file(tmp_path, splits, change, message):
    with pytest.raises(InputError, match=message):
        write(tmp_path / "d.h5", splits | change(splits))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_split_is_refused(tmp_path, splits):
    del splits["Test"]
    with pytest.raises(InputError, match="the split Test is empty"):
        write(tmp_path / "d.h5", splits)


def test_an_id_may_recur_within_its_split(tmp_path, splits):
    ids = with_row(splits["Val"].id, 0, splits["Val"].id[1])
    write(tmp_path / "d.h5", splits | {"Val": replace(splits["Val"], id=ids)})


def test_unreadable_files_are_named(tmp_path, splits):
    path = tmp_path / "d.h5"
    with pytest.raises(InputError, match=r"d\.h5 does not exist"), open_hdf5(path):
        pass
    write(path, splits)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"d\.h5 is not a readable HDF5 file .*truncated"):
        read_info(path)
    path.write_text("seqnames\tstart\n")
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        read_split(path, "Train")


def test_another_hdf5_file_is_refused(tmp_path, splits):
    path = tmp_path / "d.h5"
    write(path, splits)
    with h5py.File(path, "a") as file:
        file.attrs["schema_version"] = 99
    with pytest.raises(InputError, match=r"has schema version 99, where .* version 1 is needed"):
        read_info(path)
    with h5py.File(path, "a") as file:
        del file["Val/y"]
    with pytest.raises(InputError, match=r"lacks Val/y,"):
        read_info(path)


# A subset


def test_a_subset_holds_sorted_rows_of_the_training_set(tmp_path, splits):
    dataset, path = tmp_path / "d.h5", tmp_path / "subset.npy"
    sha256 = write(dataset, splits).sha256
    n = len(splits["Train"])
    write_npy(np.arange(0, n, 2), path, proportion=0.5, dataset_sha256=sha256)
    assert read_subset(path, dataset, proportion=0.5).tolist() == list(range(0, n, 2))
    with pytest.raises(InputError, match=r"has proportion 0\.5, where 0\.25 is needed"):
        read_subset(path, dataset, proportion=0.25)
    write_npy(np.arange(n), path, dataset_sha256="0" * 64)
    with pytest.raises(InputError, match="has dataset_sha256 '0"):
        read_subset(path, dataset)
    for rows in ([], [1, 0], [1, 1], [-1, 0], [0, n]):
        write_npy(np.array(rows, dtype=int), path)
        with pytest.raises(InputError, match=f"sorted, distinct rows of the {n} training seq"):
            read_subset(path, dataset)
    write_npy(np.arange(2.0), path)
    with pytest.raises(InputError, match="holds values of type float64"):
        read_subset(path, dataset)
