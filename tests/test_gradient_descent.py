"""The article's loop: its numbers, the learning rate that must descend, and divergence said."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from onelayer.blocks import Block
from onelayer.coordinates import plain_coordinates
from onelayer.errors import LearningRateWarning
from onelayer.features.dense import DenseFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.network import nn_model
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import curvature, gradient_descent, newton
from onelayer.solvers.descent import Descent

quick = settings(deadline=None, max_examples=40)


def rows_of(X, labels, s=None, n_jobs=1):
    features = SparseFeatures(X) if sparse.issparse(X) else DenseFeatures(X)
    s = np.ones(X.shape[0]) if s is None else s
    return MemoryRows(Block(features, np.atleast_2d(labels) * 1.0, s), n_jobs)


def plain_objective(X, labels, loss, C=np.inf, s=None, fit_intercept=True):
    rows = rows_of(X, labels, s)
    return Objective(rows, loss, C, plain_coordinates(rows, fit_intercept))


def random_table(seed=0, n=60, p=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * rng.uniform(0.1, 3, p) + rng.normal(size=p)
    y = (X[:, 0] + rng.logistic(size=n) > 0) * 1.0
    y[:2] = 0, 1
    return X, y


def descend_rows(rows, loss=None, C=1.0, fit_intercept=True, **options):
    """The solver as `fit` calls it."""
    named = {"C": C, "fit_intercept": fit_intercept, "solver": "gradient_descent"}
    return fit(rows, loss or SigmoidLoss(1), descent=Descent(**options), **named)


def descend(X, labels, loss=None, **options):
    """The same, without its word about the learning rate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LearningRateWarning)
        return descend_rows(rows_of(X, labels), loss, **options)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("rate", [1.2, 0.05])
def test_the_article_s_numbers(outputs, rate):
    X, y = random_table()
    Y = np.vstack([y, X[:, 1] > 0, X[:, 2] > 1])[:outputs] * 1.0
    np.random.seed(3)  # noqa: NPY002 - the article draws from it
    expected = nn_model(X.T, Y, num_iterations=50, learning_rate=rate)
    np.random.seed(3)  # noqa: NPY002 - the article draws from it
    loss = SigmoidLoss(outputs)
    got = descend(X, Y, loss, C=np.inf, num_iterations=50, learning_rate=rate)
    np.testing.assert_allclose(got.W, expected["W"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(got.b, expected["b"], rtol=0, atol=1e-12)
    assert got.status == "stopped"
    assert got.iterations == 50
    assert got.solver == "gradient_descent"


def test_the_article_s_costs(capsys):
    X, y = random_table()
    np.random.seed(3)  # noqa: NPY002 - the article draws from it
    nn_model(X.T, y[None], num_iterations=10, print_cost=True)
    printed = capsys.readouterr().out.splitlines()
    np.random.seed(3)  # noqa: NPY002 - the article draws from it
    got = descend(X, y, C=np.inf, num_iterations=10)
    told = [f"Cost after iteration {p.iteration}: {p.cost:.6f}" for p in got.history[:10]]
    assert told == printed
    assert got.cost == got.history[-1].cost


@pytest.mark.parametrize("layout", ["sparse", "float32", "fortran"])
def test_layouts_descend_alike(layout):
    X, y = random_table()
    X = X.astype(np.float32).astype(float)
    other = {
        "sparse": sparse.csr_array(X),
        "float32": X.astype(np.float32),
        "fortran": np.asfortranarray(X),
    }[layout]
    starts = {"draw": lambda n_x, n_y: np.full((n_y, n_x), 0.01), "num_iterations": 20}
    one, two = descend(X, y, **starts), descend(other, y, **starts)
    np.testing.assert_allclose(two.W, one.W, rtol=0, atol=1e-12)


def test_a_weight_is_a_repeated_row_and_a_penalty_shrinks():
    X, y = random_table()
    times = np.arange(60) % 3
    draw = {"draw": lambda n_x, n_y: np.zeros((n_y, n_x)), "learning_rate": 0.1}
    rows = rows_of(X, y, times * 1.0)
    weighted = descend_rows(rows, C=2.0, **draw)
    repeated = descend(np.repeat(X, times, axis=0), np.repeat(y, times), C=2.0, **draw)
    np.testing.assert_allclose(weighted.W, repeated.W, rtol=0, atol=1e-13)
    free = descend(X, y, C=np.inf, num_iterations=3000, learning_rate=0.3)
    held = descend(X, y, C=0.01, num_iterations=3000, learning_rate="safe")
    assert np.linalg.norm(held.W) < 0.5 * np.linalg.norm(free.W)


def test_without_a_bias_it_stays_at_0():
    X, y = random_table()
    got = descend(X, y, fit_intercept=False, learning_rate="safe", num_iterations=5)
    assert got.b.tolist() == [[0.0]]


@pytest.mark.parametrize("loss", [SigmoidLoss(1), SoftmaxLoss(3)], ids=["sigmoid", "softmax"])
def test_enough_steps_reach_the_optimum_and_the_certificate_says_how_near(loss):
    X, y = random_table()
    y = y + (loss.n_outputs == 3) * (X[:, 1] > 0)
    exact = fit(rows_of(X, y), loss, C=1.0)
    few = descend(X, y, loss, learning_rate="safe", num_iterations=30)
    many = descend(X, y, loss, learning_rate="safe", num_iterations=3000)
    np.testing.assert_allclose(many.W, exact.W, atol=1e-4)
    for got in (few, many):
        excess = got.objective - exact.objective
        assert excess <= got.certificate.gap + 1e-12
    assert many.certificate.rho < 1e-3
    assert many.status == "stopped"
    assert "3000 iterations" in many.message


# The learning rate


def mean_hessian(X, s, theta, loss, C, fit_intercept):
    """The Hessian of F / sum s by its definition, row by row."""
    A = np.hstack([X, np.full((len(X), 1), float(fit_intercept))])
    k, width = theta.shape
    Z = theta @ A.T
    H = np.kron(np.eye(k), np.diag(np.append(np.full(width - 1, 1 / C), 0)))
    for i, x in enumerate(A):
        if isinstance(loss, SoftmaxLoss):
            p = np.exp(Z[:, i] - Z[:, i].max())
            p /= p.sum()
            q = np.diag(p) - np.outer(p, p)
        else:
            p = 1 / (1 + np.exp(-Z[:, i]))
            q = np.diag(p * (1 - p))
        H += s[i] * np.kron(q, np.outer(x, x))
    return H / s.sum()


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    loss = draw(st.sampled_from([SigmoidLoss(1), SigmoidLoss(2), SoftmaxLoss(3)]))
    n, p = draw(st.integers(3, 12)), draw(st.integers(1, 4))
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-2, 2, p) + rng.normal(size=p)
    groups = 3 if isinstance(loss, SoftmaxLoss) else 2
    labels = rng.integers(0, groups, (loss.groups, n))
    s = rng.exponential(size=n)
    C = draw(st.sampled_from([0.1, 10.0, np.inf]))
    return X, labels, s, loss, C, draw(st.booleans()), rng


@quick
@given(problems(), st.booleans())
def test_no_curvature_is_above_the_bound(problem, wide):
    """Random parameters, and those where a softmax or a sigmoid curves most; by the norm too."""
    X, labels, s, loss, C, fit_intercept, rng = problem
    objective = plain_objective(X, labels, loss, C, s, fit_intercept)
    with pytest.MonkeyPatch.context() as patch:
        if wide:
            patch.setattr(curvature, "LARGEST_GRAM", 0)
        L, passes = curvature.largest_curvature(objective)
    assert passes == 1
    zeros = np.zeros((loss.n_outputs, X.shape[1] + 1))
    halves = zeros.copy()
    halves[0, -1] = -50  # of three classes two are left, at 1/2 each
    for theta in (zeros, halves, rng.normal(size=zeros.shape)):
        H = mean_hessian(X, s, theta, loss, C, fit_intercept)
        assert np.linalg.eigvalsh(H)[-1] <= L * (1 + 1e-12)
    if not wide and loss.n_outputs == 1 and np.isinf(C):
        assert np.linalg.eigvalsh(mean_hessian(X, s, zeros, loss, C, fit_intercept))[
            -1
        ] == pytest.approx(L, rel=1e-9)


@quick
@given(problems(), st.sampled_from([0.999, 0.5, 0.1]))
def test_below_the_bound_every_step_descends(problem, share):
    X, labels, s, loss, C, fit_intercept, rng = problem
    objective = plain_objective(X, labels, loss, C, s, fit_intercept)
    L, _ = curvature.largest_curvature(objective)
    start = rng.normal(size=(loss.n_outputs, X.shape[1] + 1)) * 3
    start[:, objective.where.frozen] = 0
    got = gradient_descent.solve(objective, start, Descent(share * 2 / L, 30))  # no warning either
    values = np.array([p.objective for p in got.history])
    assert (np.diff(values) <= 1e-12 * values[:-1]).all()
    assert got.status == "stopped"


def test_the_norm_bounds_the_eigenvalue_of_a_wide_table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, curvature.LARGEST_GRAM + 100))
    objective = plain_objective(X, rng.integers(0, 2, 30), SigmoidLoss(1))
    L, _ = curvature.largest_curvature(objective)
    A = np.hstack([X, np.ones((30, 1))])
    assert np.linalg.norm(A, 2) ** 2 / 4 / 30 <= L


def test_a_rate_above_the_bound_is_said_with_what_to_use():
    X, y = random_table()
    L, _ = curvature.largest_curvature(plain_objective(X, y, SigmoidLoss(1)))
    rows = rows_of(X, y)
    with pytest.warns(LearningRateWarning) as told:
        got = descend_rows(rows, C=np.inf, learning_rate=2.01 / L)
    text = str(told[0].message)
    assert f"{2 / L:.3g}" in text
    assert f"learning_rate='safe' uses {1 / L:.3g}" in text
    assert text in got.message
    quiet = descend_rows(rows, C=np.inf, learning_rate=1.99 / L)
    assert "learning_rate" not in quiet.message


def test_safe_is_one_over_the_largest_curvature():
    X, y = random_table()
    draw = {"draw": lambda n_x, n_y: np.zeros((n_y, n_x)), "C": np.inf}
    shared = np.broadcast_to(1.0, len(X))  # as `fit` holds a weight that all rows share
    L, _ = curvature.largest_curvature(plain_objective(X, y, SigmoidLoss(1), s=shared))
    safe = descend(X, y, learning_rate="safe", **draw)
    same = descend(X, y, learning_rate=1 / L, **draw)
    np.testing.assert_array_equal(safe.W, same.W)
    assert safe.history[-1].step == pytest.approx(1 / L)


@pytest.mark.parametrize("n", [60, 40_000])  # in this thread, and in others
@pytest.mark.parametrize("rate", [1e3, 1e300])
def test_divergence_stops_and_says_why_and_what_to_use(rate, n):
    X, y = random_table(n=n, p=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LearningRateWarning)
        rows = rows_of(X * 100, y, n_jobs=2)
        got = descend_rows(rows, learning_rate=rate, num_iterations=10_000)
    assert got.status == "diverged"
    assert not got.converged
    assert got.iterations < 20
    assert np.isfinite(got.W).all()
    assert "too large" in got.message
    assert "learning_rate='safe'" in got.message
    assert not got.certificate.proved or math.isfinite(got.certificate.gap)


def test_no_iterations_give_the_start():
    X, y = random_table()
    got = descend(X, y, num_iterations=0, draw=lambda n_x, n_y: np.full((n_y, n_x), 0.5))
    assert got.W.tolist() == [[0.5] * 3]
    assert got.b.tolist() == [[0.0]]
    assert got.iterations == 0


def test_without_certify_nothing_is_claimed():
    X, y = random_table()
    objective = plain_objective(X, y, SigmoidLoss(1), C=1.0)
    got = gradient_descent.solve(objective, np.zeros((1, 4)), Descent("safe", 3))
    assert not got.certificate.proved
    assert got.certificate.reason
    assert newton.certify(objective, np.column_stack([got.W, got.b])).rho > 0
