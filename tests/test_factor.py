"""Inverses of Hessians, also where columns depend on each other or differ in scale by 1e12."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelayer.solvers.factor import factor


def gram(seed, n=20, p=5, scales=0.0):
    """X'X of random columns, as a Hessian is made."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-scales, scales, p)
    return X, X.T @ X


def unit(H):
    """Sizes in which entries of H^-1 may be compared."""
    d = np.sqrt(np.diag(H))
    return np.where(d > 0, d, 1)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 6.0, 12.0]))
def test_inverses_of_any_scale(seed, scales):
    _, H = gram(seed, scales=scales)
    got, d = factor(H), unit(H)
    with mpmath.workdps(120):
        exact = np.array((mpmath.matrix(H.tolist()) ** -1).tolist(), dtype=float)
    assert got.full
    assert got.rank == 5
    size = np.abs(exact * d * d[:, None]).max()
    error = np.abs((got.inverse - exact) * d * d[:, None]).max()
    assert error <= 1e-14 * size**2
    np.testing.assert_allclose(got.inverse, got.inverse.T, rtol=1e-14)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from([0.0, 6.0]))
def test_dependent_columns_are_told_and_left_alone(seed, copies, scales):
    """The step solves the equation in the rows' own space, and lambda is not understated there."""
    X, _ = gram(seed, p=4, scales=scales)
    rng = np.random.default_rng(seed)
    mix = rng.integers(-2, 3, (4, copies)) * 1.0
    mix[0] = 1
    X = np.hstack([X, (X / unit(X.T @ X)) @ mix])
    H = X.T @ X
    got = factor(H)
    assert got.rank == 4
    assert not got.full
    g = X.T @ rng.normal(size=20)  # as every gradient: a sum over rows
    step = got.solve(g)
    d = unit(H)
    np.testing.assert_allclose((H @ step) / d, g / d, rtol=0, atol=1e-9 * np.abs(g / d).max())
    # g = X'r with r of least norm, from columns of one size
    least = np.linalg.lstsq((X[:, :4] / d[:4]).T, g[:4] / d[:4], rcond=None)[0]
    squared = least @ least  # g' H^+ g
    assert g @ step == pytest.approx(squared, rel=1e-9)


def test_duplicates_share_the_step():
    got = factor(np.ones((3, 3)))
    np.testing.assert_allclose(got.solve(np.full(3, 6.0)), 2)
    assert got.rank == 1


def test_a_parameter_without_curvature_stays():
    H = np.diag([4.0, 0.0, 1.0])
    got = factor(H)
    assert got.rank == 2
    np.testing.assert_allclose(got.solve(np.array([4.0, 0, 3])), [1, 0, 3])


@pytest.mark.parametrize("size", [1e-300, 1.0, 1e300])
def test_any_size(size):
    np.testing.assert_allclose(factor(np.eye(3) * size).solve(np.full(3, size)), 1)


def test_nearly_dependent_columns_never_shift_the_matrix_upward():
    """v'H^+ v is at least what the true inverse gives on the directions that were kept."""
    rng = np.random.default_rng(0)
    for gap in 10.0 ** np.arange(-2, -9, -0.5):
        X = rng.normal(size=(50, 3))
        X[:, 2] = X[:, 0] + gap * X[:, 1] + gap * 1e-3 * X[:, 2]
        H = X.T @ X
        got = factor(H)
        with mpmath.workdps(40):
            exact = np.array((mpmath.matrix(H.tolist()) ** -1).tolist(), dtype=float)
        g = X.T @ rng.normal(size=50)
        if got.full:
            assert g @ got.solve(g) >= (1 - 1e-2) * (g @ exact @ g)


def test_the_matrix_is_left_alone():
    _, H = gram(1)
    before = H.copy()
    factor(H)
    np.testing.assert_array_equal(H, before)
