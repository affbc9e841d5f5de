"""The short way for small tables against the general Newton's method, and what it leaves to it."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from onelayer.blocks import Block
from onelayer.features.dense import DenseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import direct


def table(seed, n=150, p=5, scale=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-3, 3, p) + rng.normal(size=p)
    Z = scale * (X - X.mean(axis=0)) @ (rng.normal(size=p) / X.std(axis=0))
    return X, (Z + rng.logistic(size=n) > 0) * 1.0, rng.integers(1, 5, n) * 0.5


def rows_of(X, y, s=None):
    return MemoryRows(Block(DenseFeatures(X), y[None], np.ones(len(y)) if s is None else s))


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [1e-3, 1.0, 1e4, np.inf])
@pytest.mark.parametrize("seed", range(4))
def test_the_answer_is_newtons(seed, C, fit_intercept):
    X, y, s = table(seed)
    rows = rows_of(X, y, s)
    got = direct.solve(rows, C, fit_intercept, 1e-4)
    general = fit(rows, SigmoidLoss(1), C=C, fit_intercept=fit_intercept, solver="newton", tol=1e-8)
    assert got is not None
    assert got.status == "optimal"
    assert got.certificate.kind == "factored"
    assert got.certificate.rho <= 1e-4
    np.testing.assert_allclose(got.W * X.std(axis=0), general.W * X.std(axis=0), atol=1e-6)
    np.testing.assert_allclose(got.b, general.b, rtol=1e-6, atol=1e-6)
    assert got.objective == pytest.approx(general.objective, rel=1e-12)
    assert got.cost == pytest.approx(general.cost, rel=1e-9)
    assert got.history[0].objective == pytest.approx(general.history[0].objective, rel=1e-12)


@pytest.mark.parametrize("n", [150, 5000])
def test_the_second_point_is_fishers_discriminant(n):
    X, y, _ = table(0, n=n)
    problem = direct.standardise(rows_of(X, y), np.inf, True, 1e-4)
    base = direct._begin(problem, direct.start_at(problem, True, None))
    theta = direct._discriminate(problem, base, True).theta
    W, b = direct.to_parameters(problem, theta, True)
    other = LinearDiscriminantAnalysis("lsqr").fit(X, y)
    np.testing.assert_allclose(W, other.coef_, rtol=1e-8)
    np.testing.assert_allclose(b, other.intercept_[None], rtol=1e-8)
    cold = fit(rows_of(X, y), SigmoidLoss(1), solver="newton")
    assert direct.solve(rows_of(X, y), 1.0, True, 1e-4).passes < cold.passes


@pytest.mark.parametrize("C", [1.0, 1e5])
def test_classes_far_apart_are_reached_by_short_steps(C):
    X, y = load_iris(return_X_y=True)
    for k in range(3):
        rows = rows_of(X, (y == k) * 1.0)
        got = direct.solve(rows, C, True, 1e-4)
        assert got is not None
        general = fit(rows, SigmoidLoss(1), C=C, solver="newton", tol=1e-8)
        assert got.objective == pytest.approx(general.objective, rel=1e-9)


def test_a_given_start_is_taken():
    X, y, _ = table(1)
    first = direct.solve(rows_of(X, y), 1.0, True, 1e-4)
    assert first is not None
    again = direct.solve(rows_of(X, y), 1.0, True, 1e-4, start=(first.W, first.b))
    assert again is not None
    assert again.passes == 1


def constant(X, y):
    return np.column_stack([X, np.full(len(X), 7.0)]), y


def dependent(X, y):
    return np.column_stack([X, X[:, 0] + X[:, 1]]), y


def missing(X, y):
    return np.where(X[3, 2] == X, np.nan, X), y


def separated(X, y):
    return X, (X[:, 0] > np.median(X[:, 0])) * 1.0


@pytest.mark.parametrize("change", [constant, dependent, missing, separated])
def test_what_is_not_plain_sailing_is_left_to_the_general_solvers(change):
    X, y, _ = table(2)
    assert direct.solve(rows_of(*change(X, y)), np.inf, True, 1e-4) is None


def test_progress_is_told():
    X, y, _ = table(3)
    told = []
    got = fit(rows_of(X, y), SigmoidLoss(1), watch=told.append)
    assert tuple(told) == got.history
    assert told[-1].rho <= 1e-4
