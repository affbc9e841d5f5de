"""The objective of a table that fits in cache: over a standardised copy, without blocks and tiles.

On a thousand rows a pass takes microseconds, less than the machinery that serves tables of any
size. The sums are the same, in the same coordinates; centred columns only round less.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.network import margin_terms
from onelayer.objective import Evaluation, Objective
from onelayer.solvers import direct

Array = NDArray[Any]


class StandardisedObjective(Objective):
    """`Objective` for one sigmoid output over few dense rows, those that `direct.suits`."""

    def __init__(self, plain: Objective) -> None:
        super().__init__(plain.rows, plain.loss, plain.C, plain.where)
        block, where = plain.rows.block, plain.where
        values = block.features.tile(0, block.n_rows).values  # type: ignore[attr-defined]
        self._A = np.empty((self.width, block.n_rows))  # with a row of ones for the bias
        np.subtract(values.T, where.residual_centre[:, None], out=self._A[:-1])
        self._A[:-1] *= where.scale[:, None]
        self._A[-1] = 1
        self._A[where.frozen] = 0
        self._sign = 2.0 * block.labels[0] - 1.0
        self._weights = np.ascontiguousarray(block.weights)  # one for all would keep BLAS out

    def evaluate(self, theta: Array, hessian: bool = False, diagonal: bool = False) -> Evaluation:
        """As `Objective.evaluate`."""
        if diagonal:
            return super().evaluate(theta, hessian, diagonal)
        A, s = self._A, self._weights
        margin = self._sign * (theta[0] @ A)
        loss, miss, curvature = margin_terms(margin)
        curvature *= s
        third = self._sign * (2 * miss - 1) * curvature if hessian else None
        miss *= s
        total = np.array([loss @ s])
        held = s > 0
        return Evaluation(
            value=total + 0.5 * (self.penalty @ np.square(theta[0])),
            loss=total,
            gradient=self.penalty * theta - (A @ (self._sign * miss))[None],
            miss=np.array([miss @ miss]),
            least_curvature=np.array([curvature.min(where=held, initial=np.inf)]),
            least_margin=np.array([margin.min(where=held, initial=np.inf)]),
            hessian=self._curve(curvature)[None] if hessian else None,
            third=third,
            bias_curvature=np.array([[curvature.sum()]]),
        )

    def bend(self, evaluation: Evaluation, d: Array) -> Array:
        """What the third derivative adds to the slope along d (D,), T[d, d] / 2: (D,)."""
        assert evaluation.third is not None
        return np.asarray(0.5 * (self._A @ (evaluation.third * np.square(d @ self._A))))

    def _curve(self, curvature: Array) -> Array:
        half = self._A * np.sqrt(curvature)
        H = half @ half.T
        H.ravel()[:: len(H) + 1] += self.ridge
        return np.asarray(H)


def copy_standardised(objective: Objective) -> Objective:
    """The objective over a standardised copy, where the rows are few; else as it is."""
    suits = direct.suits(objective.rows, objective.loss)
    return StandardisedObjective(objective) if suits else objective
