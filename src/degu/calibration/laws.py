"""Predictive laws: what a prediction claims of the measurement of a sequence, as a distribution.

Units are those of the target. A value that is missing (NaN) in a law gives NaN in whatever is asked
of this sequence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, Self

import numpy as np

from degu.calibration.library import scoring_rules
from degu.uncertainty import VARIANCE_FLOOR

STD_FLOOR = float(np.sqrt(VARIANCE_FLOOR))
"""Smallest std that a prediction is taken to have, in units of the target: a head that predicts a
std may come out at or below 0, where there is no density."""

_PAIRS = 1 << 20
"""Pairs of a mixture's components that are held in memory at once."""


class Law(Protocol):
    """A distribution of each of N sequences' measurement."""

    @property
    def location(self) -> np.ndarray:
        """The prediction itself, (N,): mean, or where there is none, median."""

    @property
    def std(self) -> np.ndarray:
        """Standard deviation (N,); NaN where there is no variance."""

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """Natural logarithm of the density at ``y``, (N,) to (N,)."""

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Probability of a value of at most ``y``, (N,) to (N,)."""

    def quantile(self, p: float) -> np.ndarray:
        """The value (N,) that is not exceeded with probability ``p``."""

    def interval(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """The central interval of probability ``level``: lower and upper ends, (N,) each."""

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Continuous ranked probability score ∫(F(x) − 1{x ≥ y})²dx, (N,); NaN where there is none.

        In units of the target; smaller is better (Gneiting & Raftery, JASA 102:359, 2007).
        """

    def scaled(self, factor: float | np.ndarray) -> Self:
        """The same law with its spread about the location times ``factor``, a number or (N,)."""

    def take(self, rows: np.ndarray) -> Self:
        """The law of some of the sequences: an index or a mask."""


def floored(std: np.ndarray, floor: float = STD_FLOOR) -> tuple[np.ndarray, int]:
    """Predicted stds, at least ``floor``, and how many were below it.

    Args:
        std: of any shape; NaN stays NaN and is not counted.
        floor: in units of the target.
    """
    std = np.asarray(std, np.float64)
    return np.maximum(std, floor), int(np.count_nonzero(std < floor))


class _Law(ABC):
    """What the laws have in common: their parameters are arrays whose last axis is N."""

    def __post_init__(self) -> None:
        names = [item.name for item in fields(self)]  # type: ignore[arg-type]
        arrays = [np.asarray(getattr(self, name), np.float64) for name in names]
        shape = max((array.shape for array in arrays), key=len)
        if len(shape) != self._axes or any(a.shape not in ((), shape) for a in arrays):
            given = ", ".join(f"{n} {a.shape}" for n, a in zip(names, arrays, strict=True))
            raise ValueError(f"{type(self).__name__} needs parameters of one shape, not {given}.")
        for name, array in zip(names, arrays, strict=True):
            if name in self._positive and (array <= 0).any():
                raise ValueError(f"{type(self).__name__} needs a positive {name}; see `floored`.")
            object.__setattr__(self, name, np.broadcast_to(array, shape))

    _axes = 1
    _positive: tuple[str, ...] = ("std", "stds", "scale", "df")

    def take(self, rows: np.ndarray) -> Self:
        changes = {item.name: getattr(self, item.name)[..., rows] for item in fields(self)}  # type: ignore[arg-type]
        return replace(self, **changes)  # type: ignore[type-var]

    def interval(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        lower, upper = central(level)
        return self.quantile(lower), self.quantile(upper)

    @abstractmethod
    def quantile(self, p: float) -> np.ndarray: ...

    def _values(self, y: np.ndarray) -> np.ndarray:
        """Measurements as float64; NumPy would broadcast those of another shape without a word."""
        y = np.asarray(y, np.float64)
        if y.shape != self.location.shape:  # type: ignore[attr-defined]
            raise ValueError(f"Measurements {y.shape} and {type(self).__name__} differ in shape.")
        return y


def central(level: float) -> tuple[float, float]:
    """The probabilities between which the central interval of ``level`` lies."""
    if not 0 < level < 1:
        raise ValueError(f"The level of an interval lies between 0 and 1, but is {level}.")
    return (1 - level) / 2, (1 + level) / 2


class _LocationScale(_Law):
    """Laws that SciPy has as a location and a scale."""

    @abstractmethod
    def _parameters(self) -> tuple[Any, dict[str, np.ndarray]]:
        """SciPy's distribution and its parameters."""

    def log_density(self, y: np.ndarray) -> np.ndarray:
        law, parameters = self._parameters()
        return law.logpdf(self._values(y), **parameters)

    def cdf(self, y: np.ndarray) -> np.ndarray:
        law, parameters = self._parameters()
        return law.cdf(self._values(y), **parameters)

    def quantile(self, p: float) -> np.ndarray:
        law, parameters = self._parameters()
        return law.ppf(p, **parameters)


@dataclass(frozen=True, eq=False)
class Gaussian(_LocationScale):
    """A normal law.

    Args:
        mean, std: (N,), or a number for all; ``std`` positive (:func:`floored`).
    """

    mean: np.ndarray
    std: np.ndarray

    @property
    def location(self) -> np.ndarray:
        return self.mean

    def _parameters(self) -> tuple[Any, dict[str, np.ndarray]]:
        from scipy import stats

        return stats.norm, {"loc": self.mean, "scale": self.std}

    def crps(self, y: np.ndarray) -> np.ndarray:
        return scoring_rules().crps_normal(self._values(y), self.mean, self.std, backend="numpy")

    def scaled(self, factor: float | np.ndarray) -> Gaussian:
        return Gaussian(self.mean, self.std * factor)


@dataclass(frozen=True, eq=False)
class Laplace(_LocationScale):
    """A Laplace law, of density exp(−abs(y − location)/scale) / (2 scale).

    Args:
        location, scale: (N,), or a number for all; ``scale`` positive.
    """

    location: np.ndarray
    scale: np.ndarray

    @property
    def std(self) -> np.ndarray:
        return np.sqrt(2) * self.scale

    def _parameters(self) -> tuple[Any, dict[str, np.ndarray]]:
        from scipy import stats

        return stats.laplace, {"loc": self.location, "scale": self.scale}

    def log_density(self, y: np.ndarray) -> np.ndarray:
        # SciPy takes the logarithm of a density that is 0 beyond some 745 scales.
        return -np.log(2 * self.scale) - np.abs(self._values(y) - self.location) / self.scale

    def crps(self, y: np.ndarray) -> np.ndarray:
        y = self._values(y)
        return scoring_rules().crps_laplace(y, self.location, self.scale, backend="numpy")

    def scaled(self, factor: float | np.ndarray) -> Laplace:
        return Laplace(self.location, self.scale * factor)


@dataclass(frozen=True, eq=False)
class Cauchy(_LocationScale):
    """A Cauchy law; it has neither mean nor variance.

    Args:
        location, scale: (N,), or a number for all: median, and half of the distance between the
            quartiles; ``scale`` positive.
    """

    location: np.ndarray
    scale: np.ndarray

    @property
    def std(self) -> np.ndarray:
        return np.full(self.location.shape, np.nan)

    def _parameters(self) -> tuple[Any, dict[str, np.ndarray]]:
        from scipy import stats

        return stats.cauchy, {"loc": self.location, "scale": self.scale}

    def crps(self, y: np.ndarray) -> np.ndarray:
        # The integral exists, although E|X − y|, by which other laws' closed forms go, does not.
        z = (self._values(y) - self.location) / self.scale
        half_log = np.log(np.hypot(1, z))  # ½ ln(1 + z²), where z² could overflow
        return self.scale * (2 / np.pi) * (z * np.arctan(z) - half_log + np.log(2))

    def scaled(self, factor: float | np.ndarray) -> Cauchy:
        return Cauchy(self.location, self.scale * factor)


@dataclass(frozen=True, eq=False)
class StudentT(_LocationScale):
    """Student's t, shifted and scaled; no variance for ``df`` ≤ 2, no mean and no CRPS for ≤ 1.

    Args:
        df, location, scale: (N,), or a number for all; ``df`` (degrees of freedom) and ``scale``
            positive.
    """

    df: np.ndarray
    location: np.ndarray
    scale: np.ndarray

    @property
    def std(self) -> np.ndarray:
        left = np.where(self.df > 2, self.df - 2, np.nan)
        return self.scale * np.sqrt(self.df / left)

    def _parameters(self) -> tuple[Any, dict[str, np.ndarray]]:
        from scipy import stats

        return stats.t, {"df": self.df, "loc": self.location, "scale": self.scale}

    def crps(self, y: np.ndarray) -> np.ndarray:
        df = np.where(self.df > 1, self.df, np.nan)
        y = self._values(y)
        return scoring_rules().crps_t(y, df, self.location, self.scale, backend="numpy")

    def scaled(self, factor: float | np.ndarray) -> StudentT:
        return StudentT(self.df, self.location, self.scale * factor)


@dataclass(frozen=True, eq=False)
class Mixture(_Law):
    """Normal laws of equal weight: what an ensemble of heteroscedastic members predicts.

    Args:
        means, stds: (M, N), member first; ``stds`` positive (:func:`floored`).
    """

    means: np.ndarray
    stds: np.ndarray

    _axes = 2

    @property
    def location(self) -> np.ndarray:
        return self.means.mean(axis=0)

    @property
    def std(self) -> np.ndarray:
        return np.sqrt(np.mean(self.stds**2, axis=0) + np.var(self.means, axis=0))

    def log_density(self, y: np.ndarray) -> np.ndarray:
        from scipy import special, stats

        each = stats.norm.logpdf(self._values(y), self.means, self.stds)
        return special.logsumexp(each, axis=0) - np.log(len(each))

    def cdf(self, y: np.ndarray) -> np.ndarray:
        from scipy import special

        return np.mean(special.ndtr((self._values(y) - self.means) / self.stds), axis=0)

    def quantile(self, p: float) -> np.ndarray:
        """By bisection, to 1e-8 of the std."""
        from scipy import stats

        ends = stats.norm.ppf(p, self.means, self.stds)
        lower, upper = ends.min(axis=0), ends.max(axis=0)
        if not 0 < p < 1:
            return lower
        with np.errstate(divide="ignore", invalid="ignore"):
            halvings = np.log2((upper - lower) / (1e-8 * self.std))
        for _ in range(int(np.ceil(np.nanmax(halvings, initial=0)))):
            middle = (lower + upper) / 2
            below = self.cdf(middle) < p
            lower, upper = np.where(below, middle, lower), np.where(below, upper, middle)
        return (lower + upper) / 2

    def crps(self, y: np.ndarray) -> np.ndarray:
        y = self._values(y)
        parts = [
            scoring_rules().crps_mixnorm(
                y[rows], self.means.T[rows], self.stds.T[rows], backend="numpy"
            )
            for rows in self._blocks()
        ]
        return np.concatenate(parts) if parts else y

    def _blocks(self) -> Iterator[slice]:
        members, n = self.means.shape
        step = max(1, _PAIRS // members**2)
        return (slice(start, start + step) for start in range(0, n, step))

    def scaled(self, factor: float | np.ndarray) -> Mixture:
        location = self.location
        return Mixture(location + (self.means - location) * factor, self.stds * factor)
