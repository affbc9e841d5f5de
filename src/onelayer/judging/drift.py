"""How far a table has moved from the rows trained on: the population stability index."""

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from onelayer.stored import find_outside

STEADY, MOVED = 0.1, 0.25  # the usual marks: below the first nothing, above the second much


@dataclass(frozen=True)
class BinShare:
    """One bin of a column: its values in words, its share of the rows trained on, and now."""

    label: str
    before: float
    now: float

    def problem(self) -> str | None:
        """Say what no bin can hold, or None."""
        return find_outside(self, ("before", "now"), 0, 1)


@dataclass(frozen=True)
class ColumnDrift:
    """One column, or the score.

    Attributes
    ----------
    column: its name; "score" of the probability. role: as in the schema, or "score".
    psi: the population stability index, see `stability`. noise: what it would be by chance alone.
    missing_before, missing_now, unseen_now: shares of the rows; unseen are levels that training did
        not hold.
    bins: the shares that psi is made of, in order.
    """

    column: str
    role: str
    psi: float
    noise: float
    missing_before: float
    missing_now: float
    unseen_now: float
    bins: tuple[BinShare, ...]

    def problem(self) -> str | None:
        """Say what no drift can be, or None."""
        shares = find_outside(self, ("missing_before", "missing_now", "unseen_now"), 0, 1)
        return shares or find_outside(self, ("psi", "noise"), 0, inf)


@dataclass(frozen=True)
class Drift:
    """The score and every column, the ones that moved most first; `absent` were not there."""

    rows: int
    score: ColumnDrift
    columns: tuple[ColumnDrift, ...]
    absent: tuple[str, ...] = ()

    def problem(self) -> str | None:
        """Say what no drift can be, or None."""
        return find_outside(self, ("rows",), 1, inf)


def stability(before: ArrayLike, now: ArrayLike, rows_before: int, rows_now: int) -> float:
    """The population stability index: sum over bins of (now - before) log(now / before).

    A bin empty on one side counts there as half a row, so that the logarithm is finite; one empty
    on both is passed over.

    Args:
        before, now: Shares of each bin.
        rows_before, rows_now: How many rows they are shares of, 1 or more.

    Source: Siddiqi, "Credit risk scorecards", 2006; it is the symmetric Kullback-Leibler
    divergence (Jeffreys).

    >>> round(stability([0.5, 0.5], [0.25, 0.75], 100, 100), 4)
    0.2747
    """
    p, q = np.asarray(before, dtype=np.float64), np.asarray(now, dtype=np.float64)
    held = (p > 0) | (q > 0)
    p, q = np.maximum(p[held], 0.5 / rows_before), np.maximum(q[held], 0.5 / rows_now)
    return float(np.sum((q - p) * np.log(q / p)))


def stability_by_chance(bins: int, rows_before: int, rows_now: int) -> float:
    """What the index is in the mean if nothing has moved: (bins - 1) (1 / n + 1 / m).

    Source: Yurdakul, Naranjo, "Statistical properties of the population stability index", 2020.

    >>> round(stability_by_chance(11, 1000, 1000), 6)
    0.02
    """
    return (bins - 1) * (1 / rows_before + 1 / rows_now)
