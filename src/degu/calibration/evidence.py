"""What speaks for and against the predicted laws of one model: every score, with its bounds.

Three questions are kept apart. *Fidelity*: is a student's uncertainty that of its ensemble?
*Calibration*: do measurements lie where the law says, before and after a recalibration that is
fitted on validation sequences alone? *Usefulness*: does it know which predictions are wrong, and
which sequences are strange? Bounds are those of a bootstrap that draws the same test sequences for
all models (:class:`degu.calibration.bootstrap.Resamples`), so that differences have bounds too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from degu.calibration import resampled, scores
from degu.calibration.bootstrap import Resamples, bounds
from degu.calibration.laws import Law
from degu.calibration.recalibration import Conformal, Isotonic, Mondrian, variance_scaling
from degu.metrics import partial_correlation, pearson, spearman, squared_error

RECALIBRATIONS = ("none", "scaling", "isotonic", "conformal", "mondrian")
BINS = 4
"""Quarters of predicted activity, with edges from validation predictions."""
BIN_LEVELS = (0.9, 0.95)
"""Levels at which the quarters are looked at one by one."""
ONE_SIGMA = 0.6826894921370859
"""Probability of a Gaussian within a standard deviation of its mean."""


@dataclass(frozen=True)
class Score:
    """A number: columns of ``uncertainty_summary.csv`` without those that say whose it is.

    ``draws`` are its values on the resampled sequences, where it has bounds.
    """

    metric: str
    value: float
    variance: str | None = None
    recalibration: str | None = None
    level: float | None = None
    bin: int | None = None
    shift: str | None = None
    head: str = "mean"
    draws: np.ndarray | None = None

    @property
    def row(self) -> dict[str, Any]:
        """Its columns; ``lower`` and ``upper`` bound 95% of the resampled values."""
        own = {k: v for k, v in vars(self).items() if k != "draws" and v is not None}
        if self.draws is None or not len(self.draws):
            return own
        lower, upper = bounds(self.draws)
        return own | {"lower": lower, "upper": upper}


@dataclass(frozen=True)
class Curve:
    """Points of a curve of one model, for figures.

    ``curve`` is ``quantiles`` (nominal and observed share below), ``pit`` (middle of a bin and
    density), ``sparsification`` or ``oracle`` (share left out, and mean error of the rest over that
    of all).
    """

    curve: str
    x: np.ndarray
    y: np.ndarray
    variance: str
    recalibration: str = "none"


Evidence = Iterator[Score | Curve]


@dataclass(frozen=True)
class _Mean:
    """A score that is the mean of one of sequences, until draws are made of all at once.

    ``of`` makes it from its metric, value and draws; ``bin`` is the quarter that it is of.
    """

    of: Callable[..., Score]
    metric: str
    values: np.ndarray
    bin: int | None = None


def spread(law: Law) -> np.ndarray:
    """A law's width (N,): its std, or half its central 68.3% where it has none (Cauchy).

    The two are equal for a Gaussian.
    """
    std = np.asarray(law.std)
    if np.isfinite(std).all():
        return std
    lower, upper = law.interval(ONE_SIGMA)
    return (upper - lower) / 2


@dataclass(frozen=True)
class Fitted:
    """The recalibrations of a law, fitted on validation sequences.

    Attributes:
        scaling: factor of the spread.
        isotonic: monotone map of the law's distribution function.
        conformal, mondrian: half-widths in units of :func:`spread`.
    """

    scaling: float
    isotonic: Isotonic
    conformal: Conformal
    mondrian: Mondrian

    @classmethod
    def of(cls, law: Law, y: np.ndarray) -> Fitted:
        """Fit on the law and the measurements (N,) of validation sequences."""
        location, sigma = law.location, spread(law)
        return cls(
            variance_scaling(law, y),
            Isotonic.fit(law, y),
            Conformal.fit(location, sigma, y),
            Mondrian.fit(location, sigma, y, bins=BINS),
        )

    def interval(self, name: str, law: Law, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Ends (N,) of the intervals of other sequences, by a recalibration's name."""
        if name in ("none", "scaling"):
            return self._scaled(name, law).interval(level)
        if name == "isotonic":
            return self.isotonic.interval(law, level)
        fitted = self.conformal if name == "conformal" else self.mondrian
        return fitted.interval(law.location, spread(law), level)

    def pit(self, name: str, law: Law, y: np.ndarray) -> np.ndarray:
        """F(y), (N,), by ``none``, ``scaling`` or ``isotonic``; the others are intervals alone."""
        if name == "isotonic":
            return self.isotonic.cdf(law, y)
        return scores.pit(self._scaled(name, law), y)

    def _scaled(self, name: str, law: Law) -> Law:
        return law.scaled(self.scaling) if name == "scaling" else law


def calibration(
    variance: str,
    laws: Mapping[str, Law],
    y: Mapping[str, np.ndarray],
    resamples: Resamples,
    *,
    seed: int = 0,
) -> Evidence:
    """Scores of a law against the measurements, before and after each recalibration.

    Args:
        variance: ``epistemic``, ``aleatoric`` or ``total``: what the law's spread is.
        laws: of one model and target, for ``Val`` and ``Test``.
        y: the measurements (N,), likewise.
        resamples: of Test.
        seed: of the simulation that ENCE is held against.
    """
    fitted = Fitted.of(laws["Val"], y["Val"])
    law, measured = laws["Test"], np.asarray(y["Test"], np.float64)
    own = partial(Score, variance=variance)
    for name in ("none", "scaling"):
        changed = law.scaled(fitted.scaling) if name == "scaling" else law
        yield from _resolved(
            _of_law(changed, measured, resamples, partial(own, recalibration=name), seed), resamples
        )
    nominal = np.array(scores.QUANTILES)
    for name in ("none", "scaling", "isotonic"):
        pit = fitted.pit(name, law, measured)
        below = scores.below_quantiles(pit)
        draws = resamples.means(below.astype(float)).T
        yield own(
            "QCE",
            scores.quantile_calibration_error(below),
            recalibration=name,
            draws=np.abs(draws - nominal).mean(axis=1),
        )
        yield Curve("quantiles", nominal, below.mean(axis=1), variance, name)
        yield Curve("pit", *_histogram(pit), variance, name)
    quarter = fitted.mondrian.bin(law.location)
    for name in RECALIBRATIONS:
        found = _of_intervals(
            {level: fitted.interval(name, law, level) for level in scores.LEVELS},
            fitted.isotonic.quantile(law, 0.5) if name == "isotonic" else law.location,
            measured,
            partial(own, recalibration=name),
        )
        yield from _resolved(found, resamples, quarter)


def _resolved(
    found: Iterator[Score | _Mean], resamples: Resamples, quarter: np.ndarray | None = None
) -> Iterator[Score]:
    """The scores, with the draws of all that are means made by one product of matrices."""
    pending: dict[int | None, list[_Mean]] = {}
    for item in found:
        if isinstance(item, Score):
            yield item
        else:
            pending.setdefault(item.bin, []).append(item)
    for number, means in pending.items():
        rows = None if quarter is None or number is None else np.equal(quarter, number)
        if rows is not None and not rows.any():
            continue
        draws = resamples.means(np.stack([mean.values for mean in means]), rows)
        for mean, own in zip(means, draws, strict=True):
            values = mean.values if rows is None else mean.values[rows]
            yield mean.of(mean.metric, float(np.mean(values)), draws=own)


def _of_law(
    law: Law,
    y: np.ndarray,
    resamples: Resamples,
    score: Callable[..., Score],
    seed: int,
) -> Iterator[Score | _Mean]:
    """Scores of a whole law; blank where it has no variance, or a score does not exist."""
    yield _Mean(score, "NLL", -law.log_density(y))
    yield _Mean(score, "CRPS", law.crps(y))
    std, error = np.asarray(law.std), y - law.location
    if not np.isfinite(std).all():
        yield from (score(metric, np.nan) for metric in ("Sharpness", "ENCE", "ENCE_reference"))
        return
    yield score("Sharpness", scores.sharpness(std), draws=np.sqrt(resamples.means(np.square(std))))
    yield score(
        "ENCE",
        scores.ence(std, error),
        draws=resampled.ence(std, error, resamples),
    )
    yield score("ENCE_reference", scores.ence_reference(std, seed=seed))


def _of_intervals(
    intervals: Mapping[float, tuple[np.ndarray, np.ndarray]],
    median: np.ndarray,
    y: np.ndarray,
    score: Callable[..., Score],
) -> Iterator[_Mean]:
    """Coverage, width and loss of intervals by level; the first two by quarter as well."""
    for level, (lower, upper) in intervals.items():
        at = partial(score, level=level)
        of_width = ("PICP", scores.covered(lower, upper, y).astype(float)), ("MPIW", upper - lower)
        for metric, values in of_width:
            yield _Mean(at, metric, values)
            if level in BIN_LEVELS:
                for number in range(BINS):
                    yield _Mean(partial(at, bin=number + 1), metric, values, number)
        yield _Mean(at, "IntervalScore", scores.interval_score(lower, upper, y, level))
    lowers, uppers = (np.stack(ends) for ends in zip(*intervals.values(), strict=True))
    losses = scores.weighted_interval_score(median, lowers, uppers, y, list(intervals))
    yield _Mean(score, "WIS", losses)


def usefulness(
    variance: str,
    std: np.ndarray,
    error: np.ndarray,
    resamples: Resamples,
    shifted: Mapping[str, np.ndarray] | None = None,
) -> Evidence:
    """Whether an uncertainty knows which predictions are wrong, and which sequences are strange.

    Args:
        variance: what it is.
        std: of the test sequences (N,).
        error: of their predictions (N,), in any sign.
        resamples: of Test.
        shifted: by kind of shift, the std of the same sequences when shifted (copies, N).
    """
    own = partial(Score, variance=variance)
    yield own("AUSE", scores.ause(std, error), draws=resampled.ause(std, error, resamples))
    deciles = resampled.error_of_deciles(std, error, resamples)
    for certain, draws in zip((True, False), deciles, strict=True):
        name = "RMSE_certain" if certain else "RMSE_uncertain"
        yield own(name, scores.error_of_decile(std, error, most_certain=certain), draws=draws)
    share, curve, oracle = scores.sparsification(std, error)
    yield Curve("sparsification", share, curve, variance)
    yield Curve("oracle", share, oracle, variance)
    for kind, values in (shifted or {}).items():
        of_kind = partial(own, shift=kind, head="std")
        yield of_kind(
            "AUROC_shift",
            scores.auroc(std, values.ravel()),
            draws=resampled.auroc(std, values, resamples),
        )
        yield of_kind("Mean_std", float(values.mean()))
    if shifted:
        yield own("Mean_std", float(std.mean()), head="std", shift="none")


def fidelity(
    std: np.ndarray,
    guess: np.ndarray,
    mean: np.ndarray,
    resamples: Resamples,
    quarter: np.ndarray,
) -> Iterator[Score]:
    """How well a predicted std is that of the ensemble.

    Args:
        std, mean: of the ensemble on the test sequences (N,), ddof 0.
        guess: what is predicted of its std (N,).
        resamples: of Test.
        quarter: (N,) bin of the ensemble's mean, from 0.
    """
    own = partial(Score, variance="epistemic", head="std")
    pair = std[:, None], guess[:, None]
    bounded = {
        "Fidelity": (pearson, resamples.correlations(std, guess)),
        "Fidelity_Spearman": (spearman, resampled.spearman(std, guess, resamples)),
        "Fidelity_MSE": (squared_error, resamples.means(np.square(std - guess))),
    }
    for name, (metric, draws) in bounded.items():
        yield own(name, float(metric(*pair)[0]), draws=draws)
        for number in range(BINS):
            rows = quarter == number
            if np.count_nonzero(rows) > 2:
                part = metric(*(values[rows] for values in pair))
                yield own(name, float(part[0]), bin=number + 1)
    yield own(
        "Fidelity_partial",
        float(partial_correlation(*pair, mean[:, None])[0]),
        draws=resampled.partial_correlation(std, guess, mean, resamples),
    )


def of_members(members: np.ndarray, y: np.ndarray, resamples: Resamples) -> Score:
    """CRPS of an ensemble's members (M, N) as draws from a law: no Gaussian, and no noise of y."""
    values = scores.ensemble_crps(members, y)
    draws = resamples.means(values)
    return Score("CRPS_members", float(values.mean()), variance="epistemic", draws=draws)


def quarters(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Quarter (N,), from 0, of values by the quartiles of known ones."""
    edges = np.quantile(known, np.arange(1, BINS) / BINS)
    return np.searchsorted(edges, values, side="right")


def _histogram(pit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles of bins, and density: 1 where calibrated."""
    shares = scores.pit_histogram(pit)
    return (np.arange(len(shares)) + 0.5) / len(shares), shares * len(shares)
