"""A table that fits in cache, standardised, as `direct.py` works on it.

Calls are what takes the time: a product by `dot` takes half of what `@` does, a sum by BLAS a third
of a reduction, an extreme by its place less than half.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from onelayer.loss import is_even
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]

NARROW = 1e-8  # a spread below this share of the centre may be rounding alone


class Problem(NamedTuple):
    """The standardised rows with their 1, and what belongs to each.

    Attributes
    ----------
    A: (D, m), (x - centre) / spread and, where there is a bias, a 1: loops over long rows are few.
    sign: (m,), 1 for a label of 1, else -1; s: (m,), weights. common: the weight of all rows, or 0.
    ridge: (D,), the penalty's curvature; 0 for the bias.
    centre, spread: (n_x,). reach: (D,), how far a column reaches from 0; length: of that vector.
    tol: rho at which to stop. scratch: (D, m), room for A times a factor.
    """

    A: Array
    sign: Array
    s: Array
    common: float
    ridge: Array
    centre: Array
    spread: Array
    reach: Array
    length: float
    weight: float
    tol: float
    scratch: Array


def standardise(rows: MemoryRows, C: float, fit_intercept: bool, tol: float) -> Problem | None:
    """The problem of rows that `suits`; None where a column is constant or a weight 0."""
    block, features = rows.block, rows.block.features
    whole = features if features.in_place else features.tile(0, block.n_rows)
    X = whole.values  # type: ignore[attr-defined]
    s = np.ascontiguousarray(block.weights)  # one weight for all would keep BLAS out
    common = float(s[0]) if is_even(block.weights) else 0.0
    if not (common or s.all()):
        return None
    m, p = X.shape
    weight = blas.dasum(s)
    # In one piece, which the allocator keeps for the next fit: two it would give back to the
    # system, and new pages take as long as all the rest.
    A, scratch = np.empty((2, p + fit_intercept, m))
    A[p:] = 1
    columns, centre = A[:p], s.dot(X) / weight if fit_intercept else np.zeros(p)
    np.subtract(X.T, centre[:, None], out=columns)
    spread = np.sqrt(np.square(columns, out=scratch[:p]).dot(s) / weight)
    far = np.abs(centre) / spread
    if not (NARROW * far[far.argmax()] < 1 and math.isfinite(spread.dot(far))):
        return None
    scale = 1 / spread
    columns *= scale[:, None]
    ridge = np.zeros(p + fit_intercept)
    ridge[:p] = np.square(scale) / C
    reach = np.maximum.reduce(np.abs(A, out=scratch), axis=1)
    reach[:p] += far  # the answer's own bias carries the centre
    sign = np.multiply(block.labels[0], 2.0)
    sign -= 1.0
    length = math.sqrt(reach.dot(reach))
    about = common, ridge, centre, spread, reach, length, weight, tol, scratch
    return Problem(A, sign, s, *about)


def start_at(problem: Problem, fit_intercept: bool, given: tuple[Array, Array] | None) -> Array:
    """The base rate's bias, or what is given, in standardised coordinates."""
    theta = np.zeros(len(problem.ridge))
    if given is not None:
        W, b = given
        theta[: len(problem.spread)] = W[0] * problem.spread
        if fit_intercept:
            theta[-1] = b[0, 0] + W[0] @ problem.centre
    elif fit_intercept:
        more = problem.s.dot(problem.sign)  # of label 1 than of label 0
        theta[-1] = math.log((problem.weight + more) / (problem.weight - more))
    return theta


def to_parameters(problem: Problem, theta: Array, fit_intercept: bool) -> tuple[Array, Array]:
    """W (1, n_x) and b (1, 1) in the units of the table."""
    W = (theta[: len(problem.spread)] / problem.spread)[None]
    b = (theta[-1] if fit_intercept else 0.0) - W.dot(problem.centre)
    return W, b[:, None]
