"""Every layout through every operation, against the plain matrix that it stands for."""

import threading
import time
from functools import partial

import numpy as np
import pytest
from scipy import sparse

from onelayer.features.dense import DenseFeatures
from onelayer.features.grouped import group_columns
from onelayer.features.mixed import MixedFeatures
from onelayer.features.paired import pair_values
from onelayer.features.sparse import SparseFeatures

N = 23


def make_dense(order="C", dtype=np.float64, shift=False, stride=1):
    rng = np.random.default_rng(0)
    values = np.asarray(
        rng.normal(size=(N, 6)) * 10.0 ** np.arange(-2, 4), dtype=dtype, order=order
    )
    values = values[:, ::stride]
    by = rng.normal(size=values.shape[1]) if shift else None
    return DenseFeatures(values, by), values.astype(np.float64) - (0 if by is None else by)


def make_sparse(density=0.3, dtype=np.float64, wide=False):
    rng = np.random.default_rng(1)
    plain = rng.normal(size=(N, 9)) * (rng.random((N, 9)) < density)
    plain[4] = 0  # a row without entries
    values = sparse.csr_array(plain.astype(dtype))
    if wide:
        values.indptr, values.indices = (
            values.indptr.astype(np.int64),
            values.indices.astype(np.int64),
        )
    return SparseFeatures(values), values.toarray().astype(np.float64)


def make_mixed(numeric=3, levels=(4, 1, 7), words=5, order="C"):
    rng = np.random.default_rng(2)
    numbers = np.asarray(rng.normal(size=(N, numeric)), order=order)
    codes = np.column_stack([rng.integers(0, c, N) for c in levels] or [np.empty((N, 0))])
    counts = sparse.csr_array(rng.poisson(0.4, (N, words)).astype(float)) if words else None
    onehot = [np.eye(c)[codes[:, j].astype(int)] for j, c in enumerate(levels)]
    expanded = [numbers, *onehot, *([counts.toarray()] if words else [])]
    return MixedFeatures(numbers, codes.astype(np.int32), levels, counts), np.hstack(expanded)


def make_joined():
    """Categories joined once, in two pieces; one has too many levels to be."""
    features, X = make_mixed(levels=(70, 4, 3, 5, 2))
    return features.joined(lambda task, pieces: list(map(task, pieces)), [(0, 9), (9, N)]), X


def make_grouped(dtype=np.float64):
    """One-hot columns as sparse rows, some of them without a level, with a number in between."""
    rng = np.random.default_rng(3)
    first, second = (np.eye(k + 1)[rng.integers(0, k + 1, N), :k] for k in (4, 70))
    first[:3] = np.eye(4)[:3]
    number = rng.normal(size=(N, 1)) * (rng.random((N, 1)) < 0.5)
    X = np.hstack([first, number, second, np.ones((N, 1))])
    features = group_columns(SparseFeatures(sparse.csr_array(X.astype(dtype))))
    assert features is not None
    return features, X.astype(dtype).astype(np.float64)


def make_paired(dtype=np.float64):
    features, X = make_sparse(dtype=dtype)
    return pair_values(features), X


LAYOUTS = {
    "dense C": lambda: make_dense(),
    "dense Fortran": lambda: make_dense(order="F"),
    "dense strided": lambda: make_dense(stride=2),
    "dense float32": lambda: make_dense(dtype=np.float32),
    "dense float32 Fortran shifted": lambda: make_dense("F", np.float32, shift=True),
    "dense shifted": lambda: make_dense(shift=True),
    "sparse": lambda: make_sparse(),
    "sparse, nearly empty": lambda: make_sparse(density=0.05),
    "sparse float32": lambda: make_sparse(dtype=np.float32),
    "sparse, 64-bit indices": lambda: make_sparse(wide=True),
    "grouped": make_grouped,
    "grouped float32": lambda: make_grouped(np.float32),
    "paired": make_paired,
    "paired float32": lambda: make_paired(np.float32),
    "mixed": lambda: make_mixed(),
    "mixed Fortran": lambda: make_mixed(order="F"),
    "mixed, joined": make_joined,
    "mixed without numbers": lambda: make_mixed(numeric=0),
    "mixed without categories": lambda: make_mixed(levels=()),
    "mixed without words": lambda: make_mixed(words=0),
    "mixed, categories alone": lambda: make_mixed(numeric=0, words=0),
}

rng = np.random.default_rng(9)
Q = rng.uniform(0.1, 2, (3, N)) * (rng.random((3, N)) < 0.8)  # weights of 0 among them
S = np.where(np.arange(N) % 5, rng.uniform(0.5, 2, N), 0.0)
CHOSEN = np.array([7, 3, 3, 0, N - 1])


def moments(X, s, origin):
    held = X[s > 0]
    moved = X - origin
    return s @ moved, s @ moved**2, held.min(axis=0), held.max(axis=0)


def weights(X, k):
    return np.random.default_rng(k).normal(size=(k, X.shape[1])) / (1 + np.abs(X).max(axis=0))


def some(X):
    """Two columns out of three, in order."""
    return np.flatnonzero(np.arange(X.shape[1]) % 3)


def origin(X):
    return np.linspace(-1, 1, X.shape[1])


def chain(features):
    """Pieces of pieces, as rows -> blocks -> tiles cut them."""
    return features.rows(2, 20).rows(1, 15).tile(3, 11)


# name -> (what the features give, what plain algebra gives); features come as a whole tile.
OPERATIONS = {
    "linear, 1 output": (lambda F, X: F.linear(weights(X, 1)), lambda X: weights(X, 1) @ X.T),
    "linear, 3 outputs": (lambda F, X: F.linear(weights(X, 3)), lambda X: weights(X, 3) @ X.T),
    "back, 1 output": (lambda F, X: F.back(Q[:1]), lambda X: Q[:1] @ X),
    "back, 3 outputs": (lambda F, X: F.back(Q), lambda X: Q @ X),
    "back, whole numbers": (lambda F, X: F.back(np.round(Q)), lambda X: np.round(Q) @ X),
    "curvature": (lambda F, X: F.curvature(Q[0]), lambda X: (X.T * Q[0]) @ X),
    "curvature, no weight": (lambda F, X: F.curvature(0 * Q[0]), lambda X: 0 * (X.T @ X)),
    "squares, one": (lambda F, X: F.squares(Q[0]), lambda X: Q[0] @ X**2),
    "squares, 3 outputs": (lambda F, X: F.squares(Q), lambda X: Q @ X**2),
    "absolute": (lambda F, X: F.absolute().back(Q), lambda X: Q @ np.abs(X)),
    "filled": (lambda F, X: F.count_filled(), lambda X: (X != 0).sum(axis=0)),
    "square lengths": (lambda F, X: F.square_lengths(), lambda X: (X**2).sum(axis=1)),
    "columns": (
        lambda F, X: F.columns(some(X)).linear(weights(X[:, some(X)], 2)),
        lambda X: weights(X[:, some(X)], 2) @ X[:, some(X)].T,
    ),
    "curvature of columns": (
        lambda F, X: F.columns(some(X)).curvature(Q[0]),
        lambda X: (X[:, some(X)].T * Q[0]) @ X[:, some(X)],
    ),
    "no column": (lambda F, X: F.columns(some(X)[:0]).back(Q), lambda X: np.zeros((3, 0))),
    "square lengths, scaled": (
        lambda F, X: F.square_lengths(origin(X)),
        lambda X: ((X * origin(X)) ** 2).sum(axis=1),
    ),
    "moments": (
        lambda F, X: np.stack(F.moments(S, origin(X))),
        lambda X: np.stack(moments(X, S, origin(X))),
    ),
    "moments, all rows": (
        lambda F, X: np.stack(F.moments(S + 1, 0 * origin(X))),
        lambda X: np.stack(moments(X, S + 1, 0)),
    ),
}
# The same for pieces: what comes out is a matrix again.
PIECES = {
    "rows": (lambda F: F.rows(4, 17), slice(4, 17)),
    "rows past the end": (lambda F: F.rows(20, 99), slice(20, 99)),
    "all rows": (lambda F: F.rows(0, N), slice(None)),
    "one row": (lambda F: F.rows(5, 6), slice(5, 6)),
    "no row": (lambda F: F.rows(6, 6), slice(6, 6)),
    "take": (lambda F: F.take(CHOSEN), CHOSEN),
    "take none": (lambda F: F.take(CHOSEN[:0]), CHOSEN[:0]),
    "rows of rows": (chain, slice(6, 14)),
}


def scale(ours, X):
    """Sums of products err in units of their terms' size."""
    return np.abs(X).max(initial=1.0) ** 2 * N


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_through_every_operation(layout, operation):
    features, X = LAYOUTS[layout]()
    ours, plain = OPERATIONS[operation]
    result, expected = ours(features.tile(0, N), X), plain(X)
    assert result.shape == expected.shape
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-15 * scale(result, X))


def next_filled(X):
    """For each column the next one with a value in the same row, the hard way."""
    after = np.full(X.shape[1], X.shape[1])
    for row in X:
        filled = np.flatnonzero(row)
        after[filled[:-1]] = np.minimum(after[filled[:-1]], filled[1:])
    return after


@pytest.mark.parametrize("layout", LAYOUTS)
def test_columns_that_no_row_fills_together(layout):
    features, X = LAYOUTS[layout]()
    given = features.tile(0, N).successors()
    assert (given <= next_filled(X)).all()
    assert (given > np.arange(X.shape[1])).all()
    if isinstance(features, SparseFeatures):
        np.testing.assert_array_equal(given, next_filled(X))
    ends = np.minimum.accumulate(given[::-1])[::-1]
    for first, end in enumerate(ends):
        apart, p = slice(first, int(end)), X.shape[1]
        assert ((X[:, apart] != 0).sum(axis=1) <= 1).all()
        H, others = (X.T * Q[0]) @ X, np.delete(np.arange(p), apart)
        m, r = len(others), p - len(others)
        blocks = np.ones((m, m)), np.ones((m, r)), np.ones(r)
        features.tile(0, N).add_bordered(Q[0], apart, blocks)
        whole = H[others][:, others], H[others, apart], np.diag(H)[apart]
        for block, expected in zip(blocks, whole, strict=True):
            np.testing.assert_allclose(
                block - 1, expected, rtol=1e-12, atol=1e-15 * scale(block, X)
            )


def test_rows_out_of_order_tell_of_no_columns_apart():
    values = sparse.csr_array((np.ones(4), [2, 0, 1, 2], [0, 2, 4]), shape=(2, 3))
    assert SparseFeatures(values).successors().tolist() == [1, 2, 3]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_in_pieces(layout, piece):
    features, X = LAYOUTS[layout]()
    cut, which = PIECES[piece]
    part, expected = cut(features), X[which]
    assert (part.n_rows, part.n_columns) == expected.shape
    W = np.eye(X.shape[1])
    np.testing.assert_allclose(part.tile(0, part.n_rows).linear(W), expected.T, rtol=1e-15)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tiles_are_float64_and_leave_the_table_alone(layout):
    features, X = LAYOUTS[layout]()
    before = features.rows(0, N).tile(0, N).linear(np.eye(X.shape[1])).copy()
    tile = features.tile(3, 9)
    assert tile.n_rows == 6
    for operation, _ in OPERATIONS.values():
        operation(features.tile(0, N), X)
    np.testing.assert_array_equal(features.tile(0, N).linear(np.eye(X.shape[1])), before)


def test_sizes_count_what_is_stored():
    assert make_dense()[0].row_values == 6
    features, X = make_sparse()
    assert features.row_values == np.count_nonzero(X) // N
    features, X = make_mixed()
    assert features.n_columns == X.shape[1] == 3 + 12 + 5
    assert 6 <= features.row_values <= 3 + 3 + 5


@pytest.mark.parametrize("layout", ["dense C", "sparse", "mixed"])
def test_without_a_weight_the_range_is_empty(layout):
    features, X = LAYOUTS[layout]()
    first, second, low, high = features.tile(0, N).moments(np.zeros(N), origin(X))
    np.testing.assert_array_equal(first, 0)
    np.testing.assert_array_equal(second, 0)
    assert not (low < high).any()
    others = moments(X, S, 0)[2:]  # and it is the neutral element of the merge with other tiles
    np.testing.assert_array_equal(np.minimum(low, others[0]), others[0])
    np.testing.assert_array_equal(np.maximum(high, others[1]), others[1])


def test_bounds_of_wide_sparse_columns():
    """Where ranges need not be exact: never narrower than the truth, exact for constants."""
    rng = np.random.default_rng(4)
    values = sparse.random_array((40, 3000), density=0.02, rng=rng).tolil()
    values[:, 7], values[:, 9] = 2.5, rng.normal(size=40)
    features, plain = SparseFeatures(values.tocsr()), values.toarray()
    plain[:, 5] = 0
    features = SparseFeatures(sparse.csr_array(plain))
    for s in (np.ones(40), rng.uniform(0.1, 2, 40) * (np.arange(40) % 4 > 0)):
        _, _, low, high = features.moments(s, np.zeros(3000), exact=False)
        held = plain[s > 0]
        assert (low <= held.min(axis=0)).all()
        assert (high >= held.max(axis=0)).all()
        assert (high <= held.max() * (1 + 1e-12)).all()
        for column, constant in ((5, 0.0), (7, 2.5)):
            assert low[column] == high[column] == constant
        assert low[9] == held[:, 9].min()


def test_sparse_rows_without_columns_have_an_empty_hessian():
    """The first working set of a path may be empty."""
    X = SparseFeatures(sparse.csr_array((5, 0)))
    assert X.curvature(np.ones(5)).shape == (0, 0)
    assert X.linear(np.zeros((1, 0))).tolist() == [[0.0] * 5]


def test_many_rows_of_codes_alone_have_moments() -> None:
    codes = np.tile(np.array([[0], [1]], dtype=np.int32), (40_000, 1))
    features = MixedFeatures(np.empty((80_000, 0)), codes, (2,))
    first, _, low, high = features.moments(np.ones(80_000), np.zeros(2))
    assert (first.tolist(), low.tolist(), high.tolist()) == ([40_000] * 2, [0, 0], [1, 1])


def test_sparse_rows_of_other_values_are_no_categories():
    features, _ = make_sparse()
    assert group_columns(features) is None


def _count_beats(task) -> int:
    """How often another thread comes to run while `task` does."""
    beats, done = [0], threading.Event()

    def beat():
        while not done.is_set():
            time.sleep(1e-4)
            beats[0] += 1

    other = threading.Thread(target=beat)
    other.start()
    before = beats[0]
    task()
    found = beats[0] - before
    done.set()
    other.join()
    return found


@pytest.mark.parametrize("layout", ["dense", "mixed"])
@pytest.mark.parametrize("operation", ["linear", "back", "curvature", "moments"])
def test_threads_go_on_while_rows_are_multiplied(layout, operation):
    """Blocks are for threads, which would take turns if a product kept the interpreter."""
    n, p = 2_000_000, 8
    values = np.zeros((n, p))
    features = DenseFeatures(values)
    if layout == "mixed":
        features = MixedFeatures(values, np.zeros((n, 0), dtype=np.int32), ())
    arguments = {
        "linear": (np.zeros((1, p)),),
        "back": (np.zeros((1, n)),),
        "curvature": (np.zeros(n),),
        "moments": (np.zeros(n), np.zeros(p)),
    }[operation]
    task = partial(getattr(features, operation), *arguments)
    # A busy machine may leave the other thread waiting; kept away, it never comes to run.
    assert any(_count_beats(task) >= 3 for _ in range(40))
