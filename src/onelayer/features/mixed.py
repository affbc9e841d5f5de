"""Numeric columns beside integer-coded categories and sparse words."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from onelayer.features.dense import DenseFeatures
from onelayer.features.sparse import SparseFeatures

Array = NDArray[Any]

PIECE = 1 << 13  # rows


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
            self.numeric[start:stop], self.codes[start:stop], self.level_counts, words
        )

    def tile(self, start: int, stop: int) -> "MixedFeatures":
        rows = self.rows(start, stop)
        # Each column's codes side by side, in the type that lookups and counts take as it is.
        codes = np.asarray(rows.codes, dtype=np.intp, order="F")
        return MixedFeatures(rows.numeric, codes, rows.level_counts, rows.words)

    def take(self, indices: Array) -> "MixedFeatures":
        words = None if self.words is None else self.words[indices]
        return MixedFeatures(self.numeric[indices], self.codes[indices], self.level_counts, words)

    def columns(self, indices: Array) -> "MixedFeatures":
        p, first = self.numeric.shape[1], self.numeric.shape[1] + sum(self.level_counts)
        levels = indices[(indices >= p) & (indices < first)] - p
        words = [self._dummies(self._positions())[:, levels]]
        if self.words is not None:
            words.append(self.words[:, indices[indices >= first] - first])
        return MixedFeatures(
            self.numeric[:, indices[indices < p]],
            np.zeros((self.n_rows, 0), dtype=np.int32),
            (),
            sparse.csr_array(sparse.hstack(words, format="csr")),
        )

    def linear(self, W: Array) -> Array:
        Z = W[:, : self.numeric.shape[1]] @ self.numeric.T
        for codes, columns in self._levels():
            for z, w in zip(Z, W, strict=True):
                z += w[columns].take(codes)
        if self.words is not None:
            Z += SparseFeatures(self.words).linear(W[:, self._words()])
        return np.asarray(Z)

    def back(self, R: Array) -> Array:
        out = np.empty((len(R), self.n_columns))
        out[:, : self.numeric.shape[1]] = R @ self.numeric
        for codes, columns in self._levels():
            count = columns.stop - columns.start
            for k, r in enumerate(R):
                out[k, columns] = np.bincount(codes, r, count)
        if self.words is not None:
            out[:, self._words()] = SparseFeatures(self.words).back(R)
        return out

    def curvature(self, q: Array) -> Array:
        H = np.zeros((self.n_columns, self.n_columns))
        for start in range(0, self.n_rows, PIECE):  # pieces whose pairs of levels stay in cache
            stop = min(start + PIECE, self.n_rows)
            self.tile(start, stop)._add_curvature(H, q[start:stop])
        for own in [*(columns for _, columns in self._levels()), self._words()]:
            H[: own.start, own] = H[own, : own.start].T
        return H

    def _add_curvature(self, H: Array, q: Array) -> None:
        """Add the lower triangle.

        A pair of levels is counted where it stands in H: a row costs c^2 / 2 additions, however
        many levels there are. Beside a level a row's numbers are added side by side.
        """
        p, width, flat = self.numeric.shape[1], len(H), H.reshape(-1)
        weighted = q[:, None] * self.numeric
        H[:p, :p] += weighted.T @ self.numeric
        if p and self.level_counts:
            H[p : self._words().start, :p] += self._dummies(self._positions()).T @ weighted
        places = [codes + columns.start for codes, columns in self._levels()]
        for i, place in enumerate(places):
            first = place * width
            for other in places[: i + 1]:
                np.add.at(flat, first + other, q)
        if self.words is not None:
            self._add_words(H, q, weighted)

    def add_bordered(self, q: Array, apart: slice, to: tuple[Array, Array, Array]) -> None:
        places = [columns for _, columns in self._levels()]
        if apart not in places:
            return self._to_sparse().add_bordered(q, apart, to)
        j, count = places.index(apart), apart.stop - apart.start
        own, p = self.codes[:, j].astype(np.intp), self.numeric.shape[1]
        others = replace(
            self,
            codes=np.delete(self.codes, j, axis=1),
            level_counts=tuple(np.delete(self.level_counts, j).tolist()),
        )
        block, sides, diagonal = to
        block += others.curvature(q)
        np.add.at(diagonal, own, q)
        for k, x in enumerate(self.numeric.T):
            np.add.at(sides[k], own, q * x)
        flat = sides.reshape(-1)
        for codes, columns in others._levels():  # in place: a tile has few of all the pairs
            np.add.at(flat, (codes + columns.start) * count + own, q)
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
        sums = MixedFeatures(np.zeros((self.n_rows, 0)), self.codes, self.level_counts).back(
            np.stack([s, (s > 0).astype(np.float64)])
        )
        rows, offset = s.sum(), origin[p : p + sums.shape[1]]
        levels = (
            sums[0] - rows * offset,
            sums[0] * (1 - 2 * offset) + rows * np.square(offset),
            (sums[1] == (s > 0).sum()).astype(np.float64),
            (sums[1] > 0).astype(np.float64),
        )
        parts = [numeric, levels]
        if self.words is not None:
            parts.append(SparseFeatures(self.words).moments(s, origin[self._words()], exact))
        first, second, low, high = (np.concatenate(column) for column in zip(*parts, strict=True))
        return first, second, low, high

    def _to_sparse(self) -> SparseFeatures:
        parts = [sparse.csr_array(self.numeric), self._dummies(self._positions())]
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

    def _positions(self) -> Array:
        """Each code as the place of its level among all levels, (c, n_rows), a row a column."""
        first = np.cumsum([0, *self.level_counts])[:-1]
        return np.asarray(np.ascontiguousarray(self.codes.T, dtype=np.intp) + first[:, None])

    def _dummies(self, positions: Array) -> Any:
        """The levels as columns of 0 and 1, sparse, for one tile."""
        count, each = self.n_rows, len(positions)
        places = np.ascontiguousarray(positions.T).ravel()
        return sparse.csr_array(
            (np.ones(len(places)), places, np.arange(count + 1) * each),
            shape=(count, sum(self.level_counts)),
        )

    def _words(self) -> slice:
        return slice(self.numeric.shape[1] + sum(self.level_counts), self.n_columns)

    def _add_words(self, H: Array, q: Array, weighted: Array) -> None:
        words, columns = SparseFeatures(self.words), self._words()
        p = self.numeric.shape[1]
        H[columns, columns] += words.curvature(q)
        H[columns, :p] += np.asarray(self.words.T @ weighted)
        if self.level_counts:
            together = words.scaled(q).T @ self._dummies(self._positions())
            H[columns, p : columns.start] += together.toarray()
