"""The two output layers: one sigmoid for each output, or one softmax over the classes.

Both take logits `Z` (n_outputs, m) and give, for a block of rows, the loss of each row and its
derivatives by the logit. `groups` says how the parameters fall apart into problems that can be
solved side by side: every sigmoid output is its own, the classes of a softmax hang together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from onelayer.network import least_curvature, margin_terms, sigmoid
from onelayer.scratch import borrow

Array = NDArray[Any]

FACTORS = 64  # of at least 1/2 each, multiplied before a logarithm is taken
LOW = 0.1  # a mean loss from which their roundings are no more than those of a sum
FARTHEST = 0.68 * float(
    np.finfo(np.float64).maxexp
)  # below log 2 times that no exponential overflows

_ONE = np.ones(1)
_ONE.flags.writeable = False


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """Per row and output: the loss and its slope by the logit.

    Attributes
    ----------
    loss: (groups, m), nats.
    residual: (n_outputs, m), A - Y without cancellation.
    margin: (groups, m), the logit of the row's own class over the other's (the best other's).
    probability: (n_outputs, m) for the softmax, whose outputs curve each other; else None.
    """

    loss: Array
    residual: Array
    margin: Array
    probability: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Terms(Slopes):
    """The same with the loss's second slope: curvature (n_outputs, m) is A (1 - A)."""

    curvature: Array


@dataclass(kw_only=True)
class RowSums:
    """What the rows of a stretch add up to, and what goes on to their features, weighted.

    Attributes
    ----------
    loss: (groups,), sum s loss. residual, curvature: (n_outputs, m), times s; the second where it
        was asked for. Both may lie in memory that the thread's next stretch takes.
    least_curvature: (groups,), a lower bound of weight times curvature between two answers of a
        row: its leverage s q x'H^-1 x is at most 1.
    least_margin: (groups,), of rows with a weight; or a lower bound of it, where curvatures were
        not asked for.
    probability: as in `Terms`.
    """

    loss: Array
    residual: Array
    least_curvature: Array
    least_margin: Array
    curvature: Array | None = None
    probability: Array | None = None


class Loss(Protocol):
    """What training asks of an output layer."""

    @property
    def n_outputs(self) -> int:
        """How many logits a row has."""

    @property
    def groups(self) -> int:
        """How many independent problems the outputs form."""

    def terms(self, Z: Array, labels: Array) -> Terms:
        """Loss and derivatives of every row of a block."""

    def sum_rows(self, Z: Array, labels: Array, s: Array, curved: bool) -> RowSums:
        """The rows' sums under weights `s` (m,), with curvatures or not; `Z` is written over."""

    def pairs(self) -> Iterator[tuple[int, int]]:
        """The pairs of outputs (k, l), k >= l, that share a second derivative."""

    def least_curvature(self, terms: Slopes, weights: Array) -> Array:
        """Per group, a lower bound of weight times curvature between any two answers of a row."""

    def activate(self, Z: Array) -> Array:
        """The probabilities (n_outputs, m)."""


@dataclass(frozen=True)
class SigmoidLoss:
    """Log loss of one or several sigmoid outputs, each a yes or no of its own; labels (n, m) 0/1.

    >>> loss = SigmoidLoss(1)
    >>> terms = loss.terms(np.array([[800.0, -800.0]]), np.array([[1.0, 1.0]]))
    >>> terms.loss.tolist(), terms.residual.tolist()
    ([[0.0, 800.0]], [[-0.0, -1.0]])
    """

    n_outputs: int = 1

    @property
    def groups(self) -> int:
        return self.n_outputs

    def terms(self, Z: Array, labels: Array) -> Terms:
        sign, margin = _turn(Z, labels)
        loss, miss, curvature = margin_terms(margin)
        return Terms(loss=loss, residual=_against(sign, miss), curvature=curvature, margin=margin)

    def sum_rows(self, Z: Array, labels: Array, s: Array, curved: bool) -> RowSums:
        n_outputs, m = Z.shape
        room = borrow("rows", 4, n_outputs, -(-m // FACTORS) * FACTORS)
        sign = room[0, :, :m]
        np.multiply(labels, -2.0, out=sign)
        sign += 1
        u = np.multiply(Z, sign, out=Z)  # the margins turned round: above 0 where a row is wrong
        farthest = np.array([abs(each[blas.idamax(each)]) if m else np.inf for each in u])
        if farthest.max() > FARTHEST:
            u *= sign
            return _sum_terms(self, self.terms(u, labels), s)
        with np.errstate(under="ignore"):
            if is_even(s) and s[0] > 0:
                sums = _sum_even(u, farthest, room[1:], float(s[0]), curved)
            else:
                sums = _sum_weighted(u, room[1:, :, :m], s)
        sums.residual *= sign
        return sums

    def pairs(self) -> Iterator[tuple[int, int]]:
        return ((k, k) for k in range(self.n_outputs))

    def least_curvature(self, terms: Slopes, weights: Array) -> Array:
        """min over rows with a weight of s q: a row's leverage s q x'H^-1 x is at most 1."""
        q = terms.curvature if isinstance(terms, Terms) else margin_terms(terms.margin)[2]
        return least_of_held(q * weights, weights)

    def activate(self, Z: Array) -> Array:
        return np.asarray(sigmoid(Z))


@dataclass(frozen=True)
class SoftmaxLoss:
    """Log loss of one answer out of several classes; labels (1, m) hold the class number.

    >>> loss = SoftmaxLoss(3)
    >>> terms = loss.terms(np.array([[800.0], [0.0], [-800.0]]), np.array([[1]]))
    >>> terms.loss.tolist(), terms.residual.ravel().tolist()
    ([[800.0]], [1.0, -1.0, 0.0])
    """

    n_outputs: int

    @property
    def groups(self) -> int:
        return 1

    def terms(self, Z: Array, labels: Array) -> Terms:
        found = self.slopes(Z, labels)
        P, own, rows = found.probability, labels[0].astype(np.intp), np.arange(Z.shape[1])
        assert P is not None
        curvature = 1 - P
        curvature[own, rows] = -found.residual[own, rows]
        # Only a row's own class, or the one that it is taken for, can be nearly sure.
        missed = np.flatnonzero(found.margin[0] < 0)
        curvature[:, missed] = _sum_of_others(P[:, missed])
        curvature *= P
        return Terms(
            loss=found.loss,
            residual=found.residual,
            curvature=curvature,
            margin=found.margin,
            probability=P,
        )

    def sum_rows(self, Z: Array, labels: Array, s: Array, curved: bool) -> RowSums:
        return _sum_terms(self, self.terms(Z, labels) if curved else self.slopes(Z, labels), s)

    def slopes(self, Z: Array, labels: Array) -> Slopes:
        own, rows = labels[0].astype(np.intp), np.arange(Z.shape[1])
        with np.errstate(under="ignore"):
            e, mine = Z.copy(), Z[own, rows]
            e[own, rows] = -np.inf
            rival = e.max(axis=0)
            top = np.maximum(rival, mine)
            e -= top
            np.exp(e, out=e)
            # The others alone, and log1p: a loss that is nearly 0 keeps its digits, as A - Y does.
            others, first = e.sum(axis=0), np.exp(mine - top)
            total = others + first
            loss = np.log1p(others + (first - 1)) + (top - mine)
            e[own, rows] = first
            e /= total
            residual = e.copy()
            residual[own, rows] = -others / total
        margin = (mine - rival)[None]
        return Slopes(loss=loss[None], residual=residual, margin=margin, probability=e)

    def pairs(self) -> Iterator[tuple[int, int]]:
        return ((k, j) for k in range(self.n_outputs) for j in range(k + 1))

    def least_curvature(self, terms: Slopes, weights: Array) -> Array:
        """H >= s (diag p - p p') (x) x x', so (e_k - e_l) (x) x has at most (1/p_k + 1/p_l) / s."""
        held, P = weights > 0, terms.probability
        if P is None or not held.any():
            return np.array([np.inf])
        least, second = _two_least(P)
        with np.errstate(divide="ignore", over="ignore"):
            own = weights / (1 / least + 1 / second)
        return np.array([own.min(where=held, initial=np.inf)])

    def activate(self, Z: Array) -> Array:
        with np.errstate(under="ignore"):
            e = np.exp(Z - Z.max(axis=0))
            return np.asarray(e / e.sum(axis=0))


def is_even(weights: Array) -> bool:
    """Whether all rows share one weight, stored once."""
    return len(weights) > 0 and weights.strides == (0,)


def even_weights(n: int) -> Array:
    """A weight of 1 for each of n rows, stored once.

    >>> even_weights(3).tolist(), is_even(even_weights(3))
    ([1.0, 1.0, 1.0], True)
    """
    return np.ndarray(n, buffer=_ONE, strides=(0,))


def sum_weights(weights: Array) -> float:
    """Their sum.

    >>> sum_weights(even_weights(3))
    3.0
    """
    return float(len(weights) * weights[0] if is_even(weights) else weights.sum())


def take_weights(weights: Array, numbers: Array) -> Array:
    """The weights of the rows of these numbers; one of all rows stays stored once."""
    if is_even(weights):
        return np.broadcast_to(weights[0], len(numbers))
    return np.asarray(weights[numbers])


def multiply_weights(weights: Array, factor: Array) -> Array:
    """Their product for each row, stored once where both are.

    >>> is_even(multiply_weights(even_weights(3), even_weights(3)))
    True
    """
    if is_even(weights) and is_even(factor):
        return np.broadcast_to(weights[0] * factor[0], len(weights))
    return np.asarray(weights * factor)


def stack_weights(parts: Sequence[Array]) -> Array:
    """The weights of several lots of rows, one after the other."""
    if all(is_even(part) and part[0] == parts[0][0] for part in parts):
        return np.broadcast_to(parts[0][0], sum(map(len, parts)))
    return np.concatenate(parts)


def _sum_terms(loss: Loss, terms: Slopes, s: Array) -> RowSums:
    """The sums of any rows, from their terms."""
    held = s > 0
    margin = terms.margin if held.all() else np.where(held, terms.margin, np.inf)
    return RowSums(
        loss=np.dot(terms.loss, s),
        residual=terms.residual * s,
        least_curvature=loss.least_curvature(terms, s),
        least_margin=margin.min(axis=1, initial=np.inf),
        curvature=terms.curvature * s if isinstance(terms, Terms) else None,
        probability=terms.probability,
    )


def _sum_even(u: Array, farthest: Array, room: Array, weight: float, curved: bool) -> RowSums:
    """The sums of a sigmoid's rows that share one weight, at margins turned round, u.

    The loss is log(1 + e), e = exp(u), and the logarithms of many are one logarithm of their
    product. Its roundings are about one a row, too many only where losses are far below 1.
    Few calls, as threads wait for each other in the interpreter between short ones.
    """
    m = u.shape[1]
    miss, own, q = room[:, :, :m]
    np.exp(u, out=miss)
    np.add(miss, 1, out=own)
    loss = sum_logs(room[1], farthest.max(), m)
    if not loss.min() >= LOW * m:
        loss = np.log1p(miss).sum(axis=1)
    loss, least = weight * loss, weight * least_curvature(farthest)
    np.divide(miss, own, out=miss)  # e / (1 + e): neither this nor 1 / (1 + e) is a difference
    if weight != 1:
        miss *= weight
    if curved:
        np.divide(miss, own, out=q)
    return RowSums(
        loss=loss,
        residual=miss,
        least_curvature=least,
        least_margin=-(np.maximum.reduce(u, axis=1) if curved else farthest),
        curvature=q if curved else None,
    )


def sum_logs(own: Array, farthest: float, m: int) -> Array:
    """sum log of the first m of each row of `own`, 1 + exp of what is at most `farthest`.

    There is room for a multiple of `FACTORS`: so many are one product.
    """
    own[:, m:] = 1
    count = FACTORS
    while count * (1 + farthest) > FARTHEST and count > 1:
        count //= 2
    products = np.multiply.reduce(own.reshape(len(own), count, -1), axis=1)
    return np.asarray(np.add.reduce(np.log(products), axis=1))


def _sum_weighted(u: Array, room: Array, s: Array) -> RowSums:
    """The same of rows with weights of their own."""
    miss, own, q = room
    held = s > 0
    wrong = u if held.all() else u[:, held]
    np.exp(u, out=miss)
    np.add(miss, 1, out=own)
    loss = np.dot(np.log(own, out=q), s)
    if not loss.min() >= LOW * s.sum():  # see `_sum_even`
        loss = np.dot(np.log1p(miss, out=q), s)
    np.divide(miss, own, out=miss)
    miss *= s
    np.divide(miss, own, out=q)
    return RowSums(
        loss=loss,
        residual=miss,
        least_curvature=least_of_held(q, s),
        least_margin=-wrong.max(axis=1, initial=-np.inf),
        curvature=q,
    )


def least_of_held(curvature: Array, weights: Array) -> Array:
    """The least of the weighted curvatures among rows with a weight."""
    held = weights > 0
    return np.asarray((curvature if held.all() else curvature[:, held]).min(axis=1, initial=np.inf))


def _turn(Z: Array, labels: Array) -> tuple[Array, Array]:
    """-1 or 1 for labels 0 and 1, and the margins."""
    sign = np.multiply(labels, 2.0)
    sign -= 1.0
    return sign, sign * Z


def _against(sign: Array, miss: Array) -> Array:
    """The residuals, written over `miss`."""
    miss *= sign
    return np.negative(miss, out=miss)


def _two_least(P: Array) -> tuple[Array, Array]:
    """The least and the second least probability of each row: sorting them would take longer."""
    least, second = np.minimum(P[0], P[1]), np.maximum(P[0], P[1])
    for each in P[2:]:
        np.minimum(second, np.maximum(least, each), out=second)
        np.minimum(least, each, out=least)
    return least, second


def _sum_of_others(probability: Array) -> Array:
    """1 - p_k for each class as the sum of the other classes, which keeps the digits near p_k = 1.

    Sums from the left and from the right: no subtraction, 2 additions a class.
    """
    left = np.cumsum(probability, axis=0)
    right = np.cumsum(probability[::-1], axis=0)[::-1]
    others = np.zeros_like(probability)
    others[1:] = left[:-1]
    others[:-1] += right[1:]
    return others
