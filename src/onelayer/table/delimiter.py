"""Which byte stands between the fields, and which ends a line: found in the head of the text."""

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onelayer.errors import DataWarning, InputError
from onelayer.table.grammar import Dialect, split_record

DELIMITERS = (b",", b";", b"\t", b"|")
# Delimiters of other tools, which are told from an ordinary name but not read.
_UNREAD = re.compile(rb"[:^~\x01\x02\x1c-\x1f\xa7]")
_NUMBER = re.compile(rb"\s*[-+]?[\d.,]*\d(?:[eE][-+]?\d+)?\s*")
_HEAD_BYTES = 1 << 16
_HEAD_RECORDS = 200
# For a delimiter to be the one, nine of ten lines must have as many fields as the header.
_AGREEMENT = 0.9


@dataclass(frozen=True)
class _Trial:
    """The head of the text as one delimiter cuts it: lines of `counts` fields, mostly `width`."""

    delimiter: bytes
    counts: list[int]
    width: int
    numbers: float

    @property
    def agreement(self) -> float:
        """The share of lines with as many fields as `width`."""
        return self.counts.count(self.width) / len(self.counts)

    @property
    def agrees(self) -> bool:
        """Whether it may be the delimiter of the table."""
        return self.agreement >= _AGREEMENT

    def rank(self, expected: int | None) -> tuple[int, bool, float, float]:
        """Sorts trials: the expected width, then agreement, then more fields, then more numbers."""
        # One more than expected may be a delimiter at the end of each line.
        fits = (
            0 if expected is None else 2 * (self.width == expected) + (self.width == expected + 1)
        )
        return fits, self.agrees, self.width if self.agrees else self.agreement, self.numbers


def find_line_end(text: bytes) -> bytes:
    r"""b"\r" where the first line end outside of quotes is a lone one, else b"\n".

    >>> find_line_end(b"a,b\r1,2\r"), find_line_end(b"a,b\r\n1,2\r\n")
    (b'\r', b'\n')
    """
    first = re.match(rb'(?:"[^"]*+"|[^"\r\n]++)*+"?(\r+\n|\r|\n)', text)
    return b"\r" if first and first[1] == b"\r" else b"\n"


def find_delimiter(
    text: bytes, start: int, line_end: bytes, source: str, width: int | None, prefer_tab: bool
) -> bytes:
    """The delimiter among , ; tab | that cuts the head of the text into equally many fields.

    A single column is questioned: a DataWarning says which delimiters were tried, and where the
    header or the rows look as if another byte stood between fields it is an InputError. `width` is
    the number of columns where it is known beforehand.
    """
    trials = [_try_delimiter(text, start, Dialect(d, line_end), width is None) for d in DELIMITERS]
    if prefer_tab and trials[DELIMITERS.index(b"\t")].width > 1:
        return b"\t"
    # A single name may be that of a column of free text, with commas here and there.
    several = [trial for trial in trials if trial.width > 1 and (trial.agrees or width != 1)]
    if several:
        return max(several, key=lambda trial: trial.rank(width)).delimiter
    if width is None:
        _question_single_column(text, start, line_end, source, trials)
    # Of a long text this is the head: what stands in no line of it may stand in a later one.
    return next((d for d in (b"\x1f", *DELIMITERS) if d not in text), b"\x1f")


def spell(delimiter: bytes) -> str:
    """The delimiter in words, for messages."""
    return {b"\t": "tab", b"\x1f": "none"}.get(delimiter, repr(delimiter.decode()))


def _head(text: bytes, start: int, dialect: Dialect) -> Iterator[Sequence[bytes]]:
    stop = start + _HEAD_BYTES
    for _ in range(_HEAD_RECORDS):
        if start >= min(stop, len(text)):
            return
        record = split_record(text, start, dialect)
        fields = record.fields
        if not record.closed:
            fields = text[start : record.stop].split(dialect.delimiter)
        if len(fields) > 1 or fields[0].strip():
            yield fields
        start = record.stop


def _try_delimiter(text: bytes, start: int, dialect: Dialect, has_header: bool) -> _Trial:
    records = list(_head(text, start, dialect)) or [[b""]]
    counts = [len(record) for record in records]
    fields = [field for record in records for field in record]
    n_numbers = sum(_NUMBER.fullmatch(field) is not None for field in fields)
    width = counts[0] if has_header else max(counts, key=counts.count)
    return _Trial(dialect.delimiter, counts, width, n_numbers / max(1, len(fields)))


def _question_single_column(
    text: bytes, start: int, line_end: bytes, source: str, trials: Sequence[_Trial]
) -> None:
    tried = "none of , ; tab | stands in the header"
    for trial in trials:
        below = trial.counts[1:]
        if below and min(below) > 1 and below.count(below[0]) >= _AGREEMENT * len(below):
            raise InputError(
                f"{source}: the header has one field but the lines below it have {below[0]} with "
                f"{spell(trial.delimiter)} between them; write the header with the same delimiter"
            )
    rows = [record[0] for record in _head(text, start, Dialect(b"\x1f", line_end)) if record]
    header = rows[0].strip() if rows else b""
    shown = repr(header.decode(errors="replace")[:60])
    other = _UNREAD.search(header)
    spaced = len(header.split()) > 1 and len({len(row.split()) for row in rows}) == 1 < len(rows)
    if other or spaced:
        between = repr(other[0].decode(errors="replace")) if other else "a blank"
        raise InputError(
            f"{source}: one column only, {tried}, and {shown} looks as if {between} stands between "
            "fields; write the table with one of , ; tab |"
        )
    warnings.warn(f"{source}: one column only, {shown}: {tried}", DataWarning, stacklevel=2)
