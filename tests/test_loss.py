"""The two output layers against mpmath: value, slope and curvature, also far beyond |Z| = 700."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit, softmax

from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.network import log_loss, sigmoid

SIZES = [0.0, 1e-9, 0.3, 5.0, 36.0, 41.0, 700.0, 707.0]
logits = st.floats(-705, 705, allow_nan=False)


def exact_softmax(z, own):
    """Loss, residual, curvature and probability of one row, in 400 digits, rounded at the end."""
    with mpmath.workdps(400):
        e = [mpmath.exp(mpmath.mpf(float(v))) for v in z]
        p = [v / sum(e) for v in e]
        loss = -mpmath.log(p[own])
        residual = [v - (k == own) for k, v in enumerate(p)]
        curvature = [v * (1 - v) for v in p]
        return float(loss), *(np.array(v, dtype=float) for v in (residual, curvature, p))


def close(actual, exact):
    """To 1e-12 relative, down to where float64 has no digits left."""
    np.testing.assert_allclose(actual, exact, rtol=1e-12, atol=1e-307)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_sigmoid_keeps_every_digit(size, label):
    Z = np.array([[size, -size]])
    terms = SigmoidLoss(1).terms(Z, np.full((1, 2), label))
    with mpmath.workdps(400):
        for i, z in enumerate(Z[0]):
            p = 1 / (1 + mpmath.exp(-mpmath.mpf(float(z))))
            close(terms.loss[0, i], float(-mpmath.log(p if label else 1 - p)))
            close(terms.residual[0, i], float(p - label))
            close(terms.curvature[0, i], float(p * (1 - p)))
    np.testing.assert_array_equal(terms.margin, Z if label else -Z)


@settings(deadline=None, max_examples=60)
@given(st.lists(logits, min_size=2, max_size=5), st.data())
def test_a_softmax_keeps_every_digit(z, data):
    own = data.draw(st.integers(0, len(z) - 1))
    terms = SoftmaxLoss(len(z)).terms(np.array(z)[:, None], np.array([[own]]))
    loss, residual, curvature, probability = exact_softmax(z, own)
    close(terms.loss[0, 0], loss)
    close(terms.residual[:, 0], residual)
    close(terms.curvature[:, 0], curvature)
    close(terms.probability[:, 0], probability)
    assert terms.margin[0, 0] == z[own] - max(v for k, v in enumerate(z) if k != own)


@pytest.mark.parametrize("loss", [SigmoidLoss(3), SoftmaxLoss(3)], ids=["sigmoid", "softmax"])
def test_nothing_overflows(loss):
    Z = np.array([[800.0, -800.0, 1e308, 0.0], [0, 800, -1e308, 1], [-800, 0, 1e300, 2]])
    labels = np.ones((loss.groups, 4))
    with np.errstate(all="raise", under="ignore"):
        terms = loss.terms(Z / 4, labels)
        probability = loss.activate(Z / 4)
    for part in (terms.loss, terms.residual, terms.curvature, terms.margin, probability):
        assert np.isfinite(part).all()


def test_a_softmax_of_two_classes_is_a_sigmoid():
    z, y = np.linspace(-50, 50, 41)[None], np.arange(41)[None] % 2
    one = SigmoidLoss(1).terms(z, y.astype(float))
    two = SoftmaxLoss(2).terms(np.vstack([np.zeros_like(z), z]), y)
    close(two.loss, one.loss)
    close(two.residual[1:], one.residual)
    close(two.residual[:1], -one.residual)
    close(two.curvature[1:], one.curvature)
    close(two.margin, one.margin)


def test_activation_is_the_network_s():
    Z = np.random.default_rng(0).normal(scale=9, size=(4, 30))
    np.testing.assert_array_equal(SigmoidLoss(4).activate(Z), sigmoid(Z))
    np.testing.assert_allclose(SoftmaxLoss(4).activate(Z), softmax(Z, axis=0), rtol=1e-13)
    labels = (Z > 3).astype(float)
    np.testing.assert_allclose(
        SigmoidLoss(4).terms(Z, labels).loss, log_loss(Z, labels), rtol=1e-15
    )


def test_each_sigmoid_is_a_problem_of_its_own_and_a_softmax_is_one():
    assert (SigmoidLoss(3).groups, SoftmaxLoss(3).groups) == (3, 1)
    assert list(SigmoidLoss(3).pairs()) == [(0, 0), (1, 1), (2, 2)]
    assert sorted(SoftmaxLoss(2).pairs()) == [(0, 0), (1, 0), (1, 1)]


def test_least_curvature_bounds_a_row_s_leverage():
    """1 / least_curvature is the largest a'(s M)^+ a over rows, a between two answers."""
    rng = np.random.default_rng(3)
    s = np.array([0.5, 2.0, 0.0, 1.0, 3.0])
    Z = rng.normal(scale=2, size=(3, 5))
    Z[:, 2] = [50, 0, -50]  # flattest of all, but without a weight
    own = rng.integers(0, 3, (1, 5))
    loss = SoftmaxLoss(3)
    terms = loss.terms(Z, own)
    worst = 0.0
    for i in np.flatnonzero(s):
        p = terms.probability[:, i]
        inverse = np.linalg.pinv(s[i] * (np.diag(p) - np.outer(p, p)), 1e-12, True)
        pairs = [np.eye(3)[k] - np.eye(3)[j] for k in range(3) for j in range(k)]
        worst = max(worst, *(a @ inverse @ a for a in pairs))
    assert 1 / loss.least_curvature(terms, s)[0] == pytest.approx(worst, rel=1e-10)

    several = SigmoidLoss(3)
    terms = several.terms(Z, (own == np.arange(3)[:, None]).astype(float))
    expected = (terms.curvature * s)[:, s > 0].min(axis=1)
    np.testing.assert_array_equal(several.least_curvature(terms, s), expected)


@pytest.mark.parametrize("loss", [SigmoidLoss(2), SoftmaxLoss(2)], ids=["sigmoid", "softmax"])
def test_without_a_weight_nothing_is_bounded(loss):
    terms = loss.terms(np.ones((2, 3)), np.ones((loss.groups, 3)))
    assert np.isinf(loss.least_curvature(terms, np.zeros(3))).all()


@pytest.mark.parametrize("weights", ["one", "three", "each"])
@pytest.mark.parametrize("curved", [True, False])
@pytest.mark.parametrize("scale", [1e-3, 2.0, 30.0, 300.0, 650.0, 800.0])
@pytest.mark.parametrize("right", [False, True], ids=["any", "right"])
def test_sums_of_rows_keep_every_digit(scale, curved, weights, right):
    """Against SciPy's log sigmoid, added without rounding; where all are right, losses are tiny."""
    rng = np.random.default_rng(6)
    Z = rng.uniform(-scale, scale, (2, 700))
    y = Z > 0 if right else rng.random(Z.shape) < 0.4
    s = {
        "one": np.broadcast_to(1.0, 700),
        "three": np.broadcast_to(3.0, 700),
        "each": rng.exponential(size=700) * (rng.random(700) < 0.9),
    }[weights]
    got = SigmoidLoss(2).sum_rows(Z.copy(), y.astype(np.int8), s, curved)
    u = np.where(y, Z, -Z)
    for k in range(2):
        exact = math.fsum(-log_expit(u[k]) * s)
        assert got.loss[k] == pytest.approx(exact, rel=1e-14)
        assert -np.abs(u[k]).max() <= got.least_margin[k] <= u[k, s > 0].min()
        if curved:
            assert got.least_margin[k] == u[k, s > 0].min()
    np.testing.assert_allclose(got.residual, (1 - 2 * y) * expit(-u) * s, rtol=1e-14, atol=1e-300)
    q = expit(u) * expit(-u) * s
    np.testing.assert_allclose(
        got.least_curvature, q[:, s > 0].min(axis=1), rtol=1e-13, atol=1e-300
    )
    if curved:
        np.testing.assert_allclose(got.curvature, q, rtol=1e-13, atol=1e-300)
