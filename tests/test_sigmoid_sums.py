"""The sums of one sigmoid, beside the same in 80-bit numbers row by row."""

import numpy as np
import pytest
from scipy import sparse

from onelayer import blocks
from onelayer.blocks import Block
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.sigmoid_sums import sum_slopes

N, P = 500, 6
Long = np.longdouble


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch):
    """Several parts, and several pieces of each."""
    monkeypatch.setattr(blocks, "STRETCH_ROWS", 200)
    monkeypatch.setattr(blocks, "PIECE_VALUES", 64 * P)


def draw(layout):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(N, P))
    if layout == "mixed":
        codes = rng.integers(0, 3, size=(N, 1)).astype(np.int32)
        return MixedFeatures(X[:, :3], codes, (3,)), np.hstack([X[:, :3], np.eye(3)[codes[:, 0]]])
    if layout == "sparse":
        X[np.abs(X) < 1] = 0
        return SparseFeatures(sparse.csr_array(X)), X
    if layout == "single":
        X = X.astype(np.float32)
        return DenseFeatures(X), X.astype(float)
    if layout == "shifted":
        return DenseFeatures(X + 5, shift=np.full(P, 5.0)), (X + 5) - 5
    return DenseFeatures(np.asfortranarray(X) if layout == "columns" else X), X


def add_up(X, labels, s, W, bias):
    """Loss, slopes and least curvature, as the formulas say."""
    z = X.astype(Long) @ W[0].astype(Long) + Long(bias[0])
    a = 1 / (1 + np.exp(-z))
    residual = s * np.where(labels > 0, -1 / (1 + np.exp(z)), a)
    margin = np.where(labels > 0, z, -z)
    loss = s @ np.log1p(np.exp(-margin))
    curvature = (s * a / (1 + np.exp(z)))[s > 0].min()
    return loss, residual @ X, residual.sum(), (residual**2).sum(), curvature, margin[s > 0].min()


@pytest.mark.parametrize("layout", ["dense", "columns", "single", "shifted", "mixed", "sparse"])
@pytest.mark.parametrize("weights", ["even", "own", "some of them 0"])
@pytest.mark.parametrize("size", [0.5, 20.0])
def test_sums_are_those_of_the_rows(layout, weights, size):
    features, X = draw(layout)
    rng = np.random.default_rng(4)
    W, bias = size * rng.normal(size=(1, P)), np.array([0.3])
    # Of size 20 nearly all rows are on the right side by far: losses keep their digits.
    labels = (X @ W[0] + 0.3 + rng.normal(size=N) / size > 0).astype(float)
    s = np.broadcast_to(0.7, N) if weights == "even" else rng.uniform(0.1, 3, N)
    if weights == "some of them 0":
        s[::5] = 0.0
    found = sum_slopes(Block(features, labels[None], s), W, bias)
    loss, slopes, slope, miss, curvature, margin = add_up(X, labels, s, W, bias)
    np.testing.assert_allclose(found.loss[0], float(loss), rtol=1e-12)
    np.testing.assert_allclose(found.weights[0], slopes.astype(float), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(found.biases[0], float(slope), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(found.miss[0], float(miss), rtol=1e-10)
    assert found.least_curvature[0] <= curvature * (1 + 1e-9)
    assert found.least_margin[0] <= margin + 1e-9
    if weights != "even":  # then a bound is all that is asked for
        np.testing.assert_allclose(found.least_margin[0], float(margin), rtol=1e-10)


def test_logits_beyond_exponentials_are_left_to_others():
    features, _ = draw("dense")
    block = Block(features, np.ones((1, N)), np.ones(N))
    assert sum_slopes(block, np.full((1, P), 1e4), np.zeros(1)) is None


def test_no_rows_add_up_to_nothing():
    block = Block(DenseFeatures(np.zeros((0, P))), np.zeros((1, 0)), np.zeros(0))
    found = sum_slopes(block, np.ones((1, P)), np.zeros(1))
    assert (found.loss[0], found.biases[0], found.least_margin[0]) == (0.0, 0.0, np.inf)
