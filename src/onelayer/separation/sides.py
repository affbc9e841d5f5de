"""On which side of a direction rows lie: the margins that a separation is made of.

A margin is what a direction adds to a row's own answer over another: sigma x~'d for a sigmoid with
sigma = 1 or -1, (d_y - d_k)'x~ for each other class k of a softmax. `open_` marks the margins that
count: rows with a weight that no direction has separated yet.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from onelayer.blocks import Block
from onelayer.coordinates import Coordinates, shift_rows
from onelayer.features import Features
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.loss import Loss, SoftmaxLoss
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]
Mask = NDArray[np.bool_]

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Sides:
    """Rows of one group of outputs with their classes, and the scales a linear program works in.

    Attributes
    ----------
    rows: as given. shifted: with columns far from 0 shifted, and `shift` what was taken off.
    own: (n,) the class of each row.
    n_outputs: 1 for a sigmoid, the number of classes for a softmax.
    centre, span: (p,): programs see (x - centre) / span, within -1 to 1 where it is centred.
    size: (p,) the largest |x - shift|.
    fixed: (p + 1,) parameters that stay 0: constant columns, an absent bias.
    """

    rows: MemoryRows
    shifted: MemoryRows
    shift: Array
    own: NDArray[np.intp]
    n_outputs: int
    centre: Array
    span: Array
    size: Array
    fixed: Mask

    @property
    def softmax(self) -> bool:
        return self.n_outputs > 1

    @property
    def width(self) -> int:
        return self.rows.n_columns + 1

    @property
    def has_bias(self) -> bool:
        return not bool(self.fixed[-1])

    def all_open(self) -> Mask:
        """(q, n): every margin of a row with a weight, none against a row's own class."""
        held = self.rows.block.weights > 0
        if not self.softmax:
            return np.asarray(held[None])
        return np.asarray(held & (np.arange(self.n_outputs)[:, None] != self.own))

    def margins(self, direction: Array, shifted: bool = False) -> Array:
        """(q, n), of a direction (n_outputs, p + 1), whose bias belongs to the rows read."""
        W, bias = direction[:, :-1], direction[:, -1:]

        def multiply(block: Block) -> Array:
            return np.hstack([tile.features.linear(W) + bias for tile in block.tiles()])

        Z = np.hstack(list((self.shifted if shifted else self.rows).map(multiply)))
        if not self.softmax:
            return np.asarray(np.where(self.own == 1, Z, -Z))
        return np.asarray(Z[self.own, np.arange(len(self.own))] - Z)

    def rounding(self, direction: Array, shifted: bool = False) -> float:
        """How far a computed margin may be off, at most."""
        size = self.size if shifted else self.size + np.abs(self.shift)
        largest = np.abs(direction[:, :-1]) @ size + np.abs(direction[:, -1])
        terms = np.count_nonzero(direction, axis=1).max() + 4
        return float(2 * terms * EPS * largest.max())

    def unshift(self, direction: Array) -> Array:
        """A direction for shifted rows as one for the rows as given."""
        out = direction.copy()
        out[:, -1] -= direction[:, :-1] @ self.shift
        return out

    def to_shifted(self, scaled: Array) -> Array:
        """A program's answer, (D,), as a direction for shifted rows."""
        out = np.zeros((self.n_outputs, self.width))
        blocks = scaled.reshape(-1, self.width)
        out[: len(blocks)] = blocks
        out[:, :-1] /= self.span
        out[:, -1] -= out[:, :-1] @ (self.centre - self.shift)
        return out

    def contrasts(self, others: Array, chosen: Array, scaled: bool = True) -> Any:
        """The vectors a with margin a'd of pairs (other class, row): CSR, (m, D).

        D is p + 1 for a sigmoid, (classes - 1)(p + 1) for a softmax, whose last class stays 0.
        """
        taken = self.rows.block.features.take(chosen)
        rows = to_csr(taken, self.centre, self.span) if scaled else to_csr(taken)
        if not self.softmax:
            return sparse.csr_array(rows.multiply(np.where(self.own[chosen] == 1, 1, -1)[:, None]))
        rows, last = rows.tocoo(), self.n_outputs - 1
        place = [(self.own[chosen], 1.0), (others, -1.0)]
        at = np.concatenate([rows.row for _ in place])
        classes = np.concatenate([which[rows.row] for which, _ in place])
        columns = classes * self.width + np.concatenate([rows.col for _ in place])
        data = np.concatenate([sign * rows.data for _, sign in place])
        kept = classes < last
        return sparse.csr_array(
            (data[kept], (at[kept], columns[kept])), shape=(len(chosen), last * self.width)
        )


def make_sides(rows: MemoryRows, loss: Loss, where: Coordinates, output: int) -> Sides:
    """Prepare the rows of one group: a softmax whole, or one of several sigmoid outputs."""
    softmax = isinstance(loss, SoftmaxLoss)
    own = rows.block.labels[0 if softmax else output].astype(np.intp)
    shifted, moved = shift_rows(rows, where)
    centre = np.where(centred_columns(rows.block.features), where.centre, 0.0)
    span = np.maximum(np.abs(where.low - centre), np.abs(where.high - centre))
    size = np.maximum(np.abs(where.low - moved.shift), np.abs(where.high - moved.shift))
    fixed = where.frozen | np.append(span == 0, False)
    return Sides(
        rows,
        shifted,
        moved.shift,
        own,
        loss.n_outputs if softmax else 1,
        np.where(fixed[:-1], 0.0, centre),
        np.where(fixed[:-1] | (span == 0), 1.0, span),
        size,
        fixed,
    )


def to_csr(features: Features, centre: Array | None = None, span: Array | None = None) -> Any:
    """Rows, beside their 1, as a sparse matrix (m, p + 1); numbers less `centre`, over `span`."""
    ones = sparse.csr_array(np.ones((features.n_rows, 1)))
    matrix = sparse.csr_array(sparse.hstack([_to_sparse(features, centre), ones]))
    if span is None:
        return matrix
    return sparse.csr_array(matrix @ sparse.diags_array(np.append(1 / span, 1.0)))


def _to_sparse(features: Features, centre: Array | None) -> Any:
    if isinstance(features, SparseFeatures):
        return features.values.astype(np.float64)
    if isinstance(features, MixedFeatures):
        p = features.numeric.shape[1]
        numeric = features.numeric if centre is None else features.numeric - centre[:p]
        levels = replace(features, numeric=np.zeros((features.n_rows, 0)), words=None)
        parts = [sparse.csr_array(numeric), sparse.csr_array(levels.back(np.eye(levels.n_rows)))]
        parts += [] if features.words is None else [features.words]
        return sparse.hstack(parts, format="csr")
    assert isinstance(features, DenseFeatures)
    values = np.asarray(features.values, dtype=np.float64)
    return sparse.csr_array(values if centre is None else values - centre)


def centred_columns(features: Features) -> Mask:
    """Which columns may be centred without making zeros into numbers."""
    if isinstance(features, DenseFeatures):
        return np.ones(features.n_columns, dtype=bool)
    p = features.numeric.shape[1] if isinstance(features, MixedFeatures) else 0
    return np.asarray(np.arange(features.n_columns) < p)
