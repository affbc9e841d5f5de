"""Wide dense tables, solved among the rows' products: the same optimum, proved on the table."""

import mpmath
import numpy as np
import pytest
from exact import DIGITS, Exact
from scipy import sparse

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns
from onelayer.errors import InputError
from onelayer.features.dense import DenseFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import costs, gram, row_products

LOSSES = {"sigmoid": SigmoidLoss(1), "multi-label": SigmoidLoss(3), "softmax": SoftmaxLoss(4)}


def make_rows(X, labels, s=None, n_jobs=1):
    features = X if isinstance(X, SparseFeatures) else DenseFeatures(X)
    s = np.ones(features.n_rows) if s is None else s
    return MemoryRows(Block(features, np.atleast_2d(labels) * 1.0, s), n_jobs)


def make_labels(loss, n, seed=1):
    rng = np.random.default_rng(seed)
    if isinstance(loss, SoftmaxLoss):
        return np.r_[np.arange(loss.n_outputs), rng.integers(0, loss.n_outputs, n)][:n]
    labels = rng.random((loss.n_outputs, n)) < 0.4
    labels[:, :2] = [True, False]
    return labels


def make_table(n, p, seed=0):
    """Columns far from 0 and of any scale, one constant, one the copy of another."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-2, 2, p) + rng.normal(size=p)
    X[:, 0], X[:, 1] = 3.0, X[:, 2]
    return X


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
def test_it_agrees_with_newton_in_the_rows_span(loss, fit_intercept):
    rng = np.random.default_rng(2)
    X, loss = rng.normal(size=(40, 300)), LOSSES[loss]
    labels = make_labels(loss, 40)
    options = {"C": 0.7, "fit_intercept": fit_intercept}
    got = fit(make_rows(X, labels), loss, solver="gram", tol=1e-6, **options)
    assert got.solver == "gram"
    assert got.status == "optimal"
    assert got.certificate.rho <= 1e-6
    rotation = np.linalg.qr(X.T)[0]  # weights outside the rows' span are 0, and |W| is kept
    small = fit(make_rows(X @ rotation, labels), loss, solver="newton", tol=1e-8, **options)
    assert got.objective == pytest.approx(small.objective, rel=1e-10)
    np.testing.assert_allclose(got.W, small.W @ rotation.T, rtol=0, atol=1e-6)
    np.testing.assert_allclose(got.b, small.b, rtol=0, atol=1e-6)


@pytest.fixture(params=["held", "applied", "rough"])
def way(request, monkeypatch):
    """How the rows' products enter, whatever would cost least."""
    price = 0.0 if request.param == "held" else np.inf
    monkeypatch.setattr(costs, "cost_of_held", lambda *sizes: price)
    if request.param == "rough":  # sums in float32, mended on the table
        monkeypatch.setattr(gram, "ROUGH", 0)
        monkeypatch.setattr(row_products.Applied, "most", 0)
    return request.param


@pytest.mark.parametrize("seed", range(8))
def test_the_proof_holds_against_sixty_digits(seed, way):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(6, 9)), int(rng.integers(9, 13))
    X, loss = make_table(n, p, seed), SoftmaxLoss(3) if seed % 4 == 3 else SigmoidLoss(1)
    y = np.ravel(make_labels(loss, n, seed)).astype(int)
    s = rng.uniform(0.2, 3, n)
    C = float(10.0 ** rng.uniform(-2, 3))
    got = fit(make_rows(X, y, s), loss, C=C, solver="gram")
    assert got.status == "optimal"
    with mpmath.workdps(DIGITS):
        exact = Exact(X, y, s, C)
        point = exact.pack(got.W, got.b)
        optimum, _ = exact.optimum(point)
        excess = exact.value(point) - exact.value(optimum)
        assert excess <= got.certificate.gap
        assert excess <= 1e-8 * exact.value(optimum)


def spread_out(n, p, seed):
    """Columns of any scale and rows that share a part: the rows' products have all curvatures."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.exp(2 * rng.normal(size=p)) + 3 * rng.normal(size=(n, 1))
    z = X[:, :5] @ rng.normal(size=5)
    return X, (z / z.std() + rng.logistic(size=n) > 0) * 1.0, rng.uniform(0.1, 4, n)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [1e-4, 1.0, 1e4])
def test_where_the_dual_steps_are_short_others_arrive(C, fit_intercept, way):
    X, y, s = spread_out(40, 200, 6)
    options = {"C": C, "fit_intercept": fit_intercept}
    got = fit(make_rows(X, y, s), SigmoidLoss(1), solver="gram", **options)
    expected = fit(make_rows(X, y, s), SigmoidLoss(1), solver="newton_cg", tol=1e-7, **options)
    assert got.status == "optimal"
    assert got.objective == pytest.approx(expected.objective, rel=1e-9)
    np.testing.assert_allclose(got.W @ X.T + got.b, expected.W @ X.T + expected.b, atol=2e-3)


def test_what_is_no_number_is_named():
    X, y, s = spread_out(40, 200, 7)
    X[7, 11] = np.nan
    with pytest.raises(InputError, match="row 7, column 11"):
        fit(make_rows(X, y, s), SigmoidLoss(1), solver="gram")


def test_progress_is_told():
    X, y, s = spread_out(40, 400, 8)
    told = []
    got = fit(make_rows(X, y, s), SigmoidLoss(1), watch=told.append)
    assert got.solver == "gram"
    assert tuple(told) == got.history
    assert told[-1].objective == got.objective


def test_auto_takes_it_for_wide_dense_tables_alone():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(60, 3000)), make_labels(SigmoidLoss(1), 60)
    assert fit(make_rows(X, y), SigmoidLoss(1)).solver == "gram"
    assert fit(make_rows(X, y), SigmoidLoss(1), C=np.inf).solver != "gram"
    thin = SparseFeatures(sparse.csr_array(X * (rng.random(X.shape) < 0.02)))
    assert fit(make_rows(thin, y), SigmoidLoss(1)).solver == "newton_cg"


def test_a_start_nearby_needs_no_products_of_rows():
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(60, 3000)), make_labels(SigmoidLoss(1), 60)
    first = fit(make_rows(X, y), SigmoidLoss(1), tol=1e-7)
    again = fit(make_rows(X, y), SigmoidLoss(1), solver="gram", start=(first.W, first.b))
    assert again.status == "optimal"
    assert again.passes < 10
    np.testing.assert_allclose(again.W, first.W, atol=1e-5)


@pytest.mark.parametrize("C", [1.0, np.inf])
def test_what_it_is_not_for_is_refused(C):
    rng = np.random.default_rng(5)
    n, p = (60, 5) if C == 1 else (60, 3000)
    rows = make_rows(rng.normal(size=(n, p)), make_labels(SigmoidLoss(1), n))
    with pytest.raises(InputError, match="gram"):
        fit(rows, SigmoidLoss(1), C=C, solver="gram")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_products_of_rows_are_those_of_the_centred_table(dtype):
    X = make_table(30, 2000)
    rows = make_rows(X, make_labels(SigmoidLoss(1), 30))
    objective = Objective(rows, SigmoidLoss(1), 2.5, measure_columns(rows, True))
    K = gram.sum_centred_products(objective, np.dtype(dtype))
    centred = X - X.mean(axis=0)
    expected = 2.5 * centred @ centred.T
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    wrong = np.abs(np.tril(K - expected)) / size
    assert wrong.max() <= 60 * np.finfo(dtype).eps


def test_the_same_bits_for_any_number_of_threads(way):
    X, y = make_table(80, 4000), make_labels(SigmoidLoss(1), 80)
    found = [fit(make_rows(X, y, n_jobs=k), SigmoidLoss(1), solver="gram") for k in (1, 2, 5)]
    assert len({one.W.tobytes() + one.b.tobytes() for one in found}) == 1
