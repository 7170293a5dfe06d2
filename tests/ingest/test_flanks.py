"""Constant ends of an assay's sequences: checked once, then known of data set and models."""

import h5py
import numpy as np
import pytest
import tiny_models
from conftest import random_one_hot

from degu.dataset import Split, read_info, write_dataset
from degu.errors import InputError
from degu.ingest import flanks_of, ingest
from degu.io.card import Card
from degu.io.hdf5 import open_hdf5
from degu.study.config import validate

LEFT, RIGHT = "ACGTAC", "TTG"


def flanked(n, seed):
    x = random_one_hot(n, 30, seed)
    for place, flank in ((0, LEFT), (30 - len(RIGHT), RIGHT)):
        for i, base in enumerate(flank):
            x[:, place + i] = [base == other for other in "ACGT"]
    return x


def splits():
    made = {}
    for seed, name in enumerate(("Train", "Val", "Test")):
        y = np.arange(8.0)[:, None]
        made[name] = Split(flanked(8, seed), y, id=np.array([f"{name}{i}" for i in range(8)]))
    return made


def config(source, path, **data):
    given = {"dataset": "a", "data": {"source": source, "path": str(path), **data}}
    return validate({**given, "targets": ["y"]})


def table(path, sequences):
    rows = [f"{s}\t{('train', 'val', 'test')[i % 3]}\t{i}" for i, s in enumerate(sequences)]
    path.write_text("\n".join(["sequence\tsplit\ty", *rows]) + "\n")
    return path


def letters(x):
    return ["".join("ACGT"[i] for i in row.argmax(axis=1)) for row in x]


def test_a_data_set_knows_its_flanks(tmp_path):
    path = tmp_path / "dataset.h5"
    info = write_dataset(path, splits(), targets=["y"], source="test", flanks=(LEFT, RIGHT))
    assert info.flanks == read_info(path).flanks == (LEFT, RIGHT)
    other = write_dataset(tmp_path / "b.h5", splits(), targets=["y"], source="test")
    assert other.flanks == ("", "")
    assert other.sha256 != info.sha256
    with h5py.File(tmp_path / "b.h5") as file:
        assert "flanks" not in file.attrs


@pytest.mark.parametrize(
    ("place", "words"), [(0, f"begin with the flank {LEFT}"), (29, f"end with the flank {RIGHT}")]
)
def test_the_first_sequence_without_them_is_named(tmp_path, place, words):
    made = splits()
    for row in (5, 3):
        made["Val"].x[row, place] = made["Val"].x[row, place][::-1]  # A for T, T for A, C for G
    with pytest.raises(InputError, match=f"Val row 4 .Val3. does not {words}"):
        write_dataset(tmp_path / "a.h5", made, targets=["y"], source="test", flanks=(LEFT, RIGHT))
    assert not list(tmp_path.iterdir())


def test_flanks_leave_something(tmp_path):
    with pytest.raises(InputError, match="leave nothing"):
        write_dataset(
            tmp_path / "a.h5", splits(), targets=["y"], source="test", flanks=("A" * 15, "C" * 15)
        )


@pytest.mark.parametrize("source", ["table", "hdf5"])
def test_a_source_passes_them_on(tmp_path, source):
    path = tmp_path / "source"
    more = {}
    if source == "table":
        table(path, letters(flanked(9, 0)))
        more = {"split_column": "split"}
    else:
        write_dataset(path, splits(), targets=["y"], source="test")
    meant = config(source, path, flanks={"left": LEFT.lower(), "right": RIGHT}, **more)
    ingest(meant["data"], meant["targets"], tmp_path / "dataset.h5", 1)
    assert read_info(tmp_path / "dataset.h5").flanks == (LEFT, RIGHT)
    meant = config(source, path, flanks={"right": "A" + RIGHT}, **more)
    assert flanks_of(meant["data"]) == ("", "A" + RIGHT)
    with pytest.raises(InputError, match="does not end with the flank"):
        ingest(meant["data"], meant["targets"], tmp_path / "other.h5", 1)


def test_without_flanks_a_config_means_what_it_did():
    assert "flanks" not in config("table", "a.tsv")["data"]
    assert "flanks" not in config("hdf5", "a.h5", flanks={"left": ""})["data"]


@pytest.mark.parametrize("wrong", [{"left": "ACX"}, {"left": 3}, {"middle": "A"}, "ACG"])
def test_what_is_no_flank_is_refused(wrong):
    with pytest.raises(InputError, match=r"data\.flanks"):
        config("table", "a.tsv", flanks=wrong)


def test_a_card_keeps_them_and_older_models_have_none(tmp_path):
    path = tmp_path / "a.h5"
    card = tiny_models.card(flanks=(LEFT, RIGHT))
    with h5py.File(path, "w") as file:
        card.write(file.attrs)
    with open_hdf5(path) as file:
        assert Card.read(file) == card
    with h5py.File(path, "r+") as file:
        del file.attrs["degu_flanks"]
    with open_hdf5(path) as file:
        assert Card.read(file).flanks == ("", "")


@pytest.mark.parametrize("text", ['["A"]', '["A", "N"]', '["A", 1]', "3", '{"a": "A"}', "null"])
def test_a_damaged_card_is_refused(tmp_path, text):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        tiny_models.card().write(file.attrs)
        file.attrs["degu_flanks"] = text
    with pytest.raises(InputError, match="damaged card"), open_hdf5(tmp_path / "a.h5") as file:
        Card.read(file)
