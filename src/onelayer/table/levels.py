"""Columns to names, and names to codes; flags to 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.table.rules import EXACT_INTEGERS, FALSE_WORDS, TRUE_WORDS
from onelayer.table.terms import Levels
from onelayer.table.values import is_text, map_texts, missing_numbers, missing_words, to_text

MISSING = -1
UNSEEN = -2
FEW = 16


def written(column: str, dtype: pl.DataType) -> pl.Expr:
    """Return the expression that writes a value as text; typed numbers as `name_levels` would."""
    value = pl.col(column)
    if dtype.is_float():
        value = value.fill_nan(None)
        whole = (value == value.floor()) & (value.abs() <= EXACT_INTEGERS)
        as_whole = pl.when(whole).then(value).cast(pl.Int64).cast(pl.String)
        return pl.coalesce(as_whole, value.cast(pl.String))
    if dtype == pl.Datetime:
        return value.dt.strftime("%Y-%m-%dT%H:%M:%S")
    return value.cast(pl.String)


def name_levels(texts: pl.Series, na: Sequence[str]) -> pl.Series:
    """Return the name that stands for each text; null for missing words.

    Blanks around are stripped; whole numbers and decimals lose signs and zeros that mean nothing,
    digit by digit, so that numbers above 2^53 stay what they are; true and false are lower case.

    >>> name_levels(pl.Series([" a ", "01", "1.0", "-2.50", "TRUE", "?"]), []).to_list()
    ['a', '1', '1', '-2.5', 'true', None]
    """
    texts = texts.cast(pl.String).str.strip_chars()
    names = _write_alike(texts)
    missing = texts.is_in(missing_words(na)).fill_null(True)
    if na:  # so that -999 also means -999.0
        missing |= names.is_in(write_alike(missing_words(na)))
    return names.set(missing, None)


def write_alike(words: Sequence[str]) -> list[str]:
    """Return the words as names, whether or not they mean missing.

    >>> write_alike(["-999.0", "None"])
    ['-999', 'None']
    """
    return _write_alike(pl.Series(list(words), dtype=pl.String)).to_list()


def _write_alike(texts: pl.Series) -> pl.Series:
    text = pl.col("text")
    number = (
        text.str.replace(r"^\+", "")
        .str.replace(r"^(-?)\.", "${1}0.")
        .str.replace(r"\.0*$", "")
        .str.replace(r"^(-?\d+\.\d*?)0+$", "${1}")
        .str.replace(r"^(-?)0+(\d)", "${1}${2}")
        .str.replace(r"^-0$", "0")
    )
    lower = text.str.to_lowercase()
    alike = (
        pl.when(text.str.contains(r"^[+-]?(\d+(\.\d*)?|\.\d+)$"))
        .then(number)
        .when(lower.is_in(["true", "false"]))
        .then(lower)
        .otherwise(text)
    )
    return texts.alias("text").to_frame().select(alike.alias("text"))["text"]


def read_levels(raw: pl.Series, na: Sequence[str]) -> pl.Series:
    """Return a column's values as names; null where missing."""
    texts = raw.alias("value").to_frame().select(written("value", raw.dtype))["value"]
    different = texts.drop_nulls().unique()
    names = name_few(different, na)
    if (changed := (names != different).fill_null(True)).any():
        old, new = different.filter(changed), names.filter(changed)
        texts = texts.replace(old, new)
    return texts


def name_few(different: pl.Series, na: Sequence[str]) -> pl.Series:
    """`name_levels`, which is remembered of few texts: a target's are asked for once a batch."""
    if len(different) > FEW:
        return name_levels(different, na)
    return pl.Series(_name_few(tuple(different), tuple(na)), dtype=pl.String)


@lru_cache(maxsize=64)
def _name_few(texts: tuple[str, ...], na: tuple[str, ...]) -> tuple[str | None, ...]:
    return tuple(name_levels(pl.Series(texts, dtype=pl.String), na))


def quick_codes(column: str, dtype: pl.DataType, levels: Sequence[str]) -> pl.Expr:
    """Return the expression that gives a value written just like a level that level's place."""
    codes = written(column, dtype).cast(pl.Enum(list(levels)), strict=False)
    return codes.to_physical().cast(pl.Int32)


def mend_codes(
    raw: pl.Series, quick: pl.Series, term: Levels, na: Sequence[str]
) -> NDArray[np.int32]:
    """Return each row's code, MISSING or UNSEEN, given the places that `quick_codes` found."""
    codes: NDArray[np.int32] = quick.fill_null(MISSING).to_numpy().copy()
    if quick.null_count() == raw.null_count() and not raw.dtype.is_float():
        return codes
    rows = (quick.is_null() & raw.is_not_null()).arg_true()
    rest = raw.gather(rows).alias("value").to_frame()
    texts = rest.select(written("value", raw.dtype))["value"]
    places = {level: place for place, level in enumerate(term.levels)}
    # Where too many levels were pooled to name them all, no level can be called new.
    unknown = UNSEEN if len(term.pooled) == term.pooled_in_all else len(term.levels)
    places.update(dict.fromkeys(term.pooled, len(term.levels)))

    def find(different: pl.Series) -> NDArray[np.int32]:
        names = name_levels(different, na).to_list()
        found = [MISSING if name is None else places.get(name, unknown) for name in names]
        return np.array(found, dtype=np.int32)

    codes[rows.to_numpy()] = map_texts(texts, find, null=MISSING)
    return codes


def read_flags(raw: pl.Series, na: Sequence[str]) -> NDArray[np.float64]:
    """Return 1 and 0 for the usual spellings, nan where missing, inf for any other value."""
    if not is_text(raw.dtype):
        values = raw.cast(pl.Float64).to_numpy()
        values = np.where((values == 0) | (values == 1) | np.isnan(values), values, np.inf)
        return np.where(np.isin(values, missing_numbers(na)), np.nan, values) if na else values
    meanings = {**dict.fromkeys(TRUE_WORDS, 1.0), **dict.fromkeys(FALSE_WORDS, 0.0)}

    def find(different: pl.Series) -> NDArray[np.float64]:
        names = name_levels(different, na).str.to_lowercase().to_list()
        return np.array([np.nan if n is None else meanings.get(n, np.inf) for n in names])

    found: NDArray[np.float64] = map_texts(to_text(raw), find, null=np.nan)
    return found
