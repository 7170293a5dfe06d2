"""degu.study.config.files: keys that are written twice."""

from __future__ import annotations

import pytest

from degu.errors import InputError
from degu.study.config import refuse_duplicate_keys


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed: 1\ndataset: a\nseed: 2\n", r"line 3: seed is there already in line 1; keep one"),
        ("data:\n  path: a\n  path: a\n", r"line 3: path is there already in line 2"),
        ("arms:\n  - {proportions: [1], proportions: [2]}\n", "line 2: proportions is there"),
        ('{"seed": 1,\n "seed": 1}', "line 2: seed is there already in line 1"),
        ("a: &x {b: 1}\nc: *x\nc: *x\n", "line 3: c is there already in line 2"),
        ("a: [\n", "cannot be read as YAML"),
        ("a: \0\n", "cannot be read as YAML"),
    ],
)
def test_a_key_that_is_written_twice_is_refused_with_its_line(tmp_path, text, words):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as error:
        refuse_duplicate_keys([path])
    assert str(error.value).startswith(str(path))


def test_keys_that_are_written_once_pass(tmp_path, root):
    path = tmp_path / "my.yaml"
    for text in ("", "a: 1\n1: a\n'1': b\n", "a: &x {b: 1}\nc: *x\nb: {a: 1}\n", "a: &a [*a]\n"):
        path.write_text(text)
        refuse_duplicate_keys([path])
    refuse_duplicate_keys((root / "config").glob("*.yaml"))
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(InputError, match="cannot be read as YAML"):
        refuse_duplicate_keys([path])
    with pytest.raises(InputError, match="absent"):
        refuse_duplicate_keys([tmp_path / "absent.yaml"])
