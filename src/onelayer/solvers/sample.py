"""A random part of the rows that stands for all of them: for starts, and for Hessians.

One row is drawn out of each of k equally long stretches, which survives ordered data, and counts
for as many rows as the stretches have. Rows that a draw would miss or find too seldom, those where
a column that is nearly always 0 is not, and those of a rare class, are all kept, at their own
weight: along such columns the part knows what the whole knows.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.coordinates import Coordinates
from onelayer.features import Features
from onelayer.features.dense import DenseFeatures
from onelayer.features.grouped import group_columns
from onelayer.features.paired import count_pairs, pair_values
from onelayer.features.sparse import SparseFeatures
from onelayer.loss import Loss, SigmoidLoss, multiply_weights, stack_weights
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]

SHARE = 10  # one row in so many,
ENOUGH_ROWS = 30  # and no fewer than this for a parameter,
LARGEST_SHARE = 4  # though at most one in so many
RARE = 0.005  # a column with fewer values than this share of the rows is kept whole,
KEPT = 0.5  # as long as such rows are at most this share of the rows drawn
RARE_CLASS = 0.01
COUNTED = 8192  # rows that tell which columns are rare, and where columns lie
LIGHT_BYTES = 12e6
SINGLE_BYTES = 17e6  # of a sample in float32
PAIRED_BYTES, PAIR_BYTES = 20e6, 12  # of the products of all pairs of a sparse sample's values


@dataclass(frozen=True)
class Sample:
    """The rows of a sample: with their own weights, and with weights that stand for all rows."""

    plain: MemoryRows
    scaled: MemoryRows
    scale: float  # how many rows one row that was drawn stands for
    kept: int  # so many rows, the first ones, stand for themselves


def count_drawn(rows: MemoryRows) -> int:
    """How many rows a sample of these rows draws: enough for its parameters, if there is room."""
    wanted = max(rows.n_rows // SHARE, ENOUGH_ROWS * (rows.n_columns + 1))
    return int(
        min(wanted, rows.n_rows // LARGEST_SHARE, rows.room // rows.block.features.row_bytes)
    )


def draw_sample(rows: MemoryRows, loss: Loss) -> Sample:
    """Draw rows, keep the rare ones whole, and give each row the weight that it stands for.

    Rows that are not in memory hold what was drawn for whoever asks next: it takes two passes.
    """
    if rows.in_memory:
        return _draw(rows, loss)
    if rows.drawn is None:
        rows.drawn = _draw(rows, loss)
    return rows.drawn  # type: ignore[no-any-return]


def _draw(rows: MemoryRows, loss: Loss) -> Sample:
    drawn = rows.draw(count_drawn(rows))
    few = rows.take(drawn[:: -(-len(drawn) // COUNTED)])
    kept = _find_rare(rows, few, len(drawn), loss)
    others = drawn[~np.isin(drawn, kept, assume_unique=True)]
    scale = (rows.n_rows - len(kept)) / max(1, len(others))
    plain = _lay_out(rows.part(np.concatenate([kept, others])))
    factor = np.broadcast_to(scale, len(others))
    if len(kept):
        factor = np.append(np.ones(len(kept)), factor)
    return Sample(plain, plain.weigh(factor), scale, len(kept))


def lighten(sample: Sample) -> MemoryRows:
    """The rows kept whole and few of the others: enough to know columns by."""
    rows, others = sample.scaled, sample.scaled.n_rows - sample.kept
    step = max(1, others // COUNTED)
    chosen = np.append(np.arange(sample.kept), np.arange(sample.kept, rows.n_rows, step))
    if step == 1 or len(chosen) * rows.block.features.row_bytes > LIGHT_BYTES:
        return rows
    block = rows.take(chosen)
    each = np.repeat([1.0, others / (len(chosen) - sample.kept)], [sample.kept, len(chosen)])
    return MemoryRows(replace(block, weights=block.weights * each[: len(chosen)]), rows.n_jobs)


class StandardisedRows(MemoryRows):
    """The rows of a dense table centred and in units of their spread, in float32, as they are read.

    What Hessians are guessed from: their sums take half the time that float64 does.
    """

    def __init__(self, rows: MemoryRows, where: Coordinates) -> None:
        self.rows, self.where = rows, where
        self._set_up(rows.block, rows.n_rows, rows.n_jobs)

    def take(self, numbers: NDArray[np.intp]) -> Block:
        return self._standardise(self.rows.take(numbers))

    def _between(self, start: int, stop: int) -> Block:
        return self._standardise(self.rows._between(start, stop))

    def _standardise(self, block: Block) -> Block:
        assert isinstance(block.features, DenseFeatures)
        where, values = self.where, block.features.values
        out = np.empty(values.shape, dtype=np.float32)
        with np.errstate(invalid="ignore", over="ignore"):  # infinite values are found by passes
            np.subtract(values, where.centre, out=out, casting="same_kind")
            out *= where.scale.astype(np.float32)
        return replace(block, features=DenseFeatures(out, single=True))


def standardise(rows: MemoryRows, where: Coordinates) -> MemoryRows | None:
    """The rows of a dense table as `StandardisedRows`, copied where that is small; else None."""
    n, p = rows.n_rows, rows.n_columns
    if not isinstance(rows.block.features, DenseFeatures):
        return None
    standardised = StandardisedRows(rows, where)
    if 4 * n * p > SINGLE_BYTES:
        return standardised
    values = np.empty((n, p), dtype=np.float32, order="F")
    labels, weights, first = [], [], 0
    for block in standardised.map(lambda block: block):
        values[first : first + block.n_rows] = block.features.values  # type: ignore[attr-defined]
        labels.append(block.labels)
        weights.append(block.weights)
        first += block.n_rows
    features = DenseFeatures(values, single=True)
    block = Block(features, np.concatenate(labels, axis=1), stack_weights(weights))
    return MemoryRows(block, rows.n_jobs)


def _lay_out(rows: MemoryRows) -> MemoryRows:
    """The same rows of a sparse table as its Hessians are soonest summed from, if that is small."""
    if not isinstance(rows.block.features, SparseFeatures):
        return rows
    copied = rows.n_rows == rows.block.n_rows
    block = rows.block if copied else rows.take(np.arange(rows.n_rows))
    features = block.features
    assert isinstance(features, SparseFeatures)
    found: Features | None = group_columns(features)
    if found is None and PAIR_BYTES * count_pairs(features) <= PAIRED_BYTES:
        found = pair_values(features)
    return rows if found is None else MemoryRows(replace(block, features=found), rows.n_jobs)


def thin(rows: MemoryRows, k: int) -> MemoryRows:
    """About k of the sample's rows, which stand for all of them."""
    block = rows.sample(k)
    weights = multiply_weights(block.weights, np.broadcast_to(rows.n_rows / k, block.n_rows))
    return MemoryRows(replace(block, weights=weights), rows.n_jobs)


def _find_rare(rows: MemoryRows, few: Block, drawn: int, loss: Loss) -> NDArray[np.intp]:
    """The rows that hold a value in a column that is nearly always 0, or are of a rare class.

    The product of a row with positive random numbers on the rare columns alone is 0 only where all
    of them are (but for a coincidence of measure 0): one product with the rows finds them.
    """
    share = few.features.count_filled() / few.n_rows
    order = np.argsort(share, kind="stable")
    room = KEPT * drawn / rows.n_rows
    rare = order[(share[order] < RARE) & (np.cumsum(share[order]) < room)]
    marks = np.zeros((1, rows.n_columns))
    marks[0, rare] = np.random.default_rng(0).uniform(1, 2, len(rare))
    label = _rare_label(few, loss)
    if not len(rare) and label is None:
        return np.zeros(0, dtype=np.intp)

    def find(block: Block) -> tuple[int, NDArray[np.intp]]:
        found = np.zeros(block.n_rows, dtype=bool) if label is None else block.labels[0] == label
        if len(rare):
            parts = [features.linear(marks)[0] != 0 for _, features in block.pieces()]
            found |= np.concatenate(parts)
        return block.n_rows, np.flatnonzero(found)

    first, places = 0, []
    for n, found in rows.map(find):
        places.append(first + found)
        first += n
    return np.concatenate(places)


def _rare_label(few: Block, loss: Loss) -> int | None:
    """The class of a single sigmoid that has few rows, or None."""
    if not (isinstance(loss, SigmoidLoss) and loss.n_outputs == 1):
        return None
    share = float(few.labels.mean())
    if min(share, 1 - share) >= RARE_CLASS:
        return None
    return int(share < 0.5)
