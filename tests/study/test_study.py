"""What a config means: members, their files as the design promises them, their seeds, parts."""

import hashlib
from dataclasses import replace

import pytest

from degu.baselines import BASELINES, register, registered
from degu.baselines.baseline import Baseline
from degu.errors import InputError
from degu.kinds import Kind
from degu.study.config import validate
from degu.study.inputs import training_params
from degu.study.kinds import DYNAMIC_STUDENT, STUDENT, TEACHER, kind_of
from degu.study.parts import PARTS, jobs_of, part_files, summary_params
from degu.study.study import Study
from degu.sweep import Arm

CONFIG = {
    "dataset": "assay",
    "data": {"source": "simulate"},
    "baselines": [],
    "model": "deepstarr",
    "arms": [
        {"ensemble_sizes": [2, 3]},
        {"proportions": [0.25], "ensemble_sizes": [2]},
        {"augmentations": ["evoaug"], "ensemble_sizes": [2]},
    ],
    "students": {"replicates": 2, "uncertainty": ["std", "logvar"]},
    "dynamic_augmentation": {
        "modes": ["random"],
        "batches": ["replace", "append"],
        "uncertainty": "logvar",
        "arms": [{"augmentations": ["standard"], "proportions": [1], "ensemble_sizes": [2]}],
    },
    "attribution": {"methods": ["saliency"], "top_n": 7, "arms": [{"ensemble_sizes": [3]}]},
}
RESULTS = "results/assay"


def study_of(**changes):
    return Study.from_config(validate({**CONFIG, **changes}))


@pytest.fixture(scope="module")
def study():
    return study_of()


def only(members, **fields):
    """The one member with these fields."""
    (member,) = [
        m for m in members if all(getattr(m, name) == value for name, value in fields.items())
    ]
    return member


def test_members_are_trained_once_for_the_largest_size(study):
    teachers = study.members(kinds=[TEACHER])
    pools = [(m.augmentation, m.proportion, m.member) for m in teachers]
    assert pools == [
        *(("standard", 1.0, i) for i in (1, 2, 3)),
        *(("standard", 0.25, i) for i in (1, 2)),
        *(("evoaug", 1.0, i) for i in (1, 2)),
    ]
    assert all(m.size is None for m in teachers)


def test_every_arm_has_its_students_and_chosen_ones_dynamic_ones(study):
    # Four arms, two kinds of uncertainty, two replicates.
    students = study.members(kinds=[STUDENT])
    assert len(students) == len(set(students)) == 4 * 2 * 2
    dynamic = study.members(kinds=[DYNAMIC_STUDENT])
    assert [(m.variant, m.member) for m in dynamic] == [
        *(("random", 1), ("random", 2)),
        *(("random_append", 1), ("random_append", 2)),
    ]
    assert {(m.augmentation, m.proportion, m.size, m.uncertainty) for m in dynamic} == {
        ("standard", 1.0, 2, "logvar")
    }


@pytest.mark.parametrize(
    ("kind", "fields", "paths"),
    [
        (
            TEACHER,
            {"augmentation": "standard", "proportion": 0.25, "member": 2},
            [
                "standard/downsample_0.25/teachers/2_DeepSTARR.h5",
                "standard/downsample_0.25/teachers/2_history.csv",
                "standard/downsample_0.25/teachers/2_predictions.h5",
                "standard/downsample_0.25/teachers/2_performance.csv",
            ],
        ),
        (
            TEACHER,
            {"augmentation": "evoaug", "member": 1},
            [
                "evoaug/downsample_1/teachers/1_DeepSTARR_aug.h5",
                "evoaug/downsample_1/teachers/1_history_aug.csv",
                "evoaug/downsample_1/teachers/1_DeepSTARR_finetune.h5",
                "evoaug/downsample_1/teachers/1_history_finetune.csv",
                "evoaug/downsample_1/teachers/1_predictions.h5",
                "evoaug/downsample_1/teachers/1_performance_aug.csv",
                "evoaug/downsample_1/teachers/1_performance_finetune.csv",
            ],
        ),
        (
            STUDENT,
            {"augmentation": "standard", "size": 3, "uncertainty": "logvar", "member": 1},
            [
                "standard/downsample_1/students/n3/logvar/1_DeepSTARR.h5",
                "standard/downsample_1/students/n3/logvar/1_history.csv",
                "standard/downsample_1/students/n3/logvar/1_predictions.h5",
                "standard/downsample_1/students/n3/logvar/1_performance.csv",
            ],
        ),
        (
            DYNAMIC_STUDENT,
            {"variant": "random_append", "member": 2},
            [
                "standard/downsample_1/students/n2/dynamic/2_DeepSTARR_random_append_aug.h5",
                "standard/downsample_1/students/n2/dynamic/2_random_append_history_aug.csv",
                "standard/downsample_1/students/n2/dynamic/2_DeepSTARR_random_append_finetune.h5",
                "standard/downsample_1/students/n2/dynamic/2_random_append_history_finetune.csv",
                "standard/downsample_1/students/n2/dynamic/2_random_append_predictions.h5",
                "standard/downsample_1/students/n2/dynamic/2_random_append_performance_aug.csv",
                "standard/downsample_1/students/n2/dynamic/2_random_append_performance_finetune.csv",
            ],
        ),
    ],
    ids=["teacher", "EvoAug", "student", "dynamic"],
)
def test_files_lie_where_the_design_promises(study, kind, fields, paths):
    member = only(study.members(kinds=[kind]), **fields)
    assert study.layout.files([member]) == [f"{RESULTS}/{path}" for path in paths]


def test_files_of_shift_and_attribution(study):
    standard = f"{RESULTS}/standard/downsample_1"
    teacher = only(study.members([Arm("standard", 1.0, 3)], [TEACHER]), member=3)
    student = only(study.explained(kinds=[STUDENT]), uncertainty="std", member=2)
    dynamic = only(study.members(kinds=[DYNAMIC_STUDENT]), variant="random", member=1)
    layout = study.layout
    assert layout.shift_predictions(teacher) == f"{standard}/shift/teachers/3_predictions.h5"
    assert layout.shift_predictions(student) == f"{standard}/shift/n3-std/2_predictions.h5"
    path = f"{standard}/shift/n2-dynamic/1_random_predictions.h5"
    assert layout.shift_predictions(dynamic) == path
    assert layout.maps(student, "saliency") == f"{standard}/attribution/n3-std/2_saliency.h5"
    assert layout.top_maps(student, "saliency") == [
        f"{standard}/attribution/n3-std/2_top7_{head}_saliency.npy"
        for head in ("Dev-mean", "Dev-std", "Hk-mean", "Hk-std")
    ]
    assert layout.map_distances(teacher, "saliency") == [
        f"{standard}/attribution/teachers/3_top7_{t}_saliency_euclidean_dist.npy"
        for t in ("Dev", "Hk")
    ]
    with pytest.raises(ValueError, match="no maps of the kind dynamic_student"):
        layout.maps(dynamic, "saliency")


def test_a_pattern_matches_the_paths_of_its_members(study):
    """Filled in with a member's wildcards, every pattern of its kind is the member's path."""
    layout = study.layout
    for member in study.members():
        pattern = study.pattern(member.kind)
        for phase in member.phases:
            for path in (layout.model, layout.history, layout.performance):
                assert path(pattern, phase).format(**member.wildcards) == path(member, phase)
        for path in (layout.predictions, layout.shift_predictions):
            assert path(pattern).format(**member.wildcards) == path(member)
        assert pattern.job.format(**member.wildcards) == member.job
        assert study.member(member.kind, member.wildcards) == member


def hashed(text):
    """As in the documentation of seeds: the first four bytes of SHA-256, without the last bit."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) // 2


def test_seeds(study):
    teacher = only(study.members(kinds=[TEACHER]), augmentation="evoaug", member=2)
    identity = "augmentation=evoaug|member=2|proportion=1"
    assert study.seed(teacher, "aug") == hashed(f"1234|teacher|{identity}")
    assert study.seed(teacher, "finetune") == hashed(f"1234|teacher finetuning|{identity}")
    student = only(study.members(kinds=[STUDENT]), proportion=0.25, uncertainty="std", member=1)
    identity = "augmentation=standard|member=1|proportion=0.25|size=2"
    assert study.seed(student, "") == hashed(f"1234|student|{identity}")
    # Students of both kinds of uncertainty are paired.
    assert study.seed(replace(student, uncertainty="logvar"), "") == study.seed(student, "")
    dynamic = only(study.members(kinds=[DYNAMIC_STUDENT]), variant="random", member=1)
    identity = "augmentation=standard|member=1|proportion=1|size=2|variant=random"
    assert study.seed(dynamic, "aug") == hashed(f"1234|dynamic student|{identity}")


def test_all_other_seeds_differ(study):
    seeds = {
        (study.seed(m, phase), m.uncertainty if m.kind is STUDENT else None)
        for m in study.members()
        for phase in m.phases
    }
    assert len(seeds) == sum(len(m.phases) for m in study.members())


def test_reseeding_draws_one_member_anew():
    path = f"{RESULTS}/evoaug/downsample_1/teachers/2_DeepSTARR_aug.h5"
    before, after = study_of(), study_of(reseed=[path])
    changed = [
        (m.augmentation, m.member, phase)
        for m in before.members()
        for phase in m.phases
        if before.seed(m, phase) != after.seed(m, phase)
    ]
    # Fine-tuning starts from the new weights with the seed that it had.
    assert changed == [("evoaug", 2, "aug")]
    twice = study_of(reseed=[path, path])
    teacher = only(twice.members(kinds=[TEACHER]), augmentation="evoaug", member=2)
    drawn = "augmentation=evoaug|draw=3|member=2|proportion=1"
    assert twice.seed(teacher, "aug") == hashed(f"1234|teacher|{drawn}")
    with pytest.raises(InputError, match=r"reseed: teachers/9\.h5 is no model"):
        study_of(reseed=["teachers/9.h5"])


def test_parts_have_their_arms(study):
    arms = {
        name: [(a.augmentation, a.proportion, a.size) for a in part.arms(study)]
        for name, part in PARTS.items()
    }
    two, three = ("standard", 1.0, 2), ("standard", 1.0, 3)
    quarter, evoaug = ("standard", 0.25, 2), ("evoaug", 1.0, 2)
    assert arms["size_sweep"] == [two, three]
    assert sorted(arms["downsampling"]) == sorted([quarter, two])
    assert sorted(arms["evoaug"]) == sorted([evoaug, two])
    assert arms["dynamic_augmentation"] == [two]
    assert arms["all"] == [two, three, quarter, evoaug]


def test_a_part_makes_its_own_models_and_no_others(study):
    def models(name):
        return {p for p in part_files(study, name) if "DeepSTARR" in p}

    assert not {p for p in models("size_sweep") if "evoaug" in p or "_0.25" in p or "dynamic" in p}
    assert {p for p in models("dynamic_augmentation") if "dynamic" in p}
    assert models("all") > models("evoaug") | models("downsampling")


def test_a_part_that_a_study_does_not_have():
    small = Study.from_config(validate({"dataset": "a", "data": {"source": "simulate"}}))
    for name in ("size_sweep", "downsampling", "evoaug", "dynamic_augmentation"):
        with pytest.raises(InputError, match=f"^{name} needs "):
            part_files(small, name)


def test_rows_before_fine_tuning_have_their_stage(study):
    rows = summary_params(study, "evoaug")["members"]
    of_teacher = [r for r in rows if r["role"] == "teacher" and r["augmentation"] == "evoaug"]
    assert [r.get("stage") for r in of_teacher] == ["aug", None] * 2
    assert not [r for r in rows if r["augmentation"] == "standard" and "stage" in r]


def test_jobs_of_an_arm(study):
    jobs = jobs_of(study, Arm("standard", 1.0, 3))
    counts = {rule: len(files) for rule, files in jobs.items()}
    # One job predicts with the two students of a kind.
    assert counts == {
        **{"train_teacher": 3, "predict_teacher": 3, "predict_shift_teacher": 3},
        **{"train_student": 4, "predict_student": 2, "predict_shift_student": 2},
        **{"attribute_teacher": 3, "attribute_student": 4},
        **{"aggregate_ensemble": 1, "distillation_data": 1},
        "label_copies": 1,
    }


def test_a_kind_that_is_not_registered():
    with pytest.raises(InputError, match=r"no kind of model dropout; use one of teacher, student"):
        kind_of("dropout")


def test_a_baseline_of_one_s_own():
    def number(config, size):
        return 3

    own = Kind(
        "own_baseline",
        role="own_baseline",
        folder="baselines/n{size}/own",
        shift_folder="n{size}-own",
        fields=("size",),
        number=number,
    )
    baseline = baseline_of(own)
    with registered(baseline):
        study = study_of(baselines=["own_baseline"])
        members = study.members(kinds=[own])
        assert len(members) == 4 * 3
        path = f"{RESULTS}/standard/downsample_1/baselines/n3/own/2_DeepSTARR.h5"
        assert study.layout.model(only(members, size=3, member=2)) == path
        assert path in part_files(study, "all")
        assert path not in part_files(study, "size_sweep")
        with pytest.raises(ValueError, match="already"):
            register(baseline)
        with pytest.raises(ValueError, match="already"):
            register(replace(baseline, name="another", kind=replace(own, role="another")))
        # Two baselines may be computed from the same models.
        with registered(replace(baseline, name="own_ensemble", ensemble=True)):
            study = study_of(baselines=["own_baseline", "own_ensemble"])
            assert study.members(kinds=[own]) == members
            assert len([kind for kind in study.kinds if kind == own]) == 1
    assert "own_baseline" not in BASELINES


def baseline_of(kind):
    return Baseline(kind.name, kind.name, of=(kind.name,), laws="none:none", kind=kind)


def of_pool(**more):
    return Kind(
        "pooled",
        role="pooled",
        folder="baselines/pooled",
        shift_folder="pooled",
        number=lambda config, size: size,
        **more,
    )


def test_a_baseline_of_a_pool_may_be_of_some_arms_alone():
    def arms(config, arms):
        return [arm for arm in arms if arm.proportion == 1]

    kind = of_pool(arms=arms, phases={"standard": ("",)})
    with registered(baseline_of(kind)):
        members = study_of(baselines=["pooled"]).members(kinds=[kind])
    # EvoAug is not among its phases.
    assert [(m.augmentation, m.proportion, m.member) for m in members] == [
        ("standard", 1.0, i) for i in (1, 2, 3)
    ]


def test_what_a_kind_of_two_phases_is_trained_on():
    """EvoAug's sequences unless it says otherwise, also where it is never trained without."""
    for evoaug in (True, False):
        kind = of_pool(phases={"evoaug": ("aug", "finetune")}, evoaug=evoaug)
        with registered(baseline_of(kind)):
            study = study_of(baselines=["pooled"])
            params = training_params(study, kind, "aug")
            assert params["evoaug"] == (study.evoaug if evoaug else None)


def test_kinds_that_cannot_be_are_refused_when_they_are_registered():
    for more in ({"maps_folder": "pooled"}, {"together": True}):
        with pytest.raises(ValueError, match="teachers alone have maps"):
            register(baseline_of(of_pool(**more)))
    assert "pooled" not in BASELINES


def test_no_baseline_is_left():
    assert not [kind for kind in study_of().kinds if kind.role == "own_baseline"]
