"""Sequences that fit a model as they are, for what is asked about single positions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from degu.errors import InputError
from degu.genomics.files import read_sequences
from degu.predict.fit import Fit, fitted, lengths_of, misfitting, wanted
from degu.predict.predictor import Predictor

ROWS = 8192
"""Sequences that are read at once."""


class Exact(NamedTuple):
    """Sequences of a file as a model takes them.

    Attributes:
        ids: of the n sequences, as the file has them.
        codes: (n, L) uint8, index in ACGTN, with the flanks of the assay.
        start: (n,) where the sequence of the file begins in its row: after the left flank where
            flanks were added, else 0.
        size: (n,) its bases.
    """

    ids: list[str]
    codes: np.ndarray
    start: np.ndarray
    size: np.ndarray

    @property
    def given(self) -> np.ndarray:
        """(n, L) bool, which bases are the file's."""
        place = np.arange(self.codes.shape[1]) - self.start[:, None]
        return (place >= 0) & (place < self.size[:, None])


def read_exact(predictor: Predictor, path: str, *, summit: bool = False, **reading: Any) -> Exact:
    """All sequences of a file; they have the models' length, or that without the assay's flanks.

    They are kept in memory, a byte a base: what is asked about them takes hundreds of predictions
    of each, or maps of 16 times their size.

    Args:
        predictor: whose length and flanks count.
        path: FASTA, table, or BED with a genome.
        summit: whether a narrowPeak stands for windows about its summits, of the length that fits.
        reading: other options of :func:`degu.genomics.files.read_sequences`.

    Raises:
        InputError: for other lengths, which are counted, letters that are no bases, and what the
            readers refuse; names the file and the sequence.
    """
    length, flanks = predictor.length, predictor.flanks
    if summit:
        reading |= {"summit": True, "length": length - sum(map(len, flanks))}
    ids: list[str] = []
    codes: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    odd, first = 0, ""
    for block in read_sequences(path, ROWS, **reading):
        own = lengths_of(block)
        bad = np.flatnonzero(misfitting(own, length, flanks, "error"))
        if len(bad) and not odd:
            first = f"{block.ids[bad[0]]}, {own[bad[0]]:,} bases"
        odd += len(bad)
        ids += block.ids
        sizes.append(own)
        if not odd:
            codes.append(fitted(block, length, flanks, Fit(max_n=1), path).codes)
    if odd:
        raise InputError(
            f"{path}: {odd:,} of {len(ids):,} sequences do not have the length that the model "
            f"takes, {wanted(length, flanks)} bases (the first: {first}); cut them to it."
        )
    if not ids:
        raise InputError(f"{path} holds no sequences; check the file.")
    size = np.concatenate(sizes)
    return Exact(ids, np.concatenate(codes), np.where(size < length, len(flanks[0]), 0), size)
