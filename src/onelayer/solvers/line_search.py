"""Step lengths that are sure to lower a convex objective."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.objective import Evaluation

Array = NDArray[Any]

MOST_TRIALS = 40
ROUNDING = 1e-13  # of an objective, relative


def search(
    evaluate: Callable[[Array], Evaluation],
    before: Evaluation,
    directions: Array,
    moving: NDArray[np.bool_],
    rounding: float = ROUNDING,
) -> tuple[Evaluation | None, Array, int]:
    """Try steps of length 1, then ever shorter ones, until each moving group is low enough.

    Near the end the objective's change drowns in rounding, so a step also counts when the
    objective is level and the slope along the step has fallen (Hager and Zhang, SIAM Journal on
    Optimization 16, 2005).

    Parameters
    ----------
    evaluate: the evaluation after a move of (groups, D).
    before: the evaluation at the start.
    directions: (groups, D), to be subtracted; zero for groups that do not move.
    moving: (groups,).
    rounding: a relative change of the objective that says nothing.

    Returns
    -------
    The evaluation found (None where no length helps), the lengths (groups,), and the trials made.
    """
    found: list[Evaluation] = []

    def measure(length: Array) -> tuple[Array, Array]:
        found[:] = [evaluate(-length[:, None] * directions)]
        return found[0].value, -(found[0].gradient * directions).sum(axis=1)

    slope = -(before.gradient * directions).sum(axis=1)
    length, trials = search_lengths(measure, before.value, slope, moving, rounding)
    if length is None:
        return None, np.zeros(len(moving)), trials
    return found[0], length, trials


def search_lengths(
    measure: Callable[[Array], tuple[Array, Array]],
    value: Array,
    slope: Array,
    moving: NDArray[np.bool_],
    rounding: float = ROUNDING,
) -> tuple[Array | None, int]:
    """The lengths (groups,) that are low enough, or None, and the trials made.

    `measure(length)` gives values and slopes (groups,) at those lengths; `value` and `slope` are
    those at length 0. The last lengths measured are the ones returned.
    """
    length = np.where(moving, 1.0, 0.0)
    for trial in range(1, MOST_TRIALS + 1):
        with np.errstate(over="ignore", invalid="ignore"):  # far too long a step is no step
            new_value, new_slope = measure(length)
        lower = new_value <= value + 1e-4 * length * slope
        level = new_value <= value + rounding * np.abs(value)
        settled = ~moving | lower | (level & (np.abs(new_slope) <= 0.9 * np.abs(slope)))
        if settled.all():
            return length, trial
        shorter = length * _shorten(value, new_value, slope, new_slope, length)
        length = np.where(settled, length, shorter)
    return None, MOST_TRIALS


def _shorten(
    value: Array, new_value: Array, slope: Array, new_slope: Array, length: Array
) -> Array:
    """Where the tangents at both ends meet, as a share of the length, kept in [0.1, 0.5].

    Far too long a step meets rows whose loss has become a straight line: between the two tangents
    lies the whole of a convex function, and where they meet is its minimum if it has one kink. A
    parabola through the same values would fall short of it by far.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = (new_value - value - new_slope * length) / (slope - new_slope)
    return np.asarray(np.clip(np.nan_to_num(meet / length, nan=0.1), 0.1, 0.5))
