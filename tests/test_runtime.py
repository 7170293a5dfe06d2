"""A job's process: its log, its exit code, its threads."""

import json
import os
import sys

import pytest
from conftest import run_python

from degu.runtime import share_import_path

JOB = """
import logging, os, subprocess, sys
from degu.errors import InputError
from degu.runtime import job_log

with job_log(sys.argv[1]):
    print("from print")
    print("from stderr", file=sys.stderr)
    # What a person who follows the job sees by now.
    assert "from stderr" in open(sys.argv[1]).read()
    logging.getLogger("degu").info("from logging")
    os.write(1, b"from compiled code, 1\\n")
    os.write(2, b"from compiled code, 2\\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    {last}
"""
LINES = {
    "from print",
    "from stderr",
    "from logging",
    "from compiled code, 1",
    "from compiled code, 2",
    "from a child",
}


def run_job(folder, last="pass"):
    """Run a job whose last statement is given; returns its exit code and its log."""
    log = folder / "job.log"
    process = run_python(JOB.replace("{last}", last), log, cwd=folder)
    assert process.stdout == process.stderr == ""
    return process.returncode, log.read_text().splitlines()


def test_all_output_goes_to_the_log(tmp_path):
    (tmp_path / "job.log").write_text("of the attempt before\n" * 100)
    code, lines = run_job(tmp_path)
    assert code == 0
    assert sorted(lines) == sorted(LINES)


def test_bad_input_ends_a_job_with_one_sentence(tmp_path):
    code, lines = run_job(
        tmp_path,
        "try:\n        1 / 0\n    except ZeroDivisionError as e:\n"
        "        raise InputError('my.tsv row 3 is empty; fill it in.') from e",
    )
    assert code == 1
    assert set(lines) - LINES == {"error: my.tsv row 3 is empty; fill it in."}
    assert set(lines) > LINES


@pytest.mark.parametrize("error", ["ValueError", "KeyError", "MemoryError"])
def test_any_other_error_leaves_its_traceback(tmp_path, error):
    code, lines = run_job(tmp_path, f"raise {error}('a fault of the program')")
    assert code == 1
    assert "Traceback (most recent call last):" in lines
    assert any(line.startswith(error) and "a fault of the program" in line for line in lines)
    assert set(lines) > LINES


def test_an_exit_code_of_ones_own_is_kept(tmp_path):
    code, lines = run_job(tmp_path, "sys.exit(3)")
    assert code == 3
    assert sorted(lines) == sorted(LINES)


THREADS = """
import json, pathlib
from degu.runtime import set_compute_threads
set_compute_threads(3)
import tensorflow as tf

a = tf.ones((64, 64))
tf.function(lambda a: tf.nn.relu(a @ a) + a)(a).numpy()
names = [p.read_text().strip() for p in pathlib.Path("/proc/self/task").glob("*/comm")]
try:
    set_compute_threads(2)
    late = None
except RuntimeError as error:
    late = str(error)
threading = tf.config.threading
print(json.dumps([
    threading.get_intra_op_parallelism_threads(),
    threading.get_inter_op_parallelism_threads(),
    names.count("tf_Compute"),
    late,
]))
"""


def test_threads_come_from_the_config_alone(tmp_path):
    """Neither from the environment nor from the cores; and never changed half-way, unnoticed."""
    environment = {"TF_NUM_INTRAOP_THREADS": "7", "TF_NUM_INTEROP_THREADS": "7"}
    process = run_python(THREADS, cwd=tmp_path, **environment)
    assert process.returncode == 0, process.stderr
    intra, inter, running, late = json.loads(process.stdout)
    assert (intra, inter, running) == (3, 3, 3)
    assert "cannot be modified" in late


def test_import_paths_come_first_and_are_inherited(tmp_path, monkeypatch):
    for name, value in (("mine", 1), ("other", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "degu_test_module.py").write_text(f"VALUE = {value}")
    mine, other = str(tmp_path / "mine"), str(tmp_path / "other")
    monkeypatch.setenv("PYTHONPATH", other)
    monkeypatch.setattr("sys.path", [other])
    share_import_path(mine)
    share_import_path(mine)
    assert os.environ["PYTHONPATH"] == os.pathsep.join([mine, other])
    process = run_python("import degu_test_module as m; print(m.VALUE)", cwd=tmp_path)
    assert process.stdout == "1\n"
    import degu_test_module

    assert degu_test_module.VALUE == 1
    del sys.modules["degu_test_module"]
