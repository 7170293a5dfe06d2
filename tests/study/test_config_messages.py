"""degu.study.config.messages: every mistake has its key, what is wrong, the remedy."""

from __future__ import annotations

import pytest
from laid_over import TABLE, checked, message
from snakemake.cli import parse_config  # type: ignore[import-untyped]

from degu.errors import InputError
from degu.ingest import SOURCES
from degu.models.registry import REGISTRY
from degu.study.config import validate


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
                "attribution: {top_n: 5001}",
                "attribution.top_n",
                ["5001 is more than the 5000 sequences of data.n_test", "smaller"],
            ),
            (
                "attribution: {bins: 10, per_bin: 501}",
                "attribution.bins",
                ["10 bins of 501 (per_bin) need 5010 test sequences, but data.n_test is 5000"],
            ),
            (
                "attribution: {methods: [shap], references: 6000}",
                "attribution.references",
                ["6000 is more than the 5000"],
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
            (
                "{aleatoric: replicates, data: {replicates: 1}}",
                "aleatoric",
                ["two or more replicates", "data.replicates", "`aleatoric: learned`"],
            ),
            (TABLE + "aleatoric: replicates", "aleatoric", ["in data.replicates, or write"]),
            ("aleatoric: always", "aleatoric", ["none", "replicates", "learned"]),
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
            ("model_name: MyNet", "model_name", ["Compact", "remove"]),
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
            validate({})
        with pytest.raises(InputError, match=r"^data: is missing; .*`data: {source: table"):
            validate({"dataset": "a"})

    def test_a_misspelt_required_key_is_not_called_missing(self):
        text = message("{dataset: a, data: {source: table, pth: x.tsv}}")
        assert text == "data.pth: is not a key of source table; did you mean path?"

    def test_nested_values_of_the_command_line(self):
        """Snakemake leaves them as text, which needs a hint of its own."""
        assert checked(parse_config(["seed=7", "dataset=x"]))["seed"] == 7
        text = message(parse_config(["training={epochs: 5}"]))
        assert text.startswith("training.epochs: is the text '5'")
        assert "--config" in text
