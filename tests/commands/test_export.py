"""An export, against what was put into the study that it is of."""

import hashlib
import os
import shutil
import subprocess
import sys

import h5py
import made_study
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from degu.commands.export import export as command
from degu.errors import InputError
from degu.predict.describe import describe
from degu.predict.export import export, read_config
from degu.predict.predictor import Predictor

CONFIG = {
    "dataset": "assay",
    "data": {"source": "table", "path": "assay.tsv", "split_column": "split"},
    "targets": ["Dev", "Hk"],
    "model": "tiny:build",
    "model_name": "Tiny",
    "ensemble_sizes": [2],
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return made_study.make(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "my.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


@pytest.fixture(scope="module")
def made(study, config, tmp_path_factory):
    return export(study, tmp_path_factory.mktemp("out") / "export", read_config([config]))


@pytest.fixture
def own(study, tmp_path):
    """A copy of the study, to be spoiled; its students' folder."""
    results = study.parents[4]
    shutil.copytree(results, tmp_path / "results")
    return tmp_path / "results" / study.relative_to(results)


def files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_all_of_it_is_there_and_the_models_are_those_of_the_study(study, made):
    assert files(made) == {
        *("degu.json", "student.h5", "student_recalibration.json", "ensemble/1.h5"),
        *("ensemble/2.h5", "model_card.md", "model_card.json", "config.yaml", "SHA256SUMS"),
        *("requirements.txt", "example.py", "example.fa", "example.tsv"),
    }
    chosen = made_study.CHOSEN
    pairs = {
        f"{chosen}_Tiny.h5": "student.h5",
        f"{chosen}_recalibration.json": "student_recalibration.json",
        "../../../teachers/1_Tiny.h5": "ensemble/1.h5",
        "../../../teachers/2_Tiny.h5": "ensemble/2.h5",
    }
    for there, here in pairs.items():
        assert (study / there).read_bytes() == (made / here).read_bytes()
    assert made.stat().st_mode & 0o777 == made_umask()


def made_umask():
    code = "import os; print(0o777 & ~os.umask(0))"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)


def test_the_replicate_is_that_of_the_least_validation_error(study, made):
    with h5py.File(study.parents[4] / "dataset.h5") as file:
        y = file["Val/y"][()].astype(float)
    expected = {}
    for ix in (1, 2, 3):
        with h5py.File(study / f"{ix}_predictions.h5") as file:
            error = file["Val"][:, :2] - y
        shares = [sum(error[:, t] ** 2) / sum((y[:, t] - y[:, t].mean()) ** 2) for t in (0, 1)]
        expected[str(ix)] = sum(shares) / 2
    training = made_study.read(made / "model_card.json")["training"]
    assert training["replicate"] == made_study.CHOSEN == int(min(expected, key=expected.get))
    assert training["validation_errors"] == pytest.approx(expected, rel=1e-5)


def test_the_card_has_the_numbers_of_the_tables(made):
    card = made_study.read(made / "model_card.json")
    rows = {(r["target"], r["head"], r["metric"]): r for r in card["performance"]}
    one = rows["Dev", "mean", "MSE"]
    assert one["single"] == pytest.approx(1.5)
    assert one["single_std"] == pytest.approx(np.sqrt(0.5))  # of 1 and 2, ddof 1
    assert (one["ensemble"], one["student"]) == (0.9, 0.95)
    std = rows["Dev", "std", "Pearson"]
    assert (std["student"], std["single"], std["ensemble"]) == (0.6, None, None)
    assert len(rows) == 12
    covered = {
        (r["target"], r["recalibration"], r["level"]): r["coverage"] for r in card["calibration"]
    }
    assert covered["Hk", "mondrian", 0.9] == pytest.approx(made_study.COVERAGE["mondrian"])
    assert covered["Dev", "none", 0.5] == pytest.approx(made_study.COVERAGE["none"] - 0.4)
    assert len(covered) == 2 * 5 * 2
    assert card["data"]["sizes"] == made_study.SIZES
    assert card["data"]["trained_on"] == made_study.SIZES["Train"]
    text = (made / "model_card.md").read_text()
    assert "| Dev | MSE | 1.500 | 0.707 | 0.900 | 0.950 |" in text
    assert "| Hk | mondrian | 0.920 | 3.000 |" in text
    assert card["data"]["sha256"] in text
    assert "not to believe an interval" in text


def test_checksums_are_those_of_sha256sum(made):
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=made)
    assert done.returncode == 0
    listed = {line.split("  ")[1] for line in (made / "SHA256SUMS").read_text().splitlines()}
    assert listed == files(made) - {"SHA256SUMS"}


def test_the_config_is_whole_and_means_what_it_did(made, config):
    assert read_config([made / "config.yaml"]) == read_config([config])


def test_a_config_is_laid_over_another(config, tmp_path):
    above = tmp_path / "above.yaml"
    above.write_text("data: {units: counts}\nensemble_sizes: [3]\n")
    both = read_config([config, above])
    assert both["data"]["units"] == "counts"
    assert both["data"]["path"] == "assay.tsv"
    assert both["arms"][0]["ensemble_sizes"] == [3]


def test_the_predictor_takes_the_student_with_its_recalibration(made):
    model = Predictor.open([made])
    assert (model.role, model.has_intervals, len(model.cards)) == ("student", True, 1)
    ensemble = Predictor.open(sorted(made.glob("ensemble/*.h5")))
    assert (ensemble.role, len(ensemble.cards)) == ("teacher", 2)


def test_the_examples_are_test_sequences_and_what_the_study_predicted(study, made):
    lines = (made / "example.fa").read_text().splitlines()
    ids, sequences = [line[1:] for line in lines[::2]], lines[1::2]
    assert ids == [f"Test-{i}_x" for i in range(5)]
    with h5py.File(study.parents[4] / "dataset.h5") as file:
        x = file["Test/X"][:5]
    assert ["".join("ACGT"[i] for i in row.argmax(axis=1)) for row in x] == sequences
    found = Predictor.open([made]).estimate(letter_codes_of(sequences))
    header, *rows = [line.split("\t") for line in (made / "example.tsv").read_text().splitlines()]
    assert header == ["id", "Dev", "Dev_std", "Hk", "Hk_std"]
    expected = np.stack([found.mean, found.std], axis=2).reshape(5, 4)
    np.testing.assert_allclose(np.array([r[1:] for r in rows], float), expected, rtol=1e-5)


def letter_codes_of(sequences):
    return np.array([["ACGTN".index(letter) for letter in text] for text in sequences], np.uint8)


def test_the_example_is_ten_lines_that_run(made, root):
    assert len((made / "example.py").read_text().splitlines()) <= 10
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    command = [sys.executable, "example.py"]
    done = subprocess.run(command, cwd=made, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Test-0_x" in done.stdout


def test_log_variances_are_stds_in_the_example(tmp_path):
    made = export(made_study.make(tmp_path, "logvar"), tmp_path / "export")
    rows = np.genfromtxt(made / "example.tsv", names=True, dtype=None, encoding=None)
    with h5py.File(next(tmp_path.rglob(f"logvar/{made_study.CHOSEN}_predictions.h5"))) as file:
        np.testing.assert_allclose(rows["Dev_std"], np.exp(file["Test"][:5, 2] / 2), rtol=1e-5)
    assert not (made / "config.yaml").exists()
    assert made_study.read(made / "model_card.json")["training"]["config"] is None


def test_the_command_says_where_it_is(study, tmp_path):
    done = CliRunner().invoke(command, [str(study), "--to", str(tmp_path / "a/b")])
    assert done.exit_code == 0, done.output
    assert "degu predict" in done.stdout
    assert "--config" in done.stderr
    assert (tmp_path / "a/b/degu.json").exists()


def test_an_empty_folder_is_taken_and_another_is_not(study, tmp_path):
    export(study, tmp_path)
    before = hashlib.sha256((tmp_path / "SHA256SUMS").read_bytes()).hexdigest()
    with pytest.raises(InputError, match="not an empty folder"):
        export(study, tmp_path)
    assert hashlib.sha256((tmp_path / "SHA256SUMS").read_bytes()).hexdigest() == before


@pytest.mark.parametrize(
    "gone",
    [
        *("2_recalibration.json", "1_predictions.h5", "2_performance.csv"),
        *("../../../teachers/2_Tiny.h5", "../../../teachers/1_performance.csv"),
        *("../../../ensemble/n2/ensemble_performance_avg.csv", "../../../subset.npy"),
        *("../../../uncertainty/n2_summary.csv", "../../../../../dataset.h5"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_left(own, tmp_path, gone):
    (own / gone).unlink()
    with pytest.raises(InputError) as caught:
        export(own, tmp_path / "out/export")
    assert gone.rpartition("/")[2] in str(caught.value)
    assert "\n" not in str(caught.value)
    out = tmp_path / "out"
    assert not out.exists() or not list(out.iterdir())


def test_a_failure_while_it_is_written_leaves_nothing(study, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("degu.predict.export._write_checksums", fail)
    with pytest.raises(OSError, match="No space"):
        export(study, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


def test_a_recalibration_of_another_model_is_refused(own, tmp_path):
    shutil.copy(own / "1_recalibration.json", own / "2_recalibration.json")
    with pytest.raises(InputError, match=r"2_recalibration\.json was not made for"):
        export(own, tmp_path / "export")


@pytest.mark.parametrize("name", ["teachers", "students/n2", "nowhere"])
def test_other_folders_are_refused(study, tmp_path, name):
    with pytest.raises(InputError, match="students/n10/std"):
        export(study.parents[2] / name, tmp_path / "export")


def test_a_config_of_another_study_is_refused(study, config, tmp_path):
    other = {**CONFIG, "dataset": "another"}
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump(other))
    with pytest.raises(InputError, match="dataset 'another'"):
        export(study, tmp_path / "export", read_config([path]))


def test_inspect_knows_an_export(made):
    found = describe(made)
    assert found["kind"] == "export"
    assert found["ensemble"] == 2
    assert found["student"]["recalibration"]["made for this model"] is True
    (made / "ensemble/2.h5").rename(made / "moved")
    try:
        with pytest.raises(InputError, match=r"ensemble/2\.h5"):
            describe(made)
    finally:
        (made / "moved").rename(made / "ensemble/2.h5")
