"""Terms of a column from its training rows: scales, levels, words; and what was seen there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from onelayer.table import rules
from onelayer.table.moments import Moments, count_days, take_part
from onelayer.table.numerals import Floats
from onelayer.table.terms import (
    CALENDAR,
    LevelCount,
    Levels,
    Missing,
    Range,
    Raw,
    Scale,
    Seen,
    Term,
    Transform,
    Words,
)
from onelayer.table.transform import (
    apply_transform,
    choose_transforms,
    clip_bounds,
    measure,
)
from onelayer.table.words import split_words


@dataclass(frozen=True)
class Fitted:
    """The terms of one column, what its training rows held, and what is to be said of it."""

    terms: tuple[Term, ...]
    seen: Seen
    said: str = ""


# --- numbers ------------------------------------------------------------------------------------


def fit_numbers(values: Floats, labels: Floats, weights: Floats) -> Fitted:
    """Choose a transform, then scale to mean 0 and deviation 1; flag missing values."""
    there = ~np.isnan(values)
    x, w = values[there], weights[there]
    seen = see_numbers(values, weights)
    terms: list[Term] = []
    said = ""
    if seen.distinct > 1:
        assert seen.numbers is not None
        transforms: tuple[Transform, ...] = (Raw(),)
        if seen.distinct > 2:
            transforms, said = choose_transforms(x, labels[there], w, seen.numbers)
        for transform in transforms:
            center, scale = measure(apply_transform(transform, x), w)
            terms.append(Scale(transform, center, scale))
    if seen.missing:
        terms.append(Missing())
    return Fitted(tuple(terms), seen, said)


def fit_flags(values: Floats, weights: Floats) -> Fitted:
    """Keep 0 and 1 as they are; the mean stands in for a missing value, which is flagged."""
    there = ~np.isnan(values)
    seen = see_numbers(values, weights)
    terms: list[Term] = []
    if seen.distinct > 1:
        mean = float(np.average(values[there], weights=weights[there]))
        terms.append(Scale(Raw(), 0.0, 1.0, fill=mean))
    if seen.missing:
        terms.append(Missing())
    return Fitted(tuple(terms), seen)


def see_numbers(values: Floats, weights: Floats) -> Seen:
    """Return the range, mean and quantiles of the values that are there."""
    there = ~np.isnan(values)
    x = np.sort(values[there])
    missing = values.size - x.size
    if not x.size:
        return Seen(values.size, missing, 0)
    mean, deviation = measure(values[there], weights[there])
    places = np.array(rules.SEEN_QUANTILES) * (x.size - 1)
    quantiles = tuple(np.interp(places, np.arange(x.size), x).tolist())
    first = np.append(True, np.diff(x) > 0)
    distinct = int(np.count_nonzero(first))
    numbers = Range(float(x[0]), float(x[-1]), mean, deviation, quantiles)
    held = np.clip(values[there], *clip_bounds(numbers))
    numbers = replace(
        numbers,
        spread=measure(held, weights[there])[1] if np.ptp(held) else deviation,
        decimals=count_decimals(x[first]),
        values=tuple(x[first].tolist()) if distinct <= rules.SEEN_VALUES else (),
    )
    return Seen(values.size, missing, distinct, numbers)


def count_decimals(values: Floats) -> int | None:
    """Return the decimals with which all numbers are written; None for too many.

    >>> count_decimals(np.array([3.0, 0.25])), count_decimals(np.array([7.0])), count_decimals(
    ...     np.array([1 / 3])
    ... )
    (2, 0, None)
    """
    with np.errstate(over="ignore"):  # of the largest float64s: inf is not equal to them
        for decimals in range(rules.SEEN_DECIMALS + 1):
            # A number of a text is the nearest to its digits, and so is one rounded to them.
            if np.array_equal(np.round(values, decimals), values):
                return decimals
    return None


# --- levels -------------------------------------------------------------------------------------


def fit_levels(counts: pl.DataFrame) -> Fitted:
    """Keep the levels that are not rare, the commonest first; pool the others.

    `counts` is the tally of the training rows: columns `value` and `rows`.
    """
    rows = int(counts["rows"].sum())
    missing = int(counts.filter(pl.col("value").is_null())["rows"].sum())
    there = counts.filter(pl.col("value").is_not_null())
    there = there.sort(["rows", "value"], descending=[True, False])
    rare = rules.rare_below(rows)
    kept = there.filter(pl.col("rows") >= rare).head(rules.LEVELS_KEPT)
    pooled = there.slice(kept.height)
    counted = tuple(LevelCount(v, int(n)) for v, n in zip(kept["value"], kept["rows"]))
    seen = Seen(rows, missing, there.height, levels=counted)
    term = Levels(
        levels=tuple(kept["value"]),
        missing=missing > 0,
        pooled=tuple(pooled["value"].head(rules.POOLED_NAMED)),
        pooled_in_all=pooled.height,
    )
    said = f"{pooled.height:,} pooled ({int(pooled['rows'].sum()):,} rows)" if pooled.height else ""
    terms = (term,) if kept.height or missing else ()
    return Fitted(terms, seen, said)


# --- dates --------------------------------------------------------------------------------------


def fit_moments(moments: Moments, origin: str) -> Fitted:
    """Take the trend in days, and month, weekday and hour where they vary."""
    days = count_days(moments, origin)
    there = ~np.isnan(days)
    missing = int(np.sum(~there))
    terms: list[Term] = []
    if np.ptp(days[there]) > 0:
        center, scale = measure(days[there], np.ones(int(there.sum())))
        terms.append(Scale(Raw(), center, scale, of="days"))
    if missing:
        terms.append(Missing())
    for part, values in CALENDAR.items():
        held = set(np.unique(take_part(moments[there], part)).tolist())
        if len(held) > 1:
            names = tuple(str(value) for value in values if value in held)
            terms.append(Levels(names, missing=False, of=part))
    first, last = str(np.nanmin(moments))[:19], str(np.nanmax(moments))[:19]
    distinct = int(np.unique(moments[there]).size)
    return Fitted(tuple(terms), Seen(moments.size, missing, distinct, first=first, last=last))


# --- words --------------------------------------------------------------------------------------


def fit_words(texts: pl.Series, labels: Floats) -> Fitted:
    """Keep the words that are neither rare nor in nearly every row: those that tell most.

    What a word tells is n r^2, r the correlation of its presence with the target.
    """
    rows, missing = len(texts), texts.null_count()
    least = max(rules.rare_below(rows), int(np.ceil(rules.WORD_SHARE * rows)))
    held = split_words(texts)
    held = held.with_columns(pl.Series("label", labels).gather(held["row"]))
    counts = held.group_by("word").agg(pl.len().alias("rows"), pl.col("label").sum())
    counts = counts.filter(pl.col("rows").is_between(least, rows - least))
    share, told = pl.col("rows") / rows, pl.col("label") / rows
    surprise = (told - share * labels.mean()) ** 2 / (share * (1 - share))
    best = counts.sort([surprise, pl.col("word")], descending=[True, False])
    words = tuple(best["word"].head(rules.WORDS_KEPT).sort())
    terms: list[Term] = [Words(words)] if words else []
    if words and missing:
        terms.append(Missing())
    said = f"{len(words):,} words, each in {least:,} rows or more"
    return Fitted(tuple(terms), Seen(rows, missing, texts.drop_nulls().n_unique()), said)
