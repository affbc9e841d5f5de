"""A matrix of samples x features."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.scratch import borrow

Array = NDArray[Any]

PIECE_BYTES = 1 << 20
WIDE = 1 << 10  # values that NumPy compares with as many others in one go


@dataclass(frozen=True)
class DenseFeatures:
    """A matrix of samples x features; `shift` is taken off each row as the tile is read.

    Products are `np.dot`'s here and wherever rows are summed: `@` keeps the interpreter to itself
    while its result has fewer than 500 numbers, however many rows go into it, and other threads
    wait.

    `single` rows are float32, and so are their products, for guesses.

    >>> DenseFeatures(np.array([[1.0, 2.0], [3.0, 4.0]])).linear(np.array([[1.0, 1.0]])).tolist()
    [[3.0, 7.0]]
    """

    values: Array
    shift: Array | None = None
    single: bool = False

    @property
    def n_rows(self) -> int:
        return int(self.values.shape[0])

    @property
    def n_columns(self) -> int:
        return int(self.values.shape[1])

    @property
    def row_values(self) -> int:
        return max(1, self.n_columns)

    @property
    def row_bytes(self) -> int:
        return 8 * self.row_values

    @property
    def in_place(self) -> bool:
        return self.shift is None and (self.single or self.values.dtype == np.float64)

    def rows(self, start: int, stop: int) -> "DenseFeatures":
        return replace(self, values=self.values[start:stop])

    def tile(self, start: int, stop: int) -> "DenseFeatures":
        values = self.values[start:stop]
        if self.single:
            return replace(self, values=values)
        if self.shift is not None:
            return DenseFeatures(values - self.shift)
        # A tile at a time: the products are float64 while a float32 table is never copied whole.
        return DenseFeatures(np.asarray(values, dtype=np.float64))

    def passing_tile(self, start: int, stop: int) -> "DenseFeatures":
        """The same in memory that the thread's next such tile takes."""
        if self.in_place:
            return self.tile(start, stop)
        values = self.values[start:stop]
        return DenseFeatures(
            np.subtract(
                values, 0 if self.shift is None else self.shift, out=borrow("tile", *values.shape)
            )
        )

    def take(self, indices: Array) -> "DenseFeatures":
        return replace(self, values=self.values[indices])

    def columns(self, indices: Array) -> "DenseFeatures":
        shift = None if self.shift is None else self.shift[indices]
        return replace(self, values=self.values[:, indices], shift=shift)

    def linear(self, W: Array) -> Array:
        return np.asarray(np.dot(self._match(W), self.values.T))

    def back(self, R: Array) -> Array:
        return np.asarray(np.dot(self._match(R), self.values), dtype=np.float64)

    def curvature(self, q: Array) -> Array:
        p, values, root = self.n_columns, self.values, self._match(np.sqrt(q))[:, None]
        H = np.zeros((p, p))
        if not p:
            return H
        # One copy of a piece at a time, in memory that is used again: new pages cost as much as
        # the product. In the table's own order; NumPy takes half of the symmetric product alone.
        # SciPy's own call for that holds the interpreter, and threads would take turns.
        order: Any = "F" if values.strides[0] < values.strides[1] else "C"
        room = np.empty(min(self.n_rows, self._piece_rows()) * p, dtype=values.dtype)
        for own in self._pieces():
            held = values[own]
            out = room[: held.size].reshape(held.shape, order=order)
            part = np.multiply(held, root[own], out=out)
            H += np.dot(part.T, part)
        return H

    def squares(self, q: Array) -> Array:
        parts = (np.dot(q[..., own], np.square(self.values[own])) for own in self._pieces())
        return np.asarray(sum(parts))

    def add_bordered(self, q: Array, apart: slice, to: tuple[Array, Array, Array]) -> None:
        own, others = self.values[:, apart], np.delete(self.values, apart, axis=1)
        weighted = (q[:, None] * others).T
        for total, part in zip(to, (weighted @ others, weighted @ own, q @ own**2), strict=True):
            total += part

    def successors(self) -> Array:
        return np.arange(1, self.n_columns + 1)

    def _pieces(self) -> Iterator[slice]:
        """Some rows at a time, whose copies stay in cache."""
        step = self._piece_rows()
        return (slice(start, start + step) for start in range(0, max(1, self.n_rows), step))

    def _piece_rows(self) -> int:
        return max(64, PIECE_BYTES // (self.values.itemsize * self.row_values))

    def _match(self, numbers: Array) -> Array:
        return numbers.astype(np.float32) if self.single else numbers

    def count_filled(self) -> Array:
        return np.asarray(np.count_nonzero(self.values, axis=0), dtype=np.float64)

    def absolute(self) -> "DenseFeatures":
        return DenseFeatures(np.abs(self.values))

    def square_lengths(self, scale: Array | None = None) -> Array:
        values = self.values if scale is None else self.values * scale
        return np.asarray(np.einsum("ij,ij->i", values, values))

    def moments(
        self, s: Array, origin: Array, exact: bool = True
    ) -> tuple[Array, Array, Array, Array]:
        held = self.values if s.all() else self.values[s > 0]
        centred = self.values - origin if origin.any() else self.values
        # Rows of one weight store it once; a product with it as it lies is no work for BLAS.
        s = np.ascontiguousarray(s)
        return (
            np.dot(s, centred),
            np.dot(s, np.square(centred)),
            _fold(np.minimum, held, np.inf),
            _fold(np.maximum, held, -np.inf),
        )


def _fold(choose: np.ufunc, values: Array, start: float) -> Array:
    """The least or largest value of each column; many narrow rows are looked at as a wide one."""
    n, p = values.shape
    wide = WIDE // max(1, p)
    if p and wide > 1 and n > wide and values.flags.c_contiguous:
        whole = n - n % wide
        found = choose.reduce(values[:whole].reshape(-1, wide * p), axis=0).reshape(wide, p)
        values = np.concatenate([found, values[whole:]])
    return np.asarray(choose.reduce(values, axis=0, initial=start))
