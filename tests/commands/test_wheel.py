"""The package as others install it: a wheel in an empty environment, without the workflow."""

import os
import shutil
import subprocess
import sys

import made_study
import pytest

from degu.predict.export import export

WORKFLOW = ("snakemake", "slack_sdk", "tenacity", "snakemake_executor_plugin_slurm")


@pytest.mark.long
@pytest.mark.ci
def test_a_wheel_predicts_in_an_empty_environment(root, tmp_path):
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_TARGET"))
    }

    def run(*command, cwd=tmp_path):
        done = subprocess.run(
            [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def pip(python, *arguments):
        return run(python, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check")

    source = tmp_path / "source"  # setuptools leaves its own beside what it builds
    shutil.copytree(root / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", tmp_path / "wheels", source)
    (wheel,) = (tmp_path / "wheels").iterdir()
    assert wheel.name.startswith("degu_genomics-")
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python, command = (tmp_path / "venv/bin" / name for name in ("python", "degu"))
    pip(python, "install", "--constraint", root / "constraints.txt", wheel)
    for module in WORKFLOW:
        there = f"import importlib.util; print(importlib.util.find_spec('{module}'))"
        assert run(python, "-c", there) == "None\n"
    made = export(made_study.make(tmp_path / "study"), tmp_path / "export")
    table = run(command, "predict", made, made / "example.fa").splitlines()
    header, *rows = [line.split("\t") for line in table]
    assert header[:5] == ["id", "Dev", "Dev_std", "Dev_lower", "Dev_upper"]
    expected = [line.split("\t") for line in (made / "example.tsv").read_text().splitlines()[1:]]
    assert len(rows) == len(expected) == 5
    for row, (name, dev, std, *_) in zip(rows, expected, strict=True):
        assert row[0] == name
        assert [float(row[1]), float(row[2])] == pytest.approx([float(dev), float(std)], rel=1e-4)
        assert float(row[3]) < float(row[1]) < float(row[4])
    assert "example" not in run(command, "inspect", made / "student.h5")
    assert "Test-0_x" in run(python, "example.py", cwd=made)
    run(command, "simulate", "--to", "new", "--train", 20, "--val", 5, "--test", 5)
    run(command, "config", "--table", "new/assay.tsv", "--output", "my.yaml")
