"""L1 and elastic net: exact optima, exact zeros, and a certificate that never promises too much."""

import itertools

import numpy as np
import pytest
from exact import Exact, sqrt
from hard import KINDS, PROBLEMS, make_hard
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns, shift_rows
from onelayer.errors import InputError
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import duality, proximal_step
from onelayer.solvers.penalised import shift_classes, split_outputs
from onelayer.solvers.proximal_round import shrink_base
from onelayer.solvers.rows_hessian import RowsHessian


def rows_of(X, y, s=None, n_jobs=None):
    features = SparseFeatures(X) if sparse.issparse(X) else X
    features = DenseFeatures(X) if isinstance(X, np.ndarray) else features
    y = np.atleast_2d(y).astype(float)
    return MemoryRows(Block(features, y, np.ones(y.shape[1]) if s is None else s), n_jobs)


def minimum_by_trying(X, y, alpha, ridge=0.0):
    """F's minimum over every choice of zeros and signs, float64; for p of 5 at most."""
    n, p = X.shape
    sign_y, best = np.where(y == 1, 1.0, -1.0), np.inf
    A = np.column_stack([X, np.ones(n)])
    for signs in itertools.product((-1, 0, 1), repeat=p):
        s = np.array([*signs, 0.0])
        kept = np.append(s[:-1] != 0, True)
        w = np.zeros(p + 1)
        for _ in range(100):
            m = sign_y * (A @ w)
            P = 1 / (1 + np.exp(m))
            g = -(A.T @ (sign_y * P)) + alpha * s + ridge * np.append(w[:-1], 0)
            H = (A.T * (P * (1 - P))) @ A + ridge * np.diag(np.append(np.ones(p), 0))
            step = np.linalg.lstsq(H[np.ix_(kept, kept)], g[kept], rcond=None)[0]
            length = min(1.0, 2.0 / max(np.abs(A[:, kept] @ step).max(), 1e-300))
            w[kept] -= length * step
            if np.abs(step).max() < 1e-12:
                break
        if np.isfinite(w).all() and (np.sign(w[:-1]) * signs >= 0).all():
            loss = np.logaddexp(0, -sign_y * (A @ w)).sum()
            l1 = alpha * np.abs(w[:-1]).sum()
            best = min(best, loss + l1 + 0.5 * ridge * np.square(w[:-1]).sum())
    return best


def draw(seed, n=60, p=4, classes=2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-1, 1, p)
    score = X @ rng.normal(size=(p, classes)) + rng.gumbel(size=(n, classes)) * 2
    y = score.argmax(axis=1)
    y[:classes] = np.arange(classes)
    return X, y


def value(X, y, got, C, l1_ratio):
    """F at an answer, as plain as can be."""
    z = X @ got.W[0] + got.b[0, 0]
    w = np.abs(got.W[0])
    penalty = (1 - l1_ratio) / 2 * (w @ w) + l1_ratio * w.sum()
    return np.logaddexp(0, np.where(y == 1, -z, z)).sum() + penalty / C


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_no_hessian_nearby_is_above_the_one_here(l1_ratio):
    """What a proof takes in place of the Hessian must never be more of it."""
    X, y = draw(0, n=400, p=6)
    rows = rows_of(X, y)
    where = measure_columns(rows, True)
    (problem,) = split_outputs(rows, SigmoidLoss(1), where, 0.1, l1_ratio)
    rng = np.random.default_rng(1)
    theta, d = rng.normal(size=(2, 1, 7))
    state = proximal_step.begin(problem, theta)
    for length in (0.01, 0.1):
        here = theta + length * d
        near = shrink_base(problem, state._replace(theta=here))
        H = problem.objective.evaluate(here, hessian=True).hessian[0]
        assert np.linalg.eigvalsh(H - near).min() > 0
    assert shrink_base(problem, state._replace(theta=theta + 10 * d)) is None


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_no_other_support_is_better(seed, l1_ratio):
    X, y = draw(seed, p=3)
    C = 10.0 ** np.random.default_rng(seed).uniform(-2.5, 1)
    got = fit(rows_of(X, y), SigmoidLoss(1), C=C, l1_ratio=l1_ratio)
    best = minimum_by_trying(X, y, l1_ratio / C, (1 - l1_ratio) / C)
    assert got.status == "optimal"
    assert value(X, y, got, C, l1_ratio) == pytest.approx(best, rel=1e-9)
    assert got.objective == pytest.approx(best, rel=1e-9)


def check_against_digits(problem, got):
    """Compare with 60 digits: the gap, and the distance in standard errors; False on a tie."""
    ours = problem.pack(got.W, got.b)
    try:
        theta, _ = problem.optimum(ours)
    except AssertionError:  # columns that depend on each other: no one optimum
        return False
    excess, least = problem.value(ours) - problem.value(theta), problem.value(theta)
    assert -1e-40 <= excess <= got.certificate.gap
    assert excess <= 1e-9 * least
    if np.isfinite(got.certificate.rho):
        off = (ours - theta).ravel()
        _, H = problem.slopes(ours)
        assert sqrt(abs(off @ H @ off)) <= got.certificate.rho * (1 + 1e-6)
    return True


STALLED = (
    10,
    90,
)  # logits or weights so far apart that float64 holds no proof; each near all the same


@pytest.mark.parametrize("part", range(4))
def test_hard_problems_against_60_digits(part):
    """Gap and rho hold on the hard problems; where ties leave no oracle, the gap is small."""
    checked = 0
    for seed in range(part, PROBLEMS, 4):
        hard, l1_ratio = make_hard(seed), (1.0, 0.5, 0.95)[seed // len(KINDS) % 3]
        classes = int(hard.y.max()) + 1
        loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(classes)
        got = fit(rows_of(hard.X, hard.y, hard.s), loss, C=hard.C, l1_ratio=l1_ratio)
        if seed not in STALLED:
            assert got.status == "optimal", (seed, hard.kind)
            assert got.certificate.gap <= 1e-9 * got.objective, (seed, hard.kind)
        if len(hard.X) < 100:
            problem = Exact(hard.X, hard.y, hard.s, hard.C, True, l1_ratio)
            checked += check_against_digits(problem, got)
    assert checked >= 14


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_an_applied_hessian_against_60_digits(monkeypatch, l1_ratio):
    """Products alone end and prove as the summed Hessian does, on the hard problems."""
    monkeypatch.setattr(
        proximal_step, "is_applied", lambda problem: problem.objective.n_outputs == 1
    )
    checked, kinds = 0, set()
    for seed in range(1, PROBLEMS, 3):
        hard = make_hard(seed)
        if len(hard.X) >= 100 or hard.y.max() > 1:
            continue
        got = fit(rows_of(hard.X, hard.y, hard.s), SigmoidLoss(1), C=hard.C, l1_ratio=l1_ratio)
        kinds.add(got.certificate.kind)
        if seed not in STALLED:
            assert got.status == "optimal", (seed, hard.kind)
        problem = Exact(hard.X, hard.y, hard.s, hard.C, True, l1_ratio)
        checked += check_against_digits(problem, got)
    assert checked >= 10
    assert ("applied" if l1_ratio < 1 else "factored") in kinds


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("intercept", [True, False])
def test_softmax_against_60_digits(l1_ratio, intercept):
    checked = 0
    for seed in range(3):
        X, y = draw(seed, n=25, p=3, classes=3)
        C = (0.05, 0.3, 1.0, 5.0)[seed]
        got = fit(rows_of(X, y), SoftmaxLoss(3), C=C, l1_ratio=l1_ratio, fit_intercept=intercept)
        assert got.status == "optimal"
        problem = Exact(X, y, np.ones(25), C, intercept, l1_ratio)
        checked += check_against_digits(problem, got)
    assert checked >= 2


@pytest.mark.parametrize("classes", [2, 3])
def test_the_gap_holds_anywhere(classes):
    """Far from the optimum as well: the dual bound is never below the true excess."""
    loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(3)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X, y = draw(seed, n=30, p=3, classes=classes)
        C, l1_ratio = 10.0 ** rng.uniform(-2, 1), (1.0, 0.7)[seed % 2]
        rows = rows_of(X, y)
        best = fit(rows, loss, C=C, l1_ratio=l1_ratio)
        shifted, where = shift_rows(rows, measure_columns(rows, True))
        (problem,) = split_outputs(shifted, loss, where, C, l1_ratio)
        theta = where.from_parameters(best.W, best.b)
        for size in (1e-12, 1e-6, 1e-2, 1.0):
            moved = theta + size * rng.normal(size=theta.shape) * (rng.random(theta.shape) < 0.7)
            evaluation = problem.objective.evaluate(moved)
            true = problem.value(evaluation, moved) - best.objective
            found = duality.measure(problem, evaluation, moved)
            assert true <= found.gap + 1e-13 * best.objective
            assert not (found.zero & (best.W != 0)).any()


def test_sklearn_agrees():
    X, y = draw(3, n=150, p=6)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    for C, l1_ratio in ((0.05, 1.0), (1.0, 1.0), (0.2, 0.3)):
        oracle = LogisticRegression(
            C=C, l1_ratio=l1_ratio, solver="saga", tol=1e-10, max_iter=20000
        ).fit(X, y)
        got = fit(rows_of(X, y), SigmoidLoss(1), C=C, l1_ratio=l1_ratio, tol=1e-8)
        np.testing.assert_allclose(got.W, oracle.coef_, atol=1e-6)
        np.testing.assert_array_equal(got.W == 0, oracle.coef_ == 0)
        assert got.b[0, 0] == pytest.approx(oracle.intercept_[0], abs=1e-6)


def test_sklearn_agrees_on_a_softmax():
    X, y = draw(5, n=150, p=4, classes=3)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    oracle = LogisticRegression(C=0.3, l1_ratio=0.6, solver="saga", tol=1e-10, max_iter=20000)
    oracle.fit(X, y)
    got = fit(rows_of(X, y), SoftmaxLoss(3), C=0.3, l1_ratio=0.6, tol=1e-8)
    np.testing.assert_allclose(got.W, oracle.coef_, atol=1e-6)
    np.testing.assert_array_equal(got.W == 0, oracle.coef_ == 0)


@pytest.mark.parametrize("ridge", [0.0, 1e-9, 0.7])
@pytest.mark.parametrize("classes", [3, 4])
def test_the_best_common_shift(classes, ridge):
    """A softmax's classes may shift together: the penalty decides, as a fine search finds it."""
    X, y = draw(0, n=30, p=3, classes=classes)
    l1_ratio = 1 / (1 + ridge)
    rows = rows_of(X, y)
    shifted, where = shift_rows(rows, measure_columns(rows, True))
    (problem,) = split_outputs(shifted, SoftmaxLoss(classes), where, 1.0, l1_ratio)
    theta = np.random.default_rng(classes).normal(size=(classes, 4))
    after = shift_classes(problem, theta)
    kappa, Lambda = problem.kappa[:-1], problem.objective.penalty[:-1]

    def penalty(v):
        return (kappa * np.abs(v) + 0.5 * Lambda * v**2).sum(axis=0)

    moved = after - theta
    np.testing.assert_allclose(moved[:, :-1], moved[:1, :-1] + 0 * moved[:, :-1], atol=1e-15)
    np.testing.assert_array_equal(moved[:, -1], 0)
    for t in np.linspace(-4, 4, 2001):
        assert (penalty(after[:, :-1]) <= penalty(theta[:, :-1] + t) * (1 + 1e-12)).all()


def test_nearly_pure_l2_is_the_smooth_answer():
    X, y = draw(1)
    smooth = fit(rows_of(X, y), SigmoidLoss(1), C=0.5, tol=1e-8)
    got = fit(rows_of(X, y), SigmoidLoss(1), C=0.5, l1_ratio=1e-9, tol=1e-8)
    np.testing.assert_allclose(got.W, smooth.W, rtol=1e-6)


def draw_wide(seed, n=80, p=900):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * (rng.random((n, p)) < 0.2)
    y = (X[:, :5].sum(axis=1) + 0.3 * rng.normal(size=n) > 0).astype(int)
    return X, y


@pytest.mark.parametrize("C", [0.2, 1.0, 30.0])
def test_a_working_set_loses_nothing(C):
    """KKT over every column, worked out here; sparse and dense ways agree."""
    X, y = draw_wide(0)
    dense = fit(rows_of(X, y), SigmoidLoss(1), C=C, l1_ratio=1.0, tol=1e-8)
    thin = fit(rows_of(sparse.csr_array(X), y), SigmoidLoss(1), C=C, l1_ratio=1.0, tol=1e-8)
    np.testing.assert_allclose(dense.W, thin.W, atol=1e-7)
    for got in (dense, thin):
        assert got.status == "optimal"
        z = X @ got.W[0] + got.b[0, 0]
        slopes = X.T @ (1 / (1 + np.exp(-z)) - y)
        held = got.W[0] != 0
        np.testing.assert_allclose(slopes[held], -np.sign(got.W[0][held]) / C, rtol=1e-6)
        assert (np.abs(slopes) <= (1 + 1e-6) / C).all()
        assert 0 < held.sum() <= len(y)


def draw_words(seed, n, p, a_row):
    """Sparse rows as of texts: few frequent columns, many rare ones."""
    rng = np.random.default_rng(seed)
    chance = np.arange(1, p + 1) ** -0.8
    words = rng.choice(p, size=(n, a_row), p=chance / chance.sum())
    places, ends = words.ravel().astype(np.int32), np.arange(0, n * a_row + 1, a_row, np.int32)
    X = sparse.csr_array((np.ones(n * a_row), places, ends), shape=(n, p))
    X.sum_duplicates()
    logits = X @ (rng.normal(size=p) * (rng.random(p) < 0.2))
    return X, (logits + rng.logistic(size=n) > np.median(logits)) * 1.0


@pytest.mark.parametrize("l1_ratio", [1.0, 0.7])
def test_products_end_where_sums_do(monkeypatch, l1_ratio):
    """Many columns of sparse rows are stepped with by products; sums and factors agree."""
    X, y = draw_words(3, 3000, 4000, 40)
    found = []
    for products in (0, np.inf):
        for name in ("PRODUCTS", "FEW_PRODUCTS"):
            monkeypatch.setattr(proximal_step, name, products)
        block = Block(SparseFeatures(X), y[None], np.ones(len(y)))
        found.append(fit(MemoryRows(block), SigmoidLoss(1), C=2.0, l1_ratio=l1_ratio))
    applied, summed = found
    assert applied.status == summed.status == "optimal"
    assert (applied.W != 0).sum() > 600  # so many that the Hessian was applied
    excess = abs(applied.objective - summed.objective)
    assert excess <= applied.certificate.gap + summed.certificate.gap
    assert excess <= 1e-9 * summed.objective
    assert np.abs(applied.W - summed.W).max() <= 1e-5 * np.abs(summed.W).max()


def test_a_weak_penalty_on_many_words_ends():
    """Classes that a tenth of the columns separate: steps from far off never got there."""
    X, y = draw_words(6, 1200, 3000, 30)
    C, block = 150.0, Block(SparseFeatures(X), y[None], np.ones(len(y)))
    got = fit(MemoryRows(block), SigmoidLoss(1), C=C, l1_ratio=1.0)
    assert got.status == "optimal"
    assert got.passes < 200
    z = X @ got.W[0] + got.b[0, 0]
    slopes = X.T @ (1 / (1 + np.exp(-z)) - y)
    held = got.W[0] != 0
    np.testing.assert_allclose(slopes[held], -np.sign(got.W[0][held]) / C, rtol=1e-5)
    assert (np.abs(slopes) <= (1 + 1e-5) / C).all()
    other = LogisticRegression(C=C, l1_ratio=1.0, solver="liblinear", tol=1e-6).fit(X, y)
    theirs = np.logaddexp(0, -(2 * y - 1) * other.decision_function(X)).sum()
    assert got.objective <= theirs + np.abs(other.coef_).sum() / C


def test_hardly_any_penalty_on_separated_rows_takes_few_passes():
    """The penalty falls by steps; a working set that moves nothing is not opened again."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3000))
    y = (X[:, :5].sum(axis=1) > 0) * 1.0
    got = fit(rows_of(X, y), SigmoidLoss(1), C=1e8, l1_ratio=1.0)
    assert got.status == "optimal"
    assert got.passes < 300


def test_wide_dense_rows_are_summed(monkeypatch):
    """A product with dense rows costs a good part of a Hessian, and hundreds would be needed."""

    def refuse(self, v):
        raise AssertionError("applied")

    monkeypatch.setattr(RowsHessian, "__matmul__", refuse)
    rng = np.random.default_rng(5)
    X = rng.normal(size=(500, 900)) + 0.3 * rng.normal(size=(500, 1))
    y = (X[:, :300] @ rng.normal(size=300) / 5 + rng.logistic(size=500) > 0) * 1.0
    found = fit(rows_of(X, y), SigmoidLoss(1), C=1.0, l1_ratio=0.5)
    assert found.status == "optimal"
    assert found.certificate.rho <= 1e-4


def test_wide_softmax():
    X, _ = draw_wide(1)
    y = np.random.default_rng(0).integers(0, 3, len(X))
    got = fit(rows_of(X, y), SoftmaxLoss(3), C=0.5, l1_ratio=0.9)
    assert got.status == "optimal"
    P = np.exp(X @ got.W.T + got.b.T)
    P /= P.sum(axis=1)[:, None]
    slopes = (P - np.eye(3)[y]).T @ X + 0.1 / 0.5 * got.W
    assert (np.abs(slopes[got.W == 0]) <= 0.9 / 0.5 * (1 + 1e-4)).all()
    held = got.W != 0
    np.testing.assert_allclose(slopes[held], -1.8 * np.sign(got.W[held]), rtol=1e-4)


def test_every_layout_agrees():
    rng = np.random.default_rng(4)
    numbers, codes = rng.normal(size=(300, 2)) + 5, rng.integers(0, 4, (300, 1))
    X = np.hstack([numbers, np.eye(4)[codes[:, 0]]])
    y = ((X - X.mean(axis=0)) @ rng.normal(size=6) + rng.logistic(size=300) > 0).astype(int)
    forms = [
        X,
        np.asfortranarray(X),
        sparse.csr_array(X),
        MixedFeatures(numbers, codes.astype(np.int32), (4,)),
    ]
    got = [fit(rows_of(form, y), SigmoidLoss(1), C=0.3, l1_ratio=1.0, tol=1e-9) for form in forms]
    for other in got[1:]:
        np.testing.assert_allclose(other.W, got[0].W, atol=1e-8)
    assert all(each.status == "optimal" for each in got)


def test_long_tables_are_proved_by_a_sample():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60_000, 30)) * 10.0 ** rng.uniform(-3, 3, 30)
    y = (X / X.std(axis=0) @ np.r_[np.ones(10), np.zeros(20)] > rng.logistic(size=60_000)) * 1
    got = fit(rows_of(X, y), SigmoidLoss(1), C=1e-3, l1_ratio=1.0)
    assert (got.status, got.certificate.kind) == ("optimal", "sampled")
    one = fit(rows_of(X, y, n_jobs=1), SigmoidLoss(1), C=1e-3, l1_ratio=1.0)
    np.testing.assert_array_equal(got.W, one.W)  # the bits do not depend on the threads
    z = X @ got.W[0] + got.b[0, 0]
    slopes = X.T @ (1 / (1 + np.exp(-z)) - y)
    assert (np.abs(slopes) <= 1e3 * (1 + 1e-4)).all()
    assert (got.W == 0).any()


def test_dependent_columns():
    """A column twice, and the levels of a category: one objective, certified all the same."""
    X, y = draw(2, n=80, p=3)
    alone = fit(rows_of(X, y), SigmoidLoss(1), C=0.7, l1_ratio=1.0)
    levels = np.eye(3)[np.random.default_rng(0).integers(0, 3, 80)]
    for more in (X[:, :1], levels):
        got = fit(rows_of(np.hstack([X, more]), y), SigmoidLoss(1), C=0.7, l1_ratio=1.0)
        assert got.status == "optimal"
        assert got.certificate.gap <= 1e-9 * got.objective
        assert got.objective <= alone.objective * (1 + 1e-9)
    twice = fit(rows_of(np.hstack([X, X[:, :1]]), y), SigmoidLoss(1), C=0.7, l1_ratio=1.0)
    assert twice.objective == pytest.approx(alone.objective, rel=1e-9)


@pytest.mark.parametrize(("seed", "apart", "C"), [(3, 1e-15, 1e16), (1, 1e-14, 1e18), (2, 0, 1e18)])
def test_no_proof_rests_on_columns_that_merely_seem_equal(seed, apart, C):
    """Next to no penalty holds the weights of columns that differ in their last digits alone."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((14, 2))
    X[:, 1] = X[:, 0] * (1 + apart * rng.standard_normal(14))
    y = (X[:, 0] + rng.logistic(size=14) > 0) * 1
    y[:2] = 0, 1
    X *= 1e5
    got = fit(rows_of(X, y), SigmoidLoss(1), C=C, l1_ratio=1.0)
    problem = Exact(X, y, np.ones(14), C, True, 1.0)
    ours = problem.pack(got.W, got.b)
    if not apart:  # equal to the bit: one column will do
        alone = Exact(X[:, :1], y, np.ones(14), np.inf)
        w, b = alone.optimum(alone.pack(got.W.sum(axis=1, keepdims=True), got.b))[0][0]
        lower = np.array([[w, 0 * w, b]])
    else:
        lower = Exact(X, y, np.ones(14), np.inf).optimum(ours)[0]
    assert problem.value(ours) - problem.value(lower) <= got.certificate.gap


def test_weights_count_rows():
    X, y = draw(6)
    s = np.random.default_rng(0).integers(0, 3, len(y)) * 1.0
    s[:2] = 1
    weighted = fit(rows_of(X, y, s), SigmoidLoss(1), C=0.5, l1_ratio=1.0, tol=1e-9)
    times = s.astype(int)
    repeated = rows_of(np.repeat(X, times, axis=0), np.repeat(y, times))
    again = fit(repeated, SigmoidLoss(1), C=0.5, l1_ratio=1.0, tol=1e-9)
    np.testing.assert_allclose(weighted.W, again.W, atol=1e-9)


def test_outputs_apart_are_outputs_alone():
    X, y = draw(7)
    Y = np.stack([y, X[:, 0] > 0, 1 - y]).astype(float)
    Y[1, :5] = 1 - Y[1, :5]
    together = fit(rows_of(X, Y), SigmoidLoss(3), C=0.5, l1_ratio=1.0)
    for k in range(3):
        alone = fit(rows_of(X, Y[k]), SigmoidLoss(1), C=0.5, l1_ratio=1.0)
        np.testing.assert_array_equal(together.W[k], alone.W[0])
    assert together.status == "optimal"
    assert [p.iteration for p in together.history] == list(range(len(together.history)))


def test_under_a_strong_penalty_only_the_base_rate_is_left():
    X, y = draw(8)
    got = fit(rows_of(X, y), SigmoidLoss(1), C=1e-6, l1_ratio=1.0)
    assert not got.W.any()
    assert got.b[0, 0] == pytest.approx(np.log(y.sum() / (1 - y).sum()))
    assert got.status == "optimal"


def test_without_a_penalty_there_is_no_l1():
    X, y = draw(9)
    a = fit(rows_of(X, y), SigmoidLoss(1), C=np.inf, l1_ratio=1.0)
    b = fit(rows_of(X, y), SigmoidLoss(1), C=np.inf)
    np.testing.assert_array_equal(a.W, b.W)


def test_a_start_saves_passes():
    X, y = draw(10, n=400, p=8)
    first = fit(rows_of(X, y), SigmoidLoss(1), C=0.3, l1_ratio=1.0)
    again = fit(rows_of(X, y), SigmoidLoss(1), C=0.3, l1_ratio=1.0, start=(first.W, first.b))
    assert again.passes < first.passes
    np.testing.assert_allclose(again.W, first.W, atol=1e-8)


@pytest.mark.parametrize("solver", ["newton", "newton_cg", "gradient_descent"])
def test_solvers_without_l1_say_so(solver):
    X, y = draw(0)
    with pytest.raises(InputError, match="knows no L1 penalty"):
        fit(rows_of(X, y), SigmoidLoss(1), l1_ratio=0.5, solver=solver)
