"""Parquet and Arrow IPC files of any size, a row group or a record batch at a time."""

import io
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import polars as pl

from onelayer.errors import InputError
from onelayer.table.arrow_messages import Message, read_layout
from onelayer.table.containers import IPC_STREAM, PARQUET, short
from onelayer.table.names import clean_names
from onelayer.table.parquet_footer import RowGroup, read_row_groups
from onelayer.table.pieces import Piece

A = TypeVar("A")
_VIEW_BYTES = 16


class ParquetFile:
    """A Parquet file: `pl.scan_parquet` with a slice reads the pages of its rows alone."""

    def __init__(self, path: Path, name: str) -> None:
        self.name, self.path = name, path
        self._groups = _guard(PARQUET, name, lambda: read_row_groups(path))
        written = _guard(PARQUET, name, lambda: pl.read_parquet_schema(path))
        self._written = dict(zip(clean_names(written, name), written))
        self.schema = dict(zip(self._written, written.values()))
        self.rows: int | None = sum(group.rows for group in self._groups)
        self.group_rows = max((group.rows for group in self._groups), default=0)
        width = sum(map(_width, self.schema.values()))
        self.largest_piece = max((_size(group, width) for group in self._groups), default=0)

    def read(self, start: int, rows: int, columns: Sequence[str]) -> Iterator[Piece]:
        """The rows from `start` on, about `rows` at a time; a large row group in equal parts."""
        for first, stop in _cut([group.rows for group in self._groups], rows):
            first = max(first, start)
            if first < stop:
                yield Piece(self._read(first, stop - first, columns), self.name, first)

    def borders(self, rows: int) -> list[int]:
        """Where reading `rows` rows at a time can stop, or begin, without reading more."""
        return [stop for _, stop in _cut([group.rows for group in self._groups], rows)]

    def _read(self, first: int, rows: int, columns: Sequence[str]) -> pl.DataFrame:
        scan = pl.scan_parquet(self.path, glob=False, hive_partitioning=False, cache=False)
        wanted = scan.select(pl.col(self._written[name]).alias(name) for name in columns)
        frame = _guard(PARQUET, self.name, wanted.slice(first, rows).collect)
        if frame.height != rows:
            raise _damaged(PARQUET, self.name, f"{frame.height} of {rows} rows from row {first} on")
        return frame


class ArrowFile:
    """An Arrow IPC file or stream, read one record batch at a time."""

    def __init__(self, path: Path, name: str, kind: str) -> None:
        self.name, self.path, self._kind = name, path, kind
        self._layout = _guard(kind, name, lambda: read_layout(path))
        empty = self._read(None)
        self._names = clean_names(empty.columns, name)
        self.schema = dict(zip(self._names, empty.dtypes))
        batches = self._layout.batches
        self.rows: int | None = sum(batch.rows or 0 for batch in batches)
        self.largest_piece = max((b.size + b.unpacked_bytes for b in batches), default=0)

    def read(self, start: int, rows: int, columns: Sequence[str]) -> Iterator[Piece]:
        """The rows from `start` on, a record batch at a time whatever `rows` is."""
        first = 0
        for batch in self._layout.batches:
            stop = first + (batch.rows or 0)
            if start < stop:
                frame = self._read(batch)
                frame = frame.rename(dict(zip(frame.columns, self._names))).select(columns)
                piece = Piece(frame, self.name, first)
                yield piece if start <= first else piece.split(start - first)[1]
            first = stop

    def borders(self, rows: int) -> list[int]:
        """Where record batches end."""
        return list(accumulate(batch.rows or 0 for batch in self._layout.batches))

    def _read(self, batch: Message | None) -> pl.DataFrame:
        read = pl.read_ipc_stream if self._kind == IPC_STREAM else pl.read_ipc
        extract = self._layout.extract
        frame = _guard(self._kind, self.name, lambda: read(io.BytesIO(extract(batch))))
        expected = (batch.rows if batch else 0) or 0
        if frame.height != expected:
            reason = f"{frame.height} of {expected} rows of a record batch"
            raise _damaged(self._kind, self.name, reason)
        return frame


def open_typed(path: Path, name: str, kind: str) -> ParquetFile | ArrowFile:
    """A typed file by its kind (see `containers.recognise`)."""
    return ParquetFile(path, name) if kind == PARQUET else ArrowFile(path, name, kind)


def _guard(kind: str, name: str, read: Callable[[], A]) -> A:
    # polars panics, in Rust, on some damaged files; what it raises then is no Exception.
    try:
        return read()
    except (
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        OSError,
        EOFError,
        ValueError,
    ) as error:
        raise _damaged(kind, name, short(error)) from None


def _damaged(kind: str, name: str, reason: str) -> InputError:
    return InputError(
        f"{name}: the {kind} file is cut or damaged ({reason}); fetch or export it again"
    )


def _cut(groups: Sequence[int], rows: int) -> Iterator[tuple[int, int]]:
    """Runs of about `rows` rows that end where row groups end, or cut one into equal parts."""
    first = stop = 0
    for height in groups:
        if stop > first and stop - first + height > rows:
            yield first, stop
            first = stop
        n_parts = -(-height // rows)
        for k in range(1, n_parts):
            yield first, stop + height * k // n_parts
            first = stop + height * k // n_parts
        stop += height
    if stop > first:
        yield first, stop


def _size(group: RowGroup, width: int) -> int:
    """The bytes of a row group, decoded."""
    return max(group.unpacked_bytes, group.rows * width)


def _width(dtype: pl.DataType) -> int:
    """Bytes of a value in memory; of a text without the text."""
    if dtype in (pl.Boolean, pl.Int8, pl.UInt8):
        return 1
    return 8 if dtype.is_numeric() or dtype.is_temporal() else _VIEW_BYTES
