"""The objective of a table that fits in cache: over a standardised copy, without blocks and tiles.

On a thousand rows a pass takes microseconds, less than the machinery that serves tables of any
size. The sums are the same, in the same coordinates; centred columns only round less.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.features.dense import DenseFeatures
from onelayer.loss import SoftmaxLoss
from onelayer.network import margin_terms
from onelayer.objective import Evaluation, Objective, bias_curvature
from onelayer.solvers import direct

Array = NDArray[Any]

MOST_PARAMETERS = 300  # of all classes together: beyond, the sums themselves take the time
MOST_TERMS = 1 << 18  # values times classes: 2 MiB


def _copy_rows(plain: Objective) -> Array:
    """(p + 1, n), the rows in the objective's coordinates, with a row of ones for the bias."""
    block, where = plain.rows.block, plain.where
    values = block.features.tile(0, block.n_rows).values  # type: ignore[attr-defined]
    A = np.empty((plain.width, block.n_rows))
    np.subtract(values.T, where.residual_centre[:, None], out=A[:-1])
    A[:-1] *= where.scale[:, None]
    A[-1] = 1
    A[where.frozen] = 0
    return A


class StandardisedObjective(Objective):
    """`Objective` for one sigmoid output over few dense rows, those that `direct.suits`."""

    def __init__(self, plain: Objective) -> None:
        super().__init__(plain.rows, plain.loss, plain.C, plain.where)
        block, self._A = plain.rows.block, _copy_rows(plain)
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


class StandardisedSoftmax(Objective):
    """`Objective` for several classes over few dense rows."""

    def __init__(self, plain: Objective) -> None:
        super().__init__(plain.rows, plain.loss, plain.C, plain.where)
        self._A, block = _copy_rows(plain), plain.rows.block
        self._labels, self._weights = block.labels, np.ascontiguousarray(block.weights)

    def evaluate(self, theta: Array, hessian: bool = False, diagonal: bool = False) -> Evaluation:
        """As `Objective.evaluate`."""
        if diagonal:
            return super().evaluate(theta, hessian, diagonal)
        A, s = self._A, self._weights
        rows = self.loss.sum_rows(theta @ A, self._labels, s, hessian)
        R, q, P = rows.residual, rows.curvature, rows.probability
        slope = self.penalty * theta
        ridge = 0.5 * float((slope * theta).sum())
        slope += R @ A.T
        curved, bent = None, None
        if q is not None and P is not None:
            curved, bent = self._curve(q, P)[None], bias_curvature(q, P, s)
        return Evaluation(
            value=rows.loss + ridge,
            loss=rows.loss,
            gradient=slope.reshape(1, -1),
            miss=np.array([np.square(R).sum()]),
            least_curvature=rows.least_curvature,
            least_margin=rows.least_margin,
            hessian=curved,
            bias_curvature=bent,
        )

    def _curve(self, q: Array, P: Array) -> Array:
        """Each class's own block from its curvature, which keeps its digits where p is nearly 1;
        the others from one product."""
        A, k, width = self._A, self.n_outputs, self.width
        B = ((P * np.sqrt(self._weights))[:, None, :] * A).reshape(k * width, -1)
        H = B @ B.T
        np.negative(H, out=H)
        for each in range(k):
            own = slice(each * width, (each + 1) * width)
            half = A * np.sqrt(q[each])
            H[own, own] = half @ half.T
        H.ravel()[:: len(H) + 1] += np.tile(self.ridge, k)
        return np.asarray(H)


def copy_standardised(objective: Objective) -> Objective:
    """The objective over a standardised copy, where the rows are few and the classes two; else as
    it is."""
    suits = direct.suits(objective.rows, objective.loss)
    return StandardisedObjective(objective) if suits else objective


def copy_softmax(objective: Objective) -> Objective:
    """The same where there are more classes, and few parameters of all of them."""
    rows = objective.rows
    suits = (
        isinstance(objective.loss, SoftmaxLoss)
        and direct.is_small(rows)
        and isinstance(rows.block.features, DenseFeatures)
        and objective.size <= MOST_PARAMETERS
        and rows.n_rows * objective.size <= MOST_TERMS
    )
    return StandardisedSoftmax(objective) if suits else objective
