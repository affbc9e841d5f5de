"""The combinations of columns that are 0 in every row.

The null space of a sample of rows holds them all. Rows that a random vector of it does not meet
with 0 join the sample, until it meets every row: what is left is the null space of the table.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from onelayer.blocks import Block
from onelayer.coordinates import Coordinates, shift_rows
from onelayer.features.mixed import MixedFeatures
from onelayer.rows.memory import MemoryRows
from onelayer.separation.sides import centred_columns, to_csr

Array = NDArray[Any]

SPARE = 100  # rows of a sample beyond twice its parameters
ADDED = 200
MOST_ROUNDS = 30
WELL = 1e-10  # a Gram matrix of this condition has no null space worth a closer look


@dataclass(frozen=True)
class Table:
    """The rows, standardised: columns less their centre over their largest distance from it.

    Attributes
    ----------
    free: columns looked at: neither constant nor, but for the last in line, levels whose category
        is known to add up to 1.
    levels: the columns of each category.
    """

    rows: MemoryRows
    where: Coordinates
    centre: Array
    span: Array
    free: Array
    levels: tuple[range, ...]

    @property
    def has_bias(self) -> bool:
        return not bool(self.where.frozen[-1])

    def take(self, chosen: Array) -> Array:
        """Standardised rows with their 1, (m, p + 1)."""
        taken = self.rows.block.features.take(chosen)
        return np.asarray(to_csr(taken, self.centre, self.span).toarray())

    def multiply(self, V: Array) -> Array:
        """Standardised rows times vectors (k, p + 1): (k, n)."""
        shifted, where = shift_rows(self.rows, self.where)
        W = V[:, :-1] / self.span
        bias = V[:, -1] - W @ (self.centre - where.shift)

        def product(block: Block) -> Array:
            return np.hstack([tile.features.linear(W) + bias[:, None] for tile in block.tiles()])

        return np.hstack(list(shifted.map(product))) * (self.rows.block.weights > 0)

    def find_move(self, W: Array, b: Array) -> float:
        """The largest |W x + b| of a row with a weight; W (k, p) and b (k, 1)."""
        V = np.column_stack([W * self.span, W @ self.centre + b[:, 0]])
        return float(np.abs(self.multiply(V)).max(initial=0.0))


def make_table(rows: MemoryRows, where: Coordinates) -> Table:
    """Standardise, and set aside what is no news."""
    features = rows.block.features
    centre = np.where(centred_columns(features) & ~where.frozen[:-1], where.centre, 0.0)
    span = np.maximum(np.abs(where.low - centre), np.abs(where.high - centre))
    levels = list[range]()
    if isinstance(features, MixedFeatures):
        start = features.numeric.shape[1]
        for many in features.level_counts:
            levels.append(range(start, start + many))
            start += many
    free = ~where.frozen.copy()
    free[:-1] &= span > 0
    for block in levels[0 if free[-1] else 1 :]:
        present = [j for j in block if free[j]]
        free[present[-1:]] = False
    return Table(
        rows, where, centre, np.where(span > 0, span, 1.0), np.flatnonzero(free), tuple(levels)
    )


def find_null_space(table: Table, tolerance: float, seed: int = 0) -> tuple[Array, Array]:
    """Vectors (k, p + 1), orthonormal, that standardised rows meet within `tolerance`, and rows.

    The rows, (m, p + 1), span what all rows span.
    """
    rng, free = np.random.default_rng(seed), table.free
    held = np.flatnonzero(table.rows.block.weights > 0)
    many = min(len(held), 2 * len(free) + SPARE)
    chosen = np.sort(rng.choice(held, many, replace=False))
    for _ in range(MOST_ROUNDS):
        A = table.take(chosen)
        N = np.zeros((0, A.shape[1]))
        if not _is_well(A[:, free]):
            _, sizes, vectors = decompose(A[:, free])
            rank = int((sizes > tolerance * np.sqrt(len(A))).sum())
            N = np.zeros((len(free) - rank, A.shape[1]))
            N[:, free] = vectors[rank:]
        if not len(N):
            return N, A
        off = np.abs(table.multiply(rng.standard_normal((1, len(N))) @ N)[0])
        fresh = np.flatnonzero(off > 10 * tolerance * np.sqrt(len(free)))
        fresh = np.setdiff1d(fresh, chosen)
        if not len(fresh):
            return N, A
        chosen = np.concatenate([chosen, rng.permutation(fresh)[:ADDED]])
    return np.zeros((0, A.shape[1])), A


def decompose(A: Array) -> tuple[Array, Array, Array]:
    """The singular value decomposition, with all right vectors.

    LAPACK's divide and conquer fails on some finite matrices of many equal rows; its older way,
    which takes longer, does not.
    """
    try:
        U, sizes, vectors = linalg.svd(A, full_matrices=True)
    except linalg.LinAlgError:
        U, sizes, vectors = linalg.svd(A, full_matrices=True, lapack_driver="gesvd")
    return U, sizes, vectors


def _is_well(A: Array) -> bool:
    """Whether the columns are far from depending on each other: Cholesky on their Gram matrix."""
    gram = A.T @ A
    scale = np.sqrt(np.diag(gram))
    if not scale.all():
        return False
    if not len(gram):
        return True
    unit = gram / scale / scale[:, None]
    triangle, failed = linalg.lapack.dpotrf(unit, lower=1)
    if failed:
        return False
    condition, _ = linalg.lapack.dpocon(triangle, np.abs(unit).sum(axis=0).max(), uplo="L")
    return bool(condition > WELL)


def level_sums(table: Table) -> Array:
    """The combinations that are no news: each category's levels less the bias, or less another's.

    In standardised coordinates, (k, p + 1); levels are not centred, so their span is 1.
    """
    out = []
    for block in table.levels:
        v = np.zeros(table.rows.n_columns + 1)
        v[list(block)] = table.span[list(block)]
        v[:-1][table.where.frozen[:-1]] = 0
        out.append(v)
    if not out:
        return np.zeros((0, table.rows.n_columns + 1))
    V = np.stack(out)
    if table.has_bias:
        V[:, -1] = -1
        return V
    return np.asarray(V[1:] - V[0])
