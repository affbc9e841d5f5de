"""A long text read in windows: whole records, in UTF-8, each with the line on which it begins.

Where a window ends is settled by the bytes from its beginning on and by nothing else, so that a
text read again, or from the middle on, is cut at the same places.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onelayer.errors import InputError
from onelayer.table.containers import Unpacked
from onelayer.table.grammar import QUOTE, Dialect, has_quoted_fields, runs_out
from onelayer.table.records import count_quotes, find_records, may_swallow
from onelayer.table.text import WideDecoder, wide_encoding

WINDOW_BYTES = 1 << 22
# An open quote is looked after so far; a field beyond it counts as never closed.
_LONGEST_RECORD = 1 << 24
_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Window:
    """Whole records of a text that begin at byte `offset` (after marks of its encoding)."""

    raw: bytes
    offset: int

    @property
    def stop(self) -> int:
        """Where the next window begins."""
        return self.offset + len(self.raw)


class LongText:
    """A text file, compressed or not, of which a window at a time is held.

    UTF-16 and UTF-32 come as UTF-8; any other bytes as they are, marks at the start left out.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path, self.source = path, source
        file = Unpacked(path, source)
        head = file.read(_HEAD_BYTES)
        file.close()
        self.encoding = wide_encoding(head)
        self.has_places = not (file.packed or self.encoding)  # where reading may begin at once
        self._mark = 0
        while self.encoding is None and head.startswith(codecs.BOM_UTF8, self._mark):
            self._mark += len(codecs.BOM_UTF8)

    def read_head(self, n_bytes: int) -> bytes:
        """The first bytes; fewer than `n_bytes` only where the file holds no more."""
        reader = _Reader(self, 0)
        try:
            return reader.read(n_bytes)
        finally:
            reader.close()

    def read_all(self) -> Iterator[bytes]:
        """The whole text, so many bytes at a time, wherever they end."""
        reader = _Reader(self, 0)
        try:
            while piece := reader.read(WINDOW_BYTES):
                yield piece
        finally:
            reader.close()

    def read_windows(self, dialect: Dialect, width: int, offset: int = 0) -> Iterator[Window]:
        """All windows from byte `offset` on, where a record begins."""
        reader = _Reader(self, offset)
        tail = b""
        try:
            while True:
                raw, stop = _fill(reader, tail, dialect, width)
                if not raw:
                    return
                yield Window(raw[:stop], offset)
                offset, tail = offset + stop, raw[stop:]
        finally:
            reader.close()

    def skip_marks(self, file: Unpacked) -> None:
        """Pass over the byte order marks."""
        file.read(self._mark)


class _Reader:
    """The bytes of a text from an offset on, in UTF-8 where it was a wide encoding."""

    def __init__(self, text: LongText, offset: int) -> None:
        self.source = text.source
        self._file = Unpacked(text.path, text.source)
        text.skip_marks(self._file)
        self._decoder = WideDecoder(text.encoding, text.source) if text.encoding else None
        self._rest = b""
        if self._decoder is None:
            self._file.skip(offset)
            return
        while offset and (piece := self.read(min(offset, WINDOW_BYTES))):
            offset -= len(piece)

    def read(self, n_bytes: int) -> bytes:
        """The next bytes; fewer than `n_bytes` at the end alone."""
        if self._decoder is None:
            return self._file.read(n_bytes)
        pieces, n_read = [self._rest], len(self._rest)
        while n_read < n_bytes:
            raw = self._file.read(WINDOW_BYTES)
            pieces.append(self._decoder.decode(raw, final=len(raw) < WINDOW_BYTES))
            n_read += len(pieces[-1])
            if len(raw) < WINDOW_BYTES:
                break
        data = b"".join(pieces)
        self._rest = data[n_bytes:]
        return data[:n_bytes]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _fill(reader: _Reader, tail: bytes, dialect: Dialect, width: int) -> tuple[bytes, int]:
    """The next bytes, and how many of them are whole records."""
    raw = tail
    while True:
        wanted = WINDOW_BYTES if len(raw) < WINDOW_BYTES else len(raw) + WINDOW_BYTES
        more = reader.read(wanted - len(raw))
        at_end = len(more) < wanted - len(raw)
        raw += more
        if at_end and raw and not raw.endswith(dialect.line_end):
            raw += dialect.line_end
        stop = len(raw) if at_end else _cut(raw, dialect, width)
        if at_end or stop:
            return raw, stop
        if len(raw) > 2 * _LONGEST_RECORD:
            raise InputError(
                f"{reader.source}: a line of more than {len(raw) >> 20} MiB; a row on each line is "
                "expected, export the table again"
            )


def _cut(raw: bytes, dialect: Dialect, width: int) -> int:
    """Where the last record ends that no further byte can change."""
    stop = raw.rfind(dialect.line_end) + 1
    if not stop or raw.find(QUOTE, 0, stop) < 0:
        return stop
    text = raw[:stop]
    if not has_quoted_fields(text, 0, dialect):
        return stop
    if count_quotes(text, 0, dialect) is not None and not may_swallow(text, dialect, width):
        return stop
    records = find_records(text, 0, 0, dialect, width)
    for start in records.starts[np.flatnonzero(records.broken)].tolist():
        if stop - start < _LONGEST_RECORD and runs_out(text, start, dialect):
            return int(start)
    return stop
