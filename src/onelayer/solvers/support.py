"""The distance from the optimum where the weights that are not 0 for sure curve F.

With the weights that a dual point proves to be 0 left out, F plus the L1 norm is as self-concordant
as F, and any subgradient serves in the place of the gradient: lambda^2 = g'H^-1 g over the others
gives rho and gap by the same closed forms (docs/mathematics.md).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.certificate import box_bound
from onelayer.loss import SoftmaxLoss
from onelayer.objective import Evaluation
from onelayer.solvers.factor import factor
from onelayer.solvers.penalised import Penalised
from onelayer.solvers.second_order import EPS, Point, rounding

Array = NDArray[Any]


def subgradient(problem: Penalised, gradient: Array, theta: Array) -> Array:
    """The shortest subgradient of F + L1 at `theta`, (n_outputs, p + 1), each column for itself."""
    kappa = problem.kappa
    at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - kappa, 0)
    return np.asarray(np.where(theta == 0, at_zero, gradient + kappa * np.sign(theta)))


def prove(
    problem: Penalised,
    evaluation: Evaluation,
    theta: Array,
    H: Array,
    alive: NDArray[np.bool_],
) -> Point | None:
    """lambda, m and rounding at `theta`, or None where the Hessian is singular over `alive`.

    Parameters
    ----------
    evaluation: at `theta`. H: (D, D), the Hessian there or a part of it.
    alive: (n_outputs, p + 1), True for what may differ from 0 at the optimum, and the bias.
    """
    objective = problem.objective
    kept = np.flatnonzero(alive.ravel())
    if not len(kept):
        return None
    M = pin_biases(problem, H)[np.ix_(kept, kept)]
    decomposed = factor(M)
    if not decomposed.full:
        return None
    g = subgradient(problem, objective.by_output(evaluation.gradient), theta).ravel()[kept]
    d = decomposed.solve(g)
    d = d + decomposed.solve(g - M @ d)
    inverse = np.zeros_like(H)
    inverse[np.ix_(kept, kept)] = decomposed.inverse
    centre = _centre_length(problem, inverse)
    bias = objective.where.weight * (0.25 if objective.n_outputs == 1 else 1.0)  # at most
    lost = 8 * EPS * (bias * centre**2 + len(M) / decomposed.condition)
    m = _longest_row(problem, evaluation, inverse) * (1 + lost)
    hidden = rounding(objective, theta, evaluation, 0, bias, m, centre)
    squared = max(float(g @ d + (g - M @ d) @ d), 0.0)
    decrement = (1 + lost) * math.sqrt(squared) + hidden
    return Point(decrement, m, hidden, d)


def is_singular(problem: Penalised, H: Array, alive: NDArray[np.bool_]) -> bool:
    """Whether the curvature over `alive` leaves some direction flat."""
    kept = np.flatnonzero(alive.ravel())
    M = pin_biases(problem, H)[np.ix_(kept, kept)]
    return not (len(kept) and factor(M).full)


def pin_biases(problem: Penalised, H: Array) -> Array:
    """Give a softmax's biases curvature along their common shift, which nothing depends on."""
    objective = problem.objective
    if not isinstance(objective.loss, SoftmaxLoss) or objective.where.frozen[-1]:
        return H
    biases = np.arange(objective.width - 1, len(H), objective.width)
    pinned = H.copy()
    pinned[np.ix_(biases, biases)] += H[biases, biases].mean() / len(biases)
    return pinned


def _longest_row(problem: Penalised, evaluation: Evaluation, inverse: Array) -> float:
    """m: a row's leverage is at most 1, and rows lie in the columns' box."""
    objective = problem.objective
    with np.errstate(divide="ignore"):
        m = float(1 / np.sqrt(evaluation.least_curvature[0]))
    reach = np.where(objective.where.frozen[:-1], 0.0, objective.where.reach)
    n, width = objective.n_outputs, objective.width
    blocks = inverse.reshape(n, width, n, width)
    if n == 1:
        contrasts = [inverse]
    else:
        contrasts = [
            blocks[k, :, k] + blocks[j, :, j] - blocks[k, :, j] - blocks[j, :, k]
            for k in range(n)
            for j in range(k)
        ]
    longest = max(box_bound(M, reach) for M in contrasts)
    return min(m, math.sqrt(max(longest, 0.0)))


def _centre_length(problem: Penalised, inverse: Array) -> float:
    """The length, in the norm of H^-1, of the centre that tiles still carry, at most."""
    where, width = problem.objective.where, problem.objective.width
    u = np.where(where.frozen[:-1], 0.0, where.residual_centre / where.spread)
    n = problem.objective.n_outputs
    blocks = inverse.reshape(n, width, n, width)[:, :-1, :, :-1]
    return math.sqrt(n * max(float(u @ blocks[k, :, k] @ u) for k in range(n)))
