"""Whose uncertainty a study judges, and from which files."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from degu.baselines import BASELINES
from degu.study import figures, judged, parts
from degu.study.config import validate
from degu.study.study import Study

ALL = list(BASELINES)


def study_of(**changes):
    config = yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text())
    own = {"ensemble_sizes": [2, 3], "students": {"replicates": 2}, "baselines": ALL}
    return Study.from_config(validate({**config, **own, **changes}))


@pytest.fixture(scope="module")
def study():
    return study_of()


def roles(found):
    return Counter(one.identity["role"] for one in found)


def test_an_arm_has_its_ensemble_its_students_and_what_belongs_to_its_size(study):
    (small, large) = study.arms
    for arm in (small, large):
        found = judged.of_arm(study, arm)
        assert found[0].identity["role"] == "ensemble"
        assert len(found[0].members) == arm.size
        assert roles(found) == {
            "ensemble": 1,
            "student": 4,
            "constant": 4,
            "mean_student": 2,
            "heteroscedastic_ensemble": 1,
            "mixed_ensemble": 1,
        }
        for one in found:
            assert one.identity["size"] == arm.size
            if one.identity["role"].endswith("_ensemble"):
                assert [m.member for m in one.members] == list(range(1, arm.size + 1))
            else:
                assert one.identity["role"] == "ensemble" or len(one.members) == 1


def test_what_arms_of_a_pool_share_is_judged_once(study):
    found = judged.of_pool(study, ("standard", 1.0))
    # Heteroscedastic models are as many as the largest ensemble of them has members.
    assert roles(found) == {
        "residual": 3,
        "mc_dropout": 2,
        "heteroscedastic": 3,
        "beta_nll": 2,
        "laplace": 2,
        "cauchy": 2,
        "evidential": 2,
    }
    assert all("size" not in one.identity for one in found)
    everywhere = roles(found + judged.of_arm(study, study.arms[0]))
    assert set(everywhere) == {"ensemble", "student", *ALL}


def test_a_study_without_baselines_has_no_table_of_its_pool(study):
    plain = study_of(baselines=[])
    assert judged.places(plain) == list(plain.arms)
    assert len(judged.places(study)) == len(study.arms) + 1


def test_inputs_are_the_files_of_all_members_in_order(study):
    (arm, _) = study.arms
    files = judged.inputs(study, "arm")(arm.wildcards)
    params = judged.params(study, "arm")["judged"](arm.wildcards)
    members = [m for one in judged.of_arm(study, arm) for m in one.members]
    assert sum(one["members"] for one in params) == len(members) == len(files["predictions"])
    assert files["predictions"] == [study.layout.predictions(m) for m in members]
    assert files["shifted"] == [study.layout.shift_predictions(m) for m in members]
    pool = judged.inputs(study, "pool")({"augmentation": "standard", "proportion": "1"})
    assert "mean_train" not in pool
    unshifted = study_of(shift={"kinds": []})
    assert "shifted" not in judged.inputs(unshifted, "arm")(arm.wildcards)


def test_the_part_has_tables_recalibrations_and_figures(study):
    files = set(parts.part_files(study, "uncertainty"))
    layout = study.layout
    for arm in study.arms:
        assert layout.judged(arm, "summary") in files
    assert layout.uncertainty("differences") in files
    students = [m for m in study.members() if m.kind.name == "student"]
    assert {layout.recalibration(m) for m in students} <= files
    drawn = [path for path in files if "/figures/uncertainty_" in path]
    assert len(drawn) == 2 * 2 * 7  # of each arm in two formats
    assert files <= set(parts.part_files(study, "all"))


def test_every_role_that_is_judged_has_a_look(study):
    names = {look["role"] for look in figures.looks(study)}
    assert set(ALL) <= names
