"""Sparse rows read back as codes: X = P M + V E.

Where no row fills two of some columns, and all that they hold is 1, they are the levels of one
category, and a row's level is one number; columns of other values stay numbers, V in the columns
E. Rows of one-hot columns so come back to what they were made of. Samples of which many Hessians
are summed are kept like this: P'QP takes a tenth of the time of a sparse product.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from onelayer.features.cells import Cells
from onelayer.features.dense import DenseFeatures
from onelayer.features.sparse import SparseFeatures

Array = NDArray[Any]

PIECE = 1 << 14  # rows
FEW_ROWS = 512  # that show most tables to be no categories
MOST_RUNS = 2  # times the values of a row: a category is not empty in most rows


@dataclass(frozen=True)
class GroupedFeatures:
    """Rows of categories and numbers whose columns come in any order.

    >>> X = np.array([[0, 1, 0, 5.0], [1, 0, 0, 0], [0, 0, 1, 7.0]])
    >>> features = group_columns(SparseFeatures(sparse.csr_array(X)))
    >>> features.cells.join.groups, features.columns_of_numbers.tolist()
    (((0,),), [3])
    >>> features.back(np.array([[1.0, 10.0, 100.0]])).tolist()
    [[10.0, 1.0, 100.0, 705.0]]
    """

    cells: Cells  # its levels are the columns
    numbers: Array
    columns_of_numbers: NDArray[np.intp]

    @property
    def n_rows(self) -> int:
        return len(self.numbers)

    @property
    def n_columns(self) -> int:
        return int(self.cells.join.levels.shape[1])

    @property
    def row_values(self) -> int:
        return int(self.cells.places.shape[1] + self.numbers.shape[1])

    @property
    def row_bytes(self) -> int:
        return 8 * self.row_values

    @property
    def in_place(self) -> bool:
        return True

    def rows(self, start: int, stop: int) -> "GroupedFeatures":
        return replace(self, cells=self.cells.rows(start, stop), numbers=self.numbers[start:stop])

    def tile(self, start: int, stop: int) -> "GroupedFeatures":
        return self.rows(start, stop)

    def take(self, indices: Array) -> "GroupedFeatures":
        return replace(self, cells=self.cells.take(indices), numbers=self.numbers[indices])

    def linear(self, W: Array) -> Array:
        Z = np.ascontiguousarray(W[:, self.columns_of_numbers] @ self.numbers.T)
        for z, w in zip(Z, W, strict=True):
            self.cells.add_linear(w, z)
        return Z

    def back(self, R: Array) -> Array:
        out = np.zeros((len(R), self.n_columns))
        out[:, self.columns_of_numbers] = R @ self.numbers
        for own, part in self._pieces():
            for sums, r in zip(out, R[:, own], strict=True):
                part.cells.add_back(r, sums)
        return out

    def curvature(self, q: Array) -> Array:
        join, own = self.cells.join, self.columns_of_numbers
        pairs, beside = np.zeros((join.first[-1],) * 2), np.zeros((self.n_columns, len(own)))
        for rows, part in self._pieces():
            part.cells.add_pairs(q[rows], pairs)
            beside += part.cells.back_columns(q[rows, None] * part.numbers)
        beside[own] = (q * self.numbers.T) @ self.numbers
        H = join.levels_of_pairs(pairs)
        H[:, own] = beside
        H[own] = beside.T
        return H

    def squares(self, q: Array) -> Array:
        squared = replace(self, numbers=np.square(self.numbers)).back(np.atleast_2d(q))
        return squared if q.ndim == 2 else squared[0]

    def count_filled(self) -> Array:
        filled = replace(self, numbers=(self.numbers != 0).astype(np.float64))
        return np.asarray(filled.back(np.ones((1, self.n_rows)))[0])

    def absolute(self) -> "GroupedFeatures":
        return replace(self, numbers=np.abs(self.numbers))

    def square_lengths(self, scale: Array | None = None) -> Array:
        ones = np.ones(self.n_columns) if scale is None else np.square(scale)
        return np.asarray(replace(self, numbers=np.square(self.numbers)).linear(ones[None])[0])

    def moments(
        self, s: Array, origin: Array, exact: bool = True
    ) -> tuple[Array, Array, Array, Array]:
        held = (s > 0).astype(np.float64)
        sums, squares, filled = self.back(s[None])[0], self.squares(s), self.back(held[None])[0]
        low, high = (filled == held.sum()) * 1.0, (filled > 0) * 1.0
        own = self.columns_of_numbers
        found = DenseFeatures(self.numbers).moments(s, np.zeros(len(own)), exact)
        low[own], high[own] = found[2:]
        return (
            sums - s.sum() * origin,
            squares - 2 * origin * sums + s.sum() * np.square(origin),
            low,
            high,
        )

    def columns(self, indices: Array) -> SparseFeatures:
        return self._to_sparse().columns(indices)

    def add_bordered(self, q: Array, apart: slice, to: tuple[Array, Array, Array]) -> None:
        self._to_sparse().add_bordered(q, apart, to)

    def successors(self) -> Array:
        return self._to_sparse().successors()

    def _pieces(self) -> Iterator[tuple[slice, "GroupedFeatures"]]:
        """The rows, some at a time, whose sums stay in cache."""
        for start in range(0, self.n_rows, PIECE):
            stop = min(start + PIECE, self.n_rows)
            yield slice(start, stop), self.rows(start, stop)

    def _to_sparse(self) -> SparseFeatures:
        n, k = self.numbers.shape
        places = (np.arange(n * k) // max(1, k), np.tile(self.columns_of_numbers, n))
        numbers = sparse.csr_array((self.numbers.ravel(), places), shape=(n, self.n_columns))
        table = sparse.csr_array(self.cells.one_hot @ self.cells.join.levels) + numbers
        table.eliminate_zeros()
        table.sort_indices()
        return SparseFeatures(sparse.csr_array(table))


def group_columns(features: SparseFeatures) -> GroupedFeatures | None:
    """The rows as categories and numbers; None where they are not mostly categories."""
    few = SparseFeatures(features.values[:FEW_ROWS])
    for part in (few, features):
        runs = find_runs(part)
        if len(runs) - 1 > MOST_RUNS * features.row_values:
            return None
    X = features.values
    run = np.repeat(np.arange(len(runs) - 1), np.diff(runs))  # of each column
    even = np.ones(len(runs) - 1, dtype=bool)
    even[run[X.indices[X.data != 1]]] = False
    numeric, kinds = np.flatnonzero(~even[run]), np.flatnonzero(even)
    if len(numeric) > len(kinds):
        return None
    n, p = X.shape
    row = np.repeat(np.arange(n), np.diff(X.indptr))
    indices, numbers = X.indices, np.zeros((n, len(numeric)))
    if len(numeric):
        place = np.full(p, -1)
        place[numeric] = np.arange(len(numeric))
        held = even[run][indices]
        own = np.flatnonzero(~held)
        numbers[row[own], place[indices[own]]] = X.data[own]
        row, indices = row[held], indices[held]
    return GroupedFeatures(_to_cells((row, indices), n, runs, kinds), numbers, numeric)


def find_runs(features: SparseFeatures) -> NDArray[np.intp]:
    """Where runs of columns begin of which no row fills two, as long as they can be; their end.

    >>> X = np.array([[0, 1, 0, 5.0], [1, 0, 0, 0], [0, 0, 1, 7.0]])
    >>> find_runs(SparseFeatures(sparse.csr_array(X))).tolist()
    [0, 3, 4]
    """
    after = features.successors()
    ends = np.minimum.accumulate(after[::-1])[::-1]
    runs = [0]
    while runs[-1] < features.n_columns:
        runs.append(int(ends[runs[-1]]))
    return np.array(runs, dtype=np.intp)


def _to_cells(filled: tuple[Array, Array], n: int, runs: Array, kinds: Array) -> Cells:
    """The cells of n rows from the rows and columns that hold 1.

    A row that fills no column of a run has a level of its own there, which is no column.
    """
    row, column = filled
    p, widths, count = int(runs[-1]), np.diff(runs)[kinds], len(kinds)
    kind = np.zeros(p, dtype=np.int32)
    level = np.zeros(p, dtype=np.int32)
    for k, start in enumerate(runs[kinds]):
        own = slice(start, start + widths[k])
        kind[own], level[own] = k, np.arange(widths[k])
    codes = np.tile(widths.astype(np.int32), n)
    codes[row * count + kind[column]] = level[column]
    missing = np.bincount(kind[column], minlength=count) < n
    counts = tuple((widths + missing).tolist())
    columns = np.concatenate(
        [
            np.append(np.arange(runs[k], runs[k + 1]), np.full(int(gone), -1))
            for k, gone in zip(kinds, missing, strict=True)
        ]
    ).astype(np.intp)
    real = np.flatnonzero(columns >= 0)
    chosen = sparse.csr_array((np.ones(len(real)), (real, columns[real])), shape=(len(columns), p))
    cells = Cells.of(codes.reshape(n, count), counts)
    levels = sparse.csr_array(cells.join.levels @ chosen)
    return replace(cells, join=replace(cells.join, levels=levels))
