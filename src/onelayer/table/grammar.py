"""The grammar of delimited text (RFC 4180), one record at a time.

A field that begins with a quote ends with one, and `""` inside it is a quote.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

QUOTE = b'"'
# No quote but doubled ones after the first.
_OPEN = re.compile(rb'"[^"]*+(?:""[^"]*+)*+\Z')


@dataclass(frozen=True)
class Dialect:
    r"""One byte between fields, and one that ends a line (b"\n" also stands for b"\r\n")."""

    delimiter: bytes
    line_end: bytes


@dataclass(frozen=True)
class Record:
    """One record taken apart: its fields without their quotes, and where the next one begins."""

    fields: list[bytes]
    stop: int
    closed: bool


def split_record(text: bytes, start: int, dialect: Dialect) -> Record:
    r"""Take apart the record that begins at byte `start`.

    A quote inside a field that does not begin with one is an ordinary character. Where a field
    begins with a quote that is never closed, `closed` is False and the record ends with its line.

    >>> split_record(b'1,"a ""b"",",3"\n4,5\n', 0, Dialect(b",", b"\n"))
    Record(fields=[b'1', b'a "b",', b'3"'], stop=16, closed=True)
    """
    quoted, plain = _field_patterns(dialect)
    fields: list[bytes] = []
    while True:
        match = quoted.match(text, start)
        if match is not None:
            value, start = match[1].replace(b'""', QUOTE), match.end()
        elif text.startswith(QUOTE, start):
            line_stop = text.find(dialect.line_end, start)
            return Record(fields, len(text) if line_stop < 0 else line_stop + 1, closed=False)
        else:
            value, start = _plain_field(text, start, plain)
        fields.append(value)
        if text[start : start + 1] != dialect.delimiter:
            end = 2 if text.startswith(b"\r\n", start) else 1
            return Record(fields, min(start + end, len(text)), closed=True)
        start += 1


def runs_out(text: bytes, start: int, dialect: Dialect) -> bool:
    r"""Whether a field of the record at byte `start` is open where the text ends.

    Then more text could still close it, as opposed to a quote that is closed in the wrong place.

    >>> comma = Dialect(b",", b"\n")
    >>> runs_out(b'1,"two\n', 0, comma), runs_out(b'1,"two" 3\n', 0, comma)
    (True, False)
    """
    quoted, plain = _field_patterns(dialect)
    while True:
        match = quoted.match(text, start)
        if match is not None:
            start = match.end()
        elif text.startswith(QUOTE, start):
            return _OPEN.match(text, start) is not None
        else:
            start = _plain_field(text, start, plain)[1]
        if text[start : start + 1] != dialect.delimiter:
            return False
        start += 1


def has_quoted_fields(text: bytes, start: int, dialect: Dialect) -> bool:
    """Whether any field begins with a quote; if none does, quotes are ordinary characters."""
    if text.find(QUOTE, start) < 0:
        return False
    return (
        text.startswith(QUOTE, start)
        or text.find(dialect.delimiter + QUOTE, start) >= 0
        or text.find(dialect.line_end + QUOTE, start) >= 0
    )


def join_fields(fields: list[bytes], dialect: Dialect) -> bytes:
    """The record of these fields, quoted where need be; the inverse of `split_record`."""
    if fields == [b""]:
        return QUOTE + QUOTE
    special = (QUOTE, b"\r", b"\n", dialect.delimiter)
    return dialect.delimiter.join(
        QUOTE + value.replace(QUOTE, b'""') + QUOTE if any(s in value for s in special) else value
        for value in fields
    )


@lru_cache
def _field_patterns(dialect: Dialect) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    delimiter, line_end = re.escape(dialect.delimiter), re.escape(dialect.line_end)
    stop = rb"(?=" + delimiter + rb"|\r?" + line_end + rb"|\r?\Z)"
    quoted = rb'"([^"]*+(?:""[^"]*+)*+)"' + stop
    plain = rb"[^" + delimiter + line_end + rb"]*"
    return re.compile(quoted), re.compile(plain)


def _plain_field(text: bytes, start: int, plain: re.Pattern[bytes]) -> tuple[bytes, int]:
    match = plain.match(text, start)
    assert match is not None, "the pattern matches the empty field too"
    stop = match.end()
    if text[stop : stop + 1] in (b"", b"\n"):
        return match[0].removesuffix(b"\r"), stop
    return match[0], stop
