"""Fits for one C after another, each from the one before, and the loss of rows left out."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns, shift_rows
from onelayer.loss import Loss, SoftmaxLoss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import second_order
from onelayer.solvers.newton import NEWTON
from onelayer.solvers.second_order import State
from onelayer.solvers.standardised import copy_softmax
from onelayer.strength.leave_one_out import leave_one_out
from onelayer.strength.scale import find_range

Array = NDArray[Any]
Start = tuple[Array, Array]  # W (n_outputs, n_x) and b (n_outputs, 1)

NEAR = 0.03  # standard errors: the leave-one-out step brings its own Newton step along
MOST_STEPS = 15


class Path:
    """The leave-one-out losses of a table's rows along values of C.

    Parameters
    ----------
    objective: its rows, loss and coordinates are used, at any C.
    copies: (n,), the weight of one copy of each row.

    Attributes
    ----------
    losses: C -> mean log loss of left-out rows, nats. starts: C -> W and b of its fit.
    """

    method = "leave-one-out"

    def __init__(self, objective: Objective, copies: Array) -> None:
        self.objective, self.copies = objective, copies
        self.losses: dict[float, float] = {}
        self.starts: dict[float, Start] = {}
        has_bias = not bool(objective.where.frozen[-1])
        self._shares = share_rows(objective.rows.block, objective.loss, copies, has_bias)

    def loss_at(self, C: float) -> float:
        """Fit at `C`, from the fit of the nearest C so far, and leave each row out in turn."""
        objective = self.objective_at(C)
        nearest = find_nearest(self.starts, C)
        theta = objective.start()
        if nearest is not None:
            theta = objective.where.from_parameters(*self.starts[nearest])
        state = _approach(objective, theta)
        step = objective.by_output(np.stack([point.direction for point in state.points]))
        self.starts[C] = objective.where.to_parameters(state.theta - step)
        best = min(self.losses.values(), default=np.inf)
        self.losses[C] = leave_one_out(objective, state, self.copies, self._shares, best)
        return self.losses[C]

    def objective_at(self, C: float) -> Objective:
        """The objective of the same rows at `C`."""
        return self.objective.under(C)

    def find_range(self) -> tuple[float, float]:
        """The least and largest log10 C worth a try."""
        return find_range(self.objective)


def find_nearest(tried: Iterable[float], C: float) -> float | None:
    """The nearest C so far."""
    return min(tried, key=lambda other: abs(math.log(other / C)), default=None)


def lay_out(rows: MemoryRows, loss: Loss, fit_intercept: bool) -> Objective:
    """The objective of C = 1 over rows shifted where that is needed."""
    shifted, where = shift_rows(rows, measure_columns(rows, fit_intercept))
    return copy_softmax(Objective(shifted, loss, 1.0, where))


def _approach(objective: Objective, start: Array) -> State:
    """Newton steps until the optimum is proved near; the Hessian of the last point is kept."""
    state = second_order.init(NEWTON, objective, NEAR, start)
    while not all(state.status) and max(p.rho for p in state.points) > NEAR:
        if state.iteration == MOST_STEPS:
            break
        state = second_order.step(NEWTON, objective, state, NEAR)
    return state


def share_rows(block: Block, loss: Loss, copies: Array, has_bias: bool) -> Array:
    """(groups, n): the share of each row's loss in the mean.

    It is 0 where a row is all there is of its class: without it a free bias has no optimum at any
    C, so that the row says nothing of C.
    """
    held = np.minimum(block.weights, copies)
    if isinstance(loss, SoftmaxLoss):
        codes = block.labels.astype(np.intp)
    else:
        codes = (block.labels > 0.5).astype(np.intp)
    weights = np.empty(codes.shape)
    for k, own in enumerate(codes):
        totals = np.bincount(own, block.weights, loss.n_outputs + 1)
        told = totals[own] - held > 1e-9 * totals[own]
        weights[k] = block.weights * (told if has_bias else 1.0)
    return weights / max(float(weights[0].sum()), 1e-300)
