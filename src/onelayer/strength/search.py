"""The least value of a curve over log C: a grid from strong to weak, then parabolas."""

import math
from collections.abc import Callable, Sequence

COARSEST = 2.0  # decades between the values of the grid, at most
LEAST, MOST = 5, 12  # values in the grid
RISES = 2  # the weak end is left out once the curve has risen so often in a row
CLEAR = 1e-3  # relative; a rise below it is none
REFINED = 4  # values beyond the grid
NARROW = 0.1  # decades: no two values nearer than this tell anything
FLAT = 1e-5  # relative fall that is not worth another value

Curve = dict[float, float]  # log10 C -> loss


def search(loss_at: Callable[[float], float], low: float, high: float) -> Curve:
    """Losses at values of log10 C between `low` and `high`, the last ones about their minimum."""
    curve = follow(loss_at, spread_values(low, high))
    for _ in range(REFINED):
        value = propose(curve)
        if value is None:
            break
        curve[value] = loss_at(value)
    return curve


def spread_values(low: float, high: float) -> list[float]:
    """Evenly spaced values of log10 C.

    >>> spread_values(-4.0, 4.0)
    [-4.0, -2.0, 0.0, 2.0, 4.0]
    """
    count = min(max(math.ceil((high - low) / COARSEST) + 1, LEAST), MOST)
    return [low + (high - low) * k / (count - 1) for k in range(count)]


def follow(loss_at: Callable[[float], float], values: Sequence[float]) -> Curve:
    """The losses along the values, in their order, until they clearly rise for good."""
    curve: Curve = {}
    rises, last = 0, math.inf
    for value in values:
        curve[value] = loss_at(value)
        best = min(curve.values())
        rises = rises + 1 if curve[value] > max(last, best * (1 + CLEAR)) else 0
        last = curve[value]
        if rises >= RISES:
            break
    return curve


def propose(curve: Curve) -> float | None:
    """Where a parabola through the best value and its neighbours is least; None if not worth it.

    >>> round(propose({0.0: 0.9, 1.0: 0.4, 2.0: 0.9, 3.0: 2.4}), 9), propose({0.0: 0.5, 1.0: 0.5})
    (0.9, None)
    """
    values = sorted(curve)
    if len(values) < 2:
        return None
    k = min(range(len(values)), key=lambda i: curve[values[i]])
    if k in (0, len(values) - 1):
        return _leave_end(curve, values, k)
    a, b, c = values[k - 1 : k + 2]
    fall_a, fall_c = curve[a] - curve[b], curve[c] - curve[b]
    bend = fall_a * (c - b) + fall_c * (b - a)
    if max(fall_a, fall_c) <= FLAT * abs(curve[b]) or bend <= 0:
        return None
    shift = (fall_a * (c - b) ** 2 - fall_c * (b - a) ** 2) / (2 * bend)
    if abs(shift) < NARROW:  # the vertex is known: look at the longer side, if that may tell
        shift = NARROW if c - b > b - a else -NARROW
    shift = min(max(shift, -(b - a) + NARROW), c - b - NARROW)
    far_enough = min(abs(shift), b + shift - a, c - b - shift) >= NARROW / 2
    return b + shift if far_enough else None


def _leave_end(curve: Curve, values: list[float], k: int) -> float | None:
    """Beyond the weak end, where the loss still falls; halfway back from the strong one."""
    near, end = values[1 if k == 0 else -2], values[k]
    if curve[near] - curve[end] <= FLAT * curve[near]:
        return None
    if k:
        return end + (end - near)
    return 0.5 * (near + end) if near - end >= 2 * NARROW else None
