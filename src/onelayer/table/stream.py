"""A table read a batch at a time, as often as wanted: files larger than memory, folders of them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from onelayer.errors import InputError
from onelayer.table.containers import TEXT, suffix_of
from onelayer.table.database import SQLITE, Address, is_address, read_address
from onelayer.table.pieces import Piece, Source, gather, take_rows
from onelayer.table.postgres import PostgresRows
from onelayer.table.reading import Table, refuse_names
from onelayer.table.sqlite import SqliteRows
from onelayer.table.stream_files import (
    Found,
    find_files,
    fingerprint_files,
    is_blank,
    recognise_file,
)
from onelayer.table.stream_text import TextFile
from onelayer.table.stream_typed import ParquetFile, open_typed
from onelayer.table.values import list_some
from onelayer.table.widening import merge_schemas, require_exact

WHOLE_ROWS = 1 << 17
"""Rows read at a time where all are wanted."""

GROUP_BYTES = 32_000_000
"""A row group of Parquet up to this size is decoded at once: its parts cost up to five times that
of the whole, as each is decoded from the group's begin."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Consecutive rows of a stream: `first` is the number of the first of them, from 0."""

    first: int
    table: Table


@dataclass(frozen=True, eq=False)
class Stream:
    """A table that is read a batch at a time; every pass gives the same rows in the same order.

    Parameters
    ----------
    name
        For messages: the path as it was given.
    schema
        The columns and their types, the same in every batch; of text files all are `String`.
    fingerprint
        SHA-256, in hexadecimal, of what tells that the data changed.
    sources
        What it is read from, with the columns that each has the same value of in all rows.
    na
        The user's own words for a missing value; every batch carries them.
    room
        Bytes up to which a row group is decoded at once and cut afterwards.
    """

    name: str
    schema: Mapping[str, pl.DataType]
    fingerprint: str
    sources: tuple[tuple[Source, Mapping[str, str | None]], ...]
    na: tuple[str, ...] = ()
    room: int = GROUP_BYTES

    @property
    def rows(self) -> int | None:
        """How many rows there are; None where that takes a pass (of text files the first)."""
        each = [source.rows for source, _ in self.sources]
        return None if None in each else sum(rows for rows in each if rows is not None)

    @property
    def largest_piece(self) -> int:
        """Bytes that must be held at once, estimated: the largest row group, batch or window."""
        return max(source.largest_piece for source, _ in self.sources)

    @property
    def group_rows(self) -> int:
        """Rows of the largest row group of a Parquet file: to decode it in parts costs more."""
        files = [source for source, _ in self.sources if isinstance(source, ParquetFile)]
        return max((file.group_rows for file in files), default=0)

    def _rows_at_once(self, source: Source, rows: int) -> int:
        if isinstance(source, ParquetFile) and source.largest_piece <= self.room:
            return max(rows, source.group_rows)
        return rows

    def batches(
        self,
        rows: int,
        columns: Sequence[str] | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[Batch]:
        """Return the rows from `start` on, in batches of `rows` rows (the last may have fewer).

        Parameters
        ----------
        rows
            At least 1. The same rows come whatever it is; the memory needed grows with it.
        columns
            Which columns to read, by name; all if None.
        start
            The number of the first row, from 0. Rows before it are skipped without reading where
            the files tell how many they hold.
        stop
            The number behind the last row; None for all. What lies behind it is not read.

        Raises
        ------
        InputError
            One line, for a file that is damaged, a column that is not there, or text in which too
            many lines are malformed (that at the end of the first pass).
        """
        if rows < 1 or start < 0:
            raise InputError(f"batches of {rows} rows from row {start}: expected at least 1, and 0")
        chosen = list(self.schema) if columns is None else list(dict.fromkeys(columns))
        absent = [name for name in chosen if name not in self.schema]
        if absent or not chosen:
            raise InputError(f"{self.name}: no column {list_some(absent)}")
        return self._batches(rows, chosen, start, stop)

    def _batches(
        self, rows: int, columns: list[str], start: int, stop: int | None
    ) -> Iterator[Batch]:
        first, pieces = start, self._pieces(rows, columns, start)
        if stop is not None:
            pieces = take_rows(pieces, stop - start)
        for table in gather(pieces, rows, self.name, self.na):
            yield Batch(first, table)
            first += table.frame.height
        if self.rows == 0:
            raise _refuse_empty(self.name, self.sources[0][0])

    def _pieces(self, rows: int, columns: list[str], start: int) -> Iterator[Piece]:
        for source, fixed in self.sources:
            if source.rows is None or start < source.rows:
                yield from self._conform(source, fixed, rows, columns, start)
            # A source whose rows were not known knows them now that it was read.
            start = max(0, start - (source.rows or 0))

    def _conform(
        self,
        source: Source,
        fixed: Mapping[str, str | None],
        rows: int,
        columns: list[str],
        start: int,
    ) -> Iterator[Piece]:
        """The pieces of one source with the columns and types of the stream."""
        own = [name for name in columns if name in source.schema] or [next(iter(source.schema))]
        each = [
            pl.col(name).cast(self.schema[name])
            if name in source.schema
            else pl.lit(fixed[name], pl.String).alias(name)
            for name in columns
        ]
        for piece in source.read(start, self._rows_at_once(source, rows), own):
            require_exact(piece.frame, self.schema, source.name)
            # Values that are the same in all rows have no number of rows of their own.
            yield piece.with_frame(piece.frame.with_columns(each).select(columns))


def open_stream(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    names: Sequence[str] | None = None,
    na: Sequence[str] = (),
    query: str | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Stream:
    """Open a table to be read a batch at a time: files larger than memory, or a database.

    Parameters
    ----------
    source
        A file, a folder, a glob, or a list of these: Parquet, Arrow IPC (file or stream) or
        delimited text, all of one kind and with the same columns in any order, of types of which
        one holds the values of all (see `widening`); text also compressed
        (gzip, xz, bzip2, Zstandard). A folder is taken with all below it but names that begin with
        a dot or an underscore; folders named `year=2024` make a column `year` of text. Rows stand
        in the order of the sorted paths. Or `sqlite:///loans.db?table=loans` (four slashes before
        a whole path), or `postgresql://host/database?table=loans`.
    names
        The columns of text files that have no header.
    na
        The user's own words for a missing value.
    query
        A SELECT to a database, instead of a table.
    folder
        Where the answer of a PostgreSQL server is kept as long as the stream is; the system's
        folder for temporary files if None.

    Raises
    ------
    InputError
        One line that names the file, and where files differ the column.

    Warns
    -----
    DataWarning
        As `read_table` does; for what is seen only in reading, in the first pass.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> for year in ("2023", "2024"):
    ...     path = pathlib.Path(folder.name, f"year={year}", "loans.csv")
    ...     path.parent.mkdir()
    ...     _ = path.write_text("age,sex\\n41,f\\n29,m\\n")
    >>> stream = open_stream(folder.name)
    >>> for batch in stream.batches(rows=3):
    ...     print(batch.first, batch.table.frame.rows(), batch.table.place_of(0))
    0 [('41', 'f', '2023'), ('29', 'm', '2023'), ('41', 'f', '2024')] year=2023/loans.csv, line 2
    3 [('29', 'm', '2024')] year=2024/loans.csv, line 3
    >>> stream.rows
    4
    >>> folder.cleanup()
    """
    words = (na,) if isinstance(na, str) else tuple(na)
    if isinstance(names, str):
        raise InputError(f"names is the text {names!r}; a list of names is expected")
    if isinstance(source, str) and is_address(source):
        refuse_names(names, source.partition("://")[0])
        rows = _open_database(read_address(source, query), folder)
        return _make_stream(rows.name, [(rows, {})], rows.fingerprint, words)
    if query is not None:
        raise InputError(f"{source}: a query is for a database; give its address")
    files = find_files(source)
    name = _name(source, files)
    if len(files) > 1:
        files = [found for found in files if not is_blank(found)]
    opened = _open_files(files, names)
    sources = [(one, dict(found.partitions)) for one, found in opened]
    return _make_stream(name, sources, fingerprint_files(files), words)


def read_whole(stream: Stream) -> Table:
    """Return all rows of a stream as one table in memory."""
    tables = [batch.table for batch in stream.batches(WHOLE_ROWS)]
    frame = pl.concat([table.frame for table in tables])
    return Table(frame, stream.name, sha256=stream.fingerprint, na=stream.na)


def _make_stream(
    name: str,
    sources: Sequence[tuple[Source, Mapping[str, str | None]]],
    fingerprint: str,
    na: tuple[str, ...],
) -> Stream:
    kept = tuple(pair for pair in sources if pair[0].rows != 0)
    if not kept:
        raise _refuse_empty(name, sources[0][0])
    return Stream(name, MappingProxyType(_settle_schema(kept)), fingerprint, kept, na)


def _open_database(
    address: Address, folder: str | os.PathLike[str] | None
) -> SqliteRows | PostgresRows:
    if address.kind == SQLITE:
        return SqliteRows(address)
    return PostgresRows(address, None if folder is None else Path(folder))


def _name(source: Any, files: Sequence[Found]) -> str:
    if len(files) == 1:
        return files[0].name
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return f"{files[0].name} and {len(files) - 1} more"


def _open_files(files: Sequence[Found], names: Sequence[str] | None) -> list[tuple[Source, Found]]:
    opened: list[tuple[Source, Found]] = []
    kind_of_all = ""
    for found in files:
        kind, packed = recognise_file(found)
        if kind_of_all and kind != kind_of_all:
            raise InputError(
                f"{found.name}: is {kind}, {opened[0][1].name} is {kind_of_all}; files of one kind "
                "are expected, give the others apart"
            )
        kind_of_all = kind
        opened.append((_open_file(found, kind, packed, names), found))
    return opened


def _open_file(found: Found, kind: str, packed: bool, names: Sequence[str] | None) -> Source:
    if kind == TEXT:
        tabs = suffix_of(found.name) in (".tsv", ".tab")
        return TextFile(Path(found.path), found.name, names, prefer_tab=tabs)
    refuse_names(names, found.name)
    if packed:
        raise InputError(
            f"{found.name}: a compressed {kind} file, which cannot be read in parts; unpack it"
        )
    return open_typed(found.path, found.name, kind)


def _refuse_empty(name: str, source: Source) -> InputError:
    where = " below the header" if isinstance(source, TextFile) else ""
    return InputError(f"{name}: no rows{where}; at least one is expected")


def _settle_schema(
    opened: Sequence[tuple[Source, Mapping[str, str | None]]],
) -> dict[str, pl.DataType]:
    """The columns of all files, their own first, then those that folders name."""
    schemas = []
    for source, fixed in opened:
        folders = {name: pl.String() for name in fixed if name not in source.schema}
        schemas.append({**source.schema, **folders})
        _require_same_columns(opened[0][0].name, schemas[0], source.name, schemas[-1])
    merged, misfit = merge_schemas(schemas)
    if misfit:
        k, column = misfit
        raise InputError(
            f"{opened[k][0].name}: column {column!r} is {schemas[k][column]}, in the files before "
            f"it {merged[column]}; one type is expected, write the files again with one"
        )
    return merged


def _require_same_columns(
    first: str, schema: Mapping[str, object], other: str, there: Mapping[str, object]
) -> None:
    missing = [name for name in schema if name not in there]
    more = [name for name in there if name not in schema]
    if missing:
        raise InputError(
            f"{other}: no column {list_some(missing)}, which {first} has; the same columns are "
            "expected in all files"
        )
    if more:
        raise InputError(
            f"{other}: column {list_some(more)} is not in {first}; the same columns are expected "
            "in all files"
        )
