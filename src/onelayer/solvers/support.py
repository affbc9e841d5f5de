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
from onelayer.solvers.active_set import factor_independent, solve_root
from onelayer.solvers.factor import Factor, factor, flat_directions
from onelayer.solvers.newton import FLAT
from onelayer.solvers.penalised import Penalised
from onelayer.solvers.second_order import EPS, RELATIVE_GAP, Point, rounding
from onelayer.solvers.twins import find_twins

Array = NDArray[Any]

FLAT_SHARE = 1e-8  # of the curvature of one class alone
TAKES_PART = 1e-6  # of the part of the column that has the largest in the flat directions
UNSEEN = 0.1  # of the gap asked for


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
    """lambda, m and rounding at `theta`, or None where flat directions of `alive` allow none.

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
    shifts = common_shifts(problem, H, alive)[kept]
    M = M + shifts @ (np.diag(M).mean() * shifts.T)
    slopes = objective.by_output(evaluation.gradient)
    g = subgradient(problem, slopes, theta).ravel()[kept]
    if not shifts.size:
        g = shorten(M, g, _freedom(problem, evaluation, theta).reshape(-1, 2)[kept])
    kappa = np.tile(problem.kappa, len(alive))[kept]
    firsts, others = find_twins(M, slopes.ravel()[kept], kappa)
    own = np.delete(np.arange(len(kept)), others)
    reduced = M[own[:, None], own] if len(others) else M
    decomposed = factor(reduced)
    apart = _part_twins(len(kept), firsts, others) if decomposed.full else flat_directions(M)
    flat = np.hstack([shifts, apart])
    bent = _balance(problem, evaluation, theta, flat, g, kept) if flat.size else g
    if bent is None:
        return None
    full = decomposed.full and not len(others)
    point = _measure(problem, evaluation, theta, reduced, decomposed, bent[own], kept[own], full)
    if point is None or full:
        return point
    return point if is_held(problem, evaluation, theta, flat, bent, kept, point) else None


def shorten(M: Array, g: Array, free: Array) -> Array:
    """The subgradient that is shortest in the norm of M^-1, as far as those at 0 may choose.

    g (D,) is a subgradient, `free` (D, 2) the bounds of each. With g_z = M_zs M_ss^-1 g_s at the
    zeros z, the square of its length is g_s' M_ss^-1 g_s: that of the others s alone.

    >>> M, free = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[1.0, 1.0], [-1.0, 1.0]])
    >>> shorten(M, np.array([1.0, 0.0]), free).round(9).tolist()
    [1.0, 0.5]
    """
    fixed = free[:, 0] == free[:, 1]
    held, zeros = np.flatnonzero(fixed), np.flatnonzero(~fixed)
    root = factor_independent(M, held, np.diag(M)) if len(zeros) else None
    if root is None:
        return g
    chosen = g.copy()
    best = M[zeros[:, None], held] @ solve_root(root, g[held])
    chosen[zeros] = np.clip(best, free[zeros, 0], free[zeros, 1])
    return chosen


def _measure(
    problem: Penalised,
    evaluation: Evaluation,
    theta: Array,
    M: Array,
    decomposed: Factor,
    g: Array,
    kept: NDArray[np.intp],
    full: bool,
) -> Point | None:
    """The point of the Hessian M (d, d) and the subgradient g (d,) over the parameters `kept`.

    None where g has a part outside the range of M that is no rounding. `full`: nothing is flat.
    """
    objective = problem.objective
    d = decomposed.solve(g)
    d = d + decomposed.solve(g - M @ d)
    rest = g - M @ d
    if not decomposed.full and not _is_noise(problem, evaluation, rest, kept):
        return None
    inverse = np.zeros((theta.size, theta.size))
    inverse[np.ix_(kept, kept)] = decomposed.inverse
    centre = _centre_length(problem, inverse)
    bias = objective.where.weight * (0.25 if objective.n_outputs == 1 else 1.0)  # at most
    lost = 8 * EPS * (bias * centre**2 + len(M) / decomposed.condition)
    m = _longest_row(problem, evaluation, inverse, full) * (1 + lost)
    hidden = rounding(objective, theta, evaluation, 0, bias, m, centre)
    squared = max(float(g @ d + rest @ d), 0.0)
    return Point((1 + lost) * math.sqrt(squared) + hidden, m, hidden, d)


def _balance(
    problem: Penalised, evaluation: Evaluation, theta: Array, flat: Array, g: Array, kept: Array
) -> Array | None:
    """The subgradient bent so that it has no part along `flat` (D, f); None where none does."""
    free = _freedom(problem, evaluation, theta).reshape(-1, 2)[kept]
    bent = bend_into_range(flat, g, free)
    if bent is None or not _is_noise(problem, evaluation, flat @ (flat.T @ bent), kept):
        return None
    return bent


def _part_twins(size: int, firsts: NDArray[np.intp], others: NDArray[np.intp]) -> Array:
    """Perpendicular directions (size, c) that move twins apart: next to no logit moves along them.

    What one of them has the first can have as well, so that the others are left out of the rest.
    """
    out = np.zeros((size, len(others)))
    columns = np.arange(len(others))
    out[others, columns], out[firsts, columns] = 1.0, -1.0
    return np.asarray(np.linalg.qr(out)[0]) if len(others) else out


def _freedom(problem: Penalised, evaluation: Evaluation, theta: Array) -> Array:
    """The least and largest subgradient of each parameter, (n_outputs, p + 1, 2)."""
    gradient, kappa = problem.objective.by_output(evaluation.gradient), problem.kappa
    sign, zero = np.sign(theta), theta == 0
    low = gradient + kappa * np.where(zero, -1.0, sign)
    high = gradient + kappa * np.where(zero, 1.0, sign)
    return np.stack([low, high], axis=-1)


def common_shifts(problem: Penalised, H: Array, alive: NDArray[np.bool_]) -> Array:
    """Directions (D, c) in which a softmax's classes shift together and next to nothing curves.

    Those of the columns whose weights may all differ from 0. They are known to be flat, so that all
    rows are perpendicular to them and any curvature may be added along them.
    """
    n, width = alive.shape
    if not isinstance(problem.objective.loss, SoftmaxLoss):
        return np.zeros((alive.size, 0))
    curved = np.diag(H).reshape(n, width).mean(axis=0)
    whole = alive.all(axis=0) & (problem.objective.penalty <= FLAT_SHARE * curved)
    whole[-1] = False  # the biases have their own
    columns = np.flatnonzero(whole)
    out = np.zeros((n, width, len(columns)))
    out[:, columns, np.arange(len(columns))] = 1 / math.sqrt(n)
    return out.reshape(alive.size, len(columns))


def bend_into_range(flat: Array, g: Array, free: Array) -> Array | None:
    """A subgradient near `g` without a part along the `flat` directions (D, f), or None.

    Along a flat direction no logit moves, so the penalty alone decides, and at an optimum some
    choice of the slopes at 0 balances it. `free` (D, 2) says between which bounds each slope is.

    >>> flat = np.array([[1.0], [1.0], [-1.0]])
    >>> free = np.array([[-1.0, 1.0], [0.5, 0.5], [0.0, 0.0]])
    >>> bend_into_range(flat, np.array([0.0, 0.5, 0.0]), free).round(9).tolist()
    [-0.5, 0.5, 0.0]
    """
    loose = np.flatnonzero(free[:, 1] > free[:, 0])
    bent = g.copy()
    bent[loose] -= np.linalg.lstsq(flat[loose].T, flat.T @ g, rcond=None)[0]
    room = 1e-12 * (free[:, 1] - free[:, 0])
    inside = (bent >= free[:, 0] - room) & (bent <= free[:, 1] + room)
    return np.clip(bent, free[:, 0], free[:, 1]) if inside[loose].all() else None


def is_held(
    problem: Penalised,
    evaluation: Evaluation,
    theta: Array,
    flat: Array,
    bent: Array,
    kept: Array,
    point: Point,
) -> bool:
    """Whether the penalty holds theta along the `flat` directions (D, f), as good as to the digit.

    Columns alike but for 1e-9 of their size leave no curvature that a sum of squares shows, and
    rows still move along them, by `moved` at most for a length of 1. Their slopes are 0 at theta
    but for rounding; within rho they change like the residuals, and lower F by `hidden` at most.
    Where the slopes at 0 keep more room than that, no length pays. Else a move of more than twice
    what theta has in these columns costs more than it brings, and a shorter one brings too little
    to count (docs/mathematics.md).
    """
    objective, n = problem.objective, problem.objective.n_outputs
    whole = np.zeros((flat.shape[1], n, objective.width))
    whole.reshape(len(whole), -1)[:, kept] = flat.T
    if n > 1:  # what classes share moves no probability
        whole -= whole.mean(axis=1, keepdims=True)
    moved = objective.move_logits(whole.reshape(-1, objective.width))
    missed = float(evaluation.miss[0]) * objective.rows.n_rows * n * len(whole)
    grown = math.expm1(min(point.m * point.rho, 700.0))
    unknown = np.linalg.norm(slope_rounding(problem, evaluation)[kept] @ np.abs(flat))
    hidden = moved * math.sqrt(missed) * grown + float(np.linalg.norm(bent @ flat) + unknown)
    free = _freedom(problem, evaluation, theta).reshape(-1, 2)[kept]
    room = np.minimum(bent - free[:, 0], free[:, 1] - bent)
    if hidden <= _least_stretch(room[:, None] * flat):
        return True
    kappa = np.tile(problem.kappa, n)[kept]
    length = np.sqrt(np.square(flat).sum(axis=1))
    part = length > TAKES_PART * length.max()
    pull = kappa[:, None] * flat
    grip = _least_stretch(pull[part]) - float(np.abs(pull[~part]).sum())
    own = 2 * float((kappa * np.abs(theta.ravel()[kept]))[part].sum())
    least = UNSEEN * RELATIVE_GAP * problem.value(evaluation, theta)
    return hidden < grip and own * hidden <= grip * least


def _least_stretch(M: Array) -> float:
    """The least |M c| for a c of length 1."""
    if len(M) < M.shape[1]:
        return 0.0
    return float(np.linalg.svd(M, compute_uv=False).min())


def _is_noise(problem: Penalised, evaluation: Evaluation, rest: Array, kept: Array) -> bool:
    """Whether what a slope has outside the range of the Hessian is rounding and nothing else."""
    noise = FLAT * slope_rounding(problem, evaluation)
    return bool((np.abs(rest) <= noise[kept]).all())


def slope_rounding(problem: Penalised, evaluation: Evaluation) -> Array:
    """What float64 may leave wrong in each slope, in orders of magnitude, (D,)."""
    where = problem.objective.where
    span = np.append(np.abs(where.centre) / where.spread + where.reach, 1.0)
    scale = np.sqrt(evaluation.miss[0]) * span + problem.kappa
    return np.asarray(EPS * np.tile(scale, problem.objective.n_outputs))


def pin_biases(problem: Penalised, H: Array) -> Array:
    """Give a softmax's biases curvature along their common shift, which nothing depends on."""
    objective = problem.objective
    if not isinstance(objective.loss, SoftmaxLoss) or objective.where.frozen[-1]:
        return H
    biases = np.arange(objective.width - 1, len(H), objective.width)
    pinned = H.copy()
    pinned[np.ix_(biases, biases)] += H[biases, biases].mean() / len(biases)
    return pinned


def _longest_row(problem: Penalised, evaluation: Evaluation, inverse: Array, full: bool) -> float:
    """m: a row's leverage is at most 1, and rows lie in the columns' box."""
    objective = problem.objective
    with np.errstate(divide="ignore"):
        m = float(1 / np.sqrt(evaluation.least_curvature[0]))
    if not full:  # the pseudo-inverse says nothing of the directions it left out
        return m
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
