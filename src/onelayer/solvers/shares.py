"""The weights as a sum over the rows, each with a share: for tables of more columns than rows.

With a penalty the optimum is w = C Xc'alpha, alpha one number a row and output. So are the points
on the way, if each direction is such a sum as well, and the slope's direction by the inverse
penalty is: C (Xc'r) + w has the shares r + alpha, r the residuals. Then all that is done with a
direction takes n numbers where its weights are p, and what the penalty makes of two directions is
the product of one's shares with the other's logits. With the weighted mean of the rows for a
centre, Xc = P X, P = 1 - 1 s' / sum s, which is applied to shares and logits, not to columns.
Source: the representer theorem (Kimeldorf and Wahba, 1971).

The products are of float32 where its copy of the values is small. What that adds to the logits is
about 1e-7 of how far they have moved, so now and then they are computed anew in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from onelayer.features.sparse import SparseFeatures
from onelayer.objective import Objective
from onelayer.solvers.kept import CHUNK, STRETCH, KeptRows, Terms
from onelayer.solvers.solution import Progress
from onelayer.solvers.spaces import Array, Stand, is_small
from onelayer.solvers.subspace import approach

ROOM_FOR_PROOF = 0.9  # of tol: the proof adds a little to the slope's size
SINGLE_BYTES = 16e6  # of a copy in float32
LARGEST = 1e15  # whose squares float32 holds, and many of them
ROUGH = 1e-5  # to this share of its size a slope shrinks before float32 tells
MOST_ROUNDS = 4


@dataclass(frozen=True)
class Shares:
    """Points (n_outputs, n + 1): the shares of the rows, and the bias.

    Attributes
    ----------
    quick: the rows in float32, or the same rows.
    enough: the slope's size, (groups,), at which logits are computed anew.
    """

    kept: KeptRows
    quick: KeptRows
    tol: float
    enough: Array | float = 0.0

    @property
    def width(self) -> int:
        """See `spaces.Space`."""
        return self.kept.rows.n_rows + 1

    @property
    def pieces(self) -> list[slice]:
        """See `spaces.Space`."""
        step = max(1, STRETCH // self.kept.objective.n_outputs)
        return [slice(a, min(a + step, self.width)) for a in range(0, self.width, step)]

    def stand(self, theta: Array) -> Stand:
        """A point with its logits as exact as float64 has them: a product each way more."""
        logits = np.repeat(theta[:, -1:], self.width - 1, axis=1)
        if theta[:, :-1].any():
            logits += self._multiply(self.kept, theta[:, :-1])
        return self.look(theta, logits, self.kept.terms(logits))

    def look(self, theta: Array, logits: Array, terms: Terms) -> Stand:
        """See `spaces.Space`: one product each way, with the slope's logits."""
        slope = theta.copy()
        slope[:, :-1] += terms.residual
        slope[:, -1] = 0
        moved = self._multiply(self.quick, slope[:, :-1])
        size = np.sqrt(np.maximum(self._dots(slope[:, :-1], moved), 0))
        value = terms.loss + 0.5 * self._dots(theta[:, :-1], logits - theta[:, -1:])
        ended = self.is_proved(size, value) or bool((size <= self.enough).all())
        return Stand(theta, logits, terms, value, slope, size, ended, moved)

    def is_proved(self, size: Array, value: Array) -> bool:
        """Whether a slope of this size is sure to prove the end."""
        return is_small(size, ROOM_FOR_PROOF * self.tol, value)

    def direct(self, stand: Stand) -> tuple[Array, Array]:
        """See `spaces.Space`: found with the slope's size."""
        assert stand.moved is not None
        return stand.gradient, stand.moved

    def weigh(self, own: slice, values: Array, logits: Array) -> Array:
        """See `spaces.Space`: the penalty is in the products of shares with logits."""
        out, part = np.zeros_like(values), logits.T[own]
        out[: len(part)] = part
        return out

    def learn(self, stand: Stand, steps: int) -> "tuple[Shares, int]":
        """See `spaces.Space`: there is no preconditioner to make better."""
        return self, steps

    def to_weights(self, theta: Array) -> Array:
        """The parameters (n_outputs, p + 1) in the objective's coordinates: one product back."""
        penalty = self.kept.objective.penalty
        out = self.kept.back(theta[:, :-1])
        out /= np.where(penalty > 0, penalty, 1.0)
        out[:, -1] = theta[:, -1]
        return out

    def _multiply(self, kept: KeptRows, shares: Array) -> Array:
        """The logits of the shares (n_outputs, n), without a bias: C Xc Xc' times them."""
        objective = kept.objective
        held = np.ascontiguousarray(kept.rows.block.weights) / objective.where.weight
        centred = not objective.where.frozen[-1]
        if centred:
            shares = shares - shares.sum(axis=1)[:, None] * held
        logits = self._multiply_rows(kept, shares)
        if centred:
            logits -= (logits @ held)[:, None]
        logits *= objective.C
        return logits

    def _multiply_rows(self, kept: KeptRows, shares: Array) -> Array:
        """X X' times the shares; of many outputs each thread takes some, and sums nothing wide."""
        if not kept.by_output:
            return kept.multiply(kept.sum_back(shares))
        features, out = kept.rows.block.features, np.empty_like(shares)

        def fill(first: int) -> None:
            own = slice(first, first + CHUNK)
            out[own] = features.linear(features.back(shares[own]))

        kept.rows.run(fill, range(0, len(shares), CHUNK))
        return out

    def _dots(self, a: Array, b: Array) -> Array:
        """Sums of a times b, (groups,)."""
        each = np.einsum("kn,kn->k", a, b)
        return np.asarray(each.reshape(self.kept.objective.groups, -1).sum(axis=1))


def suits(kept: KeptRows, theta: Array) -> bool:
    """Whether sparse rows are fewer than the columns, under a penalty, and no weights are given."""
    objective, features = kept.objective, kept.rows.block.features
    return (
        isinstance(features, SparseFeatures)
        and features.in_place
        and bool(np.isfinite(objective.C))
        and kept.rows.n_rows < objective.width - 1
        and not theta[:, :-1].any()
    )


def descend(
    kept: KeptRows, theta: Array, tol: float, watch: Callable[[Progress], None]
) -> tuple[Array, None, int, tuple[Progress, ...]]:
    """From no weights and the biases of theta to the end: theta (n_outputs, p + 1), no
    preconditioner, the passes, and what was told, but for the last point."""
    space = Shares(kept, _make_single(kept), tol)
    start = np.zeros((len(theta), space.width))
    start[:, -1] = theta[:, -1]
    stand, known, passes, history = space.stand(start), None, 1, list[Progress]()
    rough = space.quick is not kept
    for _ in range(MOST_ROUNDS):
        aim = replace(space, enough=ROUGH * stand.size) if rough else space
        found = approach(aim, stand, watch, known)
        stand, known, passes = found.stand, found.known, passes + found.passes
        history.extend(found.history[:-1])
        if not (rough and stand.ended) or space.is_proved(stand.size, stand.value):
            break
        stand, passes = space.stand(stand.theta), passes + 1
    return space.to_weights(stand.theta), None, passes, tuple(history)


def _make_single(kept: KeptRows) -> KeptRows:
    """The rows in float32; the same rows where that is no small copy."""
    objective, block = kept.objective, kept.rows.block
    features = block.features
    assert isinstance(features, SparseFeatures)
    largest = np.abs(features.values.data).max(initial=0.0)
    if 4 * features.values.nnz > SINGLE_BYTES or not 1 / LARGEST < largest < LARGEST:
        return kept
    rows = kept.rows.over(replace(block, features=features.to_single()))
    return KeptRows(Objective(rows, objective.loss, objective.C, objective.where))
