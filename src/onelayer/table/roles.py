"""Columns that are not learnt from: constants, identifiers, and leaks of the target."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.table import rules
from onelayer.table.numerals import is_whole
from onelayer.table.settle import Settled
from onelayer.table.terms import Level, Number
from onelayer.table.values import show


def tally(values: pl.Series, labels: NDArray[np.float64]) -> pl.DataFrame:
    """Return the different values in order, their rows and their positives; null comes first.

    Leaks, levels, quantiles and constants are all read from this one table.
    """
    frame = pl.DataFrame({"value": values, "label": labels})
    counts = frame.group_by("value").agg(
        pl.len().cast(pl.Int64).alias("rows"), pl.col("label").sum().alias("positives")
    )
    return counts.sort("value", nulls_last=False)


# --- constants ----------------------------------------------------------------------------------


def find_constant(counts: pl.DataFrame) -> str | None:
    """Return why a column is constant over the training rows, or None; missing is a value too."""
    if counts.height > 1:
        return None
    value = counts["value"][0]
    return "always missing" if value is None else f"always {show(_plain(value))}"


def _plain(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


# --- identifiers --------------------------------------------------------------------------------


def find_identifier(settled: Settled) -> str | None:
    """Return why a column only names its rows, or None; judged over all rows."""
    values = settled.values.drop_nulls()
    if len(values) < rules.IDENTIFIER_ROWS:
        return None
    if isinstance(settled.reading, Level):
        return _find_text_identifier(values)
    if isinstance(settled.reading, Number):
        return _find_number_identifier(values, settled.values.name)
    return None


def _find_text_identifier(names: pl.Series) -> str | None:
    different = names.n_unique()
    if different < rules.IDENTIFIER_SHARE * len(names):
        return None
    return f"{different:,} different values in {len(names):,} rows"


def _find_number_identifier(numbers: pl.Series, name: str) -> str | None:
    """Whole numbers that repeat too seldom for chance, or never and are called an id.

    n numbers drawn from R possible ones repeat n - R (1 - exp(-n / R)) times if all are equally
    likely, and more often if they are not; so numbers that ought to repeat and do not were dealt
    out one by one.
    """
    values = numbers.to_numpy()
    if not is_whole(values):
        return None
    rows, different = len(values), int(numbers.n_unique())
    lowest, highest = float(values.min()), float(values.max())
    possible = highest - lowest + 1
    by_chance = rows + possible * np.expm1(-rows / possible)
    said = f"{different:,} different whole numbers, {lowest:.0f} to {highest:.0f}"
    if (
        by_chance >= rules.IDENTIFIER_COINCIDENCES
        and rows - different <= rules.IDENTIFIER_REPEATS * by_chance
    ):
        return f"{said}, in {rows:,} rows"
    if rows == different and split_name(name) & set(rules.IDENTIFIER_NAMES):
        return f"{said}, and the name says so"
    return None


def split_name(name: str) -> set[str]:
    """Return the words of a column's name.

    >>> sorted(split_name("customerID_2"))
    ['2', 'customer', 'id']
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return set(re.findall(r"[a-z]+|\d+", spaced.lower()))


# --- leaks --------------------------------------------------------------------------------------


def find_leak(counts: pl.DataFrame) -> str | None:
    """Return why a column alone settles the target, or None; `counts` is its tally.

    Either its values do, each one that at least LEAK_GROUP rows share by itself and all other
    rows together as one; or, for numbers and dates, lying above or below one threshold does.
    """
    rows, positives = int(counts["rows"].sum()), int(counts["positives"].sum())
    rarer = min(positives, rows - positives)
    if rarer < rules.LEAK_CLASS_ROWS:
        return None
    most = min((1 - rules.LEAK_ROWS_SETTLED) * rows, (1 - rules.LEAK_CLASS_SETTLED) * rarer)
    ways: list[Callable[[pl.DataFrame], tuple[int, str]]] = [_settle_by_value]
    if not isinstance(counts["value"].dtype, pl.String):
        ways.append(_settle_by_threshold)
    for settle in ways:
        wrong, how = settle(counts)
        if wrong <= most:
            return f"alone settles the target in {rows - wrong:,} of {rows:,} rows, {how}"
    return None


def _settle_by_value(counts: pl.DataFrame) -> tuple[int, str]:
    rows, positives = counts["rows"].to_numpy(), counts["positives"].to_numpy()
    missing = counts["value"].is_null().to_numpy()
    shared = (rows >= rules.LEAK_GROUP) & ~missing
    rest = ~shared & ~missing
    wrong = np.minimum(positives, rows - positives)[~rest].sum()
    wrong += min(positives[rest].sum(), rows[rest].sum() - positives[rest].sum())
    return int(wrong), "by its value" if shared.any() else "by being missing or not"


def _settle_by_threshold(counts: pl.DataFrame) -> tuple[int, str]:
    absent = counts.filter(pl.col("value").is_null())
    there = counts.filter(pl.col("value").is_not_null())
    below = np.cumsum(there["rows"].to_numpy())
    ones_below = np.cumsum(there["positives"].to_numpy())
    if below.size < 2:
        return int(counts["rows"].sum()), ""
    ones_above = ones_below[-1] - ones_below
    zeros_above = below[-1] - below - ones_above
    wrong_rising = ones_below + zeros_above
    wrong = np.minimum(wrong_rising, below[-1] - wrong_rising)[:-1]
    best = int(np.argmin(wrong))
    extra = sum(min(p, r - p) for r, p in zip(absent["rows"], absent["positives"]))
    return int(wrong[best] + extra), f"by lying above {_plain(there['value'][best])} or not"
