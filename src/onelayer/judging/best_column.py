"""A simpler model to beat: the best single column by itself, chosen on the rows trained on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block, stack_blocks
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]

CHOSEN_ON = 5_000  # rows drawn at random, for the choice
FITTED_ON = 50_000  # and for the fit of the column chosen


@dataclass(frozen=True)
class SingleColumn:
    """The weights of one column's features, in their order, and a bias."""

    column: str
    weights: tuple[float, ...]
    bias: float

    def spread(self, owners: tuple[str, ...]) -> tuple[Array, Array]:
        """W (1, n_x) and b (1, 1) over all features, 0 for those of other columns."""
        W = np.zeros((1, len(owners)))
        W[0, [name == self.column for name in owners]] = self.weights
        return W, np.array([[self.bias]])


def find_best_column(rows: MemoryRows, owners: tuple[str, ...]) -> SingleColumn:
    """Choose the column whose own model explains the target best, and fit that.

    Each column's features alone are fitted with C = 1; the log-likelihood less half a logarithm of
    the rows for each feature decides (BIC), so that a column of many levels does not win by their
    number. Choice and fit are made on some thousands of the rows.

    Args:
        rows: Those trained on, with one output.
        owners: For each feature the column it belongs to.
    """
    columns = tuple(dict.fromkeys(owners))
    few = _draw(rows, CHOSEN_ON)
    scores = {}
    for column in columns:
        part = _pick(few, owners, column)
        cost = fit(MemoryRows(part, 1), SigmoidLoss(1)).objective
        scores[column] = cost + part.features.n_columns * log(part.n_rows) / 2
    best = min(columns, key=lambda column: scores[column])
    more = _draw(rows, FITTED_ON, lambda block: _pick(block, owners, best))
    found = fit(MemoryRows(more, 1), SigmoidLoss(1))
    return SingleColumn(best, tuple(found.W[0].tolist()), float(found.b[0, 0]))


def _draw(
    rows: MemoryRows, count: int, pick: Callable[[Block], Block] = lambda block: block
) -> Block:
    """What is picked of some rows at random, both classes among them, of weight 1 in the mean."""
    numbers = rows.draw(min(count, rows.n_rows))
    most = int(min(count, rows.room // rows.block.features.row_bytes + 1))  # at a time
    parts = np.array_split(numbers, -(-len(numbers) // most))
    drawn = stack_blocks([pick(rows.take(part)) for part in parts])
    for label in (0, 1):
        if not (drawn.labels[0] == label).any():
            first = pick(rows.take(np.array([rows.find_class(label)])))
            drawn = stack_blocks([drawn.take(np.arange(1, drawn.n_rows)), first])
    return replace(drawn, weights=drawn.weights / drawn.weights.mean())


def _pick(block: Block, owners: tuple[str, ...], column: str) -> Block:
    """The block with the features of one column alone."""
    features = block.features
    assert isinstance(features, MixedFeatures)
    mine = np.array([name == column for name in owners])
    p = features.numeric.shape[1]
    starts = p + np.cumsum([0, *features.level_counts])
    coded = [j for j in range(len(features.level_counts)) if mine[starts[j]]]
    words, numeric = mine[starts[-1] :], np.ascontiguousarray(features.numeric[:, mine[:p]])
    if not coded and not words.any():
        return replace(block, features=DenseFeatures(numeric))
    own = MixedFeatures(
        numeric,
        features.codes[:, coded],
        tuple(features.level_counts[j] for j in coded),
        features.words[:, np.flatnonzero(words)] if words.any() else None,
    )
    return replace(block, features=own)
