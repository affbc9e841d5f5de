"""Newton's method with the Hessian of a sample, against the whole Hessian at a far smaller tol."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from onelayer.blocks import Block
from onelayer.coordinates import shift_rows
from onelayer.errors import InputError
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss
from onelayer.objective import Objective
from onelayer.rows.memory import DrawnRows, MemoryRows
from onelayer.solvers import sampled_newton
from onelayer.solvers.sample import draw_sample
from onelayer.solvers.sampled_newton import suits
from onelayer.solvers.sampled_problem import make_problem, measure_sampled

N, P = 60_000, 20


def numbers(seed=0, rare=False):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, P)) @ rng.normal(size=(P, P))
    X[:, 3] = 1e4 + 1e-2 * X[:, 3]
    X[:, 4] *= 1e6
    if rare:  # dummies of 20 to 200 rows, which a tenth of the rows may miss
        for j in range(8, P):
            X[:, j] = rng.random(N) < rng.uniform(20, 200) / N
    return X


def answers(X, seed=1, share=0.3):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=X.shape[1]) / (X.std(axis=0) + 1e-9) / np.sqrt(X.shape[1])
    Z = (X - X.mean(axis=0)) @ w
    return (Z - np.quantile(Z, 1 - share) + rng.logistic(size=len(X)) > 0) * 1.0


def rows_of(features, y, s=None, n_jobs=None):
    labels = np.atleast_2d(y)
    return MemoryRows(Block(features, labels, np.ones(N) if s is None else s), n_jobs)


def dense(seed=0, rare=False):
    X = numbers(seed, rare)
    return DenseFeatures(X), answers(X)


def mixed():
    rng = np.random.default_rng(4)
    levels = (12, 40, 90)
    codes = np.stack([rng.zipf(1.5, N) % k for k in levels], axis=1).astype(np.int32)
    X = rng.normal(size=(N, 17))
    push = sum(rng.normal(size=k)[codes[:, j]] for j, k in enumerate(levels))
    return MixedFeatures(X, codes, levels), (X[:, 0] + push + rng.logistic(size=N) > 0) * 1.0


def words():
    X = sparse.random_array((N, 30), density=0.6, rng=np.random.default_rng(5), format="csr")
    return SparseFeatures(X), answers(X.toarray())


def one_hot():
    """Sparse rows of categories, whose sample is summed as codes."""
    rng = np.random.default_rng(6)
    codes = np.stack([rng.zipf(1.5, N) % k for k in (12, 40, 90, 3)], axis=1)
    levels = [np.eye(k)[codes[:, j]] for j, k in enumerate((12, 40, 90, 3))]
    X = np.hstack([rng.normal(size=(N, 1)), *levels])
    push = X @ rng.normal(size=X.shape[1])
    return SparseFeatures(sparse.csr_array(X)), (push + rng.logistic(size=N) > 0) * 1.0


TABLES = {
    "dense": dense,
    "rare columns": lambda: dense(rare=True),
    "mixed": mixed,
    "sparse": words,
    "one-hot": one_hot,
}


@pytest.mark.parametrize("C", [1e-3, 1.0, np.inf])
@pytest.mark.parametrize("name", TABLES)
def test_the_answer_is_the_optimum_and_the_proof_holds(name, C):
    features, y = TABLES[name]()
    weak = name in ("mixed", "one-hot") and np.isinf(C)
    if weak:
        C = 1e4  # levels of a category sum to 1
    rows = rows_of(features, y, np.random.default_rng(2).integers(1, 4, N) * 1.0)
    assert suits(rows, SigmoidLoss(1))
    got = fit(rows, SigmoidLoss(1), C=C)
    exact = fit(rows, SigmoidLoss(1), C=C, solver="newton", tol=1e-9)
    assert got.certificate.kind == "sampled" or weak
    assert got.status == "optimal"
    assert got.certificate.rho <= 1e-4
    # F is known to a few roundings only.
    assert got.objective - exact.objective <= got.certificate.gap + 1e-13 * exact.objective
    assert got.certificate.gap <= 1e-9 * exact.objective
    centre = features.back(np.full((1, N), 1 / N))[0]
    spread = features.moments(np.full(N, 1 / N), centre)[1]
    errors = np.abs(got.W - exact.W) * np.sqrt(spread)
    assert errors.max() <= 1e-4  # a standard error here is at least 2 / sqrt(N), below 1


def test_fewer_passes_bring_second_derivatives():
    features, y = dense()
    rows = rows_of(features, y)
    got, whole = (fit(rows, SigmoidLoss(1), solver=name) for name in ("auto", "newton"))
    assert got.passes <= whole.passes + 2
    assert got.solver == "newton"


@pytest.mark.parametrize("seed", range(3))
def test_ordered_rows_do_no_harm(seed):
    features, y = dense(seed)
    order = np.lexsort((features.values[:, 0], y))
    ordered = rows_of(DenseFeatures(features.values[order]), y[order])
    one, two = fit(rows_of(features, y), SigmoidLoss(1)), fit(ordered, SigmoidLoss(1))
    assert one.certificate.kind == two.certificate.kind == "sampled"
    assert two.objective == pytest.approx(one.objective, rel=2e-9)


@pytest.mark.parametrize("C", [1.0, np.inf])
def test_a_rare_class_is_kept_whole(C):
    X = numbers()
    Z = X[:, 0] + np.random.default_rng(3).normal(size=N)
    y = np.zeros(N)
    y[np.argsort(Z)[-60:]] = 1
    got = fit(rows_of(DenseFeatures(X), y), SigmoidLoss(1), C=C)
    assert got.status == "optimal"
    probabilities = 1 / (1 + np.exp(-(X @ got.W[0] + got.b[0])))
    assert probabilities.sum() == pytest.approx(60, rel=1e-4)


def test_several_outputs_are_solved_side_by_side():
    features, y = dense()
    other = answers(features.values, seed=7, share=0.6)
    got = fit(rows_of(features, np.stack([y, other])), SigmoidLoss(2))
    assert got.certificate.kind == "sampled"
    for k, labels in enumerate((y, other)):
        alone = fit(rows_of(features, labels), SigmoidLoss(1), solver="newton")
        np.testing.assert_allclose(got.W[k], alone.W[0], rtol=1e-3, atol=1e-12)


def test_dependent_columns_share_a_weight():
    X = numbers()
    X[:, 1] = X[:, 0]
    y = answers(X)
    got = fit(rows_of(DenseFeatures(X), y), SigmoidLoss(1), C=np.inf)
    assert got.status in ("optimal", "rounding")
    assert got.W[0, 1] == pytest.approx(got.W[0, 0], rel=1e-4)


def test_what_no_sample_can_solve_goes_to_the_whole_hessian():
    X = numbers()
    X[:, 1] = X[:, 0] + 1e-9 * X[:, 2]
    got = fit(rows_of(DenseFeatures(X), answers(X)), SigmoidLoss(1), C=1e12)
    assert got.certificate.proved
    assert [p.iteration for p in got.history] == list(range(len(got.history)))


def test_a_constant_column_keeps_a_weight_of_0():
    X = numbers()
    X[:, 2], X[:, 5] = 7.0, 0.0
    got = fit(rows_of(DenseFeatures(X), answers(X)), SigmoidLoss(1))
    assert got.certificate.kind == "sampled"
    assert got.W[0, 2] == got.W[0, 5] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_refused(value):
    X = numbers()
    y = answers(X)
    X[N // 2 + 3, 5] = value
    with pytest.raises(InputError, match=r"column 5"):
        fit(rows_of(DenseFeatures(X), y), SigmoidLoss(1))


@pytest.mark.parametrize("name", TABLES)
def test_the_number_of_threads_changes_no_bit(name):
    features, y = TABLES[name]()
    first, *others = [
        fit(rows_of(features, y, n_jobs=n_jobs), SigmoidLoss(1)) for n_jobs in (1, 2, 3)
    ]
    for other in others:
        assert first.W.tobytes() == other.W.tobytes()
        assert first.b.tobytes() == other.b.tobytes()


def test_float32_is_near_float64():
    features, y = dense()
    single = DenseFeatures(features.values.astype(np.float32))
    got, exact = fit(rows_of(single, y), SigmoidLoss(1)), fit(rows_of(features, y), SigmoidLoss(1))
    assert got.certificate.kind == "sampled"
    assert got.objective == pytest.approx(exact.objective, rel=1e-3)


def test_some_of_the_rows_of_a_table_of_categories():
    features, y = mixed()
    block = Block(features, y[None], np.ones(N))
    chosen = np.arange(0, N, 2)
    drawn = DrawnRows(block, chosen, np.ones(len(chosen)))
    got = fit(drawn, SigmoidLoss(1))
    expected = fit(MemoryRows(block.take(chosen)), SigmoidLoss(1))
    assert got.objective == pytest.approx(expected.objective, rel=2e-9)


@pytest.mark.parametrize("kind", ["complete", "quasi-complete"])
def test_separated_rows_are_found_before_whole_hessians_are_summed(kind):
    """Without an optimum to go to, 15 steps with second derivatives of all rows found nothing."""
    rng = np.random.default_rng(3)
    X = rng.integers(0, 4, (N, P)).astype(float)
    y = (rng.random(len(X)) < 0.5) * 1
    if kind == "complete":
        y = (X @ rng.normal(size=P) > 0) * 1
    else:
        score = X[:, 1] + X[:, 2] - 2 * X[:, 3]
        y[score != 0] = score[score != 0] > 0
    rows = rows_of(DenseFeatures(X), y)
    assert suits(rows, SigmoidLoss(1))
    found = fit(rows, SigmoidLoss(1), C=np.inf)
    assert (found.status, found.separations[0].kind) == ("separated", kind)
    assert found.passes <= 10


def begin(rows, C=1.0):
    """The problem, and the state before the first step."""
    sample = draw_sample(rows, SigmoidLoss(1))
    rows, where = shift_rows(rows, measure_sampled(rows, sample, True, False))
    problem = make_problem(Objective(rows, SigmoidLoss(1), C, where), sample)
    theta, factors = sampled_newton._start(problem, None)
    return problem, sampled_newton.init(problem, theta, factors, 1e-4)


def test_a_hessian_from_nearby_is_lowered_enough():
    features, y = dense()
    problem, state = begin(rows_of(features, y))
    theta = state.theta
    state, there = sampled_newton._bound_hessian(problem, state)
    np.testing.assert_array_equal(there, problem.sample.evaluate(theta, hessian=True).hessian)
    rng = np.random.default_rng(8)
    for size, again in ((1e-4, False), (1e-3, False), (1.0, True)):
        moved = replace(state, theta=theta + size * rng.normal(size=theta.shape))
        later, bound = sampled_newton._bound_hessian(problem, moved)
        true = problem.sample.evaluate(moved.theta, hessian=True).hessian
        assert (later.lower[0] is moved.theta) == again
        least = np.linalg.eigvalsh(true[0] - bound[0])[0]
        assert least >= -1e-12 * np.linalg.norm(true[0])
        assert again or np.linalg.eigvalsh(true[0] - there[0])[0] < least  # it had to be lowered


@pytest.mark.parametrize("C", [1e-3, 1.0])
def test_one_hessian_serves_steps_and_proof(C):
    features, y = dense()
    problem, state = begin(rows_of(features, y), C)
    known = sampled_newton._factor(problem.scaled, state.theta)
    after = sampled_newton._factor_anew(problem, state, 0.0)
    assert problem.even
    assert after.lower is not None
    g = np.random.default_rng(9).normal(size=P + 1)
    np.testing.assert_allclose(after.factors[0].solve(g), known[0].solve(g), rtol=1e-3, atol=1e-9)
