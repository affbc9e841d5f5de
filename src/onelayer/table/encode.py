"""A table to what the learning core takes: numbers, codes and words, column by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.table.levels import MISSING, UNSEEN, mend_codes, quick_codes, read_flags
from onelayer.table.moments import Moments, count_days, read_moments, take_part
from onelayer.table.numerals import Floats, mend_numbers, quick_numbers
from onelayer.table.terms import (
    Column,
    Flag,
    Level,
    Levels,
    Missing,
    Moment,
    Number,
    Reading,
    Scale,
    Words,
)
from onelayer.table.transform import apply_transform
from onelayer.table.values import is_nested, is_text, map_in_threads, refuse_value, require_columns
from onelayer.table.words import find_words, read_texts

if TYPE_CHECKING:
    from onelayer.table.reading import Table

CHUNK = 1 << 13
"""Rows written at a time: a chunk of a few dozen columns stays in the cache of one core."""


@dataclass(frozen=True)
class Encoded:
    """Rows as the learning core takes them.

    Attributes
    ----------
    numeric : (n, n_numeric) float64 array in C order, without nan
    codes : (n, n_categorical) int32 array; column j lies in 0 .. level_counts[j] - 1
    level_counts : the number of codes of each categorical column
    words : (n, n_words) CSR array of 0 and 1, or None without text columns
    unseen : column -> rows whose value no training row held, now read as "other" or as missing
    newly_missing : column -> rows where it is missing though it never was in training
    """

    numeric: NDArray[np.float64]
    codes: NDArray[np.int32]
    level_counts: tuple[int, ...]
    words: sp.csr_array | None
    unseen: dict[str, int]
    newly_missing: dict[str, int]

    def __len__(self) -> int:
        return int(self.numeric.shape[0])


@dataclass
class _Parts:
    """Columns as they come, before they are laid side by side."""

    numeric: list[tuple[Floats, Scale | Missing]] = field(default_factory=list)
    codes: list[NDArray[np.int32]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    words: list[sp.csr_array] = field(default_factory=list)
    unseen: dict[str, int] = field(default_factory=dict)
    newly_missing: dict[str, int] = field(default_factory=dict)


def encode(columns: Sequence[Column], table: Table, na: Sequence[str]) -> Encoded:
    """Read the columns that have terms, by name and in any order, and compute their terms.

    Raises
    ------
    InputError
        For a column that is not there, and for a value that cannot be read.
    """
    used = [column for column in columns if column.terms]
    require_columns(table, [column.name for column in used])
    types = table.frame.schema  # made anew at each call, from all columns
    for column in used:
        _check_type(table, column, types[column.name])
    quick = table.frame.select(_quick(types, used))
    encoded = map_in_threads(lambda column: _encode_column(column, table, quick, na), used)
    parts = _join(encoded)
    rows = table.frame.height
    return Encoded(
        numeric=_lay_numbers(parts.numeric, rows),
        codes=_lay_codes(parts.codes, rows),
        level_counts=tuple(parts.counts),
        words=sp.csr_array(sp.hstack(parts.words, format="csr")) if parts.words else None,
        unseen=parts.unseen,
        newly_missing=parts.newly_missing,
    )


_READABLE = {
    "number": "numbers",
    "flag": "true or false",
    "moment": "dates or times",
    "level": "text or numbers",
    "text": "text",
}


def _check_type(table: Table, column: Column, dtype: pl.DataType) -> None:
    reading = column.reading
    assert reading is not None
    plain = is_text(dtype) or dtype == pl.Null
    counted = dtype.is_numeric() or dtype == pl.Boolean
    fits = {
        "number": plain or counted or dtype == pl.Duration,
        "flag": plain or counted,
        "moment": plain or dtype.is_integer() or (dtype.is_temporal() and dtype != pl.Duration),
        "level": not is_nested(dtype),
        "text": not is_nested(dtype),
    }
    if not fits[reading.kind]:
        raise InputError(
            f"{table.name}, column {column.name!r}: holds {dtype}, but "
            f"{_READABLE[reading.kind]} were expected, as in training"
        )


def _quick(types: Mapping[str, pl.DataType], used: Sequence[Column]) -> list[pl.Expr]:
    """Return what polars reads of all columns at once, on all its threads."""
    found = []
    for column in used:
        dtype, reading = types[column.name], column.reading
        if isinstance(reading, Number):
            found.append(quick_numbers(column.name, dtype, reading))
        elif isinstance(reading, Level):
            found.append(quick_codes(column.name, dtype, _levels_of(column).levels))
    return found


def _levels_of(column: Column) -> Levels:
    return next(term for term in column.terms if isinstance(term, Levels))


def _join(encoded: Sequence[_Parts]) -> _Parts:
    parts = _Parts()
    for one in encoded:
        parts.numeric += one.numeric
        parts.codes += one.codes
        parts.counts += one.counts
        parts.words += one.words
        parts.unseen |= one.unseen
        parts.newly_missing |= one.newly_missing
    return parts


def _encode_column(column: Column, table: Table, quick: pl.DataFrame, na: Sequence[str]) -> _Parts:
    parts = _Parts()
    raw, reading = table.frame[column.name], column.reading
    if isinstance(reading, Number):
        values = mend_numbers(raw, quick[column.name], reading, na)
        if not np.isfinite(values).all() and (bad := np.flatnonzero(np.isinf(values))).size:
            raise refuse_value(table, int(bad[0]), column.name, _expect(reading, raw, int(bad[0])))
        _add_numbers(parts, column, values)
    elif isinstance(reading, Flag):
        values = read_flags(raw, na)
        _count(parts.unseen, column, np.isinf(values))
        _add_numbers(parts, column, np.where(np.isinf(values), np.nan, values))
    elif isinstance(reading, Level):
        term = _levels_of(column)
        _add_levels(parts, column, term, mend_codes(raw, quick[column.name], term, na))
    elif isinstance(reading, Moment):
        moments, rejected = read_moments(raw, reading, na)
        if rejected.any():
            row = int(np.flatnonzero(rejected)[0])
            raise refuse_value(table, row, column.name, _expect(reading, raw, row))
        _add_moments(parts, column, reading, moments)
    else:
        _add_words(parts, column, read_texts(raw, na))
    return parts


def _expect(reading: Reading, raw: pl.Series, row: int) -> str:
    if isinstance(reading, Moment):
        return "is not a date, and the column held dates in training: mend it or leave it empty"
    number = pl.Series([raw[row]]).cast(pl.Float64, strict=False)[0]
    what = "is not a number" if number is None else "is not a finite number"
    return f"{what}, and the column held numbers in training: mend it or leave it empty"


def _count(counts: dict[str, int], column: Column, rows: NDArray[np.bool_]) -> None:
    if found := int(np.count_nonzero(rows)):
        counts[column.name] = found


def _add_numbers(parts: _Parts, column: Column, values: Floats) -> None:
    for term in column.terms:
        assert isinstance(term, Scale | Missing)
        parts.numeric.append((values, term))
    if not any(isinstance(term, Missing) for term in column.terms):
        _count(parts.newly_missing, column, np.isnan(values))


def _add_levels(parts: _Parts, column: Column, term: Levels, codes: NDArray[np.int32]) -> None:
    other = len(term.levels)
    if codes.size and codes.min() < 0:
        unseen, missing = codes == UNSEEN, codes == MISSING
        _count(parts.unseen, column, unseen)
        if not term.missing:
            _count(parts.newly_missing, column, missing)
        codes[unseen] = other
        codes[missing] = other + term.missing
    parts.codes.append(codes)
    parts.counts.append(term.count)


def _add_moments(parts: _Parts, column: Column, reading: Moment, moments: Moments) -> None:
    days = count_days(moments, reading.origin)
    for term in column.terms:
        if isinstance(term, Levels):
            places = np.full(25, len(term.levels), dtype=np.int32)  # -1, missing, is the last
            places[[int(level) for level in term.levels]] = np.arange(len(term.levels))
            parts.codes.append(places[take_part(moments, term.of)])
            parts.counts.append(term.count)
        elif isinstance(term, Scale | Missing):
            parts.numeric.append((days, term))
    if not any(isinstance(term, Missing) for term in column.terms):
        _count(parts.newly_missing, column, np.isnan(days))


def _add_words(parts: _Parts, column: Column, texts: pl.Series) -> None:
    for term in column.terms:
        if isinstance(term, Words):
            parts.words.append(find_words(texts, term.words))
        elif isinstance(term, Missing):
            absent = np.where(texts.is_null().to_numpy(), np.nan, 0.0)
            parts.numeric.append((absent, term))


def _lay_numbers(columns: Sequence[tuple[Floats, Scale | Missing]], rows: int) -> Floats:
    """Compute the terms chunk by chunk: writing whole columns into C order misses every cache."""
    out = np.empty((rows, len(columns)))

    def fill(part: slice) -> None:
        for j, (values, term) in enumerate(columns):
            out[part, j] = compute_numbers(term, values[part])

    _in_chunks(fill, rows)
    return out


def compute_numbers(term: Scale | Missing, values: Floats) -> Floats:
    """Return one numeric term of the values, nan standing for a missing one."""
    if isinstance(term, Missing):
        return np.isnan(values).astype(np.float64)
    scaled = apply_transform(term.transform, values) - term.center
    scaled /= term.scale
    if (missing := np.isnan(scaled)).any():
        scaled[missing] = term.fill
    return scaled


def _lay_codes(columns: Sequence[NDArray[np.int32]], rows: int) -> NDArray[np.int32]:
    out = np.empty((rows, len(columns)), dtype=np.int32)

    def fill(part: slice) -> None:
        for j, codes in enumerate(columns):
            out[part, j] = codes[part]

    _in_chunks(fill, rows)
    return out


def _in_chunks(fill: Callable[[slice], None], rows: int) -> None:
    map_in_threads(fill, [slice(a, b) for a, b in pairwise([*range(0, rows, CHUNK), rows])])
