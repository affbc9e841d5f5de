"""What the rows seen so far say of the columns: centre, spread, range, and longest row."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.coordinates import Coordinates
from onelayer.loss import SigmoidLoss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]

LARGEST_GRAM = 500  # columns up to which the largest eigenvalue is computed, not bounded
PRODUCTS = 30  # with which twice the estimate is below the eigenvalue once in a million
LEAST_SPREAD = 0.1  # of a column's reach: units in which rare values lie farther would slow all


def merge_columns(one: Coordinates, other: Coordinates) -> Coordinates:
    """The coordinates of the rows of both, from those of each: spreads are roots of mean squares.

    With shares a + b = 1 of the weight, the variance is a var + b var' + a b (c - c')^2.
    """
    weight = one.weight + other.weight
    a, b = one.weight / weight, other.weight / weight
    centre = one.centre + b * (other.centre - one.centre)
    squares = a * _variance(one) + b * _variance(other)
    squares += a * b * np.square(other.centre - one.centre)
    low, high = np.minimum(one.low, other.low), np.maximum(one.high, other.high)
    bias = one.frozen[-1]
    still = (low == high) & ((low == 0) | (not bias))
    spread = np.where(still | (squares == 0), 1.0, np.sqrt(squares))
    return Coordinates(
        centre, spread, low, high, np.append(still, bias), np.zeros_like(low), weight
    )


def _variance(where: Coordinates) -> Array:
    return np.where(where.frozen[:-1], 0.0, np.square(where.spread))


def to_steps(seen: Coordinates) -> Coordinates:
    """The coordinates to step in: centred, in units of the spread or a tenth of the reach."""
    far = np.maximum(seen.high - seen.centre, seen.centre - seen.low)
    spread = np.maximum(seen.spread, LEAST_SPREAD * far)
    return replace(seen, spread=np.where(seen.frozen[:-1], 1.0, spread))


def find_longest(rows: MemoryRows, where: Coordinates) -> float:
    """max_i s_i |x~_i|^2 in the given coordinates, the 1 for the bias counted if one is fitted."""
    scale = np.where(where.frozen[:-1], 0.0, 1 / where.spread)
    centre = where.residual_centre
    constant = float(np.square(centre * scale).sum()) + (not where.frozen[-1])

    def longest(block: Block) -> float:
        return max(float((tile.weights * square(tile)).max()) for tile in block.tiles())

    def square(tile: Block) -> Array:
        crossed = tile.features.linear((centre * np.square(scale))[None])[0]
        return np.asarray(tile.features.square_lengths(scale) - 2 * crossed + constant)

    return rows.reduce(longest, max)


def find_common(rows: MemoryRows, where: Coordinates) -> tuple[float, int]:
    """The largest eigenvalue of sum s x~ x~' in the given coordinates, or more; and the passes.

    At 0 every row's curvature is 1/4, so the Hessian there is a quarter of it. For many columns
    twice what 30 power iterations find stands in, or the sum of all eigenvalues, that of s |x~|^2.
    """
    # Labels do not matter there: those of one output do for all.
    one = rows.beside(rows.block.labels[:1])
    objective = Objective(one, SigmoidLoss(1), math.inf, where)
    zeros = np.zeros((1, objective.width))
    if objective.width <= LARGEST_GRAM:
        H = objective.evaluate(zeros, hessian=True).hessian
        assert H is not None
        moving = ~where.frozen
        return 4 * float(np.linalg.eigvalsh(H[0][np.ix_(moving, moving)]).max(initial=0.0)), 1
    diagonal = objective.evaluate(zeros, diagonal=True).diagonal
    assert diagonal is not None
    total = float(diagonal[0][~where.frozen].sum())
    return 4 * min(total, 2 * _iterate_powers(objective)), 1 + PRODUCTS


def _iterate_powers(objective: Objective) -> float:
    """The largest eigenvalue of the Hessian at 0 from below: v'Hv for a v that H has turned.

    From a random v of p numbers and k products, it falls short of half the eigenvalue with a
    probability of at most 0.824 sqrt(p) / 2^(k - 1/2). Source: J. Kuczynski and H. Wozniakowski,
    Estimating the largest eigenvalue by the power and Lanczos algorithms with a random start, SIAM
    Journal on Matrix Analysis and Applications 13 (1992), theorem 4.1.
    """
    zeros = np.zeros((1, objective.width))
    v = np.random.default_rng(0).standard_normal(zeros.shape)
    v[:, objective.where.frozen] = 0
    size = 0.0
    for _ in range(PRODUCTS):
        length = float(np.linalg.norm(v))
        if length == 0:
            return 0.0
        v /= length
        turned = objective.multiply(zeros, v)
        size, v = float((v * turned).sum()), turned
    return size
