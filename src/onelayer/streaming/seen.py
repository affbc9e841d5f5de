"""What the rows trained on looked like: their scores in bins, beside the columns' own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import ClassFactors
from onelayer.network import sigmoid
from onelayer.rows.memory import MemoryRows
from onelayer.scoring import predict_logits
from onelayer.table.reference import REFERENCE_ROWS, Bins, Reference, bin_scores

Array = NDArray[Any]


def see_scores(
    rows: MemoryRows, W: Array, b: Array, columns: tuple[Bins, ...], n_seen: int
) -> Reference:
    """The scores of some rows at random, the same ones wherever they lie.

    Args:
        rows: Those trained on, as they came.
        columns: In bins already, as `n_seen` rows had them.
    """
    numbers = rows.draw(min(REFERENCE_ROWS, rows.n_rows))
    most = int(min(len(numbers), rows.room // rows.block.features.row_bytes + 1))  # at a time
    logits, weights = [], []
    for part in np.array_split(numbers, -(-len(numbers) // most)):
        block = rows.take(part)
        logits.append(predict_logits(block.features, W, b)[0])
        weights.append(block.weights)
    score = bin_scores(np.asarray(sigmoid(np.concatenate(logits))), np.concatenate(weights))
    return Reference(min(n_seen, len(numbers)), columns, score)


def level(rows: MemoryRows) -> ClassFactors:
    """What makes the weights of rows 1 in the mean."""
    factor = rows.n_rows / rows.reduce(lambda block: float(block.weights.sum()))
    return factor, factor
