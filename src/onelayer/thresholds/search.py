"""The threshold that fulfils a wish, among all that make a difference."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.network import sigmoid
from onelayer.thresholds.choice import ThresholdChoice, ThresholdRule, Tried

Array = NDArray[Any]

CURVE_POINTS = 100


def choose_threshold(
    rule: ThresholdRule,
    labels: Array,
    logits: Array,
    weights: Array,
    costs: tuple[Array, Array] | None = None,
    *,
    folds: int = 1,
) -> ThresholdChoice:
    """Choose a threshold on rows that the fits behind their logits had not seen.

    Every cut between two different probabilities is tried. Of the thresholds that make the same cut
    the one of the fewest digits is taken.

    Args:
        rule: The wish.
        labels, logits, weights: (n,), of both classes.
        costs: For each row the cost of calling it positive, and of not doing so, where the wish is
            for costs.
        folds: For the record.

    Raises:
        InputError: The wish cannot be fulfilled, naming the best that can be had.

    >>> rule = ThresholdRule(max_fpr=0.5)
    >>> found = choose_threshold(rule, np.array([0, 0, 1, 1]), np.arange(4.0), np.ones(4))
    >>> found.chosen.threshold, found.chosen.false_alarms, found.chosen.recall
    (0.6, 0.5, 1.0)
    """
    cuts = _Cuts(labels, logits, weights, costs)
    place = _PLACE[rule.wish](cuts, rule.value)
    shown = np.linspace(0, cuts.last, min(CURVE_POINTS, cuts.last) + 1).round().astype(int)
    curve = tuple(cuts.state(k) for k in np.unique(np.append(shown, place)).tolist())
    chosen = next(each for each in curve if each.threshold == cuts.threshold(place))
    return ThresholdChoice(rule.wish, rule.value, rule.costs, chosen, folds, len(labels), curve)


class _Cuts:
    """What is called positive above each probability; cut 0 calls no row so, the last one all."""

    def __init__(
        self, labels: Array, logits: Array, weights: Array, costs: tuple[Array, Array] | None
    ) -> None:
        probabilities = np.asarray(sigmoid(logits))
        order = np.argsort(-probabilities, kind="stable")
        p, s, y = probabilities[order], weights[order], labels[order]
        ends = np.append(np.flatnonzero(np.diff(p)), len(p) - 1)
        self.values = p[ends]  # of the rows that each further cut calls positive
        self.last = len(ends)

        def add(each: Array) -> Array:
            return np.append(0.0, np.cumsum(each)[ends])

        self.tp, self.fp = add(s * y), add(s * (1 - y))
        self.called = self.tp + self.fp
        self.cost = None
        if costs is not None:
            yes, no = (each[order] * s for each in costs)
            self.cost = (no.sum() + add(yes - no)) / s.sum()

    def threshold(self, k: int) -> float:
        """Above the values that are not called, and not above those that are."""
        low = self.values[k] if k < self.last else 0.0
        high = self.values[k - 1] if k else np.inf
        return find_simple(float(low), float(min(high, np.nextafter(1.0, 2))))

    @property
    def precision(self) -> Array:
        """(n_cuts,), 0 for calling no row."""
        none = np.zeros_like(self.tp)
        return np.asarray(np.divide(self.tp, self.called, where=self.called > 0, out=none))

    @property
    def false_alarms(self) -> Array:
        """(n_cuts,)."""
        return np.asarray(self.fp / self.fp[-1])

    def state(self, k: int) -> Tried:
        """What cut k does."""
        called, whole = self.called[k], self.called[-1]
        return Tried(
            threshold=self.threshold(k),
            called=float(min(1.0, called / whole)),
            precision=float(self.precision[k]) if called else None,
            recall=float(self.tp[k] / self.tp[-1]),
            false_alarms=float(self.false_alarms[k]),
            cost=None if self.cost is None else float(self.cost[k]),
        )


def _place_costs(cuts: _Cuts, value: float | None) -> int:
    """The least cost; of several the one that calls the fewest rows positive."""
    assert cuts.cost is not None
    return int(np.argmin(cuts.cost))


def _place_accept(cuts: _Cuts, value: float | None) -> int:
    """The share of rows nearest to the one wished for; rows of one probability go together."""
    assert value is not None
    return int(np.argmin(np.abs(cuts.called / cuts.called[-1] - value)))


def _place_precision(cuts: _Cuts, value: float | None) -> int:
    """As many rows as the precision allows."""
    precision = cuts.precision
    enough = np.flatnonzero(precision[1:] >= value)
    if not len(enough):
        best = int(np.argmax(precision))
        state = cuts.state(best)
        raise InputError(
            f"a precision of {value:g} is out of reach on rows that the fit had not seen: the best "
            f"is {precision[best]:.4g}, at a threshold of {state.threshold:g}, which calls "
            f"{state.called:.2%} of the rows positive; ask for less"
        )
    return int(enough[-1]) + 1


def _place_false_alarms(cuts: _Cuts, value: float | None) -> int:
    """As many rows as the false positive rate allows."""
    found = int(np.flatnonzero(cuts.false_alarms <= value)[-1])
    if not found:
        state = cuts.state(1)
        raise InputError(
            f"a false positive rate of {value:g} is out of reach on rows that the fit had not "
            f"seen: the least with any row called positive is {state.false_alarms:.4g}, at a "
            f"threshold of {state.threshold:g}; ask for more"
        )
    return found


_PLACE = {
    "costs": _place_costs,
    "accept": _place_accept,
    "min_precision": _place_precision,
    "max_fpr": _place_false_alarms,
}


def find_simple(low: float, high: float) -> float:
    """A number of few digits in [low, high): the middle, rounded as far as it stays inside.

    >>> find_simple(0.4831, 0.5172), find_simple(0.48312, 0.48318), find_simple(0.25, 0.25 + 1e-16)
    (0.5, 0.48315, 0.25)
    """
    middle = low + (high - low) / 2
    for digits in range(1, 17):
        found = round(middle, digits)
        if low <= found < high:
            return found
    return low
