"""degu.ingest: a source is its module, its options beside it, and a line in the registry."""

from __future__ import annotations

import numpy as np
import pytest

from degu.dataset import SPLITS, read_info, read_split
from degu.errors import InputError
from degu.ingest import SOURCES, Source, check, ingest, preflight, register, registered
from degu.study.config import validate
from degu.study.config.table import keys_table

MODULE = '''
"""Sequences of one base each: A, C, G, T, A, ..."""

import numpy as np

from degu.dataset import Split, write_dataset
from degu.errors import InputError


def check(data, targets, options):
    if data["n_test"] is None:
        data["n_test"] = data["n_train"] // options["n_train"]["minimum"]
    if data["n_test"] > data["n_train"]:
        raise InputError(f"data.n_test: {data['n_test']} is above n_train; write less.")


def ingest(data, targets, path, seed):
    splits = {}
    for name, n in (("Train", data["n_train"]), ("Val", 3), ("Test", data["n_test"])):
        x = np.eye(4, dtype=np.uint8)[np.arange(n) % 4][:, None].repeat(data["length"], axis=1)
        splits[name] = Split(x, np.full((n, len(targets)), seed, np.float32))
    write_dataset(path, splits, targets=targets, source="bases", units=data["units"])
'''
OPTIONS = """
description: Sequences of one base each.
targets: [shine]
required: [units]
properties:
  length: {description: Length of the sequences in bp., type: integer, minimum: 1, default: 5}
  n_train: {description: Training sequences., type: integer, minimum: 2, default: 8}
  n_test: {description: Test sequences., type: [integer, "null"], minimum: 1, default: null}
  units: {description: Units of the activities., type: string, examples: [lux]}
"""
CONFIG = {
    "dataset": "mine",
    "data": {"source": "bases", "units": "lux"},
    "attribution": {"methods": []},
}


@pytest.fixture
def source(own_module):
    """A source that is registered for one test, and that no file of the package knows."""
    bases = Source("bases", own_module("my_sources", MODULE), test_size="n_test")
    bases.options.write_text(OPTIONS)
    with registered(bases):
        yield bases


def changed(section="data", **changes):
    return {**CONFIG, section: {**CONFIG[section], **changes}}


@pytest.mark.usefixtures("source")
class TestRegistered:
    def test_its_options_have_defaults_and_what_it_measures_is_known(self):
        config = validate(CONFIG)
        assert config["targets"] == ["shine"]
        assert config["data"] == {
            **{"source": "bases", "length": 5, "n_train": 8, "n_test": 4},
            "units": "lux",
        }
        assert list(config["data"]) == ["source", "length", "n_train", "n_test", "units"]

    @pytest.mark.parametrize(
        ("config", "text"),
        [
            (changed(lenght=3), "data.lenght: is not a key of source bases; did you mean length?"),
            (
                {**CONFIG, "data": {"source": "bases"}},
                "data.units: is missing; add it, for example `units: lux`.",
            ),
            (
                changed(length=0),
                "data.length: 0 is too small; write a whole number, at least 1, such as 5.",
            ),
            (changed(n_test=9), "data.n_test: 9 is above n_train; write less."),
            (
                changed("attribution", methods=["saliency"], bins=0),
                "attribution.top_n: 100 is more than the 4 sequences of data.n_test; write a "
                "smaller number.",
            ),
            (
                {"dataset": "a", "data": {"source": "simulate", "units": "lux"}},
                "data.units: is not a key of source simulate; it belongs to source table, hdf5 or "
                "bases: set data.source too, or remove the key.",
            ),
            (
                {"dataset": "a", "data": {"source": "base"}},
                "data.source: the text 'base' is not one of simulate, table, deepstarr, hdf5, "
                "bases; did you mean bases?",
            ),
        ],
    )
    def test_mistakes_have_the_usual_sentences(self, config, text):
        with pytest.raises(InputError) as error:
            validate(config)
        assert str(error.value) == text

    def test_it_is_in_the_table_of_keys(self):
        table = keys_table()
        assert "| `data.length` (bases) | whole number, at least 1 | `5` |" in table
        assert "| `data.units` (bases) | text | required |" in table
        assert "`[shine]` with `source: bases`; otherwise required" in table

    def test_it_becomes_a_data_set(self, tmp_path):
        config = validate(changed(length=7, n_train=20))
        preflight(config["data"], config["targets"])  # it has none
        ingest(config["data"], config["targets"], tmp_path / "dataset.h5", 11)
        info = read_info(tmp_path / "dataset.h5")
        assert (info.targets, info.units, info.source) == (("shine",), "lux", "bases")
        sizes = [len(read_split(tmp_path / "dataset.h5", name).x) for name in SPLITS]
        assert sizes == [20, 3, 10]
        test = read_split(tmp_path / "dataset.h5", "Test")
        np.testing.assert_array_equal(test.x[5], np.tile([0, 1, 0, 0], (7, 1)))
        np.testing.assert_array_equal(test.y, np.full((10, 1), 11))

    def test_no_two_have_one_name(self, source):
        for name in ("bases", "table"):
            with pytest.raises(ValueError, match=name):
                register(Source(name, "elsewhere"))
        assert SOURCES["bases"] is source


@pytest.mark.parametrize("name", ["bases", "../hdf5", "os", None, []])
def test_what_is_not_registered_is_refused(tmp_path, name):
    """At the start of a workflow, and where the package is used without one."""
    known = "is not one of simulate, table, deepstarr, hdf5; "
    with pytest.raises(InputError, match=f"^data.source: .*{known}"):
        validate({**CONFIG, "data": {"source": name}})
    data = {"source": name}
    for call in (
        lambda: check(data, ["x"], {}),
        lambda: preflight(data, ["x"]),
        lambda: ingest(data, ["x"], tmp_path / "dataset.h5", 1),
    ):
        with pytest.raises(InputError, match=f"^data.source: .*{known}"):
            call()
    assert not list(tmp_path.iterdir())


def test_a_module_that_is_not_there_is_named():
    with (
        registered(Source("bases", "degu.ingest.bases")),
        pytest.raises(ModuleNotFoundError, match=r"degu\.ingest\.bases"),
    ):
        validate(CONFIG)
    assert "bases" not in SOURCES
