"""JSON written to be read by people, and read with no mercy: see `docs/model-file.md`."""

import json
import re
from math import isfinite
from typing import Any

import numpy as np

from onelayer.errors import ModelFileError

MAX_DEPTH = 32
MAX_CONTAINERS = 2_000_000  # lists and sections: `[],` takes 20 times its own size in memory

_LINE_WIDTH = 100
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_HALF_A_PAIR = re.compile(r"[\ud800-\udfff]")


def parse_json(encoded: bytes) -> dict[str, Any]:
    """Read one JSON object (RFC 8259), refusing all that two readers could take differently.

    Args:
        encoded: UTF-8 without a mark at its start. Neither nan nor a number above 1.8e308, no key
            twice in one object, no half of a surrogate pair, at most `MAX_DEPTH` objects and lists
            within each other and `MAX_CONTAINERS` in all.

    Raises:
        ModelFileError: A rule is broken.

    >>> parse_json(b'{"b": [0.5, null]}')
    {'b': [0.5, None]}
    >>> parse_json(b'{"b": 1, "b": 2}')
    Traceback (most recent call last):
    onelayer.errors.ModelFileError: no strict JSON: the key 'b' stands twice in one section
    """
    check_nesting(encoded)
    try:
        text = encoded.decode()
        content = json.loads(
            text,
            object_pairs_hook=_refuse_doubled_keys,
            parse_constant=_refuse_constant,
            parse_float=_read_finite,
        )
        if r"\ud" in text.lower():
            _refuse_half_pairs(content)
    except UnicodeDecodeError as error:
        raise ModelFileError(f"byte {error.start} is no UTF-8") from None
    except ValueError as error:
        raise ModelFileError(f"no strict JSON: {error}") from None
    if not isinstance(content, dict):
        raise ModelFileError("no strict JSON: expected one section, in braces")
    return content


def check_nesting(encoded: bytes) -> None:
    """Refuse too many or too deeply nested lists and sections before any of them is built.

    >>> check_nesting(b"[" * 33 + b"]" * 33)
    Traceback (most recent call last):
    onelayer.errors.ModelFileError: lists and sections are nested more than 32 deep
    """
    brackets = _STRING.sub(b"", encoded).translate(None, _NO_BRACKETS)
    if len(brackets) > 2 * MAX_CONTAINERS:
        raise ModelFileError(f"more than {MAX_CONTAINERS:,} lists and sections")
    opening = np.isin(np.frombuffer(brackets, np.uint8), list(b"[{"))
    if np.cumsum(np.where(opening, 1, -1)).max(initial=0) > MAX_DEPTH:
        raise ModelFileError(f"lists and sections are nested more than {MAX_DEPTH} deep")


def _refuse_doubled_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    section: dict[str, Any] = {}
    for key, value in pairs:
        if key in section:
            raise ValueError(f"the key {key!a} stands twice in one section")
        section[key] = value
    return section


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _read_finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text:.40} is too large for a number")
    return number


def _refuse_half_pairs(content: object) -> None:
    half = _HALF_A_PAIR.search(json.dumps(content, ensure_ascii=False))
    if half:
        raise ValueError(f"{half[0]!a} is half a character")


def render_json(value: object, where: str, indent: int, start: int) -> str:
    """Write a value like `json.dumps(indent=2)`, but what fits on one line stands on one line.

    Floats are written by `repr`: the shortest digits that give the same bits again.

    Args:
        value: dicts with text as keys, lists, tuples, text, finite numbers, booleans and None.
        where: The place of the value, for messages.
        indent: By how many columns the line on which the value starts is indented.
        start: The column in which the value starts.

    Raises:
        ModelFileError: A number is nan or infinite.
        TypeError: A value or a key is of another type.

    >>> render_json({"b": [0.1, 1e300], "ok": True}, "parameters", 0, 0)
    '{"b": [0.1, 1e+300], "ok": true}'
    """
    if isinstance(value, dict):
        items = [render_item(key, item, where, indent + 2) for key, item in value.items()]
        return _join(items, "{}", indent, start, fill=False)
    if isinstance(value, (list, tuple)):
        inner = indent + 2
        items = [render_json(item, f"{where}[{i}]", inner, inner) for i, item in enumerate(value)]
        flat = not any(isinstance(item, (dict, list, tuple)) for item in value)
        return _join(items, "[]", indent, start, fill=flat)
    return _render_scalar(value, where)


def render_item(key: object, value: object, where: str, indent: int) -> str:
    """Write `"key": value` as one item of the section at `where`; else as `render_json`.

    >>> render_item("b", [0.5], "parameters", 2)
    '"b": [0.5]'
    """
    if not isinstance(key, str):
        raise TypeError(f"{where}: a key must be text, and {key!r} is none")
    place = f"{where}.{key}" if where else key
    label = f"{_render_scalar(key, place)}: "
    return label + render_json(value, place, indent, indent + len(label))


def _render_scalar(value: object, where: str) -> str:
    if isinstance(value, float):
        if not isfinite(value):
            raise ModelFileError(f"{where}: {value} cannot stand in a model file")
        return float.__repr__(value)
    if value is None or isinstance(value, (bool, int, str)):
        return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"{where}: a {type(value).__name__} cannot stand in a model file")


def _join(items: list[str], brackets: str, indent: int, start: int, *, fill: bool) -> str:
    line = brackets[0] + ", ".join(items) + brackets[1]
    if start + len(line) < _LINE_WIDTH and "\n" not in line:
        return line
    margin = "\n" + " " * (indent + 2)
    lines = _fill(items, _LINE_WIDTH - indent - 2) if fill else items
    return brackets[0] + margin + ("," + margin).join(lines) + margin[:-2] + brackets[1]


def _fill(items: list[str], width: int) -> list[str]:
    lines = items[:1]
    for item in items[1:]:
        if len(lines[-1]) + len(item) + 3 <= width:
            lines[-1] += f", {item}"
        else:
            lines.append(item)
    return lines
