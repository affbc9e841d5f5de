"""What a column would add to the log-odds with each value that the training rows held.

A column's terms are functions of its one value, so that all it can add lies on one curve: over the
numbers between the smallest and the largest, in steps of the table's last digit; over the levels;
over the days from the first to the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.table.effects import Effect
from onelayer.table.levels import read_flags, read_levels, written
from onelayer.table.moments import Moments, count_days, read_moments
from onelayer.table.numerals import Floats, read_numbers
from onelayer.table.rules import FALSE_WORDS, TRUE_WORDS
from onelayer.table.terms import (
    Column,
    Flag,
    Level,
    Levels,
    Moment,
    Number,
    Range,
    Words,
)
from onelayer.table.values import missing_numbers

if TYPE_CHECKING:
    from onelayer.table.reading import Table

MOST_POINTS, FEWEST_POINTS, POINTS = 1 << 16, 1 << 10, 1 << 22
"""Values of a curve, at most and in wide tables, and of all curves together; a finer column is
looked at in steps of a power of ten."""

END_DIGITS = 3
"""Further digits of the smallest and the largest value of such a column."""

Kind = Literal["number", "flag", "level", "date"]


@dataclass(frozen=True, eq=False)
class Places:
    """Where n rows stand on a curve.

    Attributes
    ----------
    values : (n,), nan where missing, or no level of the curve
    aside : (n,), what is added beside the curve: by the hour of the day, which stays what it is
        (a day that is given where there was none begins at midnight)
    missing : (n,)
    names : the values as text, null where missing
    """

    values: Floats
    aside: Floats
    missing: NDArray[np.bool_]
    names: pl.Series


@dataclass(frozen=True, eq=False)
class Curve:
    """The values that a column may take, and what it adds to the log-odds with each.

    Attributes
    ----------
    effect : the column's own
    kind : "number" and "date" (days) have an order and distances; any other level is 1 away
    values : (m,), rising: numbers, days since the origin, 0 and 1, or the places of `levels`
    adds : (m,), to the log-odds
    spread : the unit of distances
    centre : a missing value is as far from a number as the number is from here, and 1
    trend : 1 where `adds` never falls along `values`, -1 where it never rises, else 0
    digits : decimals of the numbers; negative where these are in tens, hundreds, ...
    levels : what stands in the table for each place
    """

    effect: Effect
    kind: Kind
    values: Floats
    adds: Floats
    spread: float = 1.0
    centre: float = 0.0
    trend: Literal[-1, 0, 1] = 0
    digits: int = 0
    levels: tuple[str, ...] = ()

    @property
    def column(self) -> Column:
        """The column of the table."""
        return self.effect.column

    @cached_property
    def reach(self) -> tuple[float, float]:
        """The least and the most that the column adds with any of these values."""
        return float(self.adds.min()), float(self.adds.max())

    @property
    def has_order(self) -> bool:
        """Whether there are values between two values."""
        return self.kind in ("number", "date")

    def read(self, raw: pl.Series, na: Sequence[str]) -> Places:
        """Where the n values of a column stand on the curve."""
        reading, names = self.column.reading, read_levels(raw, na)
        aside = np.zeros(len(raw))
        if isinstance(reading, Number):
            values = read_numbers(raw, reading, na)
        elif isinstance(reading, Flag):
            values = read_flags(raw, na)
            values = np.where(np.isinf(values), np.nan, values)
        elif isinstance(reading, Moment):
            moments, _ = read_moments(raw, reading, na)
            values = count_days(moments, reading.origin)
            aside = self._read_clock(moments, reading)
        else:
            known = dict(zip(self.levels, range(len(self.levels))))
            places = names.replace_strict(known, default=None, return_dtype=pl.Float64)
            values = places.to_numpy()
        missing = names.is_null().to_numpy()
        if self.kind != "level":
            missing = missing | np.isnan(values)
        return Places(values, aside, missing, names)

    def _read_clock(self, moments: Moments, reading: Moment) -> Floats:
        """What the hours of the day add."""
        midnight = np.datetime64(reading.origin, "us")
        split = self.effect.split_moments(np.where(np.isnat(moments), midnight, moments))
        adds = [adds for part, adds in split if part and _is_clock(part.term)]
        return adds[0] if adds else np.zeros(len(moments))

    def write(self, place: int, before: str | None) -> str:
        """The value at a place as text that the table could hold; `before` is what stood there."""
        value, reading = float(self.values[place]), self.column.reading
        if isinstance(reading, Flag):
            return _write_flag(value, before)
        if isinstance(reading, Moment):
            day = np.datetime64(reading.origin, "D") + np.int64(value)
            clock = "" if before is None else _find_clock(before, reading)
            return f"{day}{clock}"
        if isinstance(reading, Level):
            return self.levels[place]
        assert isinstance(reading, Number)
        return _write_number(value, self.digits, reading)


def draw_curves(effects: Sequence[Effect], na: Sequence[str]) -> tuple[Curve, ...]:
    """Return the curves of all columns that have one: free text has none.

    `na` are the words that mean missing, which no value may be.
    """
    most = min(MOST_POINTS, max(FEWEST_POINTS, POINTS // max(1, len(effects))))
    drawn = [_draw(effect, na, most) for effect in effects if effect.column.seen is not None]
    return tuple(curve for curve in drawn if curve is not None and curve.values.size)


def _draw(effect: Effect, na: Sequence[str], most: int) -> Curve | None:
    column = effect.column
    reading, seen = column.reading, column.seen
    assert seen is not None
    if isinstance(reading, Number) and seen.numbers is not None and effect.scales:
        return _draw_numbers(effect, seen.numbers, na, most)
    if isinstance(reading, Flag) and effect.scales:
        values = np.array([0.0, 1.0])
        return Curve(effect, "flag", values, effect.add_numbers(values))
    if isinstance(reading, Level):
        return _draw_levels(effect)
    if isinstance(reading, Moment) and effect.scales and seen.first and seen.last:
        return _draw_days(effect, reading, seen.first, seen.last)
    return None


def change_values(table: Table, texts: Mapping[str, Mapping[int, str]]) -> Table:
    """Return the table with other values, as text, in some rows of the columns named."""
    columns = []
    for name, changed in texts.items():
        own = table.frame.select(written(name, table.frame[name].dtype))[name]
        columns.append(own.scatter(list(changed), list(changed.values())))
    return replace(table, frame=table.frame.with_columns(columns))


# --- numbers ------------------------------------------------------------------------------------


def _draw_numbers(effect: Effect, seen: Range, na: Sequence[str], most: int) -> Curve:
    values, digits = _spread_numbers(effect, seen, most)
    values = values[~np.isin(values, missing_numbers(na))]
    spread = seen.deviation if seen.spread is None else seen.spread
    adds = effect.add_numbers(values)
    centre = float(np.clip(effect.scales[0].center, seen.minimum, seen.maximum))
    return Curve(effect, "number", values, adds, spread, centre, _find_trend(adds), digits)


def _spread_numbers(effect: Effect, seen: Range, most: int) -> tuple[Floats, int]:
    """The values themselves where they are few; else all between the smallest and the largest.

    Beyond the bounds of a clipped column nothing changes, and nothing is looked at.
    """
    if seen.values:
        return np.array(seen.values), _guess_decimals(seen)
    low, high = effect.limits
    low, high = max(low, seen.minimum), min(high, seen.maximum)
    decimals = _guess_decimals(seen)
    digits = min(decimals, _finest_digits(high - low, most))
    first, last = _count_steps(low, digits, math.floor), _count_steps(high, digits, math.ceil)
    values = _take_steps(np.arange(first, last + 1, dtype=np.float64), digits)
    inside = values[(values > seen.minimum) & (values < seen.maximum)]
    # The extremes lie between two steps: nearly as far, in a few digits more.
    finer = min(decimals, digits + END_DIGITS)
    ends = [
        _take_steps(np.array([_count_steps(end, finer, inward)], dtype=np.float64), finer)
        for end, inward in ((seen.minimum, math.ceil), (seen.maximum, math.floor))
    ]
    return np.unique(np.concatenate([ends[0], inside, ends[1]])), digits


def _count_steps(value: float, digits: int, inward: Callable[[float], int]) -> int:
    return inward(value * 10.0**digits if digits >= 0 else value / 10.0**-digits)


def _take_steps(steps: Floats, digits: int) -> Floats:
    """Steps as numbers: whole numbers by a power of ten, the nearest to their digits."""
    return steps / 10.0**digits if digits >= 0 else steps * 10.0**-digits


def _guess_decimals(seen: Range) -> int:
    """The decimals of the table; of an older model those of the extremes, if these have few."""
    if seen.decimals is not None:
        return seen.decimals
    if seen.spread is None and seen.minimum.is_integer() and seen.maximum.is_integer():
        return 0
    return 15


def _finest_digits(width: float, most: int) -> int:
    """The most decimals with which a stretch has at most so many values.

    >>> _finest_digits(60_000.0, 1 << 16), _finest_digits(0.5, 1 << 16), _finest_digits(0.5, 1_000)
    (0, 5, 3)
    """
    return math.floor(math.log10(most / width)) if width > 0 else 0


def _find_trend(adds: Floats) -> Literal[-1, 0, 1]:
    steps = np.diff(adds)
    if (steps >= 0).all():
        return 1
    return -1 if (steps <= 0).all() else 0


def _write_number(value: float, digits: int, reading: Number) -> str:
    text = f"{value:.{min(max(digits, 0), 15)}f}"
    if float(text) != value:  # an extreme between two steps
        text = repr(value).removesuffix(".0")
    if reading.decimal == ",":
        text = text.replace(".", ",")
    if reading.sign:
        return f"{text}{reading.sign}" if reading.sign == "%" else f"{reading.sign}{text}"
    return text


# --- levels, yes and no, days -------------------------------------------------------------------


def _draw_levels(effect: Effect) -> Curve:
    """The levels, and one of those that are pooled, in whose place any of them may stand."""
    part = effect.parts[0]
    assert isinstance(part.term, Levels)
    levels = (*part.term.levels, *part.term.pooled[:1])
    adds = part.weights[: len(levels)]
    return Curve(effect, "level", np.arange(float(len(levels))), adds, levels=levels)


def _write_flag(value: float, before: str | None) -> str:
    """Yes or no, in the spelling of what stood there."""
    known = (FALSE_WORDS, TRUE_WORDS)
    said = (before or "yes").strip().lower()
    for words in known:
        if said in words:
            return known[int(value)][words.index(said)]
    return ("no", "yes")[int(value)]


def _draw_days(effect: Effect, reading: Moment, first: str, last: str) -> Curve:
    """Each day from the first to the last; the time of day stays."""
    origin = np.datetime64(reading.origin, "D")
    start, end = (
        int((np.datetime64(each[:10], "D") - origin).astype(int)) for each in (first, last)
    )
    step = -(-(end - start + 1) // MOST_POINTS)
    values = np.arange(start, end + 1, step, dtype=np.float64)
    moments = (origin + values.astype(np.int64)).astype("datetime64[us]")
    split = effect.split_moments(moments)
    adds = sum(
        (adds for part, adds in split if not _is_clock(part and part.term)), np.zeros(values.size)
    )
    scale = effect.scales[0]
    return Curve(effect, "date", values, adds, scale.scale, scale.center, _find_trend(adds))


def _is_clock(term: object) -> bool:
    return isinstance(term, Levels) and term.of == "hour"


def _find_clock(before: str, reading: Moment) -> str:
    moments, _ = read_moments(pl.Series([before]), reading, ())
    if np.isnat(moments[0]) or moments[0] == moments[0].astype("datetime64[D]"):
        return ""
    return str(moments[0].astype("datetime64[s]"))[10:]


# --- what could be added at all -----------------------------------------------------------------


def find_reach(effect: Effect, curve: Curve | None) -> tuple[float, float]:
    """The least and the most that a column can add, over all that its training rows held.

    Of a text each word may be there or not, in any company. Of a date day and hour may be any two.
    """
    low, high = (0.0, 0.0) if curve is None else curve.reach
    for part in effect.parts:
        if isinstance(part.term, Words):
            low += float(np.minimum(part.weights, 0).sum())
            high += float(np.maximum(part.weights, 0).sum())
        elif isinstance(part.term, Levels) and (curve is None or _is_clock(part.term)):
            own = part.weights[: len(part.term.levels)]
            low, high = low + float(own.min()), high + float(own.max())
    return low, high
