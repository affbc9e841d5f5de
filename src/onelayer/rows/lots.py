"""Draws of rows by their numbers alone: the same on one machine and on many, in any batches.

Each row's lot is its number mixed with a seed by splitmix64 (Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", 2014): 64 bits that pass for random.
"""

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST = np.uint64(31)


def draw_lots(numbers: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """The lots of the rows of these numbers, whole numbers from 0 to 2^64 - 1.

    >>> draw_lots(np.array([7, 7, 8]), seed=1) == draw_lots(np.array([7, 7, 7]), seed=1)
    array([ True,  True, False])
    """
    start = _mix(np.array([seed], dtype=np.uint64))
    with np.errstate(over="ignore"):
        return _mix(start + numbers.astype(np.uint64) * _STEP)


def hold_out(numbers: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Which of these rows are held out: each by its own lot, with chance `share`.

    >>> float(hold_out(np.arange(100_000), 0.2, seed=0).mean().round(2))
    0.2
    """
    limit = np.uint64(min(int(share * 2.0**64), 2**64 - 1))
    return np.asarray(draw_lots(numbers, seed) < limit)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        z = z + _STEP
        for shift, factor in _MIX:
            z = (z ^ (z >> shift)) * factor
        return z ^ (z >> _LAST)
