"""Fits for one C after another, each from the one before, and the loss of rows left out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.loss import SoftmaxLoss
from onelayer.objective import Objective
from onelayer.solvers import second_order
from onelayer.solvers.newton import NEWTON
from onelayer.solvers.second_order import State
from onelayer.strength.leave_one_out import leave_one_out

Array = NDArray[Any]
Start = tuple[Array, Array]  # W (n_outputs, n_x) and b (n_outputs, 1)

NEAR = 0.1  # standard errors: the leave-one-out step brings its own Newton step along
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
        block = objective.rows.block
        told = _tell(objective, np.minimum(block.weights, copies))
        self._shares = told * block.weights / max(float((told * block.weights)[0].sum()), 1e-300)
        self._fits: dict[float, Array] = {}

    def loss_at(self, C: float) -> float:
        """Fit at `C`, from the fit of the nearest C so far, and leave each row out in turn."""
        old = self.objective
        objective = Objective(old.rows, old.loss, C, old.where)
        nearest = min(self._fits, key=lambda other: abs(np.log(other / C)), default=None)
        state = _approach(objective, objective.start() if nearest is None else self._fits[nearest])
        step = objective.by_output(np.stack([point.direction for point in state.points]))
        self._fits[C] = state.theta - step
        self.starts[C] = objective.where.to_parameters(self._fits[C])
        best = min(self.losses.values(), default=np.inf)
        self.losses[C] = leave_one_out(objective, state, self.copies, self._shares, best)
        return self.losses[C]


def _approach(objective: Objective, start: Array) -> State:
    """Newton steps until the optimum is proved near; the Hessian of the last point is kept."""
    state = second_order.init(NEWTON, objective, NEAR, start)
    while not all(state.status) and max(p.rho for p in state.points) > NEAR:
        if state.iteration == MOST_STEPS:
            break
        state = second_order.step(NEWTON, objective, state, NEAR)
    return state


def _tell(objective: Objective, held: Array) -> Array:
    """(groups, n): 1 where a row can be left out at all, 0 where it is all there is of its class.

    Without it a free bias has no optimum at any C, so that the row says nothing of C.
    """
    block = objective.rows.block
    if objective.where.frozen[-1]:
        return np.ones((objective.groups, block.n_rows))
    if isinstance(objective.loss, SoftmaxLoss):
        codes = block.labels.astype(np.intp)
    else:
        codes = (block.labels > 0.5).astype(np.intp)
    told = np.empty(codes.shape)
    for k, own in enumerate(codes):
        totals = np.bincount(own, block.weights, objective.n_outputs + 1)
        told[k] = totals[own] - held > 1e-9 * totals[own]
    return told
