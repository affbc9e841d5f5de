"""Columns to float64: nan where missing, infinite where the value is no finite number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.table.rules import CURRENCY_SIGNS, EXACT_INTEGERS, WORDS_DIFFERENT, WORDS_SHARE
from onelayer.table.terms import Number
from onelayer.table.values import is_text, map_texts, missing_numbers, missing_words, to_text

Floats = NDArray[np.float64]

THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?([eE][+-]?\d+)?$"
DECIMAL_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)?(,\d*)?([eE][+-]?\d+)?$"
WHOLE = r"^\s*[+-]?[\d,]+\s*$"


def quick_numbers(column: str, dtype: pl.DataType, reading: Number) -> pl.Expr:
    """Return the expression that reads plain numbers; it leaves null what `mend_numbers` must see.

    Polars parses a million plain numbers in some 40 ms; blanks, thousands and words are rare
    enough to be looked at once for each different text.
    """
    value = pl.col(column)
    if (dtype == pl.String and reading.decimal == ",") or dtype in (pl.Categorical, pl.Enum):
        return pl.repeat(None, pl.len(), dtype=pl.Float64).alias(column)
    if dtype == pl.Duration:
        return value.dt.total_microseconds().cast(pl.Float64) / 1e6
    if dtype.is_float():  # a damaged file may hold nans that NumPy warns of in every sum
        return value.cast(pl.Float64).fill_nan(None)
    return value.cast(pl.Float64, strict=False)


def mend_numbers(raw: pl.Series, quick: pl.Series, reading: Number, na: Sequence[str]) -> Floats:
    """Return the column as float64, given what `quick_numbers` could read of it.

    Returns
    -------
    (n,) array: nan for missing values, na words and the reading's own words; inf or -inf for
    every other word and for numbers that are not finite.
    """
    values: Floats = quick.to_numpy()  # null becomes nan; text "nan" is one already
    if is_text(raw.dtype) and quick.null_count() > raw.null_count():
        values = values.copy()
        rows = (quick.is_null() & raw.is_not_null()).arg_true()
        values[rows.to_numpy()] = _read_texts(to_text(raw.gather(rows)), reading, na)
    numbers = missing_numbers(na)
    return np.where(np.isin(values, numbers), np.nan, values) if numbers else values


def read_numbers(raw: pl.Series, reading: Number, na: Sequence[str]) -> Floats:
    """Return one column as float64, as `mend_numbers` does."""
    frame = raw.alias("value").to_frame()
    quick = frame.select(quick_numbers("value", raw.dtype, reading))["value"]
    return mend_numbers(raw, quick, reading, na)


def _read_texts(texts: pl.Series, reading: Number, na: Sequence[str]) -> Floats:
    function = partial(_read_different, reading=reading, na=na)
    read: Floats = map_texts(texts, function, null=np.nan)
    return read


def _read_different(different: pl.Series, reading: Number, na: Sequence[str]) -> Floats:
    texts = different.str.strip_chars()
    missing = texts.is_in([*missing_words(na), *reading.words])
    if reading.sign:
        texts = texts.str.replace(reading.sign, "", literal=True).str.strip_chars()
    texts = _write_plainly(texts, reading.decimal)
    values = texts.cast(pl.Float64, strict=False).fill_null(np.inf).to_numpy()
    return np.where(missing.to_numpy(), np.nan, values)


def _write_plainly(texts: pl.Series, decimal: str) -> pl.Series:
    """Return 1,234.5 (or, with decimal comma, 1.234,5) as 1234.5; null for what is neither."""
    frame = texts.alias("text").to_frame()
    text = pl.col("text")
    if decimal == ",":
        number = text.str.contains(DECIMAL_COMMA) & text.str.contains(r"\d")
        plain = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        return frame.select(pl.when(number).then(plain).alias("text"))["text"]
    grouped = text.str.contains(THOUSANDS)
    plain = pl.when(grouped).then(text.str.replace_all(",", "", literal=True)).otherwise(text)
    return frame.select(plain.alias("text"))["text"]


def holds_inexact_integers(raw: pl.Series, values: Floats) -> bool:
    """Return whether whole numbers stand here that float64 would round (above 2^53)."""
    large = np.abs(values) > EXACT_INTEGERS
    large &= np.isfinite(values)
    if not large.any() or raw.dtype.is_float():
        return False
    if not is_text(raw.dtype):
        return True
    written = to_text(raw.filter(pl.Series(large)))
    return bool(written.str.contains(WHOLE).any())


def is_whole(values: Floats) -> bool:
    """Return whether all values that are there are whole numbers."""
    present = values[~np.isnan(values)]
    return bool(present.size) and bool(np.all(present == np.floor(present)))


def few_words(words: int, present: int, different: int) -> bool:
    """Return whether so few of the values are words that the others decide what the column is."""
    return words <= WORDS_SHARE * present and different <= WORDS_DIFFERENT


def find_number(
    different: pl.Series, rows: NDArray[np.int64], na: Sequence[str], any_share: bool = False
) -> Number | None:
    """Return the way of reading texts as numbers that leaves the fewest words; None if too many.

    `different` are the texts of a column and `rows` how many rows hold each. A decimal point is
    tried first and wins a draw: `1,234` alone is a thousand and more. The words left are written
    into the reading; numbers that are merely not finite are none of them.
    """
    plain = read_numbers(different, Number(), na)
    tried = [(Number(), plain)]
    if np.isinf(plain).any():
        ways = _other_ways(different, rows, plain)
        tried += [(way, read_numbers(different, way, na)) for way in ways]
    reading, values = min(tried, key=lambda way: int(rows[np.isinf(way[1])].sum()))
    stripped = different.str.strip_chars()
    words = np.isinf(values) & stripped.cast(pl.Float64, strict=False).is_null().to_numpy()
    present, unread = int(rows[~np.isnan(values)].sum()), int(rows[words].sum())
    if unread and unread == present:
        return None
    named = stripped.filter(pl.Series(words)).unique().sort()
    if not few_words(0 if any_share else unread, present, len(named)):
        return None
    return replace(reading, words=tuple(named))


def _other_ways(different: pl.Series, rows: NDArray[np.int64], plain: Floats) -> list[Number]:
    bad = np.isinf(plain)
    rest = different.filter(pl.Series(bad))

    def held_by(sign: str) -> int:
        return int(rows[bad][rest.str.contains(sign, literal=True).to_numpy()].sum())

    numbers = (1 - WORDS_SHARE) * rows[~np.isnan(plain)].sum()
    signs = [sign for sign in CURRENCY_SIGNS if held_by(sign) >= numbers]
    decimals: list[Literal[".", ","]] = [".", ","] if held_by(",") else ["."]
    return [Number(decimal, sign) for sign in ["", *signs] for decimal in decimals][1:]
