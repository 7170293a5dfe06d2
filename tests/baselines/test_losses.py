"""Losses of baselines: log densities of SciPy, gradients that stay finite, shapes that must fit."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from degu.baselines import BASELINES
from degu.baselines.evidential import _log_gamma_ratio
from degu.heads import Heads
from degu.kinds import named
from degu.training.fingerprint import fingerprint

TARGETS = ("Dev", "Hk")
SETTINGS = {"beta_nll": {"beta": 0.5}, "evidential": {"penalty": 0.1}}
NAMES = [name for name, b in BASELINES.items() if b.kind and b.kind.losses and not b.ensemble]


def softplus(x):
    return np.logaddexp(0, x)


def gaussian(y, mean, logvar):
    return stats.norm.logpdf(y, mean, np.exp(logvar / 2))


def student(y, mean, nu, alpha, beta):
    nu, alpha, beta = softplus(nu), 1 + softplus(alpha), softplus(beta)
    scale = np.sqrt(beta * (1 + nu) / (nu * alpha))
    return stats.t.logpdf(y, 2 * alpha, mean, scale)


DENSITIES = {
    "heteroscedastic": gaussian,
    "beta_nll": gaussian,
    "laplace": lambda y, mean, log: stats.laplace.logpdf(y, mean, np.exp(log)),
    "cauchy": lambda y, mean, log: stats.cauchy.logpdf(y, mean, np.exp(log)),
    "evidential": student,
}


def given(name, n=200):
    """Heads, measurements and predictions, in float64; every column by itself."""
    heads = Heads(TARGETS, BASELINES[name].kind.heads)
    rng = np.random.default_rng(0)
    y = rng.normal(size=(n, 2))
    pred = rng.normal(0, 1.5, size=(n, len(heads)))
    return heads, y, pred, [pred[:, heads.slice(kind)] for kind in heads.kinds]


def losses(name, heads):
    return named(BASELINES[name].kind.losses)(heads, SETTINGS.get(name, {}))


def test_all_of_them_are_tried():
    assert set(NAMES) == set(DENSITIES)


@pytest.mark.parametrize("name", NAMES)
def test_the_validation_loss_is_the_negative_log_density(name):
    heads, y, pred, columns = given(name)
    loss, validation = losses(name, heads)
    expected = -DENSITIES[name](y, *columns)
    got = validation.call(y.astype(np.float32), tf.constant(pred, tf.float32))
    np.testing.assert_allclose(got, expected.mean(axis=1), rtol=2e-4, atol=2e-5)
    assert float(validation(y, pred)) == pytest.approx(expected.mean(), rel=1e-4)
    if name not in SETTINGS:
        assert loss is validation


def test_beta_weights_a_sequence_by_its_variance_and_no_gradient_passes_the_weight():
    heads, y, pred, (mean, logvar) = given("beta_nll")
    loss, _ = losses("beta_nll", heads)
    # σ^(2β) with β = ½ is σ.
    expected = -np.exp(logvar / 2) * gaussian(y, mean, logvar)
    np.testing.assert_allclose(loss.call(y, tf.constant(pred)), expected.mean(axis=1), rtol=1e-5)
    z2 = (y - mean) ** 2 * np.exp(-logvar)
    by_hand = [np.exp(logvar / 2) * part for part in ((mean - y) * np.exp(-logvar), (1 - z2) / 2)]
    got = gradient(loss, y, pred)
    np.testing.assert_allclose(got * 2, np.concatenate(by_hand, axis=1), rtol=1e-4, atol=1e-6)


def test_the_evidential_penalty_is_error_times_evidence():
    heads, y, pred, (mean, nu, alpha, beta) = given("evidential")
    loss, _ = losses("evidential", heads)
    penalty = 0.1 * np.abs(y - mean) * (2 * softplus(nu) + 1 + softplus(alpha))
    expected = penalty - student(y, mean, nu, alpha, beta)
    np.testing.assert_allclose(loss.call(y, tf.constant(pred)), expected.mean(axis=1), rtol=1e-5)


def test_the_ratio_of_gammas():
    from scipy.special import gammaln

    x = np.geomspace(1, 1e6, 200)
    got = _log_gamma_ratio(tf.constant(x))
    # SciPy's own difference loses digits where both are large.
    np.testing.assert_allclose(got, gammaln(x + 0.5) - gammaln(x), rtol=2e-7, atol=2e-7)


def gradient(loss, y, pred):
    pred = tf.constant(pred)
    with tf.GradientTape() as tape:
        tape.watch(pred)
        value = tf.reduce_sum(loss.call(tf.cast(y, pred.dtype), pred))
    return tape.gradient(value, pred).numpy()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_at_the_edges_of_their_domain(name):
    heads, *_ = given(name)
    kinds = len(heads.kinds)
    edges = np.array(np.meshgrid(*[[-1e6, -100.0, -14.0, 0.0, 14.0, 100.0, 1e6]] * (kinds - 1)))
    edges = edges.reshape(kinds - 1, -1).T
    for error in (0.0, 1e-20, 1e-3, 1.0, 1e3):
        mean = np.full((len(edges), 1), error)
        pred = np.concatenate([mean, edges], axis=1).repeat(2, axis=1).astype(np.float32)
        y = np.zeros((len(edges), 2), np.float32)
        for loss in losses(name, heads):
            assert np.isfinite(loss.call(y, tf.constant(pred))).all()
            assert np.isfinite(gradient(loss, y, pred)).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("y", "heads_each"), [((5,), None), ((5, 1), None), ((1, 2), None), ((5, 2), 1)]
)
def test_shapes_that_would_be_broadcast_are_refused(name, y, heads_each):
    heads, *_ = given(name)
    loss, validation = losses(name, heads)
    pred = np.zeros((5, heads_each or len(heads)), np.float32)
    for one in (loss, validation):
        with pytest.raises(ValueError, match="takes measurements"):
            one.call(np.zeros(y, np.float32), pred)


def test_one_target_is_no_vector():
    """(B,) against (B, 1), of which NumPy and TensorFlow make (B, B)."""
    heads = Heads(("Dev",), ("mean", "aleatoric"))
    loss, _ = losses("heteroscedastic", heads)
    with pytest.raises(ValueError, match=r"not \(4,\) and \(4, 2\)"):
        loss(np.zeros(4), np.zeros((4, 2)))
    assert loss.call(np.zeros((4, 1)), np.zeros((4, 2))).shape == (4,)


def test_another_weight_is_another_training():
    heads, *_ = given("evidential")
    make = named(BASELINES["evidential"].kind.losses)
    same, again, other = (make(heads, {"penalty": p})[0] for p in (0.1, 0.1, 0.2))
    assert fingerprint(same) is not None
    assert fingerprint(same) == fingerprint(again) != fingerprint(other)
