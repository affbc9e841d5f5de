"""Delimited text to a frame of strings, with every line accounted for.

polars parses; this module proves that it parsed what is there. polars fills a short row with empty
fields, takes a blank line for a row and mends odd quotes in its own way, all without a word. So
its frame is believed where the bytes add up (`_adds_up`); else the records are counted one by one,
malformed ones are left out and named by line, and polars parses the rest.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.errors import DataWarning, InputError
from onelayer.table.delimiter import find_delimiter, find_line_end, spell
from onelayer.table.grammar import Dialect, has_quoted_fields, split_record
from onelayer.table.malformed import (
    MALFORMED_PER_ROW,
    LeftOut,
    limit_malformed,
    say_left_out,
)
from onelayer.table.names import clean_names
from onelayer.table.record_shapes import Shapes, say_shape
from onelayer.table.records import Records, count_quotes, find_records

_CONTENT = re.compile(rb"\S")
_ROW = re.compile(rb"[^ \r\n]")


@dataclass(frozen=True, eq=False)
class Delimited:
    """A text table as read: every value as written, and where each row stood.

    `first_line` is the line of row 0; `lines` the line of every row where that is not simply
    first_line + row. `shapes` tells the shapes of all records, malformed ones too.
    """

    frame: pl.DataFrame
    left_out: tuple[LeftOut, ...]
    first_line: int
    lines: NDArray[np.int64] | None
    shapes: Shapes


@dataclass(frozen=True)
class Layout:
    """How the text is to be cut: `names` as written, rows from byte `body` on line `line` on.

    `width` is the number of names as written, by which stray quotes are told, the same one in all
    windows of a text; fitted to the rows, `names` may be of another number. `whole` says that the
    text is all there is. Of a window of a longer one neither the names nor the share of malformed
    lines can be judged: its names are fitted already, and the lines left out are for the caller to
    count.
    """

    source: str
    dialect: Dialect
    names: tuple[str, ...]
    has_header: bool
    body: int
    line: int
    width: int
    whole: bool = True

    @property
    def n_named(self) -> int:
        """Columns without the unnamed ones at the end."""
        return max((k for k, name in enumerate(self.names, start=1) if name.strip()), default=0)

    def say(self) -> str:
        """For messages: how many columns are expected, and what stands between them."""
        columns = "named columns" if self.has_header else "names given"
        return f"{self.n_named} {columns}, delimiter {spell(self.dialect.delimiter)}"


def read_delimited(
    text: bytes, source: str, names: Sequence[str] | None = None, prefer_tab: bool = False
) -> Delimited:
    r"""Read delimited text (UTF-8); `names` are the columns of a text without a header.

    Every column is `String`, every value exactly as written, an empty field the empty string.
    Blank lines and unnamed columns at the end with nothing under them are dropped. A line with too
    many or too few fields, with a quote that is never closed or with a value under an unnamed
    column at the end is left out: up to 0.1 % of them, with a DataWarning.

    Raises InputError for more malformed lines, doubled names, a header without rows.

    >>> read_delimited(b"age;sex\n41;f\n29;m\n", "loans.csv").frame.rows()
    [('41', 'f'), ('29', 'm')]
    """
    if not _CONTENT.search(text):
        raise InputError(f"{source}: the file is empty; a header and rows are expected")
    line_end = find_line_end(text)
    text = text if text.endswith(line_end) else text + line_end
    layout = lay_out(text, line_end, source, names, prefer_tab)
    if not has_rows(text, layout.body):
        raise InputError(f"{source}: no rows below the header; at least one is expected")
    table = read_rows(text, layout, skip_lines=layout.line - 1)
    question_header(table.frame, layout)
    say_left_out(table.left_out, table.frame.height, source)
    return table


def has_rows(text: bytes, start: int) -> bool:
    """Whether any line from byte `start` on is more than blanks."""
    return _ROW.search(text, start) is not None


def read_rows(text: bytes, layout: Layout, skip_lines: int) -> Delimited:
    """The rows from `layout.body` on, the line after `skip_lines` lines of the text."""
    frame = _parse(text, layout, len(layout.names), skip_lines)
    if frame is None or not _adds_up(frame, text, layout):
        return _read_record_by_record(text, layout)
    alike = Shapes.of_rows(frame.width, frame.height, layout.line)
    return _drop_unnamed(Delimited(frame, (), layout.line, None, alike), layout)


def fit_layout(text: bytes, layout: Layout) -> Layout:
    """The layout for every window of a long text whose first rows are in `text`, whole records.

    A delimiter at the end of nearly all these rows, or of the header alone, does no harm then.
    """
    window = replace(layout, body=0, whole=False)
    frame = _parse(text, window, len(layout.names), skip_lines=0)
    if frame is not None and _adds_up(frame, text, window):
        return window
    records = find_records(text, 0, layout.line, layout.dialect, layout.width)
    shapes = Shapes.of_records(records, ~_is_blank(records))
    return replace(window, names=_fit_names(layout.names, shapes, layout.n_named))


def judge_shapes(shapes: Shapes, layout: Layout) -> None:
    """Refuse a long text, of which all windows were read, for its malformed records.

    `layout` has the names as they are written. Fitted to all records they may not be what they
    were fitted to the first window; the whole text is refused then for what is wrong by its own.
    """
    names = _fit_names(layout.names, shapes, layout.n_named)
    first, n_out = shapes.find_malformed(len(names))
    if first is not None:
        limit_malformed(first, n_out, shapes.total - n_out, layout.source, layout.say())


def lay_out(
    text: bytes, line_end: bytes, source: str, names: Sequence[str] | None, prefer_tab: bool
) -> Layout:
    """How a text that begins so is to be cut. Raises InputError where its columns have no names."""
    layout = _lay_out(text, line_end, source, names, prefer_tab)
    if not layout.n_named:
        raise InputError(f"{source}: the header names no column; name them in the first line")
    clean_names(layout.names[: layout.n_named], source)
    return layout


def _lay_out(
    text: bytes, line_end: bytes, source: str, names: Sequence[str] | None, prefer_tab: bool
) -> Layout:
    blank = re.match(rb"(?: *\r?" + re.escape(line_end) + rb")*", text)
    start = blank.end() if blank else 0
    # The first line of an Excel export may name the delimiter.
    told = re.compile(rb'"?sep=([,;\t|])"?\r?' + re.escape(line_end)).match(text, start)
    if told:
        start, delimiter = told.end(), told[1]
    else:
        width = None if names is None else len(names)
        delimiter = find_delimiter(text, start, line_end, source, width, prefer_tab)
    dialect = Dialect(delimiter, line_end)
    line = 1 + text.count(line_end, 0, start)
    if names is not None:
        return Layout(source, dialect, tuple(names), False, start, line, len(names))
    header = split_record(text, start, dialect)
    if not header.closed:
        raise InputError(
            f"{source}, line {line}: a quote is opened in the header and not closed; mend it"
        )
    written = tuple(field.decode() for field in header.fields)
    line += text.count(line_end, start, header.stop)
    return Layout(source, dialect, written, True, header.stop, line, len(written))


def _parse(text: bytes, layout: Layout, width: int, skip_lines: int) -> pl.DataFrame | None:
    """polars' own reading, or None where it finds fault."""
    schema = {f"column_{k}": pl.String for k in range(1, width + 1)}
    if not text:
        return pl.DataFrame(schema=schema)
    quoted = has_quoted_fields(text, 0, layout.dialect)
    try:
        return pl.read_csv(
            text,
            has_header=False,
            schema=schema,
            separator=layout.dialect.delimiter.decode(),
            eol_char=layout.dialect.line_end.decode(),
            quote_char='"' if quoted else None,
            skip_lines=skip_lines,
            empty_string_is_null=False,
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None


def _adds_up(frame: pl.DataFrame, text: bytes, layout: Layout) -> bool:
    """Whether values, delimiters, line ends and quotes of the frame are all the bytes of the text.

    polars never takes a line with too many fields; so where all delimiters are there, no row is
    short and none was blank. Fields of several lines and a bare "\r" (which polars strips) do not
    add up either: then the lines have to be counted, or looked at.
    """
    n_lines = text.count(layout.dialect.line_end, layout.body)
    returns = (
        text.count(b"\r", layout.body) if layout.dialect.line_end == b"\n" and b"\r" in text else 0
    )
    if n_lines != frame.height or returns not in (0, n_lines):
        return False
    # In a single column a blank line has all its delimiters, namely none.
    if frame.width == 1 and (frame.to_series().str.strip_chars(" ") == "").any():
        return False
    quotes = count_quotes(text, layout.body, layout.dialect)
    if quotes is None:
        return False
    n_values = frame.select(pl.sum_horizontal(pl.all().str.len_bytes().cast(pl.Int64).sum())).item()
    n_delimiters = frame.height * (frame.width - 1)
    return bool(len(text) - layout.body == n_values + n_delimiters + n_lines + returns + quotes)


def _read_record_by_record(text: bytes, layout: Layout) -> Delimited:
    records = find_records(text, layout.body, layout.line, layout.dialect, layout.width)
    blank = _is_blank(records)
    shapes = Shapes.of_records(records, ~blank)
    if layout.whole:
        layout = replace(layout, names=_fit_names(layout.names, shapes, layout.n_named))
    width = len(layout.names)
    malformed = ~blank & (records.broken | (records.counts != width))
    left_out = tuple(_reasons(records, malformed, width))
    keep = ~blank & ~malformed
    if left_out and layout.whole:
        limit_malformed(left_out[0], len(left_out), int(keep.sum()), layout.source, layout.say())
    frame = _parse(records.take(keep, layout.dialect.line_end), layout, width, skip_lines=0)
    if frame is None or frame.height != keep.sum():
        raise InputError(
            f"{layout.source}: the quotes of the table cannot be made out; export it again"
        )
    lines = records.lines[keep]
    first_line = int(lines[0]) if lines.size else layout.line
    return _drop_unnamed(Delimited(frame, left_out, first_line, lines, shapes), layout)


def _is_blank(records: Records) -> NDArray[np.bool_]:
    blank: NDArray[np.bool_] = records.starts == records.stops
    for k in np.flatnonzero((records.counts == 1) & ~blank & ~records.broken).tolist():
        piece = records.text[records.starts[k] : records.stops[k]]
        blank[k] = not piece.strip(b" ")
    return blank


def _fit_names(names: tuple[str, ...], shapes: Shapes, n_named: int) -> tuple[str, ...]:
    """The names with as many unnamed ones at the end as nearly all rows have fields there.

    So a delimiter at the end of each row but not of the header, or of the header alone, does no
    harm.
    """
    common, n_common = shapes.find_common()
    if common < n_named or n_common < (1 - MALFORMED_PER_ROW) * shapes.total:
        return names
    return (*names, *[""] * (common - len(names)))[:common]


def _reasons(records: Records, malformed: NDArray[np.bool_], width: int) -> list[LeftOut]:
    return [
        LeftOut(int(records.lines[k]), say_shape(int(records.counts[k]), records.broken[k], width))
        for k in np.flatnonzero(malformed).tolist()
    ]


def _drop_unnamed(table: Delimited, layout: Layout) -> Delimited:
    """Name the columns; drop those at the end without a name, and rows with a value under them."""
    frame, n_named = table.frame, layout.n_named
    names = clean_names(layout.names[:n_named], layout.source)
    unnamed = frame.columns[n_named:]
    rows = np.zeros(0, np.int64)
    if unnamed and frame.height:
        filled = frame.select(pl.any_horizontal(pl.col(c).str.strip_chars() != "" for c in unnamed))
        rows = np.flatnonzero(filled.to_series().to_numpy())
    frame = frame.select(pl.col(c).alias(name) for c, name in zip(frame.columns, names))
    if rows.size:
        table = _leave_out(table, rows, layout)
        frame = frame.filter(_mask_without(frame.height, rows))
    lines = table.lines
    if lines is not None and lines.size and lines[-1] - lines[0] == lines.size - 1:
        lines = None
    return replace(table, frame=frame, lines=lines)


def _mask_without(height: int, rows: NDArray[np.int64]) -> pl.Series:
    keep = np.ones(height, np.bool_)
    keep[rows] = False
    return pl.Series(keep)


def _leave_out(table: Delimited, rows: NDArray[np.int64], layout: Layout) -> Delimited:
    height = table.frame.height
    lines = table.lines if table.lines is not None else table.first_line + np.arange(height)
    n_out = len(table.left_out) + rows.size
    if layout.whole:
        # The first is enough for the error; to build all takes long where no row is right.
        firsts = [_name_value(table.frame.row(rows[0]), int(lines[rows[0]]), layout)]
        first = min([*firsts, *table.left_out[:1]], key=lambda left: left.line)
        limit_malformed(first, n_out, height - rows.size, layout.source, layout.say())
    found = [_name_value(table.frame.row(row), int(lines[row]), layout) for row in rows.tolist()]
    left_out = tuple(sorted([*table.left_out, *found], key=lambda left: left.line))
    lines = np.delete(lines, rows)
    first_line = int(lines[0]) if lines.size else layout.line
    return replace(table, left_out=left_out, lines=lines, first_line=first_line)


def _name_value(row: tuple[str, ...], line: int, layout: Layout) -> LeftOut:
    unnamed = enumerate(row[layout.n_named :], start=layout.n_named + 1)
    k, value = next((k, value) for k, value in unnamed if value.strip())
    return LeftOut(line, f"a value ({value[:30]!r}) under column {k}, which has no name")


def question_header(frame: pl.DataFrame, layout: Layout) -> None:
    """Warn where the header looks like a row: half of its fields are values of their columns."""
    if not layout.has_header or frame.width < 2:
        return
    head = frame.head(1000)
    values = [name for name in frame.columns if (head[name].str.strip_chars() == name).any()]
    if 2 * len(values) >= frame.width:
        warnings.warn(
            f"{layout.source}: the first line looks like a row, not a header ({values[0]!r} is a "
            "value of its own column too); give the names of the columns if there is no header",
            DataWarning,
            stacklevel=2,
        )
