"""Which GPU a job computes on: one of its own, or none.

Several jobs on one machine share its GPUs through an OS lock a device, which the kernel takes back
when a job ends, however it ends. NVIDIA's driver is asked through ``nvidia-smi``; CUDA and
TensorFlow are not loaded here.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from degu.errors import DeguError, InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"


#: What schedulers put into the environment of a job, and what tells their jobs apart.
SCHEDULERS = {
    "SLURM": ("SLURM_JOB_ID",),
    "LSF": ("LSB_JOBID", "LSB_JOBINDEX"),
    "PBS": ("PBS_JOBID",),
    "Kubernetes": ("KUBERNETES_SERVICE_HOST", "HOSTNAME"),
}


_SECONDS_BETWEEN_TRIES = 1.0


class _Device(NamedTuple):
    number: str  # as nvidia-smi counts them
    uuid: str  # the number once more where nvidia-smi is not installed

    def __str__(self) -> str:
        return self.number if self.number == self.uuid else f"{self.number} ({self.uuid})"


class _NoDevice(Exception):
    """Why a job sees no GPU."""


class _Claim:
    """The device that this process holds for the rest of its life."""

    lock: FileLock | None = None
    required = False


def claim(gpu: int, *, required: bool) -> None:
    """Take a free GPU for this process, or hide all of them; call before TensorFlow is imported.

    Args:
        gpu: 0 hides every GPU. 1 takes a free one of those that ``CUDA_VISIBLE_DEVICES`` names
            (indices as ``nvidia-smi -L`` counts them, UUIDs, MIG names; unset: all of the driver),
            waits while all are taken, and leaves that one visible until the process ends.
        required: Whether it is an error that there is none (the config's ``require_gpu``); else
            the job computes on the CPU and says so.

    Users of one machine share the locks in the folder ``degu-devices`` of the temporary folder. In
    a job of a scheduler that has chosen the devices, only processes of that job compete for them.

    Raises:
        InputError: ``gpu`` is neither 0 nor 1.
        DeguError: A GPU is required and there is none, or the locks cannot be used.
    """
    if gpu not in (0, 1):
        raise InputError(
            f"a job asks for {gpu} GPUs, and a model trains on one: set `gpu` to 0 or 1 under "
            "`resources` (members train side by side)."
        )
    if "tensorflow" in sys.modules:
        raise RuntimeError("claim() comes before TensorFlow is imported")
    visible = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = "-1"
    if gpu == 0:
        return
    _Claim.required = required
    try:
        devices = _candidates(visible)
    except _NoDevice as error:
        _report_none(str(error))
        return
    # A scheduler that has chosen gives each of its jobs devices of its own.
    device = _take(devices, "" if visible is None else "-".join(_scheduler()))
    os.environ[VISIBLE] = device.uuid
    # As nvidia-smi counts them; CUDA's own order puts the fastest first.
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    print(f"GPU {device}", file=sys.stderr, flush=True)


def check_tensorflow() -> None:
    """See to it that TensorFlow sees the GPU that this process claimed, if it claimed one.

    Raises:
        DeguError: It does not, and a GPU is required.
    """
    if _Claim.lock is None:
        return
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return
    built = tf.test.is_built_with_cuda()
    _Claim.lock.release()
    _Claim.lock = None
    _report_none(
        "the driver lists one, but TensorFlow does not see it ("
        + ("its CUDA libraries are missing or newer than the driver" if built else "a CPU build")
        + '; `pip install "tensorflow[and-cuda]"` or envs/degu-gpu.yaml has them)'
    )


def _report_none(reason: str) -> None:
    if _Claim.required:
        raise DeguError(
            f"this job needs a GPU (require_gpu) and sees none: {reason}. Run it where there is "
            "one, or set `require_gpu: false` to train on the CPU."
        )
    print(
        f"warning: no GPU: {reason}; computing on the CPU. `require_gpu: true` in the config makes "
        "this an error.",
        file=sys.stderr,
        flush=True,
    )


def _scheduler() -> list[str]:
    """Name of the scheduler that runs this job, then the job's number; empty without one."""
    for name, variables in SCHEDULERS.items():
        if os.environ.get(variables[0]):
            return [name, *(os.environ.get(variable, "") for variable in variables)]
    return []


def _driver_devices() -> list[_Device]:
    """The devices of the driver, at least one; MIG instances in place of the GPU they divide."""
    if shutil.which("nvidia-smi") is None:
        names = (path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
        found = [_Device(name, name) for name in sorted(names, key=int)]
        if not found:
            raise _NoDevice(
                "no NVIDIA driver answers (nvidia-smi is not installed, /dev/nvidia* is not there)"
            )
        return found
    try:
        answer = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _NoDevice(f"no NVIDIA driver answers ({error})") from None
    devices: list[_Device] = []
    for line in answer.stdout.splitlines():
        if match := re.match(r"GPU (\d+): .*\(UUID: (GPU-[^)]+)\)", line):
            devices.append(_Device(*match.groups()))
        elif match := re.match(r"\s+MIG .*\(UUID: (MIG-[^)]+)\)", line):
            if devices and devices[-1].uuid.startswith("GPU-"):
                divided = devices.pop()
            devices.append(_Device(divided.number, match[1]))
    if answer.returncode or not devices:
        said = (answer.stdout + answer.stderr).strip().split("\n")[0]
        raise _NoDevice(f"no NVIDIA driver answers (nvidia-smi -L: {said or 'no GPU listed'})")
    return devices


def _candidates(visible: str | None) -> list[_Device]:
    """The driver's devices that a value of CUDA_VISIBLE_DEVICES shows, at least one.

    As CUDA reads it: an entry that names no device hides itself and all that follow.
    """
    if visible is None:
        return _driver_devices()
    entries = [entry.strip() for entry in visible.split(",")]
    if entries[0] in ("", "-1", "NoDevFiles"):
        raise _NoDevice(f"{VISIBLE} is {visible!r}, which hides them all")
    given = f"{(_scheduler() or [VISIBLE])[0]} gave this job device {visible}, but "
    try:
        devices = _driver_devices()
    except _NoDevice as error:
        raise _NoDevice(f"{given}{error}") from None
    chosen: list[_Device] = []
    for entry in entries:
        # A UUID may be shortened; an index means the first instance of a divided GPU.
        uuid = entry.startswith(("GPU-", "MIG-"))
        named = [d for d in devices if d.number == entry or (uuid and d.uuid.startswith(entry))]
        if not named:
            break
        chosen.append(named[0])
    if not chosen:
        raise _NoDevice(f"{given}the driver lists only {', '.join(map(str, devices))}")
    return list(dict.fromkeys(chosen))


def _take(devices: list[_Device], scope: str) -> _Device:
    """Wait for a free device and hold its lock."""
    folder = _lock_folder()
    waiting = False
    while True:
        for device in devices:
            name = re.sub(r"[^\w.-]", "_", "-".join(filter(None, [scope, device.uuid])))
            if lock := _lock(folder / f"{name}.lock"):
                _Claim.lock = lock
                return device
        if not waiting:
            waiting = True
            print(
                f"waiting for a free GPU: all {len(devices)} are taken (locks in {folder}); "
                f"`--resources gpu={len(devices)}` limits the jobs that Snakemake starts at once",
                file=sys.stderr,
                flush=True,
            )
        time.sleep(_SECONDS_BETWEEN_TRIES)


def _lock(path: Path) -> FileLock | None:
    """The lock of this file if it is free; other users can lock the file as well."""
    lock = FileLock(path, mode=0o666)
    umask = os.umask(0)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    except OSError as error:
        raise DeguError(
            f"{path}: this lock of a GPU cannot be used ({error.strerror}); ask its owner to "
            f"remove {path.parent}, or let everybody on this machine set another TMPDIR."
        ) from error
    finally:
        os.umask(umask)
    return lock


def _lock_folder() -> Path:
    """Folder of the locks: as the temporary folder, users write files and remove their own."""
    folder = Path(tempfile.gettempdir()) / "degu-devices"
    umask = os.umask(0)
    try:
        folder.mkdir(0o1777, exist_ok=True)
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise FileExistsError
    except FileExistsError:
        raise DeguError(
            f"{folder} is not a folder, and the locks of GPUs belong there; ask its owner to "
            "remove it."
        ) from None
    finally:
        os.umask(umask)
    return folder
