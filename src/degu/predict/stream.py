"""Predictions of a whole file, some sequences at a time."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from degu.errors import InputError
from degu.genomics.blocks import Block
from degu.predict.fit import Fit, Fitted, Misfits, fitted, fitting, lengths_of, wanted
from degu.predict.predictor import Estimate, Predictor

READ = 4096
"""Sequences that are read at once."""

PART = 1 << 16
"""Sequences, or windows of tiled ones, that are predicted together."""


@dataclass(frozen=True)
class Settings:
    """What is asked of sequences.

    Attributes:
        levels, interval, both_strands: see :meth:`degu.predict.predictor.Predictor.estimate`.
        fit: what is done with sequences that do not fit.
    """

    levels: tuple[float, ...] = (0.9,)
    interval: str = "mondrian"
    both_strands: bool = False
    fit: Fit = field(default_factory=Fit)


def estimates(
    predictor: Predictor,
    blocks: Iterable[Block],
    settings: Settings,
    where: str,
    *,
    part: int = PART,
    done: Sequence[int] = (),
) -> Iterator[tuple[list[str], Estimate]]:
    """Ids of sequences, and what is predicted of them; NaN where too much is unknown.

    Parts are the same whatever is done already.

    Args:
        predictor: the models.
        blocks: the sequences of a file.
        settings: what is asked.
        where: the file, for messages.
        part: sequences, or windows, of a part; the last one may have fewer.
        done: sequences of the first parts, which are read and not predicted.

    Raises:
        InputError: for sequences that cannot be predicted. Those of wrong lengths are counted to
            the end of the file.
    """
    blocks = _beyond(iter(blocks), done, where)
    own: list[tuple[Block, Fitted]] = []
    begun = sum(done)
    for block in blocks:
        try:
            one = fitted(block, predictor.length, predictor.flanks, settings.fit, where)
        except Misfits as error:
            before = begun + sum(len(other) for other, _ in own) + len(block)
            raise _all_misfits(error, before, blocks, predictor, where) from None
        own.append((block, one))
        if max(sum(len(b) for b, _ in own), sum(len(f.codes) for _, f in own)) >= part:
            yield _estimate(predictor, own, settings, part)
            begun += sum(len(other) for other, _ in own)
            own = []
    if own:
        yield _estimate(predictor, own, settings, part)


def _beyond(blocks: Iterator[Block], done: Sequence[int], where: str) -> Iterator[Block]:
    """The blocks after those that are done."""
    for rows in done:
        while rows > 0:
            rows -= len(next(blocks, ())) or rows + 1
        if rows:
            raise InputError(f"{where}: other sequences were predicted; start without --resume.")
    yield from blocks


def _all_misfits(
    error: Misfits, total: int, rest: Iterator[Block], predictor: Predictor, where: str
) -> Misfits:
    """The same error, about all sequences of the file."""
    count = error.count
    for block in rest:
        fits = fitting(lengths_of(block), predictor.length, predictor.flanks)
        count += int(np.count_nonzero(~fits))
        total += len(block)
    return Misfits(count, total, error.first, wanted(predictor.length, predictor.flanks), where)


def _estimate(
    predictor: Predictor, own: Sequence[tuple[Block, Fitted]], settings: Settings, most: int
) -> tuple[list[str], Estimate]:
    """What is predicted of some blocks, of tiled sequences the mean over their windows."""
    ids = [name for block, _ in own for name in block.ids]
    begins = np.cumsum([0, *(len(block) for block, _ in own)])
    codes = np.concatenate([one.codes for _, one in own])
    owners = np.concatenate(
        [one.owners + begin for (_, one), begin in zip(own, begins[:-1], strict=True)]
    )
    found = [
        predictor.estimate(
            codes[start : start + most],
            both_strands=settings.both_strands,
            levels=settings.levels,
            interval=settings.interval,
        )
        for start in range(0, max(1, len(codes)), most)
    ]

    def of_sequences(parts: Iterable[np.ndarray]) -> np.ndarray:
        values = np.concatenate(list(parts))
        each = np.full((len(ids), values.shape[1]), np.nan)
        starts = np.flatnonzero(np.diff(owners, prepend=-1))
        if len(starts) == len(owners):
            each[owners] = values
        else:
            counts = np.diff(starts, append=len(owners))
            each[owners[starts]] = np.add.reduceat(values, starts) / counts[:, None]
        return each

    stds = [one.std for one in found if one.std is not None]
    intervals = {}
    for level in found[0].intervals:
        lower, upper = (of_sequences(one.intervals[level][end] for one in found) for end in (0, 1))
        intervals[level] = lower, upper
    return ids, Estimate(
        of_sequences(one.mean for one in found), of_sequences(stds) if stds else None, intervals
    )


def count_records(path: str | os.PathLike[str]) -> int | None:
    """About how many sequences a file has, for a progress bar; None where it cannot be told."""
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if zipped else open(path, "rb") as stream:
            last = stream.read(1)
            mark = b"\n>" if last == b">" else b"\n"
            count = len(mark) - 1
            while piece := stream.read(1 << 20):
                count += (last + piece).count(mark)
                # Half a mark is counted with its other half.
                last = piece[-1:] if len(mark) > 1 else b""
    except (OSError, EOFError, ValueError):
        return None
    return count
