"""Newton's method on a table that fits in cache: the same steps and proof, without the machinery.

On a thousand rows a step takes microseconds, and what the general solvers spend on blocks, tiles
and coordinates would take longer than the arithmetic. Here the standardised table is simply made,
with its column of ones. Whatever is not plain sailing (a step that does not lower the objective,
dependent or constant columns, values that are not finite) is left to the general solvers.
"""

import math
import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from onelayer.blocks import Block
from onelayer.certificate import SMALLEST_RHO, Certificate
from onelayer.features.dense import DenseFeatures
from onelayer.loss import Loss, SigmoidLoss
from onelayer.network import turned_terms
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.second_order import MESSAGES, Watch
from onelayer.solvers.small_point import End, curve_on
from onelayer.solvers.small_point import Point as Point
from onelayer.solvers.small_point import follow as follow
from onelayer.solvers.small_point import look_ahead as look_ahead
from onelayer.solvers.small_point import measure as measure
from onelayer.solvers.small_table import Problem as Problem
from onelayer.solvers.small_table import standardise as standardise
from onelayer.solvers.small_table import start_at as start_at
from onelayer.solvers.small_table import to_parameters as to_parameters
from onelayer.solvers.solution import Progress, Solution

Array = NDArray[Any]

MOST_VALUES = 1 << 20  # 8 MiB: the standardised copy is of that size, and so is its scratch
MOST_COLUMNS = 400  # beyond, a Hessian a step takes longer than products with the rows
FEW_COLUMNS = 100  # beyond, with fewer rows than that, those are the smaller problem
MOST_STEPS = 30
FARTHEST = 4.0  # times the first Newton step: beyond, a discriminant says that rows are separated
BENT = 0.5  # of a step's length: more of a bend is no small correction
SURE = 1e-13  # relative
ENOUGH = 0.1  # of the distance asked for: the last step is not looked at


def suits(rows: MemoryRows, loss: Loss) -> bool:
    """Whether the rows are dense, few, in memory, and have one sigmoid output."""
    features = rows.block.features
    return (
        is_small(rows)
        and rows.n_columns <= max(FEW_COLUMNS, rows.n_rows)
        and isinstance(features, DenseFeatures)
        and isinstance(loss, SigmoidLoss)
        and loss.n_outputs == 1
    )


def is_small(rows: MemoryRows) -> bool:
    """Whether the rows, written out, are in memory, few and narrow."""
    return (
        isinstance(rows.block, Block)
        and 0 < rows.n_columns <= MOST_COLUMNS
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
        if problem is None:
            return None
        history: list[Progress] = []

        def tell(value: float, penalty: float, rho: float) -> None:
            cost, length = (value - penalty) / problem.weight, 1.0 if history else 0.0
            history.append(Progress(len(history), cost, value, rho, length))
            if watch is not None:
                watch(history[-1])

        theta = start_at(problem, fit_intercept, start)
        base = _begin(problem, theta) if start is None else None
        point = None if base is None else _discriminate(problem, base, fit_intercept)
        if base is None or point is None:
            point = measure(problem, theta)
        else:
            tell(base.value, 0.0, math.inf)
        while point is not None:
            tell(point.value, point.penalty, point.rho)
            end = look_ahead(point)
            if end.holds(ENOUGH * tol):
                found = _finish(problem, point, end, fit_intercept, history, began)
                if watch is not None:
                    watch(found.history[-1])
                return found
            point = step(problem, point) if len(history) < MOST_STEPS else None
    return None


class Base(NamedTuple):
    """The base rate's value and Newton step, as a `Point` has them; its rows have two logits."""

    theta: Array
    value: float
    direction: Array
    decrement: float


def _begin(problem: Problem, theta: Array) -> Base | None:
    """The point of no weights: a row's curvature is the same for all, and needs no exponential."""
    A, s, bias = problem.A, problem.s, float(theta[-1])  # 0 where there is none
    rate = 1 / (1 + math.exp(-bias))
    half = A if problem.common else np.multiply(A, np.sqrt(s), out=problem.scratch)
    H = half.dot(half.T)
    H *= rate * (1 - rate) * (problem.common or 1.0)
    H.ravel()[:: len(H) + 1] += problem.ridge
    slope = A.dot(s * (rate - 0.5 - 0.5 * problem.sign))
    _, direction, failed = lapack.dposv(H, slope, lower=1)
    squared = blas.ddot(slope, direction)
    if failed or not math.isfinite(squared):
        return None
    share = 0.5 + 0.5 * blas.ddot(s, problem.sign) / problem.weight
    loss = share * math.log1p(math.exp(-bias)) + (1 - share) * math.log1p(math.exp(bias))
    return Base(theta, problem.weight * loss, direction, math.sqrt(max(squared, 0.0)))


def lowers(point: Point | Base, after: Point | None) -> bool:
    """Whether a point is low enough to step to."""
    level = 1e-13 * abs(point.value)  # near the end the change drowns in rounding
    return after is not None and after.value <= point.value - 1e-4 * point.decrement**2 + level


def _discriminate(problem: Problem, base: Base, fit_intercept: bool) -> Point | None:
    """The point of Fisher's linear discriminant, from the base rate's; None where that is lower.

    At the base rate a Newton step is a regression on the labels, of which a share R^2 of the
    labels' variance is explained: lambda^2 of the weight. The discriminant, exact for classes that
    are normal with one covariance, is that step times 1 / (1 - R^2) (docs/mathematics.md, part 10).
    """
    explained = base.decrement**2 / problem.weight
    theta = stretch_step(base.theta, base.direction, explained, fit_intercept)
    after = measure(problem, theta)
    return after if lowers(base, after) else None


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

    A step that is foretold to end the way costs no Hessian: that of the point still serves. Where
    neither the bent step nor the full one goes down, the length log(1 + R) / R does, R the largest
    move of a logit.
    """
    if point.drift:  # its Hessian served for as long as it could
        return measure(problem, point.theta)
    d, R = point.direction, point.farthest
    near = R**3 * point.decrement <= ENOUGH * problem.tol and point.rho < math.inf
    for move in find_moves(problem, point):
        after = follow(problem, point, point.theta - move) if near else None
        if after is None or not look_ahead(after).holds(ENOUGH * problem.tol):
            after = measure(problem, point.theta - move)
        if lowers(point, after):
            return after
    after = measure(problem, point.theta - math.log1p(R) / R * d)
    return after if after is not None and after.value < point.value else None


def find_moves(problem: Problem, point: Point) -> tuple[Array, ...]:
    """The Newton step, to be taken off theta; before it the bent one, unless that is far from it.

    The bend is what the third derivative T adds to a Newton step d: H v - T[v, v] / 2 = g is solved
    to second order by v = d + H^-1 T[d, d] / 2 (Chebyshev's method). It takes two products with the
    table, where a step takes a Hessian, and makes four steps out of six.
    """
    third = curve_on(problem, point)
    third *= np.square(point.moved)
    bent = 0.5 * problem.A.dot(third)
    bend, _ = lapack.dpotrs(point.factor, bent, lower=1)
    small = blas.ddot(bent, bend) <= BENT**2 * point.decrement**2
    d = point.direction
    return (d + bend, d) if small else (d,)


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
    penalty = 0.5 * blas.ddot(problem.ridge, np.square(theta))
    value, told = _foretell(problem, point, end)
    if not told:
        turned = problem.sign * (-theta).dot(problem.A)
        value = blas.ddot(turned_terms(turned)[0], problem.s) + penalty
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
        passes=len(history) + (not told),
        seconds=time.perf_counter() - began,
        iterations=len(history),
        solver="newton",
        history=(*history, last),
    )


def _foretell(problem: Problem, point: Point, end: End) -> tuple[float, bool]:
    """The objective after the last step, by three derivatives, and whether to the digit.

    The fourth is at most R^2 lambda^2, R the largest move of a logit.
    """
    squared, R = point.decrement**2, point.farthest
    if point.drift:  # its curvatures are those of a point nearby
        return end.value, (R + point.drift) * squared <= SURE * end.value
    third = blas.ddot(curve_on(problem, point), point.moved * np.square(point.moved))
    value = end.value - third / 6
    return value, R**2 * squared <= SURE * value
