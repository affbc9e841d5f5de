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
        return replace(
            self, cells=self.cells.take(indices), numbers=self.numbers.take(indices, axis=0)
        )

    def linear(self, W: Array) -> Array:
        Z: Array = np.dot(W[:, self.columns_of_numbers], self.numbers.T)
        for z, w in zip(Z, W, strict=True):
            self.cells.add_linear(w, z)
        return Z

    def back(self, R: Array) -> Array:
        out = np.zeros((len(R), self.n_columns))
        out[:, self.columns_of_numbers] = np.dot(R, self.numbers)
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
        beside[own] = np.dot(q * self.numbers.T, self.numbers)
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
    X, run = features.values, np.repeat(np.arange(len(runs) - 1), np.diff(runs))
    even = np.ones(len(runs) - 1, dtype=bool)
    even[run[X.indices[X.data != 1]]] = False
    numeric, kinds = np.flatnonzero(~even[run]), np.flatnonzero(even)
    if len(numeric) > len(kinds):
        return None
    filled = np.add.reduceat(np.bincount(X.indices, minlength=len(run)), runs[:-1])
    # A row that fills no column of a run has a level of its own there, which is no column.
    missing = (filled < features.n_rows)[kinds]
    coder = _Coder(runs, kinds, numeric, missing)
    cells = Cells.room(features.n_rows, coder.counts)
    numbers = np.zeros((features.n_rows, len(numeric)))
    for start in range(0, features.n_rows, PIECE):  # what is made of a piece stays in cache
        part = features.rows(start, start + PIECE).values
        cells.fill(start, coder.code(part), coder.counts)
        if len(numeric):
            coder.number(part, numbers[start : start + PIECE])
    levels = sparse.csr_array(cells.join.levels @ coder.columns())
    cells = replace(cells, join=replace(cells.join, levels=levels))
    return GroupedFeatures(cells, numbers, numeric)


def find_runs(features: SparseFeatures) -> NDArray[np.intp]:
    """Where runs of columns begin of which no row fills two, as long as they can be; their end.

    >>> X = np.array([[0, 1, 0, 5.0], [1, 0, 0, 0], [0, 0, 1, 7.0]])
    >>> find_runs(SparseFeatures(sparse.csr_array(X))).tolist()
    [0, 3, 4]
    """
    pieces = range(0, features.n_rows, PIECE)
    after = np.minimum.reduce([features.rows(k, k + PIECE).successors() for k in pieces])
    ends = np.minimum.accumulate(after[::-1])[::-1]
    runs = [0]
    while runs[-1] < features.n_columns:
        runs.append(int(ends[runs[-1]]))
    return np.array(runs, dtype=np.intp)


class _Coder:
    """What the runs of columns are: categories `kinds`, some with rows `missing`, and numbers."""

    def __init__(self, runs: Array, kinds: Array, numeric: Array, missing: Array) -> None:
        self.runs, self.kinds, self.numeric, self.missing = runs, kinds, numeric, missing
        self.widths = np.diff(runs)[kinds].astype(np.int32)
        self.counts = tuple((self.widths + missing).tolist())
        # Numbers go to a place of their own beside each row's codes.
        self.kind = np.full(int(runs[-1]), len(kinds), dtype=np.int32)
        self.level = np.zeros(int(runs[-1]), dtype=np.int32)
        for k, (start, width) in enumerate(zip(runs[kinds], self.widths, strict=True)):
            self.kind[start : start + width] = k
            self.level[start : start + width] = np.arange(width)

    def code(self, X: Any) -> Array:
        """The codes of some rows, (n, categories + 1)."""
        row = np.arange(X.shape[0]) * (len(self.kinds) + 1)
        codes = np.tile(np.append(self.widths, np.int32(0)), X.shape[0])
        places = np.repeat(row, np.diff(X.indptr)) + self.kind.take(X.indices)
        codes[places] = self.level.take(X.indices)
        return codes.reshape(X.shape[0], -1)

    def number(self, X: Any, to: Array) -> None:
        """Set the numbers of some rows, (n, numeric columns)."""
        own = np.flatnonzero(self.kind.take(X.indices) == len(self.kinds))
        row = np.searchsorted(X.indptr, own, side="right") - 1
        to[row, np.searchsorted(self.numeric, X.indices[own])] = X.data[own]

    def columns(self) -> Any:
        """Which column each category's level is, (levels, columns), 0 and 1."""
        ends = self.runs[self.kinds] + self.widths
        columns = np.concatenate(
            [
                np.append(np.arange(end - width, end), np.full(int(gone), -1))
                for end, width, gone in zip(ends, self.widths, self.missing, strict=True)
            ]
        ).astype(np.intp)
        real = np.flatnonzero(columns >= 0)
        shape = (len(columns), int(self.runs[-1]))
        return sparse.csr_array((np.ones(len(real)), (real, columns[real])), shape=shape)
