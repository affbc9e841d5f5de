"""The objective and its derivatives against many digits to 1e-12, and against each other."""

import mpmath
import numpy as np
import pytest
from exact import ONE, Exact, to_exact
from scipy import sparse

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns, plain_coordinates, shift_rows
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.network import compute_cost, forward_propagation, linear, log_loss, sigmoid
from onelayer.objective import Objective
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows

DIGITS = 400  # 1 - p where p is 1 - 1e-306


def make(X, labels, s, loss, C, fit_intercept=True, features=None, plain=False, n_jobs=1):
    rows = MemoryRows(Block(features or DenseFeatures(X), labels * 1.0, s), n_jobs)
    if plain:
        return Objective(rows, loss, C, plain_coordinates(rows, fit_intercept))
    rows, where = shift_rows(rows, measure_columns(rows, fit_intercept))
    return Objective(rows, loss, C, where)


def problem(seed, classes=2, n=30, p=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-2, 2, p) + rng.normal(size=p)
    y = rng.integers(0, classes, n)
    y[:classes] = range(classes)
    s = rng.exponential(size=n) * (rng.random(n) < 0.8)
    s[:classes] = 1
    return X, y, s


def to_theta_slopes(exact, where, g, H):
    """Slopes by the table's (W, b) to slopes by theta: w = v / spread, b = b' - centre'w."""
    width = len(where.spread) + 1
    T = to_exact(np.zeros((width, width)))
    for j, (c, d) in enumerate(zip(to_exact(where.centre), to_exact(where.spread), strict=True)):
        T[j, j], T[-1, j] = 1 / d, -c / d
    T[-1, -1] = ONE
    k = exact.outputs
    if not exact.fit_intercept:  # the oracle has no bias at all: a row and column of zeros
        keep = [a * width + j for a in range(k) for j in range(width - 1)]
        full_g, full_H = to_exact(np.zeros(k * width)), to_exact(np.zeros((k * width,) * 2))
        full_g[keep] = g
        full_H[np.ix_(keep, keep)] = H
        g, H = full_g, full_H
    g = (g.reshape(k, width) @ T).ravel()
    H = H.reshape(k, width, k, width)
    H = np.array([[T.T @ H[a, :, c] @ T for c in range(k)] for a in range(k)])
    return g.astype(float), H.transpose(0, 2, 1, 3).reshape(k * width, -1).astype(float)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [0.3, 1e5, np.inf])
@pytest.mark.parametrize("classes", [2, 3])
def test_value_slope_and_curvature_against_sixty_digits(classes, C, fit_intercept):
    X, y, s = problem(classes, classes)
    loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(classes)
    objective = make(X, y[None], s, loss, C, fit_intercept)
    theta = np.random.default_rng(1).normal(size=(loss.n_outputs, 4)) * 2
    theta[:, objective.where.frozen] = 0
    got = objective.evaluate(theta, hessian=True)
    exact = Exact(X, y, s, C, fit_intercept)
    point = exact.pack(*objective.where.to_parameters(theta))
    value = float(exact.value(point))
    g, H = to_theta_slopes(exact, objective.where, *exact.slopes(point))
    frozen = np.tile(objective.where.frozen, loss.n_outputs)
    H[frozen, frozen] += 1  # a parameter that cannot move is given curvature 1
    np.testing.assert_allclose(got.value, [value], rtol=1e-12)
    np.testing.assert_allclose(got.gradient[0], g, rtol=1e-12, atol=1e-12 * s.sum())
    np.testing.assert_allclose(got.hessian[0], H, rtol=1e-12, atol=1e-12 * s.sum())


to_many_digits = np.frompyfunc(lambda v: mpmath.mpf(float(v)), 1, 1)


def sum_by_rows(X, y, s, theta):
    """Value, gradient and Hessian without a penalty, row by row, and the sums of their sizes.

    One row of theta is a sigmoid; more are a softmax.
    """
    k, size = len(theta), theta.size
    value, g, H = (
        mpmath.mpf(0),
        to_many_digits(np.zeros(size)),
        to_many_digits(np.zeros((size, size))),
    )
    g_size, H_size = g.copy(), H.copy()
    for x, own, weight in zip(X, y, s, strict=True):
        x = to_many_digits(np.append(x, 1.0))
        e = [mpmath.exp(z) for z in to_many_digits(theta) @ x]
        e = [mpmath.mpf(1), *e] if k == 1 else e
        p = np.array([v / sum(e) for v in e])
        value -= weight * mpmath.log(p[own])
        others = np.array([sum(e[:j] + e[j + 1 :]) / sum(e) for j in range(len(e))])
        r = np.array([-others[j] if j == own else p[j] for j in range(len(e))])[-k:]
        q = np.array(
            [
                [p[i] * (others[i] if i == j else -p[j]) for j in range(len(e))]
                for i in range(len(e))
            ]
        )[-k:, -k:]
        one_g, one_H = weight * np.kron(r, x), weight * np.kron(q, np.outer(x, x))
        g, H, g_size, H_size = g + one_g, H + one_H, g_size + abs(one_g), H_size + abs(one_H)
    return [float(value), *(v.astype(float) for v in (g, H, g_size, H_size))]


@pytest.mark.parametrize("right", ["all", "some", "none"])
@pytest.mark.parametrize("classes", [2, 3])
def test_beyond_700_no_digit_is_lost(classes, right):
    """Logits of 701 to 706: the residual 1e-305 of a right answer counts as the 1 of a wrong one.

    Small whole numbers, so that the logits themselves are exact.
    """
    rng = np.random.default_rng(8)
    X = np.column_stack([rng.integers(701, 707, 12), rng.integers(-3, 4, (12, 2))]) * 1.0
    X[::2] *= -1
    theta = np.array([[1.0, 0, 0, 0]])
    if classes == 3:
        theta = np.array([[0.0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, -702]])
    answers = (X[:, 0] > 0) * 1
    wrong = {"all": 0, "some": np.arange(12) % 3 == 0, "none": 1}[right]
    y, s = (answers + wrong) % 2, rng.integers(1, 4, 12) * 1.0
    loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(classes)
    objective = make(X, y[None], s, loss, np.inf, plain=True)
    got = objective.evaluate(theta, hessian=True, diagonal=True)
    with mpmath.workdps(DIGITS):
        value, g, H, g_size, H_size = sum_by_rows(X, y, s, theta)
    assert got.value[0] == pytest.approx(value, rel=1e-12)
    assert (np.abs(got.gradient[0] - g) <= 1e-12 * g_size).all()
    assert (np.abs(got.hessian[0] - H) <= 1e-12 * H_size).all()
    np.testing.assert_allclose(got.diagonal[0], np.diag(H), rtol=1e-12)
    assert (got.least_margin[0] > 0) == (right == "all")


LAYOUTS = ("dense", "float32", "shifted", "sparse", "mixed")
LOSSES = {"sigmoid": SigmoidLoss(1), "multi-label": SigmoidLoss(3), "softmax": SoftmaxLoss(3)}


def make_any(layout, loss, C=2.0, fit_intercept=True, n=60, n_jobs=1):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(n, 4)) * [1, 10, 0.1, 1]
    features = None
    if layout == "float32":
        X = X.astype(np.float32)
    elif layout == "shifted":
        X = X + np.array([0, 1e4, 3, -1e3])
    elif layout == "sparse":
        X = X * (rng.random((n, 4)) < 0.4)
        features = SparseFeatures(sparse.csr_array(X))
    elif layout == "mixed":
        codes = rng.integers(0, 3, (n, 2)).astype(np.int32)
        words = sparse.csr_array(rng.poisson(0.3, (n, 2)) * 1.0)
        features = MixedFeatures(X, codes, (3, 3), words)
        X = np.hstack([X, np.eye(3)[codes[:, 0]], np.eye(3)[codes[:, 1]], words.toarray()])
    if isinstance(loss, SoftmaxLoss):
        labels = rng.integers(0, loss.n_outputs, (1, n))
    else:
        labels = rng.integers(0, 2, (loss.n_outputs, n))
    s = rng.exponential(size=n) * (rng.random(n) < 0.8)
    return X, make(X, labels, s, loss, C, fit_intercept, features, n_jobs=n_jobs)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_ways_to_the_hessian_agree(layout, loss, fit_intercept):
    _, objective = make_any(layout, LOSSES[loss], fit_intercept=fit_intercept)
    k, width = objective.n_outputs, objective.width
    rng = np.random.default_rng(2)
    frozen = objective.where.frozen
    theta = np.where(frozen, 0, rng.normal(size=(k, width)))
    V = np.where(frozen, 0, rng.normal(size=(k, width)))
    got = objective.evaluate(theta, hessian=True, diagonal=True)
    product = objective.multiply(theta, V).reshape(objective.groups, -1)
    expected = np.einsum("gij,gj->gi", got.hessian, V.reshape(objective.groups, -1))
    np.testing.assert_allclose(product, expected, rtol=1e-11, atol=1e-11)
    diagonals = np.einsum("gii->gi", got.hessian)
    np.testing.assert_allclose(got.diagonal, diagonals, rtol=1e-11)
    np.testing.assert_allclose(got.hessian, got.hessian.transpose(0, 2, 1), rtol=0, atol=1e-12)
    if fit_intercept:
        biases = np.zeros((k, k))
        for group, H in enumerate(got.hessian):
            own = H[width - 1 :: width, width - 1 :: width]
            at = slice(group, group + len(own))
            biases[at, at] = own
        np.testing.assert_allclose(got.bias_curvature, biases, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_slopes_are_differences_of_values(layout, loss):
    """By central differences of the value, at a step where they keep six digits."""
    _, objective = make_any(layout, LOSSES[loss])
    rng = np.random.default_rng(3)
    theta, V = rng.normal(size=(2, objective.n_outputs, objective.width))
    h = 1e-4
    at, up, down = (objective.evaluate(theta + step * V) for step in (0, h, -h))
    slope = (at.gradient * V.reshape(objective.groups, -1)).sum(axis=1)
    np.testing.assert_allclose((up.value - down.value) / (2 * h), slope, rtol=1e-5, atol=1e-5)
    curved = (up.gradient - down.gradient) / (2 * h)
    product = objective.multiply(theta, V).reshape(objective.groups, -1)
    np.testing.assert_allclose(product, curved, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_agree_with_the_plain_matrix(layout):
    X, objective = make_any(layout, SigmoidLoss(2))
    block = objective.rows.block
    dense = make(X.astype(np.float64), block.labels, block.weights, SigmoidLoss(2), 2.0)
    theta = np.random.default_rng(4).normal(size=(2, objective.width))
    ours, plain = objective.evaluate(theta, hessian=True), dense.evaluate(theta, hessian=True)
    np.testing.assert_allclose(ours.value, plain.value, rtol=1e-11)
    np.testing.assert_allclose(ours.gradient, plain.gradient, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.hessian, plain.hessian, rtol=1e-9, atol=1e-9)


def test_the_cost_is_the_network_s():
    X, objective = make_any("dense", SigmoidLoss(3), C=np.inf)
    theta = np.random.default_rng(4).normal(size=(3, 5)) / 3
    W, b = objective.where.to_parameters(theta)
    block, parameters = objective.rows.block, {"W": W, "b": b}
    got = objective.evaluate(theta)
    expected = log_loss(linear(X.T, parameters), block.labels) @ block.weights
    np.testing.assert_allclose(got.value, expected, rtol=1e-13)
    A = forward_propagation(X.T, parameters)
    np.testing.assert_allclose(got.miss, (((A - block.labels) * block.weights) ** 2).sum(axis=1))
    held = block.weights > 0
    assert compute_cost(A[:, held], block.labels[:, held]) > 0


def test_rows_without_a_weight_do_not_count():
    X, y, s = problem(3)
    held = s > 0
    loss, theta = SigmoidLoss(1), np.full((1, 4), 0.3)
    X[~held] = 1e9
    y[~held] = 1 - y[~held]
    with_them = make(X, y[None], s, loss, 1.0).evaluate(theta, hessian=True)
    without = make(X[held], y[None, held], s[held], loss, 1.0).evaluate(theta, hessian=True)
    for name in ("value", "gradient", "hessian", "miss", "least_curvature", "least_margin"):
        np.testing.assert_allclose(getattr(with_them, name), getattr(without, name), rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_start_is_the_base_rate(loss):
    _, objective = make_any("dense", LOSSES[loss])
    start = objective.start()
    block = objective.rows.block
    np.testing.assert_array_equal(start[:, :-1], 0)
    if loss == "softmax":
        rates = (block.labels == np.arange(3)[:, None]) @ block.weights
        np.testing.assert_allclose(
            np.exp(start[:, -1]) / np.exp(start[:, -1]).sum(), rates / rates.sum()
        )
    else:
        rates = block.labels @ block.weights / block.weights.sum()
        np.testing.assert_allclose(sigmoid(start[:, -1]), rates)


def test_a_base_rate_that_rounds_to_1_still_starts_finite():
    X, y, _ = problem(4)
    s = np.where(y == 1, 1.0, 1e-20)
    start = make(X, y[None], s, SigmoidLoss(1), 1.0).start()
    assert start[0, -1] == pytest.approx(np.log(s[y == 1].sum()) - np.log(s[y == 0].sum()))


@pytest.mark.parametrize("C", [1e-320, 1e-10, 1e300])
@pytest.mark.parametrize("scale", [1e-145, 1e145])
def test_no_penalty_overflows(C, scale):
    X, y, s = problem(6)
    objective = make(X * scale, y[None], s, SigmoidLoss(1), C)
    got = objective.evaluate(objective.start(), hessian=True)
    assert np.isfinite(objective.penalty).all()
    assert np.isfinite(got.hessian).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_bits_for_any_number_of_threads(layout, loss):
    results = []
    for n_jobs in (1, 2, 5):
        _, objective = make_any(layout, LOSSES[loss], n=40_000, n_jobs=n_jobs)
        theta = np.ones((objective.n_outputs, objective.width)) / 7
        with single_threaded_blas():
            got = objective.evaluate(theta, hessian=True, diagonal=True)
            product = objective.multiply(theta, theta)
        parts = (got.value, got.gradient, got.hessian, got.diagonal, got.miss, product)
        results.append(b"".join(part.tobytes() for part in parts))
    assert results[0] == results[1] == results[2]
