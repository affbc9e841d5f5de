"""The smallest change of a row's values that turns the decision, within what training has seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onelayer.explaining.least_cost import Front, find_cheapest, make_front
from onelayer.naming import list_words
from onelayer.table.curves import Curve

Array = NDArray[Any]

Bound = Literal["at least", "at most", "exactly"]


@dataclass(frozen=True)
class ChangedValue:
    """A column, what stands in the row, and what would have to stand there.

    Attributes
    ----------
    bound: whether any value from `after` on, up or down, does as well, as far as training has seen.
    distance: how far it is, in spreads of the column; 1 for another level.
    gain: what it adds to the log-odds of the positive value.
    words: "debt ratio is at most 0.48".
    """

    column: str
    before: str
    after: str
    bound: Bound
    distance: float
    gain: float
    words: str


@dataclass(frozen=True)
class Change:
    """The least that would have to be otherwise for another decision.

    Attributes
    ----------
    decision: what the model would say.
    values: what changes, as few columns as can be; empty where nothing within the values seen in
        training turns the decision.
    distance: their sum, the least with so few columns where `is_least` (else the search was cut
        short, and it is the least found).
    probability: of the positive value after the change; where nothing turns the decision, how near
        it could come.
    """

    decision: str
    values: tuple[ChangedValue, ...]
    distance: float
    probability: float
    is_least: bool = True

    @property
    def sentence(self) -> str:
        """What it says.

        >>> value = ChangedValue("debt", "9", "4", "at most", 1.5, 0.5, "debt is at most 4")
        >>> Change("approved", (value,), 1.5, 0.6).sentence
        'approved if debt is at most 4'
        >>> Change("approved", (), 0.0, 0.31).sentence
        'no change within the values seen in training makes it approved: the probability would \
come to 0.3100 and no further'
        """
        if self.values:
            return f"{self.decision} if {list_words([each.words for each in self.values])}"
        return (
            f"no change within the values seen in training makes it {self.decision}: the "
            f"probability would come to {self.probability:.4f} and no further"
        )


@dataclass(frozen=True)
class Standing:
    """Where a row stands on a column's curve.

    `place` is its value there, nan where it is missing or nowhere on it; `adds` what the column
    adds to the row's log-odds; `before` the value as text, None where it is missing.
    """

    curve: Curve
    place: float
    adds: float
    before: str | None


@dataclass(frozen=True)
class Move:
    """A column that moves to another place of its curve, `distance` away; `sign` of its gain."""

    standing: Standing
    place: int
    distance: float
    sign: Literal[-1, 1]

    @property
    def text(self) -> str:
        """What then stands in the table."""
        return self.standing.curve.write(self.place, self.standing.before)


def find_change(
    standings: Sequence[Standing], need: float, sign: Literal[-1, 1]
) -> tuple[list[Move], bool]:
    """Move the fewest columns that gain `need`, and of these the least far.

    Parameters
    ----------
    standings: of the columns that may change.
    need: above 0, in log-odds; `sign` is 1 where they must rise.

    Returns
    -------
    The moves, none where no move is enough; and whether they are proved the least.
    """
    most = np.array([_find_most(each, sign) for each in standings])
    build = partial(_build_front, standings, sign)
    found = find_cheapest(most, build, need) if np.isfinite(need) and len(most) else None
    if found is None:
        return [], True
    moves = []
    for number, offer in found.picks:
        front = build(number)
        place, distance = int(front.place[offer]), float(front.cost[offer])
        moves.append(Move(standings[number], place, distance, sign))
    return moves, found.proved


def find_farthest(standings: Sequence[Standing], sign: Literal[-1, 1]) -> float:
    """How far the log-odds could move if every column moved as far as it can."""
    return sign * sum(max(0.0, _find_most(each, sign)) for each in standings)


def _find_most(standing: Standing, sign: int) -> float:
    low, high = standing.curve.reach
    return high - standing.adds if sign > 0 else standing.adds - low


def _build_front(standings: Sequence[Standing], sign: int, number: int) -> Front:
    standing = standings[number]
    curve, place = standing.curve, standing.place
    gain = sign * (curve.adds - standing.adds)
    if not curve.has_order:
        return make_front(np.ones(gain.size), gain, np.arange(gain.size))
    if np.isnan(place):
        cost = 1 + np.abs(curve.values - curve.centre) / curve.spread
        return make_front(cost, gain, np.arange(gain.size))
    cost = np.abs(curve.values - place) / curve.spread
    if not curve.trend:
        return make_front(cost, gain, np.arange(gain.size))
    # All that gains lies on one side, in order.
    first = int(np.searchsorted(curve.values, place))
    side = np.arange(first, gain.size) if curve.trend * sign > 0 else np.arange(first)[::-1]
    rises = gain[side] > np.maximum(np.append(0.0, gain[side[:-1]]), 0.0)[: side.size]
    side = side[rises]
    return Front(cost[side], gain[side], side)


def describe_move(move: Move) -> ChangedValue:
    """A move in words."""
    standing, curve = move.standing, move.standing.curve
    bound = _find_bound(standing, move.place, move.sign)
    return ChangedValue(
        column=curve.column.name,
        before="missing" if standing.before is None else standing.before,
        after=move.text,
        bound=bound,
        distance=move.distance,
        gain=float(curve.adds[move.place] - standing.adds),
        words=_say(curve, move.text, bound),
    )


def _find_bound(standing: Standing, place: int, sign: int) -> Bound:
    """Whether all values beyond, on the side away from the row's own, gain as much."""
    curve = standing.curve
    if not curve.has_order:
        return "exactly"
    gain = sign * curve.adds
    up = bool((gain[place:] >= gain[place]).all())
    down = bool((gain[: place + 1] >= gain[place]).all())
    comes_from_above = standing.place > curve.values[place]
    if up and not comes_from_above:
        return "at least"
    if down and not standing.place < curve.values[place]:
        return "at most"
    return "exactly"


def _say(curve: Curve, after: str, bound: Bound) -> str:
    name = curve.column.name
    if bound == "exactly":
        return f"{name} is {after}"
    if curve.kind == "date":
        return f"{name} is {after} or {'later' if bound == 'at least' else 'earlier'}"
    return f"{name} is {bound} {after}"
