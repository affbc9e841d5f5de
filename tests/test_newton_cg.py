"""Newton's method by products alone: the same optimum as the factored one, on any layout."""

import math

import numpy as np
import pytest
from exact import Exact
from hard import PROBLEMS, SEVERAL, make_hard, merge_equal_rows
from scipy import sparse

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import LARGEST_FACTORED, fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.bordered import factor_bordered, find_apart
from onelayer.solvers.kept import KeptRows

LOSSES = {"sigmoid": SigmoidLoss(1), "multi-label": SigmoidLoss(3), "softmax": SoftmaxLoss(4)}


def rows_of(features, labels, s=None, n_jobs=1):
    if isinstance(features, np.ndarray):
        features = DenseFeatures(features)
    s = np.ones(features.n_rows) if s is None else s
    return MemoryRows(Block(features, np.atleast_2d(labels) * 1.0, s), n_jobs)


def make_features(layout, n=150):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4)) * [1, 100, 1e-3, 1] + [0, 1e5, 0, 3]
    if layout == "dense":
        return DenseFeatures(X)
    if layout == "sparse":
        return SparseFeatures(sparse.random_array((n, 12), density=0.2, rng=rng).tocsr())
    codes = rng.integers(0, 6, (n, 2)).astype(np.int32)
    words = sparse.csr_array(rng.poisson(0.2, (n, 3)) * 1.0)
    return MixedFeatures(X[:, [0, 3]], codes, (6, 6), words)


def make_labels(loss, n=150):
    rng = np.random.default_rng(1)
    if isinstance(loss, SoftmaxLoss):
        return rng.integers(0, loss.n_outputs, n)
    return rng.random((loss.n_outputs, n)) < [[0.5], [0.1], [0.9]][: loss.n_outputs]


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("layout", ["dense", "sparse", "mixed"])
def test_it_agrees_with_the_factored_newton(layout, loss, fit_intercept):
    rows = rows_of(make_features(layout), make_labels(LOSSES[loss]))
    for C in (0.05, 30.0):
        options = {"C": C, "fit_intercept": fit_intercept, "tol": 1e-6}
        factored = fit(rows, LOSSES[loss], solver="newton", **options)
        # Its last step is not exact: coefficients that agree to 6 digits need a nearer end.
        applied = fit(rows, LOSSES[loss], solver="newton_cg", **{**options, "tol": 1e-8})
        assert factored.status == "optimal"
        assert applied.converged
        assert applied.certificate.kind == "applied"
        assert applied.certificate.rho <= 1e-6
        assert applied.objective == pytest.approx(factored.objective, rel=1e-11)
        size = np.abs(factored.W).max(axis=0)
        assert (np.abs(applied.W - factored.W) <= 2e-6 * size).all()


# Without a factor these may be left, with a word.
FAR = ("shifted", "nearly dependent", "rare", "separable", "separable, C = 1e10", "a far row")
TWO_CLASSES = [k for k in range(PROBLEMS) if not make_hard(k).kind.startswith(SEVERAL)]


@pytest.mark.parametrize("seed", TWO_CLASSES[:40])
def test_hard_problems_are_solved_or_said_to_be_left(seed):
    hard = make_hard(seed)
    classes = int(hard.y.max()) + 1
    loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(classes)
    got = fit(rows_of(hard.X, hard.y, hard.s), loss, C=hard.C, solver="newton_cg")
    assert got.status in ("optimal", "rounding", "stalled")
    few = merge_equal_rows(hard)
    exact = Exact(few.X, few.y, few.s, few.C)
    point = exact.pack(got.W, got.b)
    optimum, _ = exact.optimum(point)
    excess = exact.value(point) - exact.value(optimum)
    relative = excess / exact.value(optimum)
    assert excess <= got.certificate.gap
    if got.status == "optimal":
        assert relative <= 1e-8
    assert got.status == "optimal" or hard.kind in FAR


@pytest.mark.parametrize("loss", LOSSES)
def test_many_more_columns_than_rows(loss):
    """Auto never factors a Hessian of 3,000 columns; in the space of the rows, newton can check."""
    rng = np.random.default_rng(2)
    n, p, loss = 60, 3000, LOSSES[loss]
    X, labels = rng.normal(size=(n, p)), make_labels(loss, n)
    assert p * loss.n_outputs > LARGEST_FACTORED
    got = fit(rows_of(X, labels), loss, C=1.0, solver="newton_cg", tol=1e-6)
    assert got.status == "optimal"
    assert got.certificate.rho <= 1e-4
    rotation = np.linalg.qr(X.T)[0]  # weights outside the rows' span are 0, and |W| is kept
    small = fit(rows_of(X @ rotation, labels), loss, C=1.0, solver="newton", tol=1e-8)
    assert got.objective == pytest.approx(small.objective, rel=1e-10)
    np.testing.assert_allclose(got.W, small.W @ rotation.T, rtol=0, atol=1e-6)


def test_a_wide_sparse_table_with_rare_columns():
    rng = np.random.default_rng(3)
    X = sparse.random_array((2000, 4000), density=0.005, rng=rng).tocsr()
    y = (X[:, :5].sum(axis=1) + 0.1 * rng.normal(size=2000) > 0.05) * 1.0
    got = fit(rows_of(SparseFeatures(X), y), SigmoidLoss(1), C=10.0, tol=1e-6)
    assert got.status == "optimal"
    A, A1 = X.toarray(), 1 / (1 + np.exp(-(X @ got.W[0] + got.b[0, 0])))
    slope = A.T @ (A1 - y) + got.W[0] / 10  # the optimum is where the gradient is 0
    assert np.abs(slope).max() < 1e-6
    assert (A1 - y).sum() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_without_a_penalty_it_ends_without_a_proof_and_says_so(loss):
    loss = LOSSES[loss]
    rows = rows_of(make_features("dense"), make_labels(loss))
    got = fit(rows, loss, C=np.inf, solver="newton_cg")
    assert got.status == "unproved"
    assert not got.converged
    assert got.certificate.rho == math.inf
    assert "without a penalty" in got.certificate.reason
    assert "without a proof" in got.message
    proved = fit(rows, loss, C=np.inf, solver="newton")
    assert got.objective == pytest.approx(proved.objective, rel=1e-9)


def test_separated_classes_without_a_penalty():
    X = np.linspace(-1, 1, 40)[:, None]
    got = fit(rows_of(X, X[:, 0] > 0.1), SigmoidLoss(1), C=np.inf, solver="newton_cg")
    assert got.status == "separated"
    assert not got.certificate.proved


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_the_same_bits_for_any_number_of_threads(layout):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(20_000, 20))
    features = DenseFeatures(X)
    if layout == "sparse":
        features = SparseFeatures(sparse.csr_array(X * (rng.random(X.shape) < 0.4)))
    y = X[:, 0] > rng.logistic(size=20_000)
    found = [
        fit(rows_of(features, y, n_jobs=k), SigmoidLoss(1), solver="newton_cg") for k in (1, 2, 5)
    ]
    assert len({one.W.tobytes() + one.b.tobytes() for one in found}) == 1


def test_products_are_counted_as_passes():
    rows = rows_of(make_features("dense"), make_labels(SigmoidLoss(1)))
    got = fit(rows, SigmoidLoss(1), solver="newton_cg")
    # One for each step and the first look, and one for the last word.
    assert got.passes == len(got.history) + 1
    assert [p.iteration for p in got.history] == list(range(len(got.history)))


def make_large_category(layout, n=400):
    """Numbers and a small category beside one of more levels than there are other columns."""
    rng = np.random.default_rng(6)
    numbers = rng.normal(size=(n, 2)) * [1, 100] + [0, 1e3]
    codes = np.column_stack([rng.integers(0, 3, n), rng.zipf(1.3, n) % 40]).astype(np.int32)
    features = MixedFeatures(numbers, codes, (3, 40), None)
    push = rng.normal(size=(3, 40))[:, codes[:, 1]] + numbers[:, 0]
    labels = push + rng.logistic(size=(3, n)) > 0
    if layout == "sparse":
        levels = [np.eye(k)[codes[:, j]] for j, k in enumerate((3, 40))]
        features = SparseFeatures(sparse.csr_array(np.hstack([numbers, *levels])))
    return features, labels


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("layout", ["mixed", "sparse"])
def test_one_large_category_is_taken_out_exactly(layout, fit_intercept):
    features, labels = make_large_category(layout)
    for loss, y in ((SigmoidLoss(1), labels[:1]), (SigmoidLoss(3), labels)):
        rows = rows_of(features, y, np.random.default_rng(7).integers(0, 3, 400))
        assert find_apart(rows) == slice(5, 45)
        for C in (0.05, 1e3):
            options = {"C": C, "fit_intercept": fit_intercept}
            factored = fit(rows, loss, solver="newton", tol=1e-6, **options)
            applied = fit(rows, loss, solver="newton_cg", tol=1e-8, **options)
            assert applied.status == "optimal"
            assert applied.objective == pytest.approx(factored.objective, rel=1e-11)
            assert (np.abs(applied.W - factored.W) <= 2e-6 * np.abs(factored.W).max(axis=0)).all()
            assert applied.passes <= 6 * applied.iterations + 3  # with a diagonal, twice as many


def test_the_factor_beside_a_large_category_inverts_the_hessian():
    features, labels = make_large_category("sparse")
    rows = rows_of(features, labels[0])
    objective = Objective(rows, SigmoidLoss(1), 2.0, measure_columns(rows, True))
    theta = np.random.default_rng(8).normal(size=(1, 46))
    kept = KeptRows(objective)
    terms = kept.terms(kept.linear(theta))
    (factor,) = factor_bordered(objective, terms.curved, find_apart(rows))
    g = np.random.default_rng(9).normal(size=46)
    product, _ = kept.product(terms, np.asfortranarray(factor.solve(g)[None]))
    np.testing.assert_allclose(product[0], g, rtol=1e-8, atol=1e-8)


def test_a_table_without_a_large_category_has_no_columns_apart():
    for layout in ("dense", "sparse", "mixed"):
        assert find_apart(rows_of(make_features(layout), np.zeros(150))) == slice(0, 0)
    rng = np.random.default_rng(0)  # the first rows alone would tell of some
    places = np.column_stack([np.zeros(3000, int), 1 + rng.integers(0, 99, 3000)])
    places[-40:, 0] = 1 + rng.integers(0, 99, 40)
    X = sparse.csr_array((np.ones(6000), (np.repeat(np.arange(3000), 2), places.ravel())))
    apart = find_apart(rows_of(SparseFeatures(sparse.csr_array(X)), np.zeros(3000)))
    assert ((X[:, apart].toarray() != 0).sum(axis=1) <= 1).all()


@pytest.mark.parametrize("layout", ["mixed", "sparse"])
def test_the_same_bits_for_any_number_of_threads_beside_a_large_category(layout):
    features, labels = make_large_category(layout)
    one, two = (
        fit(rows_of(features, labels[:1], n_jobs=n_jobs), SigmoidLoss(1), solver="newton_cg")
        for n_jobs in (1, 3)
    )
    assert one.W.tobytes() == two.W.tobytes()
