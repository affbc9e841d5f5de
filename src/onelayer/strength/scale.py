"""Between which values of C the penalty has anything to decide."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.fitting import LARGEST_FACTORED
from onelayer.objective import Objective

Array = NDArray[Any]

SHUT = 100.0  # times less than the strongest direction's curvature asks for: every weight is near 0
OPEN = 1e4  # times more than a weak direction's curvature asks for: the penalty is not felt
WEAK = 0.1  # that share of the directions curves less than the weak one
NONE = 1e-10  # of the largest curvature: no direction at all
STEPS = 8  # of a power iteration; half a decade more or less is of no matter here


def find_range(objective: Objective, l1_ratio: float = 0.0) -> tuple[float, float]:
    """The least and largest log10 C worth a try.

    A direction of curvature e in the data is shrunk by e / (e + 1/C). The curvature is taken where
    all weights are 0; it falls as they grow, which `OPEN` leaves room for.
    """
    null = objective.start()
    if l1_ratio > 0:
        return _find_range_of_l1(objective, null, l1_ratio)
    small = objective.size <= LARGEST_FACTORED
    return to_range(*(_factored if small else _applied)(objective, null))


def to_range(strong: float, weak: float) -> tuple[float, float]:
    """The range for the curvatures of the largest and of a small direction."""
    if not strong > 0:  # no column moves anything
        return 0.0, 0.0
    return -math.log10(SHUT * strong), math.log10(OPEN / weak)


def find_extremes(curvature: Array) -> tuple[float, float]:
    """The curvatures of the largest and of a small direction of the data's own, (p, p)."""
    curvatures = np.linalg.eigvalsh(curvature)
    strong = float(curvatures[-1])
    held = curvatures[curvatures > NONE * strong]
    return strong, float(np.quantile(held, WEAK)) if held.size else strong


def _find_range_of_l1(objective: Objective, null: Array, l1_ratio: float) -> tuple[float, float]:
    """From where the last weight leaves 0, which the slope at 0 says, over four decades."""
    slopes = objective.by_output(objective.evaluate(null).gradient)[:, :-1]
    steepest = float(np.abs(slopes * objective.where.spread).max(initial=0.0))
    if not steepest > 0:
        return 0.0, 0.0
    low = math.log10(l1_ratio / steepest)
    return low, low + 4


def _factored(objective: Objective, null: Array) -> tuple[float, float]:
    """Curvatures of the largest and of a small direction, in the units of the table."""
    found = objective.evaluate(null, hessian=True)
    assert found.hessian is not None
    assert found.bias_curvature is not None
    k = int(np.diag(found.bias_curvature).argmax())
    own = slice(0, objective.width - 1)
    if objective.groups > 1:
        H = found.hessian[k]
    else:
        H = found.hessian[0][k * objective.width :, k * objective.width :]
    free = ~objective.where.frozen[:-1]
    spread = objective.where.spread[free]
    data = (H[own, own] - np.diag(objective.penalty[:-1]))[np.ix_(free, free)]
    if not free.any():
        return 0.0, 0.0
    return find_extremes(data * spread * spread[:, None])


def _applied(objective: Objective, null: Array) -> tuple[float, float]:
    """The same where the Hessian is only applied: a power iteration, and the mean direction."""
    found = objective.evaluate(null, diagonal=True)
    assert found.diagonal is not None
    spread = np.where(objective.where.frozen[:-1], 0.0, objective.where.spread)
    diagonal = objective.by_output(found.diagonal)[:, :-1] - objective.penalty[:-1]
    traces = (diagonal * np.square(spread)).sum(axis=1)
    k = int(traces.argmax())
    V = np.zeros_like(null)
    V[k, :-1] = spread
    strong = 0.0
    for _ in range(STEPS):
        turned = (objective.multiply(null, V) - objective.penalty * V)[k, :-1] * spread
        length = float(np.linalg.norm(V[k, :-1] / np.where(spread > 0, spread, 1)))
        strong = float(np.linalg.norm(turned)) / length if length else 0.0
        V[k, :-1] = turned * spread / max(float(np.linalg.norm(turned)), np.finfo(float).tiny)
    directions = min(objective.rows.n_rows, int((spread > 0).sum())) or 1
    return strong, float(traces[k]) / directions
