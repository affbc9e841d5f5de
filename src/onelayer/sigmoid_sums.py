"""What the rows of one sigmoid add up to without second derivatives: the pass most often made.

Dense rows are read from memory for their logits, and from a core's own cache for their slopes, a
piece at a time. A piece takes few calls, as threads wait for each other in the interpreter between
short ones: sums over rows alone are left for a longer part of them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from onelayer.blocks import Block
from onelayer.loss import FACTORS, FARTHEST, LOW, is_even, least_of_held, sum_logs
from onelayer.network import least_curvature
from onelayer.scratch import borrow
from onelayer.sums import Sums

Array = NDArray[Any]


def sum_slopes(block: Block, W: Array, bias: Array) -> Sums | None:
    """The sums at weights (1, p) on tiles; None where a logit is beyond what exponentials hold."""
    total: Sums | None = None
    for part in block.parts():
        found = _sum_part(part, W, bias)
        if found is None:
            return None
        total = found if total is None else total + found
    return total


def _sum_part(part: Block, W: Array, bias: Array) -> Sums | None:
    """As in `loss.py`, from margins turned round: a slope is no difference."""
    n, s = part.n_rows, part.weights
    room = borrow("slopes", 4, -(-n // FACTORS) * FACTORS)
    turn, u, residual, own = room[:, :n]
    np.multiply(part.labels[0], -2.0, out=turn)
    turn += 1
    even = is_even(s) and s[0] > 0
    share = turn if even else turn * s
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        weights = np.zeros_like(W)
        for rows, features in part.pieces():
            z = features.linear(W)[0]
            z += bias
            turned = np.multiply(z, turn[rows], out=u[rows])
            e = np.exp(turned, out=residual[rows])
            e /= np.add(e, 1, out=own[rows])
            e *= share[rows]
            weights += features.back(e[None])
        farthest = abs(u[blas.idamax(u)]) if n else 0.0
        if farthest > FARTHEST:
            return None
        sums = Sums(
            loss=_sum_losses(room[3:], u, farthest, None if even else s),
            weights=weights,
            biases=residual.sum()[None],
            miss=np.dot(residual, residual)[None],
            least_curvature=_find_least(residual, own, farthest, None if even else s),
            least_margin=np.array([-(farthest if even else u.max(where=s > 0, initial=-np.inf))]),
        )
        return sums.times(float(s[0])) if even else sums


def _sum_losses(own: Array, u: Array, farthest: float, s: Array | None) -> Array:
    """sum log(1 + e) of `own` = 1 + e, under weights or not; log1p where they are far below 1."""
    n, total = len(u), len(u) if s is None else s.sum()
    loss = sum_logs(own, farthest, n) if s is None else np.dot(np.log(own[:, :n]), s)
    if not loss.min() >= LOW * total:
        exact = np.log1p(np.exp(u))
        loss = np.array([exact.sum() if s is None else np.dot(exact, s)])
    return np.asarray(loss)


def _find_least(residual: Array, own: Array, farthest: float, s: Array | None) -> Array:
    """The least curvature of a row, times its weight: (A - Y) / (1 + e) but for the sign."""
    if s is None:
        return least_curvature(np.array([farthest]))
    return least_of_held((np.abs(residual) / own)[None], s)
