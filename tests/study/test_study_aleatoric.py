"""What `aleatoric` adds to a study: heads, files, parameters; and nothing where it is `none`."""

import pytest

from degu.heads import Heads
from degu.study.config import validate
from degu.study.inputs import ensemble_aleatoric, prediction_params, training_params
from degu.study.kinds import DYNAMIC_STUDENT, STUDENT, TEACHER, kind_of
from degu.study.study import Study
from degu.sweep import Arm

CONFIG = {
    "dataset": "assay",
    "data": {"source": "simulate"},
    "model": "deepstarr",
    "ensemble_sizes": [2],
    "students": {"replicates": 1, "uncertainty": ["std"]},
    "dynamic_augmentation": {"modes": ["random"]},
    "baselines": ["mc_dropout", "heteroscedastic", "mean_student"],
    "attribution": {"methods": ["saliency"]},
}
ARM = Arm("standard", 1.0, 2)
KINDS = (TEACHER, STUDENT, DYNAMIC_STUDENT)


def study_of(aleatoric=None):
    own = {} if aleatoric is None else {"aleatoric": aleatoric}
    return Study.from_config(validate({**CONFIG, **own}))


def params(study):
    """All that trainings and predictions go by, but for functions of wildcards."""
    every = [
        *(training_params(study, kind, phase) for kind in KINDS for phase in ("", "finetune")),
        *(prediction_params(study, kind) for kind in (*KINDS, kind_of("mc_dropout"))),
    ]
    return [{k: v for k, v in own.items() if not callable(v)} for own in every]


def test_without_it_nothing_is_added():
    study = study_of("none")
    assert study == study_of()
    assert not study.aleatoric
    assert ensemble_aleatoric(study) == {}
    assert "aleatoric" not in str(params(study) + study.of_ensembles([ARM]))
    for member in study.members([ARM], KINDS):
        assert member.aleatoric is None
        assert "aleatoric" not in member.kinds


@pytest.mark.parametrize("mode", ["replicates", "learned"])
def test_heads_files_and_parameters(mode):
    study = study_of(mode)
    by_kind = {m.kind.name: m for m in study.members([ARM])}
    assert {name: member.kinds for name, member in by_kind.items()} == {
        "teacher": ("mean", "aleatoric"),
        "student": ("mean", "aleatoric", "std"),
        "dynamic_student": ("mean", "aleatoric", "std"),
        # Baselines are what they were.
        "mc_dropout": ("mean", "std"),
        "heteroscedastic": ("mean", "aleatoric"),
        "mean_student": ("mean",),
    }
    owner = by_kind["mc_dropout"].owner
    assert owner.heads(("A",)) == by_kind["teacher"].heads(("A",))
    assert owner.heads(("A",)) == Heads(("A",), ("mean", "aleatoric"))
    for member in by_kind.values():
        assert study.member(member.kind, member.wildcards) == member
    folder = "results/assay/standard/downsample_1"
    files = study.of_ensembles([ARM])
    assert [path for path in files if "aleatoric" in path] == [
        f"{folder}/ensemble/n2/ensemble_aleatoric_{split}.npy" for split in ("train", "val", "test")
    ]
    assert set(ensemble_aleatoric(study)) == {f"aleatoric_{s}" for s in ("train", "val", "test")}
    maps = study.layout.top_maps(by_kind["student"], "saliency")
    assert [path.rpartition("_Dev-")[2] for path in maps if "_Dev-" in path] == [
        f"{kind}_saliency.npy" for kind in ("mean", "aleatoric", "std")
    ]
    # Another way to learn it trains all that has such heads anew, and no more.
    other = study_of({"replicates": "learned", "learned": "replicates"}[mode])
    for name, member in by_kind.items():
        given = [training_params(s, member.kind, "") for s in (study, other)]
        for own in given:
            own["loss"] = own["loss"]({"uncertainty": "std"})
        same = [{k: v for k, v in own.items() if not callable(v)} for own in given]
        assert (same[0] == same[1]) == (name in ("heteroscedastic", "mean_student"))
    assert training_params(study, TEACHER, "finetune")["loss"]({}) == {"aleatoric": mode}
    assert training_params(study, STUDENT, "")["loss"]({"uncertainty": "std"}) == {
        "uncertainty_weight": 1
    }
