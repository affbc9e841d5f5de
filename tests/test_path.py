"""Paths of strengths: each point is the fit alone, and warm starts save passes."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import l1_min_c

from onelayer import one_layer_path
from onelayer.blocks import Block
from onelayer.errors import InputError
from onelayer.estimator import OneLayerClassifier
from onelayer.features.dense import DenseFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.path import fit_path
from onelayer.rows.memory import MemoryRows


def draw(seed, n=120, p=8):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-1, 1, p)
    return X, (X @ rng.normal(size=p) + rng.logistic(size=n) > 0).astype(int)


def rows_of(X, y):
    return MemoryRows(Block(DenseFeatures(X), np.atleast_2d(y) * 1.0, np.ones(X.shape[0])))


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_each_point_is_the_fit_alone(l1_ratio):
    X, y = draw(0)
    path = fit_path(rows_of(X, y), SigmoidLoss(1), 12, l1_ratio=l1_ratio, tol=1e-9)
    for C, solution in zip(path.Cs, path.solutions, strict=True):
        alone = fit(rows_of(X, y), SigmoidLoss(1), C=C, l1_ratio=l1_ratio, tol=1e-9)
        np.testing.assert_allclose(solution.W, alone.W, rtol=1e-6, atol=1e-9)
        assert solution.objective == pytest.approx(alone.objective, rel=1e-10)
        assert solution.certificate.proved
    assert path.coefs.shape == (12, 1, 8)
    assert path.intercepts.shape == (12, 1)
    assert len(path.certificates) == 12


def test_warm_starts_save_passes():
    X, y = draw(1, n=500)
    path = fit_path(rows_of(X, y), SigmoidLoss(1), 30)
    alone = [fit(rows_of(X, y), SigmoidLoss(1), C=C, l1_ratio=1.0).passes for C in path.Cs]
    assert sum(solution.passes for solution in path.solutions) < 0.6 * sum(alone)


def test_a_kept_hessian_is_not_bent_by_rounding():
    """Levels of many categories depend on each other: next to nothing curves along some steps."""
    rng, parts = np.random.default_rng(1), []
    for k in (2, 2, 5, 8, 16, 7, 14, 6, 5, 2, 5, 5, 5, 41):
        level = rng.choice(k, size=2000, p=rng.dirichlet(np.full(k, 0.5)))
        parts.append(sparse.csr_matrix(np.eye(k)[level]))
    X = sparse.hstack(parts).tocsr()
    y = (X @ rng.normal(size=X.shape[1]) + rng.logistic(size=2000) > 1) * 1.0
    rows = MemoryRows(Block(SparseFeatures(X), y[None], np.ones(2000)), 1)
    for solution in fit_path(rows, SigmoidLoss(1), 50).solutions:
        assert solution.status == "optimal"
        assert solution.certificate.gap <= 1e-9 * solution.objective


def test_the_first_strength_is_the_last_without_weights():
    """Where scikit-learn's closed form puts it, for the same penalty with a free bias."""
    X, y = draw(2)
    centred = X - X.mean(axis=0)  # so that a bias at its best changes nothing
    balanced = np.vstack([centred, -centred])
    labels = np.append(y, 1 - y)
    path = fit_path(rows_of(balanced, labels), SigmoidLoss(1), 5)
    assert path.Cs[0] == pytest.approx(l1_min_c(balanced, labels, loss="log"), rel=1e-9)
    assert path.Cs[-1] == pytest.approx(1000 * path.Cs[0])
    assert not path.coefs[0].any()
    assert (path.coefs[1] != 0).any()
    just = fit(rows_of(X, y), SigmoidLoss(1), C=1.001 * _first(X, y), l1_ratio=1.0)
    assert np.count_nonzero(just.W) == 1


def _first(X, y):
    return 1 / np.abs((y - y.mean()) @ X).max()


def test_elastic_net_begins_later():
    X, y = draw(3)
    pure = fit_path(rows_of(X, y), SigmoidLoss(1), 2)
    half = fit_path(rows_of(X, y), SigmoidLoss(1), 2, l1_ratio=0.5)
    assert half.Cs[0] == pytest.approx(0.5 * pure.Cs[0])


def test_wide_paths_lose_no_column():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(70, 1200))
    y = (X[:, :4].sum(axis=1) + 0.5 * rng.normal(size=70) > 0).astype(int)
    path = fit_path(rows_of(X, y), SigmoidLoss(1), 8, tol=1e-8)
    assert path.Cs[-1] == pytest.approx(100 * path.Cs[0])
    for C, solution in zip(path.Cs, path.solutions, strict=True):
        assert solution.status == "optimal"
        z = X @ solution.W[0] + solution.b[0, 0]
        slopes = X.T @ (1 / (1 + np.exp(-z)) - y)
        assert np.abs(slopes).max() <= (1 + 1e-6) / C


def test_equal_columns_among_many():
    """A column equal to one that takes part is as steep: no working set is opened for it."""
    rng = np.random.default_rng(3)
    X = sparse.random_array((300, 1500), density=0.02, rng=rng, format="csc")
    X = sparse.hstack([X, X[:, ::2]], format="csr")
    y = (X @ rng.normal(size=2250) + 0.3 * rng.logistic(size=300) > 0) * 1.0
    rows = MemoryRows(Block(SparseFeatures(sparse.csr_array(X)), y[None], np.ones(300)))
    for C, solution in zip((4.0, 40.0), fit_path(rows, SigmoidLoss(1), (4.0, 40.0)).solutions):
        miss = 1 / (1 + np.exp(-(X @ solution.W[0] + solution.b[0, 0]))) - y
        slopes, held = X.T @ miss, solution.W[0] != 0
        assert held.sum() > 50
        np.testing.assert_allclose(slopes[held], -np.sign(solution.W[0][held]) / C, rtol=1e-5)
        assert (np.abs(slopes) <= (1 + 1e-5) / C).all()
        assert solution.status == "optimal"
        assert solution.passes < 60


def test_several_outputs():
    X, y = draw(6)
    Y = np.stack([y, X[:, 0] > 0.1])
    Y[1, :9] = 1 - Y[1, :9]
    path = fit_path(rows_of(X, Y), SigmoidLoss(2), [0.5, 0.05], l1_ratio=0.9, tol=1e-9)
    assert path.Cs.tolist() == [0.05, 0.5]
    together = fit(rows_of(X, Y), SigmoidLoss(2), C=0.5, l1_ratio=0.9, tol=1e-9)
    np.testing.assert_allclose(path.solutions[1].W, together.W, atol=1e-8)
    classes = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
    softmax = fit_path(rows_of(X, classes), SoftmaxLoss(3), 6)
    assert {solution.status for solution in softmax.solutions} == {"optimal"}


def test_the_scikit_learn_door():
    X, y = draw(7)
    names = np.array(["no", "yes"])[y]
    options = {"Cs": [0.03, 0.3], "l1_ratio": 0.8, "class_weight": "balanced", "tol": 1e-8}
    path = one_layer_path(X, names, **options)
    network = OneLayerClassifier(C=0.3, l1_ratio=0.8, class_weight="balanced", tol=1e-8)
    network.fit(X, names)
    np.testing.assert_allclose(path.coefs[1], network.coef_, atol=1e-6)
    thin = one_layer_path(sparse.csr_array(X), names, Cs=[0.03, 0.3], l1_ratio=0.8)
    assert thin.coefs.shape == (2, 1, 8)


@pytest.mark.parametrize("Cs", [0, [], [0.0], [-1.0, 1.0], [np.nan]])
def test_no_strengths(Cs):
    X, y = draw(8)
    with pytest.raises(InputError, match="Cs is"):
        one_layer_path(X, y, Cs=Cs)


def test_a_share_out_of_range():
    X, y = draw(8)
    with pytest.raises(InputError, match="l1_ratio"):
        one_layer_path(X, y, l1_ratio=1.5)
    with pytest.raises(InputError, match="l1_ratio"):
        fit_path(rows_of(X, y), SigmoidLoss(1), l1_ratio=-0.1)
