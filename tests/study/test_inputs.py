"""What rules are given to read, where a plan of jobs alone would not tell."""

import pytest

from degu.io.versions import STAGES
from degu.metrics import METRICS
from degu.ops.progress import models_of
from degu.study.config import validate
from degu.study.inputs import (
    batch,
    batch_job,
    batch_request,
    copies_files,
    copies_request,
    fidelity_params,
    first_training_inputs,
    label_params,
    prediction_params,
    score_params,
    training_inputs,
    training_params,
)
from degu.study.kinds import DYNAMIC_STUDENT, STUDENT, TEACHER
from degu.study.study import Study

CONFIG = {
    "dataset": "assay",
    "data": {"source": "simulate"},
    "baselines": [],
    "model": "deepstarr",
    "arms": [
        {"ensemble_sizes": [2, 3]},
        {"augmentations": ["evoaug"], "ensemble_sizes": [2]},
    ],
    "students": {"replicates": 3, "uncertainty": ["std"]},
    "dynamic_augmentation": {
        "modes": ["random"],
        "batches": ["replace", "append"],
        "uncertainty": "std",
    },
}
ARM = {"augmentation": "evoaug", "proportion": "1", "size": "2"}


def study_of(**changes):
    return Study.from_config(validate({**CONFIG, **changes}))


def test_dynamic_students_are_labelled_by_their_arm_s_finished_teachers():
    study = study_of()
    teachers = first_training_inputs(study, DYNAMIC_STUDENT, "aug")["teachers"]
    pool = "results/assay/evoaug/downsample_1/teachers"
    assert teachers(ARM) == [f"{pool}/{ix}_DeepSTARR_finetune.h5" for ix in (1, 2)]
    pool = "results/assay/standard/downsample_1/teachers"
    plain = {**ARM, "augmentation": "standard", "size": "3"}
    assert teachers(plain) == [f"{pool}/{ix}_DeepSTARR.h5" for ix in (1, 2, 3)]


def test_one_job_has_all_students_of_an_arm_and_one_teacher():
    study = study_of()
    assert [member.member for member in batch(study, STUDENT)] == [1, 2, 3]
    assert [member.member for member in batch(study, TEACHER)] == ["{ix}"]
    # Plans read from the name how many they are.
    name = batch_job(study, STUDENT)
    assert name == "{augmentation}_{proportion}_n{size}_{uncertainty}_1-3"
    assert models_of(name) == models_of(f"logs/{name}.log") == 3
    assert batch_job(study, TEACHER) == "{augmentation}_{proportion}_{ix}"
    assert models_of("standard_1_3") == models_of("standard_1_n10_std_1") == 1
    # As much time for each of them, and more at a second attempt.
    request = {"gpu": 1, "runtime": lambda wildcards, attempt: 10 * attempt}
    assert batch_request(request, study, STUDENT)["runtime"](None, 2) == 60
    assert batch_request(request, study, TEACHER)["runtime"](None, 2) == 20
    assert batch_request(request, study, STUDENT)["gpu"] == 1


def test_paths_have_the_values_of_every_kind():
    patterns = study_of().choices
    assert patterns == {"uncertainty": "std", "variant": "random|random_append"}
    assert "variant" not in study_of(dynamic_augmentation={"modes": []}).choices


def test_a_study_that_names_no_arms_for_attribution_has_maps_of_all():
    assert study_of(attribution={"top_n": 7}).attribution_arms == study_of().arms
    assert study_of(attribution={"methods": []}).attribution_arms == ()


def test_each_phase_has_the_settings_of_its_own_section():
    """And EvoAug where an arm has it, which is before fine-tuning alone."""
    study = study_of(
        training={"epochs": 11},
        finetuning={"epochs": 12},
        student_training={"epochs": 13},
        student_finetuning={"epochs": 14},
        dynamic_finetuning={"epochs": 15},
    )
    epochs = {
        (kind.name, phase): training_params(study, kind, phase)["training"]["epochs"]
        for kind in (TEACHER, STUDENT, DYNAMIC_STUDENT)
        for phase in ("", "aug", "finetune")
    }
    assert epochs == {
        **{("teacher", phase): n for phase, n in (("", 11), ("aug", 11), ("finetune", 12))},
        **{("student", phase): n for phase, n in (("", 13), ("aug", 13), ("finetune", 14))},
        **{("dynamic_student", p): n for p, n in (("", 13), ("aug", 13), ("finetune", 15))},
    }
    assert training_params(study, TEACHER, "aug")["evoaug"] == study.evoaug
    assert training_params(study, TEACHER, "")["evoaug"] is None
    assert "evoaug" not in training_params(study, TEACHER, "finetune")


def test_tables_are_made_again_for_another_metric():
    before = score_params(TEACHER)
    METRICS["Another"] = METRICS["MSE"]
    try:
        assert score_params(TEACHER) != before
        assert score_params() != score_params(TEACHER)
    finally:
        del METRICS["Another"]
    assert score_params(TEACHER) == before


def test_copies_are_for_the_last_phase_of_plain_students():
    """With EvoAug fine-tuning has them; students with dynamic augmentation have none."""
    study, pattern = study_of(), {**ARM, "uncertainty": "std"}
    path = study.layout.copies(study.arm(ARM))
    assert path == "results/assay/evoaug/downsample_1/distillation/n2/copies.h5"
    read = {}
    for kind in (TEACHER, STUDENT, DYNAMIC_STUDENT):
        for phase in {phase for phases in kind.phases.values() for phase in phases}:
            has = training_inputs(study, kind, phase).get("copies")
            settings = training_params(study, kind, phase)["copies"]
            assert settings == (study.copies if has else None)
            read[kind.name, phase] = has and has.format(**pattern)
    assert {key: has for key, has in read.items() if has} == {
        ("student", ""): path,
        ("student", "finetune"): path,
    }
    assert study.copies["copies"] == 4
    none = study_of(distillation={"copies": 0})
    assert none.copies is None
    assert "copies" not in training_inputs(none, STUDENT, "")
    assert training_params(none, STUDENT, "")["copies"] is None


def test_the_labels_of_an_arm_need_what_its_own_teachers_predict():
    """Files of no other arm, so that labels made again bring no other labels with them."""
    study = study_of()
    files = copies_files(study)
    folder = "results/assay/standard/downsample_1/distillation"
    plain = {**ARM, "augmentation": "standard"}
    assert files(plain) == [f"{folder}/n2/{ix}_copies.h5" for ix in (1, 2)]
    assert files({**plain, "size": "3"}) == [f"{folder}/n3/{ix}_copies.h5" for ix in (1, 2, 3)]


def test_as_much_time_for_each_copy():
    request = {"gpu": 1, "runtime": lambda wildcards, attempt: 10 * attempt}
    assert copies_request(request, study_of())["runtime"](None, 2) == 80
    assert copies_request(request, study_of())["gpu"] == 1


@pytest.mark.parametrize(
    ("params", "stages"),
    [
        (lambda: training_params(study_of(compute_threads=2), STUDENT, ""), {"train"}),
        (lambda: training_params(study_of(compute_threads=2), TEACHER, ""), {"train"}),
        (lambda: prediction_params(study_of(compute_threads=2), STUDENT), {"predict"}),
        (lambda: label_params(study_of()), {"predict", "aggregate"}),
        (lambda: fidelity_params(study_of()), {"score", "fidelity"}),
    ],
)
def test_another_version_is_another_set_of_values(params, stages, monkeypatch):
    """As which Snakemake compares parameters; a version that equals another number counts too."""

    def values():
        return {repr(value) for value in params().values() if not callable(value)}

    before = values()
    for name in stages:
        for version in range(2, 9):
            with monkeypatch.context() as patch:
                patch.setitem(STAGES, name, version)
                assert values() != before


def test_another_weight_is_another_set_of_values():
    found = set()
    for weight in (*range(1, 9), 0.5):
        study = study_of(students={"uncertainty_weight": {"std": weight}}, compute_threads=2)
        params = training_params(study, STUDENT, "")
        params["loss"] = params["loss"]({"uncertainty": "std"})
        found.add(frozenset(repr(value) for value in params.values() if not callable(value)))
        # Those of the other kind are not trained again.
        other = training_params(study, STUDENT, "")["loss"]({"uncertainty": "logvar"})
        assert other == {"uncertainty_weight": 0.1}
    assert len(found) == 9
    assert training_params(study_of(), TEACHER, "")["loss"]({}) is None
