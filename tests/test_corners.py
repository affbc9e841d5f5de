"""A parabola plus an L1 norm: its minimum, whatever the start, the rank and the overlap."""

import numpy as np
import pytest

from onelayer.solvers.active_set import Walk, walk
from onelayer.solvers.corners import minimise
from onelayer.solvers.support import bend_into_range


def make(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 60))
    rank = max(1, int(size * rng.uniform(0.5, 2)))
    A = rng.normal(size=(rank, size)) + rng.normal(size=(rank, 1)) * rng.choice([0, 3.0])
    H = A.T @ A + (0.1 * np.eye(size) if seed % 3 == 0 else 0)
    kappa = rng.uniform(0.1, 3, size) * rng.choice([0.1, 1, 10])
    kappa[-1] = 0
    return H, A.T @ rng.normal(size=rank) * 5, kappa, rng.normal(size=size) * (seed % 2)


@pytest.mark.parametrize("seed", range(60))
def test_no_slope_is_left(seed):
    H, c, kappa, start = make(seed)
    x = minimise(H, H @ start + c, kappa, start)
    slope = H @ x + c
    at_zero = np.maximum(np.abs(slope) - kappa, 0)
    left = np.where(x == 0, at_zero, np.abs(slope + kappa * np.sign(x)))
    assert left.max() <= 1e-8 * (1 + np.abs(c).max())


def make_categories(seed):
    """The parabola of a table of categories, whose levels add up to 1 as the bias does."""
    rng = np.random.default_rng(seed)
    levels = [rng.integers(0, k, 150) for k in rng.integers(2, 9, 4)]
    X = np.hstack([np.eye(level.max() + 1)[level] for level in levels])
    X = np.column_stack([X / X.std(axis=0), np.ones(150)])
    kappa = np.append(np.full(X.shape[1] - 1, 10.0 ** rng.uniform(-1, 1.5)), 0)
    start = rng.normal(size=len(kappa)) * (rng.random(len(kappa)) < 0.9) * (seed % 2)
    return X.T @ X, X.T @ rng.normal(size=150), kappa, start


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("method", [minimise, lambda *given: walk(*given)[0]])
def test_columns_that_depend_on_each_other(method, seed):
    """No slope is left, and no held column is a sum of the others."""
    H, c, kappa, start = make_categories(seed)
    x = method(H, H @ start + c, kappa, start)
    slope = H @ x + c
    at_zero = np.maximum(np.abs(slope) - kappa, 0)
    left = np.where(x == 0, at_zero, np.abs(slope + kappa * np.sign(x)))
    assert left.max() <= 1e-10 * (1 + np.abs(c).max())
    held = (x != 0) | (kappa == 0)
    assert np.linalg.matrix_rank(H[np.ix_(held, held)]) == held.sum()


@pytest.mark.parametrize("seed", range(20))
def test_opposite_columns_do_not_take_turns(seed):
    """The two levels of a category are opposites, but for what sums over rows have rounded."""
    rng = np.random.default_rng(seed)
    level, other = rng.random(300) < rng.uniform(0.2, 0.8), rng.integers(0, 4, 300)
    X = np.column_stack([level, ~level, np.eye(4)[other]]) * 1.0
    X = np.column_stack([(X - X.mean(axis=0)) / X.std(axis=0), np.ones(300)])
    off = 1 + 3e-13 * rng.normal(size=(7, 7))
    H, c = X.T @ X * (off + off.T) / 2, X.T @ (2 * level + other + rng.normal(size=300))
    at = Walk(H, c, np.append(np.full(6, 10 ** rng.uniform(-1, 1)), 0), np.zeros(7))
    steps = sum(1 for _ in iter(at.step, False))
    assert steps < 20


@pytest.mark.parametrize("size", [50, 640])  # few enough for a walk, and more
@pytest.mark.parametrize("begun", [False, True])
def test_of_equal_columns_one_is_held(size, begun):
    rng = np.random.default_rng(size)
    A = rng.normal(size=(size, size)) + 3 * np.sqrt(size) * np.eye(size)
    A[:, size // 2 : size // 2 + 10] = A[:, :10]
    A[:, -1] = A[:, 0]
    H, c, kappa = A.T @ A, rng.normal(size=size) * 20 * size, np.full(size, 8.0 * size)
    twins = [[j, size // 2 + j, *[size - 1][: j == 0]] for j in range(10)]
    for each in twins:  # a product of matrices need not round equal columns alike
        H[each], c[each] = H[each[0]], c[each[0]]
    for each in twins:
        H[:, each] = H[:, each[:1]]
    start = rng.normal(size=size) * begun
    x = minimise(H, H @ start + c, kappa, start)
    slope = H @ x + c
    at_zero = np.maximum(np.abs(slope) - kappa, 0)
    left = np.where(x == 0, at_zero, np.abs(slope + kappa * np.sign(x)))
    assert left.max() <= 1e-10 * (1 + np.abs(c).max())
    assert all((x[each] != 0).sum() <= 1 for each in twins)
    assert any((x[each] != 0).any() for each in twins)


def test_nothing_to_do():
    x = np.array([1.0, 0.0])
    np.testing.assert_allclose(minimise(np.eye(2), np.array([-1.0, 0.5]), np.ones(2), x), x)


def test_slopes_that_no_corner_can_balance():
    flat = np.array([[1.0], [1.0], [-1.0]])
    free = np.array([[-0.1, 0.1], [0.5, 0.5], [0.0, 0.0]])
    assert bend_into_range(flat, np.array([0.0, 0.5, 0.0]), free) is None
