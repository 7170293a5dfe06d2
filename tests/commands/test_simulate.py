"""The example data set is that of the embedded study, as a person's own would lie there."""

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from degu.commands.main import main
from degu.commands.simulate import simulate
from degu.dataset import read_split
from degu.ingest import ingest, preflight
from degu.study.config import validate

SIZES = {"n_train": 60, "n_val": 20, "n_test": 30}
FLAGS = ["--train", "60", "--val", "20", "--test", "30", "--length", "40", "--seed", "7"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("example") / "my example"
    done = CliRunner().invoke(simulate, ["--to", str(path), *FLAGS])
    assert done.exit_code == 0, done.output
    return path


def configured(folder):
    return validate(yaml.safe_load((folder / "config.yaml").read_text()))


def test_its_data_are_those_of_the_source(folder, tmp_path):
    config = configured(folder)
    preflight(config["data"], config["targets"])
    ingest(config["data"], config["targets"], tmp_path / "table.h5", config["seed"])
    embedded = validate(
        {"dataset": "simulated", "data": {"source": "simulate", **SIZES, "length": 40}, "seed": 7,
         "attribution": {"top_n": 2, "bins": 0}}
    )  # fmt: skip
    ingest(embedded["data"], embedded["targets"], tmp_path / "source.h5", embedded["seed"])
    for split in ("Train", "Val", "Test"):
        fields = ("x", "y", "y_std", "y_replicates", "id")
        ours, theirs = (
            read_split(tmp_path / f"{name}.h5", split, fields=fields)
            for name in ("table", "source")
        )
        np.testing.assert_array_equal(ours.x, theirs.x)
        np.testing.assert_array_equal(ours.id, theirs.id)
        np.testing.assert_array_equal(ours.y_replicates, theirs.y_replicates)
        # Each measurement is rounded to four decimals.
        np.testing.assert_allclose(ours.y, theirs.y, atol=6e-5)
        np.testing.assert_allclose(ours.y_std, theirs.y_std, atol=2e-4)


def test_its_settings_are_those_of_the_embedded_study(folder):
    own, embedded = configured(folder), validate({"dataset": "a", "data": {"source": "simulate"}})
    for key in ("data", "dataset", "seed"):
        del own[key], embedded[key]
    assert own == embedded


def test_the_fasta_has_the_test_sequences(folder):
    rows = [line.split("\t") for line in (folder / "assay.tsv").read_text().splitlines()[1:]]
    tests = [(row[0], row[-1]) for row in rows if row[1] == "test"]
    lines = (folder / "test.fa").read_text().splitlines()
    assert tests == list(zip((line[1:] for line in lines[::2]), lines[1::2], strict=True))
    assert len(tests) == SIZES["n_test"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [(["--length", "10"], "too few to plant"), (["--val", "1"], "n_val: 1"), ([], "not an empty")],
)
def test_what_cannot_be_is_one_sentence(folder, tmp_path, capsys, flags, words):
    to = tmp_path / "new" if flags else folder
    with pytest.raises(SystemExit) as caught:
        main(["simulate", "--to", str(to), *flags])
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()
