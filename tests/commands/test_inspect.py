"""What ``degu inspect`` says of each kind of file, under a name that does not tell."""

import json
import shutil

import h5py
import made_study
import numpy as np
import pytest
import tiny_models
from click.testing import CliRunner
from conftest import random_one_hot

from degu.attribution.maps import HeadMaps, write_maps
from degu.commands.inspect import inspect
from degu.commands.main import main
from degu.dataset.distillation import write_distillation
from degu.errors import InputError
from degu.io.hdf5 import open_hdf5
from degu.predict.describe import describe


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of the students of a study."""
    return made_study.make(tmp_path_factory.mktemp("study"))


@pytest.fixture
def nameless(tmp_path):
    """Function that copies a file to a name that says nothing."""

    def copy(path):
        return shutil.copy(path, tmp_path / "something")

    return copy


def test_a_model(study, nameless):
    found = describe(nameless(study / "2_Tiny.h5"))
    assert found["kind"] == "model (student)"
    assert found["heads"] == ["Dev", "Hk", "Dev-std", "Hk-std"]
    assert found["arm"] == {"augmentation": "standard", "proportion": 1.0, "size": 2, "member": 2}
    assert found["input"] == [tiny_models.LENGTH, 4]
    # A kernel of 5 · 4 · 4 and 4 biases; 4 · 4 weights and 4 biases.
    assert found["parameters"] == 5 * 4 * 4 + 4 + 4 * 4 + 4
    assert set(found["versions"]) >= {"degu", "tensorflow", "python"}
    assert "recalibration" not in found
    assert "performance on Test" not in found


def test_what_lies_beside_a_model(study):
    found = describe(study / "2_Tiny.h5")
    assert found["performance on Test"]["Dev-std"]["Pearson"] == 0.6
    own = found["recalibration"]
    assert own["made for this model"] is True
    assert own["targets"]["Hk"]["added variance"] == pytest.approx(0.2)


def test_a_recalibration_of_another_model_is_seen(study, tmp_path):
    shutil.copy(study / "2_Tiny.h5", tmp_path / "2_Tiny.h5")
    shutil.copy(study / "1_recalibration.json", tmp_path / "2_recalibration.json")
    assert describe(tmp_path / "2_Tiny.h5")["recalibration"]["made for this model"] is False


def test_fine_tuned_models_have_tables_of_their_own(study, tmp_path):
    for phase in ("aug", "finetune"):
        shutil.copy(study / "2_Tiny.h5", tmp_path / f"2_Tiny_{phase}.h5")
    shutil.copy(study / "2_performance.csv", tmp_path / "2_performance_finetune.csv")
    assert "performance on Test" in describe(tmp_path / "2_Tiny_finetune.h5")
    assert "performance on Test" not in describe(tmp_path / "2_Tiny_aug.h5")


def test_a_data_set(study, nameless):
    found = describe(nameless(study.parents[4] / "dataset.h5"))
    assert found["kind"] == "data set"
    assert found["sequences"] == made_study.SIZES
    assert (found["length"], found["units"]) == (tiny_models.LENGTH, "log2")
    assert found["besides X and y"] == ["id"]


def test_a_distillation_file(study, tmp_path):
    path = tmp_path / "something"
    n = made_study.SIZES
    ones = {name: np.ones((n[name], 2)) for name in n}
    write_distillation(
        path,
        dataset=study.parents[4] / "dataset.h5",
        rows=np.arange(n["Train"]),
        mean_train=ones["Train"],
        std=ones,
        size=2,
    )
    found = describe(path)
    assert found["kind"] == "distillation file"
    assert found["labels"] == ["mean", "std"]
    assert found["arm"] == {"size": 2}
    assert found["sequences"] == n


def test_predictions(study, nameless):
    found = describe(nameless(study / "1_predictions.h5"))
    assert found["kind"] == "predictions"
    assert found["shapes"] == {name: [n, 4] for name, n in made_study.SIZES.items()}


def test_maps(tmp_path):
    x = random_one_hot(3, tiny_models.LENGTH).astype(np.float32)
    maps = {t: {"mean": HeadMaps(x, x[:, 0, 0])} for t in tiny_models.TARGETS}
    path = tmp_path / "something"
    write_maps(path, maps, tiny_models.card(), method="saliency", sequences_sha256="ab")
    found = describe(path)
    assert (found["kind"], found["method"]) == ("attribution maps", "saliency")
    assert found["shapes"]["Dev/mean"] == [3, tiny_models.LENGTH, 4]


def test_a_recalibration(study, nameless):
    found = describe(nameless(study / "3_recalibration.json"))
    assert found["kind"] == "recalibration"
    assert found["validation sequences"] == 60


def test_tables(study, nameless):
    found = describe(nameless(study / "1_performance.csv"))
    assert found["kind"] == "performance table"
    assert found["performance"]["Dev"] == {"MSE": 0.95, "Pearson": 0.79, "Spearman": 0.69}
    found = describe(nameless(study.parents[2] / "uncertainty/n2_summary.csv"))
    assert found["kind"] == "summary of uncertainties"
    assert found["rows"] == 3 * 2 * 5 * 2 * 2
    assert found["target"] == ["Dev", "Hk"]


def foreign_keras(path):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
        file.create_group("model_weights")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: path.write_bytes(b""), "is no file of degu"),
        (lambda path: path.write_text("hello\n"), "is no file of degu"),
        (lambda path: path.write_text('{"a": 1}'), "is no file of degu"),
        (lambda path: path.write_text("{" * 100_000), "is no file of degu"),
        (lambda path: path.write_bytes(bytes(range(256)) * 4), "is no file of degu"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "is not a readable HDF5 file"),
        (lambda path: h5py.File(path, "w").close(), "is no file of degu"),
        (foreign_keras, "carries no card"),
        (lambda path: path.write_text("metric,Dev\nMSE,a\n"), "no whole performance table"),
        (lambda path: path.mkdir(), "is a folder without degu.json"),
        (lambda path: None, "does not exist"),
    ],
)
def test_what_is_unknown_is_one_sentence(tmp_path, write, words):
    write(tmp_path / "file")
    with pytest.raises(InputError, match=words) as caught:
        describe(tmp_path / "file")
    assert str(tmp_path / "file") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_export_that_names_files_elsewhere_is_refused(study, tmp_path):
    shutil.copy(study / "2_Tiny.h5", tmp_path / "model.h5")
    (tmp_path / "export").mkdir()
    content = {"format": 1, "student": "../model.h5", "ensemble": []}
    (tmp_path / "export/degu.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"names \.\./model\.h5"):
        describe(tmp_path / "export")


def test_the_command_prints_text_and_json(study):
    path = str(study / "2_Tiny.h5")
    text = CliRunner().invoke(inspect, [path]).output
    assert "Dev, Hk, Dev-std, Hk-std" in text
    assert "augmentation standard" in text
    done = CliRunner().invoke(inspect, [path, "--json"])
    assert json.loads(done.output) == describe(path)


def test_the_command_ends_with_1_and_a_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["inspect", str(tmp_path / "nothing")])
    assert caught.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_damaged_model_is_refused(study, tmp_path):
    content = bytearray((study / "2_Tiny.h5").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match="not as it was written"), open_hdf5(tmp_path / "file"):
        pass
    with pytest.raises(InputError, match="not as it was written"):
        describe(tmp_path / "file")
