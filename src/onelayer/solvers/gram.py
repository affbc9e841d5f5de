"""Fewer rows than columns: solve among the rows' products with each other.

With an L2 penalty the optimum is w = sum_i alpha_i (x_i - centre), so only K = C Xc Xc', n x n,
matters. A triangular root K = L L' gives rows of n numbers, L's, for which the problem is the same
one with a penalty of |u|^2 / 2: the other solvers find u, and w = C Xc' L'^-1 u. K may be rough,
summed in float32 where it is large: what that leaves is taken out on the table itself, where the
end is proved as `newton_cg` proves it.
"""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from onelayer.blocks import Block
from onelayer.coordinates import plain_coordinates
from onelayer.errors import InputError
from onelayer.features.dense import DenseFeatures
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import newton, newton_cg
from onelayer.solvers.conjugate import solve_newton_equation
from onelayer.solvers.kept import KeptRows
from onelayer.solvers.preconditioner import choose_preconditioner
from onelayer.solvers.row_products import find_values, sum_products
from onelayer.solvers.second_order import Watch
from onelayer.solvers.solution import Solution

Array = NDArray[Any]

ROUGH = 5e8  # products of two numbers: K of more than these is summed in float32
LARGEST_FACTORED = 250  # parameters up to which Newton's own Hessian is the quicker way to u
REFINEMENT = 1e-6  # of the slope is left by one equation solved with the rough K


class RootFeatures(DenseFeatures):
    """Rows of a triangular root, multiplied in its own precision: half the bytes in float32."""

    def rows(self, start: int, stop: int) -> "RootFeatures":
        return RootFeatures(self.values[start:stop])

    def tile(self, start: int, stop: int) -> "RootFeatures":
        return RootFeatures(self.values[start:stop])

    def linear(self, W: Array) -> Array:
        return np.asarray(np.dot(W.astype(self.values.dtype), self.values.T), dtype=np.float64)

    def back(self, R: Array) -> Array:
        return np.asarray(np.dot(R.astype(self.values.dtype), self.values), dtype=np.float64)


def is_available(objective: Objective) -> bool:
    """Whether the rows are dense, fewer than the columns, and under a penalty."""
    dense = find_values(objective.rows.block.features) is not None
    return dense and bool(np.isfinite(objective.C)) and objective.rows.n_rows < objective.width


def solve(
    objective: Objective,
    tol: float = 1e-4,
    start: Array | None = None,
    watch: Watch | None = None,
) -> Solution:
    """Minimise the objective to its proved end; the arguments are those of `newton.solve`.

    From a start that is given, which is near the optimum, no K is summed: a few products with the
    table are cheaper.

    Raises
    ------
    InputError: the rows are not such as `is_available` says.
    """
    if not is_available(objective):
        raise InputError(
            f"solver='gram' needs a dense table with fewer rows than columns and a finite C, got "
            f"{objective.rows.n_rows} x {objective.width - 1} and C={objective.C}: use 'auto'"
        )
    if start is not None:
        return newton_cg.solve(objective, tol, start, watch)
    began = time.perf_counter()
    n = objective.rows.n_rows
    rough = float(n) ** 2 * objective.width > ROUGH
    root = _factor(sum_centred_products(objective, np.dtype("f4" if rough else "f8")))
    rotated = _rotate(objective, root)
    small = newton if rotated.size <= LARGEST_FACTORED else newton_cg
    found = small.solve(rotated, tol)
    u = np.column_stack([found.W, found.b])
    alpha = linalg.solve_triangular(root, u[:, :-1].T, lower=True, trans=1).T
    theta, passes = _leave_rows(objective, alpha, u[:, -1]), 3
    if rough:
        alpha, bias = _refine(objective, rotated, root, alpha, theta)
        theta, passes = _leave_rows(objective, alpha, bias), 5
    proved = newton_cg.solve(objective, tol, theta, watch)
    return replace(
        proved,
        passes=proved.passes + passes,
        iterations=found.iterations + proved.iterations,
        solver="gram",
        seconds=time.perf_counter() - began,
    )


def sum_centred_products(objective: Objective, dtype: np.dtype[Any]) -> Array:
    """K = C Xc Xc', (n, n), in the objective's centre."""
    values = find_values(objective.rows.block.features)
    assert values is not None
    return sum_products(values, objective.where.centre, objective.C, objective.rows, dtype)


def _factor(K: Array) -> Array:
    """The lower root of K; K is made larger until it has one, which is mended later."""
    n, level = len(K), float(np.diag(K).mean()) or 1.0
    potrf = linalg.lapack.spotrf if K.dtype == np.float32 else linalg.lapack.dpotrf
    added = n * float(np.finfo(K.dtype).eps) * level
    while True:
        K[np.diag_indices(n)] += added
        root, failed = potrf(K, lower=1)
        if not failed:
            return np.tril(root)
        added *= 10


def _rotate(objective: Objective, root: Array) -> Objective:
    """The same problem for rows of n numbers, under a penalty of |u|^2 / 2."""
    block = objective.rows.block
    rows = MemoryRows(Block(RootFeatures(root), block.labels, block.weights), objective.rows.n_jobs)
    where = plain_coordinates(rows, not objective.where.frozen[-1])
    reach = np.abs(root).max(axis=0).astype(np.float64)
    return Objective(rows, objective.loss, 1.0, replace(where, low=-reach, high=reach))


def _leave_rows(objective: Objective, alpha: Array, bias: Array) -> Array:
    """theta for w = C Xc' alpha, (n_outputs, p + 1); alpha (n_outputs, n)."""
    kept = KeptRows(objective)
    theta = kept.back(alpha) / np.where(objective.penalty > 0, objective.penalty, 1)
    theta[:, -1] = bias
    return theta


def _refine(
    objective: Objective, rotated: Objective, root: Array, alpha: Array, theta: Array
) -> tuple[Array, Array]:
    """One Newton step with the slopes of the real rows and the Hessian of the rough ones.

    Where w = C Xc' alpha the slopes by w are Xc'(r + alpha), r the residuals: in the rotated
    problem they are L'(r + alpha).
    """
    kept = KeptRows(rotated)
    terms = kept.terms(KeptRows(objective).linear(theta))
    gradient = kept.back(terms.residual + alpha)
    gradient[:, -1] = terms.residual.sum(axis=1)
    gradient[:, rotated.where.frozen] = 0
    precondition = choose_preconditioner(kept, terms, None, 0)
    groups = objective.groups
    step = solve_newton_equation(
        kept,
        terms,
        gradient,
        precondition,
        np.full(groups, REFINEMENT),
        np.full(groups, np.inf),
        lambda r: np.zeros(groups),
    )
    d = step.direction
    return alpha - linalg.solve_triangular(root, d[:, :-1].T, lower=True, trans=1).T, theta[
        :, -1
    ] - d[:, -1]
