"""Factoring a Hessian whose columns may depend on each other.

Scaled to a unit diagonal, then Cholesky; where that breaks down or its condition is beyond float64,
the eigenvectors, of which the flat ones are left alone: the step is then the shortest one. The
matrix is never shifted upward, which would understate the Newton decrement.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Array = NDArray[Any]

EPS = float(np.finfo(np.float64).eps)
ADDED = (1e-13, 1e-8)  # to a unit diagonal, the first with which it has a root


@dataclass(frozen=True)
class Factor:
    """H^-1, or its pseudo-inverse on the directions that float64 can tell from flat ones.

    Attributes
    ----------
    root: (D, D), the Cholesky factor of the matrix scaled to a unit diagonal, lower, 0 above; or
        (D, rank), R of the pseudo-inverse R R'.
    scale: (D,), the roots of the diagonal.
    rank: number of directions kept; below D for dependent columns.
    condition: the least curvature kept over the largest, in (0, 1], with a unit diagonal.
    pseudo: which of the two the root is.
    """

    root: Array
    scale: Array
    rank: int
    condition: float
    pseudo: bool = False

    @property
    def full(self) -> bool:
        """Whether every direction was kept."""
        return self.rank == len(self.scale)

    @cached_property
    def inverse(self) -> Array:
        """(D, D): thrice the work of the factor, and no step needs it."""
        if self.pseudo:
            return np.asarray(self.root @ self.root.T)
        return _invert_root(self.root.copy(order="F"), self.scale)

    def solve(self, g: Array) -> Array:
        """H^-1 g, (D,)."""
        if self.pseudo:
            return np.asarray(self.root @ (self.root.T @ g))
        found, _ = linalg.lapack.dpotrs(self.root, g / self.scale, lower=1)
        return np.asarray(found / self.scale)


def factor(H: Array, floor: float = 0.0) -> Factor:
    """Invert a symmetric matrix of no negative curvature, (D, D).

    Parameters
    ----------
    floor: a share of the largest curvature below which another is rounding; at least 10 D eps is.

    >>> factor(np.array([[1.0, 1.0], [1.0, 1.0]])).solve(np.array([1.0, 1.0])).round(12).tolist()
    [0.5, 0.5]
    """
    floor = max(floor, 10 * len(H) * EPS)
    scale = np.sqrt(np.diag(H))
    scale[scale == 0] = 1
    unit = H / scale / scale[:, None]
    triangle, failed = linalg.lapack.dpotrf(unit, lower=1)
    if not failed:
        condition, _ = linalg.lapack.dpocon(triangle, np.abs(unit).sum(axis=0).max(), uplo="L")
        if condition > floor:
            return Factor(triangle, scale, len(H), float(condition))
    values, vectors = linalg.eigh(unit)
    kept = values > floor * values[-1]
    root = vectors[:, kept] / np.sqrt(values[kept]) / scale[:, None]
    largest = float(values[-1])
    condition = float(values[kept].min(initial=largest)) / largest if largest > 0 else 1.0
    return Factor(root, scale, int(kept.sum()), condition, pseudo=True)


def _invert_root(triangle: Array, scale: Array) -> Array:
    """(S L L' S)^-1 from the lower triangle L, 0 above, which is written over."""
    inverse, _ = linalg.lapack.dpotri(triangle, lower=1, overwrite_c=1)
    whole = inverse + inverse.T
    whole[np.diag_indices(len(whole))] /= 2
    whole /= scale
    whole /= scale[:, None]
    return np.asarray(whole)


def invert_rough(H: Array) -> Array:
    """H^-1; a little curvature is added, which no proof rests on. H is written over."""
    level = fill_flat(np.diag(H))
    scale, unit = 1 / np.sqrt(level), H
    unit *= scale
    unit *= scale[:, None]
    for added in ADDED:
        unit[np.diag_indices(len(H))] += added
        triangle, failed = linalg.lapack.dpotrf(unit, lower=1)
        if not failed:
            return _invert_root(triangle, 1 / scale)
    return np.diag(np.square(scale))


def fill_flat(diagonal: Array) -> Array:
    """The diagonal with its largest value where a sample of rows shows no curvature."""
    largest = max(float(diagonal.max(initial=0.0)), 1e-300)
    return np.where(diagonal > 0, diagonal, largest)


def flat_directions(M: Array) -> Array:
    """The directions (D, f) that a singular M leaves flat, each of length 1."""
    scale = np.sqrt(np.diag(M))
    scale[scale == 0] = 1
    values, vectors = np.linalg.eigh(M / scale / scale[:, None])
    flat = vectors[:, values <= 10 * len(M) * EPS * values[-1]] / scale[:, None]
    return np.asarray(flat / np.sqrt(np.square(flat).sum(axis=0)))
