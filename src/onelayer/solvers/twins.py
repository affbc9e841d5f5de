"""Parameters that a parabola with an L1 norm cannot tell apart, such as those of equal columns.

Only their sum counts, or with opposite signs less: one of them can do for all. Then the Hessian
over those held has a factor again, and signs are guessed rightly at once. Words that occur in the
same few texts are such columns, of which a working set soon holds some.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ALIKE = 1e-12  # of their size: a larger difference is no rounding


def find_twins(H: Array, slope: Array, kappa: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first of each set of twins, for every other one of them; and those others.

    H (D, D), the slopes and the L1 penalties, (D,) each, must not tell them apart.

    >>> H = np.array([[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    >>> firsts, others = find_twins(H, np.ones(3), np.ones(3))
    >>> firsts.tolist(), others.tolist()
    ([0], [1])
    """
    curved = H.diagonal()
    order = curved.argsort(kind="stable")
    ascending = curved[order]
    near = np.flatnonzero(ascending[1:] - ascending[:-1] <= ALIKE * ascending[1:])
    if not len(near):
        return near, near
    first, others, size = order.copy(), list[int](), np.sqrt(curved)
    for k in near:
        i, j = first[k], order[k + 1]
        off = abs(slope[i] - slope[j])
        if not (0 < kappa[i] == kappa[j] and off <= ALIKE * (abs(slope[i]) + kappa[i])):
            continue
        if (np.abs(H[i] - H[j]) <= ALIKE * size[i] * size).all():
            first[k + 1] = i
            others.append(int(k) + 1)
    return first[others], order[others]


def merge_twins(H: Array, slope: Array, kappa: Array, x: Array) -> tuple[Array, NDArray[np.bool_]]:
    """x with the sum of each set of twins at its first one, and True for the others, (D,).

    H x stays as it is, and so do the slopes.
    """
    firsts, others = find_twins(H, slope, kappa)
    spare = np.zeros(len(x), dtype=bool)
    spare[others] = True
    if not len(others):
        return x, spare
    merged = np.where(spare, 0.0, x)
    np.add.at(merged, firsts, x[others])
    return merged, spare
