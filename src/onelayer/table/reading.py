"""A table from wherever it lies: a file of any usual kind, standard input, a frame.

Nothing is decided here about what a column means: text stays text (every value as it was
written), typed files and frames keep their types, and the schema settles the rest over the whole
table.
"""

import hashlib
import io
import os
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.table.containers import (
    IPC_FILE,
    IPC_STREAM,
    PARQUET,
    TEXT,
    explain_unreadable,
    recognise,
    short,
    suffix_of,
    unpack,
)
from onelayer.table.delimited import read_delimited
from onelayer.table.frames import frame_to_polars, is_frame, name_frame
from onelayer.table.malformed import LeftOut as LeftOut
from onelayer.table.names import clean_names
from onelayer.table.text import decode_text

# What ends an Arrow stream; without it a stream that was cut between two batches looks whole.
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


@dataclass(frozen=True)
class Part:
    """Where rows of a table come from: from row `start` of the table on they are those of the file
    `name`, from its row `row` on (both from 0)."""

    name: str
    start: int
    row: int


@dataclass(frozen=True, eq=False)
class Table:
    """A raw table and where it came from.

    Parameters
    ----------
    frame
        From text every column is `String`, each value exactly as written (an empty field is the
        empty string). Typed files and frames keep their types.
    name
        For messages: "loans.csv", "standard input", "DataFrame".
    left_out
        Malformed lines of a text file that are no rows here, in the order of the file.
    sha256
        Of the bytes of the file, compressed as they lie; None for a frame.
    first_line
        The line of row 0 in a text file (2 below a plain header), None otherwise.
    na
        The user's own words for a missing value.
    lines
        The line of every row, where that is not simply first_line + row.
    parts
        Of a batch: the files that its rows come from, in their order; `first_line` and `lines` are
        those of the files. Else empty.
    """

    frame: pl.DataFrame
    name: str
    left_out: tuple[LeftOut, ...] = ()
    sha256: str | None = None
    first_line: int | None = None
    na: tuple[str, ...] = ()
    lines: NDArray[np.int64] | None = field(default=None, repr=False)
    parts: tuple[Part, ...] = ()

    def line_of(self, row: int) -> int | None:
        """The line of the file on which row `row` (from 0) begins; None where there is none."""
        if not 0 <= row < self.frame.height:
            raise IndexError(f"{self.name} has rows 0 to {self.frame.height - 1}, not {row}")
        if self.lines is not None:
            return int(self.lines[row])
        return None if self.first_line is None else self.first_line + row

    def place_of(self, row: int) -> str:
        """Where row `row` (from 0) stands, for messages: "loans.csv, line 7" or "DataFrame, row 5".

        >>> read_table([{"age": 41}]).place_of(0)
        'list, row 0'
        """
        line, part = self.line_of(row), self._part_of(row)
        return f"{part.name}, row {part.row}" if line is None else f"{part.name}, line {line}"

    def pick(self, row: int) -> "Table":
        """A table of row `row` (from 0) alone, with its place."""
        line, part = self.line_of(row), self._part_of(row)
        parts = (part,) if self.parts else ()
        frame = self.frame.slice(row, 1)
        return replace(self, frame=frame, first_line=line, lines=None, parts=parts)

    def take(self, rows: NDArray[np.int64]) -> "Table":
        """A table of these rows (from 0), with their lines; the files of a batch are forgotten."""
        lines = self.lines
        if lines is None and self.first_line is not None:
            lines = self.first_line + np.arange(self.frame.height)
        taken = None if lines is None else lines[rows]
        return replace(self, frame=self.frame[rows], first_line=None, lines=taken, parts=())

    def _part_of(self, row: int) -> Part:
        """The file of a row and its number there, as a part of one row."""
        if not self.parts:
            return Part(self.name, 0, row)
        part = self.parts[bisect_right(self.parts, row, key=lambda part: part.start) - 1]
        return Part(part.name, 0, part.row + row - part.start)


def stack(tables: Sequence[Table]) -> Table:
    """One table of the rows of several that have the same columns, with their lines.

    >>> stack([read_table({"age": [41]}), read_table({"age": [29]})]).frame.rows()
    [(41,), (29,)]
    """
    lines = [table.lines for table in tables]
    known = [each for each in lines if each is not None]
    return replace(
        tables[0],
        frame=pl.concat([table.frame for table in tables]),
        lines=np.concatenate(known) if len(known) == len(lines) else None,
    )


def cut_batches(table: Table, rows: int) -> Iterator[tuple[int, Table]]:
    """The table, so many rows at a time, each batch with the number of its first row."""
    for start in range(0, table.frame.height, rows):
        first = None if table.first_line is None else table.first_line + start
        lines = None if table.lines is None else table.lines[start : start + rows]
        frame, parts = table.frame.slice(start, rows), table.parts or (Part(table.name, 0, 0),)
        own = tuple(replace(part, start=part.start - start) for part in parts)
        yield start, replace(table, frame=frame, first_line=first, lines=lines, parts=own)


def read_table(source: Any, *, names: Sequence[str] | None = None, na: Sequence[str] = ()) -> Table:
    """Read a table: CSV, TSV, Parquet, Arrow IPC, compressed or not, standard input, or any frame.

    Parameters
    ----------
    source
        A path, "-" for standard input, a binary file object, a `Table`, or a frame: polars, pandas,
        pyarrow, a dict of columns, a list of dicts. What a file is its first bytes say, not its
        name.
    names
        The columns of a text file that has no header.
    na
        The user's own words for a missing value; they are kept for the schema.

    Returns
    -------
    Table

    Raises
    ------
    InputError
        One line that names file, line and remedy, for whatever cannot be read.

    Warns
    -----
    DataWarning
        For malformed lines left out (up to 0.1 %), an encoding other than Unicode, a single column.

    Examples
    --------
    >>> import io
    >>> table = read_table(io.BytesIO(b"age;sex\\n41;f\\n29;m\\n"))
    >>> table.frame.rows(), table.line_of(1)
    ([('41', 'f'), ('29', 'm')], 3)
    """
    words = (na,) if isinstance(na, str) else tuple(na)
    if isinstance(names, str):
        raise InputError(f"names is the text {names!r}; a list of names is expected")
    if isinstance(source, Table):
        refuse_names(names, source.name)
        return replace(source, na=words) if words else source
    if not isinstance(source, str | os.PathLike) and not hasattr(source, "read"):
        return _read_frame(source, names, words)
    data, name, suffix = _read_bytes(source)
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(lambda: hashlib.sha256(data).hexdigest())
        table = _read_file(data, name, suffix, names)
        return replace(table, sha256=digest.result(), na=words)


def _read_frame(source: object, names: Sequence[str] | None, na: tuple[str, ...]) -> Table:
    if not is_frame(source):
        raise InputError(
            f"cannot read a table from {type(source).__name__}; expected a path, a file open for "
            "reading bytes, a frame (polars, pandas, pyarrow), a dict of columns or a list of dicts"
        )
    refuse_names(names, name_frame(source))
    return Table(frame_to_polars(source), name_frame(source), na=na)


def refuse_names(names: Sequence[str] | None, source: str) -> None:
    """Refuse names for what has its own."""
    if names is not None:
        raise InputError(
            f"{source}: has names of its own; names are for text files without a header"
        )


def _read_bytes(source: Any) -> tuple[bytes, str, str]:
    """The bytes, what messages call them, and the suffix below that of a compression."""
    if isinstance(source, str) and source == "-":
        return sys.stdin.buffer.read(), "standard input", ""
    if not isinstance(source, str | os.PathLike):
        data = source.read()
        label = getattr(source, "name", None)
        name = Path(label).name if isinstance(label, str) else "file object"
        return (data.encode() if isinstance(data, str) else data), name, suffix_of(name)
    path = Path(source)
    return _read_path(path), path.name, suffix_of(path.name)


def _read_path(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; give one file") from None
    except (OSError, ValueError) as error:
        raise explain_unreadable(path, error) from None


def _read_file(data: bytes, name: str, suffix: str, names: Sequence[str] | None) -> Table:
    data = unpack(data, name)
    kind = recognise(data, suffix, name)
    if kind != TEXT:
        refuse_names(names, name)
        return Table(_read_typed(data, kind, name), name)
    text = decode_text(data, name)
    read = read_delimited(text, name, names, prefer_tab=suffix in (".tsv", ".tab"))
    return Table(read.frame, name, read.left_out, first_line=read.first_line, lines=read.lines)


def _read_typed(data: bytes, kind: str, name: str) -> pl.DataFrame:
    read = {PARQUET: pl.read_parquet, IPC_FILE: pl.read_ipc, IPC_STREAM: pl.read_ipc_stream}[kind]
    try:
        if kind == IPC_STREAM and not data.endswith(_END_OF_STREAM):
            raise EOFError("its end is missing")
        frame = read(io.BytesIO(data))
    # polars panics, in Rust, on some damaged files; what it raises then is no Exception.
    except (
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        OSError,
        EOFError,
        ValueError,
    ) as error:
        raise InputError(
            f"{name}: the {kind} file is cut or damaged ({short(error)}); fetch or export it again"
        ) from None
    if frame.height == 0 or frame.width == 0:
        raise InputError(f"{name}: no rows; a table of at least one row and one column is expected")
    cleaned = clean_names(frame.columns, name)
    return frame.rename(dict(zip(frame.columns, cleaned)))
