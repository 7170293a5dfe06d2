"""Losses of aleatoric heads: SciPy's densities, what they are least at, what may not reach them."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize, stats

from degu.heads import Heads, Measured
from degu.training.aleatoric import losses, nll, variance_nll
from degu.training.fingerprint import fingerprint

HEADS = Heads(("A", "B"), ("mean", "aleatoric"))
LABELS = Measured(HEADS.targets, Measured.known)


def of_replicates(unreplicated=()):
    loss, validation = losses(HEADS, {"aleatoric": "replicates", "unreplicated": unreplicated})
    assert loss is validation
    return loss


def gradient(loss, y, pred):
    pred = tf.constant(pred)
    with tf.GradientTape() as tape:
        tape.watch(pred)
        value = tf.reduce_sum(loss.call(tf.constant(y, pred.dtype), pred))
    return tape.gradient(value, pred).numpy()


@pytest.mark.parametrize("freedom", [1.0, 2.0, 7.0])
def test_it_is_the_density_of_chi_squared_but_for_a_constant(freedom):
    logvar = np.linspace(-6, 4, 30)
    for sampled in (0.01, 0.7, 5.0):
        ratio = freedom * sampled / np.exp(logvar)
        # Of the sampled variance: that of chi squared, times the derivative of the ratio.
        density = stats.chi2.logpdf(ratio, freedom) + np.log(freedom) - logvar
        got = variance_nll(np.full(30, sampled), np.full(30, freedom), logvar)
        apart = np.asarray(got) + density
        np.testing.assert_allclose(apart, apart[0], atol=1e-9)


@pytest.mark.parametrize("noise", ["gaussian", "laplace"])
def test_of_two_replicates_it_is_least_at_the_true_variance_of_their_mean(noise):
    """Where the std of two is .80 of the true one, and the exponential of a mean log .28."""
    rng = np.random.default_rng(0)
    sigma = 0.6
    draw = {"gaussian": rng.normal, "laplace": rng.laplace}[noise]
    y = draw(0, sigma if noise == "gaussian" else sigma / np.sqrt(2), (400_000, 2))
    sampled = y.var(axis=1, ddof=1) / 2
    best = optimize.minimize_scalar(
        lambda a: float(np.mean(variance_nll(sampled, np.ones(len(y)), np.full(len(y), a)))),
        bounds=(-8, 4),
        method="bounded",
    )
    assert np.exp(best.x) == pytest.approx(sigma**2 / 2, rel=0.015)
    if noise == "gaussian":
        c4 = np.sqrt(2 / np.pi)
        assert np.mean(np.sqrt(sampled)) == pytest.approx(c4 * sigma / np.sqrt(2), rel=0.01)
        assert np.exp(np.mean(np.log(sampled))) == pytest.approx(0.281 * sigma**2 / 2, rel=0.02)


def test_more_replicates_weigh_by_their_degrees_of_freedom():
    """The least is at the pooled variance, that of all deviations over all degrees of freedom."""
    sampled, freedom = np.array([0.2, 0.5, 0.1]), np.array([1.0, 3.0, 6.0])
    best = optimize.minimize_scalar(
        lambda a: float(np.sum(variance_nll(sampled, freedom, np.full(3, a)))),
        bounds=(-8, 4),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert np.exp(best.x) == pytest.approx((0.2 + 1.5 + 0.6) / 10, rel=1e-6)


def made(n=6):
    """Labels of which some lack replicates, and predictions."""
    rng = np.random.default_rng(1)
    y = np.concatenate([rng.normal(size=(n, 2)), rng.random((n, 2)), np.full((n, 2), 2.0)], axis=1)
    y[0, LABELS.column("A", "variance")], y[0, LABELS.column("A", "freedom")] = np.nan, 0
    b = [LABELS.column("B", kind) for kind in ("variance", "freedom")]
    y[:, b] = np.nan, 0
    return y, rng.normal(size=(n, len(HEADS)))


def test_what_is_missing_reaches_neither_loss_nor_gradient():
    y, pred = made()
    loss = of_replicates()
    got = gradient(loss, y, pred)
    assert np.isfinite(loss.call(y, tf.constant(pred))).all()
    assert np.isfinite(got).all()
    aleatoric = HEADS.slice("aleatoric")
    assert (got[0, aleatoric] == 0).all()
    assert (got[:, HEADS.column("B", "aleatoric")] == 0).all()
    assert (got[1:, HEADS.column("A", "aleatoric")] != 0).all()
    # A mean learns as it would by a squared error alone.
    means = HEADS.slice("mean")
    np.testing.assert_allclose(got[:, means], (pred[:, means] - y[:, means]), rtol=1e-6)


def test_by_hand():
    y, pred = made()
    row, freedom = 3, 2.0
    mean, logvar, s2 = pred[row, 0], pred[row, 2], y[row, 2]
    of_a = (y[row, 0] - mean) ** 2 + freedom / 2 * (logvar + s2 / np.exp(logvar))
    of_b = (y[row, 1] - pred[row, 1]) ** 2
    loss = of_replicates()
    assert float(loss.call(y, tf.constant(pred))[row]) == pytest.approx((of_a + of_b) / 2)
    of_b -= stats.norm.logpdf(y[row, 1], pred[row, 1], np.exp(pred[row, 3] / 2))
    loss = of_replicates(["B"])
    assert float(loss.call(y, tf.constant(pred))[row]) == pytest.approx((of_a + of_b) / 2)


def test_a_target_without_replicates_learns_its_variance_and_its_mean_does_not_know():
    y, pred = made()
    got = gradient(of_replicates(["B"]), y, pred)
    mean, aleatoric = (HEADS.column("B", kind) for kind in HEADS.kinds)
    np.testing.assert_allclose(got[:, mean], pred[:, 1] - y[:, 1], rtol=1e-6)
    by_hand = (1 - (y[:, 1] - pred[:, 1]) ** 2 * np.exp(-pred[:, 3])) / 2
    np.testing.assert_allclose(2 * got[:, aleatoric], by_hand, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("variance", [0.0, 1e-30, 1.0, 1e6])
def test_gradients_are_finite_at_the_edges(variance):
    edges = np.array([-1e6, -100.0, -14.0, 0.0, 14.0, 100.0, 1e6], np.float32)
    pred = np.stack([0 * edges, 0 * edges + 1e3, edges, edges], axis=1)
    y = np.tile(np.float32([0, 0, variance, variance, 1, 5]), (len(edges), 1))
    for loss in (of_replicates(), of_replicates(["B"])):
        assert np.isfinite(loss.call(y, tf.constant(pred))).all()
        assert np.isfinite(gradient(loss, y, pred)).all()


def test_learned_is_the_likelihood_of_the_measurement():
    loss, validation = losses(HEADS, {"aleatoric": "learned"})
    assert loss is validation
    y, pred = (v[:, :n].astype(np.float32) for v, n in zip(made(), (2, 4), strict=True))
    expected = -stats.norm.logpdf(y, pred[:, :2], np.exp(pred[:, 2:] / 2)).mean(axis=1)
    np.testing.assert_allclose(loss.call(y, pred), expected, rtol=1e-5)
    np.testing.assert_allclose(
        nll(y, pred[:, :2], pred[:, 2:]).numpy().mean(axis=1), expected, 1e-5
    )


def test_without_aleatoric_heads_it_is_left_to_squared_errors():
    assert losses(Heads(("A",)), {}) is None


def test_labels_that_would_be_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"takes measurements \(B, 6\)"):
        of_replicates().call(np.zeros((5, 2)), np.zeros((5, 4)))


def test_which_targets_lack_replicates_is_a_part_of_a_training():
    same, again, other = (of_replicates(names) for names in (["B"], ["B"], []))
    assert fingerprint(same) == fingerprint(again) != fingerprint(other)
    assert fingerprint(losses(HEADS, {"aleatoric": "learned"})[0]) != fingerprint(other)
