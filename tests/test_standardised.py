"""The objective over a standardised copy is the objective itself."""

import numpy as np
import pytest

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns, shift_rows
from onelayer.features.dense import DenseFeatures
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.network import margin_terms
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.standardised import (
    StandardisedObjective,
    StandardisedSoftmax,
    copy_softmax,
    copy_standardised,
)

SUMS = ("value", "loss", "gradient", "miss", "least_curvature", "least_margin", "hessian")


def make(dtype, fit_intercept, C=0.7, n=80, p=6):
    """Columns of many scales, one far from 0 and one constant; a few rows of weight 0."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-3, 3, p)
    X[:, 1] += 1e5
    X[:, 2] = 3
    s = rng.integers(0, 4, n) * 1.0
    y = (rng.random((1, n)) < 0.4) * 1.0
    rows = MemoryRows(Block(DenseFeatures(X.astype(dtype)), y, s))
    shifted, where = shift_rows(rows, measure_columns(rows, fit_intercept))
    return X.astype(dtype).astype(float), y[0], s, Objective(shifted, SigmoidLoss(1), C, where)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_sums_are_those_of_the_network(dtype, fit_intercept):
    X, y, s, plain = make(dtype, fit_intercept)
    copied, where = copy_standardised(plain), plain.where
    assert isinstance(copied, StandardisedObjective)
    theta = np.where(where.frozen, 0, np.random.default_rng(1).normal(size=(1, 7)))
    got = copied.evaluate(theta, hessian=True)

    Z = np.column_stack([(X - where.centre) / where.spread, np.ones(len(X))])
    Z[:, where.frozen] = 0
    sign = 2 * y - 1
    loss, miss, curvature = margin_terms(sign * (Z @ theta[0]))
    ridge = 0.5 * plain.penalty @ theta[0] ** 2
    assert got.value[0] == pytest.approx(loss @ s + ridge, rel=1e-12)
    assert got.miss[0] == pytest.approx((miss * s) @ (miss * s), rel=1e-12)
    slope = plain.penalty * theta[0] - Z.T @ (sign * miss * s)
    np.testing.assert_allclose(got.gradient[0], slope, atol=1e-12 * np.abs(slope).max())
    H = (Z.T * (curvature * s)) @ Z + np.diag(np.append(plain.penalty[:-1], 0))
    moved = ~where.frozen
    np.testing.assert_allclose(got.hessian[0][np.ix_(moved, moved)], H[np.ix_(moved, moved)])


def test_what_a_pass_says_is_the_same():
    _, _, _, plain = make(np.float64, True)
    theta = np.where(plain.where.frozen, 0, np.random.default_rng(2).normal(size=(1, 7)))
    a, b = (each.evaluate(theta, hessian=True) for each in (plain, copy_standardised(plain)))
    for name in SUMS:
        expected = getattr(a, name)
        level = 1e-9 * np.abs(expected).max()  # the plain tiles carry a centre along
        np.testing.assert_allclose(getattr(b, name), expected, rtol=1e-9, atol=level)


def test_the_bend_is_the_second_difference_of_slopes():
    _, _, _, plain = make(np.float64, True)
    copied, rng = copy_standardised(plain), np.random.default_rng(3)
    theta, d = (np.where(plain.where.frozen, 0, rng.normal(size=(1, 7))) for _ in range(2))
    before, at, after = (copied.evaluate(theta + h * d, hessian=True) for h in (-1e-3, 0.0, 1e-3))
    second = (before.gradient - 2 * at.gradient + after.gradient)[0] / 1e-6
    np.testing.assert_allclose(copied.bend(at, d[0]), second / 2, rtol=1e-4, atol=1e-5)


def test_another_strength_is_another_penalty():
    _, _, _, plain = make(np.float64, True)
    theta = np.where(plain.where.frozen, 0, 1.0) * np.ones((1, 7))
    under = copy_standardised(plain).under(0.1)
    assert under.C == 0.1
    expected = plain.under(0.1).evaluate(theta)
    assert under.evaluate(theta).value[0] == pytest.approx(expected.value[0], rel=1e-12)
    assert plain.C == 0.7


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_several_classes_are_summed_the_same(dtype, fit_intercept):
    X, y, s, binary = make(dtype, fit_intercept)
    labels = np.random.default_rng(4).integers(0, 3, size=(1, len(y))) * 1.0
    rows = MemoryRows(Block(DenseFeatures(X.astype(dtype)), labels, s))
    rows, where = shift_rows(rows, binary.where)
    plain = Objective(rows, SoftmaxLoss(3), 0.7, where)
    copied = copy_softmax(plain)
    assert isinstance(copied, StandardisedSoftmax)
    theta = np.where(where.frozen, 0, np.random.default_rng(5).normal(size=(3, 7)))
    a, b = (each.evaluate(theta, hessian=True) for each in (plain, copied))
    for name in SUMS:
        expected = getattr(a, name)
        level = 1e-9 * np.abs(expected).max()
        np.testing.assert_allclose(getattr(b, name), expected, rtol=1e-9, atol=level, err_msg=name)
    np.testing.assert_allclose(b.bias_curvature, a.bias_curvature, rtol=1e-9, atol=1e-9)
    assert copied.evaluate(theta).hessian is None


def test_many_rows_are_left_as_they_are():
    X = np.random.default_rng(0).normal(size=(30_000, 3))
    y = np.arange(len(X))[None] % 3 * 1.0
    rows = MemoryRows(Block(DenseFeatures(X), y, np.ones(len(X))))
    plain = Objective(rows, SoftmaxLoss(3), 1.0, measure_columns(rows, True))
    assert copy_softmax(plain) is plain
    assert copy_standardised(plain) is plain
