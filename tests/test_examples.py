"""The examples run as they stand."""

import subprocess
import sys

import matplotlib as mpl
import nbformat
import pandas as pd
import pytest


@pytest.mark.long
@pytest.mark.ci
def test_the_script_trains_and_reports(root, tmp_path):
    command = [sys.executable, str(root / "examples/degu_deepstarr.py")]
    subprocess.run(
        [*command, "--members", "2", "--epochs", "1", "--out", "out"], cwd=tmp_path, check=True
    )
    table = pd.read_csv(tmp_path / "out/pearson.csv", index_col="head")
    assert table.index.tolist() == ["Dev", "Hk", "Dev-logvar", "Hk-logvar"]
    assert table.columns.tolist() == ["teacher 1", "teacher 2", "ensemble", "student"]
    assert sorted(p.name for p in (tmp_path / "out").glob("*.weights.h5")) == [
        "student.weights.h5",
        "teacher_1.weights.h5",
        "teacher_2.weights.h5",
    ]


@pytest.mark.long
@pytest.mark.ci
def test_every_cell_of_the_tutorial_runs(root, tmp_path, monkeypatch):
    mpl.use("Agg")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    notebook = nbformat.read(root / "examples/tutorial.ipynb", as_version=4)
    namespace = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            # Fewer epochs teach as little as the test needs.
            exec(cell.source.replace("epochs=10", "epochs=1"), namespace)
    assert namespace["distilled"].predictions.shape == (400, 4)
    assert list(namespace["table"].columns[-2:]) == ["ensemble", "student"]
