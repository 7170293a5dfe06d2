"""A job's process: its log, its exit code, its threads."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import run_python

from degu.ops.runtime import share_import_path

JOB = """
import logging, os, subprocess, sys
from degu.errors import InputError
from degu.ops.runtime import job_log

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


def test_an_orphans_lines_do_not_tear_its_successors_log(tmp_path):
    """The job of a killed Snakemake goes on writing to the log that the next one begins anew."""
    code = (
        "import sys\nfrom degu.ops.runtime import job_log\n"
        "with job_log('job.log'):\n    print('a' * 1000, flush=True)\n    "
        "input()\n    print('of the orphan')"
    )
    orphan = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, text=True
    )
    while not (tmp_path / "job.log").exists() or not (tmp_path / "job.log").read_text():
        assert orphan.poll() is None
        time.sleep(0.02)
    assert run_job(tmp_path)[0] == 0
    orphan.communicate("go on\n")
    lines = (tmp_path / "job.log").read_text().splitlines()
    assert sorted(lines) == sorted([*LINES, "of the orphan"])


def test_bad_input_ends_a_job_with_one_sentence(tmp_path):
    code, lines = run_job(
        tmp_path,
        "try:\n        1 / 0\n    except ZeroDivisionError as e:\n"
        "        raise InputError('my.tsv row 3 is empty; fill it in.') from e",
    )
    assert code == 1
    assert set(lines) - LINES == {"error: my.tsv row 3 is empty; fill it in."}
    assert set(lines) > LINES


@pytest.mark.parametrize("error", ["ValueError", "KeyError", "OSError"])
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


# The message is HDF5's own, from a full tmpfs.
HDF5_FULL = (
    "[Errno 28] Can't synchronously write data (file write failed: time = Sat Nov 21 13:00:00 2026"
    "\\n, filename = 'results/x.h5', file descriptor = 5, errno = 28, error message = 'No space "
    "left on device', buf = 0x55, total write size = 4096, bytes this sub-write = 4096)"
)


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        ("open('/dev/full', 'w').write('x' * 10**6)", "the disk is full"),
        ("import numpy; numpy.zeros(10**6).tofile('/dev/full')", "the disk is full"),
        ("raise OSError(122, 'Disk quota exceeded', 'a.h5')", "disk is full (a.h5 could not"),
        (f'raise OSError("""{HDF5_FULL}""")', "disk is full (results/x.h5 could not"),
        (
            f'try:\n        raise OSError("""{HDF5_FULL}""")\n'
            "    finally:\n        raise RuntimeError('unable to close the file')",
            "disk is full (results/x.h5 could not",
        ),
        ("import numpy; numpy.zeros(10**15)", "out of memory (Unable to allocate"),
        ("raise MemoryError", "out of memory; raise mem_mb"),
    ],
)
def test_a_full_disk_or_memory_is_said_in_one_sentence(tmp_path, last, sentence):
    code, lines = run_job(tmp_path, last)
    assert code == 1
    (line,) = set(lines) - LINES
    assert line.startswith("error: ")
    assert sentence in line


def test_a_full_disk_under_the_log_hides_no_failure(tmp_path):
    process = run_python(
        "from degu.ops.runtime import job_log\n"
        "with job_log('/dev/full'):\n    print('x')\n    1 / 0",
        cwd=tmp_path,
    )
    assert process.returncode != 0


STOPPED = """
import os, signal, sys, time
import degu.ops.runtime
from degu.io.files import atomic_path
from degu.ops.runtime import Stopped, job_log

degu.ops.runtime.GRACE = {grace}
with job_log("job.log"):
    with atomic_path("result.npy") as temporary:
        try:
            print("ready", flush=True)
            {work}
        finally:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.1)
            print("cleaned up")
"""
SLEEP = "time.sleep(600)"
# What is raised in a callback of a library comes back as an error of the library.
SWALLOWED = (
    "try:\n                time.sleep(600)\n"
    "            except BaseException:\n                raise ValueError('of a library')"
)
# Python runs no signal handler before this ends: a call of C code that takes long.
LONG_CALL = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"


def stop_job(folder, work, grace, signals):
    """Send signals to a job at work; returns its exit code, its log and the seconds it took."""
    # Tests that run in the background inherit an ignored SIGINT, which a job leaves ignored.
    code = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += STOPPED.format(work=work, grace=grace)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=folder)
    log = folder / "job.log"
    while not (log.exists() and "ready" in log.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.2)  # into its work
    started = time.monotonic()
    for number in signals:
        process.send_signal(number)
    code = process.wait(timeout=120)
    return code, log.read_text().splitlines(), time.monotonic() - started


@pytest.mark.parametrize("work", [SLEEP, SWALLOWED])
@pytest.mark.parametrize(
    ("signals", "code", "last"),
    [
        ([signal.SIGTERM], 143, "stopped by SIGTERM"),
        ([signal.SIGINT], 1, "stopped"),
        ([signal.SIGINT] * 3, 1, "stopped"),
    ],
)
def test_a_stopped_job_cleans_up(tmp_path, work, signals, code, last):
    """A signal again, which comes while it cleans up, does not disturb it."""
    ended, lines, _ = stop_job(tmp_path, work, 60, signals)
    # Ended by the watchdog, after those 60 seconds, it would not have cleaned up.
    assert (ended, lines) == (code, ["ready", "cleaned up", last])
    assert [path.name for path in tmp_path.iterdir()] == ["job.log"]


def test_a_job_that_does_not_react_ends_all_the_same(tmp_path):
    ended, lines, seconds = stop_job(tmp_path, LONG_CALL, 0.5, [signal.SIGTERM])
    assert (ended, lines) == (143, ["ready", "stopped by SIGTERM"])
    assert seconds > 0.4
    assert not (tmp_path / "result.npy").exists()


def test_a_signal_after_the_log_is_closed_is_not_the_jobs(tmp_path):
    code = (
        "import os, signal\nfrom degu.ops.runtime import job_log\n"
        "with job_log('job.log'):\n    pass\nos.kill(os.getpid(), signal.SIGTERM)"
    )
    assert run_python(code, cwd=tmp_path).returncode == -signal.SIGTERM


NOISE = """
import os, sys
from degu.ops.runtime import job_log, set_compute_threads
with job_log("job.log"):
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    print("first", flush=True)
    set_compute_threads(1)
    import tensorflow as tf
    tf.function(lambda a: tf.nn.relu(a @ a))(tf.ones((8, 8))).numpy()
    print("second")
"""


def test_tensorflow_does_not_bury_a_jobs_own_lines(tmp_path):
    assert run_python(NOISE, cwd=tmp_path, TF_CPP_MIN_LOG_LEVEL="2").returncode == 0
    assert (tmp_path / "job.log").read_text() == "first\nsecond\n"


THREADS = """
import json, pathlib
from degu.ops.runtime import set_compute_threads
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


QUICK = """
import gc, json, sys
from degu.ops.runtime import set_compute_threads
set_compute_threads(1)
waited_for = sorted({"sklearn", "matplotlib"} & set(sys.modules))
import keras, matplotlib, sklearn.metrics
from keras.wrappers import SKLearnClassifier
print(json.dumps([waited_for, gc.isenabled(), sklearn.metrics.r2_score([0, 1], [0, 1])]))
"""


def test_jobs_do_not_wait_for_packages_that_keras_could_use(tmp_path):
    process = run_python(QUICK, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    # Later they are there as ever.
    assert json.loads(process.stdout) == [[], True, 1.0]
