"""In which encoding a text is spelled that comes in windows."""

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from onelayer.table.text import (
    count_spelled,
    first_wrong_byte,
    is_binary,
    line_at,
    place_wrong,
    read_windows_1252,
    refuse_binary,
    refuse_damage,
    refuse_nul,
)


@dataclass
class Spelling:
    """Windows of a text to UTF-8, as `text.decode_text` does with all of it at once.

    What the encoding is can be told where the first byte stands that is not UTF-8: Windows-1252,
    unless most of the text is UTF-8 (`pieces` reads all of it once more, just then). Windows given
    out before are right then too, for a text with UTF-8 before that byte is refused.
    """

    source: str
    pieces: Callable[[], Iterator[bytes]]
    beyond_ascii: bool = False
    is_windows: bool = False

    def decode(self, window: bytes, line: int) -> bytes:
        """The window, which begins on line `line`, in UTF-8.

        Raises InputError, which names line and byte, for NUL bytes and for bytes of no encoding.
        """
        nul = window.find(b"\0")
        if nul >= 0:
            raise refuse_nul(self.source, line_at(window, nul, line))
        if window.isascii():
            return window
        if self.is_windows:
            place = place_wrong(window, _beyond_ascii(window), self.source, line)
            return read_windows_1252(window, 0, place, say=False)
        wrong = first_wrong_byte(window)
        if wrong is None:
            self.beyond_ascii = True
            return window
        place = place_wrong(window, wrong, self.source, line)
        mixed = self.beyond_ascii or not window[:wrong].isascii()
        self._judge(place, mixed)
        return read_windows_1252(window, wrong, place)

    def _judge(self, place: str, mixed: bool) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        n_right = n_wrong = 0
        for k, piece in enumerate(self.pieces()):
            if k == 0 and is_binary(piece):
                raise refuse_binary(self.source)
            right, wrong = count_spelled(piece, decoder, final=False)
            n_right, n_wrong = n_right + right, n_wrong + wrong
        if mixed or n_right > n_wrong:
            raise refuse_damage(place)
        self.is_windows = True


def _beyond_ascii(window: bytes) -> int:
    return next(k for k, byte in enumerate(window) if byte > 127)
