"""Sparse rows beside the products of all pairs of their values: a Hessian is one sparse product.

X'QX, laid out flat, is K'q with a row of K for each row of X, which holds x_j x_k in the column of
(j, k). For a small sample of which many Hessians are summed K is worth its memory: the product
with q takes a tenth of the time of a product of sparse matrices.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from onelayer.features.sparse import SparseFeatures, add_back, assemble

Array = NDArray[Any]

PIECE = 1 << 16  # pairs


@dataclass(frozen=True)
class PairedFeatures(SparseFeatures):
    """Compressed sparse rows, and K.

    >>> features = pair_values(SparseFeatures(sparse.csr_array([[1.0, 0, 2], [0, 3, 0]])))
    >>> features.curvature(np.array([1.0, 10.0])).tolist()
    [[1.0, 0.0, 2.0], [0.0, 90.0, 0.0], [2.0, 0.0, 4.0]]
    """

    products: Any

    def rows(self, start: int, stop: int) -> "PairedFeatures":
        products = SparseFeatures(self.products).rows(start, stop)
        return PairedFeatures(super().rows(start, stop).values, products.values)

    def tile(self, start: int, stop: int) -> "PairedFeatures":
        return self.rows(start, stop)

    def take(self, indices: Array) -> "PairedFeatures":
        return PairedFeatures(super().take(indices).values, self.products[indices])

    def curvature(self, q: Array) -> Array:
        half = np.zeros((self.n_columns, self.n_columns))
        add_back(self.products, q, half.reshape(-1))
        H = half + half.T
        H[np.diag_indices(len(H))] /= 2
        return H


def count_pairs(features: SparseFeatures) -> int:
    """How many products K holds."""
    filled = np.diff(features.values.indptr).astype(np.int64)
    return int((filled * (filled + 1) // 2).sum())


def pair_values(features: SparseFeatures) -> PairedFeatures:
    """The rows in float64 with their K, whose columns must be fewer than 2^31."""
    X, p = features.tile(0, features.n_rows).values, features.n_columns
    edges = X.indptr.astype(np.int64)
    number = np.arange(len(X.data))
    many = np.repeat(edges[1:], np.diff(edges)) - number  # the values from each to its row's end
    before = np.concatenate([[0], np.cumsum(many)])
    first, even = X.indices * np.int32(p), bool((X.data == 1).all())
    places = np.empty(before[-1], dtype=np.int32)
    products = np.ones(before[-1]) if even else np.empty(before[-1])
    step = max(1, PIECE * len(number) // max(1, int(before[-1])))
    for start in range(0, len(number), step):
        own = slice(start, min(start + step, len(number)))
        to = slice(int(before[own.start]), int(before[own.stop]))
        second = np.arange(to.start, to.stop)
        second -= np.repeat(before[own] - number[own], many[own])
        np.add(np.repeat(first[own], many[own]), X.indices.take(second), out=places[to])
        if not even:
            np.multiply(np.repeat(X.data[own], many[own]), X.data.take(second), out=products[to])
    borders = before[edges].astype(np.int32)
    return PairedFeatures(X, assemble(sparse.csr_array, (products, places, borders), p * p))
