"""Fewer rows than columns: the same problem in as many columns as there are rows.

A weight off the space that the rows span moves no logit and is penalised, so it is 0. With the
centred rows Xc = U S V', rows U S (n x n) under the same penalty have the same optimum, turned by
V: every loss is the same, whichever row is left out. U and S come from Xc Xc'; V is never formed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from onelayer.blocks import Block
from onelayer.features.dense import DenseFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import LARGEST_FACTORED
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.gram import sum_centred_products

Array = NDArray[Any]

MOST_ROWS = 400  # beyond, a factor of all rows' directions costs more than the fit of wide tables
FLAT = 1e-13  # a direction of less of the largest square is rounding


@dataclass(frozen=True)
class Rotation:
    """Rows of fewer columns, and the way back.

    Attributes
    ----------
    rows: the rows U S. source: the objective over the rows as they were.
    back: (directions, n), S^-1 U': what makes weights of rows out of weights of the columns U S.
    """

    rows: MemoryRows
    source: Objective
    back: Array

    def restore(self, W: Array, b: Array) -> tuple[Array, Array]:
        """W and b for the columns as they were, from those for the rotated ones."""
        where, shares = self.source.where, W @ self.back
        first, total = 0, np.zeros((len(W), self.source.width - 1))
        for tile in self.source.rows.block.tiles():
            total += tile.features.back(shares[:, first : first + tile.n_rows])
            first += tile.n_rows
        total -= np.outer(shares.sum(axis=1), where.residual_centre)
        return total, b - (total @ where.centre)[:, None]


def rotate(objective: Objective) -> Rotation | None:
    """The rows of an objective of C = 1 in their own directions; None where that gains nothing."""
    features, n = objective.rows.block.features, objective.rows.n_rows
    wide = objective.width > LARGEST_FACTORED
    if n >= objective.width - 1 or (wide and n > MOST_ROWS):
        return None
    if isinstance(features, DenseFeatures):
        products = sum_centred_products(objective, np.dtype("f8"))
    elif isinstance(features, SparseFeatures):
        products = _sum_sparse_products(objective, features)
    else:
        return None
    squares, U = linalg.eigh(products, lower=True)
    held = squares > FLAT * n * max(squares[-1], 0.0)
    size, U = np.sqrt(squares[held]), U[:, held]
    block = objective.rows.block
    turned = Block(DenseFeatures(np.ascontiguousarray(U * size)), block.labels, block.weights)
    return Rotation(MemoryRows(turned, objective.rows.n_jobs), objective, (U / size).T)


def _sum_sparse_products(objective: Objective, features: SparseFeatures) -> Array:
    """(X - c)(X - c)' without a full X: products of the stored values, less those with c."""
    centre = objective.where.centre
    with_centre = features.linear(centre[None])[0]
    products = np.asarray((features.values @ features.values.T).toarray(), dtype=np.float64)
    products -= with_centre[:, None] + with_centre - float(centre @ centre)
    return products
