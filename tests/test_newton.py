"""Newton's method: the exact optimum on hard problems, with a proof, from anywhere."""

import math

import numpy as np
import pytest
from exact import Exact

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns, shift_rows
from onelayer.errors import InputError
from onelayer.features.dense import DenseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import newton


def rows_of(X, labels, s=None, n_jobs=1):
    labels = np.atleast_2d(labels) * 1.0
    s = np.ones(X.shape[0]) if s is None else s
    return MemoryRows(Block(DenseFeatures(X), labels, s), n_jobs)


def objective_of(X, labels, s=None, C=1.0, loss=None):
    rows = rows_of(X, labels, s)
    rows, where = shift_rows(rows, measure_columns(rows, True))
    return Objective(rows, loss or SigmoidLoss(1), C, where)


def random_table(seed=0, n=200, p=4):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, (X @ rng.normal(size=p) + rng.logistic(size=n) > 0) * 1.0


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_a_softmax_against_sixty_digits(seed, fit_intercept):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(25, 2)) * [1e4, 1e-3] + [1e5, 0]
    y, s, C = rng.integers(0, 3, 25), rng.integers(0, 3, 25) * 1.0, 10.0 ** rng.uniform(-1, 3)
    y[:3], s[:3] = range(3), 1
    got = fit(rows_of(X, y, s), SoftmaxLoss(3), C=C, fit_intercept=fit_intercept)
    exact = Exact(X, y, s, C, fit_intercept)
    optimum, _ = exact.optimum(exact.pack(got.W, got.b))
    point = exact.pack(got.W, got.b)
    excess = exact.value(point) - exact.value(optimum)
    relative = excess / exact.value(optimum)
    assert got.status == "optimal"
    assert relative <= 1e-9
    assert excess <= got.certificate.gap
    np.testing.assert_allclose(got.W.sum(axis=0), 0, atol=1e-9 * np.abs(got.W).max())
    np.testing.assert_allclose(got.b.sum(), 0, atol=1e-9 * (1 + np.abs(got.b).max()))


@pytest.mark.parametrize("loss", [SigmoidLoss(1), SoftmaxLoss(3)], ids=["sigmoid", "softmax"])
@pytest.mark.parametrize("size", [1.0, 30.0, 1e4, 1e8])
def test_the_optimum_from_any_start(size, loss):
    X, y = random_table()
    if loss.n_outputs == 3:
        y = np.digitize(X[:, 0] + y, [0, 0.9])
    objective = objective_of(X, y, loss=loss)
    usual = newton.solve(objective)
    start = size * np.random.default_rng(1).normal(size=(loss.n_outputs, 5))
    far = newton.solve(objective, start=start)
    assert far.status == usual.status == "optimal"
    assert [p.iteration for p in far.history] == list(range(len(far.history)))
    assert far.objective == pytest.approx(usual.objective, rel=1e-12)
    np.testing.assert_allclose(far.W, usual.W, rtol=1e-6)


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6, 1e-8])
def test_tol_is_the_proved_distance(tol):
    X, y = random_table()
    got = newton.solve(objective_of(X, y), tol=tol)
    assert got.status == "optimal"
    assert got.converged
    assert 0 < got.certificate.rho <= tol
    assert got.certificate.kind == "factored"
    assert got.certificate.gap <= 1e-9 * got.objective


def test_the_facts_of_a_solution():
    X, y = random_table()
    told = []
    got = newton.solve(objective_of(X, y), watch=told.append)
    assert tuple(told) == got.history[: len(told)]
    assert [p.iteration for p in got.history] == list(range(len(got.history)))
    values = [p.objective for p in got.history]
    assert values == sorted(values, reverse=True)
    assert got.history[0].cost == pytest.approx(
        -np.log([1 - y.mean(), y.mean()])[y.astype(int)].mean()
    )
    assert got.iterations == len(got.history)  # the last step is free: no pass follows it
    assert got.passes >= len(got.history)
    ridge = 0.5 * (got.W**2).sum()
    assert got.cost * len(y) + ridge == pytest.approx(got.objective, rel=1e-12)
    assert got.seconds > 0
    assert got.solver == "newton"


@pytest.mark.parametrize("C", [0.1, np.inf])
def test_multi_label_is_one_fit_an_output(C):
    X, _ = random_table(3)
    rng = np.random.default_rng(3)
    Y = (X[:, :3].T * [[3], [1], [0.1]] + rng.logistic(size=(3, 200)) > [[0], [1], [-2]]) * 1.0
    together = fit(rows_of(X, Y), SigmoidLoss(3), C=C, tol=1e-8)
    alone = [fit(rows_of(X, y), SigmoidLoss(1), C=C, tol=1e-8) for y in Y]
    np.testing.assert_allclose(together.W, np.vstack([one.W for one in alone]), rtol=1e-7)
    np.testing.assert_allclose(together.b, np.vstack([one.b for one in alone]), rtol=1e-7)
    assert together.objective == pytest.approx(sum(one.objective for one in alone), rel=1e-12)
    assert together.passes <= sum(one.passes for one in alone)


@pytest.mark.parametrize("loss", [SigmoidLoss(1), SoftmaxLoss(3)], ids=["sigmoid", "softmax"])
@pytest.mark.parametrize("how", ["complete", "along one column"])
def test_separated_classes_without_a_penalty(how, loss):
    X, y = random_table(5)
    if how == "complete":
        y = (X[:, 0] > 0) * 1.0 + (loss.n_outputs == 3) * (X[:, 0] > 1)
    else:  # one rare dummy whose rows are all of one class
        X[:, 1] = np.arange(200) < 6
        y = np.where(X[:, 1] > 0, loss.n_outputs - 1, y)
    got = fit(rows_of(X, y), loss, C=np.inf)
    assert got.status == "separated"
    kind = "complete" if how == "complete" else "quasi-complete"
    assert [found.kind for found in got.separations] == [kind]
    assert got.separations[0].columns == ((0,) if how == "complete" else (1,))
    assert not got.converged
    assert not got.certificate.proved
    assert got.certificate.rho == got.certificate.gap == math.inf
    assert "no finite optimum" in got.certificate.reason
    assert "use a finite C" in got.message
    assert np.isfinite(got.W).all()
    with_a_penalty = fit(rows_of(X, y), loss, C=1e6)
    assert with_a_penalty.status == "optimal"


@pytest.mark.parametrize("dependence", ["copy", "sum", "constant", "one-hot", "empty level"])
def test_dependent_columns_without_a_penalty_are_fitted(dependence):
    X, y = random_table(7, p=3)
    extra = {
        "copy": X[:, :1] * 3,
        "sum": X[:, :1] - 1e6 * X[:, 1:2],
        "constant": np.full((200, 1), 5.0),
        "one-hot": np.eye(4)[np.arange(200) % 4],
        "empty level": np.eye(5)[np.arange(200) % 4],
    }[dependence]
    independent = np.hstack([X, extra[:, 1:]])
    usual = fit(rows_of(independent, y), SigmoidLoss(1), C=np.inf, tol=1e-8)
    got = fit(rows_of(np.hstack([X, extra]), y), SigmoidLoss(1), C=np.inf, tol=1e-8)
    assert got.converged
    assert got.certificate.rho <= 1e-6
    assert got.objective == pytest.approx(usual.objective, rel=1e-12)
    np.testing.assert_allclose(
        np.hstack([X, extra]) @ got.W.T + got.b.T, independent @ usual.W.T + usual.b.T, atol=1e-7
    )


def test_nearly_dependent_columns_are_told_apart():
    """A column and its copy in float32, 6e-8 apart, with a difference that matters."""
    X, _ = random_table(9, p=1)
    X = np.hstack([X * 1e8, (X * 1e8).astype(np.float32)])
    y = ((X[:, 1] - X[:, 0]) / 2 + np.random.default_rng(0).logistic(size=200) > 0) * 1.0
    got = fit(rows_of(X, y), SigmoidLoss(1), C=100.0)
    assert got.converged
    assert got.certificate.rho <= 1e-4
    difference = np.column_stack([X[:, 1] - X[:, 0]])
    of_it = fit(rows_of(difference, y), SigmoidLoss(1), C=100.0)
    assert got.cost < of_it.cost
    assert got.W[0, 1] == pytest.approx(of_it.W[0, 0], rel=0.1)


@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize("ones", ["first rows", "extreme rows"])
def test_a_sample_without_the_rare_class_does_no_harm(ones, C):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(20_000, 2))
    y = np.zeros(20_000)
    y[: 3 if ones == "first rows" else 0] = 1
    if ones == "extreme rows":
        y[np.argsort(X[:, 0] + rng.normal(size=20_000))[-3:]] = 1
    got = fit(rows_of(X, y), SigmoidLoss(1), C=C)
    assert got.status == "optimal"
    probabilities = 1 / (1 + np.exp(-(X @ got.W[0] + got.b[0])))
    assert probabilities.sum() == pytest.approx(3, rel=1e-6)


@pytest.mark.parametrize("n_jobs", [2, 5])
@pytest.mark.parametrize("loss", [SigmoidLoss(1), SoftmaxLoss(3)], ids=["sigmoid", "softmax"])
def test_the_same_bits_for_any_number_of_threads(n_jobs, loss):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(30_000, 12)) * 10.0 ** rng.uniform(-3, 3, 12)
    y = rng.integers(0, max(2, loss.n_outputs), 30_000)
    one, several = (fit(rows_of(X, y, n_jobs=k), loss) for k in (1, n_jobs))
    assert one.W.tobytes() == several.W.tobytes()
    assert one.b.tobytes() == several.b.tobytes()
    assert one.certificate == several.certificate


def test_certify_measures_any_point():
    X, y = random_table()
    objective = objective_of(X, y)
    theta = objective.where.from_parameters(*(lambda s: (s.W, s.b))(newton.solve(objective)))
    assert newton.certify(objective, theta).rho < 1e-7
    nearby = newton.certify(objective, theta + 1e-4)
    assert 1e-4 < nearby.rho < 1
    assert not newton.certify(objective, theta + 10).proved


@pytest.mark.parametrize("size", [1e105, 1e135])
def test_a_step_without_end_is_not_taken_into_the_value(size):
    """The decrement of a column of such a size overflows when it is squared."""
    rng = np.random.default_rng(28)
    X = rng.integers(0, 5, (6, 12)).astype(float)
    X[:, 4] *= size
    block = Block(DenseFeatures(X), np.array([[1.0, 0, 0, 0, 0, 1]]), rng.uniform(1e-4, 3e-4, 6))
    solution = fit(MemoryRows(block), SigmoidLoss(1), C=1.0, solver="newton")
    assert 0 < solution.objective <= block.weights.sum() * math.log(2)


def test_an_unknown_solver_is_refused():
    with pytest.raises(InputError, match="solver='lbfgs' is unknown: use one of auto, newton"):
        fit(rows_of(*random_table()), SigmoidLoss(1), solver="lbfgs")
