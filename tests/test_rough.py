"""Sums in float32 for guesses, against plain formulas in float64."""

import numpy as np
import pytest

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns
from onelayer.features.dense import DenseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, even_weights
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.rough import RoughObjective, may_be_rough

N, P = 60_000, 20


def draw(dtype=np.float32, order="C"):
    rng = np.random.default_rng(7)
    X = rng.normal(3.0, 2.0, size=(N, P))
    X[:, 1:] += X[:, :-1]
    y = (X @ rng.normal(size=P) / 8 + rng.logistic(size=N) > 0) * 1
    return np.asarray(X, dtype=dtype, order=order), y, rng.integers(1, 4, N).astype(float)


def objective_of(X, y, s=None, n_jobs=None):
    block = Block(DenseFeatures(X), y[None].astype(np.int8), even_weights(N) if s is None else s)
    rows = MemoryRows(block, n_jobs)
    return Objective(rows, SigmoidLoss(1), 1.0, measure_columns(rows, True))


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("weighted", [False, True])
def test_value_slope_and_curvature_are_the_formulas(order, weighted):
    X, y, s = draw(order=order)
    objective = objective_of(X, y, s if weighted else None)
    assert may_be_rough(objective)
    rough, where = RoughObjective(objective), objective.where
    s = s if weighted else np.ones(N)
    theta = rough.place(np.random.default_rng(1).normal(size=(1, P + 1)) / 3)
    found = rough.evaluate(theta, hessian=True)
    A = np.column_stack([(X.astype(float) - where.centre) / where.spread, np.ones(N)])
    z = A @ theta[0]
    p = 1 / (1 + np.exp(-z))
    value = s @ np.logaddexp(0, np.where(y == 1, -z, z)) + theta[0, :-1] ** 2 @ (
        0.5 / where.spread**2
    )
    ridge = np.append(1 / where.spread**2, 0)
    slope = A.T @ (s * (p - y)) + ridge * theta[0]
    H = (A * (s * p * (1 - p))[:, None]).T @ A + np.diag(ridge)
    assert found.value[0] == pytest.approx(value, rel=1e-6)
    off = found.gradient[0] - slope
    size, error = (np.sqrt(g @ np.linalg.solve(H, g)) for g in (slope, off))  # standard errors
    assert error < 1e-3 + 1e-5 * size
    np.testing.assert_allclose(found.hessian[0], H, rtol=1e-4, atol=1e-5 * np.abs(H).max())


def test_far_rows_have_a_slope_of_1():
    X, y, _ = draw()
    rough = RoughObjective(objective_of(X, y))
    theta = np.zeros((1, P + 1))
    theta[0, -1] = 500.0  # every row is taken for a 1
    found = rough.evaluate(rough.place(theta), hessian=True)
    assert found.gradient[0, -1] == pytest.approx((y == 0).sum(), rel=1e-6)
    assert np.isfinite(found.value).all()
    assert np.isfinite(found.hessian).all()


def test_what_float32_cannot_hold_is_left_to_float64():
    X, y, s = draw()
    assert not may_be_rough(objective_of(X.astype(float), y))
    assert not may_be_rough(objective_of(X * np.float32(1e25), y))
    assert not may_be_rough(objective_of(X, y, s * 1e20))


def test_the_number_of_threads_changes_no_bit():
    X, y, s = draw()
    theta = np.random.default_rng(1).normal(size=(1, P + 1)) / 3
    one, two = (
        RoughObjective(objective_of(X, y, s, n_jobs)).evaluate(theta, hessian=True)
        for n_jobs in (1, 3)
    )
    assert one.value == two.value
    assert np.array_equal(one.gradient, two.gradient)
    assert np.array_equal(one.hessian, two.hessian)


@pytest.mark.parametrize("tol", [1e-4, 1e-8])
def test_the_answer_and_its_proof_are_float64s(tol):
    X, y, s = draw()
    block = Block(DenseFeatures(X), y[None], s)
    found = fit(MemoryRows(block), SigmoidLoss(1), tol=tol)
    wide = Block(DenseFeatures(X.astype(float)), y[None], s)
    best = fit(MemoryRows(wide), SigmoidLoss(1), tol=1e-9, solver="newton")
    assert found.certificate.kind == "sampled"
    assert found.certificate.rho <= tol
    assert found.objective - best.objective <= found.certificate.gap + 1e-13 * best.objective
