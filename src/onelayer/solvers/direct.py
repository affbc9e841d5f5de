"""Newton's method on a table that fits in cache: the same steps and proof, without the machinery.

On a thousand rows a step takes microseconds, and what the general solvers spend on blocks, tiles
and coordinates would take longer than the arithmetic. Here the standardised table is simply made,
with its column of ones. Whatever is not plain sailing (a step that does not lower the objective,
dependent or constant columns, values that are not finite) is left to the general solvers.
"""

import math
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from onelayer.blocks import Block
from onelayer.certificate import (
    SMALLEST_RHO,
    Certificate,
    bound_distance,
    bound_distance_after_step,
    bound_gap,
    bound_gap_after_step,
)
from onelayer.features.dense import DenseFeatures
from onelayer.loss import Loss, SigmoidLoss
from onelayer.network import margin_slopes, margin_terms
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.second_order import (
    EPS,
    MESSAGES,
    RELATIVE_GAP,
    Watch,
)
from onelayer.solvers.small_table import Problem as Problem
from onelayer.solvers.small_table import standardise as standardise
from onelayer.solvers.small_table import start_at as start_at
from onelayer.solvers.small_table import to_parameters as to_parameters
from onelayer.solvers.solution import Progress, Solution

Array = NDArray[Any]

MOST_VALUES = 1 << 20  # 8 MiB: the standardised copy is of that size, and so is its scratch
MOST_COLUMNS = 100  # beyond, the machinery is no longer what takes the time
MOST_STEPS = 30
FARTHEST = 4.0  # times the first Newton step: beyond, a discriminant says that rows are separated
USEFUL = 1e-2  # (lambda m)^2 below which a bound of m is good enough to go on by
NEAR = 1.0  # lambda^2 from which a bound of m is found
HARMFUL = 1e4  # where it is larger than this, as the allowance for rounding grows with it
BENT = 0.5  # of a step's length: more of a bend is no small correction
SURE = 1e-13  # relative
ENOUGH = 0.1  # of the distance asked for: the last step is not looked at
ILL = 1e-11  # a condition worse than this calls for the general solver's care


class Point(NamedTuple):
    """Value, Newton step and proof at one theta, (D,).

    Attributes
    ----------
    decrement, m: upper bounds; rounding, lost: what float64 may have added to them.
    margin, curvature, miss: (m,), the rows' own; the latter two times s. bias: sum of curvature.
    factor: of the Hessian. apart: how far sums of columns may err, in its norm.
    drift: where the Hessian is that of a point nearby, what a row's margin moved since, at most.
    """

    theta: Array
    value: float
    penalty: float
    direction: Array
    decrement: float
    m: float
    margin: Array
    curvature: Array
    miss: Array
    bias: float
    factor: Array
    rounding: float = 0.0
    lost: float = 0.0
    apart: float = 0.0
    drift: float = 0.0

    @property
    def rho(self) -> float:
        return bound_distance(self.decrement, self.m)

    @property
    def gap(self) -> float:
        return bound_gap(self.decrement, self.m)


@dataclass(frozen=True)
class End:
    """What is proved of the point that a Newton step leads to, without a look at it."""

    after: float
    rho: float
    gap: float
    value: float

    def holds(self, tol: float) -> bool:
        """Whether it is the end asked for."""
        return self.rho <= tol and self.gap <= RELATIVE_GAP * max(self.value - self.gap, 0.0)


def look_ahead(point: Point) -> End:
    """The distance and the excess after one more exact Newton step, at most."""
    rho = point.rho
    after = math.inf
    if point.m * rho < 1:
        after = bound_distance_after_step(rho, point.m, point.drift)
    after += point.lost * point.decrement
    reached = after + point.rounding
    gap = bound_gap_after_step(rho, reached, point.m)
    return End(after, reached, gap, point.value - 0.5 * point.decrement**2)


def suits(rows: MemoryRows, loss: Loss) -> bool:
    """Whether the rows are dense, few, in memory, and have one sigmoid output."""
    features = rows.block.features
    return (
        isinstance(rows.block, Block)
        and isinstance(features, DenseFeatures)
        and isinstance(loss, SigmoidLoss)
        and loss.n_outputs == 1
        and rows.n_columns <= MOST_COLUMNS
        and rows.n_rows * rows.n_columns <= MOST_VALUES
    )


def solve(
    rows: MemoryRows,
    C: float,
    fit_intercept: bool,
    tol: float,
    watch: Watch | None = None,
    start: tuple[Array, Array] | None = None,
) -> Solution | None:
    """Minimise to a proved end, or None where that needs the general solvers."""
    began = time.perf_counter()
    with np.errstate(all="ignore"):  # what goes wrong shows in the numbers, and ends it here
        problem = standardise(rows, C, fit_intercept, tol)
        point = None
        if problem is not None:
            point = measure(problem, start_at(problem, fit_intercept, start))
        history: list[Progress] = []
        while point is not None and problem is not None:
            history.append(_tell(problem, point, len(history)))
            if watch is not None:
                watch(history[-1])
            end = look_ahead(point)
            if end.holds(ENOUGH * tol):
                found = _finish(problem, point, end, fit_intercept, history, began)
                if watch is not None:
                    watch(found.history[-1])
                return found
            before, point = point, None
            if start is None and len(history) == 1:
                point = _discriminate(problem, before, fit_intercept)
            if point is None and len(history) < MOST_STEPS:
                point = step(problem, before)
    return None


def lowers(point: Point, after: Point | None) -> bool:
    """Whether a point is low enough to step to."""
    level = 1e-13 * abs(point.value)  # near the end the change drowns in rounding
    return after is not None and after.value <= point.value - 1e-4 * point.decrement**2 + level


def _discriminate(problem: Problem, point: Point, fit_intercept: bool) -> Point | None:
    """The point of Fisher's linear discriminant, from the base rate's; None where that is lower.

    At the base rate a Newton step is a regression on the labels, of which a share R^2 of the
    labels' variance is explained: lambda^2 of the weight. The discriminant, exact for classes that
    are normal with one covariance, is that step times 1 / (1 - R^2) (docs/mathematics.md, part 10).
    """
    explained = point.decrement**2 / problem.weight
    theta = stretch_step(point.theta, point.direction, explained, fit_intercept)
    after = measure(problem, theta)
    return after if lowers(point, after) else None


def stretch_step(theta: Array, direction: Array, explained: float, fit_intercept: bool) -> Array:
    """The discriminant (D,) from the base rate's Newton step, which explains a share R^2."""
    stretch = 1 / max(1 - explained, 1 / FARTHEST)
    leap = theta - stretch * direction
    if fit_intercept:  # halfway between the classes' means, the odds are those of the base rate
        rate = 1 / (1 + math.exp(-theta[-1]))
        leap[-1] = theta[-1] - stretch * (0.5 - rate) * explained / (rate * (1 - rate))
    return np.asarray(leap)


def step(problem: Problem, point: Point) -> Point | None:
    """The point after a step, bent or full or short; None where none lowers the objective.

    A step that is foretold to end the way costs no Hessian: that of the point still serves.

    The bend is what the third derivative T adds to a Newton step d: H v - T[v, v] / 2 = g is solved
    to second order by v = d + H^-1 T[d, d] / 2 (Chebyshev's method). It takes two products with the
    table, where a step takes a Hessian, and makes four steps out of six. Where neither it nor the
    full step goes down, the length log(1 + R) / R does, R the largest move of a logit.
    """
    if point.drift:  # its Hessian served for as long as it could
        return measure(problem, point.theta)
    d = point.direction
    moved = d @ problem.A
    R = float(np.maximum.reduce(np.abs(moved)))
    near = R**3 * point.decrement <= ENOUGH * problem.tol and point.rho < math.inf
    # The slope of a row's curvature by its logit is q (1 - 2 p).
    third = problem.sign * (2 * point.miss / problem.s - 1)
    third *= point.curvature
    third *= np.square(moved)
    bent = 0.5 * (problem.A @ third)
    bend, _ = lapack.dpotrs(point.factor, bent, lower=1)
    small = float(bent @ bend) <= BENT**2 * point.decrement**2
    for move in (d + bend, d) if small else (d,):
        after = follow(problem, point, point.theta - move) if near else None
        if after is None or not look_ahead(after).holds(ENOUGH * problem.tol):
            after = measure(problem, point.theta - move)
        if lowers(point, after):
            return after
    after = measure(problem, point.theta - math.log1p(R) / R * d)
    return after if after is not None and after.value < point.value else None


def measure(problem: Problem, theta: Array) -> Point | None:
    """Value, gradient, Hessian and its factor; None where the factor is not to be trusted."""
    A, s, ridge = problem.A, problem.s, problem.ridge
    margin = problem.sign * (theta @ A)
    loss, miss, curvature = margin_terms(margin)
    curvature *= s
    miss *= s
    slope, penalty = _find_slope(problem, theta, miss)
    half = np.multiply(A, np.sqrt(curvature), out=problem.scratch)
    H = half @ half.T
    H.ravel()[:: len(H) + 1] += ridge
    factor, direction, failed = lapack.dposv(H, slope, lower=1)
    squared = float(slope @ direction)
    if failed or not math.isfinite(squared):
        return None
    squared, bias = max(squared, 0.0), float(np.add.reduce(curvature))
    m = _bound_leverage(problem, curvature, factor, squared)
    value, decrement = float(loss @ s) + penalty, math.sqrt(squared)
    sums = margin, curvature, miss, bias
    point = Point(theta, value, penalty, direction, decrement, m, *sums, factor)
    if m * m * squared >= 1:  # too far for a proof, it is there to step from
        return point
    norm = float(lapack.dlange("1", H))
    condition, _ = lapack.dpocon(factor, norm, uplo="L")
    if not condition > ILL:
        return None
    # Each column's sum errs on its own: where columns nearly depend on each other, that may lie
    # along the least curvature there is, which is 1 / |H^-1| or more, as the condition has it.
    apart = 2 * problem.length / math.sqrt(condition * norm)
    lost = 8 * EPS * (bias + len(H) / condition)
    return _allow_rounding(problem, point._replace(apart=apart, lost=lost))


def _find_slope(problem: Problem, theta: Array, miss: Array) -> tuple[Array, float]:
    """The gradient, and the penalty."""
    slope = problem.ridge * theta
    penalty = 0.5 * float(slope @ theta)
    slope -= problem.A @ (problem.sign * miss)
    return slope, penalty


def follow(problem: Problem, point: Point, theta: Array) -> Point:
    """The point at theta by the Hessian of one nearby of which a distance is proved.

    No curvature has changed by more than e^R there, R the largest change of a row's margin
    (docs/mathematics.md, part 8).
    """
    margin = problem.sign * (theta @ problem.A)
    loss, miss = margin_slopes(margin)
    miss *= problem.s
    slope, penalty = _find_slope(problem, theta, miss)
    direction, _ = lapack.dpotrs(point.factor, slope, lower=1)
    R = float(np.maximum.reduce(np.abs(margin - point.margin)))
    stretch = math.exp(R / 2)
    decrement = stretch * math.sqrt(max(float(slope @ direction), 0.0))
    after = point._replace(
        theta=theta,
        value=float(loss @ problem.s) + penalty,
        penalty=penalty,
        direction=direction,
        decrement=decrement,
        m=stretch * point.m,
        margin=margin,
        miss=miss,
        bias=stretch**2 * point.bias,
        apart=stretch * point.apart,
        drift=R,
    )
    return _allow_rounding(problem, after)


def _allow_rounding(problem: Problem, point: Point) -> Point:
    """The point with what float64 may have hidden counted into its bounds."""
    logits = EPS * float(np.abs(point.theta) @ problem.reach)
    sums = (8 * point.m + point.apart) * math.sqrt(float(point.miss @ point.miss))
    rounding = 6 * math.sqrt(point.bias) * logits + EPS * (sums + math.sqrt(2 * point.penalty))
    decrement = (1 + point.lost) * point.decrement + rounding
    return point._replace(decrement=decrement, m=point.m * (1 + point.lost), rounding=rounding)


def _bound_leverage(problem: Problem, curvature: Array, factor: Array, squared: float) -> float:
    """m: a row's leverage is at most 1; or the largest one, computed, where a proof wants it."""
    least = float(np.minimum.reduce(curvature))
    m = 1 / math.sqrt(least) if least > 0 else math.inf
    wanted = squared <= (NEAR if m > HARMFUL else problem.tol**2)
    if m * m * squared < USEFUL or not wanted:
        return m
    turned, _ = lapack.dtrtrs(factor, problem.A, lower=1)
    return min(m, math.sqrt(float(np.maximum.reduce(np.einsum("ij,ij->j", turned, turned)))))


def _tell(problem: Problem, point: Point, iteration: int) -> Progress:
    cost = (point.value - point.penalty) / problem.weight
    return Progress(iteration, cost, point.value, point.rho, 1.0 if iteration else 0.0)


def _finish(
    problem: Problem,
    point: Point,
    end: End,
    fit_intercept: bool,
    history: list[Progress],
    began: float,
) -> Solution:
    """Take the free last step."""
    theta = point.theta - point.direction
    value, passes = end.value, len(history)
    penalty = 0.5 * float(problem.ridge @ np.square(theta))
    bend = point.m * point.decrement + point.drift
    if bend * point.decrement**2 > SURE * value:  # the parabola no longer tells it to the digit
        loss, _ = margin_slopes(problem.sign * (theta @ problem.A))
        value = float(loss @ problem.s) + penalty
        passes += 1
    W, b = to_parameters(problem, theta, fit_intercept)
    cost = max(value - penalty, 0.0) / problem.weight
    gap, rho = max(end.gap, 0.5 * SMALLEST_RHO**2), max(end.rho, SMALLEST_RHO)
    last = Progress(len(history), cost, value, rho, 1.0)
    return Solution(
        W=W,
        b=b,
        objective=value,
        cost=cost,
        certificate=Certificate(gap, rho, "factored", point.rounding),
        status="optimal",
        message=MESSAGES["optimal"],
        passes=passes,
        seconds=time.perf_counter() - began,
        iterations=len(history),
        solver="newton",
        history=(*history, last),
    )
