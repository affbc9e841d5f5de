"""What the fit of a table would be without one of its rows: one Newton step, or the fit itself.

Without row i, of weight s, residual r, curvature q and leverage a = x~'H^-1 x~, the optimum is

    theta + s r H^-1 x~ / (1 - s q a)

to first order: one Newton step of the others' objective from theta. It is good where the step
changes their curvature little, that is where lambda m is small (lambda the step's length in their
Hessian, m the largest sqrt(a)). Source: Pregibon, "Logistic regression diagnostics", 1981; the
derivation stands in docs/mathematics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.balance import Balance
from onelayer.blocks import Block
from onelayer.coordinates import Coordinates, measure_columns, shift_rows
from onelayer.errors import InputError
from onelayer.features import Features
from onelayer.fitting import LARGEST_FACTORED, fit
from onelayer.loss import SigmoidLoss
from onelayer.objective import Objective
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import newton
from onelayer.solvers.factor import factor
from onelayer.solvers.solution import Solution
from onelayer.strength.leave_one_out import FAR, LEAST_LEFT

Array = NDArray[Any]

TOL = 1e-9  # standard errors: differences of fits are looked at
LOSS = SigmoidLoss(1)


@dataclass(frozen=True)
class Penalty:
    """C and l1_ratio of the fit, and what was done to the classes, if anything."""

    C: float
    l1_ratio: float
    balance: Balance | None = None


@dataclass(frozen=True, eq=False)
class Removal:
    """A fit with what is needed to take each of its n rows out.

    Attributes
    ----------
    rows, penalty: of the fit. W, b: the model's. fitted: the optimum, the same but for the bias
        where classes were weighed.
    objective: over these rows. inverse: (D, D), H^-1, 0 for parameters that do not move.
    pull: (n,), s r / (1 - s q a). length: (n,), |pull| sqrt(a): how far the row's absence moves the
        optimum in the norm of H.
    far: (n,), lambda m: beyond `FAR` the step may be well off.
    alone: (n,), whether the row is all there is of its class, without which there is no fit.
    source: the rows as they came. mean: (D, 1) and offset: (n,): where classes were weighed, `b` is
        the bias solved again, which moves as `mean` does not and by `offset`; else 0.
    """

    rows: MemoryRows
    penalty: Penalty
    W: Array
    b: Array
    fitted: tuple[Array, Array]
    objective: Objective
    inverse: Array
    pull: Array
    length: Array
    far: Array
    alone: NDArray[np.bool_]
    source: Block
    mean: Array
    offset: Array

    def point(self, features: Features) -> Array:
        """(D, rows): the logits of rows as functions of the parameters."""
        return _point(self.objective.where, features) - self.mean

    def point_at(self, feature: int | None) -> Array:
        """(D, 1): one weight of W, or with None the bias, as a function of the parameters."""
        W, b = self.objective.where.to_parameters(np.eye(len(self.inverse)))
        return np.asarray(b - self.mean if feature is None else W[:, [feature]])

    def measure(self, points: Array) -> Array:
        """sqrt(v'H^-1 v) for each of (D, k): a standard error, or a posterior spread."""
        squares = np.einsum("dk,dk->k", points, self.inverse @ points)
        return np.asarray(np.sqrt(np.maximum(squares, 0)))

    def estimate(self, point: Array, biased: bool) -> Array:
        """(n,), by how much the number that `point` (D, 1) gives would change without each row.

        `biased` says whether the bias is in it: in the logit of a row, not in a weight.
        """
        W, b = self.objective.where.to_parameters((self.inverse @ point).T)
        with single_threaded_blas():
            moved = [np.zeros(0), *self.rows.map(lambda block: (block.features.linear(W) + b)[0])]
        return np.asarray(self.pull * np.concatenate(moved) + biased * self.offset)

    def estimate_some(self, chosen: NDArray[np.intp], points: Array) -> Array:
        """(chosen, k): the same for chosen rows and many logits."""
        own = _point(self.objective.where, self.rows.block.features.take(chosen))
        moved = own.T @ (self.inverse @ points)
        return np.asarray(self.pull[chosen, None] * moved + self.offset[chosen, None])

    def refit(self, row: int) -> tuple[Array, Array]:
        """W and b of the fit without a row."""
        weights = self.rows.block.weights.copy()
        weights[row] = 0
        block, penalty = self.rows.block, self.penalty
        if penalty.l1_ratio > 0:
            found = _fit(MemoryRows(replace(block, weights=weights)), penalty, self.fitted)
        else:
            found = self._step_on(row, weights)
        if penalty.balance is not None:
            others = self.source.weights.copy()
            others[row] = 0
            found = penalty.balance.restore(found, replace(self.source, weights=others))
        return found.W, found.b

    def _step_on(self, row: int, weights: Array) -> Solution:
        """The fit in the coordinates of all rows, from where one step leads: two passes, mostly."""
        full, (W, b) = self.objective, self.fitted
        others = MemoryRows(replace(full.rows.block, weights=weights), self.rows.n_jobs)
        objective = Objective(others, LOSS, full.C, full.where)
        point = _point(full.where, self.rows.block.features.take(np.array([row])))
        start = full.where.from_parameters(W, b) + self.pull[row] * (self.inverse @ point).T
        with single_threaded_blas():
            return newton.solve(objective, TOL, start, None)


def _point(where: Coordinates, features: Features) -> Array:
    """(D, rows): the logits of rows as functions of the parameters of the fit."""
    W, b = where.to_parameters(np.eye(len(where.frozen)))
    return np.asarray(features.linear(W) + b)


def prepare_removal(
    block: Block, penalty: Penalty, start: tuple[Array, Array], n_jobs: int | None
) -> Removal:
    """Fit the rows of a block and measure each.

    Raises
    ------
    InputError: there are more weights than a Hessian is factored for.
    """
    source, balance = block, penalty.balance
    rows = MemoryRows(block if balance is None else balance.weigh(block), n_jobs)
    if rows.n_columns >= LARGEST_FACTORED:
        raise InputError(
            f"the model has {rows.n_columns:,} weights: what each row does is found with the "
            f"curvature of all of them at once, for fewer than {LARGEST_FACTORED:,}"
        )
    found = _fit(rows, penalty, start)
    with single_threaded_blas():
        objective, inverse = _factor(rows, penalty, found)
        parts = rows.map(lambda part: _measure(part, objective.where, inverse, found))
        Z, a = (np.concatenate(each) for each in zip(*parts))
    model = found if balance is None else balance.restore(found, source)
    mean, offset = np.zeros((len(inverse), 1)), np.zeros(len(Z))
    if balance is not None:
        mean, offset = _follow_bias(objective.where, balance, source, model)
    terms, s = LOSS.terms(Z[None], rows.block.labels), rows.block.weights
    r, left = terms.residual[0], np.maximum(1 - s * terms.curvature[0] * a, LEAST_LEFT)
    return Removal(
        rows=rows,
        penalty=penalty,
        W=model.W,
        b=model.b,
        fitted=(found.W, found.b),
        objective=objective,
        inverse=inverse,
        pull=s * r / left,
        length=s * np.abs(r) * np.sqrt(a) / left,
        far=s * np.abs(r) * np.sqrt(a / left) * np.sqrt(a.max(initial=0.0)),
        alone=_find_alone(source),
        source=source,
        mean=mean,
        offset=offset,
    )


def _factor(rows: MemoryRows, penalty: Penalty, found: Solution) -> tuple[Objective, Array]:
    """The objective over the rows, and H^-1 at the optimum, 0 for what does not move."""
    shifted, where = shift_rows(rows, measure_columns(rows, True))
    share = 1 - penalty.l1_ratio
    objective = Objective(shifted, LOSS, penalty.C / share if share > 0 else np.inf, where)
    theta = where.from_parameters(found.W, found.b)
    hessian = objective.evaluate(theta, hessian=True).hessian
    assert hessian is not None
    # What L1 holds at 0 stays there while a row goes, and what is constant moves no logit.
    free = ~where.frozen
    if penalty.l1_ratio > 0:
        free = free & np.append(found.W[0] != 0, True)
    inverse = np.zeros_like(hessian[0])
    inverse[np.ix_(free, free)] = factor(hessian[0][np.ix_(free, free)]).inverse
    return objective, inverse


def _fit(rows: MemoryRows, penalty: Penalty, start: tuple[Array, Array]) -> Solution:
    solver = "auto" if penalty.l1_ratio > 0 else "newton"
    return fit(
        rows,
        LOSS,
        C=penalty.C,
        l1_ratio=penalty.l1_ratio,
        tol=TOL,
        start=start,
        solver=solver,
    )


def _measure(
    block: Block, where: Coordinates, inverse: Array, found: Solution
) -> tuple[Array, Array]:
    """Logits and leverages of a block's rows."""
    logits, leverages = [np.zeros(0)], [np.zeros(0)]
    for tile in block.tiles():
        x = _point(where, tile.features)
        logits.append((tile.features.linear(found.W) + found.b)[0])
        leverages.append(np.maximum(np.einsum("dm,dm->m", x, inverse @ x), 0))
    return np.concatenate(logits), np.concatenate(leverages)


def _follow_bias(
    where: Coordinates, balance: Balance, source: Block, model: Solution
) -> tuple[Array, Array]:
    """How a bias that is solved again moves: `mean` and `offset` of `Removal`.

    It holds sum u (A - Y) = 0 over the rows, u their weights. To first order it moves against the
    mean of the logits, weighed by u A (1 - A), and by u (A - Y) of the row that goes; where u gives
    each class a share, the row's class keeps it, and A - Y counts from its class's mean.
    """
    block = balance.represent(source)
    Z = (block.features.linear(model.W) + model.b)[0]
    terms, u = LOSS.terms(Z[None], block.labels), block.weights
    curvature = u * terms.curvature[0]
    total = max(float(curvature.sum()), 1e-300)
    means = block.features.back(curvature[None] / total)
    W, b = where.to_parameters(np.eye(len(where.frozen)))
    miss = terms.residual[0].copy()
    if balance.base_rate is not None:
        for own in (block.labels[0] > 0, block.labels[0] <= 0):
            miss[own] -= np.average(miss[own], weights=u[own])
    return np.asarray(W @ means.T + b), np.asarray(u * miss / total)


def _find_alone(block: Block) -> NDArray[np.bool_]:
    label, there = block.labels[0] > 0.5, block.weights > 0
    alone = np.zeros(block.n_rows, dtype=bool)
    for own in (label & there, ~label & there):
        if own.sum() == 1:
            alone |= own
    return alone


def choose_refits(removal: Removal, size: Array, bound: Array, most: int) -> Sequence[int]:
    """The rows to be taken out exactly: those that seem to do most, and those of which one step
    may say too little, as far as they could do so much.

    Parameters
    ----------
    size: (n,), what each row seems to do; bound: (n,), what it could. most: how many rows.
    """
    usable = ~removal.alone & (removal.rows.block.weights > 0)
    order = np.argsort(-np.where(usable, size, -1), kind="stable")
    first = order[: max(1, most // 2)]
    far = np.flatnonzero(usable & (removal.far > FAR))
    far = far[np.argsort(-bound[far], kind="stable")]
    chosen = dict.fromkeys([*first.tolist(), *far.tolist(), *order.tolist()])
    return [row for row in chosen if usable[row]][:most]
