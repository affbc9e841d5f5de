"""Newton's method with the Hessian of a sample: for tables with many more rows than parameters.

A pass that sums a Hessian costs several that sum a gradient. So start and Hessian come from a
sample (`sample.py`), and all rows are read for the objective and its gradient alone; each pass
also corrects the sample's Hessian by what it has shown of the true one (L-BFGS; Nocedal and
Wright, Numerical Optimization, 2006, algorithm 7.4).

The proof needs no Hessian of all rows either. Left at their own weights, the rows of the sample
are some of the rows, so their Hessian is at most the whole one, and g'H_S^-1 g is at least
g'H^-1 g. Where the steps do not shrink as they should, Newton's method goes on from here.

Of float32 rows only the last pass or two must be float64's: before, the step that is left over is
far longer than what products of float32 hide of it (`rough.py`).
"""

import math
import time
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.certificate import (
    SMALLEST_RHO,
    Certificate,
    bound_distance,
    bound_gap,
    combine,
    no_certificate,
)
from onelayer.coordinates import Coordinates, measure_columns, shift_rows
from onelayer.loss import Loss
from onelayer.objective import Evaluation, Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import newton
from onelayer.solvers.factor import Factor, factor
from onelayer.solvers.line_search import ROUNDING, search
from onelayer.solvers.newton import add_gauge
from onelayer.solvers.rough import look_at
from onelayer.solvers.sample import count_drawn, draw_sample
from onelayer.solvers.sampled_problem import Problem, make_problem, measure_sampled
from onelayer.solvers.sampled_start import ROWS_PER_PARAMETER, start_from_sample
from onelayer.solvers.second_order import MESSAGES, RELATIVE_GAP, Point, Watch, to_solution
from onelayer.solvers.solution import Progress, Solution

Array = NDArray[Any]

KIND = "sampled"
LEAST_COLUMNS = 16  # with fewer, a Hessian costs hardly more than a gradient
MOST_PARAMETERS = 1000  # that hang together: more take longer to factor than to step without
LEAST_VALUES = 1 << 18  # smaller tables stay in cache
MOST_STEPS = 40
SLOW = 0.7  # a step that shrinks the decrement by less,
PATIENCE = 2  # so many times, is a reason to give way to the whole Hessian
FAR = 0.02  # a step that moves logits by so much (root mean square) changes their curvature
EAGER = 1.5  # the proof is tried a little before it must hold: it costs less than a pass
NEARBY = 0.2  # of a logit: so little loosens a proof less than a Hessian costs
HIDDEN = 10 * float(np.finfo(np.float32).eps)  # what float32 may hide of a row's slope
LAST = 30.0  # times what the proof asks for is one step away from it
LIKELY = 0.1  # of a decrement, what a step leaves


@dataclass(frozen=True)
class State:
    """Where the solver stands.

    Attributes
    ----------
    theta: (n_outputs, p + 1); evaluation: value and gradient there, from all rows.
    factors: per group, the Hessian that the sample estimates for all rows.
    pairs: per step, how far the parameters moved and by how much the gradient changed.
    decrements: (groups,), Newton decrements by the corrected Hessian, an estimate.
    exact: whether the evaluation is float64's, and those to come are to be.
    slow: how many steps shrank too little. shrunk: what the last one left of the decrement.
    points: the proof, once one was tried.
    lower: where the sample's own Hessian was summed last, and that Hessian.
    """

    theta: Array
    evaluation: Evaluation
    factors: tuple[Factor, ...]
    pairs: tuple[tuple[Array, Array], ...]
    directions: Array
    decrements: Array
    passes: int
    iteration: int
    history: tuple[Progress, ...]
    exact: bool
    slow: int = 0
    shrunk: float = LIKELY
    points: tuple[Point, ...] = ()
    lower: tuple[Array, Array] | None = None
    status: str = ""


def suits(rows: MemoryRows, loss: Loss) -> bool:
    """Whether a sample of the rows is a good guide to all of them."""
    parameters = loss.n_outputs * (rows.n_columns + 1) // loss.groups
    if rows.n_columns < LEAST_COLUMNS or parameters > MOST_PARAMETERS:
        return False
    values = rows.n_rows * rows.block.features.row_values
    return values >= LEAST_VALUES and count_drawn(rows) >= ROWS_PER_PARAMETER * (rows.n_columns + 1)


def solve(
    rows: MemoryRows,
    loss: Loss,
    C: float,
    fit_intercept: bool,
    tol: float,
    watch: Watch | None = None,
    start: tuple[Array, Array] | None = None,
    where: Coordinates | None = None,
) -> Solution | None:
    """Minimise to a proved end; None where values are not finite, and no answer has been found.

    `where` is given where the columns have been measured on all rows already.

    The solution's status is "optimal", or "stalled" where the whole Hessian is needed to go on.
    """
    began = time.perf_counter()
    with np.errstate(invalid="ignore"):  # infinite values are found below
        sample = draw_sample(rows, loss)
        if where is None:
            where = measure_sampled(rows, sample, fit_intercept, loss.groups < loss.n_outputs)
    rows, where = shift_rows(rows, where)
    objective = Objective(rows, loss, C, where)
    problem = make_problem(objective, sample)
    theta, factors = _start(problem, start)
    state = init(problem, theta, factors, tol)
    watch = watch or (lambda progress: None)
    if state is None:
        return None
    watch(state.history[-1])
    while not state.status:
        state = step(problem, state, tol)
        watch(state.history[-1])
    return _finish(problem, state, time.perf_counter() - began)


def init(problem: Problem, theta: Array, factors: tuple[Factor, ...], tol: float) -> State | None:
    """Evaluate the start on all rows; None where values are not finite."""
    for passes, rough in enumerate((problem.rough, None) if problem.rough else (None,), 1):
        with np.errstate(invalid="ignore", over="ignore"):
            theta, evaluation = look_at(problem.objective, rough, theta)
        if np.isfinite(evaluation.value).all() and np.isfinite(evaluation.gradient).all():
            nothing = np.zeros_like(evaluation.gradient)
            begun = nothing, nothing[:, 0], passes, 0, ()
            state = State(theta, evaluation, factors, (), *begun, rough is None)
            return _judge(problem, state, tol, 0.0)
    return None


def step(problem: Problem, state: State, tol: float) -> State:
    """One step along the corrected Newton direction: a pass, more where it is too long."""
    objective, before = problem.objective, state.evaluation
    moving = np.ones(objective.groups, dtype=bool)
    exact = state.exact or _is_last(problem, state, tol)
    theta, rough = state.theta, None if exact else problem.rough

    def look(move: Array) -> Evaluation:
        nonlocal theta
        theta, found = look_at(objective, rough, state.theta + objective.by_output(move))
        return found

    rounding = ROUNDING if state.exact else math.inf
    after, length, trials = search(look, before, state.directions, moving, rounding)
    if after is None:
        return replace(state, passes=state.passes + trials, status="stalled")
    moved = (theta - state.theta).reshape(objective.groups, -1)
    changed = after.gradient - before.gradient
    tells = ((moved * changed).sum(axis=1) > 0).all()  # else rounding hides what the step changed
    shrunk = replace(
        state,
        theta=theta,
        evaluation=after,
        exact=exact,
        pairs=(*state.pairs, (moved, changed)) if tells else state.pairs,
        passes=state.passes + trials,
        iteration=state.iteration + 1,
    )
    if state.decrements.max() > FAR * math.sqrt(objective.where.weight / 4):
        shrunk = _factor_anew(problem, shrunk, state.decrements.max())
    return _judge(problem, shrunk, tol, float(length.min()))


def _is_last(problem: Problem, state: State, tol: float) -> bool:
    """Whether float64 is called for: the end is a step or two away, or float32 sees no further.

    A step is taken to shrink what is left over as the last one did. Errors of rows that are alike
    add up: a slope is off by that of one times the rows, and known to the root of their number.
    """
    near = LAST * tol / math.sqrt(problem.scale)
    hidden = HIDDEN * math.sqrt(problem.objective.rows.n_rows)
    return state.slow > 0 or state.shrunk * state.decrements.max() <= max(near, hidden)


def _factor_anew(problem: Problem, state: State, before: float) -> State:
    """The sample's Hessian where the step led; in float64 if it is likely to serve the proof, too.

    Rows that all stand for as many have one Hessian in both roles, but for the penalty.
    """
    far = FAR * math.sqrt(problem.objective.where.weight / 4)
    if not problem.even or LIKELY * before > far:
        return replace(state, factors=_factor(problem.scaled, state.theta))
    state, lower = _sum_hessian(problem, state)
    hessian = problem.scale * lower
    size = problem.sample.size // problem.sample.width
    penalty = problem.scaled.ridge - problem.scale * problem.sample.ridge
    np.einsum("gii->gi", hessian)[...] += np.tile(penalty, size)
    factors = tuple(factor(add_gauge(problem.scaled, H)) for H in hessian)
    return replace(state, factors=factors)


def _factor(scaled: Objective, theta: Array) -> tuple[Factor, ...]:
    hessian = scaled.evaluate(theta, hessian=True).hessian
    assert hessian is not None
    return tuple(factor(add_gauge(scaled, H)) for H in hessian)


def _judge(problem: Problem, state: State, tol: float, length: float) -> State:
    """The next direction; the proof where it is likely to hold; the history."""
    directions = _direct(state.factors, state.pairs, state.evaluation.gradient)
    squared = (directions * state.evaluation.gradient).sum(axis=1)
    decrements = np.sqrt(np.maximum(squared, 0.0))
    before = state.decrements.max() if state.iteration else math.inf
    slow = state.slow + (decrements.max() > SLOW * before)
    shrunk = float(decrements.max() / before) if state.iteration else state.shrunk
    state, points = _prove(problem, state, decrements, tol)
    rho = math.hypot(*(p.rho for p in points)) if points else math.inf
    value = state.evaluation.value
    status = ""
    if points and all(p.rho <= tol and _is_low(p.gap, v) for p, v in zip(points, value)):
        status = "optimal"
    elif slow > PATIENCE or state.iteration >= MOST_STEPS or any(np.isinf(p.rho) for p in points):
        status = "stalled"
    if not status and _is_apart(problem, state):
        status = "stalled"
    cost = float(state.evaluation.loss.sum()) / problem.objective.where.weight
    progress = Progress(state.iteration, cost, float(value.sum()), rho, length)
    return replace(
        state,
        directions=directions,
        decrements=decrements,
        slow=slow,
        shrunk=shrunk,
        points=points,
        history=(*state.history, progress),
        status=status,
    )


def _is_apart(problem: Problem, state: State) -> bool:
    """Whether no optimum is in sight: without a penalty, all rows are on their own side, or those
    of the sample at the start."""
    if np.isfinite(problem.objective.C):
        return False
    seen = state.evaluation
    if not state.iteration:
        seen = problem.scaled.evaluate(state.theta)
    return bool((seen.least_margin > 0).all())


def _is_low(gap: float, value: float) -> bool:
    return gap <= RELATIVE_GAP * max(value - gap, 0.0)


def _direct(
    factors: tuple[Factor, ...], pairs: tuple[tuple[Array, Array], ...], gradient: Array
) -> Array:
    """The gradient times the inverse Hessian that sample and pairs tell of, per group."""
    rest, shares = gradient.copy(), []
    for moved, changed in reversed(pairs):
        share = (moved * rest).sum(axis=1) / (moved * changed).sum(axis=1)
        rest -= share[:, None] * changed
        shares.append(share)
    turned = np.stack([factor.solve(g) for factor, g in zip(factors, rest, strict=True)])
    for (moved, changed), share in zip(pairs, reversed(shares), strict=True):
        twice = (changed * turned).sum(axis=1) / (moved * changed).sum(axis=1)
        turned += (share - twice)[:, None] * moved
    return turned


def _prove(
    problem: Problem, state: State, decrements: Array, tol: float
) -> tuple[State, tuple[Point, ...]]:
    """Measure by the sample's own Hessian at this point, a lower bound, where it may suffice."""
    if not state.exact:
        return state, ()
    objective, evaluation = problem.objective, state.evaluation
    largest = math.sqrt(problem.scale) * decrements / EAGER
    m = [_guess_leverage(problem, state, k) for k in range(objective.groups)]
    likely = [
        bound_distance(d, r) <= tol and _is_low(bound_gap(d, r), v)
        for d, r, v in zip(largest, m, evaluation.value, strict=True)
    ]
    if not all(likely):
        near = all(
            d <= tol and _is_low(d * d, v) for d, v in zip(largest, evaluation.value, strict=True)
        )
        if not (near and objective.where.sampled):
            return state, ()
        objective = _find_ranges(objective)
    state, lower = _bound_hessian(problem, state)
    most = np.eye(objective.n_outputs) * objective.where.weight / 4  # of the biases, q <= 1/4
    known = replace(evaluation, hessian=lower, bias_curvature=most)
    return state, newton.measure(objective, state.theta, known, 0.0)[0]


def _bound_hessian(problem: Problem, state: State) -> tuple[State, Array]:
    """The sample's own Hessian here; or one from nearby, lowered by as much as it may have fallen.

    A sigmoid's curvature q has |q'| <= q: where its logit moves by m, it is at least exp(-m) q.
    """
    sample = problem.sample
    if state.lower is not None and sample.groups == sample.n_outputs:
        there, hessian = state.lower
        moved = sample.move_logits(state.theta - there)
        if moved <= NEARBY:
            return state, math.exp(-moved) * hessian
    return _sum_hessian(problem, state)


def _sum_hessian(problem: Problem, state: State) -> tuple[State, Array]:
    """The sample's own Hessian, kept with the place."""
    found = problem.sample.evaluate(state.theta, hessian=True).hessian
    assert found is not None
    return replace(state, lower=(state.theta, found)), found


def _find_ranges(objective: Objective) -> Objective:
    """The same, and it knows how far the columns reach, which bounds m where rows say too little.

    Rows far on their right side have next to no curvature, and the leverage bound fails there.
    """
    where, found = objective.where, copy(objective)
    exact = measure_columns(objective.rows, not where.frozen[-1])
    low, high = exact.low + where.shift, exact.high + where.shift
    found.where = replace(where, low=low, high=high, sampled=False)
    return found


def _guess_leverage(problem: Problem, state: State, k: int) -> float:
    """About the m that the proof would find: from the factor at hand, which stands for all rows."""
    with np.errstate(divide="ignore"):
        leverage = float(1 / np.sqrt(state.evaluation.least_curvature[k]))
    m = newton.largest_leverage(problem.objective, state.evaluation, k, state.factors[k])
    return min(leverage, math.sqrt(problem.scale) * m)


def _start(problem: Problem, given: tuple[Array, Array] | None) -> tuple[Array, tuple[Factor, ...]]:
    """Set out from the sample's solution, or from what is given."""
    objective, scaled = problem.objective, problem.scaled
    if given is not None:
        theta = objective.where.from_parameters(*given)
        return theta, _factor(scaled, theta)
    theta, hessian = start_from_sample(objective, scaled, problem.scale)
    return theta, tuple(factor(add_gauge(objective, H)) for H in hessian)


def _finish(problem: Problem, state: State, seconds: float) -> Solution:
    proved = state.status == "optimal"
    parts = [
        Certificate(max(p.gap, 0.5 * SMALLEST_RHO**2), max(p.rho, SMALLEST_RHO), KIND, p.rounding)
        for p in state.points
    ]
    return to_solution(
        problem.objective,
        state.theta,
        float(state.evaluation.value.sum()),
        certificate=combine(parts) if proved else no_certificate("the whole Hessian is needed"),
        status=state.status,
        message=MESSAGES["optimal"] if proved else "the sample's Hessian led no further",
        passes=state.passes,
        seconds=seconds,
        iterations=state.iteration,
        solver="newton",
        history=state.history,
        may_depend=any(point.flat for point in state.points),
    )
