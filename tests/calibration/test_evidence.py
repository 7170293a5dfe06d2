"""Scores of whole models on data whose truth is known."""

import numpy as np
import pytest

from degu.calibration import evidence
from degu.calibration.bootstrap import Resamples
from degu.calibration.evidence import Curve, Score
from degu.calibration.laws import Cauchy, Gaussian

N = 4000


def of_known_noise(claimed, seed=3):
    """Laws of Val and Test with stds ``claimed`` times the true ones, and the measurements."""
    rng = np.random.default_rng(seed)
    laws, y = {}, {}
    for split in ("Val", "Test"):
        mean, std = rng.normal(0, 2, N), rng.uniform(0.2, 1.5, N)
        laws[split] = Gaussian(mean, claimed * std)
        y[split] = mean + std * rng.standard_normal(N)
    return laws, y


def value(found, metric, **columns):
    (one,) = (
        s
        for s in found
        if isinstance(s, Score)
        and s.metric == metric
        and all(getattr(s, name) == wanted for name, wanted in columns.items())
    )
    return one


@pytest.fixture(scope="module")
def too_narrow():
    laws, y = of_known_noise(0.4)
    return list(evidence.calibration("total", laws, y, Resamples(N, draws=100)))


def test_what_is_too_narrow_under_covers_until_it_is_recalibrated(too_narrow):
    # A Gaussian at 0.4 of its std: P(|z| < 0.4 · 1.6449).
    plain = value(too_narrow, "PICP", recalibration="none", level=0.9, bin=None)
    assert plain.value == pytest.approx(0.4894, abs=0.03)
    for name in ("scaling", "isotonic", "conformal", "mondrian"):
        for level in (0.5, 0.9, 0.95):
            covered = value(too_narrow, "PICP", recalibration=name, level=level, bin=None)
            assert covered.value == pytest.approx(level, abs=0.025)
            lower, upper = covered.row["lower"], covered.row["upper"]
            assert lower < covered.value < upper
            # Of a share of N sequences.
            expected = 3.92 * np.sqrt(covered.value * (1 - covered.value) / N)
            assert upper - lower == pytest.approx(expected, rel=0.35)


def test_the_noise_of_the_truth_is_its_nll_and_sharpness(too_narrow):
    scaled = {"recalibration": "scaling"}
    rng = np.random.default_rng(0)
    std = rng.uniform(0.2, 1.5, 100_000)
    entropy = np.mean(0.5 * np.log(2 * np.pi * np.e * std**2))
    assert value(too_narrow, "NLL", **scaled).value == pytest.approx(entropy, abs=0.03)
    sharp = value(too_narrow, "Sharpness", **scaled).value
    assert sharp == pytest.approx(np.sqrt(np.mean(std**2)), abs=0.03)
    # CRPS of a Gaussian that is right: σ/√π.
    crps = value(too_narrow, "CRPS", **scaled).value
    assert crps == pytest.approx(np.mean(std) / np.sqrt(np.pi), abs=0.02)
    assert value(too_narrow, "QCE", **scaled).value < 0.02
    assert value(too_narrow, "QCE", recalibration="none").value > 0.1
    ence = value(too_narrow, "ENCE", **scaled).value
    assert ence < 2 * value(too_narrow, "ENCE_reference", **scaled).value


def test_quarters_are_of_the_predicted_activity(too_narrow):
    for number in range(1, 5):
        own = value(too_narrow, "PICP", recalibration="mondrian", level=0.9, bin=number)
        assert own.value == pytest.approx(0.9, abs=0.03)


def test_curves_are_those_of_a_law_that_is_too_narrow(too_narrow):
    curves = [item for item in too_narrow if isinstance(item, Curve)]
    (pit,) = (c for c in curves if c.curve == "pit" and c.recalibration == "none")
    assert pit.y.mean() == pytest.approx(1)
    assert min(pit.y[0], pit.y[-1]) > 2
    assert pit.y[10] < 0.7
    (scaled,) = (c for c in curves if c.curve == "quantiles" and c.recalibration == "scaling")
    np.testing.assert_allclose(scaled.x, scaled.y, atol=0.03)


def test_what_a_cauchy_does_not_have_is_blank():
    rng = np.random.default_rng(1)
    laws = {split: Cauchy(np.zeros(N), np.ones(N)) for split in ("Val", "Test")}
    y = {split: rng.standard_cauchy(N) for split in laws}
    found = list(evidence.calibration("total", laws, y, Resamples(N, draws=20)))
    for metric in ("Sharpness", "ENCE", "ENCE_reference"):
        blank = value(found, metric, recalibration="none")
        assert np.isnan(blank.value)
        assert "lower" not in blank.row
    for name in evidence.RECALIBRATIONS:
        covered = value(found, "PICP", recalibration=name, level=0.9, bin=None)
        assert covered.value == pytest.approx(0.9, abs=0.025)


def test_too_few_validation_sequences_give_infinite_intervals():
    laws, y = of_known_noise(1.0)
    laws["Val"], y["Val"] = laws["Val"].take(np.arange(60)), y["Val"][:60]
    found = list(evidence.calibration("total", laws, y, Resamples(N, draws=20)))
    wide = value(found, "MPIW", recalibration="conformal", level=0.99, bin=None)
    assert wide.value == wide.row["upper"] == np.inf
    assert value(found, "PICP", recalibration="conformal", level=0.99, bin=None).value == 1
    assert np.isfinite(value(found, "MPIW", recalibration="conformal", level=0.9, bin=None).value)


def test_a_std_that_knows_the_errors_is_useful():
    laws, y = of_known_noise(1.0)
    error = y["Test"] - laws["Test"].location
    std = np.asarray(laws["Test"].std)
    shifted = {"large": np.stack([std * 2, std * 2]), "small": std[None]}
    found = list(evidence.usefulness("total", std, error, Resamples(N, draws=50), shifted))
    scores = {s.metric: s for s in found if isinstance(s, Score) and s.shift is None}
    assert scores["RMSE_certain"].value < 0.4 < 1.2 < scores["RMSE_uncertain"].value
    random = list(evidence.usefulness("total", std[::-1], error, Resamples(N, draws=50)))
    assert scores["AUSE"].row["upper"] < value(random, "AUSE").row["lower"]
    assert value(found, "AUROC_shift", shift="small").value == pytest.approx(0.5)
    assert value(found, "AUROC_shift", shift="large").value > 0.7
    assert value(found, "Mean_std", shift="large").value == pytest.approx(2 * std.mean())


def test_fidelity_is_a_correlation_with_bounds():
    rng = np.random.default_rng(2)
    mean = rng.normal(size=N)
    std = 1 + 0.1 * mean + 0.2 * rng.normal(size=N)
    guess = std + 0.2 * rng.normal(size=N)
    quarter = evidence.quarters(mean, mean)
    assert np.bincount(quarter).tolist() == [N // 4] * 4
    found = list(evidence.fidelity(std, guess, mean, Resamples(N, draws=100), quarter))
    whole = value(found, "Fidelity", bin=None)
    assert whole.value == pytest.approx(np.corrcoef(std, guess)[0, 1])
    # Fisher's standard error.
    width = whole.row["upper"] - whole.row["lower"]
    assert width == pytest.approx(3.92 * (1 - whole.value**2) / np.sqrt(N), rel=0.35)
    of_one = quarter == 2
    third = np.corrcoef(std[of_one], guess[of_one])[0, 1]
    assert value(found, "Fidelity", bin=3).value == pytest.approx(third)
    assert value(found, "Fidelity_partial").value < whole.value
