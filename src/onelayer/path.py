"""Fits along a path of strengths, from a strong penalty to a weak one, each from the one before."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from onelayer.certificate import Certificate
from onelayer.coordinates import measure_columns, shift_rows
from onelayer.errors import InputError
from onelayer.fitting import fit
from onelayer.loss import Loss
from onelayer.network import Array
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import proximal_newton
from onelayer.solvers.penalised import Penalised, split_outputs
from onelayer.solvers.proximal_solution import finish, join
from onelayer.solvers.solution import Solution

RIDGE = (1e-4, 1e4)  # without L1 no strength is the first one that matters
SPAN, WIDE_SPAN = 1e3, 1e2  # strongest over weakest penalty; with more columns than rows
AHEAD = 3  # strengths that a working set is chosen for


@dataclass(frozen=True)
class Path:
    """The solutions for several strengths.

    Attributes
    ----------
    Cs: (k,), ascending: from the strongest penalty to the weakest.
    l1_ratio: share of L1 in the penalty.
    solutions: one `Solution` for each of `Cs`.
    """

    Cs: Array
    l1_ratio: float
    solutions: tuple[Solution, ...]

    @property
    def coefs(self) -> Array:
        """The weights, (k, n_outputs, n_x)."""
        return np.stack([solution.W for solution in self.solutions])

    @property
    def intercepts(self) -> Array:
        """The biases, (k, n_outputs)."""
        return np.stack([solution.b[:, 0] for solution in self.solutions])

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """How far each solution is from its exact optimum."""
        return tuple(solution.certificate for solution in self.solutions)


def fit_path(
    rows: MemoryRows,
    loss: Loss,
    Cs: int | Sequence[float] | Array = 50,
    *,
    l1_ratio: float = 1.0,
    fit_intercept: bool = True,
    tol: float = 1e-4,
) -> Path:
    """Fit for each strength, from the solution for the one before.

    Parameters
    ----------
    rows, loss, fit_intercept, tol: as for `fitting.fit`.
    Cs: the inverse strengths, above 0, in any order; or how many, evenly spaced in their logarithm:
        from the last at which all weights are 0 (`first_strength`) to 1,000 times that (100 times
        with more columns than rows); without L1 from 1e-4 to 1e4.
    l1_ratio: share of L1 in the penalty, 0 to 1.

    Raises
    ------
    InputError: no strength, or one that is not above 0; a share out of its range.
    """
    if not 0 <= l1_ratio <= 1:
        raise InputError(f"l1_ratio is {l1_ratio}, expected a share from 0 to 1")
    if l1_ratio == 0:
        strengths = choose_strengths(Cs, *RIDGE)
        return Path(strengths, 0.0, tuple(_fit_smooth(rows, loss, strengths, fit_intercept, tol)))
    with single_threaded_blas():
        shifted, where = shift_rows(rows, measure_columns(rows, fit_intercept))
        problems = list(split_outputs(shifted, loss, where, 1.0, l1_ratio))
        least = min(first_strength(problem) for problem in problems)
        span = SPAN if rows.n_rows > rows.n_columns else WIDE_SPAN
        strengths = choose_strengths(Cs, least, least * span)
        parts = [list(_follow(problem, strengths, tol)) for problem in problems]
    solutions = [join(list(outputs)) for outputs in zip(*parts, strict=True)]
    return Path(strengths, l1_ratio, tuple(solutions))


def first_strength(problem: Penalised) -> float:
    """The largest C at which every weight is 0; beyond it one is not.

    With all weights 0 the best bias gives each output its base rate. There a column stays at 0 as
    long as its slope does not exceed its penalty, l1_ratio / C in the table's units.
    """
    theta = problem.objective.start()
    slopes = problem.log_loss_slopes(problem.objective.evaluate(theta), theta)[:, :-1]
    steepest = float((np.abs(slopes) * problem.objective.where.spread).max(initial=0.0))
    return problem.l1_ratio / steepest if steepest > 0 else 1.0


def choose_strengths(Cs: int | Sequence[float] | Array, first: float, last: float) -> Array:
    """The strengths asked for, ascending; a number of them between the first and the last."""
    if isinstance(Cs, int | np.integer) and not isinstance(Cs, bool):
        if Cs < 1:
            raise InputError(f"Cs is {Cs}, expected 1 or more strengths")
        return np.geomspace(first, last, int(Cs))
    strengths = np.sort(np.asarray(Cs, dtype=np.float64).ravel())
    if not (len(strengths) and (strengths > 0).all()):
        raise InputError(f"Cs is {Cs!r:.60}, expected a number of strengths, or numbers above 0")
    return strengths


def _fit_smooth(
    rows: MemoryRows, loss: Loss, Cs: Array, fit_intercept: bool, tol: float
) -> Iterator[Solution]:
    start = None
    for C in Cs:
        solution = fit(rows, loss, C=float(C), fit_intercept=fit_intercept, tol=tol, start=start)
        start = solution.W, solution.b
        yield solution


def _follow(problem: Penalised, Cs: Array, tol: float) -> Iterator[Solution]:
    found = None
    for k, C in enumerate(Cs):
        began = time.perf_counter()
        later = problem.with_strength(float(C))
        if found is None:
            found = proximal_newton.first_round(later, later.objective.start(), cold=True)
        else:
            ahead = float(Cs[min(k + AHEAD, len(Cs) - 1)])
            found = proximal_newton.follow(problem, found, later, ahead)
        found = proximal_newton.proceed(later, found, tol)
        problem = later
        yield finish(later, found, time.perf_counter() - began)
