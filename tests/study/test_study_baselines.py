"""What the built-in baselines add to a study: members, files, seeds, jobs, and nothing else."""

import pytest

from degu.baselines import BASELINES
from degu.errors import InputError
from degu.io.versions import STAGES
from degu.kinds import BUILT_IN
from degu.study.config import validate
from degu.study.figures import looks
from degu.study.inputs import (
    prediction_inputs,
    prediction_params,
    score_inputs,
    shift_prediction_inputs,
    training_inputs,
    training_params,
)
from degu.study.kinds import STUDENT, TEACHER, kind_of
from degu.study.parts import jobs_of, part_files, summary_inputs, summary_params, trained_by
from degu.study.study import Study
from degu.sweep import Arm

CONFIG = {
    "dataset": "assay",
    "data": {"source": "simulate"},
    "model": "deepstarr",
    "arms": [{"ensemble_sizes": [2, 5]}, {"augmentations": ["evoaug"], "ensemble_sizes": [3]}],
    "students": {"replicates": 4, "uncertainty": ["std"]},
    "attribution": {"methods": ["saliency"]},
}
POOL = "results/assay/standard/downsample_1"
LARGE = {"augmentation": "standard", "proportion": "1", "size": "5"}


def study_of(*baselines, **changes):
    return Study.from_config(validate({**CONFIG, "baselines": list(baselines), **changes}))


def numbers(study, name):
    """How many models of a kind the two pools have, or the three arms."""
    counts: dict = {}
    for m in study.members(kinds=[kind_of(name)]):
        place = (m.augmentation, m.size, m.variant)
        counts[tuple(part for part in place if part is not None)] = m.member
    return counts


def test_the_names_are_those_of_the_design():
    assert set(BASELINES) == {
        *("residual", "heteroscedastic_ensemble", "mc_dropout", "heteroscedastic", "beta_nll"),
        *("laplace", "cauchy", "evidential", "mixed_ensemble", "mean_student", "constant"),
    }
    for baseline in BASELINES.values():
        assert callable(baseline.laws_of)
        for name in baseline.of:
            assert kind_of(name).name in (baseline.kind.name if baseline.kind else None, *BUILT_IN)


@pytest.mark.parametrize("name", ["residual", "constant"])
def test_those_of_teachers_and_students_alone_train_nothing(name):
    assert study_of(name).kinds == study_of().kinds


@pytest.mark.parametrize("name", ["heteroscedastic", "beta_nll", "laplace", "cauchy", "evidential"])
def test_what_does_not_depend_on_the_size_is_trained_once_a_pool(name):
    study = study_of(name)
    assert numbers(study, name) == {("standard",): 4, ("evoaug",): 4}
    member = next(m for m in study.members(kinds=[kind_of(name)]) if m.member == 2)
    assert study.layout.model(member) == f"{POOL}/baselines/{name}/2_DeepSTARR.h5"
    assert study.layout.predictions(member) == f"{POOL}/baselines/{name}/2_predictions.h5"
    assert study.layout.shift_predictions(member) == f"{POOL}/shift/{name}/2_predictions.h5"
    assert training_inputs(study, kind_of(name), "").keys() == {"dataset", "subset"}
    assert score_inputs(study, kind_of(name)).keys() == {"dataset", "predictions"}


def test_an_ensemble_of_heteroscedastic_members_adds_members_and_changes_none():
    alone, both = (
        study_of("heteroscedastic"),
        study_of("heteroscedastic", "heteroscedastic_ensemble"),
    )
    name = "heteroscedastic"
    assert numbers(both, name) == {("standard",): 5, ("evoaug",): 4}
    assert numbers(study_of("heteroscedastic_ensemble"), name) == numbers(both, name)
    kind = kind_of(name)
    before, after = (s.members(kinds=[kind]) for s in (alone, both))
    assert set(before) < set(after)
    for member in before:
        assert alone.seed(member, member.phases[0]) == both.seed(member, member.phases[0])
    for phase in ("", "aug", "finetune"):
        given = [training_params(s, kind, phase) for s in (alone, both)]
        assert len({str(plain(params)) for params in given}) == 1


def plain(params):
    return {name: value for name, value in params.items() if not callable(value)}


def test_the_student_of_the_mean_learns_what_students_do_but_for_the_std():
    study = study_of("mean_student")
    kind = kind_of("mean_student")
    assert numbers(study, "mean_student") == {
        **{("standard", 2): 4, ("standard", 5): 4, ("evoaug", 3): 4}
    }
    for phase in ("", "aug", "finetune"):
        own, students = (training_inputs(study, k, phase) for k in (kind, STUDENT))
        assert own.keys() == students.keys()
        own, students = (training_params(study, k, phase) for k in (kind, STUDENT))
        assert own["training"] == students["training"]
        assert own["copies"] == students["copies"]
        assert own["loss"]({}) is None  # the weight of uncertainty heads is no matter
    member = study.members([Arm("standard", 1.0, 5)], [kind])[1]
    assert study.layout.model(member) == f"{POOL}/baselines/n5/mean_student/2_DeepSTARR.h5"
    assert (
        study.layout.shift_predictions(member) == f"{POOL}/shift/n5-mean_student/2_predictions.h5"
    )
    assert member.heads(("a",)).columns == ("a",)
    paired = study.members([Arm("standard", 1.0, 5)], [STUDENT])[1]
    assert study.seed(member, "") == study.seed(paired, "")
    assert member not in study.uncertain(Arm("standard", 1.0, 5))


def test_dropout_borrows_the_teachers_models():
    study = study_of(
        "mc_dropout", baseline_settings={"mc_dropout": {"batch_norm": ["precise", "moving"]}}
    )
    kind = kind_of("mc_dropout")
    # No more than there are teachers.
    assert numbers(study, "mc_dropout") == {
        **{("standard", v): 4 for v in ("precise", "moving")},
        **{("evoaug", v): 3 for v in ("precise", "moving")},
    }
    assert kind.trainings == {}
    assert kind.tuned == ()
    member = study.member(kind, {**LARGE, "ix": "2", "variant": "moving"})
    teacher = study.member(TEACHER, {**LARGE, "ix": "2"})
    assert member.owner == teacher
    assert study.layout.model(member) == study.layout.model(teacher)
    assert study.layout.files([member]) == [
        f"{POOL}/baselines/mc_dropout/2_moving_predictions.h5",
        f"{POOL}/baselines/mc_dropout/2_moving_performance.csv",
    ]
    evoaug = study.member(
        kind, {"augmentation": "evoaug", "proportion": "1", "ix": "1", "variant": "precise"}
    )
    assert study.layout.model(evoaug).endswith(
        "evoaug/downsample_1/teachers/1_DeepSTARR_finetune.h5"
    )
    files = prediction_inputs(study, kind)
    assert files["models"](evoaug.wildcards) == [study.layout.model(evoaug)]
    assert shift_prediction_inputs(study, kind)["subset"] == files["subset"]
    assert shift_prediction_inputs(study, TEACHER).keys() == {"dataset", "sequences", "models"}
    assert study.choices["variant"] == "precise|moving"
    # It is no training of its own anywhere.
    assert len(trained_by(study)) == len(trained_by(study_of()))
    assert (
        summary_inputs(study, "all")["histories"] == summary_inputs(study_of(), "all")["histories"]
    )
    assert not [rule for rule in jobs_of(study, Arm("standard", 1.0, 5)) if "train_mc" in rule]
    assert len(jobs_of(study, Arm("standard", 1.0, 5))["predict_mc_dropout"]) == 8
    with pytest.raises(InputError, match="is no model"):
        study_of("mc_dropout", reseed=[f"{POOL}/baselines/mc_dropout/1_precise.h5"])


def test_what_dropout_goes_by_is_in_its_parameters():
    study, kind = study_of("mc_dropout"), kind_of("mc_dropout")
    params = prediction_params(study, kind)
    wildcards = [{**LARGE, "ix": ix, "variant": v} for ix in "12" for v in ("precise", "moving")]
    assert len({params["seed"](w) for w in wildcards}) == 4
    assert params["settings"](wildcards[0]) == {"passes": 100}
    assert params["stage"] == STAGES["predict"]
    assert "seed" not in prediction_params(study, TEACHER)


def test_members_of_mixed_architectures_take_turns():
    study = study_of(
        "mixed_ensemble", mixed_architectures=["compact", "deepstarr", "compact"], model="compact"
    )
    kind = kind_of("mixed")
    assert numbers(study, "mixed") == {("standard",): 5, ("evoaug",): 3}
    architecture = training_params(study, kind, "")["architecture"]
    names = [architecture({**LARGE, "ix": str(ix)}) for ix in range(1, 6)]
    assert names == ["compact", "deepstarr", "compact", "compact", "deepstarr"]
    assert prediction_params(study, kind)["architecture"]({**LARGE, "ix": "2"}) == "deepstarr"
    source = training_params(study, kind, "")["architecture_source"]
    assert source({**LARGE, "ix": "2"}) is None
    member = study.member(kind, {**LARGE, "ix": "2"})
    assert study.layout.model(member) == f"{POOL}/baselines/mixed/2_Mixed.h5"
    with pytest.raises(InputError, match="mixed_architectures: 'deepstar' is neither"):
        study_of(mixed_architectures=["deepstar"])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("beta_nll", {"beta_nll": {"beta": [0.25]}}),
        ("evidential", {"evidential": {"penalty": [1]}}),
    ],
)
def test_the_weight_of_a_loss_is_a_parameter_of_its_own_trainings_alone(name, settings):
    before, after = study_of(*BASELINES), study_of(*BASELINES, baseline_settings=settings)

    def params(study, kind, phase):
        own = training_params(study, kind, phase)
        return plain(own) | {"loss": own["loss"]({"uncertainty": "std"})}

    changed = {
        kind.name
        for kind in before.kinds
        for phase in {phase for phases in kind.phases.values() for phase in phases}
        if kind.borrows is None and params(before, kind, phase) != params(after, kind, phase)
    }
    assert changed == {name}


def test_what_others_go_by_is_as_it_was():
    before, after = study_of(), study_of(*BASELINES)
    for kind in before.kinds:
        for phase in ("", "aug", "finetune"):
            given = [plain(training_params(study, kind, phase)) for study in (before, after)]
            assert given[0] == given[1]
    assert set(part_files(before, "all")) < set(part_files(after, "all"))
    assert part_files(before, "size_sweep") == part_files(after, "size_sweep")


def test_no_baseline_has_attribution_maps():
    study = study_of(*BASELINES)
    assert {m.kind.name for m in study.explained()} == {"teacher", "student"}


def test_all_seeds_of_models_differ_but_for_paired_students():
    study = study_of(*BASELINES)
    trained = [m for m in study.trained() if m.kind.name != "mean_student"]
    seeds = [study.seed(m, phase) for m in trained for phase in m.phases]
    assert len(set(seeds)) == len(seeds)


def test_every_kind_has_a_look_of_its_own():
    labels = [look["label"] for look in looks(study_of(*BASELINES))]
    assert len(set(labels)) == len(labels)
    # Of what is drawn from laws, which are more than kinds.
    own = [baseline.label for baseline in BASELINES.values()]
    assert len(set(own)) == len(own)
    for name, baseline in BASELINES.items():
        if baseline.kind and baseline.kind.role == name:
            assert baseline.label == baseline.kind.label


def test_rows_of_the_summary_are_told_apart():
    study = study_of(
        *BASELINES, baseline_settings={"mc_dropout": {"batch_norm": ["precise", "moving"]}}
    )
    rows = [tuple(sorted(row.items())) for row in summary_params(study, "all")["members"]]
    assert len(set(rows)) == len(rows)


def test_a_pattern_matches_the_paths_of_its_members():
    study = study_of(*BASELINES)
    layout = study.layout
    for member in study.members():
        pattern = study.pattern(member.kind)
        for phase in member.phases:
            paths = [layout.performance] + ([] if member.kind.borrows else [layout.model])
            for path in paths:
                assert path(pattern, phase).format(**member.wildcards) == path(member, phase)
        assert layout.predictions(pattern).format(**member.wildcards) == layout.predictions(member)
        assert study.member(member.kind, member.wildcards) == member
