"""Logits to the same bits whatever the batch, the threads, the order in memory and the dtype."""

import numpy as np
import pytest
from scipy import sparse

from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.network import linear
from onelayer.scoring import predict_logits

WIDTHS = (1, 2, 3, 7, 8, 31, 64, 100, 513, 1500)


def make(layout, n, p, outputs=1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)).astype(np.float32).astype(np.float64)
    W, b = rng.normal(size=(outputs, p)), rng.normal(size=(outputs, 1))
    if layout == "dense":
        return DenseFeatures(X), W, b
    if layout == "sparse":
        return SparseFeatures(sparse.csr_array(X * (rng.random(X.shape) < 0.3))), W, b
    codes = rng.integers(0, 9, (n, 3)).astype(np.int32)
    words = sparse.csr_array(rng.poisson(0.3, (n, 4)) * 1.0)
    W = rng.normal(size=(outputs, p + 27 + 4))
    return MixedFeatures(X, codes, (9, 9, 9), words), W, b


@pytest.mark.parametrize("outputs", [1, 2, 5])
@pytest.mark.parametrize("p", WIDTHS)
def test_a_row_s_bits_do_not_depend_on_its_neighbours(p, outputs):
    """From single rows to batches of many tiles; a small product may take another BLAS kernel."""
    n = 3_000
    features, W, b = make("dense", n, p, outputs)
    whole = predict_logits(features, W, b)
    rng = np.random.default_rng(p)
    slices = [(i, i + 1) for i in rng.integers(0, n, 12)]
    slices += [tuple(sorted(pair)) for pair in rng.integers(0, n, (12, 2))]
    slices += [(5, 5 + k) for k in (2, 3, 5, 17, 63, 64, 65, 127, 128, 700)]
    for start, stop in slices:
        part = predict_logits(features.rows(int(start), int(stop)), W, b)
        assert part.tobytes() == np.ascontiguousarray(whole[:, start:stop]).tobytes()


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("layout", ["sparse", "mixed"])
def test_other_layouts_too(layout, outputs):
    n = 2_000
    features, W, b = make(layout, n, 30, outputs)
    whole = predict_logits(features, W, b)
    for start, stop in [(0, 1), (7, 8), (n - 1, n), (3, 69), (100, 1_999)]:
        part = predict_logits(features.rows(start, stop), W, b)
        assert part.tobytes() == np.ascontiguousarray(whole[:, start:stop]).tobytes()
    shuffled = np.random.default_rng(0).permutation(n)
    again = predict_logits(features.take(shuffled), W, b)
    assert again.tobytes() == np.ascontiguousarray(whole[:, shuffled]).tobytes()


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("layout", ["dense", "sparse", "mixed"])
def test_the_number_of_threads_changes_no_bit(layout, outputs):
    features, W, b = make(layout, 30_000, 20, outputs)
    one, two, five = (predict_logits(features, W, b, n_jobs=k).tobytes() for k in (1, 2, 5))
    assert one == two == five


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("p", [1, 30])
def test_order_in_memory_and_dtype_change_no_bit(p, outputs):
    features, W, b = make("dense", 500, p, outputs)
    X = features.values
    wide = np.zeros((1000, 2 * p))
    wide[::2, ::2] = X
    copies = [np.asfortranarray(X), X.astype(np.float32), wide[::2, ::2]]
    copies.append(np.asfortranarray(X.astype(np.float32)))
    expected = predict_logits(features, W, b).tobytes()
    for copy in copies:
        assert predict_logits(DenseFeatures(copy), W, b).tobytes() == expected


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_logits_are_the_network_s(outputs):
    features, W, b = make("dense", 300, 12, outputs)
    expected = linear(features.values.T, {"W": W, "b": b})
    np.testing.assert_allclose(predict_logits(features, W, b), expected, rtol=1e-13, atol=1e-14)


def test_layouts_agree():
    dense, W, b = make("dense", 200, 10)
    csr = SparseFeatures(sparse.csr_array(dense.values))
    np.testing.assert_allclose(
        predict_logits(csr, W, b), predict_logits(dense, W, b), rtol=1e-13, atol=1e-14
    )
    mixed, W, b = make("mixed", 200, 10)
    onehot = [np.eye(9)[mixed.codes[:, j]] for j in range(3)]
    X = np.hstack([mixed.numeric, *onehot, mixed.words.toarray()])
    np.testing.assert_allclose(
        predict_logits(mixed, W, b), predict_logits(DenseFeatures(X), W, b), rtol=1e-13, atol=1e-14
    )


@pytest.mark.parametrize("layout", ["dense", "sparse", "mixed"])
def test_no_rows_give_no_logits(layout):
    features, W, b = make(layout, 10, 4, outputs=2)
    assert predict_logits(features.rows(3, 3), W, b).shape == (2, 0)


@pytest.mark.parametrize("layout", ["dense", "sparse", "mixed"])
def test_rows_are_left_alone(layout):
    features, W, b = make(layout, 70, 4)
    before = features.linear(W).copy()
    predict_logits(features, W, b)
    assert features.n_rows == 70
    np.testing.assert_array_equal(features.linear(W), before)
