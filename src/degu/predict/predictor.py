"""One or more models from files, as one that predicts with an uncertainty."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from degu.errors import InputError

if TYPE_CHECKING:
    import keras

    from degu.calibration.laws import Law
    from degu.calibration.recalibration import Recalibration
    from degu.heads import Heads
    from degu.io.card import Card

INTERVALS = ("mondrian", "conformal", "isotonic", "scaling")
"""Recalibrations that an interval may be of (:mod:`degu.calibration.recalibration`)."""

EXPORT = "degu.json"
"""In the folder of an export: which of its files are what."""

_ROWS = 4096
"""Sequences that are made one-hot at once."""

_COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)


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


@dataclass(frozen=True)
class _Member:
    """A model, with what lies beside it.

    Attributes:
        path: of its file, whose SHA-256 is ``sha256``.
        model, card: of the file.
        recalibration: its own, if there is one; it lies at ``recalibration_path``.
    """

    path: Path
    sha256: str
    model: keras.Model
    card: Card
    recalibration: Recalibration | None = None
    recalibration_path: Path | None = None

    @property
    def heads(self) -> Heads:
        """Columns of :meth:`of_std`: mean, then aleatoric and std where the model has them."""
        from degu.heads import Heads

        own = self.card.heads
        epistemic = ("std",) if own.epistemic else ()
        return Heads(own.targets, ("mean", *_aleatoric(own), *epistemic))

    def of_std(self, raw: np.ndarray) -> np.ndarray:
        """The model's predictions (N, heads) with stds, floored, for log variances or stds."""
        from degu.calibration.laws import floored
        from degu.metrics import in_std_units

        heads, values = in_std_units(self.card.heads, raw)
        values = np.array(values[:, heads.indices(self.heads.kinds)], np.float64)
        if "std" in heads.kinds:
            columns = self.heads.slice("std")
            values[:, columns], _ = floored(values[:, columns])
        return values

    def interval(
        self, values: np.ndarray, target: int, name: str, level: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ends (N,) of a target's interval, from values (N, heads) of :meth:`of_std`."""
        from degu.calibration.evidence import Fitted

        own = self.recalibration
        assert own is not None
        fitted = Fitted(*(getattr(own, part)[target] for part in _REPAIRS))
        return fitted.interval(name, self._law(values, target), level)

    def _law(self, values: np.ndarray, target: int) -> Law:
        from degu.calibration.forms import with_std

        assert self.recalibration is not None
        residual = self.recalibration.aleatoric[target]
        laws = with_std(
            [{"": values}],
            self.heads,
            self.card.heads.targets[target],
            "",
            0.0 if residual is None else residual,
        )
        return laws[self.recalibration.variance]


_REPAIRS = ("scaling", "isotonic", "conformal", "mondrian")


class Predictor:
    """Models that predict together.

    Teachers: their mean and std (ddof 0). Students: mean, the root mean square of their stds, and
    intervals whose ends are the means of the students' own.

    Attributes:
        targets: names, T of them.
        length: bases of a sequence as the models take it, flanks of the assay included.
        flanks: constant bases at the left and right end of each sequence; empty where there are
            none.
        role: ``teacher`` or ``student``.
        models, cards: of each file.
        paths: of the files.
        sha256: of the models' files and recalibrations together, hexadecimal.
        has_std: whether there is an epistemic std: of students, and of two teachers or more.
        has_intervals: whether every model has a recalibration.
        batch_size: sequences that a model predicts at once; None is the workflow's.
    """

    def __init__(self, members: Sequence[_Member]) -> None:
        self._members = tuple(members)
        self.models = tuple(member.model for member in members)
        self.cards = tuple(member.card for member in members)
        self.paths = tuple(member.path for member in members)
        first = self.cards[0]
        self.targets: tuple[str, ...] = first.heads.targets
        self.length = int(members[0].model.input_shape[1])
        self.flanks: tuple[bytes, bytes] = _flanks(first)
        self.role = _role(first)
        of_students = first.heads.epistemic is not None
        self.has_std = of_students if self.role == "student" else len(members) > 1
        self.has_intervals = all(member.recalibration is not None for member in members)
        self.batch_size: int | None = None
        digest = hashlib.sha256()
        for member in members:
            digest.update(member.sha256.encode())
            if member.recalibration_path is not None:
                digest.update(member.recalibration_path.read_bytes())
        self.sha256 = digest.hexdigest()

    @classmethod
    def open(cls, paths: Sequence[str | os.PathLike[str]]) -> Predictor:
        """Models of files, of an arm's folder, or of an export (each of ``paths`` any of these).

        An export stands for its student. Of fine-tuned models, those before it are left out of a
        folder's.

        Raises:
            InputError: for teachers and students mixed; models of different targets, lengths or
                flanks; a file twice; a folder without models; names the file.
        """
        members: list[_Member] = []
        for path in paths:
            for file in _files(Path(path)):
                member = _open(file)
                for other in members:
                    _check_together(other, member)
                members.append(member)
        if not members:
            raise InputError("There is no model to predict with; name a file or a folder of them.")
        return cls(members)

    def other_strand(self, codes: np.ndarray) -> np.ndarray:
        """Reverse complements of sequences (N, length) of which the flanks stay as they are."""
        codes = np.array(codes)
        left, right = map(len, self.flanks)
        inner = slice(left, codes.shape[1] - right)
        codes[:, inner] = _COMPLEMENT[codes[:, inner]][:, ::-1]
        return codes

    def members(
        self, codes: np.ndarray, *, both_strands: bool = False
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Activities and stds of each model.

        Args:
            codes: (N, length) uint8, index in ACGTN (:func:`degu.sequences.letter_codes`).
            both_strands: as :meth:`estimate` has it.

        Returns:
            (M, N, T) float64 each; None in place of stds where models predict none.
        """
        return self._of_kinds(self._values(codes, both_strands))

    def estimate(
        self,
        codes: np.ndarray,
        *,
        both_strands: bool = False,
        levels: Sequence[float] = (),
        interval: str = "mondrian",
    ) -> Estimate:
        """Predict sequences (N, length) uint8, at the given levels with an interval each.

        With both strands, each model's activities and variances are those of the sequence and of
        its reverse complement (of which the flanks stay as they are) before models are averaged:
        means of the two activities, of the two stds, and of the two aleatoric variances.

        Args:
            codes: as in :meth:`members`.
            both_strands: whether the other strand is predicted too.
            levels: of intervals, each between 0 and 1.
            interval: one of :data:`INTERVALS`.
        """
        values = self._values(codes, both_strands)
        means, stds = self._of_kinds(values)
        std = None
        if stds is not None:
            std = np.sqrt(np.mean(np.square(stds), axis=0))
        elif self.has_std:
            std = means.std(axis=0)
        intervals: dict[float, tuple[np.ndarray, np.ndarray]] = {}
        for level in levels if self.has_intervals else ():
            ends = [
                [m.interval(own, t, interval, level) for t in range(len(self.targets))]
                for m, own in zip(self._members, values, strict=True)
            ]
            # (M, T, 2, N) to two of (N, T)
            lower, upper = np.mean(ends, axis=0).transpose(1, 2, 0)
            intervals[level] = lower, upper
        return Estimate(means.mean(axis=0), std, intervals)

    def _values(self, codes: np.ndarray, both_strands: bool) -> list[np.ndarray]:
        """What each model predicts, (N, heads) float64, columns by :attr:`_Member.heads`."""
        from degu.training.batches import PREDICT_BATCH_SIZE, predict
        from degu.uncertainty import aleatoric_variance

        if not len(codes):
            return [np.empty((0, len(member.heads))) for member in self._members]
        strands = [codes, self.other_strand(codes)] if both_strands else [codes]
        predicted: list[list[np.ndarray]] = [[] for _ in self._members]
        for strand in strands:
            x = _one_hot(strand)
            for member, own in zip(self._members, predicted, strict=True):
                raw = predict(member.model, x, self.batch_size or PREDICT_BATCH_SIZE)
                if not np.isfinite(raw).all():
                    raise InputError(
                        f"{member.path} predicts values that are not finite; train it again."
                    )
                own.append(member.of_std(raw))
        values = []
        for member, own in zip(self._members, predicted, strict=True):
            mean = own[0]
            if both_strands:
                mean = np.mean(own, axis=0)
                if "aleatoric" in member.heads.kinds:
                    columns = member.heads.slice("aleatoric")
                    variances = [aleatoric_variance(strand[:, columns]) for strand in own]
                    mean[:, columns] = np.log(np.mean(variances, axis=0))
            values.append(mean)
        return values

    def _of_kinds(self, values: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        def of(kind: str) -> np.ndarray:
            pairs = zip(self._members, values, strict=True)
            return np.stack([own[:, m.heads.slice(kind)] for m, own in pairs])

        has = self.role == "student" and self.has_std
        return of("mean"), of("std") if has else None


def _one_hot(codes: np.ndarray) -> np.ndarray:
    """Sequences (N, L, 4) uint8; at once it would take 8 bytes a base on the way."""
    from degu.sequences import from_codes

    x = np.empty((*codes.shape, 4), np.uint8)
    for start in range(0, len(codes), _ROWS):
        x[start : start + _ROWS] = from_codes(codes[start : start + _ROWS])
    return x


def _aleatoric(heads: Heads) -> tuple[str, ...]:
    return ("aleatoric",) if "aleatoric" in heads.kinds else ()


def _flanks(card: Card) -> tuple[bytes, bytes]:
    left, right = getattr(card, "flanks", ("", ""))
    return left.encode(errors="replace"), right.encode(errors="replace")


def _role(card: Card) -> str:
    """``student`` of whoever has learned from an ensemble; ``teacher`` of whoever from an assay."""
    return "student" if card.role.endswith("student") else "teacher"


def _files(path: Path) -> Iterator[Path]:
    """Model files that a path stands for."""
    if not path.is_dir():
        yield path
    elif (path / EXPORT).exists():
        yield _exported(path)
    else:
        found = sorted(filter(_is_model, path.glob("*.h5")), key=_by_number)
        # What a model was before its fine-tuning lies beside it.
        found = [file for file in found if not re.match(r"\d+_.+_aug$", file.stem)]
        if not found:
            raise InputError(
                f"{path} holds no models; name a folder of them, such as "
                "results/my_assay/standard/downsample_1/students/n10/std, or a file."
            )
        yield from found


def _by_number(path: Path) -> tuple[int, str]:
    number = re.match(r"\d+", path.name)
    return int(number[0]) if number else 0, path.name


def _is_model(path: Path) -> bool:
    """Whether an HDF5 file holds a model, and not a member's predictions."""
    from degu.io.card import PREFIX
    from degu.io.hdf5 import open_hdf5

    with open_hdf5(path) as file:
        return "model_config" in file.attrs and f"{PREFIX}heads" in file.attrs


def _exported(folder: Path) -> Path:
    """The student of an export."""
    path = folder / EXPORT
    try:
        content = json.loads(path.read_bytes()[: 1 << 20])
        version, name = content["format"], content["student"]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        version = name = None
    if version != 1 or not isinstance(name, str):
        raise InputError(f"{path} is no description of an export that this version knows.")
    student = folder / name
    # A file from elsewhere must not make us read others.
    if not student.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path} names a file outside of its folder ({name}).")
    return student


def _open(path: Path) -> _Member:
    from degu.models.files import load_model

    model, card = load_model(path)
    shape, heads = model.input_shape, card.heads
    if not (isinstance(shape, tuple) and len(shape) == 3 and shape[1] and shape[2] == 4):
        raise InputError(
            f"{path} takes inputs of shape {shape}, and not sequences of one length, one-hot."
        )
    if model.output_shape != (None, len(heads)):
        raise InputError(
            f"{path} predicts {model.output_shape}, which is not a number for each of "
            f"{', '.join(heads.columns)}."
        )
    left, right = _flanks(card)
    if set(left + right) - set(b"ACGT") or len(left + right) >= shape[1]:
        raise InputError(
            f"{path} has flanks {left.decode()} and {right.decode()}, which are not bases at both "
            f"ends of {shape[1]}."
        )
    if "mean" not in heads.kinds:
        raise InputError(f"{path} predicts no activity, only {', '.join(heads.columns)}.")
    with open(path, "rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    beside = _recalibration_path(path, card) if heads.epistemic else None
    recalibration = None if beside is None else _recalibration(beside, path, card, sha256)
    return _Member(path, sha256, model, card, recalibration, beside)


def _recalibration_path(path: Path, card: Card) -> Path | None:
    """Where the recalibration of a model lies: see :class:`degu.study.layout.Layout`."""
    names = [path.stem]
    if number := re.match(r"(\d+)_", path.stem):
        names.append("_".join(filter(None, [number[1], card.variant])))
    beside = (path.with_name(f"{name}_recalibration.json") for name in names)
    return next((file for file in beside if file.exists()), None)


def _recalibration(path: Path, model: Path, card: Card, sha256: str) -> Recalibration:
    from degu.calibration.forms import own_aleatoric
    from degu.calibration.laws import STD_FLOOR
    from degu.calibration.recalibration import Recalibration

    own = Recalibration.read(path)
    wrong = None
    if own.model_sha256 != sha256 or own.targets != card.heads.targets:
        wrong = f"was fitted for another model than {model.name}"
    elif own.std_floor != STD_FLOOR:
        wrong = f"was fitted with a smallest std of {own.std_floor}, where this version has another"
    elif own.variance != "epistemic" and not own_aleatoric(card.heads) and None in own.aleatoric:
        wrong = "lacks an aleatoric variance, which its model does not predict"
    if wrong is not None:
        raise InputError(
            f"{path} {wrong}; make it again, or move it away to predict without intervals."
        )
    return own


def _check_together(first: _Member, other: _Member) -> None:
    """Refuse two models that do not predict the same of the same sequences."""
    a, b = first.card, other.card
    if first.sha256 == other.sha256:
        where = "" if first.path == other.path else f" (as {first.path})"
        raise InputError(f"{other.path} is given twice{where}; name each model once.")
    pairs = {
        "is a {1}, but {0} a {2}; predict with teachers or with students": (_role(a), _role(b)),
        "has targets {1}, but {0} has {2}": (a.heads.targets, b.heads.targets),
        "takes sequences of {1} bases, but {0} of {2}": (
            first.model.input_shape[1],
            other.model.input_shape[1],
        ),
        "has flanks {1}, but {0} has {2}": (_flanks(a), _flanks(b)),
        "is a student {1} uncertainty, but {0} one {2}": (_epistemic(a), _epistemic(b)),
    }
    for words, (one, two) in pairs.items():
        if one != two:
            text = (", ".join(map(str, v)) if isinstance(v, tuple) else v for v in (two, one))
            raise InputError(f"{other.path} {words.format(first.path, *text)}.")
    _check_arm(first, other)


def _check_arm(first: _Member, other: _Member) -> None:
    """Refuse models of one folder that are not members of one ensemble."""
    if first.path.parent == other.path.parent and first.card.variant != other.card.variant:
        raise InputError(
            f"{other.path.parent} holds models of variants {first.card.variant} and "
            f"{other.card.variant}; name the files of one."
        )


def _epistemic(card: Card) -> Any:
    return "with" if card.heads.epistemic else "without"
