"""The jobs of a small study with aleatoric heads and EvoAug, one after the other."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import motif_activity, random_one_hot

from degu.dataset import Split, read_info, write_dataset
from degu.dataset.distillation import write_distillation
from degu.heads import Heads
from degu.io.files import read_npy, write_npy
from degu.io.predictions import read_predictions
from degu.jobs.ensemble import aggregate
from degu.jobs.predict import predict_members
from degu.jobs.score import score_ensemble, score_members
from degu.jobs.train import finetune, train
from degu.models.files import load_model
from degu.study.config import validate
from degu.study.inputs import ensemble_aleatoric, first_training_inputs, training_params
from degu.study.kinds import DYNAMIC_STUDENT, STUDENT, TEACHER
from degu.study.study import Study
from degu.sweep import SPLITS, Arm

TARGETS = ("Dev", "Hk")
SIZES = {"Train": 60, "Val": 20, "Test": 24}
TRAINING = {"epochs": 1, "batch_size": 16}
NETWORK = """
import keras
from keras import layers

def build(input_shape, output_dim):
    inputs = keras.Input(input_shape)
    x = layers.Conv1D(8, 3, activation="relu")(inputs)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling1D()(x))
    return keras.Model(inputs, layers.Dense(output_dim)(x), name="small")
"""


class Jobs:
    """The jobs of a study in the working folder; Hk has no replicates."""

    def __init__(self, mode, model):
        self.study = Study.from_config(
            validate(
                {
                    "dataset": "noisy",
                    "data": {"source": "hdf5", "path": "unread.h5"},
                    "targets": list(TARGETS),
                    "aleatoric": mode,
                    "model": model,
                    "model_name": "Small",
                    "augmentations": ["evoaug"],
                    "evoaug": {"augmentations": ["mutation"], "per_batch": 1},
                    "ensemble_sizes": [2],
                    "students": {"replicates": 1, "uncertainty": ["logvar"]},
                    "distillation": {"copies": 0},
                    "dynamic_augmentation": {"modes": ["random"], "batches": ["append"]},
                    **{
                        name: TRAINING
                        for name in (
                            *("training", "student_training", "finetuning"),
                            *("student_finetuning", "dynamic_finetuning"),
                        )
                    },
                }
            )
        )
        self.arm = Arm("evoaug", 1.0, 2)
        self.layout = self.study.layout
        self.files = {"dataset": self.layout.dataset, "subset": self.layout.subset(self.arm)}
        rng = np.random.default_rng(0)
        splits = {}
        for seed, (name, n) in enumerate(SIZES.items()):
            x = random_one_hot(n, 20, seed)
            y_std = rng.random((n, 2)).astype(np.float32)
            y_std[:, 1] = np.nan
            counts = np.tile([2, 0], (n, 1))
            splits[name] = Split(x, motif_activity(x, 2), y_std, y_replicates=counts)
        Path(self.layout.dataset).parent.mkdir(parents=True)
        write_dataset(self.layout.dataset, splits, targets=TARGETS, source="test")
        self.splits = splits
        self.label = {"dataset_sha256": read_info(self.layout.dataset).sha256}
        Path(self.files["subset"]).parent.mkdir(parents=True)
        write_npy(np.arange(SIZES["Train"]), self.files["subset"], proportion=1.0, **self.label)

    def train(self, member):
        """All phases of a member, and what it predicts; its last history."""
        for phase in member.phases:
            wildcards = member.wildcards

            def filled(given, wildcards=wildcards):
                if callable(given):
                    return given(wildcards)
                return given.format(**wildcards) if isinstance(given, str) else given

            files = first_training_inputs(self.study, member.kind, phase)
            params = training_params(self.study, member.kind, phase)
            files, params = ({k: filled(v) for k, v in g.items()} for g in (files, params))
            output = {
                "model": self.layout.model(member, phase),
                "history": self.layout.history(member, phase),
            }
            Path(output["model"]).parent.mkdir(parents=True, exist_ok=True)
            if phase == "finetune":
                files["model"] = self.layout.model(member, "aug")
                finetune(member, files, output, params, self.study.config)
            else:
                train(member, files, output, params, self.study.config)
        models = [self.layout.model(member, phase) for phase in member.phases]
        given = {**self.files, "models": models}
        predict_members(
            [member], given, [self.layout.predictions(member)], self.study.config["model"]
        )
        return pd.read_csv(output["history"])

    def distill(self, teachers):
        """The ensemble's files, and what its students learn from."""
        given = {**self.files, "predictions": [self.layout.predictions(m) for m in teachers]}
        output = {f"std_{s.lower()}": self.layout.ensemble_std(self.arm, s) for s in SPLITS}
        output["mean_train"] = self.layout.ensemble_mean(self.arm)
        aleatoric = ensemble_aleatoric(self.study)
        output |= {k: v.format(**self.arm.wildcards) for k, v in aleatoric.items()}
        Path(output["mean_train"]).parent.mkdir(parents=True)
        aggregate(self.arm.label, given, output)
        path = Path(self.layout.distillation(self.arm))
        path.parent.mkdir(parents=True)
        write_distillation(
            path,
            dataset=self.layout.dataset,
            rows=np.arange(SIZES["Train"]),
            mean_train=read_npy(output["mean_train"]),
            std={s: read_npy(output[f"std_{s.lower()}"]) for s in SPLITS},
            aleatoric={s: read_npy(output[f"aleatoric_{s.lower()}"]) for s in SPLITS},
            **self.arm.label,
        )
        return given


@pytest.mark.parametrize("mode", ["replicates", "learned"])
def test_from_teachers_to_students(mode, own_module, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    jobs = Jobs(mode, f"{own_module('small_network', NETWORK)}:build")
    study, layout = jobs.study, jobs.layout
    teachers = study.members(kinds=[TEACHER])
    by_loss = "val_replicates" if mode == "replicates" else "val_nll"
    for teacher in teachers:
        history = jobs.train(teacher)
        assert np.isfinite(history[[by_loss, "val_MSE_Dev", "val_MSE_Hk"]]).all(axis=None)
    said = capsys.readouterr().err
    assert ("two replicates of Hk: " in said) == (mode == "replicates")
    predictions, card = read_predictions(layout.predictions(teachers[0]))
    assert card.heads == Heads(TARGETS, ("mean", "aleatoric"))
    assert predictions["Val"].shape == (20, 4)

    given = jobs.distill(teachers)
    score_ensemble(jobs.arm.label, given, "table.csv")
    assert list(pd.read_csv("table.csv")) == ["metric", *TARGETS]
    for kind in (STUDENT, DYNAMIC_STUDENT):
        (student,) = study.members(kinds=[kind])
        history = jobs.train(student)
        predictions, card = read_predictions(layout.predictions(student))
        assert card.heads == Heads.student(TARGETS, "logvar", aleatoric=True)
        assert {f"val_MSE_{name}" for name in card.heads.columns} <= set(history)
        assert "val_nll" not in history
        tables = [layout.performance(student, phase) for phase in student.phases]
        own = {
            "dataset": layout.dataset,
            "predictions": [layout.predictions(student)],
            "std_test": layout.ensemble_std(jobs.arm, "Test"),
        }
        score_members([student], own, tables)
        assert list(pd.read_csv(tables[-1])) == ["metric", *TARGETS, "Dev-std", "Hk-std"]
        model, _ = load_model(layout.model(student, "finetune"))
        assert model.output_shape == (None, 6)
