"""Proximal Newton on a working set of columns: L1 and elastic net, to a proved end.

Each step minimises the parabola that touches F, plus the L1 norm itself, so that weights are
exactly 0. On wide tables only the columns that can matter take part; a pass over all of them then
says which others would leave 0, and the dual point of that pass how far F can still fall. The loop
ends by that proof.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.objective import Evaluation
from onelayer.solvers import duality
from onelayer.solvers.corners import diagonal
from onelayer.solvers.duality import Dual
from onelayer.solvers.penalised import Penalised
from onelayer.solvers.proximal_round import Round, find_outside, is_proved, prove
from onelayer.solvers.proximal_solution import finish, join
from onelayer.solvers.proximal_step import (
    State,
    begin,
    begin_from_sample,
    descend,
    is_applied,
    rebase,
)
from onelayer.solvers.second_order import RELATIVE_GAP
from onelayer.solvers.solution import Progress, Solution
from onelayer.solvers.support import subgradient

Array = NDArray[Any]
Watch = Callable[[Progress], None]

SMALL = 600  # parameters that are worked on all at once; beyond, a working set
# Columns that join a working set at most: so many, or a share of those held.
FIRST, SHARE = 256, 1.0
FIRST_RIDGE, SHARE_RIDGE = 4096, 2.0  # where products are few and columns cost little
FIRST_NEXT, SHARE_NEXT = 64, 0.1  # under the next strength, where most are held already
SHARE_APPLIED = 0.6  # where the Hessian is never summed
NEAR = 0.1  # a working set is solved to this share of what stands outside
MOST_ROUNDS = 200
WEAK = 300.0  # times weaker than one that leaves out all columns: a penalty to come near by steps
JUMP = 3.0  # times that the penalty falls at once
ROUGH = 0.01  # of the objective may be left before it falls on


def solve(
    problems: list[Penalised],
    tol: float = 1e-4,
    start: Array | None = None,
    watch: Watch | None = None,
) -> Solution:
    """Minimise each output's problem to its proved end.

    Parameters
    ----------
    problems: one, or one for each sigmoid output.
    tol: the largest distance from the optimum, in standard errors.
    start: (n_outputs, p + 1) in the problems' coordinates.
    watch: told the `Progress` after each round.
    """
    parts = []
    for k, problem in enumerate(problems):
        own = start if start is None or len(problems) == 1 else start[k : k + 1]
        began = time.perf_counter()
        parts.append(finish(problem, run(problem, tol, own, watch), time.perf_counter() - began))
    return join(parts)


def run(problem: Penalised, tol: float, start: Array | None, watch: Watch | None = None) -> Round:
    """Rounds from `start`, or from the best answer without weights, to the end."""
    found = come_near(problem) if start is None else first_round(problem, start, cold=False)
    return proceed(problem, found, tol, watch)


def come_near(problem: Penalised) -> Round:
    """The first round from the best answer without weights.

    Under a weak penalty a wide table's few steepest columns alone separate the classes, and lead
    astray. There the penalty falls to it by steps of `JUMP`, each roughly solved, from one that
    leaves out nearly all columns. The history begins with the penalty that was asked for.
    """
    theta = problem.objective.start()
    if problem.objective.size <= SMALL:
        return first_round(problem, theta, cold=True)
    evaluation = problem.objective.evaluate(theta)  # which has no weight for a penalty
    slopes = problem.log_loss_slopes(evaluation, theta)[:, :-1]
    reach = float((np.abs(slopes) / problem.kappa[:-1]).max())
    jumps = math.ceil(math.log(reach) / math.log(JUMP)) - 1 if reach > WEAK else 0
    nearer = problem.with_strength(problem.C / JUMP**jumps)
    found = open_first(nearer, theta, evaluation)
    for k in reversed(range(jumps)):
        found = solve_roughly(nearer, found)
        later = problem.with_strength(problem.C / JUMP**k)
        found = replace(follow(nearer, found, later, later.C), passes=found.passes)
        nearer = later
    return found


def solve_roughly(problem: Penalised, found: Round) -> Round:
    """Rounds until F is about a hundredth above its minimum, or a new working set moves nothing."""
    for k in range(MOST_ROUNDS):
        until = math.sqrt(2 * ROUGH * problem.value(found.evaluation, found.theta))
        state = descend(found.part, found.state, until)
        passes = found.passes + 1
        found = look(problem, found.part, state, found, passes, found.history)
        outside = violations(problem, found)
        settled = state.stuck or (k > 0 and state.steps == 0)
        if settled or potential(problem, found, outside) <= until**2:
            break
        found = widen(problem, found, outside)
    return replace(found, passes=found.passes + found.state.passes)


def follow(problem: Penalised, found: Round, later: Penalised, next_C: float) -> Round:
    """The first round under another strength, from the end of the one before.

    On wide tables a new working set is opened when a column outside exceeds its new penalty. It
    holds those whose slopes would have to change faster than their penalty to stay at 0 (the
    sequential strong rule of Tibshirani et al., JRSS B 74, 2012) as far as to `next_C`, so that it
    serves more than once. What the rule leaves out wrongly the passes over all columns bring back.
    """
    evaluation = rebase_evaluation(problem, found, later)
    dual = duality.know_nothing(later)
    if found.columns is None:
        state = rebase(problem, found.state, later)
        return Round(found.theta, evaluation, None, later, state, dual)
    over = steepness(later, evaluation, found.theta)
    if (over > 0)[find_outside(later, found)].any():
        above = steepness(problem, evaluation, found.theta) + expected_rise(problem, next_C)
        share = SHARE_APPLIED if is_applied(found.part) else SHARE_NEXT
        columns = join_columns(found.theta, above, FIRST_NEXT, share)
        return open_columns(later, found.theta, columns, evaluation, dual, 0, ())
    part = found.part.with_strength(later.C)
    state = rebase(found.part, found.state, part)
    return Round(found.theta, evaluation, found.columns, part, state, dual)


def expected_rise(problem: Penalised, C: float) -> Array:
    """How far slopes may rise over the penalty on the way to C, (p,): as fast as it falls."""
    return np.asarray(2 * problem.kappa[:-1] * (1 - problem.C / C))


def steepness(problem: Penalised, evaluation: Evaluation, theta: Array) -> Array:
    """By how much each column's slope exceeds its L1 penalty, (p,); below 0 where it does not."""
    slopes = problem.log_loss_slopes(evaluation, theta)[:, :-1]
    return np.asarray(np.abs(slopes).max(axis=0) - problem.kappa[:-1])


def join_steepest(problem: Penalised, theta: Array, above: Array) -> Array:
    """The columns of a working set at one strength."""
    if math.isfinite(problem.objective.C) and is_applied(problem):
        return join_columns(theta, above, FIRST_RIDGE, SHARE_RIDGE)
    return join_columns(theta, above, FIRST, SHARE)


def join_columns(theta: Array, above: Array, first: int, share: float) -> Array:
    """The columns that are not 0, and of the steepest with `above` over 0 a share as many."""
    held = (theta[:, :-1] != 0).any(axis=0)
    most = max(first, int(share * held.sum()))
    joining = np.argsort(np.where(held, np.inf, -above), kind="stable")[:most]
    return np.union1d(np.flatnonzero(held), joining[(above[joining] > 0) & ~held[joining]])


def rebase_evaluation(problem: Penalised, found: Round, later: Penalised) -> Evaluation:
    """The evaluation over all columns under another strength: no pass."""
    raised = later.objective.penalty - problem.objective.penalty
    more = raised * found.theta
    return replace(
        found.evaluation,
        value=found.evaluation.value + 0.5 * (more * found.theta).sum(),
        gradient=found.evaluation.gradient + more.reshape(1, -1),
    )


def first_round(problem: Penalised, theta: Array, cold: bool) -> Round:
    """Look at the start: all columns at once where they are few."""
    if problem.objective.size <= SMALL:
        state = begin_from_sample(problem, theta, cold)
        return look(problem, problem, state, None, 0, ())
    return open_first(problem, theta, problem.objective.evaluate(theta))


def open_first(problem: Penalised, theta: Array, evaluation: Evaluation) -> Round:
    """A round over the steepest columns at theta."""
    dual = duality.know_nothing(problem)
    columns = join_steepest(problem, theta, steepness(problem, evaluation, theta))
    return open_columns(problem, theta, columns, evaluation, dual, 1, ())


def open_columns(
    problem: Penalised,
    theta: Array,
    columns: Array,
    evaluation: Evaluation,
    dual: Dual,
    passes: int,
    history: tuple[Progress, ...],
) -> Round:
    """A round over a new working set."""
    part = problem.over(columns)
    state = begin(part, theta[:, np.append(columns, theta.shape[1] - 1)])
    return Round(theta, evaluation, columns, part, state, dual, passes=passes, history=history)


def proceed(problem: Penalised, found: Round, tol: float, watch: Watch | None = None) -> Round:
    """Rounds until the end is proved, or float64 allows no more."""
    watch = watch or (lambda progress: None)
    near = provable(found, tol)
    until = first_until(problem, found, near)
    for _ in range(MOST_ROUNDS):
        state = descend(found.part, found.state, until)
        passes = found.passes + (0 if found.columns is None else 1)
        found = look(problem, found.part, state, found, passes, found.history)
        watch(found.history[-1])
        outside = violations(problem, found)
        if outside.any() and state.decrement <= near:
            outside[outside <= left_inside(problem, found)] = 0
        if outside.any():
            found = widen(problem, found, outside)
            until = max(NEAR * math.sqrt(potential(problem, found, outside)), 0.1 * tol)
            continue
        if state.decrement <= near:
            found = prove(problem, found, tol)
            if is_proved(problem, found, tol):
                return replace(found, status="optimal")
        if found.state.stuck or until < 1e-15:
            good = found.gap <= 1e-6 * abs(problem.value(found.evaluation, found.theta))
            return replace(found, status="rounding" if good else "stalled")
        until = nearer(problem, found, min(until, state.decrement))
        if state.decrement > near:  # a proof is tried before
            until = max(until, 0.1 * tol)
    return replace(found, status="stalled")


def provable(found: Round, tol: float) -> float:
    """The decrement that may prove the distance `tol`: by a part of the rows, as much less."""
    few = found.state.part
    if few is None:
        return tol
    share = few.objective.rows.n_rows / found.part.objective.rows.n_rows
    return math.sqrt(share) * tol


def nearer(problem: Penalised, found: Round, decrement: float) -> float:
    """The decrement to go on to: a dual gap shrinks like the decrement, not like its square."""
    wanted = RELATIVE_GAP * problem.value(found.evaluation, found.theta)
    share = wanted / found.gap if found.point is None and math.isfinite(found.gap) else 1.0
    return 0.3 * decrement * min(max(share, 1e-6), 0.3)


def first_until(problem: Penalised, found: Round, tol: float) -> float:
    """How near the first working set is to be solved: as near as what stands outside allows."""
    outside = violations(problem, found)
    return max(tol, NEAR * math.sqrt(potential(problem, found, outside)))


def look(
    problem: Penalised,
    part: Penalised,
    state: State,
    before: Round | None,
    passes: int,
    history: tuple[Progress, ...],
) -> Round:
    """Where the steps have led, seen over all columns: a pass, where not all take part."""
    columns = None if before is None else before.columns
    theta, evaluation = state.theta, state.evaluation
    if columns is not None and before is not None:
        theta = np.zeros_like(before.theta)
        theta[:, np.append(columns, theta.shape[1] - 1)] = state.theta
        evaluation = problem.objective.evaluate(theta)
    dual = duality.measure(problem, evaluation, theta)
    progress = Progress(
        len(history),
        float(evaluation.loss[0]) / problem.objective.where.weight,
        problem.value(evaluation, theta),
        math.inf,
        state.length,
    )
    history = (*history, progress)
    return Round(theta, evaluation, columns, part, state, dual, passes=passes, history=history)


def violations(problem: Penalised, found: Round) -> Array:
    """By how much each column outside the working set exceeds its L1 penalty, (p,)."""
    if found.columns is None:
        return np.zeros(problem.objective.width - 1)
    over = np.maximum(steepness(problem, found.evaluation, found.theta), 0)
    over[found.columns] = 0
    return np.asarray(over)


def left_inside(problem: Penalised, found: Round) -> float:
    """The largest slope that is left over in the working set.

    No column outside is worth opening another for less: one equal to a column inside is as steep.
    """
    slopes = problem.objective.by_output(found.evaluation.gradient)
    left = subgradient(problem, slopes, found.theta)[:, found.columns]
    return float(np.abs(left).max(initial=0.0))


def potential(problem: Penalised, found: Round, outside: Array) -> float:
    """About the squared decrement that the columns outside would bring."""
    if not outside.any():
        return 0.0
    curved = diagonal(found.state.H)
    return float(np.square(outside).sum() / max(float(np.median(curved)), 1e-300))


def widen(problem: Penalised, found: Round, outside: Array) -> Round:
    """Let the columns join that exceed their penalty most; those that are 0 and idle leave."""
    columns = join_steepest(problem, found.theta, outside)
    passes = found.passes + found.state.passes
    return open_columns(
        problem, found.theta, columns, found.evaluation, found.dual, passes, found.history
    )
