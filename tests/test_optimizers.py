"""Momentum, Adam and minibatches: against plain loops, scikit-learn's own steps, closed forms."""

import math
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from onelayer.blocks import Block
from onelayer.coordinates import plain_coordinates
from onelayer.errors import InputError, LearningRateWarning
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import gradient_descent
from onelayer.solvers.curvature import largest_curvature
from onelayer.solvers.descent import Descent, seed_descent
from onelayer.solvers.optimizers import OPTIMIZERS

quick = settings(deadline=None, max_examples=40)
ADAM = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}  # as published


def random_rows(seed=0, n=53, p=3, classes=2, n_jobs=1, weighted=False):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * rng.uniform(0.3, 2, p) + rng.normal(size=p)
    labels = rng.integers(0, classes, (1, n)) * 1.0
    s = rng.exponential(size=n) if weighted else np.ones(n)
    return MemoryRows(Block(DenseFeatures(X), labels, s), n_jobs)


def descend(rows, loss=None, C=1.0, fit_intercept=True, seed=0, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LearningRateWarning)
        return fit(
            rows,
            loss or SigmoidLoss(1),
            C=C,
            fit_intercept=fit_intercept,
            solver="gradient_descent",
            descent=seed_descent(seed, **{**vars_of(Descent()), **options}),
        )


def vars_of(descent):
    names = ("learning_rate", "num_iterations", "optimizer", "batch_size")
    return {name: getattr(descent, name) for name in names}


# The rules by themselves


def follow(name, slopes, rate):
    theta = np.zeros(np.shape(slopes)[1:])
    optimizer, path = OPTIMIZERS[name].init(theta), []
    for slope in slopes:
        optimizer, theta = optimizer.step(theta, np.asarray(slope), rate)
        path.append(theta)
    return np.array(path)


@pytest.mark.parametrize("name", ["gd", "momentum", "adam"])
def test_the_steps_are_scikit_learn_s(name):
    """Its Adam adds epsilon before the correction for the start, so slopes are far above that."""
    slopes = np.random.default_rng(0).normal(size=(40, 2, 3)) * [1e2, 1e3, 1e4]
    theirs = [np.zeros((2, 3))]
    optimizer = {
        "gd": SGDOptimizer(theirs, 0.1, momentum=0, nesterov=False),
        "momentum": SGDOptimizer(theirs, 0.1, momentum=0.9, nesterov=False),
        "adam": AdamOptimizer(theirs, 0.1),
    }[name]
    for slope, ours in zip(slopes, follow(name, slopes, 0.1), strict=True):
        optimizer.update_params(theirs, [slope])
        np.testing.assert_allclose(ours, theirs[0], rtol=1e-6, atol=1e-7)


def test_momentum_on_a_parabola_in_closed_form():
    """theta'' = (1 + beta - eta a) theta' - beta theta: powers of the roots of a parabola."""
    a, eta, beta = 2.0, 0.3, 0.9
    theta = np.array([1.0])
    optimizer = OPTIMIZERS["momentum"].init(theta)
    first, second = np.roots([1, -(1 + beta - eta * a), beta])
    # From theta_0 = 1 and, standing still, theta_-1 = 1.
    share = (1 - 1 / second) / (1 / first - 1 / second)
    for t in range(1, 60):
        optimizer, theta = optimizer.step(theta, a * theta, eta)
        exact = share * first**t + (1 - share) * second**t
        assert theta[0] == pytest.approx(exact.real, abs=1e-12)


@pytest.mark.parametrize("slope", [1e-3, -5.0, 1e6])
def test_adam_on_a_straight_line_moves_by_the_learning_rate(slope):
    path = follow("adam", np.full((200, 1), slope), 0.25)
    moved = -0.25 * np.arange(1, 201) * slope / (abs(slope) + ADAM["eps"])
    np.testing.assert_allclose(path[:, 0], moved, rtol=1e-12)


def test_momentum_on_a_straight_line_gathers_ten_times_the_step():
    path = follow("momentum", np.ones((300, 1)), 0.1)
    assert path[-1, 0] - path[-2, 0] == pytest.approx(-1.0, rel=1e-9)


# Against plain loops


def loop_slope(X, labels, s, theta, rows, C, loss):
    """The slope of the mean cost from some rows, one row and one parameter after the other."""
    n, (outputs, width) = len(X), theta.shape
    out = [[0.0] * width for _ in range(outputs)]
    for i in rows:
        x = [*X[i], 1.0]
        z = [sum(theta[k][j] * x[j] for j in range(width)) for k in range(outputs)]
        if isinstance(loss, SoftmaxLoss):
            e = [math.exp(v - max(z)) for v in z]
            residual = [e[k] / sum(e) - (labels[0][i] == k) for k in range(outputs)]
        else:
            residual = [1 / (1 + math.exp(-z[k])) - labels[k][i] for k in range(outputs)]
        for k in range(outputs):
            for j in range(width):
                out[k][j] += n / len(rows) * s[i] * residual[k] * x[j]
    for k in range(outputs):
        for j in range(width - 1):
            out[k][j] += theta[k][j] / C
    return np.array(out) / sum(s)


def loop(rows, loss, theta, orders, batch_size, C, optimizer, rate):
    block = rows.block
    X, labels, s = block.features.values, block.labels, block.weights
    v, m, u, t = np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta), 0
    for order in orders:
        for start in range(0, len(order), batch_size):
            g = loop_slope(X, labels, s, theta, order[start : start + batch_size], C, loss)
            t += 1
            if optimizer == "gd":
                theta = theta - rate * g
            elif optimizer == "momentum":
                v = 0.9 * v + g
                theta = theta - rate * v
            else:
                m = ADAM["b1"] * m + (1 - ADAM["b1"]) * g
                u = ADAM["b2"] * u + (1 - ADAM["b2"]) * g * g
                m_hat, u_hat = m / (1 - ADAM["b1"] ** t), u / (1 - ADAM["b2"] ** t)
                theta = theta - rate * m_hat / (u_hat**0.5 + ADAM["eps"])
    return theta


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
@pytest.mark.parametrize("batch_size", [1, 7, 53, None])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_descent_is_that_of_plain_loops(optimizer, batch_size, classes):
    loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(3)
    rows = random_rows(classes=classes, weighted=True)
    rng = np.random.default_rng(1)
    orders = [rng.permutation(53) for _ in range(3)]
    start = rng.normal(size=(loss.n_outputs, 4)) * 0.1
    start[:, -1] = 0
    waiting = iter(orders)
    descent = Descent(
        0.05, 3, optimizer, batch_size, lambda n_x, n_y: start[:, :-1], lambda n: next(waiting)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LearningRateWarning)
        got = fit(rows, loss, C=2.0, solver="gradient_descent", descent=descent)
    expected = loop(rows, loss, start, orders, batch_size or 53, 2.0, optimizer, 0.05)
    np.testing.assert_allclose(np.column_stack([got.W, got.b]), expected, rtol=0, atol=1e-13)
    assert (got.status, got.iterations) == ("stopped", 3)


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_a_batch_of_all_rows_is_the_full_batch(optimizer):
    rows = random_rows()
    full = descend(rows, optimizer=optimizer, learning_rate=0.1)
    for size in (53, 54, 10**9):
        other = descend(rows, optimizer=optimizer, learning_rate=0.1, batch_size=size)
        np.testing.assert_array_equal(other.W, full.W)
        assert other.passes == full.passes


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
@pytest.mark.parametrize("layout", ["sparse", "mixed", "float32", "fortran"])
def test_layouts_descend_alike(optimizer, layout):
    rows = random_rows(p=4)
    X = rows.block.features.values.astype(np.float32).astype(float)
    X[:, 2:] = np.eye(2)[(X[:, 2] > 0).astype(int)]
    features = {
        "sparse": lambda: SparseFeatures(sparse.csr_array(X)),
        "mixed": lambda: MixedFeatures(X[:, :2], X[:, 3:].astype(np.int32), (2,)),
        "float32": lambda: DenseFeatures(X.astype(np.float32)),
        "fortran": lambda: DenseFeatures(np.asfortranarray(X)),
    }[layout]()
    options = {"optimizer": optimizer, "batch_size": 8, "learning_rate": 0.05}
    one = descend(MemoryRows(replace(rows.block, features=DenseFeatures(X))), **options)
    two = descend(MemoryRows(replace(rows.block, features=features)), **options)
    np.testing.assert_allclose(two.W, one.W, rtol=0, atol=1e-11)


# Seeds, threads, weights


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_the_seed_alone_settles_every_bit(optimizer):
    options = {"optimizer": optimizer, "batch_size": 22_000, "learning_rate": 0.01}
    rows = [random_rows(n=40_000, p=12, n_jobs=k) for k in (1, 2, 3)]
    one, *others = [descend(each, num_iterations=1, **options) for each in rows]
    for other in others:
        assert one.W.tobytes() == other.W.tobytes()
        assert [p.cost for p in one.history] == [p.cost for p in other.history]
    small = random_rows()
    options["batch_size"] = 9
    assert descend(small, seed=1, **options).W.tolist() != descend(small, **options).W.tolist()


def test_every_pass_has_an_order_of_its_own():
    seen = []

    def shuffle(n):
        seen.append(np.random.default_rng(len(seen)).permutation(n))
        return seen[-1]

    descent = Descent("safe", 4, batch_size=10, shuffle=shuffle)
    fit(random_rows(), SigmoidLoss(1), solver="gradient_descent", descent=descent)
    assert len(seen) == 4


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_a_row_without_weight_is_no_row(optimizer):
    rows = random_rows()
    s = (np.arange(53) % 3 > 0) * 1.0
    weighted = MemoryRows(replace(rows.block, weights=s))
    kept = MemoryRows(rows.block.take(np.flatnonzero(s)))
    options = {"optimizer": optimizer, "batch_size": 5, "learning_rate": 0.1}
    one, other = descend(weighted, **options), descend(kept, **options)
    np.testing.assert_allclose(one.W, other.W, rtol=0, atol=1e-13)


# The history, the warning, the certificate


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
@pytest.mark.parametrize("batch_size", [None, 10])
def test_the_history_has_the_cost_over_all_rows(optimizer, batch_size):
    rows = random_rows(weighted=True)
    options = {"optimizer": optimizer, "batch_size": batch_size, "learning_rate": 0.1}
    told = descend(rows, num_iterations=6, **options).history
    assert [p.iteration for p in told] == list(range(7))
    X, y = rows.block.features.values, rows.block.labels[0]
    for k in (0, 3, 6):
        got = descend(rows, num_iterations=k, **options)
        z = X @ got.W[0] + got.b[0, 0]
        losses = np.logaddexp(0, -(2 * y - 1) * z)
        expected = np.average(losses, weights=rows.block.weights)
        assert told[k].cost == pytest.approx(expected, rel=1e-13)
        assert got.cost == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("batch_size", [None, 10])
def test_the_warning_says_nothing_of_momentum_or_adam(batch_size):
    rows = random_rows()
    for optimizer in ("momentum", "adam"):
        descent = Descent(1e3, 2, optimizer, batch_size)
        fit(rows, SigmoidLoss(1), solver="gradient_descent", descent=descent)  # not a word
    descent = Descent(1e3, 2, "gd", batch_size)
    with pytest.warns(LearningRateWarning, match="minibatch" if batch_size else "this table"):
        fit(rows, SigmoidLoss(1), solver="gradient_descent", descent=descent)


@pytest.mark.parametrize("batch_size", [None, 10])
@pytest.mark.parametrize(
    ("optimizer", "advice"), [("momentum", "or learning_rate='safe'"), ("adam", "use a smaller")]
)
def test_divergence_is_said(optimizer, batch_size, advice):
    options = {"optimizer": optimizer, "batch_size": batch_size, "num_iterations": 500}
    got = descend(random_rows(), learning_rate=1e3, **options)
    assert got.status == "diverged"
    assert advice in got.message
    assert not got.certificate.proved
    assert np.isfinite(got.W).all()


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_enough_passes_come_near_the_optimum_and_the_certificate_says_how_near(optimizer):
    rows = random_rows(n=400)
    exact = fit(rows, SigmoidLoss(1))
    rate = {"gd": 0.1, "momentum": 0.01, "adam": 0.01}[optimizer]
    options = {"optimizer": optimizer, "batch_size": 100, "learning_rate": rate}
    got = descend(rows, num_iterations=60, **options)
    excess = got.objective - exact.objective
    assert excess <= 1e-3 * exact.objective
    assert excess <= got.certificate.gap + 1e-12
    assert math.isfinite(got.certificate.rho)


def test_a_state_does_not_grow_with_the_steps():
    """What each step copies is as large after 400 steps as after 4: n steps take n times one."""
    rows = random_rows(n=10)
    objective = Objective(rows, SigmoidLoss(1), 1.0, plain_coordinates(rows, True))
    descent = Descent(0.1)
    state = gradient_descent.init(objective, np.zeros((1, 4)), descent)
    sizes = []
    for _ in range(400):
        state = gradient_descent.step(objective, state, descent, 0.1)
        sizes.append(len(pickle.dumps(state)))
    assert sizes[-1] <= sizes[3] + 16  # the digits of the iteration's number


# The safe rate


@quick
@given(st.integers(0, 10**6), st.sampled_from([2, 3]), st.sampled_from([1, 3, 10]), st.booleans())
def test_no_minibatch_curves_more_than_the_bound(seed, classes, batch_size, fit_intercept):
    rows = random_rows(seed, n=14, classes=classes, weighted=True)
    loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(3)
    objective = Objective(rows, loss, 5.0, plain_coordinates(rows, fit_intercept))
    L, _ = largest_curvature(objective, batch_size)
    A = np.hstack([rows.block.features.values, np.full((14, 1), float(fit_intercept))])
    share = 0.5 if classes == 3 else 0.25
    order = np.random.default_rng(seed).permutation(14)
    for start in range(0, 14, batch_size):
        chosen = order[start : start + batch_size]
        scale = 14 / len(chosen) * rows.block.weights[chosen] / rows.block.weights.sum()
        curved = np.linalg.norm((A[chosen].T * scale) @ A[chosen], 2)
        assert share * curved + 1 / (5.0 * rows.block.weights.sum()) <= L * (1 + 1e-12)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([2, 3]), st.sampled_from([0.1, 10.0, np.inf]))
def test_safe_momentum_never_costs_more_than_the_start(seed, classes, C):
    """Nor does the cost plus beta / (2 eta) times the last move squared ever rise."""
    rows = random_rows(seed, n=20, classes=classes)
    loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(3)
    objective = Objective(rows, loss, C, plain_coordinates(rows, True))
    L, _ = largest_curvature(objective)
    descent = Descent(num_iterations=1, optimizer="momentum", learning_rate="safe")
    start = np.random.default_rng(seed).normal(size=(loss.n_outputs, 4)) * 3
    told = gradient_descent.solve(objective, start, descent).history
    assert told[1].step == pytest.approx(0.1 / L)
    for rate in (0.1 / L, 0.2 / L):  # up to twice that it is proved
        state, energies = gradient_descent.init(objective, start, descent), []
        for _ in range(40):
            before = state.theta
            state = gradient_descent.step(objective, state, descent, rate)
            moved = 0.9 / (2 * rate) * np.square(state.theta - before).sum()
            energies.append(state.progress.objective / 20 + moved)
        assert (np.diff([told[0].objective / 20, *energies]) <= 1e-12 * energies[0]).all()


def test_safe_is_refused_with_adam():
    with pytest.raises(InputError, match="says nothing of optimizer='adam'"):
        Descent("safe", optimizer="adam")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("optimizer", value) for value in ("sgd", "Adam", None, 3, ["adam"])],
        *[("batch_size", value) for value in (0, -1, 1.5, "all", True)],
        *[("learning_rate", value) for value in (0, -1, math.nan, math.inf, "fast", None, True)],
        *[("num_iterations", value) for value in (-1, 2.5, "3", None, True)],
    ],
)
def test_an_option_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"^{name}=.*expected"):
        Descent(**{name: value})
