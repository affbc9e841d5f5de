"""Integer codes of categories as few cells a row: combinations of the levels of joined categories.

The levels' columns of 0 and 1 are X = P M. P has a single 1 for each group of joined categories, in
the column of the row's cell, M says which levels a cell combines. So X w = P (M w) and r X =
(r P) M, and of products with the rows only those by P are left, with a value a group where X has
one a category; X'QX = M' (P'QP) M likewise, with a pair of groups for many pairs of categories.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import _sparsetools as kernels

from onelayer.features.sparse import add_back, add_linear, assemble

Array = NDArray[Any]

LIMITS = (64, 16, 4, 1)  # cells of a group: a pair of larger ones would leave the nearest cache
MOST_TIMES = 2  # as many cells as levels there may be, as their pairs are summed in a matrix,
FEW_CELLS = 512  # or so many
PIECE = 1 << 14  # rows
WIDTH = 128  # cells beside which others are added up together
MOST_ONES = 1 << 18  # 2 MiB


@dataclass(frozen=True)
class Join:
    """Which categories are joined.

    Attributes
    ----------
    groups: numbers of categories. first: where each group's cells begin, and their end.
    levels: M, (cells, levels).
    """

    groups: tuple[tuple[int, ...], ...]
    first: tuple[int, ...]
    levels: Any

    def levels_of_pairs(self, pairs: Array) -> Array:
        """M' P'QP M, (levels, levels), from the lower triangle of P'QP, which is used up."""
        pairs[np.diag_indices(len(pairs))] /= 2
        half = np.zeros((self.levels.shape[1],) * 2)
        for start in range(0, len(pairs), WIDTH):
            own = slice(start, min(start + WIDTH, len(pairs)))
            some = np.zeros((len(half), own.stop - own.start))
            _add_up(self.levels, np.ascontiguousarray(pairs[:, own]), some)
            _add_up(self.levels[own], np.ascontiguousarray(some.T), half)
        half += half.T
        return half


def _add_up(M: Any, by_cell: Array, to: Array) -> None:
    """Add M' times (cells, k)."""
    parts = M.indptr, M.indices, M.data, by_cell.reshape(-1), to.reshape(-1)
    kernels.csc_matvecs(*M.shape[::-1], by_cell.shape[1], *parts)


@lru_cache(maxsize=16)
def join_categories(counts: tuple[int, ...]) -> Join:
    """Categories of few levels in groups of few combinations; others alone.

    >>> join_categories((100, 3, 1000, 20, 2)).groups
    ((2,), (0,), (3, 1), (4,))
    """
    limits, most = iter(LIMITS), max(MOST_TIMES * sum(counts), FEW_CELLS)
    groups = _group(counts, next(limits))
    while sum(prod(counts[j] for j in group) for group in groups) > most:
        groups = _group(counts, next(limits))
    column, first = np.cumsum([0, *counts]), [0]
    places, lengths = [], []
    for group in groups:
        axes = np.indices([counts[j] for j in group]).reshape(len(group), -1)
        places.append((axes + column[group][:, None]).T.ravel())
        lengths.append(np.full(axes.shape[1], len(group)))
        first.append(first[-1] + axes.shape[1])
    none = np.zeros(0, dtype=np.intp)
    columns, edges = np.concatenate([none, *places]), np.cumsum(np.concatenate([[0], *lengths]))
    shape = (first[-1], int(column[-1]))
    levels = sparse.csr_array((np.ones(len(columns)), columns, edges.astype(np.intp)), shape=shape)
    return Join(tuple(map(tuple, groups)), tuple(first), levels)


def _group(counts: tuple[int, ...], limit: int) -> list[list[int]]:
    """Each category, the largest first, to the first group that it leaves within the limit."""
    groups: list[list[int]] = []
    for j in sorted(range(len(counts)), key=lambda j: -counts[j]):
        for group in groups:
            if prod(counts[i] for i in group) * counts[j] <= limit:
                group.append(j)
                break
        else:
            groups.append([j])
    return groups


@dataclass(frozen=True)
class Cells:
    """P: the cells of some rows, (n, groups), counted through all groups.

    >>> cells, sums = Cells.of(np.array([[0, 2], [1, 2]]), (2, 3)), np.zeros(5)
    >>> cells.add_back(np.array([1.0, 10.0]), to=sums)
    >>> sums.tolist()
    [1.0, 10.0, 0.0, 0.0, 11.0]
    """

    places: NDArray[np.uint16] | NDArray[np.int32]
    join: Join

    @classmethod
    def of(cls, codes: Array, counts: tuple[int, ...]) -> "Cells":
        """The cells of rows of codes, (n, categories)."""
        cells = cls.room(len(codes), counts)
        cells.fill(0, codes, counts)
        return cells

    def fill(self, start: int, codes: Array, counts: tuple[int, ...]) -> None:
        """Set the rows from `start` on."""
        word = self.places.dtype.type
        for begin in range(0, len(codes), PIECE):
            part = codes[begin : begin + PIECE].T.astype(word, order="C")
            to = self.places[start + begin : start + begin + part.shape[1]]
            for k, (group, first) in enumerate(zip(self.join.groups, self.join.first)):
                cell = part[group[0]]
                for j in group[1:]:
                    cell *= word(counts[j])
                    cell += part[j]
                np.add(cell, word(first), out=to[:, k])

    @classmethod
    def room(cls, n: int, counts: tuple[int, ...]) -> "Cells":
        """Room for the cells of n rows, to be filled."""
        join = join_categories(counts)
        word: Any = np.uint16 if join.first[-1] <= np.iinfo(np.uint16).max else np.int32
        return cls(np.empty((n, len(join.groups)), dtype=word), join)

    def rows(self, start: int, stop: int) -> "Cells":
        return replace(self, places=self.places[start:stop])

    def take(self, indices: Array) -> "Cells":
        return replace(self, places=self.places.take(indices, axis=0))

    def add_linear(self, w: Array, to: Array) -> None:
        """Add X w."""
        by_cell = np.zeros(self.join.first[-1])
        add_linear(self.join.levels, w, by_cell)
        add_linear(self.one_hot, by_cell, to)

    def add_back(self, r: Array, to: Array) -> None:
        """Add r X."""
        by_cell = np.zeros(self.join.first[-1])
        add_back(self.one_hot, r, by_cell)
        add_back(self.join.levels, by_cell, to)

    def back_columns(self, V: Array) -> Array:
        """X' V for V (n, k), (levels, k)."""
        return np.asarray(self.join.levels.T @ (self.one_hot.T @ V))

    def add_pairs(self, q: Array, to: Array) -> None:
        """Add the lower triangle of P' diag(q) P, (cells, cells)."""
        flat, by_group = to.reshape(-1), np.ascontiguousarray(self.places.T, dtype=np.int32)
        for k, cell in enumerate(by_group):
            first = cell * np.int32(len(to))
            for other in by_group[: k + 1]:
                add_at(flat, first + other, q)

    @cached_property
    def one_hot(self) -> Any:
        n, each = self.places.shape
        ones = _ones() if n * each <= MOST_ONES else np.ones(n * each)
        parts = ones[: n * each], self.places.astype(np.int32).reshape(-1), _edges(n, each)
        return assemble(sparse.csr_array, parts, self.join.first[-1])


@lru_cache(maxsize=1)
def _ones() -> Array:
    """Held for all tiles: new memory for each would take as long as a product."""
    return np.ones(MOST_ONES)


@lru_cache(maxsize=4)
def _edges(n: int, each: int) -> NDArray[np.int32]:
    return np.arange(n + 1, dtype=np.int32) * np.int32(each)


def add_at(to: Array, places: NDArray[np.int32], q: Array) -> None:
    """to[places] += q: a product with one sparse column is the quickest loop that does it."""
    kernels.csc_matvec(len(to), 1, np.array([0, len(places)], np.int32), places, q, _ONE, to)


_ONE = np.ones(1)
