"""A CSV or TSV file of any size, a window at a time: the rows that `read_table` would give."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import polars as pl

from onelayer.table.delimited import (
    Delimited,
    Layout,
    fit_layout,
    has_rows,
    judge_shapes,
    lay_out,
    question_header,
    read_rows,
)
from onelayer.table.delimiter import find_line_end
from onelayer.table.malformed import LeftOut, limit_malformed, say_left_out
from onelayer.table.names import clean_names
from onelayer.table.pieces import Piece
from onelayer.table.record_shapes import Shapes
from onelayer.table.spelling import Spelling
from onelayer.table.windows import WINDOW_BYTES, LongText

# A window as strings has 16 bytes a value; its text is held twice meanwhile, and marks beside it.
_BYTES_PER_TEXT_BYTE = 8


@dataclass(frozen=True)
class _Mark:
    """Where a window begins: byte, line and row."""

    offset: int
    line: int
    row: int


class TextFile:
    """A text file, laid out by its head; the first pass over it counts its rows.

    Raises InputError where `read_table` does; what takes the whole file to see (malformed lines
    beyond their share) at the end of the first pass.
    """

    def __init__(
        self, path: Path, source: str, names: Sequence[str] | None, prefer_tab: bool
    ) -> None:
        self.name, self.path = source, path
        self.rows: int | None = None
        self.largest_piece = WINDOW_BYTES * _BYTES_PER_TEXT_BYTE
        self._text = LongText(path, source)
        self._spelling = Spelling(source, self._text.read_all)
        self._layout = self._lay_out(names, prefer_tab)
        # Of every window that was read, and of the one after it.
        self._marks = [self._first_mark()]
        self._left_out: list[LeftOut] = []
        self._shapes = Shapes()
        columns = clean_names(self._layout.names[: self._layout.n_named], source)
        self.schema: dict[str, pl.DataType] = dict.fromkeys(columns, pl.String())

    def read(self, start: int, rows: int, columns: Sequence[str]) -> Iterator[Piece]:
        """The rows from `start` on, a window at a time whatever `rows` is."""
        first = max(k for k, mark in enumerate(self._marks) if mark.row <= start)
        dialect, width = self._layout.dialect, self._layout.width
        windows = self._text.read_windows(dialect, width, self._marks[first].offset)
        for k, window in zip(count(first), windows):
            mark = self._marks[k]
            text = self._spelling.decode(window.raw, mark.line)
            found = read_rows(text, replace(self._layout, line=mark.line), skip_lines=0)
            stop = mark.row + found.frame.height
            if k + 1 == len(self._marks):
                line = mark.line + text.count(dialect.line_end)
                self._note(found, _Mark(window.stop, line, stop))
            frame = found.frame.select(columns)
            piece = Piece(frame, self.name, mark.row, found.first_line, found.lines, found.left_out)
            if start < stop:
                yield piece if start <= mark.row else piece.split(start - mark.row)[1]
        self._settle()

    def borders(self, rows: int) -> list[int]:
        """Where windows end, once all were read; the end alone where reading begins at the first.

        That is so in a text that is compressed, or in a wide encoding.
        """
        assert self.rows is not None, "its rows are counted by the first pass"
        ends = [mark.row for mark in self._marks[1:]]
        return ends if self._text.has_places else ends[-1:]

    def between(self, start: int, stop: int) -> "TextFile":
        """The file for a reader of these rows alone: it takes less to send."""
        other = copy(self)
        rows = [mark.row for mark in self._marks]
        first, last = bisect_right(rows, start) - 1, bisect_left(rows, stop)
        other._marks, other._left_out = self._marks[first : last + 1], []
        return other

    def _note(self, found: Delimited, after: _Mark) -> None:
        if len(self._marks) == 1:
            question_header(found.frame, self._layout)
        self._left_out.extend(found.left_out)
        self._shapes += found.shapes
        self._marks.append(after)

    def _settle(self) -> None:
        """Judge the lines left out, once, when every window was read."""
        if self.rows is not None:
            return
        judge_shapes(self._shapes, self._written)
        n_kept, n_out = self._marks[-1].row, len(self._left_out)
        if n_out:
            first = self._left_out[0]
            limit_malformed(first, n_out, n_kept, self.name, self._layout.say())
            say_left_out(self._left_out, n_kept, self.name)
        self.rows = n_kept

    def _lay_out(self, names: Sequence[str] | None, prefer_tab: bool) -> Layout:
        head = self._text.read_head(WINDOW_BYTES)
        line_end = find_line_end(head)
        whole = len(head) < WINDOW_BYTES
        if whole and not head.endswith(line_end):
            head += line_end
        text = self._spelling.decode(head[: head.rfind(line_end) + 1], 1)
        layout = lay_out(text, line_end, self.name, names, prefer_tab)
        self._offset = _skip_lines(head, line_end, layout.line - 1)
        if whole and not has_rows(text, layout.body):
            self.rows = 0
        return layout

    def _first_mark(self) -> _Mark:
        """Where the rows begin; the layout is fitted to the first window of them."""
        layout, mark = self._layout, _Mark(self._offset, self._layout.line, 0)
        self._written = layout  # the names as they are written
        windows = self._text.read_windows(layout.dialect, layout.width, self._offset)
        for window in windows:
            text = self._spelling.decode(window.raw, mark.line)
            self._layout = fit_layout(text, layout)
            break
        return mark


def _skip_lines(text: bytes, line_end: bytes, lines: int) -> int:
    """The byte behind so many lines."""
    offset = 0
    for _ in range(lines):
        offset = text.index(line_end, offset) + 1
    return offset
