"""The loop that second-order solvers share: measure, prove, or step and search along the step.

A method (`newton.py`, `newton_cg.py`) says how a point is measured: its step, its Newton decrement
and the bound m. The decrement proves how far the optimum still is, so the loop ends by proof, not
by a count. Outputs that do not depend on each other (multi-label) are stepped side by side in the
same passes.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.certificate import (
    SMALLEST_RHO,
    Certificate,
    bound_distance,
    bound_distance_after_step,
    bound_gap,
    bound_gap_after_step,
    combine,
    no_certificate,
)
from onelayer.loss import SoftmaxLoss
from onelayer.objective import Evaluation, Objective
from onelayer.solvers.line_search import search
from onelayer.solvers.solution import Progress, Solution

Array = NDArray[Any]
Watch = Callable[[Progress], None]

EPS = float(np.finfo(np.float64).eps)
RELATIVE_GAP = 1e-9  # the objective itself is to be this near its optimum
MEASURED_RHO = 1e-6  # a last step whose bound is above this is measured by one more pass
HOPELESS = 15  # steps without a certificate at C = inf: no finite optimum is in sight
PATIENCE = 4  # steps in a row that gain nothing float64 can tell
MOST_STEPS = 500  # each step gains, so this is met only where float64 itself gives way


@dataclass(frozen=True)
class Point:
    """What is known about one group of parameters at the current theta.

    Attributes
    ----------
    decrement: lambda, an upper bound, with `rounding` counted in.
    m: an upper bound of sqrt(x'H^-1 x) over the rows; inf where there is none.
    rounding: the part of lambda that float64 may hide.
    direction: (D,), the step to subtract.
    rest: how far the step may end from that of an exact Newton equation, in the norm of H.
    flat: whether some direction has next to no curvature but the penalty's.
    """

    decrement: float
    m: float
    rounding: float
    direction: Array
    rest: float = 0.0
    flat: bool = False

    @property
    def rho(self) -> float:
        """The proved distance from the optimum in standard errors; inf where nothing is proved."""
        return bound_distance(self.decrement, self.m)

    @property
    def gap(self) -> float:
        """The proved excess of the objective; inf where nothing is proved."""
        return bound_gap(self.decrement, self.m)


@dataclass(frozen=True)
class Method:
    """A second-order method.

    Attributes
    ----------
    name: as in `Solution.solver`.
    evaluate: one pass with the second derivatives that the method needs.
    measure: one `Point` a group, and the passes over the rows that it took.
    exact: whether the step solves the Newton equation, so that the free last step is proved.
    kind: the certificate's kind.
    """

    name: str
    evaluate: Callable[[Objective, Array], Evaluation]
    measure: Callable[[Objective, Array, Evaluation, float], tuple[tuple[Point, ...], int]]
    exact: bool
    kind: str


@dataclass(frozen=True)
class State:
    """Where the solver stands: enough to go on from, to show, or to stop."""

    theta: Array
    evaluation: Evaluation
    points: tuple[Point, ...]
    passes: int
    iteration: int
    history: tuple[Progress, ...]
    trail: tuple[tuple[float, ...], ...]  # decrements of the last points
    status: tuple[str, ...]  # per group: "" while it moves


def solve(
    method: Method,
    objective: Objective,
    tol: float,
    start: Array,
    watch: Watch | None = None,
) -> Solution:
    """Step until every group's end is proved; `watch(progress)` is told after each step."""
    began = time.perf_counter()
    state = init(method, objective, tol, start)
    watch = watch or (lambda progress: None)
    watch(state.history[-1])
    while not all(state.status):
        state = step(method, objective, state, tol)
        watch(state.history[-1])
    return finish(method, objective, state, tol, time.perf_counter() - began)


def init(method: Method, objective: Objective, tol: float, start: Array) -> State:
    """Evaluate and measure the start, (n_outputs, p + 1)."""
    evaluation = method.evaluate(objective, start)
    points, passes = method.measure(objective, start, evaluation, tol)
    state = State(start, evaluation, points, 1 + passes, 0, (), (), ("",) * objective.groups)
    return judge(objective, state, tol, 0.0)


def step(method: Method, objective: Objective, state: State, tol: float) -> State:
    """One step with line search, for every group that still moves.

    A trial that is likely to be taken, the first one after a full step, brings the second
    derivatives along in its pass; the others, which may be many, do without until one is taken.
    """
    moving = np.array([not word for word in state.status])
    directions = np.stack([point.direction for point in state.points]) * moving[:, None]
    likely = state.history[-1].step in (0.0, 1.0)
    kinds = chain([method.evaluate] if likely else [], repeat(Objective.evaluate))
    evaluation, length, trials = search(
        lambda move: next(kinds)(objective, state.theta + objective.by_output(move)),
        state.evaluation,
        directions,
        moving,
    )
    if evaluation is None:
        stuck = tuple(word or "stalled" for word in state.status)
        return replace(state, passes=state.passes + trials, status=stuck)
    theta = state.theta - objective.by_output(length[:, None] * directions)
    if evaluation.bias_curvature is None:
        evaluation, trials = method.evaluate(objective, theta), trials + 1
    points, passes = method.measure(objective, theta, evaluation, tol)
    after = replace(
        state,
        theta=theta,
        evaluation=evaluation,
        points=points,
        passes=state.passes + trials + passes,
        iteration=state.iteration + 1,
    )
    return judge(objective, after, tol, float(length[moving].min(initial=1.0)))


def finish(
    method: Method, objective: Objective, state: State, tol: float, seconds: float
) -> Solution:
    """Take the free last step where it is proved to help, and state what is proved."""
    free = np.array([method.exact and word == "optimal" for word in state.status])
    after = np.array([bound_distance_after_step(p.rho, p.m) + p.rest for p in state.points])
    theta, evaluation, points, passes = state.theta, state.evaluation, state.points, state.passes
    if free.any():
        steps = np.stack([point.direction for point in points]) * free[:, None]
        theta = theta - objective.by_output(steps)
    if isinstance(objective.loss, SoftmaxLoss):
        theta = theta - theta.mean(axis=0)  # as at the optimum; only the penalty feels it
    # A step that is not taken may have an endless decrement.
    gained = np.where(free, [point.decrement for point in points], 0.0)
    value = evaluation.value - 0.5 * np.square(gained)
    if (free & (after > MEASURED_RHO)).any():
        evaluation = method.evaluate(objective, theta)
        points, more = method.measure(objective, theta, evaluation, tol)
        passes, value, free = passes + 1 + more, evaluation.value, np.zeros_like(free)
    certificates = [
        certify_point(method, point, word, rho if is_free else None)
        for point, word, rho, is_free in zip(points, state.status, after, free, strict=True)
    ]
    status = next(word for word in _WORST_FIRST if word in state.status)
    return to_solution(
        objective,
        theta,
        float(value.sum()),
        certificate=combine(certificates),
        status=status,
        message=MESSAGES[status],
        passes=passes,
        seconds=seconds,
        iterations=state.iteration + int(method.exact and "optimal" in state.status),
        solver=method.name,
        history=state.history,
        may_depend=any(point.flat for point in points),
    )


def to_solution(objective: Objective, theta: Array, value: float, **facts: Any) -> Solution:
    """The solution in the units of the table, from standardised parameters."""
    W, b = objective.where.to_parameters(theta)
    ridge = 0.5 * float((objective.penalty * np.square(theta)).sum())
    cost = max(value - ridge, 0.0) / objective.where.weight
    return Solution(W=W, b=b, objective=value, cost=cost, **facts)


def penalised_length(objective: Objective, u: Array) -> float:
    """sqrt(u'H^-1 u) at most, for a vector of the weights (p,): H >= penalty; 0 without one."""
    if not np.isfinite(objective.C):
        return 0.0
    return float(np.sqrt((np.square(u) / objective.penalty[:-1]).sum()))


def rounding(
    objective: Objective,
    theta: Array,
    evaluation: Evaluation,
    k: int,
    bias: float,
    m: float,
    centre: float,
) -> float:
    """The part of lambda that float64 may hide: in the logits, in the sums, in the parameters.

    `bias` is the curvature of the group's biases, sum s q. A logit is off by a few units in the
    last place of its largest part; over all rows that is sqrt(bias) times as much in the norm of H.
    Sums over rows err like a random walk over their terms; each term reaches m in that norm, and
    where tiles are read without their centre taken off, `centre` more: that of (centre, 0).
    """
    where = objective.where
    W, _ = where.to_parameters(theta)
    span = np.abs(where.centre) + where.reach * where.spread
    own = slice(k, k + 1) if objective.groups > 1 else slice(None)
    logit = EPS * float((np.abs(theta[own, -1]) + np.abs(W[own]) @ span).max())
    ridge = float((objective.penalty * np.square(theta[own])).sum())
    reach = (m if np.isfinite(m) else 0.0) + centre
    sums = reach * np.sqrt(evaluation.miss[k])
    return float(6 * np.sqrt(bias) * logit + EPS * (8 * sums + np.sqrt(ridge)))


def judge(objective: Objective, state: State, tol: float, length: float) -> State:
    """Give each group its status and write the history."""
    words = tuple(word or _status(objective, state, k, tol) for k, word in enumerate(state.status))
    progress = Progress(
        state.iteration,
        float(state.evaluation.loss.sum()) / objective.where.weight,
        float(state.evaluation.value.sum()),
        math.hypot(*(p.rho for p in state.points)),
        length,
    )
    trail = (*state.trail[-2:], tuple(p.decrement for p in state.points))
    return replace(state, status=words, history=(*state.history, progress), trail=trail)


def _status(objective: Objective, state: State, k: int, tol: float) -> str:
    """The rule that ends the loop, in the order in which its answers are sure."""
    point, value = state.points[k], float(state.evaluation.value[k])
    if not np.isfinite(point.decrement):
        return "stalled"
    if point.rho <= tol and point.gap <= RELATIVE_GAP * max(value - point.gap, 0.0):
        return "optimal"
    unbounded = not np.isfinite(objective.C)
    if unbounded and state.evaluation.least_margin[k] > 0:
        return "separated"
    t = point.decrement * point.m
    slow = len(state.trail) >= 2 and point.decrement > 0.5 * state.trail[-2][k]
    if t < 0.25 and (slow or point.decrement < 2 * point.rounding):
        return "rounding"
    if unbounded and np.isinf(point.m) and point.decrement <= tol:
        return "unproved"
    if unbounded and t >= 1 and np.isfinite(point.m) and state.iteration >= HOPELESS:
        return "endless"
    level = len(state.history) > PATIENCE and not (
        state.history[-PATIENCE].objective - state.evaluation.value.sum() > 1e-13 * abs(value)
    )
    return "stalled" if level or state.iteration >= MOST_STEPS else ""


def certify_point(method: Method, point: Point, word: str, after: float | None) -> Certificate:
    if not np.isfinite(point.rho):
        return no_certificate(_REASONS.get(word, _REASONS["stalled"]))
    if after is None:
        rho, gap = point.rho, point.gap
    else:
        rho = after + point.rounding
        gap = bound_gap_after_step(point.rho, rho, point.m)
    gap, rho = max(float(gap), 0.5 * SMALLEST_RHO**2), max(float(rho), SMALLEST_RHO)
    return Certificate(gap, rho, method.kind, point.rounding)


_WORST_FIRST = ("separated", "endless", "stalled", "unproved", "rounding", "optimal")
MESSAGES = {
    "optimal": "the optimum is reached, proved to the tolerance asked for",
    "rounding": "as near the optimum as float64 allows; the certificate says how near",
    "unproved": "the steps have come to an end within the tolerance, though without a proof",
    "separated": (
        "the classes can be told apart without error, so without a penalty the weights grow "
        "without end: use a finite C, such as C=1"
    ),
    "endless": (
        f"no optimum is in sight after {HOPELESS} steps without a penalty: some weights seem to "
        "grow without end, as where a column's value goes with one class alone: use a finite C"
    ),
    "stalled": "no step lowers the objective any more, though the optimum is not proved",
}
_REASONS = {
    "separated": "without a penalty the separated classes have no finite optimum",
    "endless": "without a penalty there seems to be no finite optimum",
    "unproved": (
        "without a penalty there is no bound where the Hessian is too large to factor or columns "
        "depend on each other to within float64: use a finite C, or drop such columns"
    ),
    "stalled": "the optimum is still too far for a bound",
}
