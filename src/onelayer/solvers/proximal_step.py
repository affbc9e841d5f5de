"""Steps of proximal Newton on one problem: aim at the minimum of a parabola plus L1, search, learn.

The parabola's curvature is the Hessian where that is cheap. Where a pass for the Hessian costs many
for the gradient, it is kept over the steps, bent to what each step has shown (BFGS), and taken
anew only when the steps stop shrinking. Long tables take it from a random tenth of their rows.
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.objective import Evaluation
from onelayer.solvers.corners import minimise
from onelayer.solvers.costs import FACTOR_FLOPS
from onelayer.solvers.leap import bend, discriminate
from onelayer.solvers.penalised import Penalised, shift_classes
from onelayer.solvers.rows_hessian import RowsHessian, look
from onelayer.solvers.sample import Sample, draw_sample, thin
from onelayer.solvers.support import pin_biases, slope_rounding

Array = NDArray[Any]

SAMPLE_SHARE = 10
ROWS_PER_PARAMETER = 20  # with fewer rows than this a parameter, a sample is a poor guide
LARGEST_SUMMED, FEW_SUMMED = 600, 200  # parameters whose Hessian is summed; with an L2 part
SHARP = 0.05  # of the decrement is left by a step with a Hessian of its own, until one has shown
TELLING = 100  # times rounding: a change of the slopes that bends the Hessian is above this
SHORTEST = 1e-9
PATIENCE = 4  # steps in a row that neither gain nor shrink
MOST_STEPS = 500  # each step gains, so this is met only where float64 itself gives way
LEVEL = 1e-13  # share of the objective that rounding may add to it along a step

# Seconds on one core, measured in orders of magnitude: a pass, its rows, their values; a product of
# two values of a row in a dense Hessian, in one of many columns, and in a sparse one; a place
PASS, ROW, VALUE, DENSE, DENSE_WIDE, SPARSE = 2e-4, 2e-8, 2e-9, 1e-10, 3e-11, 5e-9
FILL = 3e-9
PRODUCTS, FEW_PRODUCTS = 60, 15  # that a step takes where the Hessian is applied; with an L2 part


class State(NamedTuple):
    """Where the steps stand.

    Attributes
    ----------
    theta: (n_outputs, p + 1). evaluation: there. H: (D, D), the parabola's curvature, summed or
        applied.
    exact: whether H is the Hessian at theta.
    target: where the parabola plus L1 is least. decrement: |target - theta| in the norm of H.
    stuck: no step lowers F any more. passes, steps: taken. length: of the last step.
    part: the problem over some of the rows, whose Hessian is a part of the whole's; or None.
    idle: steps in a row that gained nothing that float64 can tell and did not halve the decrement.
    summed: whether H is to be summed after all, as one that is applied has led no further.
    fresh: whether the last step was taken with a Hessian of its own. sharp: what share of the
        decrement such a step leaves.
    base: where the last Hessian of all these rows was summed, and that Hessian.
    """

    theta: Array
    evaluation: Evaluation
    H: Array | RowsHessian
    exact: bool
    target: Array
    decrement: float = math.inf
    stuck: bool = False
    passes: int = 0
    steps: int = 0
    length: float = 0.0
    part: Penalised | None = None
    idle: int = 0
    summed: bool = False
    fresh: bool = False
    sharp: float = SHARP
    base: tuple[Array, Array] | None = None


def begin(problem: Penalised, theta: Array) -> State:
    """A state at `theta` with the Hessian there: one pass."""
    return take_hessian(problem, State(theta, _no_pass(), np.zeros((0, 0)), False, theta))


def begin_from_sample(problem: Penalised, theta: Array, cold: bool) -> State:
    """The Hessian of a random part of the rows, where that is enough; from its solution if cold."""
    sample = draw_part(problem)
    if sample is None:
        return begin(problem, theta)
    scaled = problem.with_rows(sample.scaled)
    found = _solve_sample(problem, scaled, sample, theta) if cold else begin(scaled, theta)
    if not found.exact:
        found = take_hessian(scaled, found)
    evaluation = problem.objective.evaluate(found.theta)
    state = State(found.theta, evaluation, found.H, False, found.theta, passes=1)
    return state._replace(part=problem.with_rows(sample.plain))


def _solve_sample(problem: Penalised, scaled: Penalised, sample: Sample, theta: Array) -> State:
    """Solve the sample until its own error hides the rest, from the solution of a part of it."""
    few = ROWS_PER_PARAMETER * problem.objective.size
    if sample.scaled.n_rows > 4 * few:
        thinned = problem.with_rows(thin(sample.scaled, few))
        error = problem.objective.rows.n_rows / few
        theta = descend(thinned, begin(thinned, theta), _own_error(problem, error)).theta
    return descend(scaled, begin(scaled, theta), _own_error(problem, sample.scale))


def _own_error(problem: Penalised, scale: float) -> float:
    """The decrement below which the answer of a sample is no nearer to that of all rows."""
    return math.sqrt(0.04 * problem.objective.size * scale)


def rebase(problem: Penalised, state: State, part: Penalised) -> State:
    """The state at the same theta in `part`, the same rows under another strength: no pass."""
    theta, n = state.theta, problem.objective.n_outputs
    raised = part.objective.penalty - problem.objective.penalty
    evaluation = replace(
        state.evaluation,
        value=state.evaluation.value + 0.5 * (raised * np.square(theta)).sum(),
        gradient=state.evaluation.gradient + (raised * theta).reshape(1, -1),
    )
    more = np.tile(raised, n)
    return State(
        theta,
        evaluation,
        _raise(state.H, part, more),
        state.exact,
        theta,
        part=None if state.part is None else state.part.with_strength(part.C),
        base=state.base and (state.base[0], state.base[1] + np.diag(more)),
    )


def _raise(H: Array | RowsHessian, part: Penalised, raised: Array) -> Array | RowsHessian:
    """The Hessian of `part`, with as much more penalty."""
    return H.under(part.objective) if isinstance(H, RowsHessian) else H + np.diag(raised)


def draw_part(problem: Penalised) -> Sample | None:
    """A sample of the rows where its Hessian is a guide to that of all, and saves time."""
    rows = problem.objective.rows
    few = rows.n_rows // SAMPLE_SHARE < ROWS_PER_PARAMETER * problem.objective.size
    return None if few or is_cheap(problem) else draw_sample(rows, problem.objective.loss)


def is_cheap(problem: Penalised) -> bool:
    """Whether a Hessian costs little beside the pass that it is taken in."""
    return price_hessian(problem) < 1


def price_hessian(problem: Penalised, held: int = 0) -> float:
    """What a Hessian costs, in passes for the gradient, each with a factor of `held` columns."""
    objective = problem.objective
    features = objective.rows.block.features
    n, values, k = objective.rows.n_rows, features.row_values, objective.n_outputs
    pairs = k * (k + 1) / 2
    squares = min(SPARSE * values**2, DENSE * features.n_columns**2)
    seconds = n * pairs * squares + FILL * objective.size**2
    return float(seconds / (time_pass(problem) + held**3 / 3 / FACTOR_FLOPS))


def is_applied(problem: Penalised) -> bool:
    """Whether the Hessian is applied: a sum over sparse rows and its factor would take longer.

    An L2 part bounds how many products that takes. Along what a softmax's classes share nothing
    does.
    """
    objective = problem.objective
    bounded = math.isfinite(objective.C)
    least, products = (FEW_SUMMED, FEW_PRODUCTS) if bounded else (LARGEST_SUMMED, PRODUCTS)
    in_memory = isinstance(objective.rows.block, Block)
    if objective.size <= least or objective.n_outputs > 1 or not in_memory:
        return False
    features = objective.rows.block.features
    pairs, size = SPARSE * features.row_values**2, objective.size
    summed = objective.rows.n_rows * pairs + FILL * size**2 + size**3 / 3 / FACTOR_FLOPS
    is_sparse = pairs < DENSE_WIDE * features.n_columns**2
    return is_sparse and summed > products * time_pass(problem)


def time_pass(problem: Penalised) -> float:
    """Seconds that a pass takes, in orders of magnitude."""
    rows = problem.objective.rows
    each = ROW + VALUE * rows.block.features.row_values
    return PASS + rows.n_rows * each * problem.objective.n_outputs


def descend(problem: Penalised, state: State, until: float) -> State:
    """Step until the decrement is at most `until`, or no step lowers F any more."""
    if not math.isfinite(state.decrement):
        state = aim(problem, state, until)
    while state.decrement > until:
        if state.stuck and not isinstance(state.H, RowsHessian):
            break
        if state.stuck:
            state = take_hessian(problem, state._replace(stuck=False, idle=0, summed=True))
        else:
            state = move(problem, state)
        if not state.stuck:
            state = aim(problem, state, until)
    return state


def aim(problem: Penalised, state: State, until: float = 0.0) -> State:
    """Find the target; with a Hessian of its own where that saves passes on the way to `until`."""
    before, sharp = state.decrement, state.sharp
    found = _aim(problem, state)
    if state.fresh and math.isfinite(before):
        sharp = min(max(found.decrement / before, SHARP), 1.0)
    if not state.exact and is_poor(problem, before, found._replace(sharp=sharp), until):
        found = _aim(problem, take_hessian(problem, state))
    idle = 0 if found.decrement <= 0.5 * before else state.idle
    stuck = idle >= PATIENCE or state.steps >= MOST_STEPS
    return found._replace(idle=idle, stuck=stuck, sharp=sharp)


def is_poor(problem: Penalised, before: float, found: State, until: float) -> bool:
    """Whether steps that shrink like the last one take longer than a Hessian and sharper steps."""
    if found.decrement == 0:
        return False
    if not found.decrement < before:
        return True
    further = math.log(max(found.decrement / max(until, 1e-15), 1.0))
    own = further / math.log(before / found.decrement)
    price = price_hessian(problem, int(np.count_nonzero(found.target)))
    return found.sharp < 1 and own > price - further / math.log(found.sharp)


def _aim(problem: Penalised, state: State) -> State:
    kappa = np.tile(problem.kappa, problem.objective.n_outputs)
    theta = state.theta.ravel()
    target = minimise(state.H, state.evaluation.gradient[0], kappa, theta)
    d = target - theta
    curved = float(d @ (state.H @ d))
    # A Hessian that was bent, and no longer curves upwards, says nothing of how far the end is.
    decrement = math.inf if curved < 0 and not state.exact else math.sqrt(max(curved, 0.0))
    return state._replace(target=target.reshape(state.theta.shape), decrement=decrement)


def take_hessian(problem: Penalised, state: State) -> State:
    """The Hessian at theta: one pass."""
    unaimed = state._replace(decrement=math.inf)
    if is_applied(problem) and not state.summed:
        evaluation, H = look(problem.objective, state.theta)
        passes = state.passes + 1
        return unaimed._replace(evaluation=evaluation, H=H, exact=True, passes=passes)
    evaluation = problem.objective.evaluate(state.theta, hessian=True)
    return _with_hessian(problem, unaimed._replace(evaluation=evaluation, passes=state.passes + 1))


def _with_hessian(problem: Penalised, state: State) -> State:
    assert state.evaluation.hessian is not None
    H = pin_biases(problem, state.evaluation.hessian[0])
    evaluation = replace(state.evaluation, hessian=None)
    return state._replace(evaluation=evaluation, H=H, exact=True, base=(state.theta, H))


def move(problem: Penalised, state: State) -> State:
    """A step towards the target that lowers F, halved as often as needed."""
    cheap = is_cheap(problem) and not isinstance(state.H, RowsHessian)
    kappa = problem.kappa
    d = state.target - state.theta
    value = problem.value(state.evaluation, state.theta)
    gained = float((kappa * (np.abs(state.target) - np.abs(state.theta))).sum())
    slope = float((problem.objective.by_output(state.evaluation.gradient) * d).sum()) + gained
    length, passes, leap = 1.0, state.passes, find_leap(problem, state)
    while length > SHORTEST:
        theta = state.target if length == 1 else state.theta + length * d
        theta = shift_classes(problem, theta) if leap is None else leap
        with np.errstate(over="ignore", invalid="ignore"):  # far too long a step is no step
            evaluation = problem.objective.evaluate(theta, hessian=cheap)
            after = problem.value(evaluation, theta)
        passes += 1
        if after <= value + max(1e-4 * length * slope, LEVEL * abs(value) * (length == 1)):
            idle = state.idle + 1 if after > value - LEVEL * abs(value) else 0
            moved = state._replace(passes=passes, steps=state.steps + 1, length=length, idle=idle)
            moved = moved._replace(fresh=state.exact)
            return _arrive(problem, moved, theta, evaluation)
        if leap is None:
            length *= _shorten(value, after, slope, evaluation, d, gained, length)
        leap = None
    if state.exact:
        return state._replace(passes=passes, stuck=True)
    return take_hessian(problem, state._replace(passes=passes))


def find_leap(problem: Penalised, state: State) -> Array | None:
    """A point that is likely nearer the end than the target; None where there is none."""
    if not state.exact or isinstance(state.H, RowsHessian):
        return None
    if not state.theta[:, :-1].any():
        return discriminate(problem, state.theta, state.target, state.decrement)
    return bend(problem, state.evaluation, state.H, state.theta, state.target)


def _shorten(
    value: float,
    after: float,
    slope: float,
    evaluation: Evaluation,
    d: Array,
    gained: float,
    length: float,
) -> float:
    """Where the tangents at both ends meet, as a share of the length, kept in [0.1, 0.5]."""
    end = float(evaluation.gradient[0] @ d.ravel()) + gained
    if not (math.isfinite(after) and math.isfinite(end) and end > slope):
        return 0.1
    meet = (after - value - end * length) / (slope - end)
    return min(max(meet / length, 0.1), 0.5)


def _arrive(problem: Penalised, state: State, theta: Array, evaluation: Evaluation) -> State:
    """The state at the step's end, with its Hessian or the old one bent to the slopes' change."""
    if isinstance(state.H, RowsHessian):
        return take_hessian(problem, state._replace(theta=theta))
    s = (theta - state.theta).ravel()
    y = evaluation.gradient[0] - state.evaluation.gradient[0]
    state = state._replace(theta=theta, evaluation=evaluation)
    if evaluation.hessian is not None:
        return _with_hessian(problem, state)
    Hs = state.H @ s
    bent, straight = float(s @ y), float(s @ Hs)
    H, noise = state.H, float(np.abs(s) @ slope_rounding(problem, evaluation))
    if 0.05 * straight < bent < 20 * straight and bent > TELLING * noise:
        H = H + np.outer(y, y / bent) - np.outer(Hs, Hs / straight)
    return state._replace(H=H, exact=False)


def _no_pass() -> Evaluation:
    nothing = np.zeros(1)
    return Evaluation(nothing, nothing, nothing[None], nothing, nothing, nothing)
