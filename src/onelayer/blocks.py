"""A block of rows: features, labels and weights, and its tiles that stay in cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.features import Features
from onelayer.features.dense import DenseFeatures
from onelayer.features.stack import stack_features
from onelayer.loss import take_weights

Array = NDArray[Any]
ClassFactors = tuple[float, float]  # for rows of label 0, and for those of label 1

TILE_VALUES = 1 << 17  # 1 MiB of float64: a tile is read from memory once and reused from cache
# Where a row holds fewer values than there are columns, adding a tile's Hessian costs more than
# leaving the cache does: such tiles are longer, in proportion to the columns, up to this.
LONGEST_TILE = 1 << 14
# Threads that call many short loops wait for each other in the interpreter: a pass over vectors
# takes stretches of 8 MiB, which a cache that cores share still holds, or of 4 where it is copied,
STRETCH_VALUES = 1 << 20
FEWEST_ROWS = 1 << 12  # of a wider table too: calls for fewer cost more than the cache gives
COPIED_VALUES = 1 << 17  # the same where a copy is read, unless into memory used again
STRETCH_ROWS = 1 << 15  # as long as the outputs of their rows do,
COPIED_ROWS = 1 << 13  # and what is copied is not so long that its memory is new each time.
PIECE_VALUES = 1 << 18  # where few calls are made for a piece: a core's own cache holds most of it


@dataclass(frozen=True)
class Block:
    """Rows with their labels (outputs x rows; class numbers for a softmax) and weights."""

    features: Features
    labels: Array
    weights: Array

    @property
    def n_rows(self) -> int:
        return self.features.n_rows

    def rows(self, start: int, stop: int) -> "Block":
        """The rows from `start` to `stop` with their labels and weights."""
        return Block(
            self.features.rows(start, stop), self.labels[:, start:stop], self.weights[start:stop]
        )

    @property
    def is_single(self) -> bool:
        """Whether products with the rows are of float32."""
        return isinstance(self.features, DenseFeatures) and self.features.single

    def roughly(self) -> "Block":
        """The same rows for guesses: those of float32 are multiplied as they lie."""
        features = self.features
        if isinstance(features, DenseFeatures) and features.values.dtype == np.float32:
            return replace(self, features=replace(features, single=features.shift is None))
        return self

    def tiles(self, values: int = TILE_VALUES) -> Iterator["Block"]:
        """The block in pieces that stay in cache; their borders depend on the shape alone."""
        return self._cut(self._tile_rows(values))

    def stretches(self, n_outputs: int) -> Iterator["Block"]:
        """Longer pieces, for sums of logits and slopes; their borders depend on shapes alone.

        Where rows are copied, a piece lasts until the thread asks for the next.
        """
        rows, values, fewest = STRETCH_ROWS, STRETCH_VALUES, FEWEST_ROWS
        full = self.features.row_values == self.features.n_columns
        if full and not self.features.in_place:
            fewest, values = 64, STRETCH_VALUES // 2
            if not isinstance(self.features, DenseFeatures):
                rows, values = COPIED_ROWS, COPIED_VALUES
        rows = max(64, rows // n_outputs)
        if full:
            rows = min(rows, max(fewest, values // self.features.row_values))
        return self._cut(rows, passing=True)

    def parts(self) -> Iterator["Block"]:
        """The block in parts of rows whose logits a thread has room for, as they lie."""
        cuts = _cut_evenly(self.n_rows, STRETCH_ROWS)
        for own in cuts:
            yield self if len(cuts) == 1 else self.rows(own.start, own.stop)

    def pieces(self) -> Iterator[tuple[slice, Features]]:
        """Its features in pieces that a core's own cache holds, if the columns are all there."""
        features, rows = self.features, STRETCH_ROWS
        if features.row_values == features.n_columns:
            rows = max(64, PIECE_VALUES // features.row_values)
        tile = features.passing_tile if isinstance(features, DenseFeatures) else features.tile
        for own in _cut_evenly(self.n_rows, rows):
            yield own, tile(own.start, own.stop)

    def _tile_rows(self, values: int) -> int:
        step = max(64, values // self.features.row_values)
        if self.features.row_values < self.features.n_columns:
            step = max(step, min(32 * self.features.n_columns, LONGEST_TILE))
        return step

    def _cut(self, step: int, passing: bool = False) -> Iterator["Block"]:
        tile = self.features.tile
        if passing and isinstance(self.features, DenseFeatures):
            tile = self.features.passing_tile
        for own in _cut_evenly(self.n_rows, step):
            yield Block(tile(own.start, own.stop), self.labels[:, own], self.weights[own])

    def take(self, indices: Array) -> "Block":
        """The rows at `indices`, copied."""
        weights = take_weights(self.weights, indices)
        return Block(self.features.take(indices), self.labels[:, indices], weights)


def _cut_evenly(n: int, step: int) -> list[slice]:
    """Slices of n rows, of one length of at most `step`: none of them is a short rest."""
    count = max(1, -(-n // step))
    return [slice(k * n // count, (k + 1) * n // count) for k in range(count)]


def weigh_classes(labels: Array, weights: Array, factors: ClassFactors) -> Array:
    """The weights (n,) of rows, times a factor for negative ones and one for positive ones."""
    if factors == (1.0, 1.0):
        return weights
    return np.asarray(weights * np.where(labels > 0, factors[1], factors[0]))


def stack_blocks(blocks: Sequence[Block]) -> Block:
    """Blocks of one layout, one below the other."""
    if len(blocks) == 1:
        return blocks[0]
    return Block(
        stack_features([block.features for block in blocks]),
        np.concatenate([block.labels for block in blocks], axis=1),
        np.concatenate([block.weights for block in blocks]),
    )
