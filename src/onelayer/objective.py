"""What training minimises, as sums over blocks of rows.

    F(theta) = sum_i s_i loss_i + (1 / C) (1 - l1_ratio) / 2 |W|^2,   the bias never penalised,

the objective that scikit-learn's `LogisticRegression` states, so that answers can be compared. One
pass over the rows gives F, its gradient and, when asked, its Hessian. `theta` is (n_outputs, p + 1)
in the standardised coordinates of `coordinates.py`, the bias last.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.coordinates import Coordinates
from onelayer.features import Features
from onelayer.loss import Loss, SigmoidLoss, SoftmaxLoss
from onelayer.rows.memory import MemoryRows
from onelayer.sigmoid_sums import sum_slopes
from onelayer.sums import Sums

Array = NDArray[Any]

PIECE = 1 << 12  # columns whose slopes stay in cache
LARGEST_PENALTY = 1e300  # a weight under it is 0 to any digit; beyond, float64 would overflow


@dataclass(frozen=True)
class Evaluation:
    """F and its derivatives at one theta, per group of parameters that hang together.

    Attributes
    ----------
    value: (groups,), the objective; loss: (groups,), its part that is log loss.
    gradient: (groups, D), D = p + 1 for a sigmoid, n_outputs (p + 1) for a softmax.
    hessian: (groups, D, D) or None.
    diagonal: (groups, D), the Hessian's, or None; with either bias_curvature: (n_outputs,
        n_outputs), the Hessian of the biases alone, whether they are fitted or not.
    miss: (groups,), sum of (s (A - Y))^2, the scale of rounding in the gradient.
    least_curvature: (groups,), see `Loss.least_curvature`.
    least_margin: (groups,), above 0 when every row with a weight is on the right side.
    third: (n,), the slope of each row's weighted curvature by its logit, where few rows are held.
    """

    value: Array
    loss: Array
    gradient: Array
    miss: Array
    least_curvature: Array
    least_margin: Array
    hessian: Array | None = None
    diagonal: Array | None = None
    bias_curvature: Array | None = None
    third: Array | None = None


class Objective:
    """Weighted log loss plus penalty over a row source, in standardised coordinates.

    Parameters
    ----------
    rows: the row source.
    loss: `SigmoidLoss` or `SoftmaxLoss`.
    C: inverse strength of the L2 penalty, above 0; `inf` for none.
    where: the coordinates that theta is in.
    """

    def __init__(self, rows: MemoryRows, loss: Loss, C: float, where: Coordinates) -> None:
        self.rows, self.loss, self.where = rows, loss, where
        self.n_outputs, self.width = loss.n_outputs, rows.n_columns + 1
        self.groups = loss.groups
        self.size = self.n_outputs * self.width // self.groups
        self._penalise(C)

    def _penalise(self, C: float) -> None:
        """Set the penalty, per parameter of one output; 1 / inf is 0: none."""
        self.C = C
        with np.errstate(over="ignore", divide="ignore"):
            ridge = 1 / (C * np.square(self.where.spread))
        self.penalty = np.append(np.minimum(ridge, LARGEST_PENALTY), 0.0)

    def under(self, C: float) -> "Objective":
        """The same rows under another strength."""
        other = copy(self)
        other._penalise(C)
        return other

    def evaluate(self, theta: Array, hessian: bool = False, diagonal: bool = False) -> Evaluation:
        """F and its derivatives at `theta` in one pass over the rows."""
        W, bias = self.where.to_tiles(theta)
        total = self.rows.reduce(self.measure(W, bias, hessian, diagonal))
        gradient = self.standardise(total.weights, total.biases) + self.penalty * theta
        ridge = 0.5 * self._by_group(self.penalty * np.square(theta)).sum(axis=1)
        return Evaluation(
            value=total.loss + ridge,
            loss=total.loss,
            gradient=self._by_group(gradient),
            miss=total.miss,
            least_curvature=total.least_curvature,
            least_margin=total.least_margin,
            hessian=None if total.second is None else self._hessian(total.second),
            diagonal=None if total.diagonal is None else self._diagonal(total.diagonal),
            bias_curvature=total.bias_curvature,
        )

    def multiply(self, theta: Array, V: Array) -> Array:
        """The Hessian at `theta` times `V`, both (n_outputs, p + 1), in one pass."""
        W, bias = self.where.to_tiles(theta)
        U, step = self.where.to_tiles(np.where(self.where.frozen, 0, V))

        product = _Product(self.loss, W, bias, U, step)
        dW, db = self.rows.reduce(product, lambda a, b: (a[0] + b[0], a[1] + b[1]))
        return np.asarray(self.standardise(dW, db) + self.penalty * V)

    def farthest_move(self, direction: Array) -> float:
        """How far a logit moves along (n_outputs, p + 1), as a share of what its parts could add.

        Of columns that depend on each other it is rounding, of those that nearly do it is not,
        where a sum of squares shows nothing of either. One pass.
        """
        where = self.where
        moved = self.move_logits(direction)
        span = np.append(np.abs(where.centre) / where.spread + where.reach, 1.0)
        most = float((np.abs(direction) @ span).max())
        return moved / most if most > 0 else 0.0

    def move_logits(self, directions: Array) -> float:
        """How far a logit of a row with a weight moves along any of `directions`, (any, p + 1)."""
        W, bias = self.where.to_tiles(np.where(self.where.frozen, 0, directions))
        return self.rows.reduce(_Move(W, bias), max)

    def measure(
        self, W: Array, bias: Array, hessian: bool, diagonal: bool
    ) -> Callable[[Block], Sums]:
        """What a pass at these weights on tiles adds up over a block."""
        return _Measure(self.loss, W, bias, hessian, diagonal)

    def start(self) -> Array:
        """Weights of 0 and the bias that gives each output its base rate, (n_outputs, p + 1)."""
        theta = np.zeros((self.n_outputs, self.width))
        if self.where.frozen[-1]:
            return theta
        sigmoid = isinstance(self.loss, SigmoidLoss)
        classes = np.arange(self.n_outputs)[:, None]

        def count(block: Block) -> Array:
            ones = block.labels if sigmoid else block.labels == classes
            # Both counted: the weight less that of the ones may round to 0.
            return np.stack([np.dot(ones, block.weights), np.dot(1 - ones, block.weights)])

        ones, zeros = np.log(self.rows.reduce(count))
        theta[:, -1] = ones - (zeros if sigmoid else ones.mean())
        return theta

    def standardise(self, dW: Array, db: Array) -> Array:
        """Slopes by the tiles' weights and biases to slopes by theta, in Fortran order."""
        slopes = np.empty((self.width, len(db)))
        for own in self.pieces(PIECE):
            self.standardise_piece(own, dW, db, slopes[own])
        return slopes.T

    def pieces(self, length: int) -> list[slice]:
        """The parameters of an output, some at a time."""
        return [slice(a, min(a + length, self.width)) for a in range(0, self.width, length)]

    def standardise_piece(self, own: slice, dW: Array, db: Array, out: Array) -> None:
        """The same of some parameters, to `out` (own, n_outputs)."""
        where, p = self.where, self.width - 1
        weights, columns = out[: p - own.start], slice(own.start, min(own.stop, p))
        np.multiply(where.residual_centre[columns, None], db, out=weights)
        np.subtract(dW.T[columns], weights, out=weights)
        weights *= where.scale[columns, None]
        if own.stop > p:
            out[-1] = db
        if where.any_frozen:
            out[where.frozen[own]] = 0
        if isinstance(self.loss, SoftmaxLoss):
            # The classes' slopes add up to 0. What rounding leaves of that would be blown up by
            # 1 / penalty, the only curvature along that direction; the class of the largest
            # slopes takes it.
            largest = np.einsum("jk,jk->k", out, out).argmax()
            out[:, largest] -= out.sum(axis=1)

    def _hessian(self, second: Array) -> Array:
        """Put the pairs' blocks into standardised coordinates, in place, and add the penalty."""
        T = np.append(1 / self.where.spread, 1.0)
        centre = self.where.residual_centre
        apart = self.groups == len(second)  # each output's own block is all there is of it
        out = second if apart else np.zeros((self.groups, self.size, self.size))
        for (k, j), H in zip(self.loss.pairs(), second, strict=True):
            if centre.any():
                shift = H[-1, :-1] - H[-1, -1] / 2 * centre
                H[:-1, :-1] -= np.stack([centre, shift], axis=1) @ np.stack([shift, centre])
                H[-1, :-1] -= H[-1, -1] * centre
                H[:-1, -1] = H[-1, :-1]
            H *= T
            H *= T[:, None]
            if not apart:
                own, other = (slice(c * self.width, (c + 1) * self.width) for c in (k, j))
                out[0, own, other] = H
                out[0, other, own] = H.T
        frozen = np.tile(self.where.frozen, self.size // self.width)
        out[:, frozen] = 0
        out[:, :, frozen] = 0
        diagonal = np.einsum("gii->gi", out)
        diagonal += np.tile(self.ridge, self.size // self.width)
        return out

    def _diagonal(self, raw: Array) -> Array:
        """The Hessian's diagonal from sums of s q x^2, s q x and s q, (3, n_outputs, p + 1)."""
        squares, sums, total = raw[0, :, :-1], raw[1, :, :-1], raw[2, :, -1]
        centre = self.where.residual_centre
        data = squares - 2 * centre * sums + np.outer(total, np.square(centre))
        out = np.column_stack([data / np.square(self.where.spread), total])
        out[:, self.where.frozen] = 0
        return self._by_group(out + self.ridge)

    @property
    def ridge(self) -> Array:
        """The penalty; 1 where a frozen parameter has no curvature at all, to stay invertible."""
        return np.where(self.where.frozen & (self.penalty == 0), 1.0, self.penalty)

    def _by_group(self, array: Array) -> Array:
        return array.reshape(self.groups, -1)

    def by_output(self, flat: Array) -> Array:
        """(groups, D) back to (n_outputs, p + 1)."""
        return flat.reshape(self.n_outputs, self.width)


@dataclass(frozen=True)
class _Measure:
    """What one pass adds up over a block: parameters alone, so that it may travel to the rows."""

    loss: Loss
    W: Array
    bias: Array
    hessian: bool
    diagonal: bool

    def __call__(self, block: Block) -> Sums:
        if not (self.hessian or self.diagonal) and self.loss == SigmoidLoss(1):
            found = sum_slopes(block, self.W, self.bias)
            if found is not None:
                return found
        # A tile with few of its columns' values adds little to a Hessian: one sum for the block.
        features, curved = block.features, list[Array]()
        late = self.hessian and features.row_values < features.n_columns
        late = late and isinstance(self.loss, SigmoidLoss)
        tiles = block.stretches(self.loss.n_outputs)
        # Added up as they come: the Hessians of all tiles side by side would be many.
        total = reduce(add, (self._sum_tile(tile, curved if late else None) for tile in tiles))
        if late:
            q, whole = np.concatenate(curved, axis=1), features.tile(0, block.n_rows)
            total.second = np.empty((len(q), *[features.n_columns + 1] * 2))
            for each, out in zip(q, total.second, strict=True):
                bordered_curvature(whole, each, out)
        return total

    def _sum_tile(self, tile: Block, curved: list[Array] | None) -> Sums:
        """One tile's sums; its curvatures, for a Hessian summed later, go to `curved` if given."""
        second = self.hessian or self.diagonal
        Z = _logits(tile, self.W, self.bias)
        rows = self.loss.sum_rows(Z, tile.labels, tile.weights, second)
        residual, q = rows.residual, rows.curvature
        sums = Sums(
            loss=rows.loss,
            weights=tile.features.back(residual),
            biases=residual.sum(axis=1),
            miss=np.einsum("km,km->k", residual, residual)
            .reshape(self.loss.groups, -1)
            .sum(axis=1),
            least_curvature=rows.least_curvature,
            least_margin=rows.least_margin,
        )
        if second and q is not None:
            sums.bias_curvature = bias_curvature(q, rows.probability, tile.weights)
            if curved is not None:
                curved.append(q.copy())
            elif self.hessian:
                sums.second = self._second(tile, q, rows.probability)
            if self.diagonal:
                sums.diagonal = _bordered_squares(tile, q)
        return sums

    def _second(self, tile: Block, q: Array, probability: Array | None) -> Array:
        """For each pair of outputs, sum s q (x, 1) (x, 1)', (pairs, p + 1, p + 1)."""
        pairs = list(self.loss.pairs())
        width = tile.features.n_columns + 1
        out = np.empty((len(pairs), width, width))
        for place, (k, j) in enumerate(pairs):
            if k == j or probability is None:
                bordered_curvature(tile.features, q[k], out[place])
            else:
                both = tile.weights * probability[k] * probability[j]
                bordered_curvature(tile.features, both, out[place])
                np.negative(out[place], out=out[place])
        return out


@dataclass(frozen=True)
class _Product:
    """The Hessian of the log loss over a block, times the parameters U and `step`."""

    loss: Loss
    W: Array
    bias: Array
    U: Array
    step: Array

    def __call__(self, block: Block) -> tuple[Array, Array]:
        dW, db = np.zeros_like(self.U), np.zeros_like(self.step)
        for tile in block.stretches(self.loss.n_outputs):
            terms = self.loss.terms(_logits(tile, self.W, self.bias), tile.labels)
            turned = _logits(tile, self.U, self.step)
            if terms.probability is None:
                turned *= terms.curvature
            else:
                mean = (terms.probability * turned).sum(axis=0)
                turned = terms.probability * (turned - mean)
            turned *= tile.weights
            dW += tile.features.back(turned)
            db += turned.sum(axis=1)
        return dW, db


@dataclass(frozen=True)
class _Move:
    """How far a block's logits move at most, of rows with a weight."""

    W: Array
    bias: Array

    def __call__(self, block: Block) -> float:
        moved = 0.0
        for tile in block.tiles():
            farthest = np.abs(_logits(tile, self.W, self.bias)).max(axis=0)
            moved = max(moved, float(farthest[tile.weights > 0].max(initial=0.0)))
        return moved


def _logits(tile: Block, W: Array, bias: Array) -> Array:
    Z = tile.features.linear(W)
    Z += bias[:, None]
    return Z


def bordered_curvature(features: Features, q: Array, out: Array) -> None:
    """sum q (x, 1) (x, 1)' into `out`, (p + 1, p + 1)."""
    out[:-1, :-1] = features.curvature(q)
    out[-1, :-1] = out[:-1, -1] = features.back(q[None])[0]
    out[-1, -1] = q.sum()


def _bordered_squares(tile: Block, q: Array) -> Array:
    out = np.zeros((3, len(q), tile.features.n_columns + 1))
    out[0, :, :-1] = tile.features.squares(q)
    out[1, :, :-1] = tile.features.back(q)
    out[2, :, -1] = q.sum(axis=1)
    return out


def bias_curvature(q: Array, probability: Array | None, s: Array) -> Array:
    """sum s (diag p - p p') for a softmax, the diagonal of sum s q for sigmoids; `q` weighted."""
    own = np.diag(q.sum(axis=1))
    if probability is None:
        return own
    between = -(probability * s) @ probability.T
    np.fill_diagonal(between, 0)
    return np.asarray(own + between)
