"""Runs of rows as a file gives them, and batches of any size made of these."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.table.malformed import LeftOut
from onelayer.table.reading import Part, Table


@dataclass(frozen=True, eq=False)
class Piece:
    """Some rows of one file.

    `row` is the number in the file of the first of them, `first_line` its line where the file is
    text; `lines` has the line of every row where that is not simply first_line + row.
    """

    frame: pl.DataFrame
    name: str
    row: int
    first_line: int | None = None
    lines: NDArray[np.int64] | None = field(default=None, repr=False)
    left_out: tuple[LeftOut, ...] = ()

    def with_frame(self, frame: pl.DataFrame) -> "Piece":
        """The same rows with other columns."""
        return replace(self, frame=frame)

    def split(self, rows: int) -> tuple["Piece", "Piece"]:
        """The first `rows` rows and the others; lines left out go with the first."""
        lines = self.lines
        head = replace(
            self, frame=self.frame.head(rows), lines=None if lines is None else lines[:rows]
        )
        tail = replace(
            self,
            frame=self.frame.slice(rows),
            row=self.row + rows,
            first_line=None if self.first_line is None else self.first_line + rows,
            lines=None if lines is None else lines[rows:],
            left_out=(),
        )
        return head, tail


class Source(Protocol):
    """What a stream is made of: one file, or the answer of a database.

    Parameters
    ----------
    name
        What messages call it.
    schema
        Its columns.
    rows
        How many there are; None where that is known only after a pass.
    largest_piece
        Bytes that must be held at once to read it, estimated.
    """

    name: str
    schema: dict[str, pl.DataType]
    rows: int | None
    largest_piece: int

    def read(self, start: int, rows: int, columns: Sequence[str]) -> Iterator[Piece]:
        """Its rows from `start` on, in pieces of about `rows` rows or what it can do."""


def take_rows(pieces: Iterable[Piece], rows: int) -> Iterator[Piece]:
    """The first so many rows; the pieces behind them are not asked for."""
    for piece in pieces:
        if piece.frame.height >= rows:
            yield piece.split(rows)[0]
            return
        rows -= piece.frame.height
        yield piece


def gather(pieces: Iterable[Piece], rows: int, name: str, na: tuple[str, ...]) -> Iterator[Table]:
    """Tables of `rows` rows each, the last of fewer."""
    held: list[Piece] = []
    n_held = 0
    for piece in pieces:
        held.append(piece)
        n_held += piece.frame.height
        while n_held >= rows:
            last = held.pop()
            head, tail = last.split(last.frame.height - (n_held - rows))
            yield _join([*held, head], name, na)
            held, n_held = [tail], tail.frame.height
            if not n_held:
                held = []
    if n_held:
        yield _join(held, name, na)


def _join(pieces: Sequence[Piece], name: str, na: tuple[str, ...]) -> Table:
    filled = [piece for piece in pieces if piece.frame.height]
    starts = np.cumsum([0, *(piece.frame.height for piece in filled)])
    parts = tuple(Part(piece.name, int(start), piece.row) for piece, start in zip(filled, starts))
    frame = filled[0].frame if len(filled) == 1 else pl.concat([piece.frame for piece in filled])
    left_out = tuple(left for piece in pieces for left in piece.left_out)
    first, lines = filled[0].first_line, _join_lines(filled)
    return Table(frame, name, left_out, first_line=first, na=na, lines=lines, parts=parts)


def _join_lines(pieces: Sequence[Piece]) -> NDArray[np.int64] | None:
    if pieces[0].first_line is None or (len(pieces) == 1 and pieces[0].lines is None):
        return None
    each = [
        piece.lines
        if piece.lines is not None
        else (piece.first_line or 0) + np.arange(piece.frame.height)
        for piece in pieces
    ]
    return np.concatenate(each)
