"""Sums of floats without any rounding, so that they do not depend on the order or the batches.

Every float64 is a whole number of units of 2^-1074, the smallest float above 0; Python's own
integers add such numbers up without a bound.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SMALLEST = -1074  # the exponent of the unit
_HALF = 1 << 27
# Sums of halves below 2^27 stay whole numbers that a float64 holds for this many rows.
_MOST_ROWS = 1 << 25


def sum_in_units(
    values: NDArray[np.float64], cells: NDArray[Any], n_cells: int
) -> NDArray[np.object_]:
    """The exact sum of the values in each cell, in units of 2^-1074: whole numbers to be added up.

    Args:
        values: (n,), finite, 0 or more.
        cells: (n,), the cell of each value, from 0 to n_cells - 1.
        n_cells: How many cells there are.

    Returns:
        (n_cells,) Python integers; add those of further values, then `units_to_float`.

    >>> tenths = sum_in_units(np.full(10, 0.1), np.zeros(10, dtype=int), 1)
    >>> units_to_float(tenths[0]), float(np.sum([0.1] * 10, initial=0.0)) == 1.0
    (1.0, True)
    """
    total = np.zeros(n_cells, dtype=object)
    for start in range(0, len(values), _MOST_ROWS):
        part = slice(start, start + _MOST_ROWS)
        total += _sum_part(values[part], cells[part], n_cells)
    return total


def _sum_part(
    values: NDArray[np.float64], cells: NDArray[Any], n_cells: int
) -> NDArray[np.object_]:
    mantissas, exponents = np.frexp(values)
    lowest, highest = int(exponents.min()), int(exponents.max())
    wide = highest - lowest + 1
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    places = np.asarray(cells, dtype=np.intp) * wide + (exponents - lowest)
    high, low = (
        np.bincount(places, half, minlength=n_cells * wide).reshape(n_cells, wide)
        for half in (whole // _HALF, whole % _HALF)
    )
    total = np.zeros(n_cells, dtype=object)
    for cell, place in zip(*np.nonzero(high + low)):
        units = int(high[cell, place]) * _HALF + int(low[cell, place])
        shift = lowest + int(place) - 53 - _SMALLEST
        # A number below the normal ones has as many zeros at its end as the shift takes away.
        total[cell] += units << shift if shift >= 0 else units >> -shift
    return total


def units_to_float(units: int) -> float:
    """The float64 nearest to so many units; inf where it is beyond the largest.

    >>> units_to_float(1), units_to_float(1 << 1074)
    (5e-324, 1.0)
    """
    try:
        return units / (1 << -_SMALLEST)
    except OverflowError:
        return float("inf")
