"""Where Newton's method over a sample of the rows sets out from: the sample's own solution.

A part of the sample is solved first, then the sample; both held back where they know next to
nothing.
"""

import math
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import costs, newton, second_order
from onelayer.solvers.sample import thin

Array = NDArray[Any]

FIRST_ROWS = 4000  # the sample of the sample, where the first steps are taken
ROWS_PER_PARAMETER = 20  # a sample with fewer is a poor guide
FEW = 20  # rows with a value in a column, below which they are not to be trusted
WELL_KNOWN = 300  # rows of the sample, from which a column's weight needs no holding back
NEAR, NEARER = 0.2, 0.04  # of the sample's own error in lambda^2 is left at the start
FIRST_STEPS = 12  # a small sample may have no finite optimum


def start_from_sample(objective: Objective, scaled: Objective, scale: float) -> tuple[Array, Array]:
    """Solve a part of the sample, then the sample; the parameters and the Hessian there.

    `scaled` is the objective over the sample, each row drawn for `scale` rows of `objective`.
    """
    theta, n = objective.start(), objective.rows.n_rows  # a sample may hold no row of some class
    few = max(FIRST_ROWS, ROWS_PER_PARAMETER * scaled.size)
    if 2 * few < scaled.rows.n_rows:
        part = _hold_back_rare(scaled, thin(scaled.rows, few))
        theta, _ = _descend(part, theta, few / n, NEARER)
    return _descend(scaled, theta, 1 / scale, NEAR if _is_dear(objective, scaled) else NEARER)


def _is_dear(objective: Objective, scaled: Objective) -> bool:
    """Whether a Hessian of the sample costs as much as half a pass, which a nearer start saves."""
    rows, k = objective.rows, objective.n_outputs
    values, softmax = rows.block.features.row_values, objective.groups < k
    hessian = costs.cost_of_hessian(scaled.rows.n_rows, rows.n_columns, k, softmax)
    return hessian > costs.cost_of_gradient(rows.n_rows, values, k, sparse=False) / 2


def hold_back(scaled: Objective, n_rows: int) -> Objective:
    """The same with the curvature of one more row, its farthest in the sample, for some columns.

    A level of which the sample holds few rows, or only rows of one class, would start with a weight
    that all rows refute; one of which it holds none would have no curvature but the penalty's. Rows
    over the farthest one's square, in spreads, are the rows that fill a level, and fewer than in a
    column of numbers without outliers. Such a column's weight is known, and where columns nearly
    depend on each other even one row's curvature would mislead the steps.
    """
    where, held = scaled.where, copy(scaled)
    row = where.weight / n_rows / 4  # the weight of one, and the largest curvature
    farthest = np.square(np.maximum(where.reach, 1.0))
    more = np.where(scaled.rows.n_rows < WELL_KNOWN * farthest, row * farthest, 0.0)
    held.penalty = scaled.penalty + np.append(more, 0.0)
    return held


def _hold_back_rare(scaled: Objective, rows: MemoryRows) -> Objective:
    """The same over few of its rows, those columns held back by one of them that few of them fill.

    Each stands for many rows: without it, a level of one row would start far out on that side.
    """
    where, held = scaled.where, copy(scaled)
    filled = rows.reduce(lambda block: block.features.tile(0, block.n_rows).count_filled())
    row = where.weight / rows.n_rows / 4
    more = np.where(filled < FEW, row * np.square(np.maximum(where.reach, 1.0)), 0.0)
    held.rows, held.penalty = rows, scaled.penalty + np.append(more, 0.0)
    return held


def _descend(objective: Objective, theta: Array, share: float, left: float) -> tuple[Array, Array]:
    """Newton steps until the sample's own error hides the rest; the parameters, the Hessian.

    A sample of a share of the rows is off by about one standard error of its own in each
    parameter, which is 1 / share in lambda^2: what is `left` of that may stay.
    """
    enough = math.sqrt(left * objective.size / share)
    state = second_order.init(newton.NEWTON, objective, 0.0, theta)
    while not all(state.status) and state.iteration < FIRST_STEPS:
        if max(point.decrement for point in state.points) <= enough:
            break
        state = second_order.step(newton.NEWTON, objective, state, 0.0)
    assert state.evaluation.hessian is not None
    return state.theta, state.evaluation.hessian
