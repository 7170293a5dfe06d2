"""Files appear whole or not at all."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from degu.files import atomic_path, write_csv, write_npy


def test_success_moves_the_file_and_leaves_nothing_else(tmp_path):
    with atomic_path(tmp_path / "new" / "a.txt") as temporary:
        assert temporary.parent == tmp_path / "new"
        temporary.write_text("whole")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"


@pytest.mark.parametrize("existing", [None, "old"])
def test_failure_leaves_what_was_there(tmp_path, existing):
    path = tmp_path / "a.txt"
    if existing:
        path.write_text(existing)

    def interrupted():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == (
        {"a.txt": existing} if existing else {}
    )


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    code = (
        "import os, signal, sys\n"
        "from degu.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    assert path.read_text() == "old"


@pytest.mark.parametrize("name", ["a.weights.h5", "a.csv.gz", "a"])
def test_the_temporary_name_keeps_every_suffix(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary:
        assert temporary.name.endswith(name)
        assert temporary.suffixes[-2:] == (tmp_path / name).suffixes


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_tables_and_arrays_read_back(tmp_path):
    values = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    table = pd.DataFrame({"metric": ["MSE"] * 50, "Dev": values[:, 0], "Hk": values[:, 1]})
    write_csv(table, tmp_path / "a.csv")
    again = pd.read_csv(tmp_path / "a.csv")
    assert list(again) == ["metric", "Dev", "Hk"]
    np.testing.assert_array_equal(again[["Dev", "Hk"]].to_numpy(np.float32), values)

    write_npy(values, tmp_path / "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), values)
    with pytest.raises(ValueError, match="pickle"):
        write_npy(np.array([{}]), tmp_path / "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), values)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "a.npy"]
