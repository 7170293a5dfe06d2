"""Members that have failed: among which siblings, and how the config draws them anew."""

import numpy as np
import pytest
import yaml

from degu.errors import InputError
from degu.study.config import validate
from degu.study.failed import Failed, failed_members, failed_rows, reseed_line
from degu.study.parts import summary_inputs, summary_params, trained_by
from degu.study.study import Study
from degu.training.history import save_history

CONFIG = {
    "dataset": "assay",
    "data": {"source": "simulate"},
    "baselines": [],
    "model": "deepstarr",
    "arms": [{"ensemble_sizes": [3]}, {"augmentations": ["evoaug"], "ensemble_sizes": [3]}],
    "students": {"replicates": 3, "uncertainty": ["std", "logvar"]},
}
POOL = {"role": "teacher", "augmentation": "standard", "proportion": 1.0}


@pytest.fixture(scope="module")
def study():
    return Study.from_config(validate(CONFIG))


def test_siblings_share_all_but_their_number():
    errors = {
        # Far from others, and not from their own siblings.
        **{("teacher", "evoaug", None, i): 9.0 for i in (1, 2, 3)},
        **{("teacher", "standard", None, i): [1.0, 1.02, 5.0][i - 1] for i in (1, 2, 3)},
        **{("student", "standard", "std", i): 1.0 for i in (1, 2, 3)},
        ("student", "standard", "std", 4): 1.9,
        # Two, of which one failed.
        **{("student", "standard", "logvar", i): float(i) for i in (1, 7)},
        ("student", "standard", "logvar", 3): np.nan,
    }
    identities = [
        {"role": role, "augmentation": augmentation, "member": i}
        | ({} if kind is None else {"uncertainty": kind})
        for role, augmentation, kind, i in errors
    ]
    assert failed_members(identities, list(errors.values())) == [
        Failed(5, 5.0, 1.02, 3),
        Failed(9, 1.9, 1.0, 4),
    ]
    assert failed_members([], []) == []


def test_a_row_for_each(tmp_path):
    histories = []
    for member, errors in enumerate(([4.0, 2.0, 3.0], [2.1, 2.0], [8.0, 7.0, 5.0]), start=1):
        path = tmp_path / f"{member}_history.csv"
        save_history({"loss": [0.0] * len(errors), "val_loss": errors}, path)
        histories.append((path, {**POOL, "member": member}))
    (row,) = failed_rows(histories).dropna(axis=1).to_dict("records")
    assert row == {**POOL, "member": 3, "metric": "Failed", "value": 2.5}
    assert failed_rows(histories[:2]).empty
    (tmp_path / "3_history.csv").write_text("epoch,val_loss\n1,")
    with pytest.raises(InputError, match=r"3_history\.csv is no training history"):
        failed_rows(histories)


def test_a_member_is_judged_by_its_last_phase_and_drawn_anew_by_its_first(study):
    pool = "results/assay/evoaug/downsample_1"
    (teacher,) = [
        member
        for member in trained_by(study)
        if member["identity"] == {**POOL, "augmentation": "evoaug", "member": 2}
    ]
    assert teacher["history"] == f"{pool}/teachers/2_history_finetune.csv"
    assert teacher["model"] == f"{pool}/teachers/2_DeepSTARR_aug.h5"
    assert len(trained_by(study)) == len(study.members())


def test_the_summary_is_made_of_the_histories(study):
    trained = trained_by(study)
    paths = summary_inputs(study, "all")["histories"]
    assert paths == [member["history"] for member in trained]
    identities = summary_params(study, "all")["histories"]
    assert identities == [member["identity"] for member in trained]


def test_the_line_of_the_config(study):
    """Every path is one that the config takes, and what is there stays there."""
    models = [member["model"] for member in trained_by(study)]
    line = reseed_line([models[0]], models)
    assert "\n" not in line
    written = yaml.safe_load(line)
    assert written == {"reseed": [models[0], *models]}
    assert Study.from_config(validate({**CONFIG, **written})).config["reseed"] == written["reseed"]
