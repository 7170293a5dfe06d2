"""Models of files, together: what is opened, what is refused, and their numbers by other ways."""

import hashlib
import json
import math
import shutil

import keras
import numpy as np
import pytest
from tiny_models import LENGTH, TARGETS, card, codes, recalibrate, save, student

from degu.calibration.recalibration import Recalibration
from degu.errors import InputError
from degu.predict import predictor as module
from degu.predict.predictor import INTERVALS, Predictor

X = codes(40)


def raw(path, x=X):
    """What Keras itself predicts of one-hot sequences."""
    one_hot = (x[..., None] == np.arange(4)).astype(np.float32)
    return keras.models.load_model(path, compile=False).predict(one_hot, verbose=0)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teachers")
    return [save(folder / f"{ix}_Tiny.h5") for ix in (1, 2, 10)]


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    folder = tmp_path_factory.mktemp("students")
    made = [student(folder / f"{ix}_Tiny.h5", "logvar") for ix in (1, 2)]
    for path in made:
        recalibrate(path, seed=int(path.name[0]))
    return made


def test_teachers_have_the_mean_and_the_population_std(teachers):
    own = Predictor.open(teachers)
    each = np.stack([raw(path) for path in teachers]).astype(np.float64)
    means, stds = own.members(X)
    np.testing.assert_allclose(means, each, rtol=1e-5, atol=1e-6)
    assert stds is None
    found = own.estimate(X, levels=[0.9])
    np.testing.assert_allclose(found.mean, sum(each) / 3, rtol=1e-5, atol=1e-6)
    spread = np.sqrt(sum((one - sum(each) / 3) ** 2 for one in each) / 3)
    np.testing.assert_allclose(found.std, spread, rtol=1e-4, atol=1e-6)
    assert found.intervals == {}
    assert (own.has_std, own.has_intervals, own.role) == (True, False, "teacher")
    assert (own.targets, own.length, own.flanks) == (TARGETS, LENGTH, (b"", b""))


def test_a_single_teacher_has_no_std(teachers):
    own = Predictor.open(teachers[:1])
    assert not own.has_std
    assert own.estimate(X).std is None


@pytest.mark.parametrize("kind", ["std", "logvar"])
def test_a_student_has_its_own_std(tmp_path, kind):
    path = student(tmp_path / "1_Tiny.h5", kind)
    predicted = raw(path).astype(np.float64)
    std = np.exp(predicted[:, 2:] / 2) if kind == "logvar" else predicted[:, 2:]
    found = Predictor.open([path]).estimate(X)
    np.testing.assert_allclose(found.mean, predicted[:, :2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.std, np.maximum(std, 1e-3), rtol=1e-5, atol=1e-6)


def test_a_std_below_the_floor_is_the_floor(tmp_path):
    floored = []
    for scale in (-1, 1):
        path = student(tmp_path / "1_Tiny.h5", scale=scale)
        below = raw(path)[:, 2:] < 1e-3
        floored += below.ravel().tolist()
        found = Predictor.open([path]).estimate(X)
        np.testing.assert_allclose(found.std[below], 1e-3, rtol=1e-12)
    assert 0 < sum(floored) < len(floored)


def test_students_have_the_root_mean_square_of_their_stds(students):
    each = np.stack([raw(path) for path in students]).astype(np.float64)
    found = Predictor.open(students).estimate(X)
    np.testing.assert_allclose(found.mean, each[..., :2].mean(axis=0), rtol=1e-5, atol=1e-6)
    expected = np.sqrt((np.exp(each[0, :, 2:]) + np.exp(each[1, :, 2:])) / 2)
    np.testing.assert_allclose(found.std, expected, rtol=1e-5)


def mondrian_ends(path, level):
    """A student's intervals by loops over sequences, from its file and that of its repair."""
    predicted = raw(path).astype(np.float64)
    content = json.loads(path.with_name(f"{path.name[0]}_recalibration.json").read_text())
    ends = np.empty((2, len(predicted), 2))
    for t, target in enumerate(content["targets"]):
        sizes = [len(scores) for scores in target["mondrian"]["scores"]]
        assert min(sizes) >= 10  # enough for the level: no bins are merged
        for i, row in enumerate(predicted):
            sigma = math.sqrt(math.exp(row[2 + t]) + target["aleatoric_variance"])
            place = sum(row[t] >= edge for edge in target["mondrian"]["edges"])
            scores = sorted(target["mondrian"]["scores"][place])
            half = sigma * scores[math.ceil((len(scores) + 1) * level) - 1]
            ends[:, i, t] = row[t] - half, row[t] + half
    return ends


def test_a_students_interval_is_that_of_its_own_file(students):
    found = Predictor.open(students[:1]).estimate(X, levels=[0.5, 0.8])
    for level in (0.5, 0.8):
        expected = mondrian_ends(students[0], level)
        np.testing.assert_allclose(found.intervals[level], expected, rtol=1e-5, atol=1e-5)


def test_several_students_have_the_means_of_their_ends(students):
    found = Predictor.open(students).estimate(X, levels=[0.8])
    expected = (mondrian_ends(students[0], 0.8) + mondrian_ends(students[1], 0.8)) / 2
    np.testing.assert_allclose(found.intervals[0.8], expected, rtol=1e-5, atol=1e-5)


def test_a_level_beyond_the_validation_sequences_has_no_ends(students):
    lower, upper = Predictor.open(students[:1]).estimate(X, levels=[0.999]).intervals[0.999]
    assert np.isneginf(lower).all()
    assert np.isposinf(upper).all()


def test_intervals_of_all_repairs(students):
    own, path = Predictor.open(students[:1]), students[0]
    repair = Recalibration.read(path.with_name("1_recalibration.json"))
    predicted = raw(path).astype(np.float64)
    sigma = np.sqrt(np.exp(predicted[:, 2]) + repair.aleatoric[0])
    found = {n: own.estimate(X, levels=[0.6], interval=n).intervals[0.6] for n in INTERVALS}
    widths = {n: (upper - lower)[:, 0] / sigma / 2 for n, (lower, upper) in found.items()}
    normal = 0.8416212335729143  # SciPy's ppf(0.8)
    np.testing.assert_allclose(widths["scaling"], normal * repair.scaling[0], rtol=1e-5)
    scores = repair.conformal[0].scores
    np.testing.assert_allclose(
        widths["conformal"], scores[math.ceil((len(scores) + 1) * 0.6) - 1], rtol=1e-5
    )
    assert np.ptp(widths["isotonic"]) < 1e-5
    assert widths["isotonic"][0] != pytest.approx(widths["scaling"][0], rel=1e-3)


@pytest.mark.parametrize("kind", ["std", "logvar"])
@pytest.mark.parametrize("aleatoric", [False, True])
def test_intervals_are_those_of_the_workflow(tmp_path, kind, aleatoric):
    """The job's laws of predictions that were written to a file, and its repairs."""
    from conftest import write_small_dataset

    from degu.calibration.evidence import Fitted
    from degu.dataset import read_info, read_split
    from degu.io.predictions import read_predictions, write_predictions
    from degu.jobs.predict import predict_splits
    from degu.jobs.uncertainty import Judged, _form, recalibrate
    from degu.models.files import load_model
    from degu.sequences import base_codes
    from degu.study.kinds import STUDENT
    from degu.study.member import Member
    from degu.training.batches import predict

    write_small_dataset(tmp_path / "dataset.h5", sizes=(10, 80, 50), length=LENGTH)
    sha256 = read_info(tmp_path / "dataset.h5").sha256
    kinds = ("mean", "aleatoric", kind) if aleatoric else ("mean", kind)
    path = save(tmp_path / "1_Tiny.h5", role="student", kinds=kinds, dataset_sha256=sha256)
    model, own = load_model(path)
    said = predict_splits(lambda x: predict(model, x), tmp_path / "dataset.h5", np.arange(10))
    write_predictions(tmp_path / "1_predictions.h5", said, own)
    form = "degu.calibration.forms:with_std"
    member = Member(
        STUDENT, "standard", 1.0, 1, 4, kind, aleatoric="learned" if aleatoric else None
    )
    files = {
        "dataset": tmp_path / "dataset.h5",
        "predictions": [tmp_path / "1_predictions.h5"],
        "models": [path],
    }
    recalibrate([member], files, [tmp_path / "1_recalibration.json"], form)
    values, _ = read_predictions(tmp_path / "1_predictions.h5", ("Val", "Test"))
    judged = Judged({}, _form(form), own.heads, [values])
    y = read_split(tmp_path / "dataset.h5", "Val", fields=("y",)).y
    x = read_split(tmp_path / "dataset.h5", "Test", fields=("x",)).x
    predictor = Predictor.open([path])
    for name in INTERVALS:
        found = predictor.estimate(base_codes(x), levels=[0.8], interval=name).intervals[0.8]
        for t, target in enumerate(TARGETS):
            laws = judged.laws(target, y[:, t], ("Val", "Test"))["total"]
            ends = Fitted.of(laws["Val"], y[:, t]).interval(name, laws["Test"], 0.8)
            np.testing.assert_array_equal(np.array(found)[..., t], ends)


def test_both_strands_are_averaged_within_each_model(students, teachers):
    turned = np.array(
        [[{0: 3, 1: 2, 2: 1, 3: 0, 4: 4}[c] for c in row[::-1]] for row in X.tolist()]
    )
    both = [(raw(p) + raw(p, turned)) / 2 for p in teachers]
    found = Predictor.open(teachers).estimate(X, both_strands=True)
    np.testing.assert_allclose(found.mean, np.mean(both, axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.std, np.std(both, axis=0), rtol=1e-3, atol=1e-6)
    std = [np.exp(raw(students[0], x)[:, 2:] / 2) for x in (X, turned)]
    found = Predictor.open(students[:1]).estimate(X, both_strands=True)
    np.testing.assert_allclose(found.std, (std[0] + std[1]) / 2, rtol=1e-5)


def test_flanks_stay_where_they_are(students, monkeypatch):
    own = Predictor.open(students[:1])
    own.flanks = (b"ACG", b"TT")
    turned = own.other_strand(X)
    np.testing.assert_array_equal(turned[:, :3], X[:, :3])
    np.testing.assert_array_equal(turned[:, -2:], X[:, -2:])
    expected = [[[3, 2, 1, 0, 4][c] for c in row[3:-2][::-1]] for row in X]
    np.testing.assert_array_equal(turned[:, 3:-2], expected)
    np.testing.assert_array_equal(own.other_strand(turned), X)


def test_of_a_variance_it_is_the_average_over_strands(tmp_path):
    path = save(tmp_path / "1_Tiny.h5", role="student", kinds=("mean", "aleatoric", "std"))
    recalibrate(path, aleatoric=(None, None))
    own = Predictor.open([path])
    two = own.estimate(X, both_strands=True, levels=[0.8], interval="scaling").intervals[0.8]
    scale = Recalibration.read(tmp_path / "1_recalibration.json").scaling
    strands = [raw(path, x).astype(np.float64) for x in (X, own.other_strand(X))]
    for t in range(2):
        aleatoric = np.mean([np.exp(s[:, 2 + t]) for s in strands], axis=0)
        std = np.mean([np.maximum(s[:, 4 + t], 1e-3) for s in strands], axis=0)
        half = 1.2815515655446004 * scale[t] * np.sqrt(std**2 + aleatoric)  # SciPy's ppf(0.9)
        np.testing.assert_allclose((two[1] - two[0])[:, t] / 2, half, rtol=1e-5)


def test_no_sequences(students, teachers):
    for paths in (students, teachers):
        found = Predictor.open(paths).estimate(X[:0], levels=[0.9], both_strands=True)
        assert found.mean.shape == found.std.shape == (0, 2)


# What is opened


def test_a_folder_holds_models_in_order_and_nothing_else(teachers, tmp_path):
    from degu.io.predictions import write_predictions

    folder = tmp_path / "teachers"
    shutil.copytree(teachers[0].parent, folder)
    write_predictions(folder / "1_predictions.h5", {"Test": np.ones((3, 2))}, card())
    (folder / "1_history.csv").write_text("epoch\n")
    own = Predictor.open([folder])
    assert [path.name for path in own.paths] == ["1_Tiny.h5", "2_Tiny.h5", "10_Tiny.h5"]
    assert own.sha256 == Predictor.open([folder / path.name for path in teachers]).sha256
    np.testing.assert_array_equal(own.estimate(X).mean, Predictor.open(teachers).estimate(X).mean)


def test_of_fine_tuned_models_the_last_ones(tmp_path):
    for ix in (1, 2):
        for phase in ("aug", "finetune"):
            save(tmp_path / f"{ix}_Tiny_{phase}.h5", seed=ix + 10 * len(phase))
    names = [path.name for path in Predictor.open([tmp_path]).paths]
    assert names == ["1_Tiny_finetune.h5", "2_Tiny_finetune.h5"]


def test_a_variants_recalibration_is_found(tmp_path):
    path = student(tmp_path / "1_Tiny_random_append_finetune.h5", variant="random_append")
    recalibrate(path, tmp_path / "1_random_append_recalibration.json")
    assert Predictor.open([path]).has_intervals


def test_an_export_is_its_student(students, tmp_path):
    shutil.copy(students[0], tmp_path / "student.h5")
    repair = students[0].with_name("1_recalibration.json")
    shutil.copy(repair, tmp_path / "student_recalibration.json")
    (tmp_path / "ensemble").mkdir()
    description = {"format": 1, "student": "student.h5", "ensemble": []}
    (tmp_path / "degu.json").write_text(json.dumps(description))
    own = Predictor.open([tmp_path])
    assert own.paths == (tmp_path / "student.h5",)
    assert own.has_intervals
    assert own.sha256 == Predictor.open(students[:1]).sha256
    for content in ("{", "[]", '{"format": 2, "student": "student.h5"}', "[" * 100_000):
        (tmp_path / "degu.json").write_text(content)
        refused([tmp_path], "degu.json is no description")
    (tmp_path / "degu.json").write_text('{"format": 1, "student": "../x.h5"}')
    refused([tmp_path], "outside of its folder")


def test_the_hash_is_of_models_and_recalibrations(students, tmp_path):
    a = student(tmp_path / "1_Tiny.h5", "logvar")
    before = Predictor.open([a]).sha256
    recalibrate(a)
    after = Predictor.open([a]).sha256
    recalibrate(a, seed=5)
    assert len({before, after, Predictor.open([a]).sha256}) == 3
    one, two = (Predictor.open([path]).sha256 for path in students)
    assert len({one, two, Predictor.open(students).sha256}) == 3


def refused(paths, words):
    with pytest.raises(InputError) as caught:
        Predictor.open(paths)
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    return message


def test_what_does_not_go_together_is_refused(students, teachers, tmp_path):
    refused([teachers[0], students[0]], "is a student, but")
    refused([teachers[0], teachers[1], teachers[0]], "given twice")
    shutil.copy(teachers[0], tmp_path / "again.h5")
    refused([teachers[0], tmp_path / "again.h5"], "given twice (as ")
    other = save(tmp_path / "2_Other.h5", targets=("Dev", "Leaf"))
    refused([teachers[0], other], "has targets Dev, Leaf, but")
    shorter = save(tmp_path / "2_Shorter.h5", length=29)
    refused([teachers[0], shorter], "takes sequences of 29 bases, but")
    plain = save(tmp_path / "2_Plain.h5", role="mean_student")
    refused([students[0], plain], "is a student without uncertainty, but")
    refused([], "no model")


def test_a_folder_of_several_variants_is_refused(tmp_path):
    for ix, variant in ((1, "random"), (2, "mutagenesis")):
        student(tmp_path / f"{ix}_Tiny_{variant}_finetune.h5", variant=variant)
    refused([tmp_path], "variants random and mutagenesis")


def test_what_is_no_model_is_refused(tmp_path):
    refused([tmp_path], "holds no models")
    refused([tmp_path / "no.h5"], "does not exist")
    (tmp_path / "text.h5").write_text("no")
    refused([tmp_path / "text.h5"], "text.h5")
    refused([tmp_path], "text.h5")
    refused([save(tmp_path / "five.h5", channels=5)], "not sequences of one length")


def test_a_foreign_recalibration_is_refused(students, tmp_path):
    path = student(tmp_path / "1_Tiny.h5", seed=9)
    shutil.copy(students[0].with_name("1_recalibration.json"), tmp_path)
    refused([path], "was fitted for another model than 1_Tiny.h5")
    (tmp_path / "1_recalibration.json").unlink()
    recalibrate(path, std_floor=0.5)
    refused([path], "smallest std of 0.5")
    recalibrate(path, aleatoric=(0.1, None))
    refused([path], "lacks an aleatoric variance")
    (tmp_path / "1_recalibration.json").write_text("{}")
    refused([path], "1_recalibration.json")


def test_a_model_that_predicts_no_numbers_is_refused(tmp_path):
    path = save(tmp_path / "1_Tiny.h5", scale=np.inf)
    with pytest.raises(InputError, match=r"1_Tiny\.h5 predicts values that are not finite"):
        Predictor.open([path]).estimate(X)


def test_it_is_the_file_that_is_hashed(teachers):
    own = Predictor.open(teachers[:1])
    digest = hashlib.sha256(teachers[0].read_bytes()).hexdigest()
    assert own.sha256 == hashlib.sha256(digest.encode()).hexdigest()
    assert module.EXPORT == "degu.json"
