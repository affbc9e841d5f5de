"""A long table in parts that different processes read: runs of rows of its files, or frames.

Where a part begins and ends follows from the table alone, never from who reads it.
"""

import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.errors import DataWarning, InputError
from onelayer.table.kept import KeptRows
from onelayer.table.pieces import Source
from onelayer.table.postgres import PostgresRows
from onelayer.table.reading import Table, cut_batches, read_table
from onelayer.table.stream import Batch, Stream
from onelayer.table.stream_text import TextFile
from onelayer.table.stream_typed import ArrowFile, ParquetFile
from onelayer.table.widening import merge_schemas, require_exact

PART_VALUES = 1 << 25  # 256 MB of float64
MOST_PARTS = 10_000  # a longer table is cut into longer parts: each costs the scheduler a task
BATCH_VALUES = 1 << 22  # raw values that are decoded at a time


class Part(Protocol):
    """A run of rows of a table; its `str` names it.

    Attributes
    ----------
    first, rows : the number of its first row in the table, and how many there are
    """

    @property
    def first(self) -> int: ...
    @property
    def rows(self) -> int: ...
    def batches(self, frame: Any) -> Iterator[Batch]:
        """Its rows, numbered as in the table; `frame` holds them where they are in no file."""


@dataclass(frozen=True, eq=False)
class FilePart:
    """Rows from `start` on of one file, for any process that sees the file."""

    table: str
    schema: dict[str, pl.DataType]
    na: tuple[str, ...]
    source: Source
    fixed: dict[str, str | None]
    start: int
    rows: int
    first: int

    def __str__(self) -> str:
        return f"{self.source.name}, rows {self.start:,} to {self.start + self.rows - 1:,}"

    def batches(self, frame: Any = None) -> Iterator[Batch]:
        """Read the file."""
        _require_seen(self.source)
        pair = (self.source, MappingProxyType(self.fixed))
        stream = Stream(self.table, MappingProxyType(self.schema), "", (pair,), self.na)
        stop = self.start + self.rows
        for batch in stream.batches(batch_rows(self.schema), start=self.start, stop=stop):
            yield replace(batch, first=batch.first - self.start + self.first)


@dataclass(frozen=True, eq=False)
class FramePart:
    """A frame that is part of a larger one."""

    name: str
    schema: dict[str, pl.DataType]
    na: tuple[str, ...]
    rows: int
    first: int

    def __str__(self) -> str:
        return self.name

    def batches(self, frame: Any) -> Iterator[Batch]:
        """Cut the frame."""
        table = replace(read_frame(frame, self.name), na=self.na)
        require_exact(table.frame, self.schema, self.name)
        cast = table.frame.select(pl.col(name).cast(kind) for name, kind in self.schema.items())
        for first, rows in cut_batches(replace(table, frame=cast), batch_rows(self.schema)):
            yield Batch(first + self.first, rows)


def batch_rows(schema: Mapping[str, object]) -> int:
    """How many rows are read at a time."""
    return max(1_000, BATCH_VALUES // max(1, len(schema)))


def read_frame(frame: Any, name: str) -> Table:
    """A frame of any kind as a table of this name."""
    return replace(read_table(frame), name=name)


def pick_rows(table: Table, chosen: NDArray[np.bool_], columns: Sequence[str]) -> Table:
    """Some rows and columns of a table, without their places."""
    frame = table.frame.filter(pl.Series(chosen)).select(columns)
    return replace(table, frame=frame, lines=None, first_line=None, parts=(), left_out=())


def count_rows(source: Source) -> tuple[Source, list[str]]:
    """Read a file whose rows are not known, once; the file with its rows, and what was said."""
    _require_seen(source)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", DataWarning)
        for _ in source.read(0, batch_rows(source.schema), list(source.schema)):
            pass
    return source, [str(each.message) for each in said if each.category is DataWarning]


def _require_seen(source: Source) -> None:
    if isinstance(source, ParquetFile | ArrowFile | TextFile) and not source.path.exists():
        of_answer = isinstance(source, KeptRows | PostgresRows)
        raise InputError(
            f"{source.path}: no such file on {platform.node()}: every worker must see this path"
            + ("; name a folder that all of them see (cache, --cache)" if of_answer else "")
        )


def cut_stream(stream: Stream) -> list[FilePart]:
    """The parts of a table in files, the rows of which are all known."""
    total, width = stream.rows or 0, len(stream.schema)
    wanted = max(batch_rows(stream.schema), PART_VALUES // max(1, width), total // MOST_PARTS)
    parts, first = [], 0
    for source, fixed in stream.sources:
        for start, stop in _cut(_borders(source, batch_rows(stream.schema)), wanted):
            own = source.between(start, stop) if isinstance(source, TextFile) else source
            parts.append(
                FilePart(
                    stream.name,
                    dict(stream.schema),
                    stream.na,
                    own,
                    dict(fixed),
                    start,
                    stop - start,
                    first + start,
                )
            )
        first += source.rows or 0
    return parts


def _borders(source: Source, rows: int) -> list[int]:
    assert isinstance(source, ParquetFile | ArrowFile | TextFile), "rows of a database are kept"
    return source.borders(rows)


def _cut(borders: Sequence[int], wanted: int) -> Iterator[tuple[int, int]]:
    """Runs of at least `wanted` rows, but for the last, that end at borders.

    >>> list(_cut([10, 20, 30, 40, 50], 20))
    [(0, 20), (20, 40), (40, 50)]
    """
    start = 0
    for stop in borders:
        if stop - start >= wanted or (stop == borders[-1] and stop > start):
            yield start, stop
            start = stop


def line_up_frames(
    names: Sequence[str], schemas: Sequence[Mapping[str, pl.DataType]], rows: Sequence[int]
) -> list[FramePart]:
    """The parts of a table in frames.

    Raises
    ------
    InputError
        Naming the frame whose columns are not those of the first, or of another type.
    """
    for name, schema in zip(names, schemas):
        if set(schema) != set(schemas[0]):
            odd = next(iter(set(schema) ^ set(schemas[0])))
            raise InputError(f"{name}: column {odd!r} is not in all partitions")
    merged, misfit = merge_schemas(schemas)
    if misfit:
        k, column = misfit
        raise InputError(
            f"{names[k]}: column {column!r} is {schemas[k][column]}, in the partitions before it "
            f"{merged[column]}; one type is expected"
        )
    starts = [sum(rows[:k]) for k in range(len(rows))]
    lined = zip(names, rows, starts)
    return [FramePart(name, merged, (), count, first) for name, count, first in lined]
