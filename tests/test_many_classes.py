"""Softmax problems of many parameters: preconditioned products, samples, and their proofs."""

import mpmath
import numpy as np
import pytest
from exact import DIGITS, Exact
from scipy import sparse

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns
from onelayer.features.dense import DenseFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import newton_cg, preconditioner
from onelayer.solvers.kept import KeptRows


def make_rows(X, y, s=None, n_jobs=1):
    features = SparseFeatures(X) if sparse.issparse(X) else DenseFeatures(X)
    s = np.ones(len(y)) if s is None else s
    return MemoryRows(Block(features, y[None] * 1.0, s), n_jobs)


def draw_classes(X, k, seed=0, strength=1.0):
    rng = np.random.default_rng(seed)
    Z = strength * (X @ rng.normal(size=(X.shape[1], k))) + rng.gumbel(size=(X.shape[0], k))
    y = Z.argmax(axis=1)
    y[:k] = np.arange(k)
    return y


@pytest.mark.parametrize("strength", [0.3, 5.0])
def test_auto_applies_the_hessian_of_many_classes(strength):
    """Near-separable classes too, where a few rows hold nearly all curvature."""
    X = np.random.default_rng(0).normal(size=(900, 40))
    y = draw_classes(X, 9, strength=strength)
    got = fit(make_rows(X, y), SoftmaxLoss(9), tol=1e-6)
    exact = fit(make_rows(X, y), SoftmaxLoss(9), solver="newton", tol=1e-7)
    assert got.solver == "newton_cg"
    assert got.status == exact.status == "optimal"
    assert got.certificate.rho <= 1e-6
    assert got.objective == pytest.approx(exact.objective, rel=1e-10)
    np.testing.assert_allclose(got.W, exact.W, rtol=0, atol=2e-6 * np.abs(exact.W).max())


@pytest.mark.parametrize("seed", range(12))
def test_the_proof_holds_against_sixty_digits(seed, monkeypatch):
    """With every preconditioner in use from the first equation on."""
    monkeypatch.setattr(preconditioner, "cost_of_hessian", lambda *a, **k: 0.0)
    monkeypatch.setattr(preconditioner, "cost_of_blocks", lambda *a, **k: 0.0)
    if seed % 2:
        monkeypatch.setattr(preconditioner, "LARGEST", 0)  # the classes' own blocks
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(24, 4)) * 10.0 ** rng.uniform(-3, 3, 4) + rng.normal(size=4)
    y, s = draw_classes(X / X.std(axis=0), 3, seed), rng.uniform(0.2, 3, 24)
    C = float(10.0 ** rng.uniform(-2, 3))
    got = fit(make_rows(X, y, s), SoftmaxLoss(3), C=C, solver="newton_cg")
    assert got.status == "optimal"
    with mpmath.workdps(DIGITS):
        exact = Exact(X, y, s, C)
        point = exact.pack(got.W, got.b)
        optimum, _ = exact.optimum(point)
        excess = exact.value(point) - exact.value(optimum)
        assert excess <= got.certificate.gap
        assert excess <= 1e-8 * exact.value(optimum)


def test_a_wide_sparse_softmax():
    rng = np.random.default_rng(1)
    X = sparse.random_array((1500, 4000), density=0.01, rng=rng).tocsr()
    y = draw_classes(X, 12, strength=3.0)
    got = fit(make_rows(X, y), SoftmaxLoss(12), C=10.0)
    assert got.status == "optimal"
    Z = X @ got.W.T + got.b[:, 0]
    P = np.exp(Z - Z.max(axis=1)[:, None])
    P /= P.sum(axis=1)[:, None]
    P[np.arange(len(y)), y] -= 1
    slope = (X.T @ P).T + got.W / 10  # the optimum is where the gradient is 0
    assert np.abs(slope).max() < 1e-4
    assert np.abs(P.sum(axis=0)).max() < 1e-3


@pytest.mark.parametrize("columns", [6, 30])
def test_the_whole_hessian_of_all_rows_solves_an_equation_at_once(columns):
    X = np.random.default_rng(2).normal(size=(400, columns)) + 3
    y = draw_classes(X, 5, strength=0.3)
    rows = make_rows(X, y)
    objective = Objective(rows, SoftmaxLoss(5), 1.0, measure_columns(rows, True))
    kept, theta = KeptRows(objective), np.asfortranarray(objective.start())
    terms = kept.terms(kept.linear(theta))
    gradient = kept.evaluate(theta, terms)[1]
    step = preconditioner.invert_hessian(kept, terms, 400)(gradient)
    product, _ = kept.product(terms, step)
    assert np.abs(product - gradient).max() <= 1e-5 * np.abs(gradient).max()


@pytest.mark.parametrize("loss", [SigmoidLoss(1), SoftmaxLoss(3)])
def test_products_with_logits_kept_are_those_of_the_objective(loss):
    rng = np.random.default_rng(3)
    X = sparse.random_array((300, 50), density=0.2, rng=rng).tocsr()
    rows = make_rows(X, rng.integers(0, max(2, loss.n_outputs), 300), rng.uniform(0, 2, 300), 2)
    objective = Objective(rows, loss, 0.5, measure_columns(rows, True))
    theta, V = (np.asfortranarray(rng.normal(size=(loss.n_outputs, 51))) for _ in range(2))
    kept = KeptRows(objective)
    terms = kept.terms(kept.linear(theta))
    evaluation, gradient = kept.evaluate(theta, terms)
    whole = objective.evaluate(theta)
    np.testing.assert_allclose(evaluation.value, whole.value, rtol=1e-12)
    np.testing.assert_allclose(gradient.ravel(), whole.gradient.ravel(), rtol=1e-9, atol=1e-9)
    product = objective.multiply(theta, V)
    np.testing.assert_allclose(kept.product(terms, V)[0], product, rtol=1e-9, atol=1e-9)


def test_rows_are_drawn_by_how_much_they_curve():
    curvature = np.r_[np.full(20, 50.0), np.random.default_rng(4).uniform(0, 1e-2, 5000)]
    drawn, scale = preconditioner._draw(curvature, 300)
    assert abs(len(drawn) - 300) <= 5
    assert set(range(20)) <= set(drawn.tolist())
    assert (scale[:20] == 1).all()
    assert (curvature[drawn] * scale).sum() == pytest.approx(curvature.sum(), rel=0.05)


def test_a_tall_softmax_is_solved_with_a_samples_hessian():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(70_000, 16)) * 10.0 ** rng.uniform(-2, 2, 16) + 5
    y = draw_classes((X - 5) / X.std(axis=0), 3, strength=0.5)
    got = fit(make_rows(X, y, n_jobs=2), SoftmaxLoss(3))
    assert got.status == "optimal"
    assert got.certificate.kind == "sampled"
    assert got.certificate.rho <= 1e-4
    exact = fit(make_rows(X, y, n_jobs=2), SoftmaxLoss(3), solver="newton", tol=1e-7)
    assert got.objective == pytest.approx(exact.objective, rel=1e-9)
    assert got.objective - exact.objective <= got.certificate.gap + 1e-12 * exact.objective


def test_any_parameters_can_be_measured():
    X = np.random.default_rng(6).normal(size=(200, 5))
    y = draw_classes(X, 3)
    rows = make_rows(X, y)
    objective = Objective(rows, SoftmaxLoss(3), 1.0, measure_columns(rows, True))
    found = fit(rows, SoftmaxLoss(3), tol=1e-9)
    theta = objective.where.from_parameters(found.W, found.b)
    certificate = newton_cg.certify(objective, theta)
    assert certificate.rho <= 1e-6
    theta[0, 0] += 1e-3
    moved = newton_cg.certify(objective, theta)
    assert moved.gap >= float(objective.evaluate(theta).value[0]) - found.objective


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_columns_of_any_scale_are_left_to_factors_where_products_are_too_many(form):
    """Scales from 1e-8 to 1e8: up to 56,000 products, and no proof at the end."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 121)) * (rng.random((30, 121)) < 0.1)
    y = draw_classes(X, 3, strength=3.0)
    X *= 10.0 ** rng.uniform(-8, 8, 121)
    got = fit(make_rows(form(X), y), SoftmaxLoss(3), C=600.0)
    exact = fit(make_rows(X, y), SoftmaxLoss(3), C=600.0, solver="newton", tol=1e-7)
    assert got.status == exact.status == "optimal"
    assert got.passes < 5000
    assert got.objective == pytest.approx(exact.objective, rel=1e-6)
