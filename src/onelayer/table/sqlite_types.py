"""Which type a column of SQLite's has: there the value has one, not the column."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from onelayer.errors import InputError

_KINDS = ("integer", "real", "text", "blob")
_EXACT = 2**53


@dataclass(frozen=True)
class Settled:
    """How many rows there are, and the type that holds all values of each column.

    `mixed` are the columns whose values are written as text since they are of several kinds.
    """

    name: str
    rows: int
    schema: Mapping[str, pl.DataType]
    mixed: frozenset[str]

    def to_frame(
        self, rows: Sequence[tuple[Any, ...]], schema: Mapping[str, pl.DataType]
    ) -> pl.DataFrame:
        """Rows of the columns of `schema` as a frame."""
        columns = []
        for (name, dtype), values in zip(schema.items(), zip(*rows)):
            written = (
                [self._write(value, name) for value in values] if name in self.mixed else values
            )
            numbers = dtype == pl.Float64
            given = [None if v is None else float(v) for v in written] if numbers else written
            columns.append(pl.Series(name, given, dtype))
        return pl.DataFrame(columns)

    def _write(self, value: Any, column: str) -> str | None:
        if not isinstance(value, bytes):
            return None if value is None else str(value)
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise InputError(
                f"{self.name}: column {column!r} holds text or numbers and also bytes that are no "
                "text; leave it out or cast it in a query"
            ) from None


def settle_columns(
    link: sqlite3.Connection, place: str, columns: Sequence[str], names: Sequence[str], name: str
) -> Settled:
    """Settle the type of each column over all rows, in one statement.

    `columns` are what SQL calls them, `names` what the table does; `place` stands after FROM.
    """
    counts = [f"total(typeof({column}) = '{kind}')" for column in columns for kind in _KINDS]
    ends = [
        f"{end}(CASE typeof({column}) WHEN 'integer' THEN {column} END)"
        for column in columns
        for end in ("min", "max")
    ]
    # SQLite takes 2,000 columns in a result; a wide table is asked in several.
    asked = ["count(*)", *counts, *ends]
    found: list[Any] = []
    for first in range(0, len(asked), 1500):
        some = ", ".join(asked[first : first + 1500])
        found += link.execute(f"SELECT {some} FROM {place}").fetchone()
    rows, width = int(found[0]), len(_KINDS)
    schema: dict[str, pl.DataType] = {}
    mixed = set()
    for k, column in enumerate(names):
        kinds = {kind for kind, n in zip(_KINDS, found[1 + width * k :]) if n}
        low, high = found[1 + width * len(columns) + 2 * k :][:2]
        exact = low is None or (low >= -_EXACT and high <= _EXACT)
        schema[column] = _settle(kinds, exact)
        if len(kinds) > 1 and schema[column] == pl.String:
            mixed.add(column)
    return Settled(name, rows, schema, frozenset(mixed))


def _settle(kinds: set[str], exact: bool) -> pl.DataType:
    if kinds == {"integer"}:
        return pl.Int64()
    if kinds == {"real"} or (kinds == {"integer", "real"} and exact):
        return pl.Float64()
    return pl.Binary() if kinds == {"blob"} else pl.String()
