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
    """C and l1_ratio of the fit."""

    C: float
    l1_ratio: float


@dataclass(frozen=True, eq=False)
class Removal:
    """A fit with what is needed to take each of its n rows out.

    Attributes
    ----------
    rows, penalty: of the fit. W, b: the optimum.
    objective: over these rows. inverse: (D, D), H^-1, 0 for parameters that do not move.
    pull: (n,), s r / (1 - s q a). length: (n,), |pull| sqrt(a): how far the row's absence moves the
        optimum in the norm of H.
    far: (n,), lambda m: beyond `FAR` the step may be well off.
    alone: (n,), whether the row is all there is of its class, without which there is no fit.
    """

    rows: MemoryRows
    penalty: Penalty
    W: Array
    b: Array
    objective: Objective
    inverse: Array
    pull: Array
    length: Array
    far: Array
    alone: NDArray[np.bool_]

    def point(self, features: Features) -> Array:
        """(D, rows): the logits of rows as functions of the parameters."""
        W, b = self.objective.where.to_parameters(np.eye(len(self.inverse)))
        return np.asarray(features.linear(W) + b)

    def point_at(self, feature: int | None) -> Array:
        """(D, 1): one weight of W, or with None the bias, as a function of the parameters."""
        W, b = self.objective.where.to_parameters(np.eye(len(self.inverse)))
        return np.asarray(b if feature is None else W[:, [feature]])

    def measure(self, points: Array) -> Array:
        """sqrt(v'H^-1 v) for each of (D, k): a standard error, or a posterior spread."""
        squares = np.einsum("dk,dk->k", points, self.inverse @ points)
        return np.asarray(np.sqrt(np.maximum(squares, 0)))

    def estimate(self, point: Array) -> Array:
        """(n,), by how much the number that `point` (D, 1) gives would change without each row."""
        W, b = self.objective.where.to_parameters((self.inverse @ point).T)
        with single_threaded_blas():
            moved = [np.zeros(0), *self.rows.map(lambda block: (block.features.linear(W) + b)[0])]
        return np.asarray(self.pull * np.concatenate(moved))

    def estimate_some(self, chosen: NDArray[np.intp], points: Array) -> Array:
        """(chosen, k): the same for chosen rows and many numbers."""
        moved = self.point(self.rows.block.features.take(chosen)).T @ (self.inverse @ points)
        return np.asarray(self.pull[chosen, None] * moved)

    def refit(self, row: int) -> tuple[Array, Array]:
        """W and b of the fit without a row."""
        weights = self.rows.block.weights.copy()
        weights[row] = 0
        block, penalty = self.rows.block, self.penalty
        if penalty.l1_ratio > 0:
            found = _fit(MemoryRows(replace(block, weights=weights)), penalty, (self.W, self.b))
            return found.W, found.b
        # In the coordinates of all rows, from where one step leads: two passes are mostly enough.
        full = self.objective
        others = MemoryRows(replace(full.rows.block, weights=weights), self.rows.n_jobs)
        objective = Objective(others, LOSS, full.C, full.where)
        point = self.point(block.features.take(np.array([row])))
        start = full.where.from_parameters(self.W, self.b)
        start = start + self.pull[row] * (self.inverse @ point).T
        with single_threaded_blas():
            found = newton.solve(objective, TOL, start, None)
        return found.W, found.b


def prepare_removal(
    block: Block, penalty: Penalty, start: tuple[Array, Array], n_jobs: int | None
) -> Removal:
    """Fit the rows of a block and measure each.

    Raises
    ------
    InputError: there are more weights than a Hessian is factored for.
    """
    rows = MemoryRows(block, n_jobs)
    if rows.n_columns >= LARGEST_FACTORED:
        raise InputError(
            f"the model has {rows.n_columns:,} weights: what each row does is found with the "
            f"curvature of all of them at once, for fewer than {LARGEST_FACTORED:,}"
        )
    found = _fit(rows, penalty, start)
    with single_threaded_blas():
        shifted, where = shift_rows(rows, measure_columns(rows, True))
        share = 1 - penalty.l1_ratio
        ridge = penalty.C / share if share > 0 else np.inf
        objective = Objective(shifted, LOSS, ridge, where)
        theta = where.from_parameters(found.W, found.b)
        hessian = objective.evaluate(theta, hessian=True).hessian
        assert hessian is not None
        # What L1 holds at 0 stays there while a row goes, and what is constant moves no logit.
        free = ~where.frozen
        if penalty.l1_ratio > 0:
            free = free & np.append(found.W[0] != 0, True)
        inverse = np.zeros_like(hessian[0])
        inverse[np.ix_(free, free)] = factor(hessian[0][np.ix_(free, free)]).inverse
        parts = list(rows.map(lambda part: _measure(part, where, inverse, found.W, found.b)))
    Z, a = (np.concatenate(each) for each in zip(*parts))
    terms, s = LOSS.terms(Z[None], block.labels), block.weights
    r, q = terms.residual[0], terms.curvature[0]
    left = np.maximum(1 - s * q * a, LEAST_LEFT)
    decrement = s * np.abs(r) * np.sqrt(a / left)
    pull = s * r / left
    return Removal(
        rows=rows,
        penalty=penalty,
        W=found.W,
        b=found.b,
        objective=objective,
        inverse=inverse,
        pull=pull,
        length=np.abs(pull) * np.sqrt(a),
        far=decrement * np.sqrt(a.max(initial=0.0)),
        alone=_find_alone(block),
    )


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
    block: Block, where: Coordinates, inverse: Array, W: Array, b: Array
) -> tuple[Array, Array]:
    """Logits and leverages of a block's rows."""
    units = where.to_parameters(np.eye(len(inverse)))
    logits, leverages = [np.zeros(0)], [np.zeros(0)]
    for tile in block.tiles():
        x = tile.features.linear(units[0]) + units[1]
        logits.append((tile.features.linear(W) + b)[0])
        leverages.append(np.maximum(np.einsum("dm,dm->m", x, inverse @ x), 0))
    return np.concatenate(logits), np.concatenate(leverages)


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
