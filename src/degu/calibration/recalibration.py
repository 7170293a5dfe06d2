"""Repairs of a predictive law, each fitted on validation sequences alone.

Early stopping of the model has used the same sequences, which the fits do not know.

=================  =============================================================
variance scaling   all stds times one number
isotonic           a monotone map of F(y), the law's own probabilities
conformal          μ ± σ · a quantile of abs(y − μ)/σ: covers whatever the model
Mondrian           conformal within bins of predicted activity
=================  =============================================================
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np

from degu.calibration.laws import Law, central
from degu.errors import InputError
from degu.io.files import MAKE_AGAIN, atomic_path

VARIANCES = ("epistemic", "aleatoric", "total")
"""Which variance of a model a law is of."""

FORMAT = 1
"""Of files of :class:`Recalibration`."""

_KNOTS = 1000
"""Most points of an isotonic map that are kept."""

_LARGEST = 1 << 28
"""Bytes of a file that are read at most."""


def residual_variance(
    location: np.ndarray, y: np.ndarray, epistemic_variance: np.ndarray | float = 0.0
) -> float:
    """Variance of the measurements that the epistemic one leaves open, one number for all.

    Mean square of y − prediction, so that bias counts, less the mean epistemic variance, and not
    below 0.

    Args:
        location: predictions of validation sequences (n,).
        y: their measurements (n,).
        epistemic_variance: (n,), or a number for all, squared units of the target.
    """
    square = np.mean(np.square(_finite("errors", np.subtract(y, location))))
    return float(max(square - np.mean(epistemic_variance, dtype=np.float64), 0.0))


def variance_scaling(law: Law, y: np.ndarray) -> float:
    """What all stds are to be multiplied by: the root of the mean of ((y − μ)/σ)².

    Levi et al., Sensors 22:5540, 2022. Of a law without a variance for some sequence (Cauchy;
    Student's t with ``df`` ≤ 2), the factor of greatest likelihood.

    Args:
        law: of n validation sequences.
        y: their measurements (n,).

    Raises:
        ValueError: if there are no values, or some are not finite.
    """
    error = _finite("errors", y - law.location)
    std = law.std
    if not np.isnan(std).any():
        return float(np.sqrt(np.mean((error / std) ** 2)))
    from scipy import optimize

    best = optimize.minimize_scalar(
        lambda logarithm: -np.mean(law.scaled(math.exp(logarithm)).log_density(y)),
        bounds=(-20, 20),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return math.exp(best.x)


def _finite(what: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"A recalibration is fitted on finite {what} (n,), at least one.")
    return values


class _ByValue:
    """Equality of dataclasses that hold arrays."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))  # type: ignore[arg-type]
        return all(np.array_equal(a, b) for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class Isotonic(_ByValue):
    """A monotone map of a law's probabilities to those observed (Kuleshov et al., ICML 2018).

    Between the knots it is linear; from 0 to the first and from the last to 1 too, since a
    measurement beyond all n of validation is possible (with probability 1/(n + 1) on either side).

    Attributes:
        scaling: factor that the law's spread is multiplied by before (:func:`variance_scaling`), so
            that probabilities of a law that is much too narrow do not all round to 0 and 1.
        law: probabilities of the scaled law, sorted, from 0 to 1.
        observed: what they are mapped to, strictly rising from 0 to 1.
    """

    scaling: float
    law: np.ndarray
    observed: np.ndarray

    @classmethod
    def fit(cls, law: Law, y: np.ndarray) -> Isotonic:
        """From the law of n validation sequences and their measurements (n,)."""
        scaling = variance_scaling(law, y)
        values = np.sort(_finite("probabilities", law.scaled(scaling).cdf(y)))
        knots = np.unique(values)
        if len(knots) > _KNOTS:
            knots = knots[np.linspace(0, len(knots) - 1, _KNOTS).round().astype(int)]
        # Shares of a sample rise by themselves: isotonic regression would leave them as they are.
        observed = np.searchsorted(values, knots, side="right") / (len(values) + 1)
        return cls(
            scaling,
            np.concatenate([[0.0], knots, [1.0]]),
            np.concatenate([[0.0], observed, [1.0]]),
        )

    def quantile(self, law: Law, p: float) -> np.ndarray:
        """The recalibrated law's quantile of probability ``p``, (N,)."""
        return law.scaled(self.scaling).quantile(float(np.interp(p, self.observed, self.law)))

    def interval(self, law: Law, level: float) -> tuple[np.ndarray, np.ndarray]:
        """The recalibrated law's central interval: lower and upper ends, (N,) each."""
        lower, upper = central(level)
        return self.quantile(law, lower), self.quantile(law, upper)

    def cdf(self, law: Law, y: np.ndarray) -> np.ndarray:
        """The recalibrated law's probability of a value of at most ``y``, (N,)."""
        return np.interp(law.scaled(self.scaling).cdf(y), self.law, self.observed)


def rank_of_level(n: int, level: float) -> int:
    """⌈(n + 1) · level⌉, with the level as it is written: 0.55 of 100 is 55 and not 56."""
    if not 0 < level < 1:
        raise ValueError(f"The level of an interval lies between 0 and 1, but is {level}.")
    return math.ceil((n + 1) * Fraction(str(level)))


@dataclass(frozen=True, eq=False)
class Conformal(_ByValue):
    """Split conformal intervals, normalised by a std (Lei et al., JASA 113:1094, 2018).

    Coverage of a new sequence is at least the level if it is exchangeable with those of validation,
    whatever the model.

    Attributes:
        scores: abs(y − prediction)/σ of the validation sequences, sorted, (n,) float32, rounded up
            so that none of them is left outside of its own interval.
    """

    scores: np.ndarray

    @classmethod
    def fit(cls, location: np.ndarray, sigma: np.ndarray | float, y: np.ndarray) -> Conformal:
        """From predictions, their stds (positive; a number for all) and measurements, (n,) each."""
        location, sigma, y = _of_one_shape(location, sigma, y)
        exact = np.sort(_finite("scores", np.abs(y - location) / sigma))
        with np.errstate(over="ignore"):
            scores = exact.astype(np.float32)
        scores = np.where(scores < exact, np.nextafter(scores, np.float32(np.inf)), scores)
        return cls(_finite("scores", scores).astype(np.float32))

    def half_width(self, level: float) -> float:
        """The ⌈(n + 1) · level⌉-th smallest score; inf if the level wants more sequences."""
        rank = rank_of_level(len(self.scores), level)
        return float(self.scores[rank - 1]) if rank <= len(self.scores) else math.inf

    def interval(
        self, location: np.ndarray, sigma: np.ndarray | float, level: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends, (N,) each; infinite if the level wants more sequences."""
        half = np.asarray(sigma, np.float64) * self.half_width(level)
        location = np.asarray(location, np.float64)
        return location - half, location + half


def _of_one_shape(location: Any, sigma: Any, y: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    location, sigma, y = (np.asarray(values, np.float64) for values in (location, sigma, y))
    if location.shape != y.shape or sigma.shape not in ((), y.shape):
        raise ValueError(f"Shapes differ: {location.shape}, {sigma.shape} and {y.shape}.")
    if not (sigma > 0).all():
        raise ValueError(
            "Conformal scores need positive stds; see `degu.calibration.laws.floored`."
        )
    return location, np.broadcast_to(sigma, y.shape), y


@dataclass(frozen=True, eq=False)
class Mondrian(_ByValue):
    """Conformal intervals within bins of the prediction (Vovk et al. 2005, chapter 4).

    For a level that wants more validation sequences than a bin has, the smallest bin is merged with
    its smaller neighbour (the lower one of equals), again and again until none is too small.

    Attributes:
        edges: between the bins, rising, (bins − 1,): quantiles of validation predictions. The
            outer bins reach to infinity; an edge is in the bin above it.
        parts: conformal intervals of each bin.
    """

    edges: np.ndarray
    parts: tuple[Conformal, ...]

    @classmethod
    def fit(
        cls, location: np.ndarray, sigma: np.ndarray | float, y: np.ndarray, bins: int = 4
    ) -> Mondrian:
        """From predictions, their stds (positive; a number for all) and measurements, (n,) each.

        Equal predictions are of one bin, so that there may be fewer than ``bins``.
        """
        location, sigma, y = _of_one_shape(location, sigma, y)
        edges = np.quantile(_finite("predictions", location), np.linspace(0, 1, bins + 1)[1:-1])
        # Of tied predictions a bin may be empty: what is left are the lower edges of the others.
        edges = edges[np.unique(np.searchsorted(edges, location, side="right"))[1:] - 1]
        own = np.searchsorted(edges, location, side="right")
        parts = [
            Conformal.fit(location[own == one], sigma[own == one], y[own == one])
            for one in range(len(edges) + 1)
        ]
        return cls(edges, tuple(parts))

    def bin(self, location: np.ndarray) -> np.ndarray:
        """Bin of each prediction, (N,) integers from 0."""
        return np.searchsorted(self.edges, np.asarray(location, np.float64), side="right")

    def merged(self, level: float) -> tuple[tuple[int, ...], ...]:
        """Bins that have one half-width at this level, in order; all that are alone fit it."""
        groups: list[tuple[tuple[int, ...], int]] = [
            ((one,), len(part.scores)) for one, part in enumerate(self.parts)
        ]
        while len(groups) > 1:
            sizes = [size for _, size in groups]
            small = int(np.argmin(sizes))
            if rank_of_level(sizes[small], level) <= sizes[small]:
                break
            beside = [i for i in (small - 1, small + 1) if 0 <= i < len(groups)]
            first = min(small, min(beside, key=lambda i: sizes[i]))
            (a, n), (b, m) = groups[first : first + 2]
            groups[first : first + 2] = [(a + b, n + m)]
        return tuple(own for own, _ in groups)

    def half_widths(self, level: float) -> np.ndarray:
        """Half-width of each bin in units of σ, (bins,); inf if the level wants more sequences."""
        widths = np.empty(len(self.parts))
        for own in self.merged(level):
            scores = np.sort(np.concatenate([self.parts[one].scores for one in own]))
            widths[list(own)] = Conformal(scores).half_width(level)
        return widths

    def interval(
        self, location: np.ndarray, sigma: np.ndarray | float, level: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends, (N,) each; infinite if the level wants more sequences."""
        location = np.asarray(location, np.float64)
        half = np.asarray(sigma, np.float64) * self.half_widths(level)[self.bin(location)]
        return location - half, location + half


@dataclass(frozen=True, eq=False)
class Recalibration(_ByValue):
    """What one model's predictions are repaired by, and what it was fitted on: a card.

    Attributes:
        targets: names, in the order of all that follows.
        variance: whose std normalises and is scaled: ``total``, ``epistemic`` or ``aleatoric``.
        n_validation: validation sequences that it was fitted on; a target may have fewer.
        aleatoric: variance that is added to each epistemic one, a number for each target; None
            where the model predicts its own, or where none is added.
        std_floor: smallest std, in units of the target (:func:`degu.calibration.laws.floored`).
        scaling, isotonic, conformal, mondrian: the repairs of each target.
        model_sha256, dataset_sha256: of the model's file, and of the data set's content.
    """

    targets: tuple[str, ...]
    variance: str
    n_validation: int
    aleatoric: tuple[float | None, ...]
    std_floor: float
    scaling: tuple[float, ...]
    isotonic: tuple[Isotonic, ...]
    conformal: tuple[Conformal, ...]
    mondrian: tuple[Mondrian, ...]
    model_sha256: str
    dataset_sha256: str

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file, whole or not at all; it reads back exactly."""
        content = self._content()
        try:
            _parse(content)
        except _Malformed as error:
            raise ValueError(f"This recalibration {error}.") from error
        content["sha256"] = _digest(content)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Recalibration:
        """Read what :meth:`write` has written.

        A file that a person has taken the ``sha256`` out of is read for what it holds.

        Raises:
            InputError: if it is missing, no such file, or not as it was written; names the file.
        """
        try:
            if os.path.getsize(path) > _LARGEST:
                raise _Malformed("is too large")
            with open(path, "rb") as stream:
                text = stream.read(_LARGEST).decode()
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror}); check the path."
            ) from error
        except ValueError as error:
            raise _refused(path, error) from error
        try:
            content = json.loads(
                text, object_pairs_hook=_without_twins, parse_constant=_no_constant
            )
            if isinstance(content, dict) and "sha256" in content:
                digest = content.pop("sha256")
                if digest != _digest(content):
                    raise _Malformed("is not as it was written: its SHA-256 differs")
            return _parse(content)
        except (ValueError, OverflowError, RecursionError) as error:
            raise _refused(path, error) from error

    def _content(self) -> dict[str, Any]:
        """As JSON has it."""
        each = zip(
            *(self.targets, self.aleatoric, self.scaling),
            *(self.isotonic, self.conformal, self.mondrian),
            strict=True,
        )
        return {
            "format": FORMAT,
            "model_sha256": self.model_sha256,
            "dataset_sha256": self.dataset_sha256,
            "variance": self.variance,
            "n_validation": self.n_validation,
            "std_floor": self.std_floor,
            "targets": [
                {
                    "name": name,
                    "aleatoric_variance": aleatoric,
                    "scaling": scaling,
                    "isotonic": {
                        "scaling": isotonic.scaling,
                        "law": isotonic.law.tolist(),
                        "observed": isotonic.observed.tolist(),
                    },
                    "conformal": {"scores": _short(conformal.scores)},
                    "mondrian": {
                        "edges": mondrian.edges.tolist(),
                        "scores": [_short(part.scores) for part in mondrian.parts],
                    },
                }
                for name, aleatoric, scaling, isotonic, conformal, mondrian in each
            ],
        }


class _Malformed(ValueError):
    """What is wrong with a file, to follow its name."""


def _refused(path: object, error: Exception) -> InputError:
    reason = str(error) if isinstance(error, _Malformed) else f"is no JSON ({type(error).__name__})"
    return InputError(f"{path} {reason}; {MAKE_AGAIN}.")


def _short(scores: np.ndarray) -> list[float]:
    """The shortest decimals that name the float32 numbers."""
    return [float(str(score)) for score in scores]


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise _Malformed("has a key twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise _Malformed(f"holds {name}, where a finite number is needed")


_SHA256 = {"type": "string", "pattern": r"^[0-9a-f]{64}\Z"}
_POSITIVE = {"type": "number", "exclusiveMinimum": 0}


def _object(**properties: Any) -> dict[str, Any]:
    """Schema of an object that has these keys and no others."""
    keys = {"properties": properties, "required": list(properties)}
    return {"type": "object", **keys, "additionalProperties": False}


_SCHEMA = _object(
    format={"const": FORMAT},
    model_sha256=_SHA256,
    dataset_sha256=_SHA256,
    variance={"enum": list(VARIANCES)},
    n_validation={"type": "integer", "minimum": 1},
    std_floor=_POSITIVE,
    targets={
        "type": "array",
        "minItems": 1,
        "items": _object(
            name={"type": "string", "minLength": 1},
            aleatoric_variance={"type": ["number", "null"], "minimum": 0},
            scaling=_POSITIVE,
            isotonic=_object(scaling=_POSITIVE, law={"type": "array"}, observed={"type": "array"}),
            conformal=_object(scores={"type": "array"}),
            mondrian=_object(
                edges={"type": "array"}, scores={"type": "array", "items": {"type": "array"}}
            ),
        ),
    },
)
"""Of the file, but for long lists of numbers, which :func:`_numbers` looks at."""


def _parse(content: Any) -> Recalibration:
    """The object of a file's content, all of which is checked."""
    import jsonschema

    for error in jsonschema.Draft202012Validator(_SCHEMA).iter_errors(content):
        where = "/".join(map(str, error.absolute_path)) or "its whole"
        what = "keys" if error.validator in ("required", "additionalProperties") else "value"
        raise _Malformed(f"is no recalibration that this version knows (wrong {what} in {where})")
    n, targets = int(content["n_validation"]), content["targets"]
    names = tuple(target["name"] for target in targets)
    if len(set(names)) < len(names):
        raise _Malformed("has a target twice")
    return Recalibration(
        targets=names,
        variance=content["variance"],
        n_validation=n,
        aleatoric=tuple(
            None if (value := target["aleatoric_variance"]) is None else _number(value)
            for target in targets
        ),
        std_floor=_number(content["std_floor"]),
        scaling=tuple(_number(target["scaling"]) for target in targets),
        isotonic=tuple(_isotonic(target["isotonic"]) for target in targets),
        conformal=tuple(_conformal(target["conformal"]["scores"], n) for target in targets),
        mondrian=tuple(_mondrian(target["mondrian"], n) for target in targets),
        model_sha256=content["model_sha256"],
        dataset_sha256=content["dataset_sha256"],
    )


def _number(value: float) -> float:
    return float(_numbers([value])[0])


def _numbers(values: list[Any]) -> np.ndarray:
    """A list of finite numbers, (n,) float64."""
    if not all(type(value) in (int, float) for value in values):
        raise _Malformed("holds something else where a number is needed")
    numbers = np.array([float(value) for value in values])
    if not np.isfinite(numbers).all():
        raise _Malformed("holds a number that is too large")
    return numbers


def _isotonic(part: dict[str, Any]) -> Isotonic:
    law, observed = _numbers(part["law"]), _numbers(part["observed"])
    ends = all(len(v) > 1 and v[0] == 0 and v[-1] == 1 for v in (law, observed))
    if not ends or len(law) != len(observed):
        raise _Malformed("has an isotonic map that does not go from 0 to 1")
    if (np.diff(law) < 0).any() or (np.diff(observed) <= 0).any():
        raise _Malformed("has an isotonic map that is not monotone")
    return Isotonic(_number(part["scaling"]), law, observed)


def _conformal(values: list[Any], n: int) -> Conformal:
    with np.errstate(over="ignore"):
        scores = _numbers(values).astype(np.float32)
    if not 1 <= len(scores) <= n or not np.isfinite(scores).all():
        raise _Malformed(f"needs between 1 and {n} conformal scores that float32 can hold")
    if scores[0] < 0 or (np.diff(scores) < 0).any():
        raise _Malformed("has conformal scores that are negative or not sorted")
    return Conformal(scores)


def _mondrian(part: dict[str, Any], n: int) -> Mondrian:
    edges = _numbers(part["edges"])
    parts = tuple(_conformal(scores, n) for scores in part["scores"])
    if len(parts) != len(edges) + 1 or sum(len(one.scores) for one in parts) > n:
        raise _Malformed("has bins that do not fit its edges or its number of sequences")
    if (np.diff(edges) <= 0).any():
        raise _Malformed("has edges of bins that do not rise")
    return Mondrian(edges, parts)
