"""Configs that are guessed from tables: what they say, and that the workflow accepts them."""

import pytest
import yaml
from click.testing import CliRunner

from degu.commands.config import config as command
from degu.commands.main import main
from degu.ingest import ingest
from degu.study.config import refuse_duplicate_keys, validate
from degu.study.config.guess import guess_columns

BASES = "ACGTTGCAAC"


def sequence(i):
    return "".join("ACGT"[(i >> shift) & 3] for shift in range(0, 12, 2)) + BASES


def write(path, columns, n=40):
    """A table of functions from the row's number to a cell, by column."""
    separator = "," if ".csv" in path.name else "\t"
    rows = [separator.join(columns)]
    rows += [separator.join(str(f(i)) for f in columns.values()) for i in range(n)]
    path.write_text("\n".join(rows) + "\n")
    return path


def split(i):
    return ("train", "train", "Val", "test")[i % 4]


PLANT = {
    "gene": lambda i: f"AT{i}",
    "set": split,
    "sequence": sequence,
    "start": lambda i: 100 * i,
    "GC": lambda i: i % 7 / 7,
    "leaf_rep1": lambda i: i * 0.5,
    "leaf_rep2": lambda i: "NA" if i == 3 else i * 0.6,
    "root": lambda i: -i * 1e-1,
    "root_std": lambda i: 0.1 + i,
    "constant": lambda i: 1,
    "notes": lambda i: "good",
}


def run(*arguments, **more):
    return CliRunner().invoke(command, [*map(str, arguments)], **more)


def test_columns_are_guessed(tmp_path):
    found = guess_columns(write(tmp_path / "plant.tsv", PLANT))
    assert (found.sequence, found.split, found.id, found.group) == ("sequence", "set", "gene", None)
    assert found.targets == ["leaf", "root"]
    assert found.replicates == {"leaf": ["leaf_rep1", "leaf_rep2"]}
    assert found.left_out == ["start", "GC", "root_std", "constant"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"seq": sequence, "Dev_log2": float}, {"sequence": "seq", "targets": ["Dev_log2"]}),
        # Of two sequence columns the better known name; numbers make an id only by their name.
        (
            {"adapter": lambda i: BASES, "Sequence": sequence, "id": int, "y": float},
            {"sequence": "Sequence", "id": "id", "targets": ["y"]},
        ),
        ({"s": sequence, "y rep1": float, "y rep2": float}, {"targets": ["y"]}),
        # A single replicate is a target of its own name.
        ({"s": sequence, "y_rep1": float}, {"targets": ["y_rep1"], "replicates": {}}),
        # A value that is missing makes no target, but a replicate.
        ({"s": sequence, "y": lambda i: "" if i else 1.5, "z": float}, {"targets": ["z"]}),
        # A name that files cannot have.
        ({"s": sequence, "y-1": float, "z": float}, {"targets": ["z"], "left_out": ["y-1"]}),
        ({"s": sequence, "chrom": lambda i: f"c{i % 3}", "y": float}, {"group": "chrom"}),
    ],
)
def test_guesses(tmp_path, columns, expected):
    found = guess_columns(write(tmp_path / "a.csv", columns))
    for name, value in expected.items():
        assert getattr(found, name) == value


def test_the_config_is_valid_and_reads_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "plant.tsv", PLANT)
    done = run("--table", "plant.tsv", "--output", "out/my.yaml", "--units", "log2: counts # x")
    assert done.exit_code == 0, done.output
    assert "start, GC, root_std, constant" in done.stderr
    text = (tmp_path / "out/my.yaml").read_text()
    assert text.count("# ") > 5
    refuse_duplicate_keys(["out/my.yaml"])
    meant = validate(yaml.safe_load(text))
    assert meant["dataset"] == "plant"
    assert meant["data"]["units"] == "log2: counts # x"
    assert meant["data"]["split_column"] == "set"
    assert meant["targets"] == ["leaf", "root"]
    assert meant["arms"][0]["ensemble_sizes"] == [10]
    ingest(meant["data"], meant["targets"], tmp_path / "dataset.h5", meant["seed"])


def test_flags_go_before_guesses(tmp_path):
    table = write(tmp_path / "plant.tsv", PLANT)
    flags = ["--target", "root", "--id-column", "-", "--group-column", "gene", "--dataset", "mine"]
    flags += ["--ensemble-size", "5", "--students", "2", "--model", "compact"]
    done = run("--table", table, *flags)
    assert done.exit_code == 0, done.output
    meant = validate(yaml.safe_load(done.stdout))
    assert meant["targets"] == ["root"]
    assert meant["data"]["id_column"] is None
    assert meant["data"]["split"]["group_column"] == "gene"
    assert (meant["dataset"], meant["model"]) == ("mine", "compact")
    assert meant["arms"][0]["ensemble_sizes"] == [5]
    assert meant["students"]["replicates"] == 2


def test_a_terminal_is_asked(tmp_path, monkeypatch):
    table = write(tmp_path / "plant.tsv", PLANT)
    answers = {
        "Table": str(table),
        "Name of the study": "asked",
        "Column of sequences": "",
        "Column of ids": "-",
        "Column of train, val, test": "-",
        "Units": "",
        "Column of what belongs together": "gene",
        "Activities": "root",
        "Architecture": "",
        "Teachers": "4",
        "Students": "",
    }
    questions = []

    def prompt(question, default=None, **_):
        questions.append(question)
        (answer,) = [a for start, a in answers.items() if question.startswith(start)]
        return type(default)(answer) if answer and default is not None else answer or default

    monkeypatch.setattr("click.prompt", prompt)
    monkeypatch.setattr("degu.commands.config._is_terminal", lambda: True)
    done = run()
    assert done.exit_code == 0, (done.output, done.exception)
    assert len(questions) == len(answers)
    meant = validate(yaml.safe_load(done.stdout))
    assert (meant["dataset"], meant["targets"]) == ("asked", ["root"])
    assert meant["data"]["split"] == {"val": 0.1, "test": 0.1, "group_column": "gene"}
    assert meant["arms"][0]["ensemble_sizes"] == [4]
    questions.clear()
    assert run("--table", table, "--yes").exit_code == 0
    assert questions == []


@pytest.mark.parametrize(
    ("columns", "flags", "words"),
    [
        ({"a": int, "b": float}, [], "no column of sequences"),
        ({"s": sequence, "b": str.__class__}, [], "no activities"),
        ({"s": sequence, "y": float}, ["--target", "x"], "x"),
        ({"s": sequence, "y": float}, ["--dataset", "a b"], "dataset"),
        ({"s": sequence, "y": float}, ["--model", "nothing"], "model"),
        ({"s": sequence, "y": float, "y ": float}, [], "twice"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path, capsys, columns, flags, words):
    table = write(tmp_path / "a.tsv", columns)
    out = tmp_path / "out.yaml"
    with pytest.raises(SystemExit) as caught:
        main(["config", "--table", str(table), "--output", str(out), *flags])
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_files_that_are_there_or_not(tmp_path, capsys):
    table = write(tmp_path / "a.tsv", {"s": sequence, "y": float})
    for arguments, words in (
        (["--table", str(tmp_path / "b.tsv")], "does not exist"),
        (["--table", str(table), "--output", str(table)], "exists; name another"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(["config", *arguments])
        assert caught.value.code == 1
        assert words in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["config"])
    assert caught.value.code == 2
