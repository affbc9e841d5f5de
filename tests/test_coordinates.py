"""Standardised coordinates: what is measured, and that a change of coordinates changes no logit."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns, plain_coordinates, shift_rows
from onelayer.errors import InputError
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.network import linear
from onelayer.rows.memory import MemoryRows

EPS = np.finfo(float).eps


def rows_of(X, s=None, n_jobs=1):
    features = SparseFeatures(X) if sparse.issparse(X) else DenseFeatures(X)
    s = np.ones(X.shape[0]) if s is None else s
    return MemoryRows(Block(features, np.zeros((1, X.shape[0])), s), n_jobs)


def table(seed=0, n=50, p=5):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-6, 6, p) + 10.0 ** rng.uniform(-3, 3, p)
    s = rng.exponential(size=n) * (rng.random(n) < 0.8)
    return X, s


def exact_moments(X, s, about_centre):
    """Weighted mean and root mean square about it (or about 0), in 50 digits."""
    with mpmath.workdps(50):
        S = [mpmath.mpf(v) for v in s]
        out = []
        for column in X.T:
            x = [mpmath.mpf(float(v)) for v in column]
            mean = sum(a * b for a, b in zip(S, x, strict=True)) / sum(S) if about_centre else 0
            square = sum(a * (b - mean) ** 2 for a, b in zip(S, x, strict=True)) / sum(S)
            out.append((float(mean), float(mpmath.sqrt(square))))
    return np.array(out).T


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("offset", [0.0, 1e6, -1e10])
def test_centre_and_spread_keep_their_digits(offset, fit_intercept):
    X, s = table()
    X = X + offset * X.std(axis=0)
    where = measure_columns(rows_of(X, s), fit_intercept)
    centre, spread = exact_moments(X, s, fit_intercept)
    np.testing.assert_allclose(where.centre, centre, rtol=1e-13)
    np.testing.assert_allclose(where.spread, spread, rtol=1e-12)
    held = X[s > 0]
    np.testing.assert_array_equal(where.low, held.min(axis=0))
    np.testing.assert_array_equal(where.high, held.max(axis=0))
    assert where.weight == pytest.approx(s.sum(), rel=1e-14)
    farthest = np.abs((held - centre) / spread).max(axis=0)
    np.testing.assert_allclose(where.reach, farthest, rtol=1e-9)


def test_layouts_measure_alike():
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 3, (60, 1)).astype(np.int32)
    numeric = rng.normal(size=(60, 2))
    X, s = np.hstack([numeric, np.eye(3)[codes[:, 0]]]), rng.integers(0, 3, 60) * 1.0
    mixed = MemoryRows(Block(MixedFeatures(numeric, codes, (3,)), np.zeros((1, 60)), s))
    dense = measure_columns(rows_of(X, s), True)
    for other in (mixed, rows_of(sparse.csr_array(X), s), rows_of(np.asfortranarray(X), s)):
        where = measure_columns(other, True)
        for name in ("centre", "spread", "low", "high", "reach"):
            np.testing.assert_allclose(getattr(where, name), getattr(dense, name), rtol=1e-12)
        np.testing.assert_array_equal(where.frozen, dense.frozen)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000), st.booleans(), st.sampled_from([0.0, 1e3, 1e8]), st.booleans())
def test_no_logit_changes(seed, fit_intercept, offset, shifted):
    X, s = table(seed, n=20, p=3)
    X[:, 1] += offset * X[:, 1].std()
    s[:2] = 1
    rng = np.random.default_rng(seed)
    rows = rows_of(X, s)
    where = measure_columns(rows, fit_intercept)
    if shifted:
        rows, where = shift_rows(rows, where)
    theta = np.where(where.frozen, 0, rng.normal(size=(2, 4)))
    W, b = where.to_parameters(theta)
    size = np.abs(W) @ np.abs(X).T + np.abs(b)
    of_the_table = linear(X.T, {"W": W, "b": b})
    U, c = where.to_tiles(theta)
    of_the_tiles = rows.block.features.tile(0, 20).linear(U) + c[:, None]
    assert (np.abs(of_the_tiles - of_the_table) <= 8 * EPS * size).all()
    standardised = (X - where.centre) / where.spread @ theta[:, :-1].T + theta[:, -1]
    assert (np.abs(standardised.T - of_the_table) <= 8 * EPS * size).all()
    back = where.from_parameters(W, b)
    np.testing.assert_allclose(back[:, :-1], theta[:, :-1], rtol=4 * EPS)
    assert (np.abs(back[:, -1] - theta[:, -1]) <= 8 * EPS * size.max(axis=1)).all()


def test_constant_columns_are_frozen_whatever_their_rounding():
    X, s = table()
    X[:, 1], X[:, 3] = 0.1, 0
    X[s == 0, 1] = 77  # a value without a weight does not count
    where = measure_columns(rows_of(X, s), fit_intercept=True)
    assert where.frozen.tolist() == [False, True, False, True, False, False]
    np.testing.assert_array_equal(where.spread[[1, 3]], 1)
    assert where.centre[1] == 0.1
    without = measure_columns(rows_of(X, s), fit_intercept=False)
    assert without.frozen.tolist() == [False, False, False, True, False, True]
    assert without.spread[1] == pytest.approx(0.1)


def test_only_far_dense_columns_are_shifted():
    X, s = table()
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    near = rows_of(X, s)
    assert shift_rows(near, measure_columns(near, True))[0] is near
    far = rows_of(X + 1e4, s)
    shifted, where = shift_rows(far, measure_columns(far, True))
    np.testing.assert_array_equal(where.shift, where.centre)
    np.testing.assert_array_equal(where.residual_centre, 0)
    tile = shifted.block.features.tile(0, 50)
    np.testing.assert_allclose(tile.values, X + 1e4 - where.centre, rtol=0, atol=1e-11)
    without = measure_columns(far, fit_intercept=False)
    assert shift_rows(far, without)[0] is far


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_same_bits_for_any_number_of_threads(n_jobs):
    X, _ = table(n=30_000, p=20)
    one, other = (measure_columns(rows_of(X, n_jobs=k), True) for k in (1, n_jobs + 1))
    assert one.centre.tobytes() == other.centre.tobytes()
    assert one.spread.tobytes() == other.spread.tobytes()


@pytest.mark.parametrize("n", [10, 40_000])  # in this thread, and in others
@pytest.mark.parametrize("size", [1e160, 1e300, 1e-160])
def test_columns_beyond_float64_s_squares_are_refused_by_number(size, n):
    X = np.ones((n, 9)) * np.linspace(0, 1, n)[:, None]
    X[:, 2] *= size
    with pytest.raises(InputError, match=r"column 2 reaches 1e[+-]\d+.*another unit"):
        measure_columns(rows_of(X, n_jobs=2), True)


def test_float32_columns_are_measured_in_float64():
    X = (np.arange(40, dtype=np.float32)[:, None] + 1e7).astype(np.float32)
    where = measure_columns(rows_of(X), True)
    assert where.centre[0] == 1e7 + 19.5
    assert where.spread[0] == pytest.approx(np.arange(40).std(), rel=1e-12)


def test_weights_that_overflow_are_refused():
    X, _ = table()
    with pytest.raises(InputError, match="the weights add up to 5e\\+301"):
        measure_columns(rows_of(X, np.full(50, 1e300)), True)


def test_a_full_sparse_column_far_from_0_is_refused():
    X = sparse.random_array((50, 3), density=0.3, rng=0).toarray()
    X[:, 1] = 1e9 + np.arange(50)
    rows = rows_of(sparse.csr_array(X))
    with pytest.raises(InputError, match="column 1 of the sparse table lies at 1e\\+09"):
        shift_rows(rows, measure_columns(rows, True))


def test_plain_coordinates_change_nothing():
    X, s = table()
    where = plain_coordinates(rows_of(X, s), fit_intercept=True)
    theta = np.arange(12.0).reshape(2, 6)
    W, b = where.to_parameters(theta)
    np.testing.assert_array_equal(np.hstack([W, b]), theta)
    assert not where.frozen.any()
    assert plain_coordinates(rows_of(X, s), False).frozen.tolist() == [False] * 5 + [True]
