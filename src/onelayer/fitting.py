"""From rows to a solution: coordinates, objective, and the solver that suits them."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from onelayer.blocks import Block
from onelayer.certificate import Certificate, no_certificate
from onelayer.coordinates import Coordinates, measure_columns, plain_coordinates, shift_rows
from onelayer.diagnosis import Case, diagnose, find_separated
from onelayer.errors import InputError
from onelayer.features.mixed import MixedFeatures
from onelayer.loss import Loss, is_even
from onelayer.naming import UNNAMED, Naming
from onelayer.network import Array
from onelayer.objective import Objective
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import (
    costs,
    direct,
    duality,
    extended,
    gradient_descent,
    gram,
    newton,
    newton_cg,
    proximal_newton,
    sampled_newton,
    wide,
)
from onelayer.solvers.descent import Descent
from onelayer.solvers.penalised import split_outputs
from onelayer.solvers.second_order import MESSAGES
from onelayer.solvers.solution import Progress, Solution, is_low, is_settled

SOLVERS = ("auto", "newton", "newton_cg", "gram", "gradient_descent")

# A Hessian of this many parameters takes 20 MB and a second to factor on two cores: beyond it,
# products with vectors are cheaper.
LARGEST_FACTORED = 1500
LARGEST_SUMMED = 12_000  # 1.2 GB, where rows are far away and each further pass over them dear
ENOUGH = 100  # an end by rounding within so many tol is left as it is

Watch = Callable[[Progress], None]
Solve = Callable[[Objective, float, Array | None, Watch | None], Solution]


def fit(
    rows: MemoryRows,
    loss: Loss,
    *,
    C: float = 1.0,
    l1_ratio: float = 0.0,
    fit_intercept: bool = True,
    solver: str = "auto",
    tol: float = 1e-4,
    descent: Descent | None = None,
    watch: Watch | None = None,
    start: tuple[Array, Array] | None = None,
    naming: Naming = UNNAMED,
    remarks: bool = False,
    where: Coordinates | None = None,
) -> Solution:
    """Minimise sum_i s_i loss_i + (1 / C) ((1 - l1_ratio) / 2 |W|^2 + l1_ratio |W|_1).

    Parameters
    ----------
    rows: features, labels and weights.
    loss: `SigmoidLoss` or `SoftmaxLoss`.
    C: inverse strength of the penalty, above 0; `inf` for none.
    l1_ratio: share of the L1 penalty, 0 to 1; above 0 proximal Newton solves, and weights become
        exactly 0.
    solver: one of `SOLVERS`; "auto" factors the Hessian up to `LARGEST_FACTORED` parameters and
        applies it beyond.
    tol: for the second-order solvers, the largest distance from the optimum in standard errors.
    descent: how gradient descent is to go.
    watch: told the `Progress` after each step.
    start: W (n_outputs, n_x) and b (n_outputs, 1) to set out from, in the units of the table: the
        answer of a fit nearby. By default each solver has a start of its own.
    naming: what messages call the columns and rows.
    where: the columns, where they have been measured on all rows already.
    remarks: whether to look, with a penalty too, for separated classes and dependent columns. At
        C=inf they are looked for wherever the steps or the Hessian gave reason to.

    Raises
    ------
    InputError: an unknown solver or one that has no L1 penalty, a column beyond what float64 can
        square, or a start of another shape.
    """
    if solver not in SOLVERS:
        raise InputError(f"solver={solver!r} is unknown: use one of {', '.join(SOLVERS)}")
    if start is not None:
        _check_start(rows, loss, *start)
    rows = _join_categories(_share_weight(rows))
    options = C, l1_ratio, fit_intercept, solver, tol, watch, start, where
    task = _Task(rows, loss, *options, naming, remarks)
    with single_threaded_blas():
        if l1_ratio > 0 and math.isfinite(C):
            found = _fit_corners(task)
        elif solver == "gradient_descent":
            found = _descend(rows, task.measure(), descent or Descent(), watch, start)
        else:
            found = _prove_gap(task, _lengthen(task, _minimise(task)))
        found = diagnose(task.case(), found)
    rows.drawn = None
    return found


def _share_weight(rows: MemoryRows) -> MemoryRows:
    """The same rows, a weight that all of them have stored once: passes need no product with it."""
    if not isinstance(rows.block, Block) or is_even(rows.block.weights):
        return rows
    weights = rows.block.weights
    if not len(weights) or weights[0] == 0 or (weights != weights[0]).any():
        return rows
    return rows.over(replace(rows.block, weights=np.broadcast_to(weights[0], len(weights))))


def _join_categories(rows: MemoryRows) -> MemoryRows:
    """The same rows with their categories joined once, not in every pass."""
    if not isinstance(rows.block, Block) or not isinstance(rows.block.features, MixedFeatures):
        return rows
    whole = MemoryRows(rows.block, rows.n_jobs).borders  # `rows` may be some of them
    joined = rows.block.features.joined(rows.run, whole)
    return rows.over(replace(rows.block, features=joined))


class _Task(NamedTuple):
    """What `fit` was asked for."""

    rows: MemoryRows
    loss: Loss
    C: float
    l1_ratio: float
    fit_intercept: bool
    solver: str
    tol: float
    watch: Watch | None
    start: tuple[Array, Array] | None
    where: Coordinates | None
    naming: Naming
    remarks: bool

    def case(self) -> Case:
        """What a diagnosis needs."""
        given = self.C, self.fit_intercept, self.naming, self.remarks, self.resume
        return Case(self.rows, self.loss, *given)

    def measure(self) -> Objective:
        """The objective in coordinates measured on all rows."""
        return self.place(self.where or measure_columns(self.rows, self.fit_intercept))

    def place(self, where: Coordinates) -> Objective:
        shifted, where = shift_rows(self.rows, where)
        return Objective(shifted, self.loss, self.C, where)

    def resume(self, where: Coordinates, given: tuple[Array, Array]) -> Solution:
        """Solve on from given parameters, in given coordinates."""
        objective = self.place(where)
        solve: Solve = newton.solve if objective.size <= LARGEST_FACTORED else newton_cg.solve
        return solve(objective, self.tol, _place(objective, *given), self.watch)


def _minimise(task: _Task) -> Solution:
    """The short way for small tables, a sample's Hessian for long ones, or the general solvers."""
    rows, loss, start = task.rows, task.loss, task.start
    options = task.C, task.fit_intercept, task.tol, task.watch, start
    if task.solver == "auto" and direct.suits(rows, loss):
        found = direct.solve(rows, *options)
        if found is not None:
            return found
    first = None
    if start is None and _is_wide(task):
        first = wide.solve(rows, loss, *options[:4])
    elif task.solver == "auto" and sampled_newton.suits(rows, loss):
        first = sampled_newton.solve(rows, loss, *options, where=task.where)
    if first is not None and first.status == "optimal":
        return first
    if first is not None and not math.isfinite(task.C):
        # Whole Hessians are dear, and a search says sooner whether there is an optimum to go to.
        first = find_separated(task.case(), first, task.where)
        if first.status == "separated":
            return first
    objective = task.measure()
    if first is not None:
        start = first.W, first.b
    theta = None if start is None else _place(objective, *start)
    found = _SOLVE[task.solver](objective, task.tol, theta, task.watch)
    return found if first is None else first.then(found)


def _lengthen(task: _Task, found: Solution) -> Solution:
    """What float64 has left open of a small table, in longer numbers.

    Without a penalty, columns that depend on each other in float64 may do so there alone.
    """
    open_end = not is_settled(found)
    if not open_end and (math.isfinite(task.C) or not found.may_depend):
        return found
    if found.status in ("separated", "endless"):  # there may be no optimum to go to
        return found
    if task.solver != "auto" or not extended.suits(task.rows, task.loss):
        return found
    options = task.C, task.fit_intercept, task.tol
    more = extended.solve(task.rows, task.loss, *options, (found.W, found.b))
    better = more is not None and (
        more.objective < found.objective or (open_end and more.certificate.proved)
    )
    if more is None or not better:
        return found
    return found.then(more)


def _prove_gap(task: _Task, found: Solution) -> Solution:
    """Where a weak penalty leaves no bound from the Hessian, that of the dual problem."""
    if not math.isfinite(task.C) or found.status not in ("stalled", "rounding") or is_low(found):
        return found
    where = task.where or measure_columns(task.rows, task.fit_intercept)
    rows, where = shift_rows(task.rows, where)
    problems = split_outputs(rows, task.loss, where, task.C, 0.0)
    certificate, b = duality.certify(problems, found.W, found.b)
    proved = replace(found, b=b, certificate=certificate)
    if not proved.certificate.gap < found.certificate.gap:
        return found
    status = "rounding" if is_low(proved) else found.status
    passes = found.passes + duality.BIAS_STEPS + 1
    return replace(proved, status=status, message=MESSAGES[status], passes=passes)


def _is_wide(task: _Task) -> bool:
    """Whether one number a row is the shortest way."""
    rows, k = task.rows, task.loss.n_outputs
    if task.solver not in ("auto", "gram") or not wide.suits(rows, task.loss, task.C):
        return False
    n, p = rows.n_rows, rows.n_columns
    own = min(costs.cost_of_held(n, p, k), costs.cost_of_applied(n, p, k))
    return task.solver == "gram" or own < costs.cost_of_newton_cg(n, p, p, k)


def _fit_corners(task: _Task) -> Solution:
    if task.solver != "auto":
        raise InputError(
            f"solver={task.solver!r} knows no L1 penalty: use solver='auto' with "
            f"l1_ratio={task.l1_ratio}"
        )
    objective = task.measure()
    where = objective.where
    problems = list(split_outputs(objective.rows, task.loss, where, task.C, task.l1_ratio))
    theta = None if task.start is None else _place(objective, *task.start)
    return proximal_newton.solve(problems, task.tol, theta, task.watch)


def _check_start(rows: MemoryRows, loss: Loss, W: Array, b: Array) -> None:
    expected = (loss.n_outputs, rows.n_columns), (loss.n_outputs, 1)
    if (np.shape(W), np.shape(b)) != expected:
        raise InputError(
            f"start has shapes {np.shape(W)} and {np.shape(b)}, expected W and b of "
            f"{expected[0]} and {expected[1]}"
        )
    if not (np.isfinite(W).all() and np.isfinite(b).all()):
        raise InputError("start holds a number that is not finite: begin without it")


def _place(objective: Objective, W: Array, b: Array) -> Array:
    """The start in the objective's coordinates; parameters that move no logit are 0 there."""
    theta = objective.where.from_parameters(np.asarray(W), np.asarray(b))
    theta[:, objective.where.frozen] = 0
    return theta


def _solve(objective: Objective, tol: float, start: Array | None, watch: Watch | None) -> Solution:
    """Factor the Hessian where it is small; go on without it where the factor sees too little.

    Columns that are equal but for 1e-7 of their size are one column to a sum of their squares.
    Products with the rows still tell them apart.
    """
    cheapest = _choose(objective)
    if cheapest is not newton.solve:
        return cheapest(objective, tol, start, watch)
    first = newton.solve(objective, tol, start, watch)
    near = first.certificate.rho <= ENOUGH * tol and is_low(first)
    if near or not np.isfinite(objective.C) or extended.suits(objective.rows, objective.loss):
        return first  # what is left of a small table is for long numbers
    start = objective.where.from_parameters(first.W, first.b)
    more = newton_cg.solve(objective, tol, start, watch)
    return first if more.certificate.rho > first.certificate.rho else first.then(more)


def _choose(objective: Objective) -> Solve:
    """The solver that costs least on this table, of those that can prove its optimum.

    Rows that are not in memory are passed over whole: there the solver of fewest passes is best.

    Without a penalty only a factored Hessian proves anything.
    """
    if extended.suits(objective.rows, objective.loss):
        return newton.solve  # no product is worth saving, and a factor stands more
    n, p, k = objective.rows.n_rows, objective.width - 1, objective.n_outputs
    values = objective.rows.block.features.row_values
    softmax, small = objective.groups < k, objective.size <= LARGEST_FACTORED
    if not isinstance(objective.rows.block, Block):
        _require_factored(objective)
        return newton.solve
    prices: dict[Solve, float] = {}
    if small:
        prices[newton.solve] = costs.cost_of_newton(n, p, values, k, softmax)
    if not small or np.isfinite(objective.C):
        prices[newton_cg.solve] = costs.cost_of_newton_cg(n, p, values, k)
    if gram.is_available(objective):
        prices[gram.solve] = costs.cost_of_gram(n, p, k)
    return min(prices, key=lambda solve: prices[solve])


def _require_factored(objective: Objective) -> None:
    if objective.size > LARGEST_SUMMED:
        raise InputError(
            f"{objective.size:,} parameters hang together, and rows that are not in memory are "
            f"fitted by a Hessian of up to {LARGEST_SUMMED:,}: leave out columns or levels"
        )


_SOLVE = {"auto": _solve, "newton": newton.solve, "newton_cg": newton_cg.solve, "gram": gram.solve}


def _descend(
    rows: MemoryRows,
    measured: Objective,
    descent: Descent,
    watch: Watch | None,
    given: tuple[Array, Array] | None,
) -> Solution:
    plain = plain_coordinates(rows, not measured.where.frozen[-1])
    objective = Objective(rows, measured.loss, measured.C, plain)
    if given is None:
        W = descent.draw(rows.n_columns, measured.n_outputs)
        given = W, np.zeros((len(W), 1))
    start = np.column_stack(given)
    start[:, plain.frozen] = 0

    def certify(theta: Array) -> Certificate:
        if measured.size > LARGEST_FACTORED:
            return no_certificate(f"{measured.size} parameters are too many to factor a Hessian of")
        W, b = theta[:, :-1], theta[:, -1:]
        return newton.certify(measured, measured.where.from_parameters(W, b))

    return gradient_descent.solve(objective, start, descent, certify=certify, watch=watch)
