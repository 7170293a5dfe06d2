"""One or more models from files, as one that predicts with an uncertainty."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """What models predict of N sequences, for T targets, in units of the targets.

    Attributes:
        mean: activities (N, T) float64.
        std: epistemic standard deviations (N, T) float64; None of a model without uncertainty.
        intervals: by level, lower and upper ends (N, T) each of an interval for a measurement;
            empty where there is no recalibration or no level was asked for.
    """

    mean: np.ndarray
    std: np.ndarray | None
    intervals: dict[float, tuple[np.ndarray, np.ndarray]]


class Predictor:
    """Models that predict together.

    Teachers: their mean and std (ddof 0). Students: mean, and the root mean square of their stds.

    Attributes:
        targets: names, T of them.
        length: bases of a sequence as the models take it, flanks of the assay included.
        flanks: constant bases at the left and right end of each sequence; empty where there are
            none.
        role: ``teacher`` or ``student``.
        cards: of each model.
        paths: file of each model.
        sha256: of the models' files and recalibrations together, hexadecimal.
        has_std: whether there is an epistemic std: of students, and of two teachers or more.
        has_intervals: whether every model has a recalibration.
    """

    @classmethod
    def open(cls, paths: Sequence[str | os.PathLike[str]]) -> Predictor:
        """Models of files, of an arm's folder, or of an export (each of ``paths`` any of these).

        Raises:
            InputError: for teachers and students mixed; models of different targets, lengths or
                flanks; a file twice; a folder without models; names the file.
        """
        raise NotImplementedError

    def members(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Activities and stds of each model.

        Args:
            codes: (N, length) uint8, index in ACGTN (:func:`degu.sequences.letter_codes`).

        Returns:
            (M, N, T) float64 each; None in place of stds where models predict none.
        """
        raise NotImplementedError

    def estimate(
        self, codes: np.ndarray, *, both_strands: bool = False, levels: Sequence[float] = ()
    ) -> Estimate:
        """Predict sequences (N, length) uint8, at the given levels with an interval each.

        With both strands, each model's activities and stds are averaged over a sequence and its
        reverse complement (of which the flanks stay as they are) before models are.
        """
        raise NotImplementedError
