"""Triangles by reflections (Householder) in NumPy's long double: a condition counts once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

Long = np.longdouble
EPS = float(np.finfo(Long).eps)
# What is left of a column that is a sum of others, as the rows hold it in float64, of a value.
SUMMED = 64 * 2.0**-52


def triangle(B: Array) -> Array | None:
    """R, upper, with R'R = B'B, by reflections; None where B has not the rank of its columns."""
    D = B.shape[1]
    least = len(B) * EPS * np.sqrt(np.square(B).sum(axis=0))
    if len(B) < D or not all(_reflect(B, j, j, least[j]) for j in range(D)):
        return None
    return np.asarray(np.triu(B[:D]))


def find_independent(A: Array, far: float = 1.0) -> NDArray[np.bool_]:
    """(D,) True for the rows of A that are no sums of rows before them, in any of their values.

    `far`: how far the values that float64 holds lie from 0, in units of A at most.
    """
    B, least = A.T.copy(), SUMMED * far * np.sqrt(np.square(A).mean(axis=1))
    found = np.zeros(len(A), dtype=bool)
    for j in range(len(A)):
        found[j] = found.sum() < len(B) and _reflect(B, int(found.sum()), j, least[j])
    return found


def _reflect(B: Array, first: int, j: int, least: float) -> bool:
    """Turn column j's part from row `first` on into one number, if that is more than `least`."""
    v = B[first:, j].copy()
    length = np.sqrt(v @ v)
    if not length > least:
        return False
    v[0] += np.copysign(length, v[0])
    rest = B[first:, j:]
    rest -= np.outer(v / (length * np.abs(v[0])), v @ rest)
    return True


def invert(root: Array) -> Array:
    """The inverse of an upper triangle."""
    inverse = np.eye(len(root), dtype=Long)
    for j in range(len(root))[::-1]:
        inverse[j] = (inverse[j] - root[j, j + 1 :] @ inverse[j + 1 :]) / root[j, j]
    return inverse
