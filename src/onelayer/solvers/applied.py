"""What is proved where the Hessian was applied to vectors, never factored.

Everything rests on H >= the penalty on the weights, with the biases taken out first
(docs/mathematics.md, parts 6 and 7). Arrays of parameters are (n_outputs, p + 1).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.objective import Evaluation, Objective
from onelayer.solvers.factor import factor
from onelayer.solvers.second_order import EPS, Point, penalised_length, rounding

Array = NDArray[Any]


@dataclass(frozen=True)
class Surroundings:
    """What is known of the Hessian at a point before it is applied to anything.

    Attributes
    ----------
    inverse: (n_outputs, n_outputs), H_bb^-1; None where no bias is fitted or one has no curvature.
    far: no row is farther than this from the columns' centre, in units of the penalty.
    m, hidden: (groups,), the bound of sqrt(x'H^-1 x) and what rounding may hide of lambda.
    """

    inverse: Array | None
    far: float
    m: Array
    hidden: Array


def find_farthest_row(objective: Objective) -> float:
    """How far a row can be from the columns' centre, in units of the penalty: one pass.

    The columns' box, and twice the longest row, each bound it.
    """
    if not np.isfinite(objective.C):
        return math.inf

    def longest(block: Block) -> float:
        return max(float(tile.features.square_lengths().max(initial=0.0)) for tile in block.tiles())

    where, length = objective.where, math.sqrt(objective.rows.reduce(longest, max))
    sides = (np.square(where.reach) / objective.penalty[:-1])[~where.frozen[:-1]]
    return min(math.sqrt(sides.sum()), 2 * math.sqrt(objective.C) * length)


def survey(objective: Objective, theta: Array, evaluation: Evaluation, far: float) -> Surroundings:
    """Bound m and the rounding at `theta`; `far` as `find_farthest_row` gives it."""
    inverse = _invert_biases(objective, evaluation)
    groups = range(objective.groups)
    m = [_largest_leverage(objective, evaluation, inverse, k, far) for k in groups]
    assert evaluation.bias_curvature is not None
    bias = float(np.trace(evaluation.bias_curvature))
    centre = penalised_length(objective, objective.where.residual_centre / objective.where.spread)
    hidden = [rounding(objective, theta, evaluation, k, bias, m[k], centre) for k in groups]
    return Surroundings(inverse, far, np.array(m), np.array(hidden))


def measure(
    objective: Objective, around: Surroundings, gradient: Array, direction: Array, residual: Array
) -> tuple[Point, ...]:
    """One `Point` a group from a step d and what it leaves of the Newton equation, r = g - H d.

    lambda^2 = g'd + r'd + r'H^-1 r, the last term bounded from above. With d = 0 and r = g the
    gradient alone proves what it can.
    """
    rest = weigh_residual(objective, around, residual)
    # What rounding may have added to or taken from g'd.
    lost = 4 * EPS * dots(objective, np.abs(gradient), np.abs(direction))
    done = dots(objective, gradient, direction) + dots(objective, residual, direction)
    squared = np.maximum(done, 0) + lost + np.square(rest)
    decrement = np.sqrt(squared) + around.hidden
    steps = direction if objective.groups == objective.n_outputs else direction[None]
    return tuple(
        Point(float(decrement[k]), float(around.m[k]), float(around.hidden[k]), steps[k])
        for k in range(objective.groups)
    )


def dots(objective: Objective, a: Array, b: Array) -> Array:
    """Sums of a times b over the parameters of each group, (groups,)."""
    if objective.groups == 1:
        return np.array([np.vdot(a.T, b.T)])
    return np.asarray(np.einsum("kj,kj->k", a, b))


def weigh_residual(objective: Objective, around: Surroundings, residual: Array) -> Array:
    """sqrt(r'H^-1 r) at most, (groups,): H >= the penalty, and what is left on the biases."""
    if not np.isfinite(objective.C):
        return np.zeros(objective.groups)
    r = residual[:, :-1]
    weights = dots(objective, r / objective.penalty[:-1], r)
    return np.asarray(np.sqrt(weights) + _weigh_bias_residual(objective, around, residual))


def settle(objective: Objective, around: Surroundings, theta: Array, d: Array, r: Array) -> Array:
    """The step with the biases moved so that next to nothing of the residual is left on them.

    What a softmax's classes share is set, too: the Newton step takes shared weights to 0, where the
    penalty wants them, and shared biases move no probability.
    """
    step = d.copy(order="K")
    if around.inverse is not None:
        step[:, -1] += around.inverse @ r[:, -1]
    if objective.groups != objective.n_outputs:
        shared = np.append(theta[:, :-1].mean(axis=0), 0.0)
        step += shared - step.mean(axis=0)
    return step


def _invert_biases(objective: Objective, evaluation: Evaluation) -> Array | None:
    """H_bb^-1; for a softmax with curvature added along what all classes share, which changes
    nothing else."""
    assert evaluation.bias_curvature is not None
    curvature = evaluation.bias_curvature
    if objective.where.frozen[-1]:
        return None
    if objective.groups == objective.n_outputs:
        own = np.diag(curvature)
        return np.diag(1 / own) if (own > 0).all() else None
    decomposed = factor(curvature + np.diag(curvature).mean() / len(curvature))
    return decomposed.inverse if decomposed.full else None


def _weigh_bias_residual(objective: Objective, around: Surroundings, residual: Array) -> Array:
    """What is left on the biases, (0, r_b), in the norm of H^-1, at most, (groups,)."""
    left, inverse = residual[:, -1], around.inverse
    if inverse is None:
        return np.zeros(objective.groups)
    if objective.groups == objective.n_outputs:
        pull = np.square(left) * np.diag(inverse)
    else:
        pull = np.array([max(float(left @ inverse @ left), 0.0)])
    # 0 times an infinite distance is still 0.
    stretch = 1 + around.far * around.far * objective.where.weight / 2
    return np.sqrt(np.where(pull > 0, pull * stretch, 0.0))


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
