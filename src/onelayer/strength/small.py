"""Fits for one C after another on a table that fits in cache: the same path, without the machinery.

The standardised table is made once; a value of C begins with the step that the nearest one's
Hessian gives, and takes one or two of its own and the rows' leverage from the last. Whatever is not
plain sailing is left to the general path.
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from onelayer.features.dense import DenseFeatures
from onelayer.loss import Loss, SigmoidLoss
from onelayer.network import margin_slopes
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import direct
from onelayer.solvers.direct import Base, Point, Problem
from onelayer.strength.bend import bend, fit_without
from onelayer.strength.leave_one_out import (
    HOPELESS,
    REFIT_WORK,
    LeftOut,
    find_far_rows,
    step_out,
)
from onelayer.strength.path import (
    MOST_STEPS,
    NEAR,
    Path,
    Start,
    find_nearest,
    lay_out,
    share_rows,
)
from onelayer.strength.scale import find_extremes, to_range

Array = NDArray[Any]

MORE_BENT = 16  # rows than parameters, at most: their bends cost less than a fit
FELT = 1e-5  # of the mean loss: doubts are a tenth of what they stand for


class Fit(NamedTuple):
    """What is kept of the fit at one C, as a `Point` has it."""

    theta: Array
    value: float
    direction: Array
    factor: Array


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
        self._fits: dict[float, Fit] = {}
        self._lower = np.tri(len(problem.ridge))
        self._held = np.minimum(rows.block.weights, copies)
        self._shares = share_rows(rows.block, loss, copies, fit_intercept)
        self._general: Path | None = None

    def find_range(self) -> tuple[float, float]:
        """The least and largest log10 C worth a try."""
        problem, p = self.problem, len(self.problem.spread)
        with np.errstate(all="ignore"):
            bias = direct.start_at(problem, self.fit_intercept, None)[-1]
            base = 1 / (1 + np.exp(-bias)) if self.fit_intercept else 0.5
        half = np.multiply(problem.A[:p], np.sqrt(problem.s), out=problem.scratch[:p])
        squares = half @ half.T * problem.spread * problem.spread[:, None]
        return to_range(*find_extremes(base * (1 - base) * squares))

    @property
    def starts(self) -> dict[float, Start]:
        """C -> W and b of its fit."""
        own = {
            C: direct.to_parameters(self.problem, fit.theta - fit.direction, self.fit_intercept)
            for C, fit in self._fits.items()
        }
        return own if self._general is None else {**own, **self._general.starts}

    def loss_at(self, C: float) -> float:
        """Fit at `C`, from the fit of the nearest C so far, and leave each row out in turn."""
        problem = self._problem_at(C)
        with np.errstate(all="ignore"):  # what goes wrong shows in the numbers, and ends it here
            point = self._approach(problem, C)
            found = None if point is None else _leave_out(problem, point, self._held, self._lower)
            if point is None or found is None or not np.isfinite(found.loss).all():
                return self._to_general().loss_at(C)
            self._fits[C] = Fit(point.theta, point.value, point.direction, point.factor)
            best = min(self.losses.values(), default=np.inf)
            if self._mean(found) <= HOPELESS * best:
                self._correct(problem, point, found)
        self.losses[C] = self._mean(found)
        return self.losses[C]

    def _mean(self, found: LeftOut) -> float:
        return float((found.loss * self._shares).sum())

    def _problem_at(self, C: float) -> Problem:
        return self.problem._replace(ridge=self.problem.ridge / C)

    def _approach(self, problem: Problem, C: float) -> Point | None:
        """Newton steps until the optimum is proved near; None where float64 can't tell the way."""
        nearest = find_nearest(self._fits, C)
        if nearest is None:
            point = direct.measure(problem, direct.start_at(problem, self.fit_intercept, None))
        else:
            before = self._problem_at(nearest).ridge
            root = self._fits[nearest].factor * self._lower
            base = _change_penalty(self._fits[nearest], root, problem.ridge - before)
            point = None if base is None else _step(problem, base)
        for _ in range(MOST_STEPS):
            if point is None or point.rho <= NEAR:
                break
            point = _step(problem, point)
        return point

    def _correct(self, problem: Problem, point: Point, found: LeftOut) -> None:
        """Bend the step of rows that pull hard; fit exactly where the mean would feel the rest."""
        far = find_far_rows(found, 0, self.rows.block.weights)[: len(point.theta) + MORE_BENT]
        if not len(far):
            return
        bent = bend(problem, point, far, self._held[far])
        found.loss[0, far] = bent.loss
        chosen = self._find_doubtful(problem, self._shares[0, far] * bent.doubt, self._mean(found))
        if len(chosen):
            rows = far[chosen]
            try:
                fitted = fit_without(problem, bent.theta[chosen], rows, self._held[rows])
            except np.linalg.LinAlgError:  # without a row there is no curvature: the step stands
                return
            found.loss[0, rows] = np.where(np.isfinite(fitted), fitted, found.loss[0, rows])

    def _find_doubtful(self, problem: Problem, doubts: Array, mean: float) -> NDArray[np.intp]:
        """Those to fit, the most doubtful first, until the others' doubts are not felt."""
        order = np.argsort(-doubts, kind="stable")
        rest = np.cumsum(doubts[order][::-1])[::-1]
        most = int(REFIT_WORK // (problem.A.size * len(problem.ridge)))
        return order[rest > FELT * mean][:most]

    def _to_general(self) -> Path:
        """The general path, which goes on from the same fits."""
        if self._general is None:
            objective = lay_out(self.rows, self.loss, self.fit_intercept)
            self._general = Path(objective, self.copies)
            self._general.losses, self._general.starts = self.losses, dict(self.starts)
        return self._general


def start_small(
    rows: MemoryRows, loss: Loss, fit_intercept: bool, copies: Array
) -> SmallPath | None:
    """The path of a small table; None where the rows are no such table."""
    one = isinstance(loss, SigmoidLoss) and loss.n_outputs == 1
    rows = _spread_out(rows) if one else rows
    if not direct.suits(rows, loss) or not 0 < rows.n_columns < rows.n_rows:
        return None
    with np.errstate(all="ignore"):
        problem = direct.standardise(rows, 1.0, fit_intercept, NEAR)
    return None if problem is None else SmallPath(problem, rows, loss, fit_intercept, copies)


def _spread_out(rows: MemoryRows) -> MemoryRows:
    """Few rows of another layout as dense ones: the same numbers choose the same C."""
    block, p = rows.block, rows.n_columns
    if not direct.is_small(rows) or isinstance(block.features, DenseFeatures):
        return rows
    X = np.ascontiguousarray(block.features.linear(np.eye(p)).T)
    return MemoryRows(replace(block, features=DenseFeatures(X)), rows.n_jobs)


def _change_penalty(fit: Fit, root: Array, more: Array) -> Base | None:
    """The Newton step from a fit, `root` its factor's lower half, under so much more penalty: no
    look at the rows."""
    H = root.dot(root.T)
    H.ravel()[:: len(H) + 1] += more
    slope = root.dot(root.T.dot(fit.direction)) + more * fit.theta
    _, direction, failed = lapack.dposv(H, slope, lower=1)
    squared = blas.ddot(slope, direction)
    if failed or not math.isfinite(squared):
        return None
    value = fit.value + 0.5 * blas.ddot(more, np.square(fit.theta))
    return Base(fit.theta, value, direction, math.sqrt(max(squared, 0.0)))


def _step(problem: Problem, point: Base | Point) -> Point | None:
    """A bent or full step, or one of length log(1 + R) / R, R the largest move of a logit: it
    descends."""
    moves = (point.direction,) if isinstance(point, Base) else direct.find_moves(problem, point)
    for move in moves:
        after = direct.measure(problem, point.theta - move)
        if direct.lowers(point, after):
            return after
    R = float(np.abs(point.direction @ problem.A).max())
    after = direct.measure(problem, point.theta - np.log1p(R) / R * point.direction)
    return after if after is not None and after.value < point.value else None


def _leave_out(problem: Problem, point: Point, held: Array, lower: Array) -> LeftOut:
    """One Newton step for every row without its weight `held`, from the factor of the point."""
    root, _ = lapack.dtrtri(point.factor, lower=1)
    root *= lower
    turned = np.matmul(root, problem.A, out=problem.scratch)
    leverage = np.einsum("ij,ij->j", turned, turned)
    q, r = point.curvature / problem.s, -problem.sign * point.miss / problem.s
    out, decrement, reach = step_out(
        -problem.sign * point.turned, point.moved, q, r, leverage, held
    )
    loss, _ = margin_slopes(problem.sign * out)
    return LeftOut(loss[None], decrement[None], reach[None])
