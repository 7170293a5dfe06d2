"""degu.study.config.validate: defaults, overlays, and that nothing else comes of any config."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from laid_over import OF_STUDENTS, OUR_TRAINING, ROOT, TABLE, checked, message, overlaid

from degu.errors import InputError
from degu.ingest import SOURCES
from degu.study.config import validate
from degu.study.config.schema import SCHEMA, keys_of, load, resolve
from degu.sweep import SHORT_FORM, expand_arms

PARAMETERS = {
    "deletion": {"min_length": 0, "max_length": 20},
    "insertion": {"min_length": 0, "max_length": 20},
    "translocation": {"min_shift": 0, "max_shift": 20},
    "inversion": {"min_length": 0, "max_length": 20},
    "mutation": {"fraction": 0.05},
    "noise": {"std": 0.2},
    "reverse_complement": {"probability": 0.5},
}


class TestDefaults:
    def test_table(self):
        assert checked(TABLE) == {
            "dataset": "my_assay",
            "data": {
                "source": "table",
                "path": "my_assay.tsv",
                "sequence_column": "sequence",
                "id_column": None,
                "split_column": None,
                "split": {"val": 0.1, "test": 0.1, "group_column": None},
                "replicates": {},
                "units": "log2 enrichment",
            },
            "targets": ["leaf", "root"],
            "model": "deepstarr",
            "model_name": None,
            "seed": 1234,
            "reseed": [],
            "compute_threads": 2,
            "require_gpu": False,
            "tracking": "none",
            "pilot": None,
            "arms": [{"augmentations": ["standard"], "proportions": [1], "ensemble_sizes": [10]}],
            "aleatoric": "none",
            "students": {
                **{"replicates": 10, "uncertainty": ["std", "logvar"]},
                "uncertainty_weight": {"std": 1, "logvar": 0.1},
            },
            "distillation": {
                "copies": 4,
                "augmentations": ["deletion", "translocation", "inversion"],
                "per_sequence": 2,
                "parameters": PARAMETERS,
            },
            "baselines": [],
            "baseline_settings": {
                "beta_nll": {"beta": [0.25, 0.5, 1]},
                "evidential": {"penalty": [0.001, 0.01, 0.1]},
                "mc_dropout": {"passes": 100, "batch_norm": ["precise"]},
            },
            "mixed_architectures": ["deepstarr", "compact"],
            "training": OUR_TRAINING,
            "student_training": OF_STUDENTS,
            "finetuning": {**OUR_TRAINING, "epochs": 30, "learning_rate": 1e-4},
            "student_finetuning": {**OF_STUDENTS, "epochs": 10, "learning_rate": 1e-4},
            "dynamic_finetuning": {**OUR_TRAINING, "epochs": 10, "lr_factor": 0.2},
            "evoaug": {
                "augmentations": ["deletion", "translocation", "noise", "mutation"],
                "per_batch": 1,
                "hard": True,
                "parameters": PARAMETERS,
            },
            "dynamic_augmentation": {
                "modes": [],
                "batches": ["replace"],
                "per_batch": 1,
                "mutagenesis": 0.05,
                "uncertainty": "std",
                "arms": None,
            },
            "uncertainty": {"draws": 500},
            "shift": {
                "kinds": ["small", "moderate", "dinucleotide", "large"],
                "copies": 1,
                "mutagenesis": 0.05,
                "per_sequence": 2,
            },
            "attribution": {
                "methods": ["saliency", "shap", "shap_dinuc_shuffle"],
                "top_n": 100,
                "bins": 4,
                "per_bin": 25,
                "references": 100,
                "hypothetical": False,
                "logos": 3,
                "motifs": {},
                "arms": None,
            },
            "resources": {
                "account": None,
                "train": {"gpu": 0, "mem_mb": 6000, "runtime": 720, "partition": None},
                "predict": {"gpu": 0, "mem_mb": 4000, "runtime": 60, "partition": None},
                "light": {"gpu": 0, "mem_mb": 4000, "runtime": 30, "partition": None},
            },
        }

    @pytest.mark.parametrize(
        ("config", "data"),
        [
            (
                "",
                {
                    "source": "simulate",
                    "n_train": 6000,
                    "n_val": 1000,
                    "n_test": 5000,
                    "length": 100,
                    "replicates": 3,
                    "decoys": 0.1,
                    "noise": 0.35,
                    "rarity": 4,
                },
            ),
            (
                "{dataset: a, data: {source: deepstarr}}",
                {
                    "source": "deepstarr",
                    "path": None,
                    "url": "https://data.starklab.org/almeida/DeepSTARR/Tutorial/"
                    "Sequences_activity_all.txt",
                    "sha256": None,
                    "release": "all",
                },
            ),
            (
                "{dataset: a, targets: [x], data: {source: hdf5, path: a.h5}}",
                {"source": "hdf5", "path": "a.h5", "units": "log2 enrichment"},
            ),
        ],
    )
    def test_data(self, config, data):
        assert checked(config or {})["data"] == data

    def test_published_targets(self):
        assert checked()["targets"] == ["Dev", "Hk"]
        assert checked("{dataset: a, data: {source: deepstarr}}")["targets"] == ["Dev", "Hk"]

    def test_no_source_but_the_embedded_one_gets_its_small_settings(self):
        small, own = checked(), checked("{dataset: a, data: {source: deepstarr}}")
        assert small["training"]["epochs"] < own["training"]["epochs"] == 100
        assert small["student_training"]["epochs"] < own["student_training"]["epochs"] == 100
        assert small["students"]["replicates"] < own["students"]["replicates"] == 10
        assert small["arms"][0]["ensemble_sizes"] != own["arms"][0]["ensemble_sizes"] == [10]
        assert small["student_training"]["lr_factor"] == 0.2

    def test_what_is_given_is_kept_and_its_neighbours_are_filled(self):
        config = checked(TABLE, "{student_training: {epochs: 3}, resources: {train: {gpu: 1}}}")
        assert config["student_training"] == {**OF_STUDENTS, "epochs": 3}
        assert config["resources"]["train"] == {
            **{"gpu": 1, "mem_mb": 6000, "runtime": 720},
            "partition": None,
        }
        small = checked("training: {batch_size: 64}")["training"]
        assert (small["batch_size"], small["epochs"]) == (64, checked()["training"]["epochs"])

    def test_defaults_are_changed_in_the_schema_alone(self, tmp_path):
        """A mapping's default goes before those of its keys, a source's before the general one."""
        schema = yaml.safe_load(SCHEMA.read_text())
        schema["$defs"]["training"]["properties"]["epochs"] |= {"default-simulate": 3}
        schema["properties"]["training"] |= {
            "default": {"epochs": 7},
            "default-simulate": {"epochs": 5},
        }
        del schema["properties"]["student_training"]["default-simulate"]
        path = tmp_path / "schema.yaml"
        path.write_text(yaml.safe_dump(schema))
        small, own = validate(overlaid(), path), validate(overlaid(TABLE), path)
        assert (small["training"]["epochs"], own["training"]["epochs"]) == (5, 7)
        assert (small["student_training"]["epochs"], own["student_training"]["epochs"]) == (3, 100)

    def test_split_column_leaves_no_split(self):
        data = checked(TABLE, "data: {split_column: set}")["data"]
        assert (data["split_column"], data["split"]) == ("set", None)

    def test_half_a_split_is_completed(self):
        split = checked(TABLE, "data: {split: {test: 0.3}}")["data"]["split"]
        assert split == {"val": 0.1, "test": 0.3, "group_column": None}

    def test_blocks_of_arms_are_completed(self):
        arms = checked(TABLE, "arms: [{proportions: [0.5]}, {ensemble_sizes: [2]}]")["arms"]
        assert arms == [
            {"augmentations": ["standard"], "proportions": [0.5], "ensemble_sizes": [10]},
            {"augmentations": ["standard"], "proportions": [1], "ensemble_sizes": [2]},
        ]

    def test_short_form_is_one_block(self):
        config = checked(TABLE, "{augmentations: [evoaug], ensemble_sizes: [2, 3]}")
        assert config["arms"] == [
            {"augmentations": ["evoaug"], "proportions": [1], "ensemble_sizes": [2, 3]}
        ]
        assert not set(SHORT_FORM) & set(config)

    def test_null_is_the_same_as_leaving_out(self):
        nulls = """
        data: {id_column: null, split_column: null, split: null}
        model_name: null
        arms: null
        proportions: null
        """
        assert checked(TABLE, nulls) == checked(TABLE)

    def test_the_given_config_is_not_changed(self):
        given = overlaid(TABLE, "arms: [{proportions: [0.5]}]")
        before = copy.deepcopy(given)
        filled = validate(given)
        filled["arms"][0]["proportions"].append(1)
        filled["targets"].append("x")
        assert given == before

    def test_defaults_are_not_shared_between_calls(self):
        checked()["arms"][0]["ensemble_sizes"].append(7)
        checked()["students"]["uncertainty"].clear()
        assert 7 not in checked()["arms"][0]["ensemble_sizes"]
        assert checked()["students"]["uncertainty"] == ["std", "logvar"]


class TestOverlays:
    def test_another_source_over_the_embedded_one(self):
        data = checked("{dataset: a, targets: [x], data: {source: table, path: x}}")["data"]
        assert (data["source"], data["path"]) == ("table", "x")
        assert not set(data) & {"n_train", "length", "decoys"}

    def test_keys_of_two_sources_do_not_mix(self):
        assert message("data: {path: x}").startswith("data.path: is not a key of source simulate;")
        text = message(TABLE, "data: {id_column: id}", "data: {source: hdf5, path: x.h5}")
        assert text.startswith("data.id_column: is not a key of source hdf5; ")
        assert "source table" in text

    def test_lists_replace_and_mappings_merge(self):
        config = checked(TABLE, "training: {epochs: 5}", "{targets: [y], training: {patience: 2}}")
        assert config["targets"] == ["y"]
        assert config["training"] == {**OUR_TRAINING, "epochs": 5, "patience": 2}

    def test_null_takes_back_the_short_form(self):
        arms = "arms: [{ensemble_sizes: [4]}]"
        short = TABLE + "ensemble_sizes: [2]"
        assert "`ensemble_sizes: null`" in message(short, arms)
        config = checked(short, arms, "ensemble_sizes: null")
        assert [arm.size for arm in expand_arms(config["arms"])] == [4]

    def test_null_takes_back_a_split(self):
        config = checked(TABLE, "data: {split_column: s}", "data: {split_column: null, split: {}}")
        assert config["data"]["split"] == {"val": 0.1, "test": 0.1, "group_column": None}


def all_keys(schema):
    """The names of all keys, of whatever level and source."""
    found = set(schema["properties"])
    for source in SOURCES:
        rules = resolve(schema, schema, source)
        found.update(key.rpartition(".")[2] for key, _ in keys_of(rules))
    return sorted(found)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.dates(),
    st.sampled_from(
        ["table", "hdf5", "standard", "evoaug", "std", "leaf", "1e-3", "5", 1, 2, 10, 0.25, 10**400]
    ),
)
keys = st.sampled_from(all_keys(load())) | st.text(max_size=4) | st.integers(0, 3)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)


class TestAnything:
    @settings(max_examples=200)
    @given(
        base=st.sampled_from(["{}", TABLE, "{dataset: a, data: {source: deepstarr}}"]),
        path=st.lists(keys, min_size=1, max_size=3),
        value=values,
    )
    def test_is_valid_or_one_sentence(self, base, path, value):
        """Never another exception; what passes also passes the schema and stays as it is."""
        for key in reversed(path):
            value = {key: value}
        config = overlaid(base, value)
        try:
            filled = validate(config)
        except InputError as error:
            text = str(error)
            assert re.match(r"[^\n]+: [^\n]+[.?]$", text)
        else:
            assert Draft202012Validator(load()).is_valid(config)
            assert validate(filled) == filled


def test_is_fast():
    """Snakemake reads its Snakefile, and so the config, again in every job."""
    config = overlaid((ROOT / "config" / "deepstarr.yaml").read_text())
    seconds = []
    for _ in range(5):
        start = time.process_time()
        validate(config)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.2


@pytest.mark.parametrize("config", ["embedded", "plant_terminators", "deepstarr"])
def test_what_every_job_imports_is_light(config):
    """Snakemake has NumPy and pandas itself, but neither HDF5 nor an HTTP client."""
    name = {"embedded": "config"}.get(config, config)
    code = (
        "import sys, yaml\n"
        "from degu.study.config import validate\n"
        "validate(yaml.safe_load(open(sys.argv[1])))\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'scipy', 'h5py', 'requests', 'snakemake'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, ROOT / f"config/{name}.yaml"], check=True)
