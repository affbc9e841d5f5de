"""Compressed sparse rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from onelayer.features.dense import DenseFeatures

Array = NDArray[Any]

DENSE_ENOUGH = 0.1  # above this share of non-zeros the product of a dense tile beats the sparse one


@dataclass(frozen=True)
class SparseFeatures:
    """Compressed sparse rows, whose zeros are never touched.

    >>> X = SparseFeatures(sparse.csr_array(np.eye(2)))
    >>> X.back(np.array([[3.0, 4.0]])).tolist()
    [[3.0, 4.0]]
    """

    values: Any

    @property
    def n_rows(self) -> int:
        return int(self.values.shape[0])

    @property
    def n_columns(self) -> int:
        return int(self.values.shape[1])

    @property
    def row_values(self) -> int:
        return max(1, int(self.values.nnz) // max(1, self.n_rows))

    def rows(self, start: int, stop: int) -> "SparseFeatures":
        if start == 0 and stop >= self.n_rows:
            return self
        first, last = self.values.indptr[start], self.values.indptr[min(stop, self.n_rows)]
        parts = (
            self.values.data[first:last],
            self.values.indices[first:last],
            self.values.indptr[start : stop + 1] - first,
        )
        shape = (len(parts[2]) - 1, self.n_columns)
        return SparseFeatures(sparse.csr_array(parts, shape=shape))

    def tile(self, start: int, stop: int) -> "SparseFeatures":
        values = self.rows(start, stop).values
        return SparseFeatures(values if values.dtype == np.float64 else values.astype(np.float64))

    def take(self, indices: Array) -> "SparseFeatures":
        return SparseFeatures(self.values[indices])

    def linear(self, W: Array) -> Array:
        if len(W) == 1:  # the product with one vector has no copy of W to make
            return np.asarray(self.values @ W[0])[None]
        return np.ascontiguousarray((self.values @ np.ascontiguousarray(W.T)).T)

    def back(self, R: Array) -> Array:
        if len(R) == 1:
            return np.asarray(self.values.T @ R[0])[None]
        return np.ascontiguousarray((self.values.T @ np.ascontiguousarray(R.T)).T)

    def curvature(self, q: Array) -> Array:
        if self.row_values > DENSE_ENOUGH * self.n_columns:
            return DenseFeatures(self.values.toarray()).curvature(q)
        scaled = self.scaled(np.sqrt(q))
        return np.asarray((scaled.T @ scaled).toarray())

    def squares(self, q: Array) -> Array:
        return np.asarray((self._squared().T @ q.T).T)

    def count_filled(self) -> Array:
        held = self.values.indices[self.values.data != 0]
        return np.bincount(held, minlength=self.n_columns).astype(np.float64)

    def absolute(self) -> "SparseFeatures":
        return SparseFeatures(abs(self.values))

    def square_lengths(self) -> Array:
        return np.asarray(self._squared() @ np.ones(self.n_columns))

    def moments(self, s: Array, origin: Array) -> tuple[Array, Array, Array, Array]:
        sums = s @ self.values
        squares = self.squares(s)
        held = self.values if s.all() else self.values[np.flatnonzero(s)]
        if held.shape[0] == 0:
            nothing = np.full(self.n_columns, np.inf)
            return sums - s.sum() * origin, squares, nothing, -nothing
        low, high = held.min(axis=0), held.max(axis=0)
        return (
            sums - s.sum() * origin,
            squares - 2 * origin * sums + s.sum() * np.square(origin),
            np.asarray(low.toarray()).ravel(),
            np.asarray(high.toarray()).ravel(),
        )

    def _squared(self) -> Any:
        data = np.square(self.values.data)
        return sparse.csr_array(
            (data, self.values.indices, self.values.indptr), shape=self.values.shape
        )

    def scaled(self, factor: Array) -> Any:
        """The matrix with each row times a factor."""
        counts = np.diff(self.values.indptr)
        data = self.values.data * np.repeat(factor, counts)
        return sparse.csr_array(
            (data, self.values.indices, self.values.indptr), shape=self.values.shape
        )
