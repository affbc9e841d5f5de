"""Steps over a few directions: their sums against the whole Hessian, and where they lead."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import subspace
from onelayer.solvers.kept import KeptRows

LOSSES = {"sigmoid": SigmoidLoss(1), "multi-label": SigmoidLoss(3), "softmax": SoftmaxLoss(4)}


def make_kept(loss, fit_intercept=True, n_jobs=1):
    rng = np.random.default_rng(0)
    X = sparse.random_array((120, 9), density=0.3, rng=rng).tocsr()
    if isinstance(loss, SoftmaxLoss):
        labels = rng.integers(0, loss.n_outputs, (1, 120)) * 1.0
    else:
        labels = rng.integers(0, 2, (loss.n_outputs, 120)) * 1.0
    rows = MemoryRows(Block(SparseFeatures(X), labels, rng.uniform(0.5, 2, 120)), n_jobs)
    return KeptRows(Objective(rows, loss, 3.0, measure_columns(rows, fit_intercept)))


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_sums_are_those_of_the_whole_hessian(loss, fit_intercept):
    kept = make_kept(loss, fit_intercept)
    objective, rng = kept.objective, np.random.default_rng(1)
    free = np.where(objective.where.frozen, 0.0, 1.0)
    theta = np.asfortranarray(rng.normal(size=(loss.n_outputs, objective.width)) * free)
    known = subspace.Directions(kept)
    drawn = [np.asfortranarray(rng.normal(size=theta.shape) * free) for _ in range(3)]
    for direction in drawn:
        known.add(direction, kept.linear(direction), theta)
    stand = subspace._stand(kept, theta, kept.linear(theta))
    slopes, H = subspace._sum_subspace(kept, known, stand)
    whole = objective.evaluate(theta, hessian=True)
    for group in range(loss.groups):
        own = slice(group, group + 1) if loss.groups > 1 else slice(None)
        span = [direction[own].ravel() for direction in drawn]
        biases = (loss.n_outputs - 1 or 1) if loss.groups == 1 else 1
        for k in range(biases if fit_intercept else 0):
            unit = np.zeros_like(theta[own])
            unit[k, -1] = 1
            span.append(unit.ravel())
        span = np.array(span)
        np.testing.assert_allclose(slopes[group], span @ whole.gradient[group], atol=1e-10)
        np.testing.assert_allclose(H[group], span @ whole.hessian[group] @ span.T, atol=1e-10)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_products_that_are_carried_along_stay_those_of_the_directions(loss, monkeypatch):
    monkeypatch.setattr(subspace, "FEWEST", 3)
    monkeypatch.setattr(subspace, "ROOM", 1)  # three directions, the oldest overwritten
    kept, rng = make_kept(loss), np.random.default_rng(2)
    theta = np.asfortranarray(rng.normal(size=(loss.n_outputs, kept.objective.width)))
    known, penalty = subspace.Directions(kept), kept.objective.penalty
    for _ in range(5):
        direction = np.asfortranarray(rng.normal(size=theta.shape))
        known.add(direction, kept.linear(direction), theta)
        shares = rng.normal(size=(loss.groups, known.count))
        step, moved = known.combine(shares)
        np.testing.assert_allclose(moved, kept.linear(step), atol=1e-9)
        theta = known.follow(theta, rng.normal(size=loss.groups), np.zeros(loss.n_outputs))
        for a in range(known.count):
            va = known.values[a].T
            pull = (va * penalty * theta).sum(axis=1).reshape(loss.groups, -1).sum(axis=1)
            np.testing.assert_allclose(known.pull[:, a], pull, rtol=1e-9, atol=1e-9)
            for b in range(known.count):
                products = (va * penalty * known.values[b].T).sum(axis=1)
                own = products.reshape(loss.groups, -1).sum(axis=1)
                np.testing.assert_allclose(known.ridge[:, a, b], own, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("classes", [2, 5])
def test_a_wide_table_takes_few_passes(classes):
    rng = np.random.default_rng(3)
    X = sparse.random_array((1500, 4000), density=0.01, rng=rng).tocsr()
    y = (X @ rng.normal(size=(4000, classes)) + rng.gumbel(size=(1500, classes))).argmax(axis=1)
    loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(classes)
    rows = MemoryRows(Block(SparseFeatures(X), y[None] * 1.0, np.ones(1500)), 2)
    got = fit(rows, loss)
    assert got.status == "optimal"
    assert got.passes <= 20  # conjugate gradients on Newton's equations take 29 and 33
    peer = LogisticRegression(tol=1e-8, max_iter=1000, solver="newton-cg").fit(X, y)
    np.testing.assert_allclose(got.W, peer.coef_, atol=2e-4 * np.abs(peer.coef_).max())


def test_the_bits_do_not_depend_on_the_number_of_threads():
    found = [
        subspace.approach(
            kept := make_kept(SoftmaxLoss(4), n_jobs=k), kept.objective.start(), 1e-6, 10.0, print
        ).theta
        for k in (1, 3)
    ]
    assert (found[0] == found[1]).all()
