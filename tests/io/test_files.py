"""Files appear whole or not at all."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from degu.errors import InputError
from degu.io.files import atomic_path, check_seal, read_npy, seal, write_csv, write_npy


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
        "from degu.io.files import atomic_path\n"
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


# Files that are not what they should be


def test_an_array_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "a.npy"
    for values in (np.arange(5), np.array(2.5), np.zeros((0, 3)), np.array([True])):
        write_npy(values, path, content="std", size=5)
        for got in (read_npy(path, content="std"), np.load(path)):
            assert got.dtype == values.dtype
            np.testing.assert_array_equal(got, values)
    assert read_npy(path, shape=(None,), dtype_kind="b", size=5, of="what it does not say").all()
    np.save(path, np.arange(3))  # by other means, without a seal
    assert read_npy(path, content="std").tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: b"", "is not a whole .npy file"),
        (lambda content: content[:60], "is not a whole .npy file"),
        (lambda content: content[:170], "is not a whole .npy file"),
        (lambda content: content[:-1], "is not as it was written"),
        (lambda content: content[:130] + b"\1" + content[131:], "is not as it was written"),
        (lambda content: content.replace(b'"size": 5', b'"size": 6'), "is not as it was written"),
        (lambda content: content.replace(b"#degu", b"#Degu"), "goes on after its array"),
    ],
)
def test_a_damaged_array_is_refused(tmp_path, change, words):
    path = tmp_path / "a.npy"
    write_npy(np.zeros(8), path, size=5)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=words) as error:
        read_npy(path)
    assert str(error.value).startswith(f"{path} ")
    assert str(error.value).endswith("delete it and let the workflow make it again.")


def test_another_array_than_expected_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    write_npy(np.zeros((4, 2), np.float32), path, content="std of Val", size=5)
    for expected, words in (
        ({"shape": (4,)}, r"has shape \(4, 2\), where \(4,\) is needed"),
        ({"shape": (None, 3)}, r"has shape \(4, 2\), where \(any, 3\) is needed"),
        ({"dtype_kind": "iu"}, "holds values of type float32"),
        ({"content": "std of Test"}, "has content 'std of Val', where 'std of Test' is needed"),
        ({"size": 10}, "has size 5, where 10 is needed"),
    ):
        with pytest.raises(InputError, match=words):
            read_npy(path, **expected)
    for values in ([1.0, np.nan], [np.inf]):
        write_npy(np.array(values), path)
        with pytest.raises(InputError, match="not finite"):
            read_npy(path)
    write_npy(np.array(["text"]), path)
    with pytest.raises(InputError, match="holds values of type <U4"):
        read_npy(path)
    with pytest.raises(InputError, match=r"absent\.npy does not exist"):
        read_npy(tmp_path / "absent.npy")
    with pytest.raises(InputError, match="is a directory"):
        read_npy(tmp_path)


def test_a_seal_is_of_all_that_is_before_it(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"content")
    assert not check_seal(path)
    seal(path, part=1)
    assert check_seal(path, part=1)
    assert path.read_bytes().startswith(b"content\n#degu ")
    sealed = path.read_bytes()
    for i in range(len(sealed)):
        if not 7 <= i < 14:  # the mark itself
            other = tmp_path / str(i)
            other.write_bytes(sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :])
            with pytest.raises(InputError, match="is not as it was written"):
                check_seal(other)
