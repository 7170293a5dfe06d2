"""A mistake in a config ends Snakemake with one sentence, before any job."""

import numpy as np
import pytest
from snakemake_runs import run_snakemake

TABLE = "sequence\tsplit\tleaf\nACGT\ttrain\t1\nACGA\tval\t2\nACGC\ttest\t3\n"
OWN = "dataset: own\ndata: {source: table, path: own.tsv, split_column: split}\n"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("trainig: {epochs: 3}", ["trainig", "did you mean training"]),
        ("training: {epochs: many}", ["training.epochs", "whole number"]),
        ("proportions: [1.5]", ["proportions", "1.5"]),
        ("ensemble_sizes: [1]", ["ensemble_sizes", "at least 2"]),
        (OWN + "targets: [leaves]", ["leaves", "own.tsv"]),
        (OWN.replace("own.tsv", "gone.tsv") + "targets: [leaf]", ["data.path", "gone.tsv"]),
        ("data: {path: own.tsv}", ["data.path", "source simulate"]),
        ("model: my_models:build", ["model_name"]),
        ("seed: 1\nseed: 2", ["seed", "line 2", "already"]),
    ],
)
def test_one_sentence_before_any_job(tmp_path, config, words):
    (tmp_path / "own.tsv").write_text(TABLE)
    # What is not refused would make a data set, and no more.
    done = run_snakemake(tmp_path, config, "--until", "ingest", check=False)
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if line.startswith("error in the config:")]
    assert len(lines) == 1, done.stdout
    assert done.stdout.rstrip().endswith(lines[0])
    assert all(word in lines[0] for word in words), lines[0]
    assert "Traceback" not in done.stdout
    assert len(lines[0]) < 300
    assert not (tmp_path / "results").exists()


def test_bad_data_fail_their_job_and_leave_nothing_half_written(tmp_path):
    """What only a full read can find is said in the job's log, which Snakemake shows."""
    rows = TABLE.replace("ACGA\tval\t2", "ACGA\tval\tnone")
    (tmp_path / "own.tsv").write_text(rows)
    done = run_snakemake(tmp_path, OWN + "targets: [leaf]", check=False)
    assert done.returncode != 0
    log = (tmp_path / "results/own/logs/ingest.log").read_text()
    errors = [line for line in log.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert all(word in errors[0] for word in ("own.tsv", "line 3", "leaf", "none"))
    assert errors[0] in done.stdout
    assert "Traceback" not in log
    assert not (tmp_path / "results/own/dataset.h5").exists()
    assert not list((tmp_path / "results/own").glob(".writing-*"))


def test_targets_that_an_hdf5_file_lacks(tmp_path):
    import h5py

    with h5py.File(tmp_path / "own.h5", "w") as file:
        for name in ("Train", "Val", "Test"):
            file[f"{name}/X"] = np.eye(4, dtype=np.uint8)[np.zeros((6, 20), int)]
            file[f"{name}/y"] = np.zeros((6, 2), np.float32)
    config = "dataset: own\ndata: {source: hdf5, path: own.h5}\ntargets: [a, b, c]"
    done = run_snakemake(tmp_path, config, check=False)
    assert done.returncode != 0
    assert "targets" in done.stdout.splitlines()[-1]
    assert "Traceback" not in done.stdout
