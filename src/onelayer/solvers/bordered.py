"""The exact Hessian of a table with one large category, factored at the price of its other columns.

Where no row fills two of the columns D, as levels of one category, their block of the Hessian is
diagonal, and taking them out leaves the Schur complement of all others:

    [A  B ] [x]   [f]          S = A - B D^-1 B',    x = S^-1 (f - B D^-1 g),
    [B' D ] [y] = [g]                                y = D^-1 (g - B' x).

Ten thousand levels beside a hundred other columns are then no more than the hundred. The centres of
those columns, which would fill D, stay out of it: they only move the bias.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.factor import invert_rough

Array = NDArray[Any]

FEW_ROWS = 512  # that show most tables to have no such columns
LARGEST_BORDER = 1500  # columns beside those: more take longer to factor than products take
LARGEST_SIDE = 1 << 20  # values of B: 8 MiB in each of these
PIECE = 64  # rows of B
PARTS = 2  # of the rows, whatever the number of threads


def find_apart(rows: MemoryRows) -> slice:
    """The longest run of columns of which no row fills two; empty where what is left is too wide.

    >>> from onelayer.features.mixed import MixedFeatures
    >>> from onelayer.blocks import Block
    >>> codes = np.array([[0, 0], [1, 2], [1, 1]], dtype=np.int32)
    >>> X = MixedFeatures(np.zeros((3, 1)), codes, (2, 3))
    >>> find_apart(MemoryRows(Block(X, np.ones((1, 3)), np.ones(3))))
    slice(3, 6, None)
    """
    for part in (MemoryRows(rows.sample(FEW_ROWS), 1), rows):
        after = part.reduce(lambda block: block.features.successors(), np.minimum)
        ends = np.minimum.accumulate(after[::-1])[::-1]
        first = int(np.argmax(ends - np.arange(len(ends))))
        apart = slice(first, int(ends[first]))
        levels = apart.stop - apart.start
        others = rows.n_columns - levels
        if others > min(levels, LARGEST_BORDER) or others * levels > LARGEST_SIDE:
            return slice(0, 0)
    return apart


@dataclass(frozen=True)
class Bordered:
    """H^-1 of one output, in the objective's coordinates.

    Attributes
    ----------
    apart: the columns taken out. others: (m,), the numbers of all others and the bias.
    inverse: (m, m), S^-1. sides: (m, r), B. diagonal: (r,), D.
    push: (r,), the centres of the columns taken out, in spreads.
    """

    apart: slice
    others: Array
    inverse: Array
    sides: Array
    diagonal: Array
    push: Array

    def solve(self, g: Array) -> Array:
        """H^-1 g, (p + 1,)."""
        own = (g[self.apart] + self.push * g[-1]) / self.diagonal
        x = self.inverse @ (g[self.others] - self.sides @ own)
        y = own - (x @ self.sides) / self.diagonal
        out = np.empty_like(g)
        out[self.others], out[self.apart] = x, y
        out[-1] += self.push @ y
        return out


def factor_bordered(objective: Objective, q: Array, apart: slice) -> list[Bordered]:
    """Factor the Hessian of each output of curvatures `q`, (n_outputs, n): one pass over the rows.

    A little curvature is added where S has no root; no proof rests on it.
    """
    rows = objective.rows.beside(q)
    return [_factor_one(objective, rows, k, apart) for k in range(len(q))]


def _factor_one(objective: Objective, rows: MemoryRows, k: int, apart: slice) -> Bordered:
    (A, B, D), where = _sum_curvature(rows, k, apart), objective.where
    others = np.append(np.delete(np.arange(objective.width - 1), apart), objective.width - 1)
    centre, spread = where.residual_centre[others[:-1]], np.append(where.spread[others[:-1]], 1.0)
    sums, total = A[-1, :-1].copy(), A[-1, -1]
    A[:-1, :-1] -= (
        np.outer(centre, sums) + np.outer(sums, centre) - total * np.outer(centre, centre)
    )
    A[-1, :-1] -= total * centre
    A[:-1, -1] = A[-1, :-1]
    A /= np.outer(spread, spread)
    for side, c, scale in zip(B[:-1], centre, spread[:-1], strict=True):
        side -= c * B[-1]
        side /= scale
    B /= where.spread[apart]
    D /= np.square(where.spread[apart])
    _freeze(objective, A, B, D, others, apart)
    push = np.where(where.frozen[-1], 0.0, where.residual_centre[apart] / where.spread[apart])
    push[where.frozen[apart]] = 0
    return Bordered(apart, others, invert_rough(A - _square(B, D)), B, D, push)


def _freeze(
    objective: Objective, A: Array, B: Array, D: Array, others: Array, apart: slice
) -> None:
    """Leave out what may not move, and add the penalty."""
    frozen, still = objective.where.frozen[others], objective.where.frozen[apart]
    A[frozen] = A[:, frozen] = B[frozen] = B[:, still] = D[still] = 0
    A[np.diag_indices(len(A))] += np.where(frozen, 1.0, objective.penalty[others])
    D += objective.penalty[apart]
    D[D == 0] = 1  # what nothing curves has no slope either


def _square(B: Array, D: Array) -> Array:
    """B D^-1 B', some rows at a time: B is large."""
    pieces = (slice(start, start + PIECE) for start in range(0, len(B), PIECE))
    return np.concatenate([(B[own] / D) @ B.T for own in pieces])


def _sum_curvature(rows: MemoryRows, k: int, apart: slice) -> list[Array]:
    """A, B and D over raw columns, the bias last. Few parts, each summed in place: B is often
    larger than what a tile adds to it."""
    r, n = apart.stop - apart.start, rows.n_rows
    m = rows.n_columns - r
    edges = [(i * n // PARTS, (i + 1) * n // PARTS) for i in range(PARTS)]

    def sum_part(edge: tuple[int, int]) -> list[Array]:
        A, B, D = np.zeros((m + 1, m + 1)), np.zeros((m + 1, r)), np.zeros(r)
        for tile in rows.block.rows(*edge).tiles():
            q = tile.labels[k]
            tile.features.add_bordered(q, apart, (A[:-1, :-1], B[:-1], D))
            first = tile.features.back(q[None])[0]
            A[-1, :-1] += np.delete(first, apart)
            B[-1] += first[apart]
            A[-1, -1] += q.sum()
        return [A, B, D]

    total, *others = rows.run(sum_part, edges)
    for part in others:
        for own, more in zip(total, part, strict=True):
            own += more
    return total
