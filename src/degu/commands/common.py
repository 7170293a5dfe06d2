"""What commands that predict have in common: options, models, a progress bar, where output goes."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

import click

from degu.errors import InputError

if TYPE_CHECKING:
    from tqdm import tqdm

    from degu.predict.predictor import Predictor

Command = TypeVar("Command", bound=Callable[..., Any])

_PREDICTION = (
    click.option(
        "--both-strands", is_flag=True, help="Average each model's predictions over both strands."
    ),
    click.option(
        "--max-n",
        type=click.FloatRange(0, 1),
        default=0.05,
        show_default=True,
        help="Largest share of unknown bases (N) in a sequence that is predicted.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=512,
        show_default=True,
        help="Sequences that a model predicts at once.",
    ),
    click.option(
        "--threads", type=click.IntRange(1), help="CPU threads; all that this process may use."
    ),
    click.option("--quiet", "-q", is_flag=True, help="No progress bar, and no notes."),
)


def prediction_options(command: Command) -> Command:
    """Add ``--both-strands``, ``--max-n``, ``--batch-size``, ``--threads`` and ``--quiet``."""
    for option in reversed(_PREDICTION):
        command = option(command)
    return command


_READING = (
    click.option("--genome", metavar="FASTA", help="That a BED is of, plain or bgzipped."),
    click.option("--summit", is_flag=True, help="Windows about the summits of a narrowPeak."),
    click.option(
        "--beyond",
        type=click.Choice(["error", "pad"]),
        default="error",
        show_default=True,
        help="Intervals off the end of a contig are refused, or padded with N.",
    ),
    click.option("--sequence-column", metavar="NAME", help="Of a table; default: guessed."),
    click.option("--id-column", metavar="NAME", help="Of a table; default: guessed."),
)


def reading_options(command: Command) -> Command:
    """Add what :func:`degu.genomics.files.read_sequences` goes by, but for its lengths."""
    for option in reversed(_READING):
        command = option(command)
    return command


def check_paths(inputs: Iterable[str | None], outputs: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse inputs that do not exist, or that an output would take the place of."""
    outputs = [output for output in outputs if os.path.exists(output)]
    for path in filter(None, inputs):
        if not os.path.exists(path):
            raise InputError(f"{path} does not exist; check the path.")
        if any(os.path.samefile(path, output) for output in outputs):
            raise InputError(f"{path} would be written over; name another output.")


def open_models(
    paths: Sequence[str | os.PathLike[str]], batch_size: int, threads: int | None
) -> Predictor:
    """The models, in a TensorFlow that is told of its threads first and says nothing at start."""
    from degu.ops.runtime import set_compute_threads

    for path in paths:  # TensorFlow takes seconds to import: not for a typing error
        if not os.path.exists(path):
            raise InputError(f"{path} does not exist; check the path of the model.")
    # Information and warnings of TensorFlow, such as of traces when there are many models.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _quiet_start():
        set_compute_threads(threads or len(os.sched_getaffinity(0)))
    from degu.predict.predictor import Predictor

    predictor = Predictor.open(paths)
    predictor.batch_size = batch_size
    return predictor


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Keep what TensorFlow says at its start off the terminal; anything else follows."""
    from degu.ops.runtime import NO_DRIVER, STARTUP

    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        terminal = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            os.write(2, NO_DRIVER.sub(b"", STARTUP.sub(b"", held.read())))


def check_columns(columns: Sequence[str]) -> None:
    """Refuse a table of which two columns would have one name."""
    twice = [name for name, n in Counter(columns).items() if n > 1]
    if twice:
        raise InputError(
            f"Two columns would be called {twice[0]}; rename the target in the models' cards."
        )


@contextmanager
def progress(total: int | None, unit: str, quiet: bool) -> Iterator[tqdm]:
    """A bar on a terminal's standard error, with rate and time left; nothing where it is piped."""
    from tqdm import tqdm

    hidden = quiet or not sys.stderr.isatty()
    with tqdm(total=total, unit=f" {unit}", disable=hidden, smoothing=0.1) as bar:
        yield bar


def note(text: str, quiet: bool) -> None:
    """Say something on standard error, above a progress bar."""
    if not quiet:
        from tqdm import tqdm

        tqdm.write(f"degu: {text}", file=sys.stderr)


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Bytes to standard output, flushed at the end: a reader that is gone is noticed here."""
    stream = cast("BinaryIO", sys.stdout.buffer)
    yield stream
    stream.flush()
