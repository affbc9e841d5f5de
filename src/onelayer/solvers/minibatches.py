"""Rows in minibatches, and the slope of the mean cost as one of them tells it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import TILE_VALUES, Block
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]


def cut_minibatches(block: Block, order: Array, batch_size: int) -> Iterator[Block]:
    """The rows of `block` in `order`, `batch_size` at a time; the last one may be shorter.

    As many minibatches as fill a tile are copied at once: a copy of a few rows costs more by its
    beginning than by its rows, and a copy of all rows would be the table over again.
    """
    values = batch_size * block.features.row_values
    together = batch_size * max(1, TILE_VALUES // values)
    for start in range(0, len(order), together):
        taken = block.take(order[start : start + together])
        for first in range(0, taken.n_rows, batch_size):
            yield taken.rows(first, min(first + batch_size, taken.n_rows))


def mean_slope(objective: Objective, batch: Block, n_rows: int, theta: Array) -> Array:
    """The slope of the mean cost by `theta`, (n_outputs, p + 1), estimated from a minibatch.

    Its b rows stand for all `n_rows`, so their sum counts n / b times:

        ((n / b) sum over the batch of s_i r_i x~_i + Lambda theta) / sum of all s.

    Over a batch drawn at random the mean of this is the slope of the mean cost itself.
    """
    times = n_rows / batch.n_rows
    # A penalty of 1 / times, times over: the penalty whole.
    C = objective.C * times
    part = Objective(MemoryRows(batch, objective.rows.n_jobs), objective.loss, C, objective.where)
    gradient = part.by_output(part.evaluate(theta).gradient)
    return np.asarray(gradient * (times / objective.where.weight))
