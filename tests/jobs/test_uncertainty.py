"""Jobs about uncertainty: recalibrations of students, scores of all models, their tables."""

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import write_small_dataset

from degu.calibration.laws import STD_FLOOR
from degu.calibration.recalibration import Recalibration
from degu.calibration.tables import CURVE_COLUMNS, DRAWS, ROW_COLUMNS, compared, gather
from degu.dataset import Split, read_info, write_dataset
from degu.errors import InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.files import write_csv, write_npy
from degu.io.predictions import write_predictions
from degu.jobs.uncertainty import recalibrate, score_uncertainty
from degu.study.kinds import STUDENT
from degu.study.member import Member

ARM = {"augmentation": "standard", "proportion": 1.0, "size": 4}
POOL = {"augmentation": "standard", "proportion": 1.0}
SIZES = {"Train": 30, "Val": 400, "Test": 600}
TARGETS = ("Dev", "Hk")
FORMS = "degu.calibration.forms:"


def make_study(folder, test_scale=1.0):
    """Files of four teachers and two std students whose errors are known to come from noise.

    Args:
        folder: where they go.
        test_scale: of the measurements of Test alone.
    """
    folder.mkdir()
    splits = write_small_dataset(folder / "small.h5", sizes=tuple(SIZES.values()), length=12)
    rng = np.random.default_rng(1)
    truth = {split: rng.normal(0, 2, (n, 2)) for split, n in SIZES.items()}
    noise = {split: rng.normal(0, 0.5, values.shape) for split, values in truth.items()}
    noise["Test"] *= test_scale
    splits = {
        split: Split(splits[split].x, (truth[split] + noise[split]).astype(np.float32))
        for split in SIZES
    }
    write_dataset(folder / "dataset.h5", splits, targets=TARGETS, source="test")
    sha256 = read_info(folder / "dataset.h5").sha256
    files = {"dataset": folder / "dataset.h5", "predictions": []}
    card = Card(
        heads=Heads(TARGETS),
        architecture="linear:build",
        role="teacher",
        **POOL,
        size=None,
        member=1,
        seed=1,
        dataset_sha256=sha256,
    )
    wide = {split: 0.1 + 0.4 * rng.random(values.shape) for split, values in truth.items()}
    said = []
    for ix in range(1, 5):
        own = {s: truth[s] + wide[s] * rng.normal(size=truth[s].shape) for s in SIZES}
        said.append(own["Test"].astype(np.float32))
        files["predictions"].append(folder / f"teacher_{ix}.h5")
        write_predictions(files["predictions"][-1], own, replace(card, member=ix))
    for ix in (1, 2):
        student = {
            s: np.concatenate([truth[s] + 0.1 * rng.normal(size=truth[s].shape), wide[s]], axis=1)
            for s in SIZES
        }
        student["Test"][:3, 2] = -0.2  # of Dev, below the floor
        path = folder / f"student_{ix}.h5"
        files["predictions"].append(path)
        heads = Heads.student(TARGETS, "std")
        who = {"role": "student", "size": 4, "member": ix, "heads": heads}
        write_predictions(path, student, replace(card, **who))
        (folder / f"student_{ix}_model.h5").write_bytes(b"weights %d" % ix)
    label = {**ARM, "dataset_sha256": sha256}
    for name in ("mean", "std"):
        files[f"{name}_train"] = folder / f"{name}_train.npy"
        values = truth["Train"] if name == "mean" else wide["Train"]
        write_npy(
            values.astype(np.float32),
            files[f"{name}_train"],
            content=f"{name} of Train",
            **label,
        )
    return files, splits, np.stack(said)


JUDGED = [
    {"identity": {"role": "ensemble", **ARM}, "form": FORMS + "ensemble", "members": 4},
    *(
        {
            "identity": {"role": "student", **ARM, "member": ix, "uncertainty": "std"},
            "form": FORMS + "with_std",
            "members": 1,
        }
        for ix in (1, 2)
    ),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("uncertainty") / "study")


@pytest.fixture(scope="module")
def scored(study):
    files, _, _ = study
    return score_uncertainty(files, JUDGED, draws=60, arm=ARM)


def one(rows, **columns):
    for name, wanted in columns.items():
        rows = rows[rows[name].isna() if wanted is None else rows[name] == wanted]
    assert len(rows) == 1
    return rows.iloc[0]


def student_member(ix):
    return Member(STUDENT, "standard", 1.0, ix, 4, "std")


def recalibrated(files, folder):
    outputs = [folder / f"{ix}_recalibration.json" for ix in (1, 2)]
    own = {
        "dataset": files["dataset"],
        "predictions": files["predictions"][4:],
        "models": [files["dataset"].parent / f"student_{ix}_model.h5" for ix in (1, 2)],
    }
    recalibrate([student_member(1), student_member(2)], own, outputs, FORMS + "with_std")
    return outputs


def test_tables_have_their_columns_and_every_model(scored):
    rows, curves, draws = scored
    assert tuple(rows.columns) == ROW_COLUMNS
    assert tuple(curves.columns) == CURVE_COLUMNS
    assert draws.shape == (len(rows), 60)
    assert set(rows["role"]) == {"ensemble", "student", "std_of_mean"}
    assert set(rows["variance"]) == {"epistemic", "aleatoric", "total"}
    bounded = rows[rows["lower"].notna() & np.isfinite(rows["upper"])]
    assert (bounded["lower"] <= bounded["upper"]).all()


def test_an_epistemic_std_under_covers_noisy_measurements(study, scored):
    _, splits, said = study
    mean, std = said[..., 0].mean(axis=0), said[..., 0].std(axis=0)
    inside = np.abs(splits["Test"].y[:, 0] - mean) <= 1.6448536 * std
    own = {"role": "ensemble", "target": "Dev", "metric": "PICP", "level": 0.9, "bin": None}
    none = one(scored[0], **own, variance="epistemic", recalibration="none")
    assert none["value"] == pytest.approx(inside.mean(), abs=2 / SIZES["Test"])
    assert none["value"] < 0.7
    repaired = one(scored[0], **own, variance="total", recalibration="conformal")
    assert repaired["value"] == pytest.approx(0.9, abs=0.05)


def test_fidelity_is_to_the_ensemble_of_the_arm(study, scored):
    files, _, said = study
    own = {"role": "student", "member": 1, "target": "Hk", "bin": None}
    std = said[..., 1].std(axis=0)
    truth = one(scored[0], **own, metric="Fidelity")
    import h5py

    with h5py.File(files["predictions"][4]) as file:
        guess = file["Test"][:, 3]
    assert truth["value"] == pytest.approx(np.corrcoef(std, guess)[0, 1], abs=1e-5)
    assert one(scored[0], role="ensemble", target="Hk", metric="Fidelity_halves")["value"] < 1
    one(scored[0], role="std_of_mean", target="Hk", metric="Fidelity", bin=None)


def test_members_are_scored_as_draws_whatever_their_number(study, scored):
    """Ferro's fair estimator, by all pairs of members."""
    _, splits, said = study
    members, y = said[..., 0], splits["Test"].y[:, 0]
    n = len(members)
    pairs = np.abs(members[:, None] - members[None]).sum(axis=(0, 1)) / (2 * n * (n - 1))
    expected = (np.abs(members - y).mean(axis=0) - pairs).mean()
    row = one(scored[0], role="ensemble", target="Dev", metric="CRPS_members")
    assert row["value"] == pytest.approx(expected, rel=1e-5)
    assert row["lower"] < row["value"] < row["upper"]


def test_stds_below_the_floor_are_counted(scored):
    for target, count in (("Dev", 3), ("Hk", 0)):
        own = {"role": "student", "member": 2, "target": target, "metric": "Floored"}
        assert one(scored[0], **own)["value"] == count


def test_a_recalibration_is_what_the_table_is_about(study, scored, tmp_path):
    files, splits, _ = study
    card = Recalibration.read(recalibrated(files, tmp_path)[0])
    assert card.variance == "total"
    assert card.n_validation == SIZES["Val"]
    model = (files["dataset"].parent / "student_1_model.h5").read_bytes()
    assert card.model_sha256 == hashlib.sha256(model).hexdigest()
    import h5py

    with h5py.File(files["predictions"][4]) as file:
        mean, std = file["Test"][:, 0].astype(float), file["Test"][:, 2].astype(float)
    total = np.sqrt(np.maximum(std, STD_FLOOR) ** 2 + card.aleatoric[0])
    for level in (0.9, 0.95):
        for name in ("conformal", "mondrian"):
            lower, upper = getattr(card, name)[0].interval(mean, total, level)
            y = splits["Test"].y[:, 0]
            columns = {"role": "student", "member": 1, "target": "Dev", "variance": "total"}
            row = one(
                scored[0], **columns, metric="PICP", recalibration=name, level=level, bin=None
            )
            assert row["value"] == pytest.approx(np.mean((lower <= y) & (y <= upper)))


def test_a_recalibration_never_sees_the_test_set(study, tmp_path):
    """With a poisoned Test the files are the same, but for the hash of the data set."""
    files, _, _ = study
    poisoned, _, _ = make_study(tmp_path / "poisoned", test_scale=1e6)
    for a, b in zip(
        recalibrated(files, tmp_path), recalibrated(poisoned, tmp_path / "2"), strict=True
    ):
        one, other = Recalibration.read(a), Recalibration.read(b)
        assert one.dataset_sha256 != other.dataset_sha256
        assert replace(one, dataset_sha256=other.dataset_sha256) == other


def test_other_predictions_are_refused(study, tmp_path):
    files, _, _ = study
    other, _, _ = make_study(tmp_path / "other", test_scale=2)
    mixed = {**files, "dataset": other["dataset"]}
    with pytest.raises(InputError, match="dataset_sha256"):
        score_uncertainty(mixed, JUDGED, draws=0, arm=ARM)
    with pytest.raises(InputError, match="dataset_sha256"):
        recalibrated(mixed, tmp_path)


def test_differences_are_paired_and_the_best_is_the_least(scored, tmp_path):
    rows, curves, draws = scored
    write_csv(rows, tmp_path / "rows.csv")
    write_csv(curves, tmp_path / "curves.csv")
    write_npy(draws[compared(rows)], tmp_path / "draws.npy", content=DRAWS)
    paths = [[tmp_path / name] for name in ("rows.csv", "curves.csv", "draws.npy")]
    summary, points, differences = gather(*paths)
    assert len(summary) == len(rows)
    assert len(points) == len(curves)
    nll = differences[(differences["metric"] == "NLL") & (differences["target"] == "Dev")]
    assert nll["best"].sum() == 1
    own = rows[
        (rows["metric"] == "NLL") & (rows["target"] == "Dev") & (rows["variance"] == "total")
    ]
    own = own[own["recalibration"] == "scaling"].groupby("role")["value"].mean()
    assert nll.loc[nll["best"], "role"].tolist() == [own.idxmin()]
    other = nll[~nll["best"]].iloc[0]
    assert other["value"] == pytest.approx(own.max() - own.min())
    # The difference is known much better than either number, which share the test sequences.
    values = draws[(rows["metric"] == "NLL").to_numpy()]
    assert other["upper"] - other["lower"] < 3.92 * values.std(axis=1).max()
    write_npy(draws, tmp_path / "draws.npy", content=DRAWS)
    with pytest.raises(InputError, match=r"draws\.npy does not belong to"):
        gather(*paths)


def test_without_draws_there_are_scores_without_bounds(study):
    files, _, _ = study
    rows, _, draws = score_uncertainty(files, JUDGED[:1], draws=0, arm=None)
    assert draws.shape == (len(rows), 0)
    assert rows["lower"].isna().all()
    assert pd.notna(rows["value"]).any()


def test_of_a_student_with_an_aleatoric_head_the_card_names_no_variance(study, tmp_path):
    """Its intervals are made of its own variances."""
    files, splits, _ = study
    rng = np.random.default_rng(5)
    heads = Heads.student(TARGETS, "std", aleatoric=True)
    noise = {s: rng.uniform(0.2, 1.5, splits[s].y.shape) for s in SIZES}
    own = {
        s: np.hstack(
            [
                splits[s].y + noise[s] * rng.normal(size=noise[s].shape),
                2 * np.log(noise[s]),
                np.full_like(noise[s], 0.1),
            ]
        )
        for s in SIZES
    }
    card = Card(
        heads=heads,
        architecture="linear:build",
        role="student",
        **ARM,
        member=1,
        seed=1,
        dataset_sha256=read_info(files["dataset"]).sha256,
    )
    paths = {"predictions": [tmp_path / "own.h5"], "models": [tmp_path / "model.h5"]}
    write_predictions(paths["predictions"][0], own, card)
    paths["models"][0].write_bytes(b"weights")
    given = {"dataset": files["dataset"], **paths}
    output = tmp_path / "recalibration.json"
    recalibrate([student_member(1)], given, [output], FORMS + "with_std")
    read = Recalibration.read(output)
    assert read.aleatoric == (None, None)
    # Errors are what the student says they are, but for its epistemic part.
    np.testing.assert_allclose(read.scaling, 1, atol=0.15)
    total = np.sqrt(noise["Test"][:, 0] ** 2 + 0.01)
    lower, upper = read.conformal[0].interval(own["Test"][:, 0], total, 0.9)
    inside = (lower <= splits["Test"].y[:, 0]) & (splits["Test"].y[:, 0] <= upper)
    assert inside.mean() == pytest.approx(0.9, abs=0.05)
    judged = [{**JUDGED[1], "members": 1}]
    rows, _, _ = score_uncertainty(given, judged, draws=0)
    assert set(rows["variance"]) == {"epistemic", "aleatoric", "total"}
    own_noise = {"metric": "Sharpness", "variance": "aleatoric", "recalibration": "none"}
    sharpness = one(rows, target="Dev", **own_noise)["value"]
    assert sharpness == pytest.approx(np.sqrt(np.mean(noise["Test"][:, 0] ** 2)), rel=1e-3)
