"""The cheapest way to gain enough: few choices first, then the least sum of their costs, exactly.

Each of several fronts offers what can be gained at which cost, and at most one offer of each is
taken. This is a knapsack with a choice of several things for each place; the fronts are long and
nearly continuous, which leaves hardly anything between the linear relaxation and the answer, so
that branch and bound finds and proves it at once. Source: Sinha and Zoltners, "The multiple-choice
knapsack problem", 1979; the bound by tangents is derived in docs/mathematics.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TANGENTS = 32  # to a front: its relaxation is then within about a thousandth of it
NODE_WORK = 1_000  # that a bound takes, in offers looked at
MOST_WORK = 50_000_000  # offers looked at; beyond, the best so far is returned, and so said


@dataclass(frozen=True, eq=False)
class Front:
    """Offers of which none is both dearer and no better than another.

    Attributes
    ----------
    cost, gain: (m,), both rising, above 0.
    place: (m,), what each offer is, for the caller.
    """

    cost: Array
    gain: Array
    place: Array

    @cached_property
    def segments(self) -> Array:
        """(2, s), pieces (cost, gain) of a concave line above all offers, the steepest first."""
        x, y = _find_hull(np.append(0.0, self.cost), np.append(0.0, self.gain))
        return _cover(x, y)


@dataclass(frozen=True)
class Answer:
    """The offers taken, as (front, offer), what they cost, and whether that is proved the least."""

    picks: tuple[tuple[int, int], ...]
    cost: float
    proved: bool


def make_front(cost: Array, gain: Array, place: Array) -> Front:
    """The offers that are worth a look, of any offers.

    >>> front = make_front(np.array([3.0, 1.0, 2.0]), np.array([5.0, 2.0, 1.0]), np.arange(3))
    >>> front.cost, front.gain, front.place
    (array([1., 3.]), array([2., 5.]), array([1, 0]))
    """
    order = np.lexsort((-gain, cost))
    best = np.maximum.accumulate(gain[order])
    order = order[np.append(True, best[1:] > best[:-1]) & (gain[order] > 0) & (cost[order] > 0)]
    return Front(cost[order], gain[order], place[order])


def count_needed(most: Array, need: float) -> int | None:
    """How many fronts must be used to gain `need`, (k,) being the most that each offers.

    >>> count_needed(np.array([1.0, 3.0, 2.0]), 4.5), count_needed(np.array([1.0]), 2.0)
    (2, None)
    """
    total = np.cumsum(np.sort(most)[::-1])
    enough = np.flatnonzero(total >= need)
    return int(enough[0]) + 1 if enough.size else None


def find_cheapest(most: Array, build: Callable[[int], Front], need: float) -> Answer | None:
    """The offers of the fewest fronts that gain `need`, and of these the cheapest.

    Parameters
    ----------
    most: (n,), the most that each front offers; 0 or less where it offers nothing.
    build: gives the front of a number 0 to n - 1; asked only for those that may be used.
    need: above 0.

    Returns
    -------
    None where all of them together do not gain so much.
    """
    count = count_needed(np.maximum(most, 0), need)
    if count is None:
        return None
    order = np.argsort(-most, kind="stable")
    useful = [
        int(j)
        for rank, j in enumerate(order)
        if most[j] + _sum_best(most, order, rank, count - 1) >= need
    ]
    fronts = [build(j) for j in useful]
    search = _Search(fronts, need, count)
    search.run()
    if not search.picks:  # enough but for rounding
        return None
    picks = tuple((useful[i], offer) for i, offer in search.picks)
    return Answer(tuple(sorted(picks)), search.cost, search.work <= MOST_WORK)


def _sum_best(most: Array, order: Array, rank: int, count: int) -> float:
    """The most that `count` fronts offer without the one at `rank` of the order."""
    chosen = order[: count + 1] if rank <= count else order[:count]
    return float(sum(most[j] for j in chosen if j != order[rank])) if count else 0.0


class _Search:
    """Sets of fronts of one size, each solved only where its bound leaves room."""

    def __init__(self, fronts: Sequence[Front], need: float, count: int) -> None:
        self._fronts, self._need, self._count = fronts, need, count
        self._most = [float(front.gain[-1]) for front in fronts]  # falling
        self._floor = float(np.sort([front.cost[0] for front in fronts])[:count].sum())
        self.cost, self.picks, self.work = np.inf, list[tuple[int, int]](), 0

    def run(self) -> None:
        self._grow([], 0)

    def _grow(self, chosen: list[int], first: int) -> None:
        """All sets that begin with the chosen fronts; the others come in falling order of gain."""
        left, gained = self._count - len(chosen), sum(self._most[i] for i in chosen)
        if not left:
            self._solve(chosen)
            return
        if left > 1 and not self._is_worth([*chosen, *range(first, len(self._fronts))]):
            return
        for i in range(first, len(self._fronts) - left + 1):
            if self.work > MOST_WORK or self.cost <= self._floor * (1 + 1e-12):
                return
            if gained + sum(self._most[i : i + left]) < self._need * (1 - 1e-12):
                return
            self._grow([*chosen, i], i + 1)

    def _is_worth(self, numbers: list[int]) -> bool:
        """Whether the relaxation of these fronts, as many as one likes, leaves room for better."""
        self.work += NODE_WORK
        return bool(self._is_low(_relax([self._fronts[i] for i in numbers])(self._need)))

    def _solve(self, chosen: list[int]) -> None:
        if self._count > 1 and not self._is_worth(chosen):
            return
        # Short fronts are tried offer by offer; of the two longest one is looked up in the other.
        fronts = sorted(((i, self._fronts[i]) for i in chosen), key=lambda each: len(each[1].cost))
        self._descend(fronts, self._need, 0.0, [])

    def _is_low(self, cost: Any) -> Any:
        return cost < self.cost * (1 - 1e-12)

    def _descend(
        self,
        rest: list[tuple[int, Front]],
        need: float,
        spent: float,
        picks: list[tuple[int, int]],
    ) -> None:
        if len(rest) == 1:
            self._take_last(rest[0], need, spent, picks)
            return
        if len(rest) == 2:
            self._take_two(rest, need, spent, picks)
            return
        number, front = rest[0]
        bounds = spent + front.cost + _relax([each for _, each in rest[1:]])(need - front.gain)
        self.work += len(bounds)
        for offer in np.argsort(bounds, kind="stable"):
            if self.work > MOST_WORK or not self._is_low(bounds[offer]):
                return
            self._descend(
                rest[1:],
                need - float(front.gain[offer]),
                spent + float(front.cost[offer]),
                [*picks, (number, int(offer))],
            )

    def _take_last(
        self, last: tuple[int, Front], need: float, spent: float, picks: list[tuple[int, int]]
    ) -> None:
        number, front = last
        offer = int(np.searchsorted(front.gain, need))
        if offer < len(front.gain) and self._is_low(spent + front.cost[offer]):
            self.cost = spent + float(front.cost[offer])
            self.picks = [*picks, (number, offer)]

    def _take_two(
        self,
        rest: list[tuple[int, Front]],
        need: float,
        spent: float,
        picks: list[tuple[int, int]],
    ) -> None:
        (number, front), last = rest
        offers = np.searchsorted(last[1].gain, need - front.gain)
        self.work += len(offers)
        costs = np.append(last[1].cost, np.inf)[offers]
        offer = int(np.argmin(front.cost + costs))
        if np.isfinite(costs[offer]):
            self._take_last(
                last,
                need - float(front.gain[offer]),
                spent + float(front.cost[offer]),
                [*picks, (number, offer)],
            )


def _relax(fronts: Sequence[Front]) -> Callable[[Any], Any]:
    """A lower bound of what it costs to gain so much with these fronts; inf beyond all of it."""
    cost, gain = np.hstack([front.segments for front in fronts])
    order = np.argsort(cost / gain, kind="stable")
    cost, gain = np.append(0.0, np.cumsum(cost[order])), np.append(0.0, np.cumsum(gain[order]))
    # The ends of the fronts are met to rounding.
    return lambda need: np.where(
        need > gain[-1] * (1 + 1e-9), np.inf, np.interp(need, gain, cost * (1 - 1e-9))
    )


def _find_hull(x: Array, y: Array) -> tuple[Array, Array]:
    """The corners of the least concave line above points of rising x and y."""
    while x.size > 2:
        slopes = np.diff(y) / np.diff(x)
        # A point under the line between its neighbours is under the hull, whoever else is.
        kept = np.append(True, np.append(slopes[1:] < slopes[:-1], True))
        if kept.all():
            break
        x, y = x[kept], y[kept]
    return x, y


def _cover(x: Array, y: Array) -> Array:
    """A concave line of few pieces, on or above one of many: tangents at some of its corners."""
    slopes = np.diff(y) / np.diff(x)
    if slopes.size <= 2 * TANGENTS:
        return np.stack([np.diff(x), np.diff(y)])
    ends = np.unique(np.linspace(0, x.size - 1, TANGENTS + 1).astype(np.intp))
    pieces = []
    for a, b in pairwise(ends):
        steep, flat = slopes[a], slopes[b - 1]
        width, height = x[b] - x[a], y[b] - y[a]
        # Where the tangent at the left corner meets the one at the right.
        first = (height - flat * width) / (steep - flat) if steep > flat else width
        first = min(max(first, 0.0), width)
        pieces += [(first, steep * first), (width - first, height - steep * first)]
    return np.array([piece for piece in pieces if piece[0] > 0 and piece[1] > 0]).T
