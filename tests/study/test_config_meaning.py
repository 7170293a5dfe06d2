"""degu.study.config.meaning: what depends on other keys, and the configs that are shipped."""

from __future__ import annotations

import pytest
import yaml
from laid_over import EMBEDDED, PAPER_TRAINING, ROOT, checked

from degu.study.config import display_name, validate
from degu.sweep import Arm, choose_arms, expand_arms, pool_sizes


class TestDisplayName:
    def test_names(self):
        assert display_name(checked()) == "Compact"
        assert display_name(checked("model: deepstarr")) == "DeepSTARR"
        assert display_name(checked("{model: 'my_lab.nets:build', model_name: My-Net2}")) == (
            "My-Net2"
        )


class TestWhatDependsOnOtherKeys:
    def test_one_augmentation_is_all_that_a_moderate_shift_can_draw(self):
        assert checked("evoaug: {augmentations: [noise]}")["shift"]["per_sequence"] == 1

    def test_dynamic_students_learn_what_plain_ones_do(self):
        config = checked("{students: {uncertainty: [logvar]}}")
        assert config["dynamic_augmentation"]["uncertainty"] == "logvar"

    def test_more_shuffles_than_test_sequences_are_no_mistake(self):
        config = checked("attribution: {methods: [shap_dinuc_shuffle], references: 2000}")
        assert config["attribution"]["references"] == 2000

    @pytest.mark.parametrize("text", ["aleatoric: learned", "aleatoric: replicates"])
    def test_the_simulation_has_replicates(self, text):
        assert checked(text)["aleatoric"] in text


class TestShippedConfigs:
    @pytest.mark.parametrize(
        "path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name
    )
    def test_valid_by_itself_and_over_the_embedded_one(self, path):
        text = path.read_text()
        assert checked(text) == validate(yaml.safe_load(text))

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
        assert config["students"] == {
            **{"replicates": 10, "uncertainty": ["std", "logvar"]},
            "uncertainty_weight": {"std": 1, "logvar": 1},
        }
        trainings = [config[name] for name in config if name.endswith(("training", "finetuning"))]
        assert len(trainings) == 5
        for training in trainings:
            assert (training["batch_norm"], training["short_epoch"]) == ("moving", 0)
        assert config["training"] == PAPER_TRAINING
        assert config["distillation"]["copies"] == 0
        assert config["resources"]["train"]["gpu"] == config["resources"]["predict"]["gpu"] == 1

    def test_the_best_of_deepstarr_has_its_arms_and_our_trainings(self):
        paper, best = (
            checked((ROOT / "config" / name).read_text())
            for name in ("deepstarr.yaml", "deepstarr_best.yaml")
        )
        ours = ("training", "finetuning", "distillation", "dataset", "students")
        assert {k: v for k, v in best.items() if not k.endswith(ours)} == {
            k: v for k, v in paper.items() if not k.endswith(ours)
        }
        assert best["distillation"]["copies"] == 4
        assert best["students"]["uncertainty_weight"] == {"std": 1, "logvar": 0.1}
        assert {
            k: v["batch_norm"] for k, v in best.items() if k.endswith(("training", "tuning"))
        } == {
            "training": "precise",
            "finetuning": "precise",
            "student_training": "as_trained",
            "student_finetuning": "as_trained",
            "dynamic_finetuning": "precise",
        }

    @pytest.mark.parametrize("name", ["planted_motifs", "plant_terminators", "terminator_sizes"])
    def test_no_study_has_the_settings_of_the_embedded_one(self, name):
        """What only the embedded study is to have must not reach a config that names a source."""
        config = checked((ROOT / "config" / f"{name}.yaml").read_text())
        embedded = checked()
        assert config["model"] == "deepstarr" != embedded["model"]
        assert config["arms"] != embedded["arms"]
        if config["data"]["source"] == "simulate":
            differ = ("n_train", "n_val", "n_test", "length", "decoys", "rarity")
            assert all(config["data"][key] != embedded["data"][key] for key in differ)
        for section in ("training", "student_training"):
            assert config[section] != embedded[section]

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
