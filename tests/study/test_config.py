"""The config: defaults, messages, overlays, and the documentation that is made from the schema."""

from __future__ import annotations

import copy
import difflib
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from snakemake.cli import parse_config  # type: ignore[import-untyped]
from snakemake.utils import update_config  # type: ignore[import-untyped]

from degu.attribution.maps import METHODS
from degu.augment import REGISTRY as AUGMENTATIONS
from degu.errors import InputError
from degu.ingest import SOURCES
from degu.models.registry import REGISTRY
from degu.shift.sequences import SHIFTS
from degu.study.config.files import refuse_duplicate_keys
from degu.study.config.meaning import display_name
from degu.study.config.table import keys_table, write_table
from degu.study.config.validate import validate
from degu.sweep import MODES, SHORT_FORM, Arm, choose_arms, expand_arms, pool_sizes

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "src/degu/study/config/schema.yaml"
README = ROOT / "config" / "README.md"
RAW_SCHEMA = yaml.safe_load(SCHEMA.read_text())
EMBEDDED = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())

TABLE = """
dataset: my_assay
data: {source: table, path: my_assay.tsv}
targets: [leaf, root]
"""
PAPER_TRAINING = {
    "epochs": 100,
    "batch_size": 128,
    "learning_rate": 0.001,
    "patience": 10,
    "lr_patience": 5,
    "lr_factor": 0.1,
    "min_learning_rate": 1e-7,
}


def overlaid(*configs: str | dict) -> dict:
    """Configs laid over the embedded one, as Snakemake does it."""
    merged = copy.deepcopy(EMBEDDED)
    for config in configs:
        update_config(merged, yaml.safe_load(config) if isinstance(config, str) else config)
    return merged


def checked(*configs: str | dict) -> dict:
    return validate(overlaid(*configs), SCHEMA)


def message(*configs: str | dict) -> str:
    with pytest.raises(InputError) as error:
        checked(*configs)
    return str(error.value)


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
            "students": {"replicates": 10, "uncertainty": ["std", "logvar"]},
            "training": PAPER_TRAINING,
            "student_training": {**PAPER_TRAINING, "lr_factor": 0.2},
            "finetuning": {**PAPER_TRAINING, "epochs": 30, "learning_rate": 1e-4},
            "student_finetuning": {
                **PAPER_TRAINING,
                "epochs": 10,
                "learning_rate": 1e-4,
                "lr_factor": 0.2,
            },
            "dynamic_finetuning": {**PAPER_TRAINING, "epochs": 10, "lr_factor": 0.2},
            "evoaug": {
                "augmentations": ["deletion", "translocation", "noise", "mutation"],
                "per_batch": 1,
                "hard": True,
                "parameters": {
                    "deletion": {"min_length": 0, "max_length": 20},
                    "insertion": {"min_length": 0, "max_length": 20},
                    "translocation": {"min_shift": 0, "max_shift": 20},
                    "inversion": {"min_length": 0, "max_length": 20},
                    "mutation": {"fraction": 0.05},
                    "noise": {"std": 0.2},
                    "reverse_complement": {"probability": 0.5},
                },
            },
            "dynamic_augmentation": {
                "modes": [],
                "batches": ["replace"],
                "per_batch": 1,
                "mutagenesis": 0.05,
                "uncertainty": "std",
                "arms": None,
            },
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
                    "n_test": 1000,
                    "length": 249,
                    "replicates": 3,
                    "decoys": 0.25,
                    "noise": 0.35,
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
        assert config["student_training"] == {**PAPER_TRAINING, "epochs": 3, "lr_factor": 0.2}
        assert config["resources"]["train"] == {
            **{"gpu": 1, "mem_mb": 6000, "runtime": 720},
            "partition": None,
        }
        small = checked("training: {batch_size: 64}")["training"]
        assert (small["batch_size"], small["epochs"]) == (64, checked()["training"]["epochs"])

    def test_defaults_are_changed_in_the_schema_alone(self, tmp_path):
        """A mapping's default goes before those of its keys, a source's before the general one."""
        schema = copy.deepcopy(RAW_SCHEMA)
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
        filled = validate(given, SCHEMA)
        filled["arms"][0]["proportions"].append(1)
        filled["targets"].append("x")
        assert given == before

    def test_defaults_are_not_shared_between_calls(self):
        checked()["arms"][0]["ensemble_sizes"].append(7)
        checked()["students"]["uncertainty"].clear()
        assert 7 not in checked()["arms"][0]["ensemble_sizes"]
        assert checked()["students"]["uncertainty"] == ["std", "logvar"]


class TestMessages:
    """Every mistake: the key, what is wrong, the remedy."""

    @pytest.mark.parametrize(
        ("config", "key", "parts"),
        [
            # Keys
            ("trainig: {epochs: 3}", "trainig", ["not a key of the config", "mean training?"]),
            ("Seed: 3", "Seed", ["mean seed?"]),
            ("training: {epoch: 3}", "training.epoch", ["not a key of training", "mean epochs?"]),
            (
                "evoaug: {augmentations: [noise], per_batch: 2}",
                "evoaug.per_batch",
                ["more than the 1 of evoaug.augmentations", "list more"],
            ),
            (
                "{evoaug: {augmentations: [noise]}, shift: {per_sequence: 2}}",
                "shift.per_sequence",
                ["2 is more than the 1 of evoaug.augmentations"],
            ),
            (
                "dynamic_augmentation: {modes: [evoaug], per_batch: 5}",
                "dynamic_augmentation.per_batch",
                ["5 is more than the 4 of evoaug.augmentations"],
            ),
            (
                "evoaug: {parameters: {insertion: {min_length: 30}}}",
                "evoaug.parameters.insertion.min_length",
                ["30 is above the max_length, 20"],
            ),
            (
                "attribution: {top_n: 1001}",
                "attribution.top_n",
                ["1001 is more than the 1000 sequences of data.n_test", "smaller"],
            ),
            (
                "attribution: {bins: 10, per_bin: 101}",
                "attribution.bins",
                ["10 bins of 101 (per_bin) need 1010 test sequences, but data.n_test is 1000"],
            ),
            (
                "attribution: {methods: [shap], references: 2000}",
                "attribution.references",
                ["2000 is more than the 1000"],
            ),
            (
                "attribution: {arms: [{ensemble_sizes: [7]}]}",
                "attribution.arms",
                ["ensemble size 7 is not among the study's arms"],
            ),
            (
                "attribution: {motifs: {AP-1: TGAxTCA}}",
                "attribution.motifs.AP-1",
                ["IUPAC letters", "TGASTCA"],
            ),
            ("attribution: {methods: [deeplift]}", "attribution.methods", ["saliency", "ism"]),
            ("dynamic_augmentation: {modes: [shuffle]}", "dynamic_augmentation.modes", ["random"]),
            (
                "dynamic_augmentation: {arms: [{proportions: [0.5]}]}",
                "dynamic_augmentation.arms",
                ["proportion 0.5 is not among the study's arms"],
            ),
            (
                "{students: {uncertainty: [logvar]}, dynamic_augmentation: "
                "{modes: [random], uncertainty: std}}",
                "dynamic_augmentation.uncertainty",
                ["std is not one of students.uncertainty, logvar"],
            ),
            ("shift: {kinds: [smal]}", "shift.kinds", ["did you mean small"]),
            ("evoaug: {augmentations: [nois]}", "evoaug.augmentations", ["did you mean noise"]),
            ("evoaug: {hard: 1}", "evoaug.hard", ["true or false"]),
            ("epochs: 3", "epochs", ["did you mean training.epochs, student_training.epochs"]),
            ("path: x.tsv", "path", ["did you mean data.path?"]),
            ("arms: [{sizes: [2]}]", "arms.sizes", ["ensemble_sizes"]),
            (
                "resources: {train: {cpus: 2}}",
                "resources.train.cpus",
                ["gpu, mem_mb, runtime and partition"],
            ),
            ("1: 2", "1", ["not a key"]),
            ("data: {n_trian: 5}", "data.n_trian", ["of source simulate", "mean n_train?"]),
            (
                "data: {path: x.tsv}",
                "data.path",
                ["is not a key of source simulate; ", "table, deepstarr or hdf5", "data.source"],
            ),
            (
                TABLE + "data: {source: table, path: x, url: 'https://a.b/c'}",
                "data.url",
                ["is not a key of source table; ", "source deepstarr"],
            ),
            # Missing
            ("data: {source: table}", "data.path", ["missing", "`path: my_assay.tsv.gz`"]),
            (
                "{dataset: a, data: {source: hdf5, path: a.h5}}",
                "targets",
                ["missing", "`targets: [leaf, root]`"],
            ),
            ("model: my_lab.models:build", "model_name", ["missing", "`model_name: MyNet`"]),
            # Types
            ('training: {epochs: "100"}', "training.epochs", ["'100'", "write 100 without"]),
            ("training: {epochs: 100.0}", "training.epochs", ["whole number", "write 100."]),
            ("training: {epochs: 2.5}", "training.epochs", ["the number 2.5", "whole number"]),
            ("training: {epochs: yes}", "training.epochs", ["is true", "whole number"]),
            ("training: {epochs: many}", "training.epochs", ["'many'", "whole number", "such as"]),
            (
                "training: {learning_rate: 1e-3}",
                "training.learning_rate",
                ["YAML takes 1e-3 for text", "write 0.001."],
            ),
            (
                "training: {min_learning_rate: 1e-8}",
                "training.min_learning_rate",
                ["write 1.0e-08."],
            ),
            ("training: {learning_rate: .nan}", "training.learning_rate", ["finite number"]),
            ("training: {learning_rate: .inf}", "training.learning_rate", ["finite number"]),
            ("data: {noise: true}", "data.noise", ["is true", "a number"]),
            ("training:", "training", ["has no value", "or remove the line"]),
            ("training: 5", "training", ["the number 5", "mapping"]),
            ("seed:", "seed", ["has no value", "1234", "or remove the line"]),
            ("dataset:", "dataset", ["has no value", "my_assay."]),
            ("dataset: 2024", "dataset", ["the number 2024", "quotation marks"]),
            ("dataset: 2024-01-31", "dataset", ["a date", "text"]),
            ("targets: Dev", "targets", ["a list is needed", "write [Dev]."]),
            ('targets: "a\\nb"', "targets", ['write ["a\\nb"].']),
            ("targets: [on, off]", "targets", ["is true", "yes and on", "quotation marks"]),
            ("proportions: 0.5", "proportions", ["write [0.5]."]),
            ("proportions: ['0.5']", "proportions", ["'0.5'", "write 0.5 without"]),
            ("arms: {proportions: [1]}", "arms", ["is a mapping", "a list is needed"]),
            ("arms: [[1]]", "arms", ["is a list", "a mapping is needed"]),
            ("data: table", "data", ["'table'", "{source: table, path: my_assay.tsv.gz}"]),
            # Choices
            ("augmentations: [evoag]", "augmentations", ["standard, evoaug", "mean evoaug?"]),
            ("augmentations: [mixup]", "augmentations", ["'mixup'", "standard, evoaug"]),
            ("students: {uncertainty: [var]}", "students.uncertainty", ["std, logvar"]),
            ("data: {source: tabel}", "data.source", [", ".join(SOURCES), "mean table?"]),
            ("data: {source: null}", "data.source", ["null", ", ".join(SOURCES)]),
            ("data: {source: [table]}", "data.source", ["a list", ", ".join(SOURCES)]),
            ("model: DeepStar", "model", [", ".join(REGISTRY), "mean deepstarr?"]),
            ("model: resnet", "model", [", ".join(REGISTRY), "my_package.my_module:build"]),
            ("model: 'my-lab.models:build'", "model", ["my_package.my_module:build"]),
            ("model: 'my_lab.models:'", "model", ["my_package.my_module:build"]),
            # Bounds
            ("proportions: [1.5]", "proportions", ["1.5", "large", "above 0 and at most 1"]),
            ("proportions: [0]", "proportions", ["0 is too small", "above 0 and at most 1"]),
            ("proportions: [-0.5]", "proportions", ["-0.5", "small"]),
            ("ensemble_sizes: [3, 1]", "ensemble_sizes", ["1 is too small", "at least 2"]),
            ("resources: {train: {gpu: 2}}", "resources.train.gpu", ["2 is too large"]),
            ("require_gpu: true", "require_gpu", ["resources: {train: {gpu: 1}}"]),
            ("seed: -1", "seed", ["too small"]),
            ("training: {lr_factor: 1}", "training.lr_factor", ["too large", "below 1"]),
            ("arms: [{}, {proportions: [2]}]", "arms.proportions (block 2)", ["2 is too large"]),
            # Lists
            ("ensemble_sizes: []", "ensemble_sizes", ["at least 1"]),
            ("arms: []", "arms", ["at least 1"]),
            ("targets: [Dev, Dev]", "targets", ["Dev occurs twice", "once"]),
            ("proportions: [0.5, 1, 1.0]", "proportions", ["1.0 occurs twice"]),
            # Names
            ("dataset: ../up", "dataset", ["'../up'", "letters"]),
            ("dataset: ..", "dataset", ["'..'", "letters"]),
            ("dataset: a b", "dataset", ["'a b'", "letters"]),
            ('dataset: "a\\n"', "dataset", ["'a\\n'", "letters"]),
            ("targets: [leaf-2]", "targets", ["'leaf-2'", "letters, digits, `_` and `.`"]),
            ("targets: [metric]", "targets", ["metric", "rename"]),
            ("model: a.b:c\nmodel_name: my_net", "model_name", ["'my_net'", "letters, digits"]),
            ("model_name: MyNet", "model_name", ["DeepSTARR", "remove"]),
            ("data: {source: table, path: ''}", "data.path", ["empty"]),
            ("data: {source: deepstarr, sha256: abc}", "data.sha256", ["64 hexadecimal digits"]),
            ("data: {source: deepstarr, url: 'ftp://a'}", "data.url", ["https://"]),
            # Meaning
            ("{arms: [{}], proportions: [1]}", "arms", ["beside proportions", "keep one"]),
            ("proportions: [0.12345678]", "proportions", ["more digits", "0.123457"]),
            (
                "training: {learning_rate: 0.001, min_learning_rate: 0.01}",
                "training.min_learning_rate",
                ["0.01", "above", "smaller"],
            ),
            (
                "{targets: [x], data: {source: table, path: x.tsv}}",
                "dataset",
                ["embedded study", "`dataset: my_assay`"],
            ),
            (
                "{dataset: a, data: {source: deepstarr, release: subset}}",
                "data.url",
                ["DeepSTARR/Tutorial/Sequences_activity_subset.txt"],
            ),
        ],
    )
    def test_mistake(self, config, key, parts):
        text = message(config)
        assert text.startswith(f"{key}: ")
        assert "\n" not in text
        for part in parts:
            assert part in text

    @pytest.mark.parametrize(
        ("config", "key", "parts"),
        [
            ("split_column: s, split: {val: 0.2}", "data.split", ["split_column", "keep one"]),
            ("split: {val: 0.5, test: 0.5}", "data.split", ["0.5", "less than 1"]),
            ("split: {val: 0.9}", "data.split", []),
            ("split: {val: 0.95}", "data.split", ["val 0.95 and test 0.1"]),
            ("split: {val: 1}", "data.split.val", ["too large", "below 1"]),
            ("split: {train: 0.8}", "data.split.train", ["not a key of data.split"]),
            ("replicates: {stem: [a, b]}", "data.replicates", ["'stem'", "leaf, root"]),
            ("replicates: {leaf: [a]}", "data.replicates.leaf", ["too few items", "at least 2"]),
            ("replicates: {leaf: [a, a]}", "data.replicates.leaf", ["a occurs twice"]),
            ("replicates: {leaf: a}", "data.replicates.leaf", ["write [a]"]),
            ("replicates: [a, b]", "data.replicates", ["a list", "mapping"]),
        ],
    )
    def test_mistake_in_a_table(self, config, key, parts):
        text = message(TABLE, f"data: {{{config}}}")
        assert text.startswith(f"{key}: ")
        for part in parts:
            assert part in text

    def test_empty_config(self):
        with pytest.raises(InputError, match=r"^dataset: is missing; .*`dataset: my_assay`"):
            validate({}, SCHEMA)
        with pytest.raises(InputError, match=r"^data: is missing; .*`data: {source: table"):
            validate({"dataset": "a"}, SCHEMA)

    def test_a_misspelt_required_key_is_not_called_missing(self):
        text = message("{dataset: a, data: {source: table, pth: x.tsv}}")
        assert text == "data.pth: is not a key of source table; did you mean path?"

    def test_nested_values_of_the_command_line(self):
        """Snakemake leaves them as text, which needs a hint of its own."""
        assert checked(parse_config(["seed=7", "dataset=x"]))["seed"] == 7
        text = message(parse_config(["training={epochs: 5}"]))
        assert text.startswith("training.epochs: is the text '5'")
        assert "--config" in text


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
        assert config["training"] == {**PAPER_TRAINING, "epochs": 5, "patience": 2}

    def test_null_takes_back_the_short_form(self):
        arms = "arms: [{ensemble_sizes: [4]}]"
        short = TABLE + "ensemble_sizes: [2]"
        assert "`ensemble_sizes: null`" in message(short, arms)
        config = checked(short, arms, "ensemble_sizes: null")
        assert [arm.size for arm in expand_arms(config["arms"])] == [4]

    def test_null_takes_back_a_split(self):
        config = checked(TABLE, "data: {split_column: s}", "data: {split_column: null, split: {}}")
        assert config["data"]["split"] == {"val": 0.1, "test": 0.1, "group_column": None}


class TestDisplayName:
    def test_names(self):
        assert display_name(checked()) == "DeepSTARR"
        assert display_name(checked("{model: 'my_lab.nets:build', model_name: My-Net2}")) == (
            "My-Net2"
        )


class TestWhatDependsOnOtherKeys:
    def test_one_augmentation_is_all_that_a_moderate_shift_can_draw(self):
        assert checked("evoaug: {augmentations: [noise]}")["shift"]["per_sequence"] == 1

    def test_dynamic_students_learn_what_plain_ones_do(self):
        config = checked("{students: {uncertainty: [logvar]}}")
        assert config["dynamic_augmentation"]["uncertainty"] == "logvar"


class TestShippedConfigs:
    @pytest.mark.parametrize(
        "path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name
    )
    def test_valid_by_itself_and_over_the_embedded_one(self, path):
        text = path.read_text()
        assert checked(text) == validate(yaml.safe_load(text), SCHEMA)

    def test_embedded_config_holds_nothing_that_others_would_inherit(self):
        assert EMBEDDED == {"dataset": "simulated", "data": {"source": "simulate"}}

    def test_deepstarr_is_the_grid_of_the_paper(self):
        config = checked((ROOT / "config" / "deepstarr.yaml").read_text())
        arms = expand_arms(config["arms"])
        assert len(arms) == 17
        assert {arm.size for arm in arms if arm.pool == ("standard", 1.0)} == {
            *(2, 3, 4, 5, 10, 15, 20, 25)
        }
        for augmentation in ("standard", "evoaug"):
            assert {a.proportion for a in arms if a.augmentation == augmentation} == {
                *(0.1, 0.25, 0.5, 0.75, 1.0)
            }
        assert sum(pool_sizes(arms).values()) == 25 + 4 * 10 + 5 * 10
        assert config["students"] == {"replicates": 10, "uncertainty": ["std", "logvar"]}
        assert config["training"] == PAPER_TRAINING
        assert config["resources"]["train"]["gpu"] == config["resources"]["predict"]["gpu"] == 1

    def test_deepstarr_has_the_papers_students_with_dynamic_augmentation(self):
        config = checked((ROOT / "config" / "deepstarr.yaml").read_text())
        dynamic = config["dynamic_augmentation"]
        assert dynamic["modes"] == ["random", "mutagenesis", "evoaug"]
        assert dynamic["batches"] == ["replace", "append"]
        arms = choose_arms(expand_arms(config["arms"]), dynamic["arms"])
        assert arms == (Arm("standard", 1.0, 10),)
        assert config["dynamic_finetuning"]["learning_rate"] == 1e-3

    def test_deepstarr_has_the_papers_maps(self):
        config = checked((ROOT / "config" / "deepstarr.yaml").read_text())
        attribution = config["attribution"]
        assert {"saliency", "shap", "shap_dinuc_shuffle"} <= set(attribution["methods"])
        assert (attribution["top_n"], attribution["references"]) == (1000, 100)
        assert (attribution["bins"], attribution["per_bin"]) == (4, 100)
        arms = choose_arms(expand_arms(config["arms"]), attribution["arms"])
        # Both augmentations at every amount of data.
        assert len(arms) == 10

    def test_plant_terminators(self):
        config = checked((ROOT / "config" / "plant_terminators.yaml").read_text())
        assert config["targets"] == ["tobacco", "maize"]
        assert max(arm.size for arm in expand_arms(config["arms"])) == 5
        assert config["students"]["replicates"] == 3
        assert config["data"]["split"] is None


class TestAugmentations:
    """The schema and the package know the same augmentations and the same published settings."""

    EVOAUG = RAW_SCHEMA["properties"]["evoaug"]["properties"]

    def test_names(self):
        assert sorted(self.EVOAUG["augmentations"]["items"]["enum"]) == sorted(AUGMENTATIONS)

    def test_parameters_and_their_defaults(self):
        parameters = validate(EMBEDDED, SCHEMA)["evoaug"]["parameters"]
        for name, augmentation in AUGMENTATIONS.items():
            assert parameters.get(name, {}) == asdict(augmentation())

    def test_kinds_of_shift_and_modes(self):
        properties = RAW_SCHEMA["properties"]
        assert tuple(properties["shift"]["properties"]["kinds"]["items"]["enum"]) == SHIFTS
        modes = properties["dynamic_augmentation"]["properties"]["modes"]
        assert list(MODES) == modes["items"]["enum"]

    def test_methods_of_attribution(self):
        methods = RAW_SCHEMA["properties"]["attribution"]["properties"]["methods"]
        assert methods["items"]["enum"] == list(METHODS)

    def test_more_shuffles_than_test_sequences_are_no_mistake(self):
        settings = {"methods": ["shap_dinuc_shuffle"], "references": 2000}
        config = {**EMBEDDED, "attribution": settings}
        assert validate(config, SCHEMA)["attribution"]["references"] == 2000


class TestReadme:
    def test_table_of_keys_is_that_of_the_schema(self, tmp_path):
        made = tmp_path / "README.md"
        shutil.copy(README, made)
        write_table(made, SCHEMA)
        drift = "\n".join(
            difflib.unified_diff(
                README.read_text().splitlines(),
                made.read_text().splitlines(),
                "config/README.md",
                "made from the schema",
                lineterm="",
                n=0,
            )
        )
        assert not drift, f"run `python -m degu.study.config config/README.md`\n{drift}"

    def test_command(self, tmp_path):
        readme = tmp_path / "README.md"
        readme.write_text("before\n<!-- keys -->\nan old table\n<!-- /keys -->\nafter\n")
        subprocess.run([sys.executable, "-m", "degu.study.config", readme], check=True)
        text = readme.read_text()
        assert text.startswith("before\n<!-- keys -->\n")
        assert text.endswith("\n<!-- /keys -->\nafter\n")
        assert "an old table" not in text
        assert keys_table(SCHEMA) in text

    def test_missing_markers(self, tmp_path):
        readme = tmp_path / "README.md"
        readme.write_text("<!-- keys -->\n")
        with pytest.raises(InputError, match=r"README\.md: has no lines .*; add them"):
            write_table(readme, SCHEMA)
        assert readme.read_text() == "<!-- keys -->\n"

    def test_table_shows_both_defaults(self):
        rows = {
            cells[0]: cells[1:]
            for line in keys_table(SCHEMA).splitlines()
            if (cells := [cell.strip() for cell in line.strip("|").split("|")])
        }
        epochs = RAW_SCHEMA["properties"]["training"]["default-simulate"]["epochs"]
        assert rows["`training.epochs`"][:3] == [
            "whole number, at least 1",
            "`100`",
            f"`{epochs}`",
        ]
        assert rows["`student_training.lr_factor`"][1:3] == ["`0.2`", ""]
        assert rows["`data.path` (table)"][1] == "required"
        assert rows["`targets`"][1:3] == [
            "`[Dev, Hk]` with `source: deepstarr`; otherwise required",
            "`[Dev, Hk]`",
        ]
        assert all(len(cells) == 4 and cells[-1] for cells in rows.values())

    def test_every_example_is_valid(self):
        examples = re.findall(r"^```yaml\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
        assert len(examples) == 5
        configs = [checked(example) for example in examples]
        assert [config["data"]["source"] for config in configs] == [
            "table",
            "deepstarr",
            "table",
            "table",
            "table",
        ]
        # What the README says of the sweep.
        assert sum(pool_sizes(expand_arms(configs[2]["arms"])).values()) == 25 + 10 + 10


def schema_nodes(node):
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from schema_nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from schema_nodes(value)


class TestSchema:
    def test_is_a_json_schema(self):
        Draft202012Validator.check_schema(RAW_SCHEMA)

    def test_every_level_is_closed_and_every_key_is_described_and_typed(self):
        for node in schema_nodes(RAW_SCHEMA):
            if not isinstance(node.get("properties"), dict):
                continue
            assert node["additionalProperties"] is False
            for key, child in node["properties"].items():
                assert child.get("description"), key
                assert {"type", "enum", "const", "$ref"} & set(child), key

    def test_defaults_obey_their_own_rules(self):
        for node in schema_nodes(RAW_SCHEMA):
            for key, value in node.items():
                if key.startswith("default") and not isinstance(value, dict):
                    full = {**node, "$defs": RAW_SCHEMA["$defs"]}
                    assert Draft202012Validator(full).is_valid(value), (node, key)

    def test_sources_are_those_of_ingest(self):
        branches = [ref["$ref"] for ref in RAW_SCHEMA["properties"]["data"]["oneOf"]]
        names = [branch.rpartition("/")[2] for branch in branches]
        consts = [RAW_SCHEMA["$defs"][name]["properties"]["source"]["const"] for name in names]
        assert tuple(names) == tuple(consts) == SOURCES


def all_keys(node, found):
    for child in schema_nodes(node):
        if isinstance(child.get("properties"), dict):
            found.update(child["properties"])
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
keys = st.sampled_from(all_keys(RAW_SCHEMA, set())) | st.text(max_size=4) | st.integers(0, 3)
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
            filled = validate(config, SCHEMA)
        except InputError as error:
            text = str(error)
            assert re.match(r"[^\n]+: [^\n]+[.?]$", text)
        else:
            assert Draft202012Validator(RAW_SCHEMA).is_valid(config)
            assert validate(filled, SCHEMA) == filled


def test_is_fast():
    """Snakemake reads its Snakefile, and so the config, again in every job."""
    config = overlaid((ROOT / "config" / "deepstarr.yaml").read_text())
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        validate(config, SCHEMA)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1


def test_import_is_light():
    code = (
        "import sys, degu.study.config\n"
        "assert not {'tensorflow', 'keras', 'pandas', 'snakemake'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Keys that are written twice


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed: 1\ndataset: a\nseed: 2\n", r"line 3: seed is there already in line 1; keep one"),
        ("data:\n  path: a\n  path: a\n", r"line 3: path is there already in line 2"),
        ("arms:\n  - {proportions: [1], proportions: [2]}\n", "line 2: proportions is there"),
        ('{"seed": 1,\n "seed": 1}', "line 2: seed is there already in line 1"),
        ("a: &x {b: 1}\nc: *x\nc: *x\n", "line 3: c is there already in line 2"),
        ("a: [\n", "cannot be read as YAML"),
        ("a: \0\n", "cannot be read as YAML"),
    ],
)
def test_a_key_that_is_written_twice_is_refused_with_its_line(tmp_path, text, words):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as error:
        refuse_duplicate_keys([path])
    assert str(error.value).startswith(str(path))


def test_keys_that_are_written_once_pass(tmp_path, root):
    path = tmp_path / "my.yaml"
    for text in ("", "a: 1\n1: a\n'1': b\n", "a: &x {b: 1}\nc: *x\nb: {a: 1}\n", "a: &a [*a]\n"):
        path.write_text(text)
        refuse_duplicate_keys([path])
    refuse_duplicate_keys((root / "config").glob("*.yaml"))
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(InputError, match="cannot be read as YAML"):
        refuse_duplicate_keys([path])
    with pytest.raises(InputError, match="absent"):
        refuse_duplicate_keys([tmp_path / "absent.yaml"])
