"""Logits kept for every row: products that need no second look at the loss.

A table that is wide, or has few values a row, is small beside its products with the weights: there
the logits (n_outputs, n) of the current point and of the step are worth keeping. A trial of a step
length then costs no pass, and a product with the Hessian is one product with the rows each way.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import pairwise
from operator import iadd
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.features import Features
from onelayer.loss import SoftmaxLoss
from onelayer.objective import Evaluation, Objective, bias_curvature
from onelayer.solvers.bordered import find_apart

Array = NDArray[Any]
T = TypeVar("T")

PIECE = 1 << 14
STRETCH = 1 << 16  # numbers of rows
CHUNK = 12  # outputs that one thread sums at a time where sums over blocks would be too wide:
# four float32 are added at once, and a rest that is none of four takes as long as eight more


@dataclass(frozen=True)
class Terms:
    """What the loss and its slopes are at given logits; sums over rows and values of each row.

    Attributes
    ----------
    loss, miss, least_curvature, least_margin: (groups,), as in `Evaluation`.
    residual: (n_outputs, n), weight times A - Y.
    curved: (n_outputs, n): weight times A (1 - A) for sigmoids, A for a softmax.
    bias_curvature: (n_outputs, n_outputs).
    """

    loss: Array
    miss: Array
    least_curvature: Array
    least_margin: Array
    residual: Array
    curved: Array
    bias_curvature: Array


class KeptRows:
    """The rows of an objective, with products that keep one number a row and output.

    `V` is (n_outputs, p + 1) in the objective's coordinates, in Fortran order for speed.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective, self.rows = objective, objective.rows
        if not self.rows.in_memory:
            raise InputError(
                f"{objective.size:,} parameters are too many to factor a Hessian of; the solver "
                "for more needs the rows in memory: drop the columns of most levels, or leave "
                "solver and memory out"
            )
        self.softmax = isinstance(objective.loss, SoftmaxLoss)
        block = self.rows.block
        merged = len(self.rows.borders) * 4 * objective.width
        self.by_output = (
            objective.n_outputs > CHUNK and 2 * merged > block.n_rows * block.features.row_values
        )
        # Rows whose numbers stay in cache; threads for fewer would cost more than they save.
        step = max(1, STRETCH // objective.n_outputs)
        count = -(-block.n_rows // step)
        edges = [k * block.n_rows // max(1, count) for k in range(count + 1)]
        self.stretches = list(pairwise(edges))
        # Parameters of which a few vectors stay in cache.
        self.pieces = objective.pieces(max(1, PIECE // objective.n_outputs))
        # Views of rows are cut once, as cutting sparse ones takes longer than short products do.
        self._cut = [list(self._tiles(border)) for border in self.rows.borders if self._is_kept]

    @cached_property
    def apart(self) -> slice:
        """Columns of which no row fills two, if all others are few; else an empty slice."""
        return slice(0, 0) if self.softmax else find_apart(self.rows)

    def linear(self, V: Array) -> Array:
        """The logits of V for every row, (n_outputs, n)."""
        W, bias = self.objective.where.to_tiles(V)
        return self.multiply(W, bias)

    def multiply(self, W: Array, bias: Array | None = None) -> Array:
        """Weights (n_outputs, p) as tiles have them times every row, (n_outputs, n)."""
        out = np.empty((len(W), self.rows.n_rows))

        def fill(number: int) -> None:
            for own, tile in self._pieces(number):
                if bias is None:
                    out[:, own] = tile.linear(W)
                else:
                    np.add(tile.linear(W), bias[:, None], out=out[:, own])

        self.rows.run(fill, range(len(self.rows.borders)))
        return out

    def sum_back(self, R: Array) -> Array:
        """Sums over the rows of R (n_outputs, n) times the columns as tiles have them."""
        return self._back_by_output(R) if self.by_output else self._back_by_row(R)

    @property
    def _is_kept(self) -> bool:
        return self.rows.block.features.in_place

    def _pieces(self, number: int) -> Iterator[tuple[slice, Features]]:
        """The tiles of a block of this number, each with the rows that it has."""
        border = self.rows.borders[number]
        start = border[0]
        for tile in self._cut[number] if self._is_kept else self._tiles(border):
            yield slice(start, start + tile.n_rows), tile
            start += tile.n_rows

    def _tiles(self, border: tuple[int, int]) -> Iterator[Features]:
        return (tile.features for tile in self.rows.block.rows(*border).tiles())

    def back(self, R: Array) -> Array:
        """Sums over the rows of R (n_outputs, n) times each column, (n_outputs, p + 1)."""
        return self.sum_slopes(R, lambda own, slopes: None)[0]

    def sum_slopes(self, R: Array, finish: Callable[[slice, Array], T]) -> tuple[Array, list[T]]:
        """The same, and what `finish` makes of some parameters' slopes (own, n_outputs) each, as
        they are still in cache: it may change them."""
        objective, db = self.objective, R.sum(axis=1)
        dW = self.sum_back(R)
        out = np.empty((objective.width, len(R)))

        def fill(own: slice) -> T:
            objective.standardise_piece(own, dW, db, out[own])
            return finish(own, out[own])

        return out.T, self.rows.run(fill, self.pieces)

    def _back_by_row(self, R: Array) -> Array:
        """Sums over each block, merged in the blocks' order."""

        def add(number: int) -> Array:
            return reduce(iadd, (tile.back(R[:, own]) for own, tile in self._pieces(number)))

        return reduce(iadd, self.rows.stream(add, range(len(self.rows.borders))))

    def _back_by_output(self, R: Array) -> Array:
        """Each thread sums some outputs over all rows: no wide sums to add up afterwards."""
        out = np.zeros((self.objective.width - 1, len(R))).T

        def fill(first: int) -> None:
            own = slice(first, first + CHUNK)
            if self._is_kept:
                out[own] = self.rows.block.features.back(R[own])
                return
            for number in range(len(self.rows.borders)):
                for rows, tile in self._pieces(number):
                    out[own] += tile.back(R[own, rows])

        self.rows.run(fill, range(0, len(R), CHUNK))
        return out

    def product(self, terms: Terms, V: Array) -> tuple[Array, Array]:
        """The Hessian times V, and V's logits."""
        moved = self.linear(V)
        turned = self._turn(terms, moved)
        penalty = self.objective.penalty

        def add(own: slice, slopes: Array) -> None:
            slopes += penalty[own, None] * V.T[own]

        return self.sum_slopes(turned, add)[0], moved

    def multiply_sigmoids(self, terms: Terms, V: Array) -> Array:
        """The Hessian of sigmoids times V alone: rows are summed while they are in cache."""
        objective = self.objective
        W, bias = objective.where.to_tiles(V)

        def add(number: int) -> Array:
            sums = np.zeros((len(V), objective.width))
            for own, tile in self._pieces(number):
                turned = tile.linear(W)
                turned += bias[:, None]
                turned *= terms.curved[:, own]
                sums[:, :-1] += tile.back(turned)
                sums[:, -1] += turned.sum(axis=1)
            return sums

        sums = reduce(iadd, self.rows.run(add, range(len(self.rows.borders))))
        out = objective.standardise(sums[:, :-1], sums[:, -1])
        out += objective.penalty * V
        return out

    def _turn(self, terms: Terms, moved: Array) -> Array:
        """Second derivatives by the logits times `moved`, (n_outputs, n)."""
        if not self.softmax:
            return np.asarray(terms.curved * moved)
        out = np.empty_like(moved)
        weights = self.rows.block.weights

        def fill(border: tuple[int, int]) -> None:
            own = slice(*border)
            P, each = terms.curved[:, own], moved[:, own]
            # In place: these rows lie in cache.
            part = np.subtract(each, np.einsum("kn,kn->n", P, each), out=out[:, own])
            part *= P
            part *= weights[own]

        self.rows.run(fill, self.stretches)
        return out

    def terms(self, Z: Array) -> Terms:
        """Loss and slopes at logits Z (n_outputs, n); takes no pass over the features."""
        residual, curved = np.empty_like(Z), np.empty_like(Z)
        block, loss = self.rows.block, self.objective.loss

        def sum_up(border: tuple[int, int]) -> tuple[Array, ...]:
            own = slice(*border)
            s = block.weights[own]
            each = loss.sum_rows(Z[:, own].copy(), block.labels[:, own], s, curved=True)
            assert each.curvature is not None
            residual[:, own] = each.residual
            curved[:, own] = each.curvature if each.probability is None else each.probability
            miss = np.square(residual[:, own]).sum(axis=1)
            return (
                each.loss,
                miss.reshape(self.objective.groups, -1).sum(axis=1),
                each.least_curvature,
                each.least_margin,
                bias_curvature(each.curvature, each.probability, s),
            )

        parts = self.rows.run(sum_up, self.stretches)
        total, miss, least, margin, bias = (list(column) for column in zip(*parts, strict=True))
        return Terms(
            sum(total[1:], total[0]),
            sum(miss[1:], miss[0]),
            np.minimum.reduce(least),
            np.minimum.reduce(margin),
            residual,
            curved,
            sum(bias[1:], bias[0]),
        )

    def evaluate(self, theta: Array, terms: Terms) -> tuple[Evaluation, Array]:
        """F and its derivatives where `terms` were taken, and the gradient as (n_outputs, p + 1).

        Sums over the rows once. The evaluation holds the gradient per group, uncopied.
        """
        objective, penalty = self.objective, self.objective.penalty

        def add(own: slice, slopes: Array) -> Array:
            pull = penalty[own, None] * theta.T[own]
            slopes += pull
            return np.asarray(np.einsum("jk,jk->k", pull, theta.T[own]))

        gradient, parts = self.sum_slopes(terms.residual, add)
        ridge = 0.5 * np.sum(parts, axis=0).reshape(objective.groups, -1).sum(axis=1)
        by_group = gradient[None] if objective.groups == 1 else gradient
        evaluation = Evaluation(
            value=terms.loss + ridge,
            loss=terms.loss,
            gradient=by_group,
            miss=terms.miss,
            least_curvature=terms.least_curvature,
            least_margin=terms.least_margin,
            bias_curvature=terms.bias_curvature,
        )
        return evaluation, gradient
