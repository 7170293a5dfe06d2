"""Augmented copies of the training sequences, which an ensemble labels and its students learn from.

Members agree more on what they were trained on than on other sequences, so a student that sees the
training set alone learns too small an uncertainty. An ensemble can label any sequence. Copies are
near enough to the data to be worth labelling: after Zhou, Rizzo, Christensen, Tang & Koo, bioRxiv
2024.11.13.623485, who augment on the fly, and Beyer et al., "Knowledge distillation: a good teacher
is patient and consistent", CVPR 2022.

A copy is a function of (seed, row, number) and is made anew when it is needed; what is stored is
its labels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import h5py
import numpy as np

from degu.augment import Augmenter
from degu.errors import InputError
from degu.heads import Heads
from degu.io.files import MAKE_AGAIN
from degu.io.hdf5 import create_hdf5, open_hdf5, read_array, write_array
from degu.sequences import base_codes
from degu.uncertainty import std_to_logvar

COPIES = 4
"""Copies of each sequence where nothing else is said."""

AUGMENTATIONS = ("deletion", "translocation", "inversion")
"""What makes them: changes of structure, which leave most motifs as they are."""

PER_SEQUENCE = 2

NAME = "Copies"
"""Of a member's predictions of copies, where those of splits are called Train, Val and Test."""

# Rows that share a generator. All of them are drawn for even where few are there, so that the
# copies of a row are the same among however many others.
_GRAIN = 1024

# Labels keep so many binary digits below the spread of their column.
_DIGITS = 12

# And so many of each std at least, whose logarithm a student may learn.
_DIGITS_OF_STD = 8


class Copies(NamedTuple):
    """Labelled copies: ``codes`` (K, N, L) uint8 of bases, ``y`` (K, N, heads) float32."""

    codes: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Copier:
    """Makes augmented copies of sequences.

    Args:
        seed: of all of them.
        copies: K, how many of each sequence.
        augmentations, per_sequence, parameters: each copy gets ``per_sequence`` of the
            augmentations, drawn for it; names and parameters as in
            :meth:`degu.augment.Augmenter.from_config`. Noise is none of them: copies are one-hot.

    Raises:
        InputError: for augmentations that cannot be.
    """

    seed: int
    copies: int = COPIES
    augmentations: tuple[str, ...] = AUGMENTATIONS
    per_sequence: int = PER_SEQUENCE
    parameters: Mapping[str, Mapping[str, Any]] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "augmentations", tuple(self.augmentations))
        if "noise" in self.augmentations:
            raise InputError(
                "distillation.augmentations: noise makes sequences that are not one-hot, but "
                "copies are; leave it out."
            )
        if self.copies < 1:
            raise InputError(f"distillation.copies: {self.copies} copies are none to make.")
        self._augmenter()

    def _augmenter(self) -> Augmenter:
        try:
            return Augmenter.from_config(
                {
                    "augmentations": self.augmentations,
                    "parameters": dict(self.parameters or {}),
                    "per_batch": self.per_sequence,
                    "hard": True,
                    "each_sequence": True,
                }
            )
        except InputError as error:
            raise _in_own_words(error) from None

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the copies of a sequence, as JSON values."""
        return {
            "seed": self.seed,
            "copies": self.copies,
            "augmentations": list(self.augmentations),
            "per_sequence": self.per_sequence,
            "parameters": {k: dict(v) for k, v in (self.parameters or {}).items()},
        }

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The copier of some :attr:`settings`."""
        return cls(**settings)

    def copy(self, x: np.ndarray, number: int) -> np.ndarray:
        """One copy of each sequence.

        Args:
            x: (N, L, 4) one-hot; a copy depends on its row in it, and on no other row.
            number: of the copy, from 1 to K.

        Returns:
            (N, L) uint8, codes of :func:`degu.sequences.base_codes`.

        Raises:
            InputError: for sequences that are no batch, or shorter than an augmentation reaches.
        """
        augmenter = self._augmenter()
        codes = np.empty(x.shape[:2], np.uint8)
        grain = np.zeros((_GRAIN, *x.shape[1:]), np.float32)
        for k, start in enumerate(range(0, len(x), _GRAIN)):
            rows = slice(start, min(start + _GRAIN, len(x)))
            grain[: rows.stop - start] = x[rows]
            rng = np.random.default_rng([self.seed, number, k])
            try:
                augmented = augmenter(grain, rng)
            except InputError as error:
                raise _in_own_words(error) from None
            codes[rows] = base_codes(augmented[: rows.stop - start])
        return codes

    def labelled(self, x: np.ndarray, y: np.ndarray) -> Copies:
        """All copies of sequences (N, L, 4), with their labels (N, K, heads)."""
        codes = np.stack([self.copy(x, number) for number in range(1, self.copies + 1)])
        return Copies(codes, np.ascontiguousarray(np.moveaxis(y, 1, 0)))


def _in_own_words(error: InputError) -> InputError:
    """An error of an augmenter by the keys of the config's section ``distillation``."""
    text = str(error).replace("evoaug.per_batch", "evoaug.per_sequence")
    text = text.replace(" (which the moderate shift draws from as well)", "")
    return InputError(text.replace("evoaug.", "distillation."))


def write_labels(
    path: str | os.PathLike[str],
    mean: np.ndarray,
    std: np.ndarray,
    aleatoric: np.ndarray | None = None,
    *,
    heads: Heads,
    copier: Copier,
    dataset_sha256: str,
    **arm: object,
) -> None:
    """Write an ensemble's labels of the copies: ``y`` (N, K, heads).

    Means and then stds, and between them logarithms of aleatoric variances, if it predicts such.

    Numbers are rounded to 2⁻¹² of the spread of their column, or a std that is small to 2⁻⁸ of
    itself if that is less; no student can tell, and they take half the space.

    Args:
        path: the file to write.
        mean, std: (N, K, T) of the ensemble, std with ddof 0.
        aleatoric: (N, K, T), logarithm of its aleatoric variance; None without.
        heads: names of the columns, of a std student.
        copier: whose copies they are of.
        dataset_sha256: of the study's data set.
        arm: whose ensemble it is: JSON values.
    """
    labels = {"mean": mean, "aleatoric": aleatoric, "std": std}
    parts = [part for kind in heads.kinds if (part := labels[kind]) is not None]
    y = np.concatenate(parts, axis=-1, dtype=np.float32)
    with create_hdf5(path) as file:
        # Bytes of equal weight side by side compress better.
        write_array(file, "y", _rounded(y, heads), shuffle=True)
        file.attrs["heads"] = heads.to_json()
        file.attrs["dataset_sha256"] = dataset_sha256
        file.attrs["copies"] = json.dumps(copier.settings, sort_keys=True)
        file.attrs["arm"] = json.dumps(arm)


def _rounded(y: np.ndarray, heads: Heads) -> np.ndarray:
    rounded = np.empty(y.shape, np.float32)
    for column in range(len(heads)):
        own = y[..., column]
        step = np.exp2(_exponent(own.std(dtype=np.float64)) - _DIGITS)
        if column in range(len(heads))[heads.slice("std")]:
            step = np.minimum(step, np.exp2(_exponent(own) - _DIGITS_OF_STD))
        rounded[..., column] = np.rint(own / step) * step
    return rounded


def _exponent(size: Any) -> Any:
    """Of the largest power of two that is not above a size; of 0, a very small one."""
    tiny = float(np.finfo(np.float32).tiny)
    return np.floor(np.log2(np.maximum(np.asarray(size, np.float64), tiny)))


def read_labels(
    path: str | os.PathLike[str],
    *,
    uncertainty: str = "std",
    n: int | None = None,
    copier: Copier | None = None,
    dataset_sha256: str | None = None,
    **arm: object,
) -> tuple[np.ndarray, Heads]:
    """Labels of copies as a student learns them.

    Args:
        path: file of :func:`write_labels`.
        uncertainty: ``std``, or ``logvar`` for the logarithm of its square.
        n: how many sequences they must be of; None takes any number.
        copier: that must have made the copies; None takes any.
        dataset_sha256: of the data set that they must be of; None takes any.
        arm: whose ensemble it must be.

    Returns:
        (N, K, heads) float32, and the names of its columns.

    Raises:
        InputError: if the file is not whole, or not of these copies; names it.
    """
    with open_hdf5(path) as file:
        heads = Heads.from_json(file.attrs["heads"])
        y = read_array(file, "y", shape=(n, None, len(heads)), dtype_kind="f")
        said = json.loads(file.attrs["arm"])
        found = {"data set": file.attrs["dataset_sha256"], "copies": _json(file, "copies")}
        wanted = {"data set": dataset_sha256, "copies": copier and _plain(copier.settings)}
    for name, value in wanted.items():
        if value not in (None, found[name]):
            raise InputError(f"{path} holds labels of another {name}; {MAKE_AGAIN}.")
    for key, value in arm.items():
        if said.get(key, value) != value:
            raise InputError(
                f"{path} is of the ensemble with {key} {said[key]!r}, where {value!r} is needed; "
                f"{MAKE_AGAIN}."
            )
    columns = heads.slice("std")
    if not np.isfinite(y).all() or (y[..., columns] < 0).any():
        raise InputError(f"{path} has a value that is not finite, or a negative std; {MAKE_AGAIN}.")
    if uncertainty == "logvar":
        y[..., columns] = std_to_logvar(y[..., columns])
    return y, heads.of_members.with_epistemic(uncertainty)


def _json(file: h5py.File, key: str) -> Any:
    return json.loads(file.attrs[key])


def _plain(settings: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(settings))
