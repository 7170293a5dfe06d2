"""``degu scan``: the table and pictures of every substitution."""

import subprocess
import sys

import numpy as np
import pytest
from tiny_models import LENGTH, save, student

from degu.commands.main import degu
from degu.errors import InputError
from degu.predict.predictor import Predictor
from degu.sequences import letter_codes

SEQUENCES = {"one": "ACGTTGCANNACGTGGATCCATTAGACCAT", "two": "acgttgcaacacgtggatccattagaccat"}


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Threads of TensorFlow are set before it computes, and here it has saved the models."""
    monkeypatch.setattr("degu.ops.runtime.set_compute_threads", lambda threads: None)


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "some.fa"
    path.write_text("".join(f">{name} word\n{text}\n" for name, text in SEQUENCES.items()))
    return path


@pytest.fixture
def teachers(tmp_path):
    return [save(tmp_path / f"{i}_tiny.h5") for i in (1, 2)]


def call(*arguments):
    degu.main([str(a) for a in arguments], standalone_mode=False)


def table(path):
    header, *lines = path.read_text().splitlines()
    return header.split("\t"), [line.split("\t") for line in lines]


def test_a_row_is_a_substitution_with_what_both_sequences_predict(tmp_path, fasta, teachers):
    """The real command; each row checked by two predictions of strings."""
    output = tmp_path / "scan.tsv"
    done = subprocess.run(
        [sys.executable, "-m", "degu.commands.main", "scan", *teachers, fasta, "-o", output],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "Traceback" not in done.stderr
    header, rows = table(output)
    assert header == [
        *("id", "position", "ref", "alt"),
        *("Dev_effect", "Dev_effect_std", "Hk_effect", "Hk_effect_std"),
    ]
    expected = [
        (name, str(i + 1), ref, alt)
        for name, text in SEQUENCES.items()
        for i, ref in enumerate(text.upper())
        for alt in "ACGT"
        if ref not in ("N", alt)
    ]
    assert [tuple(row[:4]) for row in rows] == expected

    def mutated(name, position, alt):
        text, i = SEQUENCES[name], int(position) - 1
        return (text[:i] + alt + text[i + 1 :]).encode()

    predictor = Predictor.open(teachers)
    before = [SEQUENCES[row[0]].encode() for row in rows]
    after = [mutated(row[0], row[1], row[3]) for row in rows]
    (was, _), (became, _) = (predictor.members(letter_codes(s)) for s in (before, after))
    effects = became - was
    wanted = np.stack([effects.mean(axis=0), effects.std(axis=0)], axis=-1).reshape(len(rows), 4)
    np.testing.assert_allclose(np.array([row[4:] for row in rows], float), wanted, atol=1e-6)
    assert np.abs(wanted).max() > 0.01


def test_a_single_teacher_has_empty_stds(tmp_path, fasta, teachers, capsysbinary):
    call("scan", teachers[0], fasta)
    captured = capsysbinary.readouterr()
    header, first, *_ = captured.out.decode().splitlines()
    assert header.split("\t")[5] == "Dev_effect_std"
    assert first.split("\t")[5::2] == ["", ""]
    assert b"there are no stds" in captured.err
    call("scan", teachers[0], fasta, "--quiet")
    assert capsysbinary.readouterr().err == b""


def test_rho_changes_the_stds_of_students_alone(tmp_path, fasta, teachers):
    model = student(tmp_path / "1_student.h5")
    paths = [tmp_path / name for name in ("a.tsv", "b.tsv")]
    call("scan", model, fasta, "-o", paths[0])
    call("scan", model, fasta, "-o", paths[1], "--rho", "0.9")
    (_, independent), (_, alike) = map(table, paths)
    assert [row[4::2] for row in independent] == [row[4::2] for row in alike]
    assert all(float(a[5]) > float(b[5]) for a, b in zip(independent, alike, strict=True))
    with pytest.raises(Exception, match="--rho is of students"):
        call("scan", *teachers, fasta, "--rho", "0.9")


def test_added_flanks_are_not_scanned(tmp_path, teachers, monkeypatch):
    """Positions are those of the sequence as it is given."""
    monkeypatch.setattr("degu.predict.predictor._flanks", lambda card: (b"ACG", b"TT"))
    inner, whole = SEQUENCES["two"][3:-2], "acg" + SEQUENCES["two"][3:-2] + "tt"
    path, output = tmp_path / "inner.fa", tmp_path / "scan.tsv"
    path.write_text(f">inner\n{inner}\n>whole\n{whole}\n")
    call("scan", *teachers, path, "-o", output)
    _, rows = table(output)
    short = {tuple(row[1:4]): row[4:] for row in rows if row[0] == "inner"}
    long = {tuple(row[1:4]): row[4:] for row in rows if row[0] == "whole"}
    assert len(short) == 3 * (LENGTH - 5)
    assert len(long) == 3 * LENGTH
    for (position, *letters), values in short.items():
        shifted = long[str(int(position) + 3), *letters]
        np.testing.assert_allclose(np.array(values, float), np.array(shifted, float), atol=1e-6)


def test_pictures_of_the_first_sequences(tmp_path, fasta, teachers):
    call("scan", *teachers, fasta, "-o", tmp_path / "a.tsv", "--picture", tmp_path / "p")
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["1_one.png", "2_two.png"]
    more = ("--picture", tmp_path / "q", "--max-pictures", 1)
    call("scan", *teachers, fasta, "-o", tmp_path / "a.tsv", *more)
    assert [path.name for path in (tmp_path / "q").iterdir()] == ["1_one.png"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (">a\nACGT\n>b\n" + "A" * LENGTH + "\n>c\nA\n", r"2 of 3 .*30 bases \(the first: a, 4 bas"),
        (">a\n" + "A" * (LENGTH - 1) + "U\n", "a has 'U' at position 30"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_no_file(tmp_path, teachers, text, words):
    path, output = tmp_path / "odd.fa", tmp_path / "out" / "scan.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"odd\.fa.*{words}"):
        call("scan", *teachers, path, "-o", output)
    assert not output.exists()


def test_no_input_is_written_over(fasta, teachers):
    before = fasta.read_bytes()
    with pytest.raises(InputError, match=r"some\.fa would be written over"):
        call("scan", *teachers, fasta, "-o", fasta)
    with pytest.raises(InputError, match="does not exist"):
        call("scan", *teachers, fasta.with_name("none.fa"))
    assert fasta.read_bytes() == before
