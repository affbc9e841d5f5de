"""Where a step of proximal Newton leads further than to the least of its parabola."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.loss import SigmoidLoss
from onelayer.objective import Evaluation
from onelayer.solvers.active_set import factor_independent, solve_root
from onelayer.solvers.direct import BENT, stretch_step
from onelayer.solvers.penalised import Penalised
from onelayer.solvers.standardised import StandardisedObjective

Array = NDArray[Any]


def discriminate(problem: Penalised, theta: Array, target: Array, decrement: float) -> Array | None:
    """Fisher's discriminant with the signs of the first target, from the base rate (1, p + 1).

    The target is a regression on the labels, as the Newton step of `direct.py` is.
    """
    objective = problem.objective
    if not isinstance(objective.loss, SigmoidLoss) or objective.n_outputs > 1:
        return None
    explained = decrement**2 / objective.where.weight
    free = not objective.where.frozen[-1]
    return stretch_step(theta[0], (theta - target)[0], explained, free)[None]


def bend(
    problem: Penalised, evaluation: Evaluation, H: Array, theta: Array, target: Array
) -> Array | None:
    """The target (1, p + 1) bent by the third derivative among the weights that it has.

    None where that is no small correction, or where rows are many.
    """
    objective = problem.objective
    if evaluation.third is None or not isinstance(objective, StandardisedObjective):
        return None
    d = (target - theta)[0]
    kept = np.flatnonzero((target[0] != 0) | (problem.kappa == 0))
    root = factor_independent(H, kept, np.diag(H))
    if root is None:
        return None
    bent = objective.bend(evaluation, d)[kept]
    more = solve_root(root, bent)
    if bent @ more > BENT**2 * (d @ H @ d):
        return None
    leap = target.copy()
    leap[0, kept] -= more
    leap[0, leap[0] * target[0] < 0] = 0.0
    return leap
