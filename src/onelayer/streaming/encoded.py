"""Rows of a raw table as the solver takes them: those to train on, and those held out."""

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.encoding import to_features
from onelayer.table.schema import Schema, read_weights
from onelayer.table.stream import Batch
from onelayer.table.survey import Split


def encode_batch(schema: Schema, split: Split, batch: Batch) -> tuple[int, Block, Block]:
    """The rows of a batch, how many; of those that are there the trained and the held."""
    table = batch.table
    there, held = split.apply(batch.first, table)
    labels = schema.labels(table)
    weights = np.broadcast_to(1.0, len(labels))
    if schema.weight is not None:
        weights = read_weights(table, schema.weight, split.na, some=False)
    features = to_features(schema.encode(table))
    whole = Block(features, np.nan_to_num(labels)[None].astype(np.int8), weights)
    return len(there), _choose(whole, there & ~held), _choose(whole, held)


def _choose(block: Block, rows: NDArray[np.bool_]) -> Block:
    return block if rows.all() else block.take(np.flatnonzero(rows))
