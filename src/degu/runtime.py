"""How a process computes: TensorFlow's threads, and a job's log."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from degu.errors import DeguError


def set_compute_threads(threads: int) -> None:
    """Fix TensorFlow's thread count for this process; call before its first operation.

    Sums over a batch are split by thread, so the thread count is part of what makes a run
    reproducible. It therefore comes from the config alone, never from the visible cores.
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


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

    A :class:`~degu.errors.DeguError` ends the process with its one sentence, any other error with
    its traceback; both go to the log, which Snakemake shows for failed jobs.
    """
    # Information and warnings of TensorFlow's C++ parts would bury a job's own lines.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("degu").setLevel(logging.INFO)
    try:
        yield
    except DeguError as error:
        print(f"error: {error}", file=sys.stderr)
        failed = True
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        failed = True
    except Exception:
        traceback.print_exc()
        failed = True
    else:
        failed = False
    sys.stdout.flush()
    sys.stderr.flush()
    if failed:
        sys.exit(1)
