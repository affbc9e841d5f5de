"""Newton's method with conjugate gradients: for tables too wide to factor a Hessian of.

The Hessian is only ever applied to vectors, two products with the rows each time. What conjugate
gradients leave of the Newton equation enters the certificate, so it stays a proof; without a
penalty there is no bound for that rest, and the certificate says so.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.objective import Evaluation, Objective
from onelayer.solvers import second_order
from onelayer.solvers.factor import factor
from onelayer.solvers.second_order import EPS, Method, Point, Watch, penalised_length, rounding
from onelayer.solvers.solution import Solution

Array = NDArray[Any]

FORCING = 0.1  # how far each Newton equation is solved while the optimum is still distant
SHARPER = 1e-2  # the last steps cost little: end this much nearer than asked for
MOST_PRODUCTS = 2000  # and at most ten a parameter: more only chase rounding


def solve(
    objective: Objective,
    tol: float = 1e-4,
    start: Array | None = None,
    watch: Watch | None = None,
) -> Solution:
    """Minimise the objective to its proved end; the arguments are those of `newton.solve`."""
    if start is None:
        start = objective.start()
    return second_order.solve(_method(objective), objective, SHARPER * tol, start, watch)


def _method(objective: Objective) -> Method:
    longest = _longest_row(objective)

    def measure(
        objective: Objective, theta: Array, evaluation: Evaluation, tol: float
    ) -> tuple[tuple[Point, ...], int]:
        step = _solve_newton_equation(objective, theta, evaluation, tol)
        points = tuple(
            _measure_group(objective, theta, evaluation, step, k, longest)
            for k in range(objective.groups)
        )
        return points, step.products

    return Method("newton_cg", _evaluate, measure, exact=False, kind="applied")


def _evaluate(objective: Objective, theta: Array) -> Evaluation:
    return objective.evaluate(theta, diagonal=True)


@dataclass(frozen=True)
class _Step:
    direction: Array  # (groups, D)
    residual: Array  # (groups, D), g - H d
    products: int


def _solve_newton_equation(
    objective: Objective, theta: Array, evaluation: Evaluation, tol: float
) -> _Step:
    """Preconditioned conjugate gradients on H d = g, all groups in the same products.

    A group is done when its residual has shrunk by a factor that follows the decrement (which
    makes the outer loop superlinear) and, near the end, when the residual's own part of lambda,
    at most its norm by the inverse penalty, is small against `tol`.
    """
    assert evaluation.diagonal is not None
    g, diagonal = evaluation.gradient, evaluation.diagonal
    d, r = np.zeros_like(g), g.copy()
    z = r / diagonal
    p, energy = z.copy(), (r * z).sum(axis=1)
    first = energy.copy()
    forcing = np.minimum(FORCING, np.sqrt(first)) ** 2
    products = 0
    while products < min(MOST_PRODUCTS, 10 * objective.size):
        near = (g * d).sum(axis=1) <= (2 * tol) ** 2
        loose = near & (_rest_bound(objective, r) > (0.3 * tol) ** 2)
        going = (energy > 0) & ((energy > forcing * first) | (loose & (energy > 1e-26 * first)))
        if not going.any():
            break
        Hp = objective.multiply(theta, objective.by_output(p)).reshape(g.shape)
        products += 1
        curved = (p * Hp).sum(axis=1)
        length = np.where(going & (curved > 0), energy / np.where(curved > 0, curved, 1), 0.0)
        d += length[:, None] * p
        r -= length[:, None] * Hp
        z = r / diagonal
        fresh = (r * z).sum(axis=1)
        ratio = np.where(going, fresh / np.where(energy > 0, energy, 1), 0.0)
        p, energy = z + ratio[:, None] * p, fresh
    return _settle_biases(objective, theta, evaluation, d, r, products)


def _settle_biases(
    objective: Objective, theta: Array, evaluation: Evaluation, d: Array, r: Array, products: int
) -> _Step:
    """Move the biases so that next to nothing of the residual is left on them.

    The residual is computed anew: the one carried along by conjugate gradients drifts. So does
    what a softmax's classes share, whose digits would drown g'd: the Newton step takes shared
    weights to 0, where the penalty wants them, and shared biases move no probability.
    """
    steps = objective.by_output(d).copy()
    inverse = _invert_biases(objective, evaluation)
    if inverse is not None:
        steps[:, -1] += inverse @ objective.by_output(r)[:, -1]
    if objective.groups != objective.n_outputs:
        shared = np.append(theta[:, :-1].mean(axis=0), 0.0)
        steps += shared - steps.mean(axis=0)
    d = steps.reshape(d.shape)
    product = objective.multiply(theta, steps).reshape(r.shape)
    return _Step(d, evaluation.gradient - product, products + 1)


def _invert_biases(objective: Objective, evaluation: Evaluation) -> Array | None:
    """H_bb^-1, (n_outputs, n_outputs); None where no bias is fitted or one has no curvature left.

    For a softmax curvature is added along what all classes share, which changes nothing else.
    """
    assert evaluation.bias_curvature is not None
    curvature = evaluation.bias_curvature
    if objective.where.frozen[-1]:
        return None
    if objective.groups == objective.n_outputs:
        own = np.diag(curvature)
        return np.diag(1 / own) if (own > 0).all() else None
    decomposed = factor(curvature + np.diag(curvature).mean() / len(curvature))
    return decomposed.inverse if decomposed.full else None


def _rest_bound(objective: Objective, residual: Array) -> Array:
    """r'H^-1 r at most, per group, for a residual without a part on the biases: H >= penalty."""
    if not np.isfinite(objective.C):
        return np.zeros(objective.groups)
    r = objective.by_output(residual)[:, :-1]
    parts = (np.square(r) / objective.penalty[:-1]).sum(axis=1)
    return np.asarray(parts.reshape(objective.groups, -1).sum(axis=1))


def _measure_group(
    objective: Objective,
    theta: Array,
    evaluation: Evaluation,
    step: _Step,
    k: int,
    longest: float,
) -> Point:
    g, d, r = evaluation.gradient[k], step.direction[k], step.residual[k]
    inverse = _invert_biases(objective, evaluation)
    far = _farthest_row(objective, longest)
    rest = math.sqrt(float(_rest_bound(objective, step.residual)[k]))
    rest += _weigh_bias_residual(objective, inverse, r, k, far)
    lost = 4 * EPS * float(np.abs(g) @ np.abs(d))
    squared = max(float(g @ d + r @ d), 0.0) + lost + rest**2
    m = _largest_leverage(objective, evaluation, inverse, k, far)
    assert evaluation.bias_curvature is not None
    bias = float(np.trace(evaluation.bias_curvature))
    centre = penalised_length(objective, objective.where.residual_centre / objective.where.spread)
    hidden = rounding(objective, theta, evaluation, k, bias, m, centre)
    return Point(math.sqrt(squared) + hidden, m, hidden, d)


def _weigh_bias_residual(
    objective: Objective, inverse: Array | None, r: Array, k: int, far: float
) -> float:
    """What rounding left on the biases, (0, r_b), in the norm of H^-1, at most."""
    if inverse is None or not np.isfinite(objective.C):
        return 0.0
    left = r[objective.width - 1 :: objective.width]
    own = inverse[k : k + 1, k : k + 1] if objective.groups > 1 else inverse
    pull = max(float(left @ own @ left), 0.0)
    return math.sqrt(pull * (1 + far**2 * objective.where.weight / 2)) if pull else 0.0


def _farthest_row(objective: Objective, longest: float) -> float:
    """No row is farther than this from the columns' centre, in units of the penalty."""
    if not np.isfinite(objective.C):
        return math.inf
    where = objective.where
    sides = (np.square(where.reach) / objective.penalty[:-1])[~where.frozen[:-1]]
    return min(math.sqrt(sides.sum()), 2 * math.sqrt(objective.C) * longest)


def _largest_leverage(
    objective: Objective, evaluation: Evaluation, inverse: Array | None, k: int, far: float
) -> float:
    """m, the smaller of two bounds: a row's leverage is at most 1, or from H >= the penalty.

    The second takes the biases out first. Moving one logit against another by 1 through the biases
    costs beta = a' H_bb^-1 a, and what that drags along in the weights is at most
    |x| sqrt(beta sum s / 2) long (Cauchy-Schwarz over the rows); for a single sigmoid it is the
    weighted mean row, at most |x|. Without a penalty neither is of use, nor where a bias has lost
    all curvature: inf.
    """
    has_bias = not objective.where.frozen[-1]
    if not np.isfinite(objective.C) or (has_bias and inverse is None):
        return math.inf
    with np.errstate(divide="ignore"):
        m = float(1 / np.sqrt(evaluation.least_curvature[k]))
    if objective.groups == objective.n_outputs:
        beta = 0.0 if inverse is None else float(inverse[k, k])
        return min(m, math.sqrt(beta + (2 * far) ** 2))
    beta = 0.0
    if inverse is not None:
        own = np.diag(inverse)
        beta = float((own[:, None] + own - 2 * inverse).max())
    dragged = math.sqrt(beta * objective.where.weight / 2)
    return min(m, math.sqrt(beta + (far * (math.sqrt(2) + dragged)) ** 2))


def _longest_row(objective: Objective) -> float:
    """The largest length of a row in the units of the table, |x|, one pass."""

    def longest(block: Block) -> float:
        return max(float(tile.features.square_lengths().max(initial=0.0)) for tile in block.tiles())

    return math.sqrt(objective.rows.reduce(longest, max))
