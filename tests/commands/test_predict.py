"""``degu predict``: the command itself, in this process and, where that matters, in its own."""

import csv
import gzip
import hashlib
import io
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_models import LENGTH, TARGETS, recalibrate, save, student

from degu.commands.main import main

RNG = np.random.default_rng(1)
SEQUENCES = ["".join(RNG.choice(list("ACGT"), LENGTH)) for _ in range(50)]
IDS = [f"s{i}" for i in range(50)]
NAMES = ["id", *(t + e for t in TARGETS for e in ("", "_std", "_lower", "_upper"))]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name in ("students", "teachers"):
        (folder / name).mkdir()
    for ix in (1, 2):
        recalibrate(student(folder / f"students/{ix}_Tiny.h5", "logvar"), seed=ix)
        save(folder / f"teachers/{ix}_Tiny.h5")
    text = "".join(f">{i} of an assay\n{s}\n" for i, s in zip(IDS, SEQUENCES, strict=True))
    (folder / "x.fa").write_text(text)
    return folder


@pytest.fixture
def degu(monkeypatch, capsysbinary):
    """Run the command here; exit code, standard output, and the sentences of standard error."""
    monkeypatch.setattr("degu.ops.runtime.set_compute_threads", lambda threads: None)

    def run(*arguments):
        code = 0
        try:
            main(["predict", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        out, err = capsysbinary.readouterr()
        return code, out, err.decode()

    return run


def raw(path, sequences=SEQUENCES):
    """What Keras itself predicts."""
    letters = np.array([list(s) for s in sequences])
    one_hot = (letters[..., None] == list("ACGT")).astype(np.float32)
    return keras.models.load_model(path, compile=False).predict(one_hot, verbose=0)


def rows(out):
    found = list(csv.DictReader(io.StringIO(out.decode()), delimiter="\t"))
    assert list(found[0]) == NAMES
    return found


def column(found, name):
    return np.array([float(row[name] or "nan") for row in found])


def test_students(files, degu):
    code, out, err = degu(files / "students", files / "x.fa")
    assert (code, err) == (0, "")
    found = rows(out)
    assert [row["id"] for row in found] == IDS
    each = [raw(files / f"students/{ix}_Tiny.h5") for ix in (1, 2)]
    for t, target in enumerate(TARGETS):
        mean = (each[0][:, t] + each[1][:, t]) / 2
        std = np.sqrt((np.exp(each[0][:, 2 + t]) + np.exp(each[1][:, 2 + t])) / 2)
        np.testing.assert_allclose(column(found, target), mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(column(found, f"{target}_std"), std, rtol=1e-4)
        lower, upper = (column(found, f"{target}_{end}") for end in ("lower", "upper"))
        np.testing.assert_allclose((lower + upper) / 2, mean, rtol=1e-3, atol=1e-4)
        assert (upper - lower > std).all()


def test_teachers_have_no_intervals(files, degu):
    code, out, err = degu(files / "teachers", files / "x.fa")
    assert code == 0
    assert err.endswith("there are no intervals: not every model has a recalibration beside it.\n")
    found = rows(out)
    each = [raw(files / f"teachers/{ix}_Tiny.h5")[:, 0] for ix in (1, 2)]
    np.testing.assert_allclose(column(found, "Dev_std"), np.std(each, axis=0), rtol=1e-3, atol=1e-6)
    assert {row["Dev_lower"] + row["Hk_upper"] for row in found} == {""}


def test_one_teacher_has_no_std(files, degu):
    _, out, err = degu(files / "teachers/1_Tiny.h5", files / "x.fa")
    assert {row["Dev_std"] for row in rows(out)} == {""}
    assert "there are no stds" in err
    assert degu(files / "teachers/1_Tiny.h5", files / "x.fa", "--quiet")[1:] == (out, "")


def test_all_formats_say_the_same(files, degu, tmp_path):
    import h5py

    _, out, _ = degu(files / "students", files / "x.fa")
    for name in ("x.tsv", "x.tsv.gz", "x.parquet", "x.h5"):
        code, printed, err = degu(files / "students", files / "x.fa", "-o", tmp_path / name)
        assert (code, printed, err) == (0, b"", "")
    assert sorted(os.listdir(tmp_path)) == ["x.h5", "x.parquet", "x.tsv", "x.tsv.gz"]
    assert (tmp_path / "x.tsv").read_bytes() == out
    assert gzip.decompress((tmp_path / "x.tsv.gz").read_bytes()) == out
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.schema.names == NAMES
    for name in NAMES[1:]:
        values = column(rows(out), name).astype(np.float32)
        np.testing.assert_array_equal(table.column(name).to_numpy(), values)
        with h5py.File(tmp_path / "x.h5") as file:
            np.testing.assert_array_equal(file[name], values)
    _, piped, _ = degu(files / "students", files / "x.fa", "--format", "parquet")
    assert pq.read_table(io.BytesIO(piped)).equals(table)


def test_a_table_gzipped_in_other_letters(files, degu, tmp_path):
    lines = ["name\tsequence", *(f"{i}\t{s.lower()}" for i, s in zip(IDS, SEQUENCES, strict=True))]
    path = tmp_path / "x.tsv.gz"
    path.write_bytes(gzip.compress("\r\n".join(lines).encode()))
    columns = ["--id-column", "name", "--sequence-column", "sequence"]
    code, out, err = degu(files / "students", path, *columns)
    assert (code, err) == (0, "")
    assert out == degu(files / "students", files / "x.fa")[1]


def test_both_strands(files, degu):
    _, out, _ = degu(files / "teachers", files / "x.fa", "--both-strands", "-q")
    turned = [s[::-1].translate(str.maketrans("ACGT", "TGCA")) for s in SEQUENCES]
    means = [raw(files / f"teachers/{ix}_Tiny.h5", s) for ix in (1, 2) for s in (SEQUENCES, turned)]
    expected = np.mean(means, axis=0)[:, 1]
    np.testing.assert_allclose(column(rows(out), "Hk"), expected, rtol=1e-4, atol=1e-5)


def test_levels_and_repairs(files, degu, tmp_path):
    def widths(*arguments):
        path = tmp_path / "x.parquet"
        degu(files / "students/1_Tiny.h5", files / "x.fa", "-o", path, *arguments)
        table = pq.read_table(path)

        def width(level=""):
            ends = (table.column(f"Dev_{end}{level}").to_numpy() for end in ("upper", "lower"))
            return np.subtract(*ends)

        return table, width

    table, of = widths("--level", "0.5", "--level", "0.975", "--level", "0.5")
    ends = [f"_{end}_{level}" for level in ("50", "97.5") for end in ("lower", "upper")]
    assert table.schema.names[1:7] == ["Dev", "Dev_std", *(f"Dev{end}" for end in ends)]
    assert (of("_50") < of("_97.5")).all()
    found = [widths("--interval", name)[1]() for name in ("mondrian", "isotonic", "scaling")]
    assert not np.allclose(found[0], found[1])
    assert not np.allclose(found[1], found[2])


def test_levels_without_an_end(files, degu):
    _, out, err = degu(files / "students", files / "x.fa", "--level", "0.999")
    assert {row["Dev_lower"] + row["Hk_upper"] for row in rows(out)} == {"-infinf"}
    assert "200 ends of intervals are infinite" in err


def test_what_does_not_fit(files, degu, tmp_path):
    path = tmp_path / "x.fa"
    own = [*SEQUENCES[:3], SEQUENCES[3] + "ACGT", SEQUENCES[4][3:], "N" * 3 + SEQUENCES[5][3:]]
    path.write_text("".join(f">s{i}\n{s}\n" for i, s in enumerate(own)))
    code, out, err = degu(files / "students", path)
    assert (code, out) == (1, b"")
    assert err == (
        f"degu: {path}: 2 of 6 sequences have other lengths than 30 (the first: s3, 34 bases); use "
        "--fit pad, centre or tile.\n"
    )
    code, out, err = degu(files / "students", path, "--fit", "centre")
    assert code == 0
    assert "1 of 6 sequences have no values" in err
    found = rows(out)
    assert [row["Dev"] == "" for row in found] == [False] * 5 + [True]
    same = raw(files / "students/1_Tiny.h5", [own[3][2:-2]])
    other = raw(files / "students/2_Tiny.h5", [own[3][2:-2]])
    assert float(found[3]["Dev"]) == pytest.approx((same[0, 0] + other[0, 0]) / 2, abs=1e-5)
    _, out, _ = degu(files / "students", path, "--fit", "tile", "--stride", "1", "--max-n", "0.1")
    tiles = [own[3][i : i + LENGTH] for i in range(5)]
    mean = np.mean([raw(files / f"students/{ix}_Tiny.h5", tiles)[:, 1] for ix in (1, 2)])
    assert float(rows(out)[3]["Hk"]) == pytest.approx(mean, abs=1e-5)
    assert rows(out)[5]["Hk"] != ""


def test_a_bed(files, degu, tmp_path):
    genome = tmp_path / "genome.fa"
    genome.write_text(f">chr1\n{''.join(SEQUENCES)}\n")
    bed = tmp_path / "x.bed"
    bed.write_text("".join(f"chr1\t{30 * i}\t{30 * i + 30}\n" for i in range(50)))
    code, out, _ = degu(files / "students", bed, "--genome", genome)
    assert code == 0
    found = rows(out)
    assert found[1]["id"].startswith("chr1:30-60")
    expected = rows(degu(files / "students", files / "x.fa")[1])
    assert [list(row.values())[1:] for row in found] == [list(r.values())[1:] for r in expected]
    # Shorter intervals get the genome's own bases.
    bed.write_text("".join(f"chr1\t{30 * i + 2}\t{30 * i + 28}\n" for i in range(50)))
    _, out, err = degu(files / "students", bed, "--genome", genome, "--fit", "centre")
    assert [row["Dev"] for row in rows(out)] == [row["Dev"] for row in expected]
    assert err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--stride", "3"],
        ["--summit"],
        ["--format", "hdf5"],
        ["--resume"],
        ["--level", "1"],
        ["--fit", "tile", "--stride", "31"],
        ["--fit", "other"],
    ],
)
def test_usage(files, degu, arguments):
    code, out, err = degu(files / "students", files / "x.fa", *arguments)
    assert (code, out) == (2, b"")
    assert "Error: " in err


def test_inputs_that_are_refused(files, degu, tmp_path):
    good = files / "x.fa"
    empty = tmp_path / "empty.fa"
    empty.touch()
    letter = tmp_path / "letter.fa"
    letter.write_text(f">s0\n{SEQUENCES[0]}\n>s1\n{SEQUENCES[1][:-1]}U\n")
    for arguments, words in (
        ([files / "students", tmp_path / "no.fa"], "no.fa does not exist"),
        ([files / "no", good], "no does not exist"),
        ([tmp_path, good], "holds no models"),
        ([files / "students", empty], "empty.fa is empty"),
        ([files / "students", letter], "sequence s1 has 'U' at position 30"),
        ([files / "students", files / "teachers", good], "is a teacher, but"),
        ([files / "students", good, "--output", good], "would be written over"),
    ):
        output = [] if "--output" in arguments else ["--output", tmp_path / "out.tsv"]
        code, out, err = degu(*arguments, *output)
        assert (code, out) == (1, b"")
        assert err.startswith("degu: ")
        assert words in err
        assert err.count("\n") == 1
        assert sorted(os.listdir(tmp_path)) == ["empty.fa", "letter.fa"]


def test_names_that_collide(degu, tmp_path, files):
    path = save(tmp_path / "1_Tiny.h5", targets=("leaf", "leaf_std"))
    code, _, err = degu(path, files / "x.fa")
    assert code == 1
    assert "two columns would be called leaf_std" in err


# What is killed goes on


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr("degu.predict.stream.PART", 8)
    monkeypatch.setattr("degu.predict.stream.READ", 4)


KILLED = """
import os, signal, sys
from degu.commands.main import main
from degu.predict import stream
stream.PART, stream.READ = 8, 4
estimate = stream._estimate
parts = []
def dies(*arguments):
    parts.append(1)
    if len(parts) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return estimate(*arguments)
stream._estimate = dies
main(sys.argv[1:])
"""


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_what_was_killed_goes_on_to_the_same_bytes(files, degu, tmp_path, small_parts, monkeypatch):
    output = tmp_path / "out.parquet"
    arguments = [str(files / "students"), str(files / "x.fa"), "-o", str(output), "--threads", "1"]
    degu(*arguments)
    whole = output.read_bytes()
    output.unlink()
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, "predict", *arguments], env=environment(), timeout=500
    )
    assert ended.returncode == -signal.SIGKILL
    journal = tmp_path / ".out.parquet.degu"
    assert os.listdir(tmp_path) == [journal.name]
    assert len(list(journal.glob("*.arrow"))) == 3
    from degu.predict import stream

    calls = []
    estimate = stream._estimate
    monkeypatch.setattr(stream, "_estimate", lambda *a: (calls.append(1), estimate(*a))[1])
    assert degu(*arguments, "--resume")[0] == 0
    assert len(calls) == 4  # of seven
    assert hashlib.sha256(output.read_bytes()).digest() == hashlib.sha256(whole).digest()
    assert os.listdir(tmp_path) == [output.name]


def test_what_was_interrupted_goes_on_only_as_it_was(
    files, degu, tmp_path, small_parts, monkeypatch
):
    from degu.predict import stream

    fasta, output = tmp_path / "x.fa", tmp_path / "out.tsv"
    fasta.write_bytes((files / "x.fa").read_bytes())
    arguments = [files / "students", fasta, "-o", output]

    estimate = stream._estimate

    def interrupt(*given):
        if (tmp_path / ".out.tsv.degu/000001.arrow").exists():
            raise KeyboardInterrupt
        return estimate(*given)

    with monkeypatch.context() as patch:
        patch.setattr(stream, "_estimate", interrupt)
        assert degu(*arguments)[0] == 130
    assert not output.exists()
    for other, words in (
        ([*arguments, "--level", "0.5"], "since other options"),
        ([*arguments, "--batch-size", "3"], "since other options"),
        ([files / "students/1_Tiny.h5", *arguments[1:]], "since other models"),
    ):
        code, _, err = degu(*other, "--resume")
        assert code == 1
        assert words in err
    before = fasta.read_text()
    fasta.write_text(before.replace("A", "C", 1))
    assert "since other sequences" in degu(*arguments, "--resume")[2]
    fasta.write_text(before)
    assert degu(*arguments, "--resume")[0] == 0
    whole = output.read_bytes()
    degu(*arguments)
    assert output.read_bytes() == whole


def test_the_command_in_a_pipe_that_closes(files, tmp_path):
    long = tmp_path / "long.fa"
    long.write_text((files / "x.fa").read_text() * 400)
    degu = f"{sys.executable} -m degu.commands.main predict {files}/students {long}"
    ended = subprocess.run(
        ["bash", "-c", f"{degu} | head -n 2; exit ${{PIPESTATUS[0]}}"],
        env=environment(),
        capture_output=True,
        timeout=500,
    )
    assert ended.returncode == 0
    assert ended.stdout.decode().splitlines()[0].split("\t") == NAMES
    assert ended.stdout.count(b"\n") == 2
    assert ended.stderr == b""


def test_from_a_pipe(files, degu, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    output = tmp_path / "out.tsv"
    with subprocess.Popen(["cp", str(files / "x.fa"), str(pipe)]):
        code, _, err = degu(files / "students", pipe, "-o", output)
    assert (code, err) == (0, "")
    assert output.read_bytes() == degu(files / "students", files / "x.fa")[1]
    code, _, err = degu(files / "students", pipe, "-o", output, "--resume")
    assert code == 1
    assert "is no file that can be read again" in err
