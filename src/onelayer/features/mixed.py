"""Numeric columns beside integer-coded categories and sparse words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from onelayer.features.cells import Cells, add_at, join_categories
from onelayer.features.dense import DenseFeatures
from onelayer.features.sparse import SparseFeatures, assemble

Array = NDArray[Any]
Run = Callable[[Callable[[tuple[int, int]], None], list[tuple[int, int]]], object]

PIECE = 1 << 18  # codes and numbers: beyond, rows are worked on piece by piece


@dataclass(frozen=True)
class MixedFeatures:
    """Numeric columns (n, p), integer codes (n, c) with their numbers of levels, and sparse words.

    Columns in order: the numeric ones, the levels of each categorical column, the words.

    >>> X = MixedFeatures(np.array([[2.0], [3.0]]), np.array([[1], [0]], np.int32), (2,))
    >>> X.linear(np.array([[10.0, 0.5, 0.25]])).tolist()
    [[20.25, 30.5]]
    """

    numeric: Array
    codes: NDArray[np.int32] | NDArray[np.intp]
    level_counts: tuple[int, ...]
    words: Any = None
    cells: Cells | None = None

    @property
    def n_rows(self) -> int:
        return int(self.numeric.shape[0])

    @property
    def n_columns(self) -> int:
        words = 0 if self.words is None else int(self.words.shape[1])
        return int(self.numeric.shape[1]) + sum(self.level_counts) + words

    @property
    def row_values(self) -> int:
        words = 0 if self.words is None else SparseFeatures(self.words).row_values
        return max(1, int(self.numeric.shape[1]) + len(self.level_counts) + words)

    @property
    def row_bytes(self) -> int:
        words = 0 if self.words is None else SparseFeatures(self.words).row_bytes
        return max(8, 8 * (int(self.numeric.shape[1]) + len(self.level_counts)) + words)

    @property
    def in_place(self) -> bool:
        return False

    def rows(self, start: int, stop: int) -> "MixedFeatures":
        words = None
        if self.words is not None:
            words = SparseFeatures(self.words).rows(start, stop).values
        return MixedFeatures(
            self.numeric[start:stop],
            self.codes[start:stop],
            self.level_counts,
            words,
            None if self.cells is None else self.cells.rows(start, stop),
        )

    def tile(self, start: int, stop: int) -> "MixedFeatures":
        return self.rows(start, stop)

    def take(self, indices: Array) -> "MixedFeatures":
        words = None if self.words is None else self.words[indices]
        cells = None if self.cells is None else self.cells.take(indices)
        # `take` is four times as quick as an index where rows are short.
        numeric, codes = (part.take(indices, axis=0) for part in (self.numeric, self.codes))
        return MixedFeatures(numeric, codes, self.level_counts, words, cells)

    def columns(self, indices: Array) -> "MixedFeatures":
        p, first = self.numeric.shape[1], self.numeric.shape[1] + sum(self.level_counts)
        levels = indices[(indices >= p) & (indices < first)] - p
        words = [self._dummies[:, levels]]
        if self.words is not None:
            words.append(self.words[:, indices[indices >= first] - first])
        return MixedFeatures(
            self.numeric[:, indices[indices < p]],
            np.zeros((self.n_rows, 0), dtype=np.int32),
            (),
            sparse.csr_array(sparse.hstack(words, format="csr")),
        )

    def linear(self, W: Array) -> Array:
        Z: Array = np.dot(W[:, : self.numeric.shape[1]], self.numeric.T)
        if self.level_counts:
            for z, w in zip(Z, W[:, self._coded()], strict=True):
                self._cells.add_linear(w, z)
        if self.words is not None:
            Z += SparseFeatures(self.words).linear(W[:, self._words()])
        return Z

    def back(self, R: Array) -> Array:
        p, out = self.numeric.shape[1], np.zeros((len(R), self.n_columns))
        for own, part in self._pieces():
            out[:, :p] += np.dot(R[:, own], part.numeric)
        if self.level_counts:
            for r, sums in zip(R, out[:, self._coded()], strict=True):
                self._cells.add_back(r, sums)
        if self.words is not None:
            out[:, self._words()] = SparseFeatures(self.words).back(R)
        return out

    def curvature(self, q: Array) -> Array:
        p, coded = self.numeric.shape[1], self._coded()
        levels = self._sum_pairs(q)  # before there is room taken for the rest
        H = np.zeros((self.n_columns, self.n_columns))
        H[coded, coded] = levels
        for own, part in self._pieces():
            weighted = q[own, None] * part.numeric
            H[:p, :p] += np.dot(weighted.T, part.numeric)
            if p and self.level_counts:
                H[coded, :p] += part._cells.back_columns(weighted)
            if self.words is not None:
                part._add_words(H, q[own], weighted)
        for block in (coded, self._words()):
            H[: block.start, block] = H[block, : block.start].T
        return H

    def _sum_pairs(self, q: Array) -> Array:
        """The block of the levels."""
        join = join_categories(self.level_counts)
        pairs = np.zeros((join.first[-1], join.first[-1]))
        if self.level_counts:
            for own, part in self._pieces():
                part._cells.add_pairs(q[own], pairs)
        return join.levels_of_pairs(pairs)

    def add_bordered(self, q: Array, apart: slice, to: tuple[Array, Array, Array]) -> None:
        places = [columns for _, columns in self._levels()]
        if apart not in places:
            return self._to_sparse().add_bordered(q, apart, to)
        j, count = places.index(apart), apart.stop - apart.start
        own, p = self.codes[:, j].astype(np.int32), self.numeric.shape[1]
        others = replace(
            self,
            codes=np.delete(self.codes, j, axis=1),
            level_counts=tuple(np.delete(self.level_counts, j).tolist()),
            cells=None,
        )
        block, sides, diagonal = to
        block += others.curvature(q)
        add_at(diagonal, own, q)
        for k, x in enumerate(self.numeric.T):
            add_at(sides[k], own, q * x)
        flat = sides.reshape(-1)
        for codes, columns in others._levels():  # in place: a tile has few of all the pairs
            first = (codes + columns.start).astype(np.int32) * np.int32(count)
            add_at(flat, first + own, q)
        if self.words is not None:
            dummies = sparse.csr_array(
                (np.ones(self.n_rows), own, np.arange(self.n_rows + 1)), shape=(self.n_rows, count)
            )
            first = p + sum(others.level_counts)
            sides[first:] += (SparseFeatures(self.words).scaled(q).T @ dummies).toarray()
        return None

    def successors(self) -> Array:
        first = np.arange(1, self.numeric.shape[1] + 1)
        levels = [np.full(k.stop - k.start, k.stop) for _, k in self._levels()]
        words = []
        if self.words is not None:
            words = [SparseFeatures(self.words).successors() + self._words().start]
        return np.concatenate([first, *levels, *words])

    def squares(self, q: Array) -> Array:
        out = self._squared().back(np.atleast_2d(q))
        return out if q.ndim == 2 else out[0]

    def count_filled(self) -> Array:
        levels = [
            np.bincount(self.codes[:, j], minlength=k) for j, k in enumerate(self.level_counts)
        ]
        words = [] if self.words is None else [SparseFeatures(self.words).count_filled()]
        parts = [np.count_nonzero(self.numeric, axis=0), *levels, *words]
        return np.concatenate(parts).astype(np.float64)

    def absolute(self) -> "MixedFeatures":
        words = None if self.words is None else abs(self.words)
        return MixedFeatures(np.abs(self.numeric), self.codes, self.level_counts, words)

    def square_lengths(self, scale: Array | None = None) -> Array:
        ones = np.ones(self.n_columns) if scale is None else np.square(scale)
        return np.asarray(self._squared().linear(ones[None])[0])

    def moments(
        self, s: Array, origin: Array, exact: bool = True
    ) -> tuple[Array, Array, Array, Array]:
        p = self.numeric.shape[1]
        numeric = DenseFeatures(self.numeric).moments(s, origin[:p], exact)
        # A level's column is 0 or 1, so its sum is also its sum of squares.
        sums, counts = self._sum_levels(s)
        rows, offset = s.sum(), origin[p : p + len(sums)]
        levels = (
            sums - rows * offset,
            sums * (1 - 2 * offset) + rows * np.square(offset),
            (counts == (s > 0).sum()).astype(np.float64),
            (counts > 0).astype(np.float64),
        )
        parts = [numeric, levels]
        if self.words is not None:
            parts.append(SparseFeatures(self.words).moments(s, origin[self._words()], exact))
        first, second, low, high = (np.concatenate(column) for column in zip(*parts, strict=True))
        return first, second, low, high

    def _sum_levels(self, s: Array) -> tuple[Array, Array]:
        """For each level the weight of its rows, and how many of them have a weight."""
        coded = MixedFeatures(np.zeros((self.n_rows, 0)), self.codes, self.level_counts)
        held, first = (s > 0).astype(np.float64), s[:1]
        if (s == first).all():  # one sum tells both
            (counts,) = coded.back(held[None])
            return counts * first.sum(), counts
        sums, counts = coded.back(np.stack([s, held]))
        return sums, counts

    def joined(self, run: Run, pieces: list[tuple[int, int]]) -> "MixedFeatures":
        """The same with the cells of all rows, for many products: `run` does piece by piece."""
        if self.cells is not None or not self.level_counts:
            return self
        cells = Cells.room(self.n_rows, self.level_counts)
        run(lambda own: cells.fill(own[0], self.codes[slice(*own)], self.level_counts), pieces)
        return replace(self, cells=cells)

    def _to_sparse(self) -> SparseFeatures:
        parts = [sparse.csr_array(self.numeric), self._dummies]
        words = [] if self.words is None else [self.words]
        return SparseFeatures(sparse.csr_array(sparse.hstack([*parts, *words], format="csr")))

    def _squared(self) -> "MixedFeatures":
        words = None if self.words is None else self.words.multiply(self.words).tocsr()
        return MixedFeatures(np.square(self.numeric), self.codes, self.level_counts, words)

    def _levels(self) -> Iterator[tuple[Array, slice]]:
        start = self.numeric.shape[1]
        for j, count in enumerate(self.level_counts):
            yield self.codes[:, j], slice(start, start + count)
            start += count

    def _pieces(self) -> Iterator[tuple[slice, "MixedFeatures"]]:
        """The rows, some at a time, whose sums stay in cache."""
        step = max(64, PIECE // self.row_values)
        if self.n_rows <= step:
            yield slice(0, self.n_rows), self
            return
        whole = replace(self, cells=self._cells) if self.level_counts else self
        for start in range(0, self.n_rows, step):
            stop = min(start + step, self.n_rows)
            yield slice(start, stop), whole.rows(start, stop)

    @cached_property
    def _cells(self) -> Cells:
        return self.cells or Cells.of(self.codes, self.level_counts)

    @cached_property
    def _dummies(self) -> Any:
        """The levels as columns of 0 and 1, sparse, for one tile."""
        n, each = self.codes.shape
        first = np.cumsum([0, *self.level_counts])
        word = np.dtype(np.int32 if n * each <= np.iinfo(np.int32).max else np.int64)
        places = np.add(self.codes, first[:-1].astype(word), dtype=word)
        parts = np.ones(n * each), places.ravel(), np.arange(n + 1, dtype=word) * word.type(each)
        return assemble(sparse.csr_array, parts, int(first[-1]))

    def _coded(self) -> slice:
        p = self.numeric.shape[1]
        return slice(p, p + sum(self.level_counts))

    def _words(self) -> slice:
        return slice(self.numeric.shape[1] + sum(self.level_counts), self.n_columns)

    def _add_words(self, H: Array, q: Array, weighted: Array) -> None:
        words, columns = SparseFeatures(self.words), self._words()
        p = self.numeric.shape[1]
        H[columns, columns] += words.curvature(q)
        H[columns, :p] += np.asarray(self.words.T @ weighted)
        if self.level_counts:
            together = words.scaled(q).T @ self._dummies
            H[columns, p : columns.start] += together.toarray()
