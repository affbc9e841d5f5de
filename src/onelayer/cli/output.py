"""Text for people, in 80 columns, and JSON for machines."""

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WIDTH = 80
INDENT = "  "
GAP = "  "
LONGEST_WORD = 24  # of a target's value inside a sentence


def print_lines(lines: Iterable[str], stream: Any = None) -> None:
    """Print lines to standard output, or to another stream, whatever its encoding can show."""
    stream = sys.stdout if stream is None else stream
    if stream is None:  # closed by whoever started us: nobody wants to read
        return
    text = "".join(f"{line.rstrip()}\n" for line in lines)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document; a number that is not finite must have been made a word before."""
    print_lines([json.dumps(document, allow_nan=False, ensure_ascii=False, indent=2)])


def show_text(text: str, most: int | None = None) -> str:
    """Text as one line that a terminal shows, cut to `most` columns.

    >>> show_text("two" + chr(10) + "lines"), show_text("a long name", 8)
    ('two\\\\nlines', 'a lon...')
    """
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    if most is None or measure(shown) <= most:
        return shown
    while shown and measure(shown) > most - 3:
        shown = shown[:-1]
    return f"{shown}..."


def quote(word: str) -> str:
    """A value of the target inside a sentence.

    >>> quote("yes")
    "'yes'"
    """
    return f"'{show_text(word, LONGEST_WORD)}'"


def measure(text: str) -> int:
    """The columns of a terminal that the text takes: two for wide letters, none for accents.

    >>> measure("abc"), measure("年収"), measure("e" + chr(0x301))
    (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def pad(text: str, width: int, right: bool = False) -> str:
    """Text with blanks behind it, or before it, up to `width` columns."""
    blanks = " " * (width - measure(text))
    return blanks + text if right else text + blanks


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken at blanks; a longer word is broken inside.

    >>> wrap("one two three", 8)
    ['one two', 'three']
    """
    if measure(text) <= width:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if measure(joined) <= width:
            line = joined
            continue
        lines += [line] if line else []
        while measure(word) > width:
            head = _head(word, width)
            lines.append(head)
            word = word[len(head) :]
        line = word
    return [*lines, line]


def paragraph(text: str, indent: str = "") -> list[str]:
    """A sentence or more as lines of at most `WIDTH` columns."""
    return [indent + line for line in wrap(text, WIDTH - measure(indent))]


def tabulate(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: Iterable[int] = ()
) -> list[str]:
    """Aligned lines of at most `WIDTH` columns: where they would be wider, the widest cells wrap.

    Args:
        heads: A title for each column; no line of titles where all are empty.
        rows: The cells, as many a row as there are titles.
        right: The columns of numbers, set to the right.

    >>> tabulate(["rows", "share"], [["9", "0.5"], ["10", "0.25"]], right=[0, 1])
    ['  rows  share', '     9    0.5', '    10   0.25']
    """
    every = [heads, *rows]
    widths = [max(1, *(measure(row[k]) for row in every)) for k in range(len(heads))]
    room = max(len(widths), WIDTH - len(INDENT) - len(GAP) * (len(widths) - 1))
    while sum(widths) > room:
        widths[widths.index(max(widths))] -= 1
    shown = every if any(heads) else every[1:]
    return [line for row in shown for line in _lay_out(row, widths, set(right))]


def _lay_out(row: Sequence[str], widths: Sequence[int], right: set[int]) -> list[str]:
    cells = [wrap(cell, width) for cell, width in zip(row, widths)]
    height = max(map(len, cells))
    filled = [cell + [""] * (height - len(cell)) for cell in cells]
    return [
        INDENT
        + GAP.join(
            pad(cell[i], width, k in right) for k, (cell, width) in enumerate(zip(filled, widths))
        )
        for i in range(height)
    ]


def _head(word: str, width: int) -> str:
    taken = 0
    for k, letter in enumerate(word):
        taken += measure(letter)
        if taken > width:
            return word[:k]
    return word
