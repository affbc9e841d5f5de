"""Fits for one C after another on a table that fits in cache: the same path, without the machinery.

The standardised table is made once; a value of C then takes about two Hessians and the rows'
leverage from the last one's factor. Whatever is not plain sailing is left to the general path.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from onelayer.loss import Loss
from onelayer.network import margin_slopes
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import direct
from onelayer.solvers.direct import Point, Problem
from onelayer.strength.leave_one_out import (
    HOPELESS,
    LeftOut,
    find_far_rows,
    refit_far_rows,
    step_out,
)
from onelayer.strength.path import (
    MOST_STEPS,
    NEAR,
    Path,
    Start,
    find_start,
    lay_out,
    share_rows,
)
from onelayer.strength.scale import find_extremes, to_range

Array = NDArray[Any]


class SmallPath:
    """What `Path` is, for one sigmoid output over few dense rows.

    Parameters
    ----------
    problem: the rows at C = 1.
    rows, loss, fit_intercept, copies: as for `Path`.
    """

    method = Path.method

    def __init__(
        self, problem: Problem, rows: MemoryRows, loss: Loss, fit_intercept: bool, copies: Array
    ) -> None:
        self.problem, self.rows, self.loss = problem, rows, loss
        self.fit_intercept, self.copies = fit_intercept, copies
        self.losses: dict[float, float] = {}
        self.starts: dict[float, Start] = {}
        self._held = np.minimum(rows.block.weights, copies)
        self._shares = share_rows(rows.block, loss, copies, fit_intercept)
        self._general: Path | None = None

    def find_range(self) -> tuple[float, float]:
        """The least and largest log10 C worth a try."""
        problem, p = self.problem, len(self.problem.spread)
        with np.errstate(all="ignore"):
            bias = direct.start_at(problem, self.fit_intercept, None)[-1]
            base = 1 / (1 + np.exp(-bias)) if self.fit_intercept else 0.5
        columns = problem.A[:p] * problem.spread[:, None]
        return to_range(*find_extremes(base * (1 - base) * (columns * problem.s) @ columns.T))

    def loss_at(self, C: float) -> float:
        """Fit at `C`, from the fit of the nearest C so far, and leave each row out in turn."""
        problem = replace(self.problem, ridge=self.problem.ridge / C)
        with np.errstate(all="ignore"):  # what goes wrong shows in the numbers, and ends it here
            point = self._approach(problem, C)
            found = None if point is None else _leave_out(problem, point, self._held)
        if point is None or found is None or not np.isfinite(found.loss).all():
            return self._to_general().loss_at(C)
        theta = point.theta - point.direction
        best = min(self.losses.values(), default=np.inf)
        self.starts[C] = direct.to_parameters(problem, theta, self.fit_intercept)
        if (found.loss * self._shares).sum() <= HOPELESS * best:
            self._refit(C, found)
        self.losses[C] = float((found.loss * self._shares).sum())
        return self.losses[C]

    def _approach(self, problem: Problem, C: float) -> Point | None:
        """Full Newton steps until the optimum is proved near; None where one does not lower it."""
        start = direct.start_at(problem, self.fit_intercept, find_start(self.starts, C))
        point = direct.measure(problem, start)
        for _ in range(MOST_STEPS):
            if point is None or point.rho <= NEAR:
                break
            after = direct.measure(problem, point.theta - point.direction)
            point = after if direct.lowers(point, after) else None
        return point

    def _refit(self, C: float, found: LeftOut) -> None:
        if len(find_far_rows(found, 0, self.rows.block.weights)):
            objective = self._to_general().objective_at(C)
            theta = objective.where.from_parameters(*self.starts[C])
            refit_far_rows(objective, theta, self._held, found)

    def _to_general(self) -> Path:
        """The general path, which goes on from the same fits."""
        if self._general is None:
            objective = lay_out(self.rows, self.loss, self.fit_intercept)
            self._general = Path(objective, self.copies)
            self._general.losses, self._general.starts = self.losses, self.starts
        return self._general


def start_small(
    rows: MemoryRows, loss: Loss, fit_intercept: bool, copies: Array
) -> SmallPath | None:
    """The path of a small table; None where the rows are no such table."""
    if not direct.suits(rows, loss) or not 0 < rows.n_columns < rows.n_rows:
        return None
    with np.errstate(all="ignore"):
        problem = direct.standardise(rows, 1.0, fit_intercept, NEAR)
    return None if problem is None else SmallPath(problem, rows, loss, fit_intercept, copies)


def _leave_out(problem: Problem, point: Point, held: Array) -> LeftOut:
    """One Newton step for every row without its weight `held`, from the factor of the point."""
    root, _ = lapack.dtrtri(point.factor, lower=1)
    turned = np.matmul(np.tril(root), problem.A, out=problem.scratch)
    leverage = np.einsum("ij,ij->j", turned, turned)
    both = np.stack([point.theta, point.direction]) @ problem.A
    q, r = point.curvature / problem.s, -problem.sign * point.miss / problem.s
    out, decrement, reach = step_out(both[0], both[1], q, r, leverage, held)
    loss, _ = margin_slopes(problem.sign * out)
    return LeftOut(loss[None], decrement[None], reach[None])
