"""How a process computes: TensorFlow's threads, a job's log, and how a job ends."""

from __future__ import annotations

import errno
import fcntl
import gc
import logging
import os
import re
import signal
import stat
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from degu.errors import DeguError
from degu.ops.devices import check_tensorflow, claim
from degu.study.kinds import kind_of
from degu.study.member import Member

#: Seconds that a stopped job has to clean up. SLURM sends SIGKILL 30 seconds after SIGTERM.
GRACE = 10


# What TensorFlow says before its own log level holds, and that a machine has no NVIDIA driver.
_STARTUP = re.compile(
    rb"(?m)^(WARNING: All log messages before absl::InitializeLog.*|I0000 00:00:.*)\n"
)


_NO_DRIVER = re.compile(rb"(?m)^E0000 00:00:.*failed call to cuInit.*\n")


# Of the system, also in HDF5's and TensorFlow's words; the last one is NumPy's.
_DISK_FULL = re.compile(
    r"No space left on device|Disk quota exceeded|\d+ requested and \d+ written"
)


_FILE_NAME = re.compile(r"name = '([^']+)'")


class Stopped(BaseException):
    """Raised in the main thread of a job that got SIGTERM, so that ``finally`` blocks run.

    Not an ``Exception``: code that tries again, or goes on with the next member, must not
    swallow it.
    """


def set_compute_threads(threads: int) -> None:
    """Fix TensorFlow's thread count for this process; call before its first operation.

    Sums over a batch are split by thread, so the thread count is part of what makes a run
    reproducible. It therefore comes from the config alone, never from the visible cores.

    TensorFlow's memory on a CPU then comes from its own pool. Its default gives large tensors back
    to the system and asks for them again at every step, where each page costs a fault; in a virtual
    machine that is half of the time of a training step (docs/results.md). Results are the same.

    Raises:
        DeguError: A GPU is required (:func:`degu.ops.devices.claim`), and TensorFlow sees none.
    """
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    with _without_startup_lines():
        with _quick_import():
            import keras  # noqa: F401
            import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.config.list_physical_devices()
    check_tensorflow()


def share_import_path(folder: str) -> None:
    """Let this process, and every process that it starts, import from this folder first."""
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [path for path in dict.fromkeys([folder, *inherited]) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    if folder not in sys.path:
        sys.path.insert(0, folder)


@contextmanager
def job_log(path: str | os.PathLike[str]) -> Iterator[None]:
    """Send all output of a rule's script to its log, that of compiled libraries included.

    A :class:`~degu.errors.DeguError`, a full disk or a lack of memory ends the process with one
    sentence, any other error with its traceback; both go to the log, which Snakemake shows for
    failed jobs. SIGTERM raises :class:`Stopped` in the main thread, and the process ends with
    code 143 once it has cleaned up, at most :data:`GRACE` seconds later.
    """
    # Information and warnings of TensorFlow's C++ parts would bury a job's own lines.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _flush()
    # Appending, so that an orphan of a killed Snakemake does not write into its successor's lines.
    mode = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    descriptor = os.open(path, mode, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("degu").setLevel(logging.INFO)
    stop = _Stop()
    code: int | None = None
    try:
        yield
    except (Exception, KeyboardInterrupt, Stopped) as error:
        # Libraries may turn what a signal handler raises into an error of their own.
        if stop.signal:
            code = stop.say()
        else:
            code = 1
            sentence = _one_sentence(error)
            with suppress(OSError):  # the log's disk may be the full one
                if sentence:
                    print(f"error: {sentence}", file=sys.stderr)
                else:
                    traceback.print_exception(error)
    finally:
        stop.done()
        _flush()
    if code is not None:
        sys.exit(code)


def members_of(job: Any) -> list[Member]:
    """The members that a job of a rule of models is about.

    Args:
        job: what Snakemake gives a script, with the parameter ``kind``.
    """
    kind, wildcards = kind_of(job.params.kind), dict(job.wildcards.items())
    return Member.batch(kind, wildcards, job.config)


@contextmanager
def model_job(job: Any) -> Iterator[list[Member]]:
    """The frame of a job that computes with a model: its log, its device, its threads.

    All of this comes before TensorFlow is imported, so the body imports what needs it.

    Args:
        job: what Snakemake gives a script.

    Yields:
        The members that the job is about.
    """
    with job_log(job.log[0]):
        claim(job.resources.gpu, required=job.config["require_gpu"])
        set_compute_threads(job.params.compute_threads)
        yield members_of(job)


class _Stop:
    """The first SIGTERM or SIGINT of a job; further ones do not disturb its cleaning up."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._said = False
        self._before = {
            number: signal.signal(number, self._raise)
            for number in (signal.SIGTERM, signal.SIGINT)
            if signal.getsignal(number) is not signal.SIG_IGN  # nohup, background jobs
        }
        # Python runs a handler between two steps of the main thread only. Its wakeup descriptor
        # is written to at once, so that the watchdog knows of the signal during a long C call.
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = signal.Signals(number)
            raise KeyboardInterrupt if number == signal.SIGINT else Stopped(self.signal.name)

    def _watch(self) -> None:
        while received := os.read(self._reader, 1):
            number = received[0]
            if number in self._before:
                time.sleep(GRACE)
                self.signal = self.signal or signal.Signals(number)
                os._exit(self.say())

    def say(self) -> int:
        """Write the log's last line, once; returns the exit code."""
        assert self.signal is not None
        interrupted = self.signal == signal.SIGINT
        if not self._said:
            self._said = True
            with suppress(OSError):
                _flush()
                os.write(2, b"stopped\n" if interrupted else b"stopped by SIGTERM\n")
        return 1 if interrupted else 128 + self.signal

    def done(self) -> None:
        """The job's own work is over: give the handlers back unless the process is stopping."""
        if self.signal is None:
            signal.set_wakeup_fd(-1)
            for number, handler in self._before.items():
                signal.signal(number, handler)
            os.close(self._writer)


def _one_sentence(error: BaseException) -> str | None:
    """What a person can act on without a traceback; None for a fault of the program."""
    if isinstance(error, DeguError):
        return str(error)
    cause: BaseException | None = error
    while cause is not None:
        text = " ".join(str(cause).split())
        full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or _DISK_FULL.search(text):
            name = _FILE_NAME.search(text)
            file = getattr(cause, "filename", None) or (name and name[1])
            return (
                f"the disk is full{f' ({file} could not be written)' if file else ''}; free some "
                "space and start Snakemake again: what is finished is kept."
            )
        if isinstance(cause, MemoryError) or type(cause).__name__ == "ResourceExhaustedError":
            detail = f" ({text[:200]})" if text else ""
            return (
                f"out of memory{detail}; raise mem_mb of this stage under `resources`, or lower "
                "its batch_size."
            )
        cause = cause.__cause__ or cause.__context__
    return None


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()


@contextmanager
def _quick_import() -> Iterator[None]:
    """Import TensorFlow and Keras in half the time: 2.1 CPU seconds in place of 3.9, here.

    Keras imports scikit-learn and Matplotlib where they are installed, for parts that no job uses;
    for so long they are not. The garbage collector looks through ever more modules, none of which
    is garbage, and not again through those that are there.
    """
    hidden = [name for name in ("sklearn", "matplotlib") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not to be had
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        if collecting:
            gc.enable()


@contextmanager
def _without_startup_lines() -> Iterator[None]:
    """Take TensorFlow's start-up lines out of a log, which no environment variable silences.

    Everything is written as it comes, so that a crash in between leaves it all.
    """
    sys.stderr.flush()
    appended = os.O_RDWR | os.O_APPEND
    log = fcntl.fcntl(2, fcntl.F_GETFL) & appended == appended and stat.S_ISREG(os.fstat(2).st_mode)
    start = os.fstat(2).st_size
    yield
    sys.stderr.flush()
    said = os.fstat(2).st_size - start
    if log and said > 0:  # less, if a successor has begun the log anew
        text = _STARTUP.sub(b"", os.pread(2, said, start))
        if os.environ.get("CUDA_VISIBLE_DEVICES") == "-1":
            text = _NO_DRIVER.sub(b"", text)
        os.ftruncate(2, start)
        os.write(2, text)
