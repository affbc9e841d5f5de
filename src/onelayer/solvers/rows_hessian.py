"""A Hessian that is applied, never summed: for many columns of few values each.

Summing a Hessian of thousands of columns and factoring it, once a step, takes far longer than the
few dozen products with the rows that conjugate gradients need where the penalty bounds its
condition. It stands where the parabola of `corners.minimise` expects a matrix.
"""

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
MOST_PRODUCTS = 300


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
        return self.kept.product(self.terms, V)[0].ravel()

    @cached_property
    def diagonal(self) -> Array:
        """(D,): one pass."""
        penalty = self.kept.objective.penalty
        return np.asarray(sum_diagonal(self.kept, self.terms) + penalty).ravel()

    def solve(self, chosen: NDArray[np.intp], right: Array) -> Array:
        """The step of the chosen parameters alone, by conjugate gradients, nearly."""
        scale = 1 / np.where(self.diagonal > 0, self.diagonal, 1.0)[chosen]
        d, r, wide = np.zeros_like(right), right.copy(), np.zeros(self.shape[0])
        z = scale * r
        p, energy = z.copy(), float(r @ z)
        enough = LEFT**2 * energy
        for _ in range(MOST_PRODUCTS):
            if not energy > enough:
                break
            wide[chosen] = p
            Hp = (self @ wide)[chosen]
            bent = float(p @ Hp)
            if not bent > 0:
                break
            d += energy / bent * p
            r -= energy / bent * Hp
            z = scale * r
            before, energy = energy, float(r @ z)
            p = z + energy / before * p
        return d

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
