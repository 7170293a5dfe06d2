"""What is read from the logs of jobs."""

import pytest

from degu.ops.joblog import last_sentence, log_tail


def test_a_log_that_is_not_there(tmp_path):
    assert log_tail(tmp_path / "no.log") == log_tail(tmp_path) == log_tail("nul\0") == []
    assert last_sentence(tmp_path / "no.log") is None


def test_tail_of_a_log(tmp_path):
    log = tmp_path / "job.log"
    log.write_bytes(
        b"first\n\n"
        + b"\x1b[1;31mred\x1b[0m \x1b]8;;http://a\x07link\x1b]8;;\x07\n"
        + b"10%\r 50%\r100%\nnot utf-8: \xff\nend\r\n\n"
    )
    assert log_tail(log) == ["first", "red link", "100%", "not utf-8: \ufffd", "end"]
    assert log_tail(log, 1) == ["end"]
    log.write_text("x" * 70_000 + "\nlast")
    assert log_tail(log) == ["last"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch 1/2\nerror: loss is nan.\n", "error: loss is nan."),
        ("error: a\nerror: b\nBye\n", "error: b"),
        ("Traceback:\n  File x\nValueError: bad\n", "ValueError: bad"),
        ("pandas.errors.ParserError: bad\n", "pandas.errors.ParserError: bad"),
        ("epoch 3/9\nstopped by SIGTERM\n", "stopped by SIGTERM"),
        ("epoch 3/9: batch 7\n", None),
        ("an error: not at the start\n", None),
        ("", None),
    ],
)
def test_last_sentence(text, expected, tmp_path):
    (tmp_path / "job.log").write_text(text)
    assert last_sentence(tmp_path / "job.log") == expected
