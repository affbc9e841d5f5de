"""Rows of a table as numbers, in three layouts with one set of operations.

- `dense.DenseFeatures`: an array, C or Fortran order, float32 or float64;
- `sparse.SparseFeatures`: compressed sparse rows;
- `mixed.MixedFeatures`: numeric columns beside integer-coded categories and sparse words; a
  category of 300 levels is one column of codes, never 300 columns of zeros.

This is the one place that turns a table's samples x features into the network's features x samples:
`linear` takes weights (n_outputs, n_columns) and gives logits (n_outputs, n_rows).
"""

from typing import Any, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]


class Features(Protocol):
    """Rows of a table as numbers, and their products with weights and residuals."""

    @property
    def n_rows(self) -> int:
        """Number of rows (samples)."""

    @property
    def n_columns(self) -> int:
        """Number of columns (features), each level of a category being one."""

    @property
    def row_values(self) -> int:
        """Values stored for one row, on average: what a tile's size is counted in."""

    @property
    def row_bytes(self) -> int:
        """Bytes that a row takes, on average, and at least those of its values in float64."""

    @property
    def in_place(self) -> bool:
        """Whether a tile is read where it lies, rather than from a copy."""

    def rows(self, start: int, stop: int) -> "Features":
        """The rows from `start` to `stop`, as a view where the layout allows."""

    def tile(self, start: int, stop: int) -> "Features":
        """The same rows ready for arithmetic: float64, shifted."""

    def take(self, indices: Array) -> "Features":
        """The rows at `indices`, copied."""

    def columns(self, indices: Array) -> "Features":
        """The columns at `indices`, which ascend, copied; a chosen level becomes a sparse word."""

    def linear(self, W: Array) -> Array:
        """W X, (n_outputs, n_rows)."""

    def back(self, R: Array) -> Array:
        """R X', (n_outputs, n_columns): sums over the rows."""

    def curvature(self, q: Array) -> Array:
        """X diag(q) X', (n_columns, n_columns), for q >= 0 of (n_rows,)."""

    def squares(self, q: Array) -> Array:
        """The diagonal of `curvature`, (n_columns,), or one for each row of `q`."""

    def add_bordered(self, q: Array, apart: slice, to: tuple[Array, Array, Array]) -> None:
        """Add `curvature`, where no row fills two of the columns `apart`, to its three parts: the
        block of all other columns, that of the others by those, and the diagonal of those."""

    def successors(self) -> Array:
        """For each column the next one that some row fills beside it, (n_columns,), or one before
        that: as much as the layout tells at little cost."""

    def count_filled(self) -> Array:
        """How many rows hold something other than 0 in each column, (n_columns,)."""

    def absolute(self) -> "Features":
        """The same rows with |x| for x."""

    def square_lengths(self, scale: Array | None = None) -> Array:
        """|x|^2 of each row, (n_rows,); with a `scale` (n_columns,) that of x times it."""

    def moments(
        self, s: Array, origin: Array, exact: bool = True
    ) -> tuple[Array, Array, Array, Array]:
        """Sums of s (x - origin) and s (x - origin)^2, minimum and maximum of each column.

        Where they need not be `exact`, a wide sparse table gives bounds of them instead, which are
        exact only for columns of one value: less work than sorting its values by column.
        """
