"""``degu attribute``: maps in HDF5 and for modisco-lite, and logos."""

import json
import shlex
import subprocess
import sys

import h5py
import numpy as np
import pytest
from tiny_models import save, student

from degu.attribution import deepshap, mutagenesis, saliency
from degu.commands.main import degu
from degu.errors import InputError
from degu.models.files import load_model
from degu.predict.describe import describe
from degu.sequences import one_hot

SEQUENCES = [
    "ACGTTGCANNACGTGGATCCATTAGACCAT",
    "ACGTTGCAACACGTGGATCCATTAGACCAT",
    "A" * 15 + "C" * 15,
]


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Threads of TensorFlow are set before it computes, and here it has saved the models."""
    monkeypatch.setattr("degu.ops.runtime.set_compute_threads", lambda threads: None)


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "some.fa"
    path.write_text("".join(f">s{i}/x\n{text}\n" for i, text in enumerate(SEQUENCES)))
    return path


@pytest.fixture
def students(tmp_path):
    return [student(tmp_path / f"{i}_tiny.h5") for i in (1, 2)]


def call(*arguments):
    degu.main([str(a) for a in arguments], standalone_mode=False)


def test_the_real_command_writes_a_file_for_each_target(tmp_path, fasta, students):
    arguments = ["attribute", *students, fasta, "-o", tmp_path / "maps.h5", "--method", "ism"]
    done = subprocess.run(
        [sys.executable, "-m", "degu.commands.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    x = one_hot(SEQUENCES)
    models = [load_model(path)[0] for path in students]
    for column, target in enumerate(("Dev", "Hk")):
        with h5py.File(tmp_path / f"maps_{target}.h5") as file:
            assert list(file["id"].asstr()) == ["s0/x", "s1/x", "s2/x"]
            np.testing.assert_array_equal(file["x"], x)
            expected = np.mean([mutagenesis(m, x, column) for m in models], axis=0)
            np.testing.assert_allclose(file["maps"], expected, atol=1e-6)
            predicted = np.mean([m(x.astype("f4"))[:, column] for m in models], axis=0)
            np.testing.assert_allclose(file["prediction"], predicted, atol=1e-6)
            attributes = dict(file.attrs)
        assert attributes["method"] == "ism"
        assert attributes["target"] == target
        assert attributes["units"] == "units of the target"
        assert list(attributes["models"]) == ["1_tiny.h5", "2_tiny.h5"]


def test_maps_of_the_uncertainty_of_one_target(tmp_path, fasta, students):
    arguments = ("--head", "uncertainty", "--targets", "Hk", "--method", "saliency")
    call("attribute", students[0], fasta, "-o", tmp_path / "hk.h5", *arguments)
    expected = saliency(load_model(students[0])[0], one_hot(SEQUENCES), 3)
    with h5py.File(tmp_path / "hk.h5") as file:
        np.testing.assert_allclose(file["maps"], expected, atol=1e-6)
        assert file.attrs["kind"] == "std"
    described = describe(tmp_path / "hk.h5")
    assert (described["kind"], described["target"], described["of"]) == (
        "attribution maps",
        "Hk",
        "std",
    )
    assert described["shape"] == [len(SEQUENCES), len(SEQUENCES[0]), 4]


def test_what_modisco_reads_and_the_command_that_fits(tmp_path, fasta, students, capsys):
    prefix = tmp_path / "my maps"
    more = ("--format", "modisco", "--targets", "Dev", "--method", "shap", "--n-references", 2)
    call("attribute", students[0], fasta, "-o", prefix, *more)
    line = next(li for li in capsys.readouterr().err.splitlines() if "modisco motifs" in li)
    assert "must not exceed the sequences" in line
    command = shlex.split(line[line.index("modisco motifs") :])
    options = dict(zip(command[2::2], command[3::2], strict=True))
    assert options["-w"] == "30"
    x, scores = (np.load(options[o], allow_pickle=False)["arr_0"] for o in ("-s", "-a"))
    sequences = one_hot(SEQUENCES)
    np.testing.assert_array_equal(x.transpose(0, 2, 1), sequences)
    references = sequences[np.random.default_rng(1234).choice(3, 2, replace=False)]
    # A position's contribution is the score at the base that is there.
    maps = deepshap(load_model(students[0])[0], sequences, references)
    known = sequences.any(axis=2)
    np.testing.assert_allclose((x * scores).sum(1)[known], maps.sum(2)[known], atol=1e-6)


def test_references_come_from_a_file_or_are_too_few(tmp_path, fasta, students):
    output = tmp_path / "maps.h5"
    with pytest.raises(InputError, match=r"some\.fa holds 3 sequences, too few to draw 100"):
        call("attribute", students[0], fasta, "-o", output, "--method", "shap")
    other = tmp_path / "other.fa"
    other.write_text(f">r\n{'G' * 30}\n")
    more = ("--method", "shap", "--references", other, "--n-references", 1, "--targets", "Dev")
    call("attribute", students[0], fasta, "-o", output, *more)
    expected = deepshap(load_model(students[0])[0], one_hot(SEQUENCES), one_hot(["G" * 30]))
    with h5py.File(output) as file:
        np.testing.assert_allclose(file["maps"], expected, atol=1e-6)


def test_blocks_are_as_one(tmp_path, fasta, students, monkeypatch):
    more = ("--method", "ism", "--targets", "Dev")
    call("attribute", *students, fasta, "-o", tmp_path / "a.h5", *more)
    monkeypatch.setattr("degu.predict.maps.ROWS", 2)
    call("attribute", *students, fasta, "-o", tmp_path / "b.h5", *more)
    with h5py.File(tmp_path / "a.h5") as a, h5py.File(tmp_path / "b.h5") as b:
        assert set(a) == set(b) == {"id", "x", "maps", "prediction"}
        for key in ("x", "maps", "prediction"):
            np.testing.assert_allclose(a[key], b[key], atol=1e-6)


def test_logos_of_the_first_sequences(tmp_path, fasta, students, capsys):
    more = ("--method", "saliency", "--logos", tmp_path / "logos", "--max-logos", 2)
    call("attribute", *students, fasta, "-o", tmp_path / "maps.h5", *more)
    names = sorted(path.name for path in (tmp_path / "logos").iterdir())
    assert names == ["1_s0_x.png", "2_s1_x.png"]
    assert "the first 2 sequences" in capsys.readouterr().err


def test_what_is_not_there_is_one_sentence(tmp_path, fasta, students):
    output = tmp_path / "maps.h5"
    teacher = save(tmp_path / "1_teacher.h5")
    for arguments, words in (
        ((students[0], fasta, "--targets", "Leaf"), "no target Leaf; it predicts Dev, Hk"),
        ((teacher, fasta, "--head", "uncertainty"), "predicts no uncertainty"),
        ((teacher, tmp_path / "none.fa"), "none.fa does not exist"),
        ((teacher, *students, fasta), "is a student"),
    ):
        with pytest.raises(InputError, match=words):
            call("attribute", *arguments, "-o", output)
    with pytest.raises(Exception, match="--references are of --method shap"):
        call("attribute", teacher, fasta, "-o", output, "--references", fasta)
    assert not output.exists()
    with pytest.raises(InputError, match=r"1_teacher\.h5 would be written over"):
        call("attribute", teacher, fasta, "-o", teacher, "--targets", "Dev")


def test_help_does_not_wait_for_tensorflow(root):
    code = (
        "import sys, json\n"
        "from degu.commands.main import degu\n"
        "for name in ('attribute', 'scan'):\n"
        "    degu.main([name, '--help'], standalone_mode=False)\n"
        "heavy = {'tensorflow', 'keras', 'h5py', 'pandas', 'matplotlib', 'scipy'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
