"""The rows of a table in memory: labels, weights, and what each is used for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.encoding import warn_of_no_holdout
from onelayer.features.mixed import MixedFeatures
from onelayer.holdout import draw_holdout
from onelayer.table.reading import Table
from onelayer.table.schema import read_weights
from onelayer.table.survey import Split
from onelayer.table.target import infer_target

Array = NDArray[Any]


@dataclass(frozen=True)
class TrainingRows:
    """What is known of each row: its label, its weight, and what it is used for."""

    labels: Array  # (n,) 0, 1, nan where the target is missing
    weights: Array  # (n,)
    trained: NDArray[np.bool_]
    held: NDArray[np.bool_]

    def block(self, features: MixedFeatures, chosen: NDArray[np.bool_]) -> Block:
        """The chosen rows as the solvers take them."""
        return Block(features, self.labels[None], self.weights).take(np.flatnonzero(chosen))


def draw_rows(raw: Table, split: Split, positive: Any) -> TrainingRows:
    """Read labels and weights, and draw the rows to be held out among those that count.

    Warns
    -----
    DataWarning: there are too few to hold some out.
    """
    labels = infer_target(raw, split.target, positive, raw.na).labels(raw, raw.na)
    weights = np.broadcast_to(1.0, len(labels))
    if split.weight is not None:
        weights = read_weights(raw, split.weight, raw.na)
    there, share = ~np.isnan(labels) & (weights > 0), split.holdout
    held = draw_holdout(labels, there, raw.frame.width, share, split.seed)
    if share > 0 and not held.any():
        warn_of_no_holdout(raw.name, int(there.sum()), share)
    return TrainingRows(labels, weights, there & ~held, held)
