"""The coordinates in which solvers work: every column centred and in units of its own spread.

Only the parameters are transformed, never the table: with v_j = w_j spread_j and
b' = b + sum_j w_j centre_j, the logit is the same number. The penalty keeps its meaning, it becomes
v_j^2 / (2 C spread_j^2). Columns of any scale then curve alike, which Newton steps, conjugate
gradients and the test for dependent columns all need.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import TILE_VALUES, Block
from onelayer.errors import InputError
from onelayer.features.dense import DenseFeatures
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]

# Beyond this ratio of centre to spread, sums of raw products lose digits that a fit needs
# (1e2 squared times 2e-16 is harmless); such tables are shifted tile by tile as they are read.
SHIFT_RATIO = 100.0
FARTHEST_SPARSE = 1e7  # 1e7 squared times 2e-16 is a Hessian good to 2 %: enough for a proof
SMALL = 1e-9  # times the largest float64 and the number of columns, it is still finite
LARGEST = 1e150  # squares and their sums must stay within float64
SAMPLE = 128
CODED_VALUES = 1 << 18  # at a time, where many calls measure them and none copies the rows


@dataclass(frozen=True)
class Coordinates:
    """Where the columns lie: centre, spread, range; and which parameters may move.

    Attributes
    ----------
    centre, spread: (p,), `v = w * spread`; centre is 0 where no bias is fitted.
    low, high: (p,), the least and largest value among rows with a weight; on wide sparse tables
        bounds of them, exact for columns of one value.
    frozen: (p + 1,) True for parameters that move no logit: the weight of a column that is constant
        beside a bias (its value is in the bias), and a bias that is not fitted.
    shift: (p,), what tiles have already taken off each row.
    weight: the sum of the weights.
    sampled: whether only a sample was measured: other rows may lie beyond `low` and `high`.
    """

    centre: Array
    spread: Array
    low: Array
    high: Array
    frozen: NDArray[np.bool_]
    shift: Array
    weight: float
    sampled: bool = False

    @cached_property
    def residual_centre(self) -> Array:
        """The part of the centre that tiles have not taken off."""
        return self.centre - self.shift

    @cached_property
    def scale(self) -> Array:
        """1 / spread, (p,)."""
        return 1 / self.spread

    @cached_property
    def any_frozen(self) -> bool:
        return bool(self.frozen.any())

    @property
    def reach(self) -> Array:
        """(p,), the largest distance of a value from the centre, in spreads."""
        far = np.maximum(self.high - self.centre, self.centre - self.low)
        return np.asarray(far / self.spread)

    def to_parameters(self, theta: Array) -> tuple[Array, Array]:
        """Standardised (n_outputs, p + 1) to the network's W and b (n_outputs, 1)."""
        W = theta[:, :-1] / self.spread
        return W, (theta[:, -1] - W @ self.centre)[:, None]

    def from_parameters(self, W: Array, b: Array) -> Array:
        """The network's W and b to standardised (n_outputs, p + 1)."""
        theta = np.empty((len(W), W.shape[1] + 1))
        theta[:, :-1] = W * self.spread
        theta[:, -1] = b[:, 0] + W @ self.centre
        return theta

    def to_tiles(self, theta: Array) -> tuple[Array, Array]:
        """The weights and biases to use on tiles as they are read (raw, or shifted)."""
        W = theta[:, :-1] * self.scale
        return W, theta[:, -1] - W @ self.residual_centre


@dataclass(frozen=True)
class _Moments:
    first: Array
    second: Array
    low: Array
    high: Array
    weight: float

    def __add__(self, other: "_Moments") -> "_Moments":
        return _Moments(
            self.first + other.first,
            self.second + other.second,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.weight + other.weight,
        )


def measure_columns(rows: MemoryRows, fit_intercept: bool, exact: bool = False) -> Coordinates:
    """Measure centre, spread and range of each column in one pass.

    Where the range need not be `exact`, that of a wide sparse table may be given too wide.

    Raises `InputError` where a column is too large or too small for sums of squares in float64.
    """
    origin = _origin(rows)
    dense = isinstance(rows.block.features, DenseFeatures)
    values = TILE_VALUES if dense else CODED_VALUES

    def moments(block: Block) -> _Moments:
        parts = [
            _Moments(*tile.features.moments(tile.weights, origin, exact), float(tile.weights.sum()))
            for tile in block.tiles(values)
        ]
        return sum(parts[1:], parts[0])

    with np.errstate(over="ignore", invalid="ignore"):
        total = rows.reduce(moments)
        mean = total.first / total.weight
        # About the centre, or about 0 where nothing takes the centre off.
        about = mean if fit_intercept else -origin
        spread = np.sqrt(
            np.maximum(total.second / total.weight - 2 * about * mean + np.square(about), 0)
        )
        centre = origin + mean if fit_intercept else np.zeros_like(mean)
    if not np.isfinite(spread).all():
        _require_finite(rows)
    _require_scale(spread, total)
    # A constant column is recognised by its values: its computed spread is rounding, not 0.
    constant = total.low == total.high
    still = constant if fit_intercept else constant & (total.low == 0)
    centre = np.where(constant & fit_intercept, total.low, centre)
    return Coordinates(
        centre=centre,
        spread=np.where(still | (spread == 0), 1.0, spread),
        low=total.low,
        high=total.high,
        frozen=np.append(still, not fit_intercept),
        shift=np.zeros_like(centre),
        weight=total.weight,
    )


def plain_coordinates(rows: MemoryRows, fit_intercept: bool) -> Coordinates:
    """The network's own coordinates, in which the article descends: centre 0, spread 1."""
    p, weight = rows.n_columns, rows.reduce(lambda block: float(block.weights.sum()))
    zeros = np.zeros(p)
    return Coordinates(
        zeros, np.ones(p), zeros, zeros, np.append(zeros > 0, not fit_intercept), zeros, weight
    )


def standard_coordinates(where: Coordinates) -> Coordinates:
    """The same for rows whose columns are themselves centred and in units of their spread."""
    zeros, ones = np.zeros_like(where.centre), np.ones_like(where.spread)
    low, high = (
        (where.low - where.centre) / where.spread,
        (where.high - where.centre) / where.spread,
    )
    return replace(where, centre=zeros, spread=ones, low=low, high=high, shift=zeros)


def shift_rows(
    rows: MemoryRows, where: Coordinates, beyond: float = SHIFT_RATIO
) -> tuple[MemoryRows, Coordinates]:
    """Have dense tiles take off the centre where it is `beyond` so many spreads of a column."""
    features = rows.block.features
    ratio = np.where(where.frozen[:-1], 0.0, np.abs(where.centre) / where.spread)
    if not isinstance(features, DenseFeatures):
        _require_near(ratio, where)
        return rows, where
    if not (ratio > beyond).any():
        return rows, where
    shifted = replace(rows.block, features=replace(features, shift=where.centre))
    return rows.over(shifted), replace(where, shift=where.centre)


def _origin(rows: MemoryRows) -> Array:
    """A point near the centre of each column, so that sums of squares about it do not cancel."""
    if not isinstance(rows.block.features, DenseFeatures):
        return np.zeros(rows.n_columns)
    block = rows.sample(SAMPLE)
    held = block.weights > 0
    if not held.any():
        return np.zeros(rows.n_columns)
    features = block.features.tile(0, block.n_rows)
    return np.asarray(features.back(held[None] / held.sum())[0])


def _require_near(ratio: Array, where: Coordinates) -> None:
    """Refuse a sparse table with a column that is full and far from 0: its zeros are no use there.

    A column with a zero among n rows cannot lie further than sqrt(n) spreads from 0.
    """
    if (ratio > FARTHEST_SPARSE).any():
        column = int(np.argmax(ratio))
        raise InputError(
            f"column {column} of the sparse table lies at {where.centre[column]:.3g}, too far from "
            f"0 for its spread: take that number off it, or give a dense table"
        )


def _require_finite(rows: MemoryRows) -> None:
    """Name the first value that is no finite number; there may be none, and the squares overflow.

    A value is found by products with rows alone, which every layout has: first its row, whose sum
    of sizes is not finite, then its column.
    """
    before = 0
    for found in rows.map(_find_infinite):
        row, n_rows = found
        if row is not None:
            values = rows.take(np.array([before + row])).features.back(np.ones((1, 1)))[0]
            column = int(np.argmax(~np.isfinite(values)))
            value = "NaN" if np.isnan(values[column]) else f"{values[column]}"
            raise InputError(
                f"row {before + row}, column {column} of the table holds {value} (counted from 0), "
                f"expected a finite number: fill it in or leave the row out"
            )
        before += n_rows


def _find_infinite(block: Block) -> tuple[int | None, int]:
    """The first row of the block with a value that is not finite, or None, and its rows."""
    ones, before = np.ones((1, block.features.n_columns)), 0
    for tile in block.tiles():
        with np.errstate(invalid="ignore", over="ignore"):
            sums = tile.features.absolute().linear(ones * SMALL)[0]
        if not np.isfinite(sums).all():
            return before + int(np.argmax(~np.isfinite(sums))), block.n_rows
        before += tile.n_rows
    return None, block.n_rows


def _require_scale(spread: Array, total: _Moments) -> None:
    if not total.weight < LARGEST:
        raise InputError(
            f"the weights add up to {total.weight:.3g}, expected less than {LARGEST:.0e}: "
            f"divide them all by one number"
        )
    size = np.maximum(np.abs(total.low), np.abs(total.high))
    wrong = ~np.isfinite(spread) | (size > LARGEST) | ((size > 0) & (size < 1 / LARGEST))
    if wrong.any():
        column = int(np.argmax(wrong))
        raise InputError(
            f"column {column} reaches {size[column]:.3g}, beyond what sums of squares can hold "
            f"({1 / LARGEST:.0e} to {LARGEST:.0e}): give it in another unit"
        )
