"""Logits of many rows, to the same bits for any batch, any number of threads and any layout.

A row's product with the weights may round differently by its place in a BLAS call, so dense rows
are scored in tiles that are copied to one layout and padded to a multiple of `LANES` rows: every
row then meets the same inner loop.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.features import Features
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]

LANES = 64


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
    tiles = [_padded(tile.features) for tile in block.tiles()]
    scored = [features.linear(W)[:, :count] for features, count in tiles]
    return np.concatenate([np.empty((len(W), 0)), *scored], axis=1)


def _padded(features: Features) -> tuple[Features, int]:
    """The rows in C order with rows of zeros up to a multiple of `LANES`, and how many are real."""
    count = features.n_rows
    if isinstance(features, MixedFeatures):
        return _pad_mixed(features), count
    if isinstance(features, DenseFeatures):
        return DenseFeatures(_pad(features.values)), count
    return features, count  # sparse rows are summed one by one, whatever their neighbours


def _pad_mixed(features: MixedFeatures) -> MixedFeatures:
    words = features.words
    numeric = _pad(features.numeric)
    if words is not None:
        words = words.copy()
        words.resize((len(numeric), words.shape[1]))
    return MixedFeatures(numeric, _pad(features.codes), features.level_counts, words)


def _pad(values: Array) -> Array:
    short = -len(values) % LANES
    if short == 0 and values.flags.c_contiguous:
        return values
    out = np.zeros((len(values) + short, values.shape[1]), dtype=values.dtype)
    out[: len(values)] = values
    return out
