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
_ASCII = re.compile(rb"[\x00-\x7f]+")
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
    encoding = wide_encoding(data)
    if encoding:
        data = WideDecoder(encoding, source).decode(data, final=True)
    while data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
    nul = data.find(b"\0")
    if nul >= 0:
        raise refuse_nul(source, line_at(data, nul))
    wrong = None if data.isascii() else first_wrong_byte(data)
    return data if wrong is None else _decode_windows(data, wrong, source)


def wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32, as Python names it, where the first bytes of a text are of that kind."""
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


class WideDecoder:
    """UTF-16 or UTF-32 to UTF-8, a piece at a time, without byte order marks at the start."""

    def __init__(self, encoding: str, source: str) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._encoding, self._source = encoding, source
        self._n_read, self._begun = 0, False

    def decode(self, data: bytes, final: bool) -> bytes:
        """The next piece; `final` says that nothing comes after it."""
        try:
            text = self._decoder.decode(data, final)
        except UnicodeError as error:
            place = self._n_read + getattr(error, "start", 0)
            raise InputError(
                f"{self._source}: looks like {self._encoding[:6].upper()} but is cut or damaged "
                f"(at byte {place}); export it again as CSV in UTF-8"
            ) from None
        self._n_read += len(data)
        if not self._begun:
            text, self._begun = text.lstrip("\ufeff"), bool(text)
        return text.encode()


def first_wrong_byte(data: bytes) -> int | None:
    """The first byte that is no part of a character of UTF-8."""
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
    place = place_wrong(data, wrong, source)
    if is_binary(data):
        raise refuse_binary(source)
    if _is_damaged_utf8(data):
        raise refuse_damage(place)
    return read_windows_1252(data, wrong, place)


def place_wrong(data: bytes, wrong: int, source: str, line: int = 1) -> str:
    """For messages: the byte that is not UTF-8, and its line; the text begins on line `line`."""
    return f"{source}, line {line_at(data, wrong, line)}: byte 0x{data[wrong]:02X} is not UTF-8"


def is_binary(head: bytes) -> bool:
    """Whether control characters stand at the start, as in no text table."""
    return _CONTROL.search(head, 0, _HEAD_BYTES) is not None


def refuse_binary(source: str) -> InputError:
    """The error for what is no text."""
    return InputError(f"{source}: not a text table (binary bytes); save it as CSV in UTF-8")


def refuse_damage(place: str) -> InputError:
    """The error for a text of UTF-8 with other bytes in it."""
    return InputError(f"{place} though the rest of the file is; mend it or save it again as UTF-8")


def refuse_nul(source: str, line: int) -> InputError:
    """The error for a NUL byte."""
    return InputError(
        f"{source}, line {line}: a NUL byte, which no text holds; the file is damaged or no text "
        "table, export it again as CSV in UTF-8"
    )


def read_windows_1252(data: bytes, wrong: int, place: str, say: bool = True) -> bytes:
    """The text in UTF-8; `say` warns of it with the word in which byte `wrong` stands."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        raise InputError(f"{place}, nor is the file Windows-1252; save it again as UTF-8") from None
    if say:
        warnings.warn(
            f"{place}; the file is read as Windows-1252, which makes this word "
            f"{_word_at(text, wrong)!r}; save it as UTF-8 if that is wrong",
            DataWarning,
            stacklevel=2,
        )
    return text.encode()


def _is_damaged_utf8(data: bytes) -> bool:
    """Whether more of the bytes beyond ASCII spell characters of UTF-8 than do not."""
    n_right, n_wrong = count_spelled(data, codecs.getincrementaldecoder("utf-8")("replace"), True)
    return n_right > n_wrong


def count_spelled(data: bytes, decoder: codecs.IncrementalDecoder, final: bool) -> tuple[int, int]:
    """How many characters beyond ASCII a piece of text spells in UTF-8, how many it spells not."""
    text = decoder.decode(data, final)
    n_wrong = text.count("\ufffd")
    return len(text) - sum(map(len, _ASCII.findall(data))) - n_wrong, n_wrong


def line_at(data: bytes, position: int, line: int = 1) -> int:
    """The line of a byte in a text that begins on line `line`."""
    line_end = b"\n" if b"\n" in data else b"\r"
    return data.count(line_end, 0, position) + line


def _word_at(text: str, position: int) -> str:
    around = text[max(0, position - 30) : position + 30]
    before = re.search(r"\w*$", around[: min(30, position)])
    after = re.match(r"\W?\w*", around[min(30, position) :])
    return (before[0] if before else "") + (after[0] if after else "")
