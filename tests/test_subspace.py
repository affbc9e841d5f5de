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
from onelayer.solvers.shares import Shares
from onelayer.solvers.spaces import choose_weights

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
    space, stand = choose_weights(kept, theta, 1e-4, 10.0)
    theta, known = stand.theta, subspace.Directions(space)
    drawn = [np.asfortranarray(rng.normal(size=theta.shape) * free) for _ in range(3)]
    for direction in drawn:
        known.add(space, direction, kept.linear(direction), theta)
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
    space, _ = choose_weights(kept, theta, 1e-4, 10.0)
    known, penalty = subspace.Directions(space), kept.objective.penalty
    for _ in range(5):
        direction = np.asfortranarray(rng.normal(size=theta.shape))
        known.add(space, direction, kept.linear(direction), theta)
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


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_shares_of_rows_are_weights_told_in_other_numbers(loss, fit_intercept):
    kept, rng = make_kept(loss, fit_intercept), np.random.default_rng(4)
    objective, space = kept.objective, Shares(kept, kept, 1e-4)
    theta = rng.normal(size=(loss.n_outputs, space.width))
    theta[:, -1] *= fit_intercept
    if loss.groups < loss.n_outputs:
        theta[:, :-1] -= theta[:, :-1].mean(axis=0)
    weights = np.asfortranarray(space.to_weights(theta))
    logits = kept.linear(weights)
    stand = space.look(theta, logits, kept.terms(logits))
    whole, gradient = kept.evaluate(weights, stand.terms)
    np.testing.assert_allclose(stand.value, whole.value, rtol=1e-12)
    size = np.square(gradient[:, :-1]) / objective.penalty[:-1]
    size = np.sqrt(size.sum(axis=1).reshape(loss.groups, -1).sum(axis=1))
    np.testing.assert_allclose(stand.size, size, rtol=1e-9)

    slope, moved = space.direct(stand)
    turned = space.to_weights(slope)
    expected = gradient[:, :-1] / objective.penalty[:-1]
    np.testing.assert_allclose(turned[:, :-1], expected, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(moved, kept.linear(turned), atol=1e-9 * np.abs(moved).max())
    known = subspace.Directions(space)
    known.add(space, slope, moved, theta)
    ridge = (turned * objective.penalty * turned).sum(axis=1)
    pull = (turned * objective.penalty * weights).sum(axis=1)
    for found, each in ((known.ridge[:, 0, 0], ridge), (known.pull[:, 0], pull)):
        np.testing.assert_allclose(found, each.reshape(loss.groups, -1).sum(axis=1), rtol=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_wide_table_with_weights_comes_to_the_optimum_of_scikit_learn(fit_intercept):
    rng = np.random.default_rng(5)
    X = sparse.random_array((200, 900), density=0.03, rng=rng).tocsr()
    y, weights = rng.integers(0, 3, 200), rng.uniform(0, 2, 200).round(1)
    rows = MemoryRows(Block(SparseFeatures(X), y[None] * 1.0, weights))
    got = fit(rows, SoftmaxLoss(3), C=20.0, fit_intercept=fit_intercept)
    assert got.status == "optimal"
    peer = LogisticRegression(
        C=20.0, tol=1e-9, max_iter=5000, solver="newton-cg", fit_intercept=fit_intercept
    ).fit(X, y, weights)
    np.testing.assert_allclose(got.W, peer.coef_, atol=2e-4 * np.abs(peer.coef_).max())


@pytest.mark.parametrize("classes", [2, 5])
def test_a_wide_table_takes_few_passes(classes):
    rng = np.random.default_rng(3)
    X = sparse.random_array((1500, 4000), density=0.01, rng=rng).tocsr()
    y = (X @ rng.normal(size=(4000, classes)) + rng.gumbel(size=(1500, classes))).argmax(axis=1)
    loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(classes)
    rows = MemoryRows(Block(SparseFeatures(X), y[None] * 1.0, np.ones(1500)), 2)
    got = fit(rows, loss)
    assert got.status == "optimal"
    assert got.passes <= 22  # conjugate gradients on Newton's equations take 29 and 33
    peer = LogisticRegression(tol=1e-8, max_iter=1000, solver="newton-cg").fit(X, y)
    np.testing.assert_allclose(got.W, peer.coef_, atol=2e-4 * np.abs(peer.coef_).max())


def test_the_bits_do_not_depend_on_the_number_of_threads():
    found = []
    for k in (1, 3):
        kept = make_kept(SoftmaxLoss(4), n_jobs=k)
        start, shares = kept.objective.start(), Shares(kept, kept, 1e-6)
        ways = (
            choose_weights(kept, start, 1e-6, 10.0),
            (shares, shares.stand(np.zeros((4, 121)))),
        )
        found.append([subspace.approach(*way, print).stand.theta for way in ways])
    for one, three in zip(*found, strict=True):
        assert (one == three).all()
