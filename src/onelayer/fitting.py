"""From rows to a solution: coordinates, objective, and the solver that suits them."""

from collections.abc import Callable

import numpy as np

from onelayer.certificate import Certificate, no_certificate
from onelayer.coordinates import measure_columns, plain_coordinates, shift_rows
from onelayer.errors import InputError
from onelayer.loss import Loss
from onelayer.network import Array, initialize_parameters
from onelayer.objective import Objective
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import gradient_descent, newton, newton_cg, sampled_newton
from onelayer.solvers.solution import Progress, Solution

SOLVERS = ("auto", "newton", "newton_cg", "gradient_descent")

# A Hessian of this many parameters takes 20 MB and a second to factor on two cores: beyond it,
# products with vectors are cheaper.
LARGEST_FACTORED = 1500
ENOUGH = 100  # an end by rounding within so many tol is left as it is

Watch = Callable[[Progress], None]


def fit(
    rows: MemoryRows,
    loss: Loss,
    *,
    C: float = 1.0,
    fit_intercept: bool = True,
    solver: str = "auto",
    tol: float = 1e-4,
    learning_rate: float | str = 1.2,
    num_iterations: int = 10,
    draw: Callable[[int, int], Array] | None = None,
    watch: Watch | None = None,
) -> Solution:
    """Minimise sum_i s_i loss_i + |W|^2 / (2 C) over the rows.

    Parameters
    ----------
    rows: features, labels and weights.
    loss: `SigmoidLoss` or `SoftmaxLoss`.
    C: inverse strength of the penalty, above 0; `inf` for none.
    solver: one of `SOLVERS`; "auto" factors the Hessian up to `LARGEST_FACTORED` parameters and
        applies it beyond.
    tol: for the second-order solvers, the largest distance from the optimum in standard errors.
    learning_rate, num_iterations: for gradient descent.
    draw: gives the random start (n_x, n_y) -> W of gradient descent; NumPy's global state if None.
    watch: told the `Progress` after each step.

    Raises
    ------
    InputError: an unknown solver, or a column beyond what float64 can square.
    """
    if solver not in SOLVERS:
        raise InputError(f"solver={solver!r} is unknown: use one of {', '.join(SOLVERS)}")
    with single_threaded_blas():
        first = None
        if solver == "auto" and sampled_newton.suits(rows, loss):
            first = sampled_newton.solve(rows, loss, C, fit_intercept, tol, watch)
            if first is not None and first.status == "optimal":
                return first
        where = measure_columns(rows, fit_intercept)
        shifted, where = shift_rows(rows, where)
        objective = Objective(shifted, loss, C, where)
        if solver == "gradient_descent":
            return _descend(
                rows, objective, learning_rate, num_iterations, draw or _draw_globally, watch
            )
        if solver == "auto":
            if first is None:
                return _solve(objective, tol, watch)
            start = where.from_parameters(first.W, first.b)
            return first.then(_solve(objective, tol, watch, start))
        solve = newton.solve if solver == "newton" else newton_cg.solve
        return solve(objective, tol, watch=watch)


def _solve(
    objective: Objective, tol: float, watch: Watch | None, start: Array | None = None
) -> Solution:
    """Factor the Hessian where it is small; go on without it where the factor sees too little.

    Columns that are equal but for 1e-7 of their size are one column to a sum of their squares.
    Products with the rows still tell them apart.
    """
    if objective.size > LARGEST_FACTORED:
        return newton_cg.solve(objective, tol, start, watch)
    first = newton.solve(objective, tol, start, watch)
    if first.certificate.rho <= ENOUGH * tol or not np.isfinite(objective.C):
        return first
    start = objective.where.from_parameters(first.W, first.b)
    more = newton_cg.solve(objective, tol, start, watch)
    return first if more.certificate.rho > first.certificate.rho else first.then(more)


def _descend(
    rows: MemoryRows,
    measured: Objective,
    learning_rate: float | str,
    num_iterations: int,
    draw: Callable[[int, int], Array],
    watch: Watch | None,
) -> Solution:
    plain = plain_coordinates(rows, not measured.where.frozen[-1])
    objective = Objective(rows, measured.loss, measured.C, plain)
    W = draw(rows.n_columns, measured.n_outputs)
    start = np.column_stack([W, np.zeros(len(W))])

    def certify(theta: Array) -> Certificate:
        if measured.size > LARGEST_FACTORED:
            return no_certificate(f"{measured.size} parameters are too many to factor a Hessian of")
        W, b = theta[:, :-1], theta[:, -1:]
        return newton.certify(measured, measured.where.from_parameters(W, b))

    return gradient_descent.solve(
        objective, start, num_iterations, learning_rate, certify=certify, watch=watch
    )


def _draw_globally(n_x: int, n_y: int) -> Array:
    return initialize_parameters(n_x, n_y)["W"]
