"""The answer of a database in files: for processes that have no link to it.

One process asks, once, so that all rows are of one state of the database and in one order; the
others read the files, as they read those of any table.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import polars as pl

from onelayer.errors import InputError
from onelayer.table.containers import IPC_FILE, short
from onelayer.table.pieces import Piece, Source
from onelayer.table.sqlite import SqliteRows
from onelayer.table.stream import Stream
from onelayer.table.stream_typed import ArrowFile


class KeptRows(ArrowFile):
    """Rows of a longer answer, the first of which has the number `first` there."""

    def __init__(self, path: Path, name: str, first: int) -> None:
        super().__init__(path, name, IPC_FILE)
        self._first = first

    def read(self, start: int, rows: int, columns: Sequence[str]) -> Iterator[Piece]:
        """The rows from `start` on, with their numbers in the answer."""
        for piece in super().read(start, rows, columns):
            yield replace(piece, row=piece.row + self._first)


def keep_rows(stream: Stream, folder: Path, rows: int) -> Stream:
    """The stream from files in `folder`, of `rows` rows each; itself where it is of files.

    Raises
    ------
    InputError
        The files cannot be written.
    """
    if not any(isinstance(source, SqliteRows) for source, _ in stream.sources):
        return stream
    sources: list[tuple[Source, Mapping[str, str | None]]] = []
    for batch in stream.batches(rows):
        path = folder / f"rows-{batch.first}.arrow"
        try:
            batch.table.frame.write_ipc(path, compression="lz4")
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(
                f"{stream.name}: its rows cannot be kept in {folder} ({short(error)}): name "
                "another folder (cache, --cache)"
            ) from None
        sources.append((KeptRows(path, stream.name, batch.first), MappingProxyType({})))
    return replace(stream, sources=tuple(sources))
