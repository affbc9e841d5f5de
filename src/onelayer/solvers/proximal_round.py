"""What is known of an L1 problem after a round of steps, and what of it is proved."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.loss import SigmoidLoss
from onelayer.objective import Evaluation
from onelayer.solvers import support
from onelayer.solvers.applied import find_farthest_row, measure, survey
from onelayer.solvers.duality import Dual
from onelayer.solvers.penalised import Penalised
from onelayer.solvers.proximal_step import State, aim, take_hessian
from onelayer.solvers.rows_hessian import RowsHessian
from onelayer.solvers.rows_hessian import look as look_at_rows
from onelayer.solvers.second_order import RELATIVE_GAP, Point
from onelayer.solvers.solution import Progress

Array = NDArray[Any]

NEARBY = 0.5  # of a logit's change: the distance proved is longer by a quarter at most
AT_THE_END = 1e-2  # of tol: where the steps are done and the penalty proves nothing, H is summed


@dataclass(frozen=True)
class Round:
    """What is known at one theta about the whole problem.

    Attributes
    ----------
    theta: (n_outputs, p + 1), over all columns. evaluation: there, over all columns.
    columns: those that take part; None for all. part: the problem over them. state: its steps.
    dual: the dual bound. point: lambda and m on what may differ from 0, or None. kind: of the
        Hessian that they were found by.
    """

    theta: Array
    evaluation: Evaluation
    columns: Array | None
    part: Penalised
    state: State
    dual: Dual
    point: Point | None = None
    kind: str = "factored"
    passes: int = 0
    history: tuple[Progress, ...] = ()
    status: str = ""

    @property
    def gap(self) -> float:
        """The best bound of the excess."""
        return self.dual.gap if self.point is None else min(self.dual.gap, self.point.gap)

    @property
    def rho(self) -> float:
        """The distance in standard errors, inf where the Hessian of the support is singular."""
        return math.inf if self.point is None else self.point.rho


def find_outside(problem: Penalised, found: Round) -> NDArray[np.bool_]:
    outside = np.ones(problem.objective.width - 1, dtype=bool)
    outside[found.columns] = False
    return outside


def prove(problem: Penalised, found: Round, tol: float) -> Round:
    """lambda and m where all that may differ from 0 takes part and curves F."""
    part, state = found.part, found.state
    alive, applied = find_alive(problem, found), isinstance(state.H, RowsHessian)
    near = state.decrement <= AT_THE_END * tol
    if math.isfinite(problem.objective.C) and (applied or alive is None):
        tried = with_point(_prove_by_penalty(problem, found), state, found, 2, "applied")
        if is_proved(problem, tried, tol) or (applied and not near):
            return tried
    if alive is None or (applied and not near):
        return found
    if applied:
        return _prove_by_sum(problem, found, np.flatnonzero(alive[0, :-1]))
    H, state = lower_bound(part, state)
    point = support.prove(part, state.evaluation, state.theta, H, alive)
    return with_point(point, state, found, 0, "factored" if state.part is None else "sampled")


def find_alive(problem: Penalised, found: Round) -> NDArray[np.bool_] | None:
    """What of the part may differ from 0 at the optimum; None where columns outside may."""
    frozen, zero = found.part.objective.where.frozen, found.dual.zero
    alive = np.tile(~frozen, (found.part.objective.n_outputs, 1))
    if found.columns is not None:
        if not zero[:, find_outside(problem, found)].all():
            return None
        zero = zero[:, found.columns]
    alive[:, :-1] &= ~zero
    return alive


def _prove_by_sum(problem: Penalised, found: Round, alive: NDArray[np.intp]) -> Round:
    """lambda and m from the Hessian summed over the columns, of the part's, that are alive."""
    columns = alive if found.columns is None else found.columns[alive]
    state = found.state._replace(summed=True)
    theta = found.theta[:, np.append(columns, problem.objective.width - 1)]
    point = None
    if np.count_nonzero(theta[:, :-1]) == np.count_nonzero(found.theta[:, :-1]):
        part = problem.over(columns)
        evaluation = part.objective.evaluate(theta, hessian=True)
        assert evaluation.hessian is not None
        free = ~part.objective.where.frozen[None]
        point = support.prove(part, evaluation, theta, evaluation.hessian[0], free)
    return with_point(point, state, found, 1, "factored")


def with_point(point: Point | None, state: State, found: Round, passes: int, kind: str) -> Round:
    """The round with what was proved, after some passes for it."""
    found = replace(found, state=state, passes=found.passes + passes)
    if point is None or not math.isfinite(point.rho):
        return found
    last = replace(found.history[-1], rho=point.rho)
    return replace(found, point=point, kind=kind, history=(*found.history[:-1], last))


def _prove_by_penalty(problem: Penalised, found: Round) -> Point:
    """lambda and m of all columns from H >= the L2 penalty, as `applied.py` has them: two passes.

    The shortest subgradient stands in the gradient's place, as in `support.py`.
    """
    objective, theta = problem.objective, np.asfortranarray(found.theta)
    evaluation, _ = look_at_rows(objective, theta)
    around = survey(objective, theta, evaluation, find_farthest_row(objective))
    slopes = objective.by_output(evaluation.gradient)
    shortest = np.asfortranarray(support.subgradient(problem, slopes, theta))
    return measure(objective, around, shortest, np.zeros_like(shortest), shortest)[0]


def lower_bound(part: Penalised, state: State) -> tuple[Array, State]:
    """A matrix that the Hessian at theta is not below: one nearby, of some rows, or itself."""
    assert not isinstance(state.H, RowsHessian)
    if state.exact:
        return state.H, state
    near = shrink_base(part, state)
    if near is not None:
        return near, state._replace(passes=state.passes + 1)
    if state.part is not None:
        seen = state.part.objective.evaluate(state.theta, hessian=True)
        assert seen.hessian is not None
        return seen.hessian[0], state
    state = aim(part, take_hessian(part, state))
    assert not isinstance(state.H, RowsHessian)
    return state.H, state


def shrink_base(part: Penalised, state: State) -> Array | None:
    """The last Hessian that was summed, as far as it holds at theta; None where that is far.

    No row's curvature falls by more than e^-R, R the largest change of a logit, as in part 8 of
    docs/mathematics.md.
    """
    if state.base is None or not isinstance(part.objective.loss, SigmoidLoss):
        return None
    theta, H = state.base
    R = part.objective.move_logits(state.theta - theta)
    return math.exp(-R) * H if R <= NEARBY else None


def is_proved(problem: Penalised, found: Round, tol: float) -> bool:
    """The stop rule: the gap, and the distance where there is one."""
    value = problem.value(found.evaluation, found.theta)
    near = found.gap <= RELATIVE_GAP * max(value - found.gap, 0.0)
    return near and (found.rho <= tol or found.point is None)
