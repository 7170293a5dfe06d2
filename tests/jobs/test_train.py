"""Settings of a loss are chosen by the likelihood of validation sequences."""

import numpy as np
import pytest
from conftest import motif_activity, random_one_hot

from degu.dataset import Split, write_dataset
from degu.errors import DivergedError
from degu.io.files import write_npy
from degu.jobs import train as jobs
from degu.jobs.session import training_session
from degu.jobs.train import Training, _train_best, candidates
from degu.study.kinds import TEACHER
from degu.study.member import Member


def test_candidates_are_combinations_of_settings_with_several_values():
    assert candidates(None) == candidates({"uncertainty_weight": 2}) == [{}]
    assert candidates({"a": [1, 2], "weight": 5, "b": [3, 4]}) == [
        {"a": 1, "b": 3},
        {"a": 1, "b": 4},
        {"a": 2, "b": 3},
        {"a": 2, "b": 4},
    ]


@pytest.fixture
def job(tmp_path):
    with training_session(tmp_path / "model.h5", tmp_path / "history.csv") as session:
        params = {"loss": {"beta": [0.0, 0.5, 1.0], "fixed": 7}}
        yield Training(None, None, None, {}, params, session)


def test_the_one_of_least_validation_likelihood_is_kept(job, capfd):
    """By its best epoch, not its last, and whatever its loss."""
    nll = {0.0: [3.0, 2.0], 0.5: [0.9, 5.0], 1.0: [1.0, 1.0]}
    seen = []

    def trainer(own):
        loss = own.params["loss"]
        seen.append((loss["beta"], loss["fixed"], own.session.checkpoint.path.name))
        return loss["beta"], {"val_nll": nll[loss["beta"]], "val_loss": [-loss["beta"]]}

    assert _train_best(trainer, job) == (
        0.5,
        {"val_nll": [0.9, 5.0], "val_loss": [-0.5]},
        {"beta": 0.5},
    )
    assert seen == [(b, 7, f"model.h5.beta={b:g}") for b in nll]
    assert "beta=0.5: validation NLL 0.9" in capfd.readouterr().err


def test_one_that_diverges_is_passed_over(job):
    def trainer(own):
        if own.params["loss"]["beta"] != 1:
            raise DivergedError("the loss is not finite")
        return "model", {"val_nll": [np.inf]}

    assert _train_best(trainer, job)[2] == {"beta": 1.0}

    def none(own):
        raise DivergedError("the loss is not finite")

    with pytest.raises(DivergedError, match="not finite"):
        _train_best(none, job)


def test_checkpoints_of_all_go_with_the_session(job, tmp_path):
    parts = [job.session.part(name) for name in ("beta=0", "beta=0.5")]
    for part in parts:
        part.checkpoint.path.parent.mkdir(exist_ok=True)
        part.checkpoint.path.write_bytes(b"state")
    job.session.checkpoint.remove()
    assert not any(part.checkpoint.path.exists() for part in parts)


@pytest.mark.parametrize("flanks", [("", ""), ("A", "TT")])
def test_a_card_has_the_flanks_of_its_data_set(tmp_path, monkeypatch, flanks):
    x = random_one_hot(6, 20)
    x[:, 0], x[:, -2:] = [1, 0, 0, 0], [0, 0, 0, 1]
    splits = {name: Split(x, motif_activity(x)) for name in ("Train", "Val", "Test")}
    files = {"dataset": tmp_path / "dataset.h5", "subset": tmp_path / "subset.npy"}
    write_dataset(files["dataset"], splits, targets=["Dev"], source="test", flanks=flanks)
    write_npy(np.arange(6), files["subset"])

    def stop(trainer, job):
        raise DivergedError(*job.card.flanks)

    monkeypatch.setattr(jobs, "_train_best", stop)
    with pytest.raises(DivergedError) as caught:
        jobs.train(
            Member(TEACHER, "standard", 1.0, 1),
            files,
            {"model": tmp_path / "1_A.h5", "history": tmp_path / "1_history.csv"},
            {"copies": None, "architecture": "a", "seed": 1},
            {"distillation": {"copies": 0}, "dataset": "a"},
        )
    assert caught.value.args == flanks
