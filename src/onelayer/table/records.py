"""Delimited text cut into records: where each begins and ends, its line, its number of fields.

Nearly every line is a record by itself, which NumPy sees for all lines at once; the
others (a quoted field goes on, or a quote is misplaced) are taken apart one by one.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onelayer.table.grammar import (
    QUOTE,
    Dialect,
    has_quoted_fields,
    join_fields,
    split_record,
)

# A piece that stays in the processor's cache while a dozen passes go over it.
_CHUNK_BYTES = 1 << 18
# So many delimiters, each line of a quoted field having just those of a row, are no accident.
_CERTAIN_DELIMITERS = 12


@dataclass(frozen=True, eq=False)
class Records:
    """All records of a text: text[starts[i]:stops[i]] is record i, without its line end.

    `broken` marks lines on which a quote is opened and not closed; `mended` has records that were
    taken apart, written again as the grammar wants them.
    """

    text: bytes
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    counts: NDArray[np.int64]
    lines: NDArray[np.int64]
    broken: NDArray[np.bool_]
    mended: dict[int, bytes] = field(default_factory=dict)

    def take(self, keep: NDArray[np.bool_], line_end: bytes) -> bytes:
        """The text of the records marked in `keep`; a run of untouched ones is copied at once."""
        plain = keep.copy()
        plain[list(self.mended)] = False
        edges = np.flatnonzero(np.diff(plain, prepend=False, append=False))
        pieces = {
            first: self.text[self.starts[first] : self.stops[last - 1]]
            for first, last in zip(edges[::2].tolist(), edges[1::2].tolist())
        }
        pieces |= {k: piece for k, piece in self.mended.items() if keep[k]}
        ordered = [pieces[k] for k in sorted(pieces)] if self.mended else pieces.values()
        return line_end.join([*ordered, b""])


def find_records(text: bytes, start: int, line: int, dialect: Dialect, width: int) -> Records:
    """Every record from byte `start` (on line `line`) on, of a text that ends with a line end.

    A quote in the middle of a field is kept as a character. A line on which a quote is opened that
    nothing closes is broken, and the next line begins anew; so is one whose quote swallows lines
    that are rows of `width` fields by themselves (see `_swallows`).
    """
    quoted = has_quoted_fields(text, start, dialect)
    with ThreadPoolExecutor() as pool:
        surveys = list(
            pool.map(
                lambda block: _survey(text, block[0], block[1], dialect, quoted),
                _blocks(text, start, dialect),
            )
        )
    ends, counts, simple = (np.concatenate(column) for column in zip(*surveys))
    records = Records(
        text,
        starts=np.concatenate([[start], ends[:-1] + 1]),
        stops=ends,
        counts=counts,
        lines=line + np.arange(ends.size),
        broken=np.zeros(ends.size, np.bool_),
    )
    records = records if simple.all() else _join_lines(records, ~simple, dialect, width)
    if dialect.line_end == b"\n":
        returns = np.frombuffer(text, np.uint8)[records.stops - 1] == ord("\r")
        records.stops[:] -= returns & (records.stops > records.starts)
    return records


def count_quotes(text: bytes, start: int, dialect: Dialect) -> int | None:
    """How many bytes from `start` on are quotes but not of a value; None if one is misplaced."""
    if not has_quoted_fields(text, start, dialect):
        return 0
    buffer = np.frombuffer(text, np.uint8)
    n_quotes = n_doubled = 0
    for low in range(start, buffer.size, _CHUNK_BYTES):
        quotes = low + np.flatnonzero(buffer[low : low + _CHUNK_BYTES] == QUOTE[0])
        opening, closing = quotes[n_quotes % 2 :: 2], quotes[1 - n_quotes % 2 :: 2]
        if not (
            _opens(buffer, opening, start, dialect).all()
            and _closes(buffer, closing, dialect).all()
        ):
            return None
        n_doubled += int(
            np.count_nonzero(buffer[np.minimum(closing + 1, buffer.size - 1)] == QUOTE[0])
        )
        n_quotes += quotes.size
    return None if n_quotes % 2 else n_quotes - n_doubled


def may_swallow(text: bytes, dialect: Dialect, width: int) -> bool:
    """Whether `find_records` might call a quote stray, in a text whose quotes are all in place.

    Looked at for all records at once, and so a little too often: a line with quotes may be a row.
    """
    buffer = np.frombuffer(text, np.uint8)
    marks = np.flatnonzero(_is_edge(buffer, dialect))
    kinds = buffer[marks]
    is_quote, is_delimiter = kinds == QUOTE[0], kinds == dialect.delimiter[0]
    ends = np.flatnonzero(kinds == dialect.line_end[0])
    inside = (np.cumsum(is_quote) & 1).astype(np.bool_)
    is_last = ~inside[ends]  # line of its record
    if is_last.all():
        return False
    outside = np.cumsum(is_delimiter & ~inside)[ends[is_last]]
    record: NDArray[np.int64] = np.cumsum(is_last) - is_last  # of each line
    is_inner = ~is_last & (np.diff(record, prepend=-1) == 0)
    n_quotes, n_delimiters = (
        np.diff(np.cumsum(each)[ends], prepend=0) for each in (is_quote, is_delimiter)
    )
    may_be_row = (n_quotes > 0) | (n_delimiters == width - 1)
    n_lines, n_inner = np.bincount(record), np.bincount(record, is_inner)
    all_rows = np.bincount(record, is_inner & may_be_row) == n_inner
    of_other_width = np.diff(outside, prepend=0) + 1 != width
    certain = all_rows & (n_inner * (width - 1) >= _CERTAIN_DELIMITERS)
    return bool(((n_lines > 1) & (of_other_width | certain)).any())


def _blocks(text: bytes, start: int, dialect: Dialect) -> Iterator[tuple[int, int]]:
    """Pieces of whole lines."""
    while start < len(text):
        stop = text.rfind(dialect.line_end, start, start + _CHUNK_BYTES)
        stop = text.find(dialect.line_end, start) if stop < 0 else stop
        yield start, stop + 1
        start = stop + 1


def _survey(
    text: bytes, start: int, stop: int, dialect: Dialect, quoted: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Of each line: where it ends, how many fields it has, and whether it is a record by itself."""
    buffer = np.frombuffer(text, np.uint8)
    chunk = buffer[start:stop]
    is_end, is_delimiter = chunk == dialect.line_end[0], chunk == dialect.delimiter[0]
    is_quote = chunk == QUOTE[0] if quoted else np.zeros(chunk.size, np.bool_)
    marks = np.flatnonzero(is_end | is_delimiter | is_quote)
    is_end, is_quote = is_end[marks], is_quote[marks]
    ends = np.flatnonzero(is_end)
    if not is_quote.any():
        return start + marks[ends], np.diff(ends, prepend=-1), np.ones(ends.size, np.bool_)
    # Counted from the start of its line, an even number of quotes lies behind what is outside.
    quotes = np.cumsum(is_quote)
    before_line = np.concatenate([[0], np.maximum.accumulate(np.where(is_end, quotes, 0))[:-1]])
    inside = ((quotes - before_line) & 1).astype(np.bool_)
    delimiters = np.cumsum(is_delimiter[marks] & ~inside)[ends]
    opening, closing = is_quote & inside, is_quote & ~inside
    misplaced = inside & is_end
    misplaced[opening] = ~_opens(buffer, start + marks[opening], start, dialect)
    misplaced[closing] = ~_closes(buffer, start + marks[closing], dialect)
    n_misplaced = np.cumsum(misplaced)[ends]
    return (
        start + marks[ends],
        np.diff(delimiters, prepend=0) + 1,
        np.diff(n_misplaced, prepend=0) == 0,
    )


def _opens(
    buffer: NDArray[np.uint8], quotes: NDArray[np.int64], start: int, dialect: Dialect
) -> NDArray[np.bool_]:
    edge = _is_edge(buffer[quotes - 1], dialect)
    edge |= quotes == start
    return edge


def _closes(
    buffer: NDArray[np.uint8], quotes: NDArray[np.int64], dialect: Dialect
) -> NDArray[np.bool_]:
    after, next_to = (buffer[np.minimum(quotes + k, buffer.size - 1)] for k in (1, 2))
    edge = _is_edge(after, dialect)
    edge |= (after == ord("\r")) & (next_to == dialect.line_end[0])
    return edge


def _is_edge(neighbours: NDArray[np.uint8], dialect: Dialect) -> NDArray[np.bool_]:
    edge: NDArray[np.bool_] = neighbours == QUOTE[0]
    edge |= neighbours == dialect.delimiter[0]
    edge |= neighbours == dialect.line_end[0]
    return edge


def _join_lines(
    records: Records, unclear: NDArray[np.bool_], dialect: Dialect, width: int
) -> Records:
    """Settle the lines that are no records by themselves: they go on, are mended, or are broken."""
    text = records.text
    starts, stops, counts = records.starts.tolist(), records.stops, records.counts
    is_row = ~unclear & (counts == width)
    own = np.ones(stops.size, np.bool_)
    mended: dict[int, bytes] = {}
    cursor = 0
    for k in np.flatnonzero(unclear).tolist():
        if k < cursor:
            continue
        record = split_record(text, starts[k], dialect)
        cursor = k + text.count(dialect.line_end, starts[k], record.stop)
        if not record.closed or _swallows(is_row[k + 1 : cursor], len(record.fields), width):
            records.broken[k], cursor = True, k + 1
            continue
        own[k + 1 : cursor] = False
        stops[k], counts[k] = stops[cursor - 1], len(record.fields)
        mended[k] = join_fields(record.fields, dialect)
    place = np.cumsum(own) - 1
    return Records(
        text,
        records.starts[own],
        stops[own],
        counts[own],
        records.lines[own],
        records.broken[own],
        {int(place[k]): piece for k, piece in mended.items()},
    )


def _swallows(is_row: NDArray[np.bool_], n_fields: int, width: int) -> bool:
    """Whether a record of several lines comes of a stray quote, not of a field of several lines.

    `is_row` says which of its lines after the first are rows by themselves. In a malformed record
    one such line is enough; a well-formed one is doubted only where so many delimiters stand in
    their places that no text of a person looks like it.
    """
    if n_fields != width:
        return bool(is_row[:1].any())
    inner = is_row[:-1]
    return bool(inner.size * (width - 1) >= _CERTAIN_DELIMITERS and inner.all())
