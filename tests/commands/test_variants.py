"""``degu variants``: the command, on files that bcftools and tabix read too."""

import csv
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tiny_models
from click.testing import CliRunner

from degu.commands.main import main
from degu.commands.variants import variants as command
from degu.predict.predictor import Predictor
from degu.sequences import letter_codes

rng = np.random.default_rng(3)
CHR1, CHR2 = ("".join(rng.choice(list("ACGTacgt"), n)) for n in (400, 300))
TARGETS = ("Dev", "light-leaf")
HEADER = """##fileformat=VCFv4.2
##contig=<ID=chr1,length=400>
##INFO=<ID=AC,Number=A,Type=Integer,Description="x">
##FORMAT=<ID=GT,Number=1,Type=String,Description="x">
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO	FORMAT	one
"""
END = ".\tGT\t0/1"
# Unsorted within chr1, one position twice, a contig that the header does not declare.
RECORDS = [
    ("chr1", 101, "rs1", 1, "G,T,{ref}AC", "3.1400", "PASS", "AC=1,2,3\tGT\t0/1"),
    ("chr1", 60, ".", 4, "a", ".", ".", END),
    ("chr1", 60, ".", 1, "N,<DEL>", ".", ".", "AC=2,1\tGT\t./."),
    ("2", 150, "x;y", 2, "{ref}{ref}", "7", ".", END),
    ("2", 150, ".", 1, ".", ".", ".", END),
    ("chr1", 3, ".", 1, "A", ".", ".", END),
]
STATUSES = ["ok"] * 5 + ["symbolic", "ok", "missing_allele", "off_contig"]


def lines(records):
    rows = []
    for chrom, pos, name, n, alt, qual, passed, rest in records:
        contig = CHR1 if chrom == "chr1" else CHR2
        ref = contig[pos - 1 : pos - 1 + n].upper()
        rows.append([chrom, pos, name, ref, alt.format(ref=ref), qual, passed, rest])
    return ["\t".join(map(str, row)) + "\n" for row in rows]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for i in (1, 2):
        tiny_models.student(folder / f"{i}_student.h5", targets=TARGETS, seed=i)
    for i in (1, 2, 3):
        tiny_models.save(folder / f"{i}_teacher.h5", targets=TARGETS, seed=10 + i)
    return folder


@pytest.fixture
def folder(tmp_path, models, monkeypatch):
    """With a genome, a VCF, two students and three teachers; it is the working directory."""
    monkeypatch.chdir(tmp_path)
    # The process of the tests has its threads already.
    monkeypatch.setattr("degu.ops.runtime.set_compute_threads", lambda threads: None)
    (tmp_path / "genome.fa").write_text(f">chr1 x\n{CHR1}\n>chr2\n{CHR2}\n")
    (tmp_path / "some.vcf").write_text(HEADER + "".join(lines(RECORDS)))
    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    return tmp_path


STUDENTS, TEACHERS = (
    ["1_student.h5", "2_student.h5"],
    ["1_teacher.h5", "2_teacher.h5", "3_teacher.h5"],
)


COMMAND = [sys.executable, "-m", "degu.commands.main", "variants"]


def run(*arguments, models=STUDENTS, vcf="some.vcf"):
    """The command in this process; its exit code, standard output and error."""
    done = CliRunner().invoke(command, [*models, vcf, "--genome", "genome.fa", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def table(text):
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


def tool(*arguments):
    if shutil.which(arguments[0]) is None:
        pytest.skip(f"needs {arguments[0]}")
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert not re.search(r"^\[[EW]::", done.stderr, re.MULTILINE)
    return done.stdout


def numbers(rows, part):
    return np.array([[float(row[f"{t}{part}"] or "nan") for t in TARGETS] for row in rows])


def test_the_real_command_writes_a_row_an_alternative(folder):
    done = subprocess.run(
        [
            *COMMAND,
            *STUDENTS,
            "some.vcf",
            "--genome",
            "genome.fa",
            "--rho",
            "0.5",
            "--threads",
            "1",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    notes = done.stderr.splitlines()
    assert [line for line in notes if "Traceback" in line or "%" in line] == []
    assert "1 of 9 alternatives have no values, symbolic" in done.stderr
    assert "(the first: line 11, chr1:3)" in done.stderr
    rows = table(done.stdout)
    parts = ["_ref", "_alt", "_effect", "_effect_std", "_effect_lower", "_effect_upper"]
    wanted = ["CHROM", "POS", "ID", "REF", "ALT"]
    wanted += [f"{t}{part}" for t in TARGETS for part in [*parts, "_excludes_0"]]
    assert list(rows[0]) == [*wanted, "status"]
    assert [row["status"] for row in rows] == STATUSES
    for row, (_, _, _, ref, alt) in zip(
        rows,
        [(*r.split("\t")[:4], alt) for r in lines(RECORDS) for alt in r.split("\t")[4].split(",")],
        strict=True,
    ):
        assert (row["REF"], row["ALT"]) == (ref, alt)
    # By hand, from the package's own estimates.
    ok = [i for i, status in enumerate(STATUSES) if status == "ok"]
    windows = []
    for i in ok:
        p = int(rows[i]["POS"]) - 1
        contig = CHR1 if rows[i]["CHROM"] == "chr1" else CHR2
        mutated = contig[:p] + rows[i]["ALT"] + contig[p + len(rows[i]["REF"]) :]
        windows += [contig[p - 15 : p + 15], mutated[p - 15 : p + 15]]
    predictor = Predictor.open(STUDENTS)
    means, stds = predictor.members(letter_codes([window.encode() for window in windows]))
    refs, alts = means[:, ::2].mean(axis=0), means[:, 1::2].mean(axis=0)
    a, b = stds[:, ::2], stds[:, 1::2]
    std = np.sqrt((a**2 + b**2 - 2 * 0.5 * a * b).mean(axis=0))
    shown = [rows[i] for i in ok]
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(numbers(shown, "_ref"), refs, **close)
    np.testing.assert_allclose(numbers(shown, "_alt"), alts, **close)
    np.testing.assert_allclose(numbers(shown, "_effect"), alts - refs, **close)
    np.testing.assert_allclose(numbers(shown, "_effect_std"), std, **close)
    np.testing.assert_allclose(
        numbers(shown, "_effect_upper"), alts - refs + 1.6448536 * std, **close
    )
    blank = [rows[i][name] for i in range(len(rows)) if i not in ok for name in wanted[5:]]
    assert set(blank) == {""}


def test_a_vcf_keeps_what_it_had(folder):
    shown = run(models=TEACHERS)
    done = run("-o", "out.vcf", "--level", "0.8", models=TEACHERS)
    assert done.exit_code == shown.exit_code == 0
    assert done.stdout == ""
    before, after = (
        [line.split("\t") for line in (folder / name).read_text().splitlines() if line[0] != "#"]
        for name in ("some.vcf", "out.vcf")
    )
    for old, new in zip(before, after, strict=True):
        own = new[7].split(";DEGU_")[0]
        assert old == [*new[:7], "." if own.startswith("DEGU_") else own, *new[8:]]
    header = [line for line in (folder / "out.vcf").read_text().splitlines() if line[0] == "#"]
    assert [line for line in header if line in HEADER.splitlines()] == HEADER.splitlines()
    assert "##contig=<ID=2,length=300>" in header
    (line,) = (line for line in header if line.startswith("##degu="))
    assert 'Level="0.8"' in line
    assert "Rho" not in line  # of students alone
    assert f'SHA256="{Predictor.open(TEACHERS).sha256}"' in line
    # The same numbers as in the table, as bcftools reads them.
    keys = {"Dev": "DEGU_Dev", "light-leaf": "DEGU_light_leaf"}
    for target, stem in keys.items():
        for part in ("_ref", "_alt", "_effect", "_effect_std", "_excludes_0"):
            text = tool("bcftools", "query", "-u", "-f", f"%{stem}{part}\\n", "out.vcf")
            got = [v for row, r in zip(text.split(), after, strict=True)
                   for v in (row.split(",") if r[4] != "." else ["."])]  # fmt: skip
            wanted = [row[f"{target}{part}"] or "." for row in table(shown.stdout)]
            if part == "_excludes_0":
                assert [v == "." for v in got] == [v == "." for v in wanted]
                assert set(got) <= {"0", "1", "."}
            else:
                nan = float("nan")
                np.testing.assert_allclose(
                    [nan if v == "." else float(v) for v in got],
                    [nan if v == "." else float(v) for v in wanted],
                    rtol=1e-5,
                )
    text = tool("bcftools", "query", "-f", "%DEGU_STATUS\\n", "out.vcf")
    assert text.split() == ["ok,ok,ok", "ok", "ok,symbolic", "ok", ".", "off_contig"]


def test_a_bgzipped_vcf_has_an_index_if_it_is_sorted(folder):
    done = run("-o", "out.vcf.gz")
    assert done.exit_code == 0
    assert "no index" in done.stderr
    assert not (folder / "out.vcf.gz.tbi").exists()
    assert 'Rho="0.0"' in tool("bcftools", "view", "-h", "out.vcf.gz")
    sorted_ = sorted(lines(RECORDS), key=lambda line: (line[0] == "2", int(line.split("\t")[1])))
    (folder / "sorted.vcf").write_text(HEADER + "".join(sorted_))
    assert "no index" not in run("-o", "out.vcf.gz", vcf="sorted.vcf").stderr
    found = tool("tabix", "out.vcf.gz", "2:150-150").splitlines()
    assert [line.split("\t")[:3] for line in found] == [["2", "150", "x;y"], ["2", "150", "."]]
    assert tool("bcftools", "view", "-H", "out.vcf.gz", "chr1:1-10").count("off_contig") == 1
    # From BCF, and from what this command has written.
    tool("bcftools", "view", "-Ob", "-o", "again.bcf", "out.vcf.gz")
    assert run("-o", "twice.vcf", vcf="again.bcf").exit_code == 0
    text = tool(
        "bcftools", "query", "-u", "-f", "%DEGU_Dev_effect %DEGU_Dev_2_effect\\n", "twice.vcf"
    )
    assert all(a == b for a, b in (line.split() for line in text.splitlines()))


def test_a_single_teacher_has_no_std(folder):
    rows = table(run(models=TEACHERS[:1]).stdout)
    assert {row[f"Dev_effect{part}"] for row in rows for part in ("_std", "_lower")} == {""}
    assert {row["Dev_excludes_0"] for row in rows} == {""}
    assert all(row["Dev_effect"] for row in rows if row["status"] == "ok")
    text = run("--format", "vcf", models=TEACHERS[:1]).stdout
    assert "DEGU_Dev_effect=" in text
    assert "DEGU_Dev_effect_std" not in text


def test_shifts_strands_and_padding(folder):
    rows = table(run("--shifts=-1,0,2", "--both-strands", "--beyond", "pad").stdout)
    assert rows[-1]["status"] == "ok"
    assert rows[5]["status"] == "symbolic"
    predictor = Predictor.open(STUDENTS)
    p = 100
    windows = [CHR1[p - 15 + s : p + 15 + s].encode() for s in (-1, 0, 2)]
    wanted = predictor.estimate(letter_codes(windows), both_strands=True).mean.mean(axis=0)
    np.testing.assert_allclose(numbers(rows[:1], "_ref")[0], wanted, rtol=1e-5)


@pytest.mark.parametrize("form", ["tsv", "vcf"])
def test_a_gzipped_table_and_a_file_without_records(folder, form):
    (folder / "none.vcf").write_text(HEADER)
    assert run("-o", f"out.{form}.gz", "-q", vcf="none.vcf").exit_code == 0
    text = tool("bgzip", "-dc", f"out.{form}.gz")
    assert text.splitlines()[-1].startswith("CHROM\t" if form == "tsv" else "#CHROM\t")
    assert (folder / "out.vcf.gz.tbi").exists() == (form == "vcf")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--rho", "2"], 2, "--rho"),
        (["--level", "1"], 2, "--level"),
        (["--shifts", "0,x"], 2, "no list of whole numbers"),
        (["-o", "out.bcf"], 2, "bcftools view -Ob"),
        (["-o", "some.vcf"], 1, "some.vcf would be written over"),
        (["-o", "1_student.h5"], 1, "1_student.h5 would be written over"),
    ],
)
def test_what_cannot_be_asked_for(folder, capsys, arguments, code, says):
    before = {file.name: hashlib.sha256(file.read_bytes()).digest() for file in folder.iterdir()}
    with pytest.raises(SystemExit) as raised:
        main(["variants", *STUDENTS, "some.vcf", "--genome", "genome.fa", *arguments])
    assert raised.value.code == code
    assert says in capsys.readouterr().err
    after = {file.name: hashlib.sha256(file.read_bytes()).digest() for file in folder.iterdir()}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text + "chr1\t7\n", "some.vcf, line 12, has 2 columns"),
        (
            lambda text: text.replace("chr1\t", "chrUn\t").replace("\n2\t", "\nX\t"),
            "genome.fa lacks",
        ),
        (lambda text: re.sub(r"\t101\t", "\t0000103\t", text.replace("\t60\t", "\t61\t")), None),
        (lambda text: text.replace("length=400", "length=401"), "401 bases"),
    ],
)
def test_what_is_wrong_with_a_file_leaves_nothing(folder, capsys, change, says):
    path = folder / "some.vcf"
    path.write_text(change(path.read_text()))
    with pytest.raises(SystemExit) as raised:
        main(["variants", *STUDENTS, "some.vcf", "--genome", "genome.fa", "-o", "out.tsv"])
    assert raised.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert (says or "another assembly?") in line
    assert not [file for file in folder.iterdir() if "out.tsv" in file.name]


def test_rho_is_of_students(folder, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["variants", *TEACHERS, "some.vcf", "--genome", "genome.fa", "--rho", "0"])
    assert raised.value.code == 2
    assert "--rho is of students" in capsys.readouterr().err


def test_a_missing_model_is_one_sentence(folder, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["variants", "nothing.h5", "some.vcf", "--genome", "genome.fa"])
    assert raised.value.code == 1
    assert capsys.readouterr().err == "degu: nothing.h5 does not exist; check the path.\n"


def test_head_ends_it_quietly(folder):
    """More rows than a pipe holds."""
    many = [
        line for i in range(3000) for line in lines([("chr1", 20 + i % 300, ".", 1, "N", *"...")])
    ]
    (folder / "some.vcf").write_text(HEADER + "".join(many))
    call = " ".join([*COMMAND, "1_student.h5", "some.vcf", "--genome", "genome.fa"])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {call} | head -n 2"],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""
