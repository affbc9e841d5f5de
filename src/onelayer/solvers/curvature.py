"""L, the largest curvature that the mean cost can have: what a learning rate is held against.

    L = share lambda_max(X~ S X~') / sum s + 1 / (C sum s),

share 1/4 for sigmoids and 1/2 for a softmax; docs/mathematics.md derives it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.loss import SoftmaxLoss
from onelayer.objective import Objective

Array = NDArray[Any]

LARGEST_GRAM = 2000  # columns up to which the largest eigenvalue is computed, not bounded


def largest_curvature(objective: Objective, batch_size: int | None = None) -> tuple[float, int]:
    """L, and the passes taken to find it; of every minibatch's mean cost if there is a size.

    A minibatch of b rows out of n curves at most as much as its longest row, and at most n / b
    times as much as all rows do. On wide tables the largest sum of |X~|' S |X~| over a row bounds
    the eigenvalue from above.
    """
    weight = objective.where.weight
    size = _gram_norm(objective) if objective.width > LARGEST_GRAM else _gram_eigenvalue(objective)
    passes = 1
    if batch_size is not None:
        n = _count_held(objective)
        smallest = n % batch_size or batch_size  # the last one of a pass
        size = min(size * n / smallest, n * longest_row(objective))
        passes = 2
    return (curvature_share(objective) * size + 1 / objective.C) / weight, passes


def curvature_share(objective: Objective) -> float:
    """The largest curvature of a row's loss by its logits: A (1 - A) <= 1/4; a softmax, 1/2."""
    return 0.5 if isinstance(objective.loss, SoftmaxLoss) else 0.25


def longest_row(objective: Objective) -> float:
    """max_i s_i |x~_i|^2, x~ with the 1 that the bias multiplies, if one is fitted."""
    has_bias = not objective.where.frozen[-1]

    def longest(block: Block) -> float:
        return max(
            float((tile.weights * (tile.features.square_lengths() + has_bias)).max())
            for tile in block.tiles()
        )

    return objective.rows.reduce(longest, max)


def _count_held(objective: Objective) -> int:
    return objective.rows.reduce(lambda block: int(np.count_nonzero(block.weights)))


def _gram_eigenvalue(objective: Objective) -> float:
    p = objective.width - 1
    has_bias = not objective.where.frozen[-1]

    def gram(block: Block) -> Array:
        total = np.zeros((p + 1, p + 1))
        for tile in block.tiles():
            total[:p, :p] += tile.features.curvature(tile.weights)
            total[-1, :p] += has_bias * tile.features.back(tile.weights[None])[0]
            total[-1, -1] += has_bias * tile.weights.sum()
        return total

    # eigvalsh, not a power iteration, which would stop below the eigenvalue; only the lower half.
    return float(np.linalg.eigvalsh(objective.rows.reduce(gram))[-1])


def _gram_norm(objective: Objective) -> float:
    has_bias = not objective.where.frozen[-1]

    def sums(block: Block) -> Array:
        total = np.zeros(objective.width)
        for tile in block.tiles():
            sizes = tile.features.absolute()
            length = sizes.linear(np.ones((1, objective.width - 1)))[0] + has_bias
            weighted = tile.weights * length
            total[:-1] += sizes.back(weighted[None])[0]
            total[-1] += has_bias * weighted.sum()
        return total

    return float(objective.rows.reduce(sums).max())
