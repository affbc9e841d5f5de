"""Bytes to text: whatever encoding a table was saved in, UTF-8 without a mark comes out."""

import codecs
import re
import warnings

from onelayer.errors import DataWarning, InputError

# Longest first: the mark of UTF-16 begins that of UTF-32.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_HEAD_BYTES = 4096
_CHUNK_BYTES = 1 << 20
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def decode_text(data: bytes, source: str) -> bytes:
    """The same text in UTF-8, without a byte order mark.

    Read are UTF-8, UTF-16 and UTF-32 (by their mark, UTF-16 by its pattern of NUL bytes too), and,
    with a DataWarning, Windows-1252 where most bytes beyond ASCII spell nothing in UTF-8.

    Raises InputError, which names line and byte, for NUL bytes, for text that is cut inside a
    character and for bytes that are neither.

    >>> decode_text("é;1".encode("utf-16"), "loans.csv").decode()
    'é;1'
    """
    encoding = _wide_encoding(data)
    if encoding:
        data = _decode_wide(data, encoding, source)
    while data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
    nul = data.find(b"\0")
    if nul >= 0:
        raise InputError(
            f"{source}, line {_line_at(data, nul)}: a NUL byte, which no text holds; the file is "
            "damaged or no text table, export it again as CSV in UTF-8"
        )
    wrong = None if data.isascii() else _first_wrong_byte(data)
    return data if wrong is None else _decode_windows(data, wrong, source)


def _wide_encoding(data: bytes) -> str | None:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return encoding
    head = data[:_HEAD_BYTES]
    at_even, at_odd = head[::2].count(0), head[1::2].count(0)
    # In Western text nearly every second byte is NUL; both halves full of them are something else.
    mostly, hardly = 0.35 * len(head), 0.05 * len(head)
    if at_odd >= mostly and at_even <= hardly:
        return "utf-16-le"
    if at_even >= mostly and at_odd <= hardly:
        return "utf-16-be"
    return None


def _decode_wide(data: bytes, encoding: str, source: str) -> bytes:
    try:
        return data.decode(encoding).encode()
    except UnicodeError as error:
        family = encoding[:6].upper()
        raise InputError(
            f"{source}: looks like {family} but is cut or damaged (at byte "
            f"{getattr(error, 'start', 0)}); export it again as CSV in UTF-8"
        ) from None


def _first_wrong_byte(data: bytes) -> int | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    for low in range(0, len(data), _CHUNK_BYTES):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(view[low : low + _CHUNK_BYTES], final=low + _CHUNK_BYTES >= len(data))
        except UnicodeDecodeError as error:
            return low - pending + error.start
    return None


def _decode_windows(data: bytes, wrong: int, source: str) -> bytes:
    place = f"{source}, line {_line_at(data, wrong)}: byte 0x{data[wrong]:02X} is not UTF-8"
    if _CONTROL.search(data, 0, _HEAD_BYTES):
        raise InputError(f"{source}: not a text table (binary bytes); save it as CSV in UTF-8")
    if _is_damaged_utf8(data):
        raise InputError(
            f"{place} though the rest of the file is; mend it or save it again as UTF-8"
        )
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        raise InputError(f"{place}, nor is the file Windows-1252; save it again as UTF-8") from None
    warnings.warn(
        f"{place}; the file is read as Windows-1252, which makes this word "
        f"{_word_at(text, wrong)!r}; save it as UTF-8 if that is wrong",
        DataWarning,
        stacklevel=2,
    )
    return text.encode()


def _is_damaged_utf8(data: bytes) -> bool:
    """Whether more of the bytes beyond ASCII spell characters of UTF-8 than do not."""
    text = data.decode(errors="replace")
    n_ascii = sum(map(len, re.findall(rb"[\x00-\x7f]+", data)))
    n_wrong = text.count("\ufffd")
    return len(text) - n_ascii - n_wrong > n_wrong


def _line_at(data: bytes, position: int) -> int:
    line_end = b"\n" if b"\n" in data else b"\r"
    return data.count(line_end, 0, position) + 1


def _word_at(text: str, position: int) -> str:
    around = text[max(0, position - 30) : position + 30]
    before = re.search(r"\w*$", around[: min(30, position)])
    after = re.match(r"\W?\w*", around[min(30, position) :])
    return (before[0] if before else "") + (after[0] if after else "")
