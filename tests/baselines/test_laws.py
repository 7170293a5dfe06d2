"""What baselines say of a sequence: laws with the moments and densities of their definitions."""

import numpy as np
import pytest
from scipy import stats

from degu.baselines import BASELINES
from degu.calibration.laws import Cauchy, Gaussian, Laplace, Mixture, StudentT
from degu.heads import Heads

TARGETS = ("Dev", "Hk")
N = 50
Y = np.random.default_rng(9).normal(size=N)


def predicted(kinds, members=1, seed=0, **columns):
    """Predictions of each member; columns of the second target, the others at random."""
    heads = Heads(TARGETS, kinds)
    rng = np.random.default_rng(seed)
    made = [{"Test": rng.normal(size=(N, len(heads)))} for _ in range(members)]
    for kind, values in columns.items():
        for one, own in zip(made, values, strict=True):
            one["Test"][:, heads.column("Hk", kind)] = own
    return made, heads


def laws_of(name, predictions, heads, residual=1.0):
    return BASELINES[name].laws_of(predictions, heads, "Hk", "Test", residual)


def test_a_residual_variance_is_all_that_some_have():
    for name, kinds in {
        "residual": ("mean",),
        "mean_student": ("mean",),
        "constant": ("mean", "std"),
    }.items():
        made, heads = predicted(kinds)
        laws = laws_of(name, made, heads, 0.25)
        assert set(laws) == {"aleatoric", "total"}
        np.testing.assert_array_equal(laws["total"].location, made[0]["Test"][:, 1])
        np.testing.assert_array_equal(laws["total"].std, 0.5)
        # No residual at all is floored: there is no law of width 0.
        assert (laws_of(name, made, heads, 0.0)["total"].std > 0).all()


@pytest.mark.parametrize("name", ["heteroscedastic", "beta_nll"])
def test_a_log_variance_is_a_gaussian(name):
    made, heads = predicted(("mean", "aleatoric"), aleatoric=[np.log(0.04)])
    laws = laws_of(name, made, heads)
    assert set(laws) == {"aleatoric", "total"}
    assert isinstance(laws["total"], Gaussian)
    np.testing.assert_allclose(laws["total"].std, 0.2)
    mean = made[0]["Test"][:, 1]
    np.testing.assert_allclose(laws["total"].log_density(Y), stats.norm.logpdf(Y, mean, 0.2))


@pytest.mark.parametrize(
    ("name", "law", "scipy"),
    [("laplace", Laplace, stats.laplace), ("cauchy", Cauchy, stats.cauchy)],
)
def test_a_log_scale_is_its_law(name, law, scipy):
    made, heads = predicted(("mean", "logscale"), logscale=[np.log(3.0)])
    total = laws_of(name, made, heads)["total"]
    assert type(total) is law
    mean = made[0]["Test"][:, 1]
    np.testing.assert_allclose(total.log_density(Y), scipy.logpdf(Y, mean, 3.0))
    # Half-widths: b·ln(1/α), and γ·tan(π(1−α)/2).
    half = {"laplace": 3 * np.log(10), "cauchy": 3 * np.tan(np.pi * 0.9 / 2)}[name]
    lower, upper = total.interval(0.9)
    np.testing.assert_allclose(lower, mean - half)
    np.testing.assert_allclose(upper, mean + half)


def inverse_softplus(x):
    return np.log(np.expm1(x))


def test_evidence_is_a_t_law_and_two_variances():
    raw = {k: [inverse_softplus(v)] for k, v in {"nu": 2.0, "alpha": 1.5, "beta": 3.0}.items()}
    made, heads = predicted(("mean", "nu", "alpha", "beta"), **raw)
    laws = laws_of("evidential", made, heads)
    mean = made[0]["Test"][:, 1]
    # α is 2.5: β/(α−1) = 2, and half of that where ν is 2.
    np.testing.assert_allclose(laws["aleatoric"].std, np.sqrt(2))
    np.testing.assert_allclose(laws["epistemic"].std, 1)
    assert isinstance(laws["total"], StudentT)
    expected = stats.t.logpdf(Y, 5, mean, np.sqrt(3 * 3 / (2 * 2.5)))
    np.testing.assert_allclose(laws["total"].log_density(Y), expected)
    # The t law has the variance of both together.
    np.testing.assert_allclose(laws["total"].std ** 2, 3)


def test_the_evidential_law_is_the_marginal_of_its_normal_inverse_gamma():
    nu, alpha, beta = 0.7, 2.2, 1.3
    rng = np.random.default_rng(1)
    variance = beta / rng.gamma(alpha, size=200_000)
    means = rng.normal(0, np.sqrt(variance / nu))
    drawn = rng.normal(means, np.sqrt(variance))
    raw = {"nu": [inverse_softplus(nu)], "alpha": [inverse_softplus(alpha - 1)]}
    made, heads = predicted(
        ("mean", "nu", "alpha", "beta"), mean=[0.0], beta=[inverse_softplus(beta)], **raw
    )
    law = laws_of("evidential", made, heads)["total"].take(np.array([0]))
    for p in (0.05, 0.25, 0.5, 0.9):
        assert (drawn < law.quantile(p)[0]).mean() == pytest.approx(p, abs=0.004)


def test_passes_with_dropout_and_a_residual_add_up():
    made, heads = predicted(("mean", "std"), std=[np.full(N, 0.3)])
    laws = laws_of("mc_dropout", made, heads, 0.16)
    stds = {name: float(law.std[0]) for name, law in laws.items()}
    assert stds == pytest.approx({"epistemic": 0.3, "aleatoric": 0.4, "total": 0.5})


def test_an_ensemble_of_heteroscedastic_members_is_their_mixture():
    logvars = np.log([0.01, 0.04, 0.09])
    made, heads = predicted(("mean", "aleatoric"), 3, mean=[1.0, 2.0, 3.0], aleatoric=logvars)
    laws = laws_of("heteroscedastic_ensemble", made, heads)
    assert isinstance(laws["total"], Mixture)
    density = np.mean([stats.norm.pdf(Y, m, s) for m, s in ((1, 0.1), (2, 0.2), (3, 0.3))], axis=0)
    np.testing.assert_allclose(np.exp(laws["total"].log_density(Y)), density)
    # The law of total variance.
    parts = laws["aleatoric"].std ** 2, laws["epistemic"].std ** 2
    np.testing.assert_allclose(parts[0], 0.14 / 3)
    np.testing.assert_allclose(parts[1], 2 / 3)
    np.testing.assert_allclose(laws["total"].std ** 2, sum(parts))


def test_an_ensemble_of_architectures_has_the_spread_of_its_means():
    made, heads = predicted(("mean",), 2, mean=[1.0, 2.0])
    laws = laws_of("mixed_ensemble", made, heads, 0.75)
    np.testing.assert_allclose(laws["epistemic"].std, 0.5)
    np.testing.assert_allclose(laws["total"].std, 1.0)
    np.testing.assert_allclose(laws["total"].location, 1.5)


def test_outputs_beyond_all_reason_still_have_a_law():
    for name, (kinds, extra) in {
        "heteroscedastic": (("mean", "aleatoric"), ("aleatoric",)),
        "laplace": (("mean", "logscale"), ("logscale",)),
        "cauchy": (("mean", "logscale"), ("logscale",)),
        "evidential": (("mean", "nu", "alpha", "beta"), ("nu", "alpha", "beta")),
    }.items():
        for value in (-1e5, 1e5):
            made, heads = predicted(kinds, **{kind: [value] for kind in extra})
            for law in laws_of(name, made, heads).values():
                assert np.isfinite(law.quantile(0.9)).all(), name
                assert (law.quantile(0.9) > law.quantile(0.1)).all(), name
