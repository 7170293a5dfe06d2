"""A GPU of one's own: real processes compete for devices that a made-up nvidia-smi lists."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from conftest import run_python

from degu.ops.devices import SCHEDULERS

UUIDS = ["GPU-aaaa1111-0000", "GPU-bbbb2222-0000", "GPU-cccc3333-0000"]
WHOLE = [f"GPU {i}: NVIDIA A100-SXM4-40GB (UUID: {uuid})" for i, uuid in enumerate(UUIDS)]
DIVIDED = [
    WHOLE[0],
    "  MIG 3g.20gb     Device  0: (UUID: MIG-1d1d-0)",
    "  MIG 3g.20gb     Device  1: (UUID: MIG-1d1d-1)",
    WHOLE[1],
]
# A job: says what it got and when, works, and says when it ended.
JOB = """
import json, os, sys, time
from degu.ops.devices import claim
from degu.errors import DeguError

try:
    claim(int(sys.argv[1]), required=sys.argv[2] == "required")
except DeguError as error:
    sys.exit(f"{type(error).__name__}: {error}")
started = time.monotonic()
got = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")}
print(json.dumps([got["CUDA_VISIBLE_DEVICES"], started]), flush=True)
if sys.argv[3].startswith("/"):
    while not os.path.exists(sys.argv[3]):
        time.sleep(0.01)
else:
    time.sleep(float(sys.argv[3]))
print(json.dumps([got["CUDA_DEVICE_ORDER"], time.monotonic()]), flush=True)
"""


@pytest.fixture
def machine(tmp_path):
    """Environment of a machine whose driver lists the given lines, or has none at all."""

    def make(lines=WHOLE, code=0, visible=None, **environment):
        tools = tmp_path / "tools"
        tools.mkdir(exist_ok=True)
        (tools / "nvidia-smi").unlink(missing_ok=True)
        if lines is not None:
            text = "\n".join(lines)
            (tools / "nvidia-smi").write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
            (tools / "nvidia-smi").chmod(0o755)
        (tmp_path / "locks").mkdir(exist_ok=True)
        ours = {name for variables in SCHEDULERS.values() for name in variables}
        ours |= {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"}
        made = {name: value for name, value in os.environ.items() if name not in ours}
        made |= {"PATH": f"{tools}:/usr/bin:/bin", "TMPDIR": str(tmp_path / "locks")}
        if visible is not None:
            made["CUDA_VISIBLE_DEVICES"] = visible
        return {**made, **environment}

    return make


def start(environment, gpu=1, required="", seconds=0.0, user=None, **options):
    """Start a job that works for some seconds, or until there is a file."""
    code = JOB.replace("try:", AS_USER + "try:", 1) if user else JOB
    command = [sys.executable, "-c", code, str(gpu), required, str(seconds), str(user)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **{**pipes, **options})


def run(environment, **options):
    """Exit code, the device that the job made visible (None: none claimed), and what it said."""
    process = start(environment, **options)
    out, said = process.communicate(timeout=120)
    return process.returncode, json.loads(out.split("\n")[0])[0] if out else None, said


def test_no_two_jobs_at_once_on_one_device(machine, tmp_path):
    """Nine jobs on three devices, however each of them names the devices."""
    names = [None, "0,1,2", ",".join(UUIDS), "2,1,0", "GPU-b,GPU-a,GPU-c"]
    # Those that have one work until all others have said that they wait.
    gate, logs = tmp_path / "gate", [tmp_path / f"{i}.log" for i in range(9)]
    jobs = []
    try:
        for i, log in enumerate(logs):
            environment = machine(visible=names[i % len(names)])
            with log.open("w") as said, log.with_suffix(".out").open("w") as out:
                own = {"umask": 0o077 if i % 2 else 0, "stderr": said, "stdout": out}
                jobs.append(start(environment, seconds=gate, **own))
        while sum("waiting" in log.read_text() for log in logs) < 6:
            assert all(job.poll() is None for job in jobs), [log.read_text() for log in logs]
            assert sum(bool(log.with_suffix(".out").read_text()) for log in logs) <= 3
            time.sleep(0.02)
    finally:
        gate.touch()
        for job in jobs:
            job.wait(timeout=120)
    uses = {uuid: [] for uuid in UUIDS}
    waited = 0
    for job, log in zip(jobs, logs, strict=True):
        out, said = log.with_suffix(".out").read_text(), log.read_text()
        assert job.returncode == 0, said
        (uuid, started), (order, ended) = map(json.loads, out.splitlines())
        uses[uuid].append((started, ended))
        assert order == "PCI_BUS_ID"
        *before, last = said.splitlines()
        assert last == f"GPU {UUIDS.index(uuid)} ({uuid})"
        waited += len(before)
        assert all(line.startswith("waiting for a free GPU: all 3 are taken") for line in before)
        # Announced once, however long it takes.
        assert len(before) <= 1
    assert waited == 6
    for times in uses.values():
        assert times
        times.sort()
        ends = [end for _, end in times]
        assert all(start >= end for (start, _), end in zip(times[1:], ends[:-1], strict=True)), (
            times
        )


def test_a_killed_job_frees_its_device(machine):
    environment = machine(visible="1")
    holder = start(environment, seconds=60)
    assert json.loads(holder.stdout.readline())[0] == UUIDS[1]
    waiting = start(environment)
    assert waiting.stderr.readline().startswith("waiting for a free GPU: all 1 are taken")
    assert waiting.poll() is None
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    out, _ = waiting.communicate(timeout=120)
    assert json.loads(out.split("\n")[0])[0] == UUIDS[1]


@pytest.mark.parametrize(
    ("lines", "visible", "device"),
    [
        (WHOLE, None, UUIDS[0]),
        (WHOLE, "2", UUIDS[2]),
        (WHOLE, " 2 , 0", UUIDS[2]),
        (WHOLE, "GPU-bbbb", UUIDS[1]),
        (DIVIDED, None, "MIG-1d1d-0"),
        (DIVIDED, "0", "MIG-1d1d-0"),
        (DIVIDED, "MIG-1d1d-1", "MIG-1d1d-1"),
        (DIVIDED, "1", UUIDS[1]),
    ],
)
def test_devices_go_by_every_name_they_have(machine, lines, visible, device):
    code, got, said = run(machine(lines, visible=visible), required="required")
    assert (code, got) == (0, device), said


def test_an_entry_that_names_nothing_hides_what_follows(machine):
    """As the CUDA programming guide has it."""
    environment = machine(visible="1,7,0")
    holder = start(environment, seconds=60)
    assert json.loads(holder.stdout.readline())[0] == UUIDS[1]
    waiting = start(environment)
    assert "all 1 are taken" in waiting.stderr.readline()
    for job in (waiting, holder):
        job.kill()
        job.communicate()


@pytest.mark.parametrize(
    ("machine_has", "reason"),
    [
        ({"visible": "-1"}, "CUDA_VISIBLE_DEVICES is '-1', which hides them all"),
        ({"visible": ""}, "CUDA_VISIBLE_DEVICES is '', which hides them all"),
        ({"visible": "NoDevFiles"}, "CUDA_VISIBLE_DEVICES is 'NoDevFiles'"),
        ({"visible": "7"}, "CUDA_VISIBLE_DEVICES gave this job device 7, but the driver lists"),
        ({"lines": ["No devices were found"]}, "nvidia-smi -L: No devices were found"),
        ({"lines": ["Driver/library version mismatch"], "code": 18}, "version mismatch"),
        (
            {"lines": ["driver gone"], "code": 9, "visible": "0", "SLURM_JOB_ID": "12"},
            "SLURM gave this job device 0, but no NVIDIA driver answers",
        ),
        pytest.param(
            {"lines": None},
            "no NVIDIA driver answers (nvidia-smi is not installed",
            marks=pytest.mark.skipif(
                any(name.startswith("nvidia") for name in os.listdir("/dev")),
                reason="this machine has an NVIDIA driver",
            ),
        ),
    ],
)
def test_without_a_gpu(machine, machine_has, reason):
    """Required, the job fails in its first second; else it says so and hides what there may be."""
    environment = machine(**machine_has)
    code, got, said = run(environment)
    assert (code, got) == (0, "-1")
    assert said.startswith("warning: no GPU: ")
    assert reason in said
    assert "require_gpu" in said
    assert said.count("\n") == 1

    # It ends before its work, which would last longer than it is waited for.
    code, got, said = run(environment, required="required", seconds=1000)
    assert (code, got) == (1, None)
    assert said.startswith("DeguError: this job needs a GPU (require_gpu) and sees none: ")
    assert reason in said
    assert said.count("\n") == 1


def test_a_job_without_a_gpu_hides_them(machine):
    assert run(machine(), gpu=0, required="required") == (0, "-1", "")


def test_a_model_trains_on_one_gpu(machine):
    code, _, said = run(machine(), gpu=2)
    assert code == 1
    assert said.startswith("InputError: a job asks for 2 GPUs")


def test_jobs_of_a_scheduler_do_not_wait_for_each_other(machine):
    """Where it confines them, each sees its own device as number 0; the same job's do wait."""
    first = start(machine(visible="0", SLURM_JOB_ID="1"), seconds=60)
    assert json.loads(first.stdout.readline())[0] == UUIDS[0]
    code, got, said = run(machine(visible="0", SLURM_JOB_ID="2"))
    assert (code, got) == (0, UUIDS[0])
    assert "waiting" not in said
    same = start(machine(visible="0", SLURM_JOB_ID="1"))
    assert "waiting" in same.stderr.readline()
    # Where it has chosen no device, nobody but the machine's locks keeps jobs apart.
    _, got, _ = run(machine(SLURM_JOB_ID="3"))
    other = start(machine(SLURM_JOB_ID="4"), seconds=60)
    assert json.loads(other.stdout.readline())[0] == got == UUIDS[0]
    _, got, _ = run(machine(SLURM_JOB_ID="3"))
    assert got == UUIDS[1]
    for job in (first, same, other):
        job.kill()
        job.communicate()


# The interpreter may be out of other users' reach: it is loaded before the user changes.
AS_USER = """
import os, sys, tempfile
from filelock import FileLock
with tempfile.TemporaryDirectory() as folder, FileLock(folder + "/lock"):
    pass
os.setgroups([])
os.setgid(int(sys.argv[4]))
os.setuid(int(sys.argv[4]))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be several users")
def test_users_share_the_locks_whatever_their_umask(machine, tmp_path):
    """The first of them has private files, and the kernel may protect files of sticky folders."""
    base = Path(tempfile.gettempdir()).resolve()
    for folder in (tmp_path, *tmp_path.parents):
        if base in folder.parents:
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    environment = machine(visible="0")
    (tmp_path / "locks").chmod(0o1777)
    first = start(environment, seconds=60, user=12001, umask=0o077)
    assert json.loads(first.stdout.readline())[0] == UUIDS[0]
    second = start(environment, seconds=60, user=12002)
    folder = tmp_path / "locks/degu-devices"
    assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode)) == (12001, 0o1777)
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o666]
    assert "waiting for a free GPU" in second.stderr.readline()
    first.kill()
    assert json.loads(second.stdout.readline())[0] == UUIDS[0]
    for job in (first, second):
        job.kill()
        job.communicate()


@pytest.mark.parametrize("made", ["file", "link", "linked lock"])
def test_a_trap_in_the_temporary_folder_is_refused(machine, tmp_path, made):
    """Nothing is written through a link that another user has laid there."""
    environment = machine(visible="0")
    folder, victim = tmp_path / "locks/degu-devices", tmp_path / "victim"
    if made == "file":
        folder.write_text("")
    elif made == "link":
        victim.mkdir()
        folder.symlink_to(victim)
    else:
        victim.write_text("mine")
        folder.mkdir()
        (folder / f"{UUIDS[0]}.lock").symlink_to(victim)
    code, got, said = run(environment)
    assert (code, got) == (1, None)
    assert said.startswith(f"DeguError: {folder}")
    assert said.count("\n") == 1
    if victim.is_dir():
        assert not list(victim.iterdir())
    elif victim.exists():
        assert victim.read_text() == "mine"


TENSORFLOW = """
import os, sys
from degu.ops.devices import claim
from degu.ops.runtime import job_log, set_compute_threads
with job_log("job.log"):
    claim(1, required=sys.argv[1] == "required")
    set_compute_threads(1)
    import tensorflow as tf
    assert not tf.config.list_physical_devices("GPU")
"""


@pytest.mark.parametrize("required", ["required", ""])
def test_a_gpu_that_tensorflow_does_not_see(machine, tmp_path, required):
    """A driver lists it (here: says so), and no CUDA library finds it."""
    process = run_python(TENSORFLOW, required, cwd=tmp_path, **machine())
    log = (tmp_path / "job.log").read_text()
    assert "the driver lists one, but TensorFlow does not see it" in log
    assert "\nerror: this job needs a GPU" in log if required else "\nwarning: no GPU" in log
    assert process.returncode == (1 if required else 0), log


def test_every_job_with_tensorflow_claims_its_device_first(root):
    """``model_job`` does, which every script has around what computes with a model."""
    scripts = {path.stem: path.read_text() for path in (root / "workflow/scripts").glob("*.py")}
    heavy = re.compile(
        r"^ +from degu\.(jobs\.(train|predict|attribute)|attribution\.deeplift)", re.M
    )
    own = {name: heavy.search(text) for name, text in scripts.items() if "model_job(" in text}
    predict = {"predict", "predict_copies", "predict_shift"}
    assert set(own) == {"train", "finetune", *predict, "attribute"}
    for name, text in scripts.items():
        if name in own:
            assert 0 < text.find("with model_job(snakemake)") < own[name].start(), name
        else:
            assert not heavy.search(text), name


MODEL_JOB = """
import sys
from types import SimpleNamespace
from degu.ops.runtime import model_job
job = SimpleNamespace(
    log=["job.log"],
    resources=SimpleNamespace(gpu=1),
    params=SimpleNamespace(compute_threads=1, kind="teacher"),
    wildcards={"augmentation": "standard", "proportion": "1", "ix": "1"},
    config={"require_gpu": sys.argv[1] == "required", "aleatoric": "none"},
)
with model_job(job) as (member,):
    print(member.job)
"""


@pytest.mark.parametrize("required", ["required", ""])
def test_a_job_with_a_model_claims_its_device(machine, tmp_path, required):
    process = run_python(MODEL_JOB, required, cwd=tmp_path, **machine(visible="-1"))
    log = (tmp_path / "job.log").read_text()
    assert process.returncode == (1 if required else 0), log
    assert "CUDA_VISIBLE_DEVICES is '-1'" in log
    assert ("standard_1_1" in log) is not bool(required)


def test_it_is_too_late_once_tensorflow_is_imported(machine, tmp_path):
    code = "import sys; sys.modules['tensorflow'] = 1\nimport degu.ops.devices as d\n"
    process = run_python(code + "d.claim(0, required=False)", cwd=tmp_path, **machine())
    assert "claim() comes before TensorFlow is imported" in process.stderr
