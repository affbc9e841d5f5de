"""A Hessian that is applied, never summed: for many columns of few values each.

Summing a Hessian of thousands of columns and factoring it, once a step, takes far longer than the
few dozen products with the rows that conjugate gradients need where the penalty bounds its
condition. It stands where the parabola of `corners.minimise` expects a matrix.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.objective import Evaluation, Objective
from onelayer.solvers.kept import KeptRows, Terms
from onelayer.solvers.preconditioner import sum_diagonal

Array = NDArray[Any]

LEFT = 0.03  # of a slope: the next step sees to it
FINEST = 0.01  # at the end, where steps grow as short as their squares
MOST_PRODUCTS = 300
FLAT = 1e-7  # of a direction's curvature if its columns were apart: signs decide along it
FARTHEST = 1.0  # times as long as what there is, and a step of each column alone
MOST_REFINED = 3  # times that the last face is solved on
ASTRAY = 8  # guesses in a row with no fewer signs to change
SUMMED = 1e-14  # of the largest slope is rounding


@dataclass(frozen=True)
class RowsHessian:
    """The Hessian of the rows, with the penalty, where `terms` were taken; (D, D)."""

    kept: KeptRows
    terms: Terms

    @property
    def shape(self) -> tuple[int, int]:
        """(D, D)."""
        return self.kept.objective.size, self.kept.objective.size

    def __matmul__(self, v: Array) -> Array:
        V = np.asfortranarray(self.kept.objective.by_output(v))
        return self.kept.multiply_sigmoids(self.terms, V).ravel()

    @cached_property
    def diagonal(self) -> Array:
        """(D,): one pass."""
        penalty = self.kept.objective.penalty
        return np.asarray(sum_diagonal(self.kept, self.terms) + penalty).ravel()

    def solve(self, chosen: NDArray[np.intp], right: Array) -> Array:
        """The step of the chosen parameters alone, by conjugate gradients, nearly."""
        slope = np.zeros(self.shape[0])
        slope[chosen] = -right
        return self.descend(chosen, slope)[0][chosen]

    def descend(
        self,
        chosen: NDArray[np.intp],
        slope: Array,
        enough: float = 0.0,
        farthest: float = math.inf,
    ) -> tuple[Array, Array, float, float]:
        """The step d (D,) of the chosen parameters to where they have next to no slope, and H d.

        Conjugate gradients, until the squared slope, in the norm of the diagonal's inverse, is down
        to `enough` or to the square of `LEFT` of what it was: which of them is the larger, and how
        much is left, come back too. Or until d is `farthest` long, squared, in the diagonal's norm.
        """
        scale = np.zeros(self.shape[0])
        scale[chosen] = 1 / np.where(self.diagonal > 0, self.diagonal, 1.0)[chosen]
        d, Hd, r = np.zeros_like(slope), np.zeros_like(slope), -slope
        p = z = scale * r
        left = float(r @ z)
        enough = max(enough, LEFT**2 * left)
        for _ in range(MOST_PRODUCTS):
            if not left > enough:
                break
            Hp = self @ p
            bent = float(p @ Hp)
            if not bent > FLAT * float(p @ (self.diagonal * p)):
                break
            d += left / bent * p
            Hd += left / bent * Hp
            r -= left / bent * Hp
            if float(d @ (self.diagonal * d)) > farthest:
                break
            z = scale * r
            before, left = left, float(r @ z)
            p = z + left / before * p
        return d, Hd, enough, left

    def under(self, objective: Objective) -> "RowsHessian":
        """The same rows' Hessian under the penalty of another objective over them."""
        return RowsHessian(KeptRows(objective), self.terms)


def look(objective: Objective, theta: Array) -> tuple[Evaluation, RowsHessian]:
    """F, its slope and its Hessian at theta, (n_outputs, p + 1): one pass."""
    kept = KeptRows(objective)
    theta = np.asfortranarray(theta)
    terms = kept.terms(kept.linear(theta))
    evaluation, gradient = kept.evaluate(theta, terms)
    evaluation = replace(evaluation, gradient=gradient.reshape(objective.groups, -1))
    return evaluation, RowsHessian(kept, terms)


def guess_nearly(H: RowsHessian, slope: Array, kappa: Array, x: Array) -> Array | None:
    """The minimiser of Q as `corners.minimise` has it, nearly; None where guesses go astray.

    Signs are guessed from those at hand, and each face is left for the next one from where the last
    one's answer was. A 0 stays where its slope exceeds the penalty by no more than what is left of
    the slopes of those that are not; in the end that is little beside the whole way's length.
    """
    free, signs = kappa == 0, np.sign(x)
    signs[free] = 2.0
    target, there, enough = x.copy(), slope.copy(), 0.0
    excess = np.maximum(np.abs(slope + kappa * np.sign(x)) - np.where(x == 0, kappa, 0.0), 0.0)
    curved = np.where(H.diagonal > 0, H.diagonal, 1.0)
    farthest = FARTHEST**2 * float(np.square(x) @ curved + np.square(excess) @ (1 / curved))
    fewest, patience, refined = len(x) + 1, ASTRAY, 0
    while patience:
        gone = (signs == 0) & (target != 0)
        if gone.any():
            there += H @ np.where(gone, -target, 0.0)
            target[gone] = 0.0
        held, pull = np.flatnonzero(signs), np.where(free, 0.0, kappa * signs)
        d, Hd, enough, left = H.descend(held, there + pull, enough, farthest)
        target += d
        there += Hd
        level = np.abs((there + pull)[held]).max(initial=SUMMED * np.abs(there).max())
        wrong = (signs == 0) & (np.abs(there) - kappa > level)
        wrong |= (signs * target < 0) & ~free
        count = int(np.count_nonzero(wrong))
        if not count:
            bent = float((target - x) @ (there - slope))
            wanted = min(LEFT**2, max(bent, FINEST**2)) * bent
            if left <= wanted or refined == MOST_REFINED:
                return target
            enough, refined = wanted, refined + 1
            continue
        fewest, patience = (count, ASTRAY) if count < fewest else (fewest, patience - 1)
        signs = np.where(wrong, np.where(signs == 0, -np.sign(there), 0.0), signs)
    return None
