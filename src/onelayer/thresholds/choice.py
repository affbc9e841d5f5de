"""What is wanted of a threshold, and what came out of the search for it."""

import math
from dataclasses import dataclass
from typing import Literal

from onelayer.errors import InputError
from onelayer.stored import find_outside

Wish = Literal["costs", "accept", "min_precision", "max_fpr"]


@dataclass(frozen=True)
class Fixed:
    """The same cost for every row."""

    value: float
    kind: Literal["fixed"] = "fixed"


@dataclass(frozen=True)
class FromColumn:
    """A cost for each row, from a column of the table."""

    column: str
    kind: Literal["column"] = "column"


Amount = Fixed | FromColumn


@dataclass(frozen=True)
class Costs:
    """What each kind of decision costs; below 0 it earns.

    `fp` is a negative row called positive, `fn` a positive row called negative.
    """

    fp: Amount
    fn: Amount
    tp: Amount = Fixed(0.0)
    tn: Amount = Fixed(0.0)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that costs are read from."""
        amounts = (self.fp, self.fn, self.tp, self.tn)
        found = [each.column for each in amounts if isinstance(each, FromColumn)]
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class ThresholdRule:
    """How the threshold is to be chosen: give exactly one wish.

    Attributes
    ----------
    cost_fp, cost_fn: what a false positive and a false negative cost, together: a number, or the
        name of a column with one for each row. cost_tp, cost_tn: of right decisions, 0 if not
        given. The threshold of the least total cost is chosen.
    accept: the share of the rows to call positive, above 0 and below 1.
    min_precision: call as many rows positive as this precision allows, above 0 up to 1.
    max_fpr: call as many rows positive as this false positive rate allows, 0 up to below 1.

    Raises
    ------
    InputError: no wish or several, or a value that none can have.

    >>> ThresholdRule(cost_fp=1, cost_fn=5).wish, ThresholdRule(accept=0.3).value
    ('costs', 0.3)
    """

    cost_fp: float | str | None = None
    cost_fn: float | str | None = None
    cost_tp: float | str | None = None
    cost_tn: float | str | None = None
    accept: float | None = None
    min_precision: float | None = None
    max_fpr: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("accept", "min_precision", "max_fpr") if self._has(name)]
        if any(self._has(f"cost_{kind}") for kind in ("fp", "fn", "tp", "tn")):
            given.append("costs")
        if len(given) != 1:
            said = " and ".join(given) or "nothing"
            raise InputError(
                f"the threshold is to be chosen by {said}: give one of costs (cost_fp and "
                "cost_fn), accept, min_precision, max_fpr"
            )
        if given == ["costs"]:
            self._check_costs()
            return
        value, most = self.value, {"min_precision": 1.0}.get(given[0], math.nextafter(1, 0))
        least = 0.0 if given[0] == "max_fpr" else math.nextafter(0, 1)
        if not (isinstance(value, int | float) and least <= value <= most):
            ends = {
                "accept": "a share above 0 and below 1",
                "min_precision": "a share above 0 and up to 1",
                "max_fpr": "a share from 0 to below 1",
            }
            raise InputError(f"{given[0]} is {value}, expected {ends[given[0]]}")

    def _has(self, name: str) -> bool:
        return getattr(self, name) is not None

    def _check_costs(self) -> None:
        for name in ("cost_fp", "cost_fn"):
            if not self._has(name):
                raise InputError(f"{name} is missing: what a wrong decision of each kind costs")
        for name in ("cost_fp", "cost_fn", "cost_tp", "cost_tn"):
            cost = getattr(self, name)
            if not (cost is None or isinstance(cost, str) or math.isfinite(cost)):
                raise InputError(f"{name} is {cost}, expected a finite number or a column's name")
        numbers = [self.cost_fp, self.cost_fn, self.cost_tp or 0.0, self.cost_tn or 0.0]
        if not any(isinstance(each, str) for each in numbers):
            fp, fn, tp, tn = (float(each) for each in numbers)  # type: ignore[arg-type]
            if not (fp > tn and fn > tp):
                raise InputError(
                    "a wrong decision must cost more than the right one of the same row: "
                    f"cost_fp is {fp:g} and cost_tn {tn:g}, cost_fn {fn:g} and cost_tp {tp:g}"
                )

    @property
    def wish(self) -> Wish:
        """Which wish it is."""
        names: tuple[Wish, ...] = ("accept", "min_precision", "max_fpr")
        return next((name for name in names if self._has(name)), "costs")

    @property
    def value(self) -> float | None:
        """The share wished for; None for costs."""
        return None if self.wish == "costs" else getattr(self, self.wish)

    @property
    def costs(self) -> Costs | None:
        """The costs, if they are the wish."""
        if self.wish != "costs":
            return None
        return Costs(
            *(
                FromColumn(cost) if isinstance(cost, str) else Fixed(float(cost or 0))
                for cost in (self.cost_fp, self.cost_fn, self.cost_tp, self.cost_tn)
            )
        )


@dataclass(frozen=True)
class Tried:
    """What a threshold does on the rows it was chosen on.

    `called` is the share of rows called positive; `precision` None where there is none; `cost` the
    mean a row, None without costs.
    """

    threshold: float
    called: float
    precision: float | None
    recall: float
    false_alarms: float
    cost: float | None

    def problem(self) -> str | None:
        """Say what no threshold can do, or None."""
        shares = ("threshold", "called", "precision", "recall", "false_alarms")
        return find_outside(self, shares, 0, 1)


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold, how it was chosen, and the curve that it was chosen from.

    Attributes
    ----------
    wish, value, costs: what was asked for; see `ThresholdRule`.
    chosen: the threshold and what it does on the rows it was chosen on.
    folds: into how many parts these rows were cut, each scored by a fit on the others. rows: how
        many there were; fewer than were trained on where those are many.
    curve: `chosen` and others, from calling no row positive to calling all.
    """

    wish: Wish
    value: float | None
    costs: Costs | None
    chosen: Tried
    folds: int
    rows: int
    curve: tuple[Tried, ...]

    @property
    def cost_columns(self) -> tuple[str, ...]:
        """The columns that costs are read from."""
        return () if self.costs is None else self.costs.columns

    def problem(self) -> str | None:
        """Say what no choice can be, or None."""
        if (self.costs is None) == (self.wish == "costs"):
            return "costs and the wish for them belong together"
        if self.chosen not in self.curve:
            return "the curve must hold what was chosen"
        return find_outside(self, ("folds", "rows"), 1, math.inf)


def check_threshold(threshold: float | ThresholdRule) -> None:
    """Refuse a threshold that is neither a probability nor a rule.

    >>> check_threshold(1.5)
    Traceback (most recent call last):
    onelayer.errors.InputError: threshold is 1.5, expected a probability from 0 to 1
    """
    if isinstance(threshold, ThresholdRule):
        return
    is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if not (is_number and 0 <= threshold <= 1):
        raise InputError(f"threshold is {threshold!r}, expected a probability from 0 to 1")
