"""Newton's method with conjugate gradients: for tables too wide to factor a Hessian of.

The Hessian is only ever applied to vectors, two products with the rows each time. What conjugate
gradients leave of the Newton equation enters the certificate, so it stays a proof; without a
penalty there is no bound for that rest, and the certificate says so.
"""

import math
import time
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.certificate import SMALLEST_RHO, Certificate, combine
from onelayer.objective import Evaluation, Objective
from onelayer.solvers import costs, newton, second_order, shares
from onelayer.solvers.applied import (
    Surroundings,
    dots,
    find_farthest_row,
    measure,
    settle,
    survey,
    weigh_residual,
)
from onelayer.solvers.conjugate import Preconditioner, Step, solve_newton_equation
from onelayer.solvers.kept import KeptRows, Terms
from onelayer.solvers.line_search import search_lengths
from onelayer.solvers.preconditioner import choose_preconditioner
from onelayer.solvers.second_order import Method, Point, State, Watch
from onelayer.solvers.solution import Progress, Solution, is_low, is_settled
from onelayer.solvers.spaces import Weights, choose_weights
from onelayer.solvers.subspace import approach

Array = NDArray[Any]

FORCING = 0.2  # how far each Newton equation is solved while the optimum is still distant
SHARPER = 1e-2  # without a penalty nothing is proved: end this much nearer than asked for
LARGEST_FACTORED = 1500  # parameters whose Hessian is summed where products do not lead to a proof
LOOSE = 10.0  # residuals are left this much larger than the bend: the next equation sees to both
TIGHTEST = 1e-5  # of the slope: more of one Newton equation is never wasted less on the next


@dataclass(frozen=True)
class Place:
    """A point of the parameters with all that was measured there.

    `fresh` says that the logits were computed from theta, not carried along the steps, which adds
    up their rounding: the last word is spoken of fresh ones.
    """

    theta: Array
    logits: Array
    fresh: bool
    terms: Terms
    evaluation: Evaluation
    gradient: Array
    around: Surroundings


@dataclass(frozen=True)
class Pace:
    """What the last step has taught about the next.

    Attributes
    ----------
    precondition: the rough inverse of the Hessian in use.
    bend: (groups,), by how much slopes bent off the straight course that the last Newton equation
        foresaw, as a share of the slope before it, per such share that is left; inf unknown.
    products: that were made with it.
    """

    precondition: Preconditioner
    bend: Array
    products: int = 0


@dataclass(frozen=True)
class Rules:
    """What stays the same from step to step."""

    kept: KeptRows
    tol: float
    far: float


def solve(
    objective: Objective,
    tol: float = 1e-4,
    start: Array | None = None,
    watch: Watch | None = None,
) -> Solution:
    """Minimise the objective to its proved end; the arguments are those of `newton.solve`."""
    began = time.perf_counter()
    tol /= math.sqrt(objective.groups)  # distances of outputs add up in squares
    if not np.isfinite(objective.C):
        tol *= SHARPER
    rules = Rules(KeptRows(objective), tol, find_farthest_row(objective))
    budget, length = _find_budget(objective), 0.0
    watch = watch or (lambda progress: None)
    theta = np.asfortranarray(objective.start() if start is None else start)
    place, state, pace, before = _begin(rules, theta, watch)
    while True:
        judged, step = _judge(rules, place, state, length, pace)
        if judged.status != state.status and not place.fresh:
            place = _look(rules, place.theta, rules.kept.linear(place.theta))
            judged, step = _judge(rules, place, state, length, pace)
        state = judged
        watch(state.history[-1])
        if all(state.status):
            break
        moving = np.array([not word for word in state.status])
        found = _move(rules, place, step, moving) if state.passes <= budget else None
        if found is None:
            state = replace(state, status=tuple(word or "stalled" for word in state.status))
            break
        pace = _learn(rules, pace, place, step, *found)
        place, length = found
        state = _arrive(state, place)
    state = replace(state, history=(*before, *state.history))
    solution = second_order.finish(_METHOD, objective, state, tol, time.perf_counter() - began)
    if budget < math.inf and not is_settled(solution):
        return _go_on(objective, solution, tol, watch)
    return _prove_by_factor(objective, solution, tol)


def _arrive(state: State, place: Place) -> State:
    """The state at a step's end, which took one more pass."""
    return replace(
        state,
        theta=place.theta,
        evaluation=place.evaluation,
        passes=state.passes + 1,
        iteration=state.iteration + 1,
    )


def _go_on(objective: Objective, found: Solution, tol: float, watch: Watch) -> Solution:
    """From where products have led, with factors."""
    theta = objective.where.from_parameters(found.W, found.b)
    return found.then(newton.solve(objective, tol, theta, watch))


def _find_budget(objective: Objective) -> float:
    """The products that cost as much as to factor Hessians, where these are small and summed.

    Columns of very different scale may take any number. Without a penalty products end by
    themselves.
    """
    if not np.isfinite(objective.C) or objective.size > LARGEST_FACTORED:
        return math.inf
    n, p, k = objective.rows.n_rows, objective.width - 1, objective.n_outputs
    values = objective.rows.block.features.row_values
    factored = costs.cost_of_newton(n, p, values, k, softmax=objective.groups < k)
    return costs.PRODUCTS * factored / costs.cost_of_newton_cg(n, p, values, k)


def _begin(
    rules: Rules, theta: Array, watch: Watch
) -> tuple[Place, State, Pace, tuple[Progress, ...]]:
    """Where the steps over a subspace lead, if there is a penalty to weigh the slope with and the
    Hessian itself is not at hand; and what they have told."""
    kept, objective = rules.kept, rules.kept.objective
    told: tuple[Progress, ...] = ()
    known, passes = None, 0
    if np.isfinite(objective.C) and kept.apart.stop == kept.apart.start:
        theta, known, passes, told = _approach(rules, theta, watch)
    place = _look(rules, theta, kept.linear(theta))

    @cache  # the proof of the end needs none
    def choose() -> Preconditioner:
        return known or choose_preconditioner(kept, place.terms, None, 0)

    pace = Pace(lambda r: choose()(r), np.full(objective.groups, np.inf))
    none = ("",) * objective.groups
    state = State(theta, place.evaluation, (), passes + 1, len(told), (), (), none)
    return place, state, pace, told


def _approach(
    rules: Rules, theta: Array, watch: Watch
) -> tuple[Array, Preconditioner | None, int, tuple[Progress, ...]]:
    """Where the steps over a subspace lead, the preconditioner in use there, the passes, and what
    was told; the last point is looked at once more."""
    kept = rules.kept
    if shares.suits(kept, theta):
        return shares.descend(kept, theta, rules.tol, watch)
    weights, stand = choose_weights(kept, theta, rules.tol, rules.far)
    found = approach(weights, stand, watch)
    assert isinstance(found.space, Weights)
    return found.stand.theta, found.space.precondition, found.passes, found.history[:-1]


def _prove_by_factor(objective: Objective, found: Solution, tol: float) -> Solution:
    """What the penalty alone leaves unproved, proved by the Hessian itself where it is small.

    On columns of very different scale the penalty is a poor bound of the Hessian.
    """
    unproved = found.status in ("stalled", "rounding") and np.isfinite(objective.C)
    if not unproved or objective.size > LARGEST_FACTORED:
        return found
    certificate = newton.certify(objective, objective.where.from_parameters(found.W, found.b))
    if not certificate.rho < found.certificate.rho:
        return found
    found = replace(found, certificate=certificate, passes=found.passes + 1)
    word = "optimal" if certificate.rho <= tol and is_low(found) else "rounding"
    # What is proved may be less than what float64 can tell; the word goes by what is proved.
    rho, gap = max(certificate.rho, SMALLEST_RHO), max(certificate.gap, 0.5 * SMALLEST_RHO**2)
    stated = replace(certificate, rho=rho, gap=gap)
    return replace(found, certificate=stated, status=word, message=second_order.MESSAGES[word])


def certify(objective: Objective, theta: Array) -> Certificate:
    """The certificate of any parameters, (n_outputs, p + 1), by products with the Hessian alone."""
    points, _ = _measure(objective, np.asfortranarray(theta), _evaluate(objective, theta), 1e-4)
    return combine([second_order.certify_point(_METHOD, point, "", None) for point in points])


def _look(rules: Rules, theta: Array, logits: Array, terms: Terms | None = None) -> Place:
    """Measure the objective and its gradient at theta, whose logits (and terms) are known."""
    objective, fresh = rules.kept.objective, terms is None
    terms = rules.kept.terms(logits) if terms is None else terms
    evaluation, gradient = rules.kept.evaluate(theta, terms)
    around = survey(objective, theta, evaluation, rules.far)
    return Place(theta, logits, fresh, terms, evaluation, gradient, around)


def _judge(
    rules: Rules, place: Place, state: State, length: float, pace: Pace
) -> tuple[State, Step]:
    """Prove the end from the gradient alone, or find the next step and prove what it shows."""
    objective = rules.kept.objective
    nothing = np.zeros_like(place.gradient)
    step = Step(nothing, place.gradient, np.zeros_like(place.logits), 0)

    def judge(step: Step) -> State:
        points = measure(objective, place.around, place.gradient, step.direction, step.residual)
        # What has come to its end stays where it is, with what was proved there.
        kept = [
            old if word else new
            for old, new, word in zip(state.points or points, points, state.status, strict=True)
        ]
        passes = state.passes + step.products
        judged = replace(state, points=tuple(kept), passes=passes)
        return second_order.judge(objective, judged, rules.tol, length)

    judged = judge(step)
    if np.isfinite(objective.C) and all(word == "optimal" for word in judged.status):
        return judged, step
    step = _find_step(rules, place, pace, state.status)
    judged = judge(step)
    if judged.status == state.status:
        return judged, step
    # A word that ends the loop is said of what was measured anew, not carried along.
    step = _settle(rules, place, step)
    return judge(step), step


def _find_step(rules: Rules, place: Place, pace: Pace, status: tuple[str, ...]) -> Step:
    """Solve the Newton equation as far as it pays.

    Slopes bend off the course that the equation foresees by a share that falls with the slopes
    themselves: a smaller residual than that would be lost in the bend. Where the bend no longer
    matters, the step may be the last one: until the residual's own part of lambda is below `tol`.
    """
    kept, objective = rules.kept, rules.kept.objective
    slope = np.sqrt(dots(objective, place.gradient, pace.precondition(place.gradient)))
    forcing = np.clip(LOOSE * pace.bend * slope, TIGHTEST, FORCING)
    target = _target(rules, place)
    last = pace.bend * np.square(slope) <= 0.3 * target
    done = np.array([bool(word) for word in status])
    forcing = np.where(done, 1.0, forcing)
    enough = np.where(last & ~done, 0.5 * target, np.inf)
    return solve_newton_equation(
        kept,
        place.terms,
        place.gradient,
        pace.precondition,
        forcing,
        enough,
        lambda r: weigh_residual(objective, place.around, r),
    )


def _learn(rules: Rules, pace: Pace, place: Place, step: Step, after: Place, length: float) -> Pace:
    """Measure the bend of the step just taken; renew the preconditioner where that pays."""
    objective, precondition = rules.kept.objective, pace.precondition
    bent = after.gradient - step.residual
    if length < 1:
        bend = np.full(objective.groups, np.inf)
    else:
        slope = dots(objective, place.gradient, precondition(place.gradient))
        off = dots(objective, bent, precondition(bent))
        bend = np.sqrt(off) / np.where(slope > 0, slope, np.inf)
    products = pace.products + step.products
    fresh = choose_preconditioner(rules.kept, after.terms, precondition, products)
    return Pace(fresh, bend, products if fresh is precondition else 0)


def _target(rules: Rules, place: Place) -> Array:
    """The decrement that ends the loop, (groups,)."""
    value = place.evaluation.value
    return np.minimum(rules.tol, np.sqrt(second_order.RELATIVE_GAP * np.maximum(value, 0)))


def _settle(rules: Rules, place: Place, step: Step) -> Step:
    """The step with its biases settled and its residual computed anew; one product."""
    d = settle(rules.kept.objective, place.around, place.theta, step.direction, step.residual)
    product, moved = rules.kept.product(place.terms, d)
    return Step(d, place.gradient - product, moved, step.products + 1)


def _move(
    rules: Rules, place: Place, step: Step, moving: NDArray[np.bool_]
) -> tuple[Place, float] | None:
    """Search along the step on the logits alone; the gradient is summed where it ends."""
    kept, objective = rules.kept, rules.kept.objective
    groups, d, theta = objective.groups, step.direction, place.theta
    ridge = [objective.penalty * theta, objective.penalty * d]
    level, fall, bend = (
        dots(objective, *pair) for pair in ((theta, ridge[0]), (d, ridge[0]), (d, ridge[1]))
    )
    trial: list[Any] = []

    def measure_length(length: Array) -> tuple[Array, Array]:
        logits = place.logits - length[:, None] * step.moved
        terms = kept.terms(logits)
        trial[:] = [logits, terms]
        value = terms.loss + 0.5 * (level - 2 * length * fall + np.square(length) * bend)
        slope = -np.einsum("kn,kn->k", terms.residual, step.moved).reshape(groups, -1).sum(axis=1)
        return value, slope - fall + length * bend

    slope = -dots(objective, place.gradient, d)
    length, _ = search_lengths(measure_length, place.evaluation.value, slope, moving)
    if length is None:
        return None
    theta = theta - length[:, None] * d
    shortest = float(length[moving].min(initial=1.0))
    return _look(rules, theta, *trial), shortest


def _evaluate(objective: Objective, theta: Array) -> Evaluation:
    kept = KeptRows(objective)
    return kept.evaluate(theta, kept.terms(kept.linear(theta)))[0]


def _measure(
    objective: Objective, theta: Array, evaluation: Evaluation, tol: float
) -> tuple[tuple[Point, ...], int]:
    """What is proved at any theta: a Newton equation solved for the sake of the proof."""
    rules = Rules(KeptRows(objective), tol, find_farthest_row(objective))
    place = _look(rules, theta, rules.kept.linear(theta))
    pace = Pace(choose_preconditioner(rules.kept, place.terms, None, 0), np.zeros(objective.groups))
    step = _settle(rules, place, _find_step(rules, place, pace, ("",) * objective.groups))
    points = measure(objective, place.around, place.gradient, step.direction, step.residual)
    return points, step.products + 2


_METHOD = Method("newton_cg", _evaluate, _measure, exact=False, kind="applied")
