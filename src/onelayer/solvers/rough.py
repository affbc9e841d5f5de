"""The objective of dense rows of float32 for guesses: products and slopes of float32.

Steps are guesses, and need no more. Rows are multiplied as they lie, half the bytes of float64, and
a stretch takes few calls: threads wait for each other between short ones, which costs more than the
arithmetic. Nothing is proved by it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.loss import SigmoidLoss, is_even
from onelayer.objective import Evaluation, Objective, bordered_curvature
from onelayer.scratch import borrow
from onelayer.sums import Sums

Array = NDArray[Any]

FARTHEST = np.float32(80)  # a margin whose exponential is no infinity; the slope there is 1
FAR_OUT = 1e18  # too large, or as 1 / this too small, a spread or weight for float32's products


class RoughObjective(Objective):
    """An objective that `may_be_rough`, its rows summed in float32."""

    def __init__(self, plain: Objective) -> None:
        vars(self).update(vars(plain))

    def measure(
        self, W: Array, bias: Array, hessian: bool, diagonal: bool
    ) -> Callable[[Block], Sums]:
        """As `Objective.measure`; a diagonal is float64's."""
        if diagonal:
            return super().measure(W, bias, hessian, diagonal)
        return _Measure(W.astype(np.float32), np.float32(bias[0]), hessian)

    def place(self, theta: Array) -> Array:
        """The nearest theta whose weights on tiles are float32's: there a pass rounds none."""
        where = self.where
        W, bias = (part.astype(np.float32).astype(np.float64) for part in where.to_tiles(theta))
        return np.column_stack([W * where.spread, bias + W @ where.residual_centre])


def may_be_rough(objective: Objective) -> bool:
    """Whether rows are of float32, there is one sigmoid, and numbers are within float32's reach.

    Without a penalty there may be no optimum, and margins grow beyond it.
    """
    spread, weight = objective.where.spread, objective.where.weight
    return (
        isinstance(objective.rows.block, Block)  # no rows on disk
        and objective.rows.block.roughly().is_single
        and isinstance(objective.loss, SigmoidLoss)
        and objective.n_outputs == 1
        and bool(np.isfinite(objective.C))
        and bool(((spread > 1 / FAR_OUT) & (spread < FAR_OUT)).all())
        and 1 / FAR_OUT < weight < FAR_OUT
    )


def look_at(
    objective: Objective, rough: RoughObjective | None, theta: Array
) -> tuple[Array, Evaluation]:
    """The evaluation at `theta`, or the rough one with the place nearby where it was made."""
    if rough is None:
        return theta, objective.evaluate(theta)
    theta = rough.place(theta)
    return theta, rough.evaluate(theta)


@dataclass(frozen=True)
class _Measure:
    """What one pass adds up over a block."""

    W: Array
    bias: np.float32
    hessian: bool

    def __call__(self, block: Block) -> Sums:
        block, first, parts = block.roughly(), 0, []
        q = borrow("curved", block.n_rows, dtype=np.float32)
        for part in block.parts():
            parts.append(self._sum_rows(part, q[first : first + part.n_rows]))
            first += part.n_rows
        total = reduce(add, parts)
        if self.hessian:
            total.second = np.empty((1, *[self.W.size + 1] * 2))
            bordered_curvature(block.features, q, total.second[0])
            total.bias_curvature = total.second[:, -1, -1:].copy()
        return total

    def _sum_rows(self, part: Block, q: Array) -> Sums:
        """The sums of some rows, and their curvatures to `q`.

        As in `sigmoid_sums.py`, from margins turned round. Rows that are nearly sure would have too
        few digits of it for their curvature.
        """
        sign, e, T = borrow("rough", 3, part.n_rows, dtype=np.float32)
        np.multiply(part.labels[0], np.float32(-2), out=sign)
        sign += 1
        s = _find_own(part.weights)
        share = sign if s is None else sign * s
        weights, farthest = np.zeros((1, self.W.size)), -np.inf
        for rows, features in part.pieces():
            u = features.linear(self.W)[0]
            u += self.bias
            u *= sign[rows]
            np.minimum(u, FARTHEST, out=u)
            miss = np.exp(u, out=e[rows])
            own = np.add(miss, 1, out=T[rows])
            miss /= own
            if self.hessian:
                np.divide(miss, own, out=q[rows])
                farthest = max(farthest, float(u.max(initial=-np.inf)))
            miss *= share[rows]
            weights += features.back(miss[None])
        np.log(T, out=T)
        scale = float(part.weights[0]) if s is None else 1.0
        if self.hessian:
            q *= np.float32(scale) if s is None else s
        return Sums(
            loss=np.array([scale * float(T.sum() if s is None else np.dot(T, s))]),
            weights=scale * weights,
            biases=np.array([scale * float(e.sum())]),
            miss=np.zeros(1),
            least_curvature=np.zeros(1),
            least_margin=np.array([-farthest if self.hessian else -np.inf]),
        )


def _find_own(weights: Array) -> Array | None:
    """The rows' own weights in float32; None where all share one."""
    return None if is_even(weights) else weights.astype(np.float32)
