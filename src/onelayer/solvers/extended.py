"""Newton's method in longer numbers on a small table: what float64 has left open.

Columns alike but for 1e-12 of their size, weights twelve powers of ten apart, a column that lies
1e9 spreads from 0: what tells such rows apart is lost when their squares are summed in float64.
Here rows, times the roots of their curvatures, are turned into a triangle by reflections
(Householder), so that a condition counts once and not squared, and in NumPy's long double, of 64
bits where the processor has them. An operation takes a hundred times as long: so this comes last,
and only where rows are few. The end is measured at the parameters as float64 holds them.
"""

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.certificate import (
    SMALLEST_RHO,
    Certificate,
    bound_distance,
    bound_gap,
    combine,
    no_certificate,
)
from onelayer.loss import Loss, SigmoidLoss, Terms
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.line_search import search_lengths
from onelayer.solvers.reflections import EPS, Long, find_independent, invert, triangle
from onelayer.solvers.second_order import MESSAGES, RELATIVE_GAP
from onelayer.solvers.solution import Progress, Solution

Array = NDArray[Any]

MOST_PRODUCTS = 1e7  # of two numbers, in one step: a tenth of a second
MOST_STEPS = 40
SHARPER = 1e-2  # of the end asked for, so that rounding the parameters is all that is left
BIAS_STEPS = 3


@dataclass(frozen=True)
class Problem:
    """One group of outputs: the standardised rows and what belongs to each.

    Attributes
    ----------
    A: (D, n) long, (x - centre) / spread, and 1 where there is a bias; columns that move no logit
        are left out, and without a penalty those that are sums of others. kept: (n_x,) the rest.
    labels: as the loss has them, (1, n). s: (n,). ridge: (D,), the penalty's curvature.
    centre, spread: (kept,). far: (D,), how far a column's own values lie from 0, in spreads.
    """

    loss: Loss
    A: Array
    labels: Array
    s: Array
    ridge: Array
    centre: Array
    spread: Array
    far: Array
    kept: NDArray[np.bool_]
    fit_bias: bool

    @property
    def outputs(self) -> int:
        return self.loss.n_outputs


@dataclass(frozen=True)
class Point:
    """F at theta, (outputs, D), the Newton step to subtract, and what is proved.

    `excess`: what is proved of F there by other means.
    """

    theta: Array
    logits: Array
    value: Any
    loss: float
    miss: float
    gradient: Array
    direction: Array
    decrement: float
    m: float
    rounding: float
    margin: float
    excess: float = math.inf

    @property
    def rho(self) -> float:
        return bound_distance(self.decrement, self.m)

    @property
    def gap(self) -> float:
        return min(bound_gap(self.decrement, self.m), self.excess)

    def holds(self, tol: float, share: float = 1.0) -> bool:
        """Whether this is the end asked for, or as much nearer as `share` says."""
        low = self.gap <= share * RELATIVE_GAP * max(self.value - self.gap, 0.0)
        return bool(self.rho <= share * tol and low)


def suits(rows: MemoryRows, loss: Loss) -> bool:
    """Whether the rows are in memory, and so few that a step takes no time to speak of."""
    k = loss.n_outputs // loss.groups
    D = k * (rows.n_columns + 1)
    return isinstance(rows.block, Block) and (rows.n_rows * k + D) * D**2 <= MOST_PRODUCTS


def solve(
    rows: MemoryRows,
    loss: Loss,
    C: float,
    fit_bias: bool,
    tol: float,
    start: tuple[Array, Array],
) -> Solution | None:
    """Minimise from `start`, W and b, to the end that long numbers can prove; None where a group's
    columns depend on each other even in these, or no optimum is in sight.
    """
    began = time.perf_counter()
    own = tol / math.sqrt(loss.groups)
    ends, W, b = [], np.zeros_like(start[0]), np.zeros_like(start[1])
    with np.errstate(all="ignore"):  # what goes wrong shows in the numbers, and ends it here
        problems = make_problems(rows, loss, C, fit_bias)
        if not len(problems[0].A):
            return None
        for group, problem in enumerate(problems):
            outputs = slice(group, group + 1) if loss.groups > 1 else slice(None)
            theta = from_parameters(problem, start[0][outputs], start[1][outputs])
            point, steps = descend(problem, theta, own)
            if point is None:
                return None
            W[outputs], b[outputs] = to_parameters(problem, point.theta)
            end = measure(problem, from_parameters(problem, W[outputs], b[outputs]))
            if end is None:
                return None
            ends.append((replace(end, excess=bound_excess(problem, point, end)), steps))
    seconds = time.perf_counter() - began
    found = _conclude(rows, ends, own, W, b, seconds)
    return replace(found, may_depend=not (problem.kept.all() or np.isfinite(C)))


def make_problems(rows: MemoryRows, loss: Loss, C: float, fit_bias: bool) -> list[Problem]:
    """The rows with a weight in standardised long numbers; one problem a group of outputs."""
    block = rows.block
    held = np.asarray(block.weights) > 0
    # Products with 1 and 0 are exact, whatever the layout.
    X = block.features.linear(np.eye(rows.n_columns))[:, held].astype(Long)
    s = np.asarray(block.weights)[held].astype(Long)
    level = X.min(axis=1) == X.max(axis=1)
    kept = ~level if fit_bias else (X != 0).any(axis=1)
    X = X[kept]
    centre = (X @ s / s.sum()).astype(np.float64) if fit_bias else np.zeros(len(X))
    A = X - centre[:, None]
    reach = np.abs(A).max(axis=1)[:, None]
    spread = reach[:, 0] * np.sqrt(np.square(A / reach) @ s / s.sum())
    A /= spread[:, None]
    ridge = 1 / (Long(C) * np.square(spread)) if np.isfinite(C) else np.zeros(len(X), Long)
    far = (np.abs(X).max(axis=1) + np.abs(centre)) / spread
    if not ridge.any():
        own = find_independent(A * np.sqrt(s), float(far.max(initial=1.0)))
        kept[kept] = own
        A, ridge, far, centre, spread = A[own], ridge[own], far[own], centre[own], spread[own]
    if fit_bias:
        A = np.vstack([A, np.ones(len(s), Long)])
        ridge, far = np.append(ridge, Long(0)), np.append(far, 1)
    labels = np.asarray(block.labels)[:, held]
    several = loss.groups > 1
    return [
        Problem(
            SigmoidLoss(1) if several else loss,
            *(A, own[None], s, ridge, centre.astype(Long), spread, far, kept, fit_bias),
        )
        for own in labels
    ]


def from_parameters(problem: Problem, W: Array, b: Array) -> Array:
    """W (outputs, n_x) and b (outputs, 1) as theta; what moves no logit is left out."""
    own = W.astype(Long)[:, problem.kept]
    theta = own * problem.spread
    if problem.fit_bias:
        theta = np.column_stack([theta, b.astype(Long)[:, 0] + own @ problem.centre])
    return theta


def to_parameters(problem: Problem, theta: Array) -> tuple[Array, Array]:
    """The nearest W and b that float64 holds; the bias is the best one for W as it is held."""
    own = (theta[:, : len(problem.spread)] / problem.spread).astype(np.float64)
    W = np.zeros((len(theta), len(problem.kept)))
    W[:, problem.kept] = own
    if not problem.fit_bias:
        return W, np.zeros((len(theta), 1))
    theta = settle_biases(problem, np.column_stack([own * problem.spread, theta[:, -1]]))
    b = theta[:, -1] - own.astype(Long) @ problem.centre
    return W, b.astype(np.float64)[:, None]


def descend(problem: Problem, theta: Array, tol: float) -> tuple[Point | None, int]:
    """Newton steps to the end, or as far as they lead; None where nothing is proved there."""
    point = measure(problem, theta)
    for steps in range(MOST_STEPS):
        if point is None or (point.margin > 0 and not problem.ridge.any()):
            return None, steps
        if point.holds(tol, SHARPER) or point.decrement < 2 * point.rounding:
            break
        after = step(problem, point)
        if after is None or after.rho >= point.rho < math.inf:
            break
        point = after
    return point, steps


def step(problem: Problem, point: Point) -> Point | None:
    """The point after a step along which F falls; None if it does not."""
    d, moved = point.direction, point.direction @ problem.A
    ridge = problem.ridge

    def along(length: Array) -> tuple[Array, Array]:
        theta = point.theta - length[0] * d
        terms = problem.loss.terms(point.logits - length[0] * moved, problem.labels)
        value = (terms.loss @ problem.s).sum() + 0.5 * (ridge * np.square(theta)).sum()
        slope = -(terms.residual * problem.s * moved).sum() - (ridge * theta * d).sum()
        return np.array([value]), np.array([slope])

    slope = -(point.gradient * d).sum()
    moving = np.array([True])
    length, _ = search_lengths(along, np.array([point.value]), np.array([slope]), moving)
    return None if length is None else measure(problem, point.theta - length[0] * d)


def measure(problem: Problem, theta: Array) -> Point | None:
    """Value, Newton step and proof at theta; None where the Hessian is singular in long numbers."""
    A, s, k, D = problem.A, problem.s, *theta.shape
    logits = theta @ A
    terms = problem.loss.terms(logits, problem.labels)
    residual = terms.residual * s
    gradient = residual @ A.T + problem.ridge * theta
    loss = float((terms.loss @ s).sum())
    value = (terms.loss @ s).sum() + 0.5 * (problem.ridge * np.square(theta)).sum()
    common = theta.mean(axis=0) if k > 1 else np.zeros(D, Long)
    slope = gradient - problem.ridge * common  # what classes share is known, and apart from it
    root = triangle(_roots(problem, terms))
    if root is None or not np.isfinite(value):
        return None
    inverse = invert(root)
    turned = inverse.T @ slope.ravel()
    squared = float(turned @ turned) + k * float((problem.ridge * np.square(common)).sum())
    direction = (inverse @ turned).reshape(k, D) + common
    span = np.sqrt(np.square(residual).sum(axis=1))[:, None] * np.abs(A).max(axis=1)
    hidden = 8 * EPS * np.linalg.norm(np.abs(inverse.T) @ span.ravel().astype(np.float64))
    bias = float((terms.curvature @ s).sum())
    rounding = float(hidden) + 6 * math.sqrt(bias) * _logit_rounding(problem, theta)
    condition = float(np.linalg.norm(inverse.astype(float)) * np.linalg.norm(root.astype(float)))
    lost = 8 * EPS * k * D * condition
    decrement = (1 + lost) * math.sqrt(squared) + rounding
    m = (1 + lost) * _largest_leverage(problem, inverse.reshape(k, D, -1))
    m = m if lost < 1 else math.inf
    margin, miss = float(terms.margin.min()), float(np.abs(residual).sum())
    return Point(
        *(theta, logits, value, loss, miss, gradient, direction),
        *(decrement, m, rounding, margin),
    )


def _logit_rounding(problem: Problem, theta: Array) -> float:
    """How far a logit may be off."""
    return EPS * float((np.abs(theta) @ problem.far).max())


def _roots(problem: Problem, terms: Terms) -> Array:
    """B with B'B the Hessian, (rows, outputs D).

    A softmax's row curves by diag p - p p' = b b', b = diag(root p) - p (root p)', whose diagonal
    is root p (1 - p). Along what the classes share there is curvature that is not F's.
    """
    A, s, k = problem.A, np.sqrt(problem.s), problem.outputs
    ridge = np.sqrt(np.tile(problem.ridge, k))
    held = ridge > 0
    if terms.probability is None:
        rows = [(np.sqrt(terms.curvature[0]) * s * A).T]
    else:
        p, rows = np.sqrt(terms.probability), []
        for c in range(k):
            b = -terms.probability * p[c]
            b[c] = terms.curvature[c] / np.maximum(p[c], np.finfo(Long).tiny)
            rows.append((b[:, None] * (s * A)).reshape(k * len(A), -1).T)
        level = np.sqrt(problem.s.sum()) / k
        rows.append(np.tile(level * np.eye(len(A), dtype=Long), k))
    return np.vstack([*rows, np.diag(ridge)[held]])


def _largest_leverage(problem: Problem, inverse: Array) -> float:
    """m: the largest sqrt(a'H^-1 a) of a row, or of a row in the difference of two classes."""
    lengths = [np.einsum("dr,dn->rn", block, problem.A) for block in inverse]
    pairs = [(k, j) for k in range(len(lengths)) for j in range(k)]
    turned = [lengths[k] - lengths[j] for k, j in pairs] or lengths
    return math.sqrt(max(float(np.square(each).sum(axis=0).max()) for each in turned))


def bound_excess(problem: Problem, point: Point, end: Point) -> float:
    """The excess at `end` at most, by what is proved of a point nearby that is no float64's."""
    # A logit that is off by so much moves the loss by its slope.
    moved = sum(_logit_rounding(problem, each.theta) * each.miss for each in (point, end))
    rounding = 8 * EPS * (point.value + end.value) + 2 * moved
    least = min(point.gap, bound_by_duality(problem, point))
    return float(end.value - point.value + rounding + least)


def bound_by_duality(problem: Problem, point: Point) -> float:
    """The excess at most, by the residuals at the best bias, as in `duality.py`; inf without one.

    No m is asked for, which rows far on their right side make large: only a penalty.
    """
    A, s, ridge = problem.A, problem.s, problem.ridge
    own = slice(0, len(problem.spread))
    if not (ridge[own] > 0).all():
        return math.inf
    theta = settle_biases(problem, point.theta)
    terms = problem.loss.terms(theta @ A, problem.labels)
    loss, residual = float((terms.loss @ s).sum()), terms.residual * s
    slopes, v = (residual @ A.T)[:, own], theta[:, own]
    tau = 0.0
    if problem.fit_bias:
        sums, classes = residual.sum(axis=1), np.arange(max(2, problem.outputs))
        over = np.maximum(np.append(-sums, sums) if len(sums) == 1 else sums, 0)
        tau = float((over / ((problem.labels == classes[:, None]) @ s)).max())
    noise = 8 * EPS * np.sqrt(np.square(residual).sum()) * np.abs(A[own]).max(axis=1)
    off = noise + tau * (np.abs(A[own]) @ s)
    left = np.square(ridge[own] * v + (1 - tau) * slopes) + off * (2 * np.abs(slopes) + off)
    fall = point.value - (loss + 0.5 * float((ridge * np.square(theta)).sum()))
    return max(float(fall), 0.0) + tau * loss + float((left / (2 * ridge[own])).sum())


def settle_biases(problem: Problem, theta: Array) -> Array:
    """The same weights with the biases that suit them best."""
    if not problem.fit_bias:
        return theta
    theta = theta.copy()
    for _ in range(BIAS_STEPS):
        terms = problem.loss.terms(theta @ problem.A, problem.labels)
        slope, curvature = terms.residual @ problem.s, terms.curvature @ problem.s
        if terms.probability is None:
            theta[:, -1] -= slope / curvature
            continue
        H = -(terms.probability * problem.s) @ terms.probability.T
        np.fill_diagonal(H, curvature)
        H += curvature.max() / len(H)  # along what classes share
        step, _, _, _ = np.linalg.lstsq(H.astype(np.float64), slope.astype(np.float64))
        theta[:, -1] -= step
    return theta


def _conclude(
    rows: MemoryRows, ends: list[tuple[Point, int]], tol: float, W: Array, b: Array, seconds: float
) -> Solution:
    points = [point for point, _ in ends]
    certificate = combine([_certify(point) for point in points])
    status = "optimal" if all(point.holds(tol) for point in points) else "rounding"
    if not certificate.proved:
        status = "stalled"
    value = float(sum(point.value for point in points))
    cost = sum(point.loss for point in points) / float(np.sum(rows.block.weights))
    steps = max(count for _, count in ends)
    return Solution(
        W=W,
        b=b,
        objective=value,
        cost=cost,
        certificate=certificate,
        status=status,
        message=MESSAGES[status],
        passes=sum(count + 2 for _, count in ends),
        seconds=seconds,
        iterations=steps,
        solver="newton",
        # The start, which `Solution.then` leaves out, and the end.
        history=tuple(Progress(i, cost, value, certificate.rho, 1.0) for i in (0, steps)),
    )


def _certify(point: Point) -> Certificate:
    gap = max(point.gap, 0.5 * SMALLEST_RHO**2)
    if not math.isfinite(gap):
        return no_certificate("the optimum is still too far for a bound")
    if not math.isfinite(point.rho):
        return Certificate(gap, math.inf, "duality", point.rounding, _NO_RHO)
    return Certificate(gap, max(point.rho, SMALLEST_RHO), "factored", point.rounding)


_NO_RHO = (
    "rows far on the right side of the boundary leave next to no curvature, in which float64 "
    "cannot tell a standard error"
)
