"""K = C Xc Xc', the products of a wide table's rows with each other: held, or only applied.

Held, it costs n^2 p once and n^3 / 3 for each factor; applied, 4 n p a product. `dual.py` asks for
products with vectors, for the diagonal and, where one is cheap, for factors of K plus a diagonal.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from onelayer.blocks import Block
from onelayer.features import Features
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]

CHUNKS = 4  # sums of K made side by side, each as large as K
TILE_COLUMNS = 512
PIECES = 8  # of the columns, each of which one thread reads for a product,
COPIED_VALUES = 1 << 18  # of other types at a time: 2 MiB of float64
SINGLE = 1e6  # times a row's weight its square may be where float32 will do
MOST_PRODUCTS = 60  # with the table; K is the cheaper way on
FEW = 64  # rows whose centre is near enough to that of all
FAR = 1e6  # times the rows' distances from their centre, squared: that of the centre from 0


def find_values(features: Features) -> Array | None:
    """The table as one array of numbers (n, p), where it is held as one."""
    if isinstance(features, DenseFeatures):
        return features.values
    if isinstance(features, MixedFeatures) and not features.level_counts:
        return features.numeric if features.words is None else None
    return None


@dataclass(frozen=True)
class Table:
    """A dense table as products read it.

    Attributes
    ----------
    values: (n, p). centre: (p,), what is taken off each row; 0 where there is no bias.
    rows: whose threads do the work. C: as in the objective.
    """

    values: Array
    centre: Array
    rows: MemoryRows
    C: float

    def multiply(self, v: Array) -> tuple[Array, Array]:
        """K v (n,) and C Xc'v (p,).

        Some columns at a time: not so few that they stay in a core's cache to be read again, as
        then the rows' short parts, each on a page of its own, are slower to read than twice as
        many numbers side by side.
        """
        total = float(v.sum())
        p = len(self.centre)
        edges = np.arange(PIECES + 1) * p // PIECES
        in_place = self.values.dtype == np.float64
        width = p if in_place else max(1, COPIED_VALUES // len(v))

        def work(k: int) -> tuple[Array, Array]:
            out, w = np.zeros(len(v)), np.empty(edges[k + 1] - edges[k])
            for start in range(edges[k], edges[k + 1], width):
                stop = min(start + width, edges[k + 1])
                part = np.asarray(self.values[:, start:stop], dtype=np.float64)
                u = v @ part
                u -= total * self.centre[start:stop]
                out += np.dot(part, u)
                w[start - edges[k] : stop - edges[k]] = u
            return out, w

        found = self.rows.run(work, range(PIECES))
        w = np.concatenate([part for _, part in found])
        out = sum((part for part, _ in found[1:]), found[0][0])
        return self.C * (out - float(self.centre @ w)), self.C * w


@dataclass(frozen=True)
class Applied:
    """Products read off the table; diagonal (n,) is that of K, about.

    With `rough`, K summed in float32 (n, n), equations are solved by its factors.
    """

    table: Table
    diagonal: Array
    rough: Array | None = None
    most = MOST_PRODUCTS

    def multiply(self, v: Array) -> tuple[Array, Array]:
        """See `dual.Products`."""
        return self.table.multiply(v)

    def factor(self, ridge: Array) -> Callable[[Array], Array] | None:
        """See `dual.Products`."""
        return None if self.rough is None else factor_with(self.rough, ridge)


@dataclass(frozen=True)
class Held:
    """K itself, (n, n)."""

    table: Table
    K: Array
    most = MOST_PRODUCTS

    @property
    def diagonal(self) -> Array:
        """See `dual.Products`."""
        return np.diag(self.K)

    def multiply(self, v: Array) -> tuple[Array, Array]:
        """See `dual.Products`."""
        return np.asarray(self.K @ v), np.zeros(0)

    def factor(self, ridge: Array) -> Callable[[Array], Array] | None:
        """See `dual.Products`."""
        return factor_with(self.K, ridge)


def factor_with(K: Array, ridge: Array) -> Callable[[Array], Array]:
    """Solver of (K + diag(ridge)) x = r by a Cholesky factor in K's precision.

    The ridge is made larger until there is a factor, which may take some where K is rough.
    """
    single = K.dtype == np.float32
    potrf, potrs = (lapack.spotrf, lapack.spotrs) if single else (lapack.dpotrf, lapack.dpotrs)
    step, added = len(K) + 1, 0.0
    while True:
        M = K.T.copy(order="F")
        M.ravel("K")[::step] += ridge + added
        L, failed = potrf(M, lower=1, overwrite_a=1, clean=0)
        if not failed:
            break
        added = 2 * added + float(np.finfo(K.dtype).eps) * float(np.diag(K).max())
    return lambda r: np.asarray(potrs(L, r.astype(K.dtype), lower=1)[0], dtype=np.float64)


def sum_products(
    values: Array, centre: Array, C: float, rows: MemoryRows, dtype: np.dtype[Any]
) -> Array:
    """K = C (X - centre)(X - centre)', (n, n); a tile of columns at a time, X is never copied."""
    syrk = blas.ssyrk if dtype == np.float32 else blas.dsyrk
    n, p = values.shape
    # The table's own values less their centre, times sqrt(C): of order 1 in any unit, for float32.
    size = np.sqrt(C)

    def add(chunk: tuple[int, int]) -> Array:
        K = np.zeros((n, n), dtype=dtype, order="F")
        for start in range(*chunk, TILE_COLUMNS):
            own = slice(start, min(start + TILE_COLUMNS, chunk[1]))
            tile = np.empty((n, own.stop - own.start), dtype=dtype)
            np.subtract(values[:, own], centre[own], out=tile, casting="same_kind")
            tile *= size
            K = syrk(1.0, tile.T, beta=1.0, c=K, trans=1, lower=1, overwrite_c=1)
        return K

    step = -(-p // CHUNKS)
    parts = rows.run(add, [(a, min(a + step, p)) for a in range(0, p, step)])
    K = parts[0]
    for part in parts[1:]:
        K += part
    _fill_upper(K)
    return np.asarray(K)


def sum_up(products: Applied, weights: Array) -> Applied | Held:
    """K: in float32, for factors, unless its rounding would outweigh the entropy's curvature.

    That is 4 / s or more for each row.
    """
    table = products.table
    single = float((products.diagonal * weights).max()) < SINGLE
    dtype = np.dtype(np.float32 if single else np.float64)
    K = sum_products(table.values, table.centre, table.C, table.rows, dtype)
    return replace(products, rough=K) if single else Held(table, K)


def _fill_upper(K: Array) -> None:
    """Copy the lower triangle over the upper one, a square at a time."""
    n = len(K)
    for start in range(0, n, TILE_COLUMNS):
        stop = min(start + TILE_COLUMNS, n)
        square = K[start:stop, start:stop]
        square[:] = np.tril(square) + np.tril(square, -1).T
        K[start:stop, stop:] = K[stop:, start:stop].T


def hold(values: Array, rows: MemoryRows, C: float, fit_bias: bool) -> Held | None:
    """K from one product of the raw rows; None where taking the centre off afterwards loses digits.

    With the centre X's / sum s, Xc Xc' = P X X' P', P = 1 - 1 s' / sum s: no tile is copied for it.
    """
    X = np.asarray(values, dtype=np.float64)
    K, centre = X @ X.T, np.zeros(X.shape[1])
    largest = float(np.diag(K).max())
    if fit_bias:
        weights = np.ascontiguousarray(rows.block.weights)
        share = weights / weights.sum()
        centre = share @ X
        mean = K @ share
        K -= mean
        K -= (mean - share @ mean)[:, None]
    near = float(np.diag(K).max())
    if not (0 < near < np.inf and largest < FAR * near):
        return None
    K *= C
    return Held(Table(values, centre, rows, C), K)


def apply(values: Array, rows: MemoryRows, C: float, fit_bias: bool) -> Applied | None:
    """Centre and distances from it in one pass; None where the centre is too far from 0.

    Distances are from the centre of a few rows, plus how far that lies from the centre of all.
    """
    weights = rows.block.weights
    near = np.zeros(rows.n_columns)
    if fit_bias:
        few = rows.sample(FEW)
        near = few.features.tile(0, few.n_rows).back(np.full((1, few.n_rows), 1 / few.n_rows))[0]

    def measure(block: Block) -> tuple[Array, Array]:
        return _measure_tiles(block, near)

    found = list(rows.map(measure))
    centre = sum(part for part, _ in found) / weights.sum() if fit_bias else near
    off = np.concatenate([part for _, part in found])
    far, away = float(off.max()), float(np.square(centre - near).sum())
    if not (0 < far < np.inf and float(centre @ centre) < FAR * far):
        return None
    return Applied(Table(values, centre, rows, C), C * (off + away))


def _measure_tiles(block: Block, near: Array) -> tuple[Array, Array]:
    """The weighted sum of the rows, and each row's squared distance from `near`."""
    total, parts = np.zeros(len(near)), []
    for tile in block.tiles():
        # A weight that is stored once would keep BLAS out.
        total += tile.features.back(np.ascontiguousarray(tile.weights)[None])[0]
        along = tile.features.linear(near[None])[0]
        parts.append(tile.features.square_lengths() - 2 * along + near @ near)
    return total, np.concatenate(parts)
