"""Rows as the texts that their values are written in: each reads back as the value does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from onelayer.table.levels import written
from onelayer.table.terms import Column, Moment, Number
from onelayer.table.values import is_nested, is_text

if TYPE_CHECKING:
    from onelayer.table.reading import Table


def write_rows(columns: Sequence[Column], table: Table) -> list[list[str | None]]:
    """Return the texts of each column, row by row; None where there is no value.

    Text stays as it was written. Typed values become what `Schema.encode` reads as the same: a
    number to its last digit, a moment in UTC.

    >>> from onelayer.table.reading import read_table
    >>> write_rows([Column("age", "numeric", "", Number())], read_table({"age": [41.0, None]}))
    [['41', None]]
    """
    return [_write(column, table.frame[column.name]) for column in columns]


def _write(column: Column, raw: pl.Series) -> list[str | None]:
    if isinstance(column.reading, Number) and not is_text(raw.dtype):
        seconds = raw.dt.total_microseconds() / 1e6 if raw.dtype == pl.Duration else raw
        raw = seconds.cast(pl.Float64).fill_nan(None)
    if isinstance(column.reading, Moment) and isinstance(raw.dtype, pl.Datetime):
        raw = raw if raw.dtype.time_zone is None else raw.dt.convert_time_zone("UTC")
    if is_nested(raw.dtype):
        return [None] * len(raw)
    frame = raw.alias("value").to_frame()
    texts: list[str | None] = frame.select(written("value", raw.dtype))["value"].to_list()
    return texts
