"""Compressed sparse rows."""

from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import _sparsetools as kernels

from onelayer.features.dense import DenseFeatures

Array = NDArray[Any]

WIDE = 2000  # columns beyond which their exact ranges are not worth sorting the values for
DENSE_PART = 1 << 17  # 1 MiB
DENSE_ENOUGH = 0.1  # above this share of non-zeros the product of a dense tile beats the sparse one


@dataclass(frozen=True)
class SparseFeatures:
    """Compressed sparse rows, whose zeros are never touched.

    `single` rows are float32, for guesses: their products are of float32 too.

    >>> X = SparseFeatures(sparse.csr_array(np.eye(2)))
    >>> X.back(np.array([[3.0, 4.0]])).tolist()
    [[3.0, 4.0]]
    """

    values: Any
    single: bool = field(default=False, kw_only=True)

    @property
    def n_rows(self) -> int:
        return int(self.values.shape[0])

    @property
    def n_columns(self) -> int:
        return int(self.values.shape[1])

    @property
    def row_values(self) -> int:
        return max(1, int(self.values.nnz) // max(1, self.n_rows))

    @property
    def row_bytes(self) -> int:
        return self.row_values * (8 + int(self.values.indices.itemsize))

    @property
    def in_place(self) -> bool:
        return self.single or bool(self.values.dtype == np.float64)

    def rows(self, start: int, stop: int) -> "SparseFeatures":
        if start == 0 and stop >= self.n_rows:
            return self
        first, last = self.values.indptr[start], self.values.indptr[min(stop, self.n_rows)]
        parts = (
            self.values.data[first:last],
            self.values.indices[first:last],
            self.values.indptr[start : stop + 1] - first,
        )
        return SparseFeatures(assemble(sparse.csr_array, parts, self.n_columns), single=self.single)

    def tile(self, start: int, stop: int) -> "SparseFeatures":
        part = self.rows(start, stop)
        data = part.values.data
        return part if part.in_place else part._with_data(data.astype(np.float64))

    def take(self, indices: Array) -> "SparseFeatures":
        return SparseFeatures(self.values[indices])

    def columns(self, indices: Array) -> "SparseFeatures":
        X, chosen = self.values, np.zeros(self.n_columns, dtype=bool)
        chosen[indices] = True
        kept = np.flatnonzero(chosen.take(X.indices))
        places = np.zeros(self.n_columns, X.indices.dtype)
        places[indices] = np.arange(len(indices), dtype=X.indices.dtype)
        ends = np.searchsorted(kept, X.indptr).astype(X.indptr.dtype)
        parts = X.data.take(kept), places.take(X.indices.take(kept)), ends
        return SparseFeatures(assemble(sparse.csr_array, parts, len(indices)))

    def to_single(self) -> "SparseFeatures":
        """The same rows in float32: the values alone are copied."""
        return SparseFeatures(
            self._with_data(self.values.data.astype(np.float32)).values, single=True
        )

    def linear(self, W: Array) -> Array:
        W = self._match(W)
        if len(W) == 1:  # the product with one vector has no copy of W to make
            Z = np.zeros((1, self.n_rows), self._precision)
            add_linear(self.values, W[0], Z[0])
            return Z
        # Weights in Fortran order are used as they are; of others a copy is made.
        return np.ascontiguousarray((self.values @ np.ascontiguousarray(W.T)).T)

    def back(self, R: Array) -> Array:
        R = self._match(R)
        if len(R) == 1:
            sums = np.zeros((1, self.n_columns), self._precision)
            add_back(self.values, R[0], sums[0])
            return sums
        # In Fortran order, as the product leaves it: turning it costs as much as the product.
        return np.asarray(self._transposed @ np.ascontiguousarray(R.T)).T

    def curvature(self, q: Array) -> Array:
        if self.row_values > DENSE_ENOUGH * self.n_columns:
            return self._curvature_by_parts(q)
        return _multiply_pairs(self.scaled(q), self.values)

    def _curvature_by_parts(self, q: Array) -> Array:
        """The same, a few rows at a time written out with their zeros."""
        H = np.zeros((self.n_columns, self.n_columns))
        step = max(64, DENSE_PART // max(1, self.n_columns))
        for start in range(0, self.n_rows, step):
            part = self.rows(start, start + step)
            H += DenseFeatures(part.values.toarray()).curvature(q[start : start + step])
        return H

    def add_bordered(self, q: Array, apart: slice, to: tuple[Array, Array, Array]) -> None:
        own = self.values[:, apart]
        others = sparse.hstack(
            [self.values[:, : apart.start], self.values[:, apart.stop :]], format="csr"
        )
        weighted = SparseFeatures(others).scaled(q).T.tocsr()
        block, sides, diagonal = to
        block += (weighted @ others).toarray()
        pairs = (weighted @ own).tocoo()  # in place: a tile has few of all the pairs
        sides[pairs.coords] += pairs.data
        diagonal += SparseFeatures(own).squares(q)

    def successors(self) -> Array:
        indices, ends = self.values.indices, self.values.indptr
        within = np.ones(max(0, len(indices) - 1), dtype=bool)
        borders = ends[1:-1]  # between rows
        within[borders[(borders > 0) & (borders < len(indices))] - 1] = False
        if (indices[1:] <= indices[:-1])[within].any():  # a row is not in order
            return np.arange(1, self.n_columns + 1)
        out = np.full(self.n_columns, self.n_columns, dtype=indices.dtype)
        # Of equal types, or it would take forty times as long.
        np.minimum.at(out, indices[:-1][within].astype(np.intp), indices[1:][within])
        return out

    def squares(self, q: Array) -> Array:
        squared = self._with_data(np.square(self.values.data))
        return squared.back(q) if q.ndim == 2 else squared.back(q[None])[0]

    def count_filled(self) -> Array:
        held = self.values.indices[self.values.data != 0]
        return np.bincount(held, minlength=self.n_columns).astype(np.float64)

    def absolute(self) -> "SparseFeatures":
        return self._with_data(np.abs(self.values.data))

    def square_lengths(self, scale: Array | None = None) -> Array:
        ones = np.ones(self.n_columns) if scale is None else np.square(scale)
        squared = self._with_data(np.square(self.values.data))
        return np.asarray(squared.linear(ones[None])[0])

    def moments(
        self, s: Array, origin: Array, exact: bool = True
    ) -> tuple[Array, Array, Array, Array]:
        sums, squares = self.back(s[None])[0], self.squares(s)
        held = self if s.all() else self.take(np.flatnonzero(s))
        if self.n_columns > WIDE and held.n_rows and not exact:
            even = squares if s.all() and (s == 1).all() else held.squares(np.ones(held.n_rows))
            low, high = held._range_within(np.sqrt(even) * (1 + 1e-15))
        else:
            low, high = held._range()
        return (
            sums - s.sum() * origin,
            squares - 2 * origin * sums + s.sum() * np.square(origin),
            low,
            high,
        )

    def _range(self) -> tuple[Array, Array]:
        """The least and the largest value of each column, zeros that are not stored included."""
        data, indices, p = self.values.data, self.values.indices, self.n_columns
        if self.n_rows == 0:
            return np.full(p, np.inf), np.full(p, -np.inf)
        count = np.bincount(indices, minlength=p)
        holds, full = count > 0, count == self.n_rows
        least, most = (data.min(), data.max()) if len(data) else (0.0, 0.0)
        low, high = np.zeros(p), np.zeros(p)
        if least == most:  # words counted once, levels of a category: nothing to compare
            low[holds] = high[holds] = least
        else:
            by_column = self.values.tocsc()
            first = by_column.indptr[:-1][holds]
            low[holds] = np.minimum.reduceat(by_column.data, first)
            high[holds] = np.maximum.reduceat(by_column.data, first)
        return np.where(full, low, np.minimum(low, 0)), np.where(full, high, np.maximum(high, 0))

    def _range_within(self, lengths: Array) -> tuple[Array, Array]:
        """Bounds of each column's values from the columns' lengths, where p^2 numbers are too many
        for a box to be of use; exact for columns without a zero, which may be constant."""
        data, indices = self.values.data, self.values.indices
        least, most = (min(data.min(), 0), max(data.max(), 0)) if len(data) else (0.0, 0.0)
        low, high = np.maximum(least, -lengths), np.minimum(most, lengths)
        full, borders = indices[: self.values.indptr[1]], self.values.indptr
        for row in np.linspace(0, self.n_rows - 1, 8).astype(int):
            full = full[np.isin(full, indices[borders[row] : borders[row + 1]])]
        for column in full:
            held = data[indices == column]
            if len(held) == self.n_rows:
                low[column], high[column] = held.min(), held.max()
        return low, high

    @property
    def _precision(self) -> Any:
        return np.float32 if self.single else np.float64

    def _match(self, numbers: Array) -> Array:
        return numbers.astype(np.float32, copy=False) if self.single else numbers

    @cached_property
    def _transposed(self) -> Any:
        """The same three arrays read as the columns of the transposed matrix."""
        parts = (self.values.data, self.values.indices, self.values.indptr)
        return assemble(sparse.csc_array, parts, self.n_columns)

    def _with_data(self, data: Array) -> "SparseFeatures":
        parts = (data, self.values.indices, self.values.indptr)
        return SparseFeatures(assemble(sparse.csr_array, parts, self.n_columns))

    def scaled(self, factor: Array) -> Any:
        """The matrix with each row times a factor."""
        data = self.values.data * np.repeat(factor, np.diff(self.values.indptr))
        return self._with_data(data).values


def add_linear(X: Any, w: Array, to: Array) -> None:
    """Add X w, for compressed rows X: SciPy's own product, less what it looks at before it.

    That is longer than the product with a tile, and threads wait for each other meanwhile.
    """
    kernels.csr_matvec(*X.shape, X.indptr, X.indices, X.data, w, to)


def add_back(X: Any, r: Array, to: Array) -> None:
    """Add r X likewise: the rows read as the columns of the transposed matrix."""
    n, p = X.shape
    kernels.csc_matvec(p, n, X.indptr, X.indices, X.data, r, to)


def count_places(X: Any) -> int:
    """How many places of compressed rows X are filled, each counted once however many entries it
    has: what SciPy would ask for X times the identity."""
    p, kind = X.shape[1], X.indices.dtype
    borders = np.arange(p + 1, dtype=kind)
    indptr = X.indptr.astype(kind, copy=False)
    return int(kernels.csr_matmat_maxnnz(*X.shape, indptr, X.indices, borders, borders[:-1]))


def _multiply_pairs(A: Any, B: Any) -> Array:
    """A'B, (p, p), for compressed rows A and B: SciPy's own product, less a first walk through all
    pairs of values that only counts how many places they fill, and takes as long as the product."""
    p, turned = A.shape[1], A.tocsc()
    filled = np.diff(A.indptr).astype(np.int64)
    room = min(p * p, int(filled @ filled))
    kind = A.indptr.dtype if room < np.iinfo(A.indptr.dtype).max else np.dtype(np.int64)
    parts = [turned.indptr, turned.indices, B.indptr, B.indices]
    rows, columns, again, places = (part.astype(kind, copy=False) for part in parts)
    borders, held, data = np.empty(p + 1, kind), np.empty(room, kind), np.empty(room)
    left, right = turned.data.astype(np.float64, copy=False), B.data.astype(np.float64, copy=False)
    kernels.csr_matmat(p, p, rows, columns, left, again, places, right, borders, held, data)
    out = np.zeros((p, p))
    kernels.csr_todense(p, p, borders, held, data, out)
    return out


def assemble(kind: Any, parts: tuple[Array, Array, Array], n_columns: int) -> Any:
    """A compressed matrix over three arrays: of rows, or (`csc_array`) of their transposes.

    SciPy's constructors copy any part that is shorter than half of the array it is cut from, so
    every pass over blocks of rows would copy the table; and they check what was checked before.
    """
    data, indices, indptr = parts
    shape = (len(indptr) - 1, n_columns)
    matrix = copy(_EMPTY[kind])
    matrix._shape = shape if kind is sparse.csr_array else shape[::-1]
    matrix.data, matrix.indices, matrix.indptr = data, indices, indptr
    return matrix


_EMPTY = {kind: kind((0, 0)) for kind in (sparse.csr_array, sparse.csc_array)}
