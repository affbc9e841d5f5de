"""Columns that separate by themselves: all of a class at or above a number, all others at or below.

Only minima and maxima are compared, so nothing is rounded, and a dummy that goes with one class
alone, the commonest separation, is named by itself.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.features import Features
from onelayer.features.dense import DenseFeatures
from onelayer.rows.memory import MemoryRows
from onelayer.separation.found import Direction
from onelayer.separation.sides import Sides

Array = NDArray[Any]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Split:
    """Column j against a number: class `own` on the side of `sign`, the rest on the other."""

    own: int
    column: int
    sign: float
    at: float
    complete: bool

    def to_weights(self, sides: Sides) -> Array:
        """The split as a direction, (n_outputs, p + 1)."""
        weights = np.zeros((sides.n_outputs, sides.width))
        weights[self.own if sides.softmax else 0, self.column] = self.sign
        weights[self.own if sides.softmax else 0, -1] = -self.sign * self.at + 0.0
        return weights

    def concerns(self, own: Array, classes: int) -> Mask:
        """Of a softmax's margins, (classes, m), those between the class and another."""
        return np.asarray((own == self.own) | (np.arange(classes)[:, None] == self.own))


def separate_by_single_columns(sides: Sides, open_: Mask) -> tuple[list[Direction], Mask]:
    """Directions of one column each, and the margins that stay open after them.

    Each round looks at the rows that the rounds before have left, where columns may do more. A
    column that separates all rows is preferred to any others.
    """
    found: list[Direction] = []
    while open_.any():
        splits = _find_splits(sides, open_)
        splits = [split for split in splits if split.complete][:1] or splits
        if not splits:
            break
        counts, open_ = _close(sides, splits, open_)
        found += [
            Direction(split.to_weights(sides), (split.column,), int(count))
            for split, count in zip(splits, counts, strict=True)
            if count
        ]
    return found, open_


def _find_splits(sides: Sides, open_: Mask) -> list[_Split]:
    out = []
    for own in range(sides.n_outputs) if sides.softmax else (1,):
        inside, outside = _members(sides, open_, own)
        if not (inside.any() and outside.any()):
            continue
        low, high = measure_ranges(sides.rows, np.stack([inside, outside]))
        for sign in (1.0, -1.0):
            least, most = (low[0], high[1]) if sign > 0 else (-high[0], -low[1])
            moves = (low.min(axis=0) < high.max(axis=0)) | ~np.asarray(sides.has_bias)
            fits = (least >= most) & moves & ~sides.fixed[:-1]
            if not sides.has_bias:
                fits &= (least >= 0) & (most <= 0) & ((low != 0) | (high != 0)).any(axis=0)
            places = zip(np.flatnonzero(fits), least[fits], most[fits], strict=True)
            out += [_place(sides, own, sign, int(j), a, b) for j, a, b in places]
    return out


def _place(sides: Sides, own: int, sign: float, j: int, least: float, most: float) -> _Split:
    """The number between the two sides; at the rows' own value where they touch."""
    at = 0.0
    if sides.has_bias:
        at = most + (least - most) / 2
        if not most < at < least:
            at = most
    return _Split(
        own, int(j), sign, float(sign * at), bool(most < at < least) and not sides.softmax
    )


def _members(sides: Sides, open_: Mask, own: int) -> tuple[Mask, Mask]:
    """Rows of the class, and of others, with a margin between the two still open."""
    if not sides.softmax:
        return open_[0] & (sides.own == 1), open_[0] & (sides.own == 0)
    belongs = sides.own == own
    return belongs & open_.any(axis=0), ~belongs & open_[own]


def _close(sides: Sides, splits: list[_Split], open_: Mask) -> tuple[Array, Mask]:
    """How many rows each split takes off its number that none before it took; what stays open."""
    E = np.zeros((len(splits), sides.rows.n_columns))
    E[np.arange(len(splits)), [split.column for split in splits]] = 1.0
    state = np.vstack([open_, sides.own[None]])
    source = MemoryRows(Block(sides.rows.block.features, state, sides.rows.block.weights))

    def close(block: Block) -> tuple[Array, Mask]:
        counts, left = np.zeros(len(splits), dtype=np.intp), []
        for tile in block.tiles():
            values, still = tile.features.linear(E), tile.labels[:-1] > 0
            for k, split in enumerate(splits):  # a column times 1 is the column, to the bit
                gone = still & (values[k] != split.at)
                if sides.softmax:
                    gone &= split.concerns(tile.labels[-1], len(still))
                counts[k] += gone.any(axis=0).sum()
                still = still & ~gone
            left.append(still)
        return counts, np.hstack(left)

    parts = list(source.map(close))
    return np.sum([counts for counts, _ in parts], axis=0), np.hstack([left for _, left in parts])


def measure_ranges(rows: MemoryRows, masks: Mask) -> tuple[Array, Array]:
    """Least and largest value of each column over the rows of each mask, (masks, p)."""
    source = MemoryRows(Block(rows.block.features, masks, np.ones(rows.n_rows)), rows.n_jobs)

    def measure(block: Block) -> Array:
        parts = [
            np.stack([_range(tile.features, mask) for mask in tile.labels])
            for tile in block.tiles()
        ]
        return np.asarray(np.min(parts, axis=0))

    least = source.reduce(measure, np.minimum)
    return least[:, 0], -least[:, 1]


def _range(features: Features, mask: Mask) -> Array:
    """Minima and negated maxima, (2, p)."""
    if isinstance(features, DenseFeatures):
        held = features.values if mask.all() else features.values[mask]
        return np.stack([held.min(axis=0, initial=np.inf), -held.max(axis=0, initial=-np.inf)])
    _, _, low, high = features.moments(mask * 1.0, np.zeros(features.n_columns))
    return np.stack([low, -high])
