"""Steps that are the best ones over a few directions: the slope's, and those of the last steps.

The logits of each direction are kept, so over a few of them the objective is a problem of as many
numbers, whose Newton step takes no pass. One product with the rows each way then buys one more
direction, and none is ever made for an equation that the next step would forget: Newton's method
with conjugate gradients takes two to three times as many. Where the Hessian does not change, these
are the steps of conjugate gradients (Narkiss and Zibulevsky, Sequential subspace optimization,
2005; Knyazev, SIAM Journal on Scientific Computing 23, 2001).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.solvers.factor import factor
from onelayer.solvers.kept import KeptRows, Terms
from onelayer.solvers.line_search import search_lengths
from onelayer.solvers.solution import Progress
from onelayer.solvers.spaces import Space, Stand

Array = NDArray[Any]

ROOM = 2 << 20  # numbers that the directions may take, 16 MB,
FEWEST, MOST = 3, 30  # directions at least and at most
MOST_STEPS = 200
PATIENCE, LEVEL = 4, 1e-13  # steps that gain no more than this share of the objective end it
STRETCH, SHRINK = 40, 0.5  # so many steps are to shrink the slope to this share, or are the last


class Directions:
    """The last few directions with their logits, and the penalty's products with them.

    They lie in arrays of one shape, (room, width, n_outputs) and (room, n_outputs, n), of which the
    oldest is overwritten. `ridge` (groups, room, room) holds the penalty's products between them,
    `pull` (groups, room) those with theta.
    """

    def __init__(self, space: Space) -> None:
        kept, objective = space.kept, space.kept.objective
        each = objective.n_outputs * (space.width + kept.rows.n_rows)
        self.kept, self.room = kept, min(MOST, max(FEWEST, ROOM // each))
        self.pieces = space.pieces
        self.values = np.empty((self.room, space.width, objective.n_outputs))
        self.logits = np.empty((self.room, objective.n_outputs, kept.rows.n_rows))
        self.ridge = np.zeros((objective.groups, self.room, self.room))
        self.pull = np.zeros((objective.groups, self.room))
        self.count, self.place = 0, 0

    def add(self, space: Space, direction: Array, logits: Array, theta: Array) -> None:
        """A direction (n_outputs, width) with its logits (n_outputs, n)."""
        self.place = self.count if self.count < self.room else (self.place + 1) % self.room
        self.count = min(self.count + 1, self.room)
        self.logits[self.place] = logits
        n = self.count

        def multiply(own: slice) -> Array:
            values = self.values[:n, own]
            values[self.place] = direction.T[own]
            weighed = space.weigh(own, values[self.place], logits)
            if len(self.pull) > 1:
                pull = np.einsum("jk,jk->k", weighed, theta.T[own])
                return np.column_stack([np.einsum("jk,ajk->ka", weighed, values), pull])
            flat = weighed.ravel()
            pull = np.dot(flat, theta.T[own].ravel())
            return np.append(np.dot(_flatten(values), flat), pull)[None]

        products = np.sum(self.kept.rows.run(multiply, self.pieces), axis=0)
        self._set_products(products[:, :n])
        self.pull[:, self.place] = products[:, n]

    def combine(self, shares: Array) -> tuple[Array, Array]:
        """Put what `shares` (groups, count) of the directions make in the place of the last one:
        both span the same. The direction (n_outputs, width) and its logits (n_outputs, n)."""
        values = self.values[: self.count]

        def add(own: slice) -> None:
            each = values[:, own]
            if len(shares) > 1:
                each[self.place] = np.einsum("ka,ajk->jk", shares, each)
            else:
                each[self.place] = (shares[0] @ _flatten(each)).reshape(each.shape[1:])

        self.kept.rows.run(add, self.pieces)
        logits = self.logits[: self.count]
        if len(shares) > 1:
            logits[self.place] = np.einsum("ka,akn->kn", shares, logits)
        else:
            logits[self.place] = np.tensordot(shares[0], logits, 1)
        own = np.einsum("gab,gb->ga", self.ridge[:, : self.count, : self.count], shares)
        self.pull[:, self.place] = (self.pull[:, : self.count] * shares).sum(axis=1)
        size = (own * shares).sum(axis=1)
        self._set_products(own)
        self.ridge[:, self.place, self.place] = size
        return values[self.place].T, logits[self.place]

    def follow(self, theta: Array, length: Array, biases: Array) -> Array:
        """theta after `length` (groups,) of the last direction, and of biases (n_outputs,)."""
        self.pull[:, : self.count] += length[:, None] * self.ridge[:, self.place, : self.count]
        out = np.empty(self.values.shape[1:])

        def add(own: slice) -> None:
            np.multiply(self.values[self.place, own], length, out=out[own])
            out[own] += theta.T[own]

        self.kept.rows.run(add, self.pieces)
        out[-1] += length * biases
        return out.T

    def _set_products(self, products: Array) -> None:
        self.ridge[:, self.place, : self.count] = products
        self.ridge[:, : self.count, self.place] = products


def _flatten(values: Array) -> Array:
    """(a, j, k) as (a, j k), without a copy."""
    return values.reshape(len(values), -1)


@dataclass(frozen=True)
class Approach:
    """Where the steps have led.

    Attributes
    ----------
    space: in whose numbers it is told. stand: the last point. passes: over the rows.
    history: one `Progress` a step. known: the last directions.
    """

    space: Space
    stand: Stand
    known: Directions
    passes: int
    history: tuple[Progress, ...]


def approach(
    space: Space,
    stand: Stand,
    watch: Callable[[Progress], None],
    known: Directions | None = None,
) -> Approach:
    """Step until the slope alone proves the end, or steps shrink it too slowly.

    `known` are directions from which it got here, if it did.
    """
    known, spent = known or Directions(space), 0
    sizes: list[Array] = []
    history = [_tell(space.kept, stand, 0, 0.0)]
    watch(history[-1])
    passes = 1
    while len(sizes) < MOST_STEPS:
        sizes.append(stand.size)
        if stand.ended or _is_slow(sizes) or _is_level(history):
            break
        found = _step(space, known, stand)
        if found is None:
            break
        stand, length = found
        passes, spent = passes + 1, spent + 1
        history.append(_tell(space.kept, stand, len(history), length))
        watch(history[-1])
        space, spent = space.learn(stand, spent)
    return Approach(space, stand, known, passes, tuple(history))


def _is_slow(sizes: list[Array]) -> bool:
    """Whether the last steps have shrunk the largest slope too little to go on so."""
    if len(sizes) <= STRETCH:
        return False
    before = min(float(size.max()) for size in sizes[:-STRETCH])
    return min(float(size.max()) for size in sizes[-STRETCH:]) > SHRINK * before


def _is_level(history: list[Progress]) -> bool:
    """Whether the last steps have gained nothing that float64 can tell."""
    if len(history) <= PATIENCE:
        return False
    last = history[-1].objective
    return not history[-1 - PATIENCE].objective - last > LEVEL * abs(last)


def _step(space: Space, known: Directions, stand: Stand) -> tuple[Stand, float] | None:
    """The Newton step over the directions, the slope's among them; None where nothing falls."""
    known.add(space, *space.direct(stand), stand.theta)
    slopes, H = _sum_subspace(space.kept, known, stand)
    found = np.stack([factor(own).solve(-g) for own, g in zip(H, slopes, strict=True)])
    biases, own = np.zeros(space.kept.objective.n_outputs), found[:, known.count :].ravel()
    biases[: len(own)] = own
    _, moved = known.combine(found[:, : known.count])
    moved = moved + biases[:, None]
    return _search(space, known, stand, moved, biases, (found * slopes).sum(axis=1))


def _sum_subspace(kept: KeptRows, known: Directions, stand: Stand) -> tuple[Array, Array]:
    """Slopes (groups, d) and Hessians (groups, d, d) along the directions, then the biases."""
    slopes, H = _sum_rows(kept, known, stand.terms)
    a = known.count
    slopes[:, :a] += known.pull[:, :a]
    H[:, :a, :a] += known.ridge[:, :a, :a]
    if kept.softmax:
        free = H.shape[1] - a
        H[:, a:, a:] = stand.terms.bias_curvature[:free, :free]
    return slopes, H


def _sum_rows(kept: KeptRows, known: Directions, terms: Terms) -> tuple[Array, Array]:
    """The same of the log loss alone: sums over the rows' logits, block by block."""
    objective = kept.objective
    has_bias = not objective.where.frozen[-1]
    weights = kept.rows.block.weights

    def add(border: tuple[int, int]) -> tuple[Array, Array]:
        own = slice(*border)
        L = known.logits[: known.count, :, own]
        R, q = terms.residual[:, own], terms.curved[:, own]
        if kept.softmax:
            return _sum_softmax(L, R, q, weights[own], has_bias)
        return _sum_sigmoids(L, R, q, has_bias)

    parts = kept.rows.run(add, kept.stretches)
    slopes, H = (list(column) for column in zip(*parts, strict=True))
    return sum(slopes[1:], slopes[0]), sum(H[1:], H[0])


def _sum_sigmoids(L: Array, R: Array, q: Array, has_bias: bool) -> tuple[Array, Array]:
    """For each output sum r l and sum q l l', l the directions' logits and the bias's 1."""
    rows = np.moveaxis(L, 1, 0)
    if has_bias:
        rows = np.concatenate([rows, np.ones((len(R), 1, R.shape[1]))], axis=1)
    return np.einsum("gan,gn->ga", rows, R), np.matmul(rows * q[:, None], rows.swapaxes(1, 2))


def _sum_softmax(L: Array, R: Array, P: Array, s: Array, has_bias: bool) -> tuple[Array, Array]:
    """The same for a softmax, sum s (l'diag(p) l - (p'l)(p'l)'), but for the biases among
    themselves; the last bias is left out, as only their differences move a probability."""
    free = len(P) - 1 if has_bias else 0
    bent = L - np.einsum("akn,kn->an", L, P)[:, None]
    root = np.sqrt(P * s)
    bent *= root
    data = np.tensordot(bent, bent, ([1, 2], [1, 2]))
    beside = np.einsum("akn,kn->ak", bent[:, :free], root[:free])
    slopes = np.concatenate([np.tensordot(L, R, 2), R[:free].sum(axis=1)])
    return slopes[None], np.block([[data, beside], [beside.T, np.zeros((free, free))]])[None]


def _search(
    space: Space, known: Directions, stand: Stand, moved: Array, biases: Array, downhill: Array
) -> tuple[Stand, float] | None:
    """Along the last direction and the biases as far as that lowers the objective.

    `moved` are the logits of both. The gradient is summed where the step ends.
    """
    kept, groups, trial = space.kept, space.kept.objective.groups, list[Any]()
    level = stand.value - stand.terms.loss
    fall, bend = known.pull[:, known.place].copy(), known.ridge[:, known.place, known.place].copy()

    def measure_length(length: Array) -> tuple[Array, Array]:
        logits = length[:, None] * moved
        logits += stand.logits
        terms = kept.terms(logits)
        trial[:] = [logits, terms]
        value = terms.loss + level + length * fall + 0.5 * np.square(length) * bend
        slope = np.einsum("kn,kn->k", terms.residual, moved).reshape(groups, -1).sum(axis=1)
        return value, slope + fall + length * bend

    moving = np.ones(groups, dtype=bool)
    length, _ = search_lengths(measure_length, stand.value, downhill, moving)
    if length is None:
        return None
    theta = known.follow(stand.theta, length, biases)
    return space.look(theta, *trial), float(length.min())


def _tell(kept: KeptRows, stand: Stand, iteration: int, length: float) -> Progress:
    cost = float(stand.terms.loss.sum()) / kept.objective.where.weight
    return Progress(iteration, cost, float(stand.value.sum()), math.inf, length)
