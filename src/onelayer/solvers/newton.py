"""Newton's method: the default, exact, with nothing to tune.

One pass over the rows an iteration gives the objective, its gradient and its Hessian, which is
factored.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.certificate import Certificate, box_bound, combine, no_certificate
from onelayer.loss import SoftmaxLoss
from onelayer.objective import Evaluation, Objective
from onelayer.solvers import second_order
from onelayer.solvers.factor import Factor, factor, flat_directions
from onelayer.solvers.second_order import EPS, Method, Point, Watch, penalised_length, rounding
from onelayer.solvers.solution import Solution
from onelayer.solvers.standardised import copy_softmax

Array = NDArray[Any]

SLACK = 10.0  # by how much LAPACK may overestimate a condition
STILL = 1e-10  # of how far a logit could move: columns so nearly dependent are said to be
FLAT = 100.0  # a slope this many roundings of the table's own values large is still taken for 0


def solve(
    objective: Objective,
    tol: float = 1e-4,
    start: Array | None = None,
    watch: Watch | None = None,
) -> Solution:
    """Minimise the objective to its proved end.

    Parameters
    ----------
    tol: the largest distance from the optimum, in standard errors of each coefficient.
    start: (n_outputs, p + 1) in the objective's coordinates; by default the base rate.
    watch: told the `Progress` after each step.
    """
    objective = copy_softmax(objective)
    if start is None:
        start = objective.start()
    first = second_order.solve(NEWTON, objective, tol, start, watch)
    if first.status != "stalled" or np.array_equal(start, objective.start()):
        return first
    # So far off, every probability is 0 or 1 in float64 and no curvature shows the way back.
    return first.then(second_order.solve(NEWTON, objective, tol, objective.start(), watch))


def certify(objective: Objective, theta: Array) -> Certificate:
    """The certificate of any parameters, (n_outputs, p + 1), from one pass and a factorisation."""
    points, _ = measure(objective, theta, _evaluate(objective, theta), 0.0)
    parts = [
        Certificate(p.gap, p.rho, NEWTON.kind, p.rounding)
        if np.isfinite(p.rho)
        else no_certificate("the optimum is still too far for a bound")
        for p in points
    ]
    return combine(parts)


def _evaluate(objective: Objective, theta: Array) -> Evaluation:
    return objective.evaluate(theta, hessian=True)


def measure(
    objective: Objective, theta: Array, evaluation: Evaluation, tol: float
) -> tuple[tuple[Point, ...], int]:
    """Factor each group's Hessian; its Newton step and decrement. Takes no pass."""
    assert evaluation.hessian is not None
    # A distance of over one standard error ends no fit: from there no bound of m is asked for.
    far = max(1.0, tol**2) if tol and np.isfinite(objective.C) else math.inf
    points = [
        _measure_group(objective, theta, evaluation, k, H, far)
        for k, H in enumerate(evaluation.hessian)
    ]
    return tuple(points), 0


NEWTON = Method("newton", _evaluate, measure, exact=True, kind="factored")


def _measure_group(
    objective: Objective, theta: Array, evaluation: Evaluation, k: int, H: Array, far: float
) -> Point:
    """`far`: a squared decrement beyond which nothing is to be proved."""
    g, common, apart = evaluation.gradient[k], np.zeros(objective.size), 0.0
    if isinstance(objective.loss, SoftmaxLoss):
        H, common = add_gauge(objective, H), np.tile(theta.mean(axis=0), objective.n_outputs)
        slope = np.tile(objective.penalty, objective.n_outputs) * common
        g, apart = g - slope, float(slope @ common)
    decomposed = factor(H)
    d = decomposed.solve(g)
    d = d + decomposed.solve(g - H @ d)  # what a matrix of ill condition has left
    residual = g - H @ d
    left = _left_over(objective, evaluation, k, residual, H, decomposed)
    bounded = math.isfinite(left)
    left = left if bounded else 0.0  # nothing is provable, but there is still a step
    squared = max(float(g @ d + residual @ d), 0.0) + left + apart
    m = math.inf
    if bounded and squared <= far:
        m = largest_leverage(objective, evaluation, k, decomposed)
    assert evaluation.bias_curvature is not None
    curved = np.diag(evaluation.bias_curvature)
    bias = float(curved[k] if objective.groups > 1 else curved.sum())
    centre = _centre_length(objective, decomposed)
    hidden = rounding(objective, theta, evaluation, k, bias, m, centre)
    # The share of the Hessian that its sums may have lost to rounding.
    lost = 8 * EPS * (bias * centre**2 + len(H) / decomposed.condition)
    decrement = (1 + lost) * math.sqrt(squared) + hidden
    rest = math.sqrt(max(float(residual @ decomposed.solve(residual)), 0.0) + left)
    m *= 1 + lost  # the box comes from the same inverse
    flat = _is_flat(objective, H, decomposed)
    return Point(decrement, m, hidden, d + common, rest + lost * decrement, flat)


def _is_flat(objective: Objective, H: Array, decomposed: Factor) -> bool:
    """Whether columns may depend on each other: the penalty's curvature alone bounds the least.

    Along a combination of columns that is 0 in every row, scaled to a unit diagonal, H curves by
    the largest share that the penalty has of a diagonal element, at most.
    """
    if not decomposed.full or objective.where.frozen[:-1].any():
        return True
    penalty = np.tile(objective.penalty, len(H) // objective.width)
    return bool(decomposed.condition <= SLACK * float((penalty / np.diag(H)).max()))


def add_gauge(objective: Objective, H: Array) -> Array:
    """H with curvature along what a softmax cannot see: the same amount added to every class.

    The Hessian has the penalty alone there, far below its other curvatures or 0, so that part of
    the step is known (`common`: the optimum's classes sum to 0) and is kept out of the factor.
    """
    if objective.groups == objective.n_outputs:
        return H
    n, width = objective.n_outputs, objective.width
    free = ~objective.where.frozen
    level = np.diag(H).reshape(n, width).mean(axis=0)
    raised = H.copy()
    # Element j of every class with element j of every other.
    np.einsum("ajbj->abj", raised.reshape(n, width, n, width))[:] += np.where(free, level, 0.0) / n
    return raised


def largest_leverage(
    objective: Objective, evaluation: Evaluation, k: int, decomposed: Factor
) -> float:
    """m, the smaller of two bounds: a row's leverage is at most 1; rows lie in the columns' box."""
    with np.errstate(divide="ignore"):
        m = float(1 / np.sqrt(evaluation.least_curvature[k]))
    if objective.where.sampled:  # columns may reach farther than was seen
        return m
    if not decomposed.full:  # the pseudo-inverse says nothing of the directions it left out
        return m
    where = objective.where
    reach = np.where(where.frozen[:-1], 0.0, where.reach)
    return min(m, math.sqrt(max(box_bound(M, reach) for M in _contrasts(objective, decomposed))))


def _contrasts(objective: Objective, decomposed: Factor) -> list[Array]:
    """The inverse as a row's logit sees it; for a softmax, as each difference of classes does."""
    n, width = objective.n_outputs, objective.width
    if objective.groups == n:
        contrasts = [decomposed.inverse.copy()]
    else:
        blocks = decomposed.inverse.reshape(n, width, n, width)
        contrasts = [
            blocks[k, :, k] + blocks[j, :, j] - blocks[k, :, j] - blocks[j, :, k]
            for k in range(n)
            for j in range(k)
        ]
    if objective.where.frozen[-1]:  # no bias: the 1 beside each row is not there
        for M in contrasts:
            M[-1] = M[:, -1] = 0
    return contrasts


def _centre_length(objective: Objective, decomposed: Factor) -> float:
    """The length, in the norm of H^-1, of the centre that tiles still carry, at most."""
    where = objective.where
    u = np.where(where.frozen[:-1], 0.0, where.residual_centre / where.spread)
    if not decomposed.full and np.isfinite(objective.C):
        return penalised_length(objective, u)
    n = len(decomposed.scale) // objective.width
    lengths = np.zeros(n)
    for k in range(n):
        own = np.zeros((n, objective.width))
        own[k, :-1] = u
        lengths[k] = own.ravel() @ decomposed.solve(own.ravel())
    return math.sqrt(n * max(float(lengths.max()), 0.0))


def _is_still(objective: Objective, k: int, H: Array) -> bool:
    """Whether next to no logit moves along what is flat in group k's Hessian."""
    for v in flat_directions(H).T:
        whole = np.zeros((objective.groups, objective.size))
        whole[k] = v
        if objective.farthest_move(objective.by_output(whole)) > STILL:
            return False
    return True


def _left_over(
    objective: Objective,
    evaluation: Evaluation,
    k: int,
    residual: Array,
    H: Array,
    decomposed: Factor,
) -> float:
    """What the directions that were not inverted can add to lambda^2, at most; inf if anything.

    With the biases taken out of H, the weights keep at least the penalty: r'H^-1 r is at most
    r_b'H_bb^-1 r_b + |r_w - H_wb H_bb^-1 r_b|^2 by the inverse penalty. A softmax's biases hang
    together, so H_bb is the whole matrix of them. Without a penalty only a gradient that is
    rounding hides nothing: over a curvature that float64 cannot see, any other can be anything.
    """
    if decomposed.full:
        return 0.0
    where, width = objective.where, objective.width
    if not np.isfinite(objective.C):
        span = np.append(np.abs(where.centre) / where.spread + where.reach, 1.0)
        noise = FLAT * EPS * np.sqrt(evaluation.miss[k]) * span
        small = (np.abs(residual.reshape(-1, width)) <= noise) | where.frozen
        return 0.0 if small.all() and _is_still(objective, k, H) else math.inf
    biases = np.arange(len(H)) % width == width - 1
    r_w, total = residual[~biases], 0.0
    if not where.frozen[-1]:
        pinned = factor(H[np.ix_(biases, biases)])
        if not pinned.full:
            return math.inf
        pull = pinned.solve(residual[biases])
        total = max(float(residual[biases] @ pull), 0.0)
        r_w = r_w - H[np.ix_(~biases, biases)] @ pull
    return total + float((np.square(r_w.reshape(-1, width - 1)) / objective.penalty[:-1]).sum())
