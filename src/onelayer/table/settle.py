"""What kind of values a column holds, settled over every row of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.table import rules
from onelayer.table.levels import name_levels, read_flags, read_levels
from onelayer.table.moments import find_moment, read_moments
from onelayer.table.numerals import Floats, find_number, holds_inexact_integers, read_numbers
from onelayer.table.terms import Flag, Level, Moment, Number, Reading, Role, Text
from onelayer.table.values import is_text, list_some, refuse_value, show, to_text
from onelayer.table.words import read_texts

if TYPE_CHECKING:
    from onelayer.table.reading import Table

SAID = "as you said"


@dataclass(frozen=True)
class Settled:
    """How a column is read, its values so read (null where missing), and why so."""

    role: Role
    reading: Reading
    values: pl.Series
    reason: str


def settle(table: Table, column: str, na: Sequence[str]) -> Settled:
    """Decide from all values of a column what it holds.

    Raises
    ------
    InputError
        For a number that is not finite.
    """
    raw = table.frame[column]
    if is_text(raw.dtype):
        return _settle_text(table, raw, na)
    if raw.dtype == pl.Boolean:
        return _as_flags(raw, na, "true or false")
    if raw.dtype.is_numeric() or raw.dtype == pl.Duration:
        return _settle_numbers(table, raw, Number(), na)
    if raw.dtype.is_temporal():
        return _as_moments(raw, Moment(), na, "dates or times")
    return _as_levels(raw, na, "no value anywhere")


def settle_as(table: Table, column: str, na: Sequence[str], role: str) -> Settled:
    """Read a column as the user says: numeric, categorical, date or text.

    Raises
    ------
    InputError
        Naming the first value that cannot be read so.
    """
    raw = table.frame[column]
    ways: dict[str, Callable[[], Settled]] = {
        "categorical": lambda: _as_levels(raw, na, SAID),
        "text": lambda: Settled("text", Text(), read_texts(raw, na), SAID),
        "date": lambda: _force_dates(table, raw, na),
        "numeric": lambda: _force_numbers(table, raw, na),
    }
    return ways[role]()


def _force_numbers(table: Table, raw: pl.Series, na: Sequence[str]) -> Settled:
    if raw.dtype.is_temporal() and raw.dtype != pl.Duration:
        raise InputError(f"{table.name}, column {raw.name!r}: dates cannot be read as numbers")
    if raw.dtype == pl.Boolean:
        return _as_flags(raw, na, SAID)
    reading: Number | None = Number()
    if is_text(raw.dtype):
        reading = find_number(*_count(raw), na, any_share=True)
    if reading is None:
        bad = int(np.flatnonzero(np.isinf(read_numbers(raw, Number(), na)))[0])
        raise refuse_value(table, bad, raw.name, "is not a number, and the column is to be numeric")
    values = read_numbers(raw, reading, na)
    return _as_numbers(table, raw, reading, values, SAID + _say_words(reading.words))


def _force_dates(table: Table, raw: pl.Series, na: Sequence[str]) -> Settled:
    if raw.dtype.is_temporal():
        return settle(table, raw.name, na)
    found = find_moment(*_count(raw.cast(pl.String)), na, any_share=True)
    if found is None:
        _, rejected = read_moments(raw, Moment(), na)
        bad = int(np.flatnonzero(rejected)[0])
        raise refuse_value(table, bad, raw.name, "is not a date, and the column is to hold dates")
    return _as_moments(raw, found[0], na, f"{SAID}: {found[1]}")


def _count(raw: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """Return the different texts of a column, and how many rows hold each."""
    counts = to_text(raw).drop_nulls().alias("text").value_counts(name="rows")
    return counts["text"], counts["rows"].cast(pl.Int64).to_numpy()


def _settle_text(table: Table, raw: pl.Series, na: Sequence[str]) -> Settled:
    texts = to_text(raw)
    plain = texts.cast(pl.Float64, strict=False)
    if plain.null_count() == texts.null_count() and plain.is_finite().all():
        return _settle_numbers(table, raw, Number(), na)  # most columns, and the quickest look
    different, rows = _count(texts)
    if reading := find_number(different, rows, na):
        return _settle_numbers(table, raw, reading, na)
    names = name_levels(different, na)
    if _are_flags(names.drop_nulls().unique()):
        return _as_flags(raw, na, f"only {list_some(sorted(different), 4)}")
    if found := find_moment(different, rows, na):
        return _as_moments(raw, found[0], na, found[1] + _say_words(found[0].words))
    there = names.is_not_null()
    if reason := _find_free_text(different.filter(there), rows[there.to_numpy()]):
        return Settled("text", Text(), read_texts(raw, na), reason)
    reason = f"{names.drop_nulls().n_unique():,} different texts"
    return _as_levels(raw, na, reason + _hint_at_numbers(different, rows, na))


def _are_flags(names: pl.Series) -> bool:
    if len(names) > 3 * len(rules.TRUE_WORDS + rules.FALSE_WORDS):
        return False
    found = set(names.str.to_lowercase())
    true, false = set(rules.TRUE_WORDS), set(rules.FALSE_WORDS)
    return bool(found & true) and bool(found & false) and found <= true | false


def _find_free_text(different: pl.Series, rows: NDArray[np.int64]) -> str | None:
    """Return why a column is free text, or None."""
    if len(different) < rules.IDENTIFIER_ROWS:
        return None
    blanks = different.str.strip_chars().str.count_matches(r"\s+").to_numpy()
    words = 1.0 + float(blanks.mean())
    many = len(different) > min(rules.TEXT_SHARE * rows.sum(), rules.LEVELS_KEPT)
    if words < rules.TEXT_WORDS or not many:
        return None
    return f"{len(different):,} different texts of {words:.0f} words on average"


def _hint_at_numbers(different: pl.Series, rows: NDArray[np.int64], na: Sequence[str]) -> str:
    values = read_numbers(different, Number(), na)
    bad = np.isinf(values)
    words, present = int(rows[bad].sum()), int(rows[~np.isnan(values)].sum())
    if not words or words > present / 2:
        return ""
    commonest = different[int(np.argmax(np.where(bad, rows, 0)))]
    return f"; {words / present:.1%} are words such as {show(commonest)}, the rest numbers"


def _settle_numbers(table: Table, raw: pl.Series, reading: Number, na: Sequence[str]) -> Settled:
    values = read_numbers(raw, reading, na)
    if holds_inexact_integers(raw, values):
        return _as_levels(raw, na, "whole numbers above 2^53, compared as text")
    if reading == Number() and _are_zero_and_one(values):
        return _as_flags(raw, na, "only 0 and 1")
    return _as_numbers(table, raw, reading, values, _say_how_written(reading))


def _are_zero_and_one(values: Floats) -> bool:
    zeros, ones = values == 0, values == 1
    return bool(zeros.any() and ones.any() and np.all(zeros | ones | np.isnan(values)))


def _as_numbers(
    table: Table, raw: pl.Series, reading: Number, values: Floats, reason: str
) -> Settled:
    if (bad := np.flatnonzero(np.isinf(values))).size:
        expected = "is not a finite number: mend it, or call it missing (na, --na)"
        raise refuse_value(table, int(bad[0]), raw.name, expected)
    return Settled("numeric", reading, pl.Series(raw.name, values, nan_to_null=True), reason)


def _as_moments(raw: pl.Series, reading: Moment, na: Sequence[str], reason: str) -> Settled:
    moments, _ = read_moments(raw, reading, na)
    return Settled("date", reading, pl.Series(raw.name, moments), reason)


def _say_how_written(reading: Number) -> str:
    said = "numbers"
    if reading.decimal == ",":
        said += " with decimal comma"
    if reading.sign:
        said += f", {reading.sign} taken off"
    return said + _say_words(reading.words)


def _say_words(words: tuple[str, ...]) -> str:
    return f"; {list_some(words, 3)} count as missing" if words else ""


def _as_flags(raw: pl.Series, na: Sequence[str], reason: str) -> Settled:
    values = pl.Series(raw.name, read_flags(raw, na), nan_to_null=True)
    return Settled("boolean", Flag(), values, reason)


def _as_levels(raw: pl.Series, na: Sequence[str], reason: str) -> Settled:
    return Settled("categorical", Level(), read_levels(raw, na), reason)
