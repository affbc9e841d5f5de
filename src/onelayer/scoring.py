"""Logits of many rows, to the same bits for any batch, any number of threads and any layout.

A BLAS may take another kernel for another number of rows, and then rounds otherwise. So dense rows
are scored in tiles of one size, copied to one layout and padded with rows of zeros: every product
has the same shape, and every row, in any place, meets the same inner loop.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import TILE_VALUES, Block
from onelayer.features import Features
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]

LANES = 64  # rows that a kernel may take together: a whole number of them leaves no odd ones
MOST_ROWS = 1024  # a tile of more would make a single row wait, of fewer leave BLAS idle


def predict_logits(features: Features, W: Array, b: Array, n_jobs: int | None = None) -> Array:
    """Z = W X + b, (n_outputs, n_rows), for rows in memory.

    >>> predict_logits(DenseFeatures(np.eye(2)), np.array([[1.0, 2.0]]), np.array([[0.5]])).tolist()
    [[1.5, 2.5]]
    """
    nothing = np.empty((0, features.n_rows))
    rows = MemoryRows(Block(features, nothing, nothing.sum(axis=0)), n_jobs)
    with single_threaded_blas():
        parts = list(rows.map(lambda block: _score(block, W)))
    return np.concatenate([np.empty((len(W), 0)), *parts], axis=1) + b


def _score(block: Block, W: Array) -> Array:
    rows = max(1, min(MOST_ROWS, TILE_VALUES // max(1, W.shape[1])) // LANES) * LANES
    parts = [np.empty((len(W), 0))]
    for start in range(0, block.n_rows, rows):
        tile = block.features.tile(start, min(start + rows, block.n_rows))
        parts.append(_multiply(tile, W, rows))
    return np.concatenate(parts, axis=1)


def _multiply(features: Features, W: Array, rows: int) -> Array:
    """W X, (n_outputs, n_rows), with dense columns padded to `rows` rows."""
    if isinstance(features, DenseFeatures):
        padded = DenseFeatures(_pad(features.values, rows))
        return padded.linear(W)[:, : features.n_rows]
    if isinstance(features, MixedFeatures):
        p = features.numeric.shape[1]
        others = replace(features, numeric=features.numeric[:, :0])
        numeric = _multiply(DenseFeatures(features.numeric), W[:, :p], rows)
        return np.asarray(numeric + others.linear(W[:, p:]))
    return features.linear(W)  # sparse rows are summed one by one, whatever their neighbours


def _pad(values: Array, rows: int) -> Array:
    if len(values) == rows and values.flags.c_contiguous:
        return values
    out = np.zeros((rows, values.shape[1]))
    out[: len(values)] = values
    return out
