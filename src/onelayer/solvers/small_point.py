"""A point on the way over a small table: its value, its Newton step, and what is proved of it."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from onelayer.certificate import (
    bound_distance,
    bound_distance_after_step,
    bound_gap,
    bound_gap_after_step,
)
from onelayer.network import turned_terms
from onelayer.solvers.second_order import EPS, RELATIVE_GAP
from onelayer.solvers.small_table import Problem

Array = NDArray[Any]

USEFUL = 1e-2  # (lambda m)^2 below which a bound of m is good enough to go on by
NEAR = 1.0  # lambda^2 from which a bound of m is found
HARMFUL = 1e4  # where it is larger than this, as the allowance for rounding grows with it
ILL = 1e-11  # a condition worse than this calls for the general solver's care


class Point(NamedTuple):
    """Value, Newton step and proof at one theta, (D,).

    Attributes
    ----------
    decrement, m: upper bounds; rounding, lost: what float64 may have added to them.
    rho: the proved distance from the optimum, in standard errors; inf where there is none.
    moved: (m,), what the step takes off the rows' logits; farthest: the largest size of those.
    turned, curvature, miss: (m,), the rows' own: the margin with its sign turned, and times s its
        curvature and miss. bias: sum of curvature.
    factor: of the Hessian. apart: how far sums of columns may err, in its norm.
    drift: where the Hessian is that of a point nearby, what a row's margin moved since, at most.
    """

    theta: Array
    value: float
    penalty: float
    direction: Array
    decrement: float
    m: float
    rho: float
    moved: Array
    farthest: float
    turned: Array
    curvature: Array
    miss: Array
    bias: float
    factor: Array
    rounding: float = 0.0
    lost: float = 0.0
    apart: float = 0.0
    drift: float = 0.0

    @property
    def gap(self) -> float:
        return bound_gap(self.decrement, self.m)


class End(NamedTuple):
    """What is proved of the point that a Newton step leads to, without a look at it."""

    after: float
    rho: float
    gap: float
    value: float

    def holds(self, tol: float) -> bool:
        """Whether it is the end asked for."""
        return self.rho <= tol and self.gap <= RELATIVE_GAP * max(self.value - self.gap, 0.0)


NO_END = End(math.inf, math.inf, math.inf, math.inf)


def look_ahead(point: Point) -> End:
    """The distance and the excess after one more exact Newton step, at most."""
    rho, m = point.rho, point.m
    if not m * rho < 1:
        return NO_END
    hidden = point.lost * point.decrement
    moved = point.farthest + m * hidden
    after = bound_distance_after_step(rho, m, point.drift, moved) + hidden
    reached = after + point.rounding
    gap = bound_gap_after_step(rho, reached, m)
    return End(after, reached, gap, point.value - 0.5 * point.decrement**2)


def measure(problem: Problem, theta: Array) -> Point | None:
    """Value, gradient, Hessian and its factor; None where the factor is not to be trusted."""
    A, s = problem.A, problem.s
    turned = problem.sign * (-theta).dot(A)
    loss, miss, curvature = turned_terms(turned)
    if problem.common != 1:
        curvature *= s
        miss *= s
    slope, penalty = _find_slope(problem, theta, miss)
    half = np.multiply(A, np.sqrt(curvature), out=problem.scratch)
    H = half.dot(half.T)
    H.ravel()[:: len(H) + 1] += problem.ridge
    factor, direction, failed = lapack.dposv(H, slope, lower=1)
    squared = blas.ddot(slope, direction)
    if failed or not math.isfinite(squared):
        return None
    squared, bias = max(squared, 0.0), blas.dasum(curvature)
    m = _bound_leverage(problem, curvature, factor, squared)
    value, decrement = blas.ddot(loss, s) + penalty, math.sqrt(squared)
    moved, farthest = _move(problem, direction)
    sums = moved, farthest, turned, curvature, miss, bias
    point = Point(theta, value, penalty, direction, decrement, m, math.inf, *sums, factor)
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
    return _allow_rounding(problem, point, lost, apart)


def _find_slope(problem: Problem, theta: Array, miss: Array) -> tuple[Array, float]:
    """The gradient, and the penalty."""
    slope = problem.ridge * theta
    penalty = 0.5 * blas.ddot(slope, theta)
    slope -= problem.A.dot(problem.sign * miss)
    return slope, penalty


def _move(problem: Problem, direction: Array) -> tuple[Array, float]:
    """What a step takes off the rows' logits, and the largest size of it."""
    moved = direction.dot(problem.A)
    return moved, abs(float(moved[blas.idamax(moved)]))


def follow(problem: Problem, point: Point, theta: Array) -> Point:
    """The point at theta by the Hessian of one nearby of which a distance is proved.

    No curvature has changed by more than e^R there, R the largest change of a row's margin
    (docs/mathematics.md, part 8).
    """
    turned = problem.sign * (-theta).dot(problem.A)
    loss, miss, _ = turned_terms(turned)
    if problem.common != 1:
        miss *= problem.s
    slope, penalty = _find_slope(problem, theta, miss)
    direction, _ = lapack.dpotrs(point.factor, slope, lower=1)
    moved, farthest = _move(problem, direction)
    R = float(np.maximum.reduce(np.abs(turned - point.turned)))
    stretch = math.exp(R / 2)
    after = point._replace(
        theta=theta,
        value=blas.ddot(loss, problem.s) + penalty,
        penalty=penalty,
        direction=direction,
        decrement=stretch * math.sqrt(max(blas.ddot(slope, direction), 0.0)),
        m=stretch * point.m,
        moved=moved,
        farthest=farthest,
        turned=turned,
        miss=miss,
        bias=stretch**2 * point.bias,
        drift=R,
    )
    return _allow_rounding(problem, after, point.lost, stretch * point.apart)


def _allow_rounding(problem: Problem, point: Point, lost: float, apart: float) -> Point:
    """The point with what float64 may have hidden counted into its bounds."""
    logits = EPS * blas.ddot(np.abs(point.theta), problem.reach)
    sums = (8 * point.m + apart) * blas.dnrm2(point.miss)
    rounding = 6 * math.sqrt(point.bias) * logits + EPS * (sums + math.sqrt(2 * point.penalty))
    decrement, m = (1 + lost) * point.decrement + rounding, (1 + lost) * point.m
    rho = bound_distance(decrement, m)
    return point._replace(
        decrement=decrement, m=m, rho=rho, rounding=rounding, lost=lost, apart=apart
    )


def _bound_leverage(problem: Problem, curvature: Array, factor: Array, squared: float) -> float:
    """m: a row's leverage is at most 1; or the largest one, computed, where a proof wants it."""
    least = float(curvature[curvature.argmin()])
    m = 1 / math.sqrt(least) if least > 0 else math.inf
    wanted = squared <= (NEAR if m > HARMFUL else problem.tol**2)
    if m * m * squared < USEFUL or not wanted:
        return m
    turned, _ = lapack.dtrtrs(factor, problem.A, lower=1)
    return min(m, math.sqrt(float(np.maximum.reduce(np.einsum("ij,ij->j", turned, turned)))))


def curve_on(problem: Problem, point: Point) -> Array:
    """The rows' third derivatives by the logit, times s: the slope of q is q (1 - 2 p)."""
    third = 2 * point.miss
    if problem.common != 1:
        third /= problem.s
    third -= 1
    third *= problem.sign
    third *= point.curvature
    return np.asarray(third)
