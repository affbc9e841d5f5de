"""Frozen dataclasses to plain JSON values and strictly back.

The types written on a dataclass are the whole description: nothing else says what a field may
hold. A dataclass may have `problem() -> str | None` for what types cannot say.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from onelayer.errors import ModelFileError

Unbounded = Annotated[float, "inf"]
"""A number that may be infinite: it stands as the text "inf" in JSON, which has no infinity."""

_INT64 = 2**63
ADDED = {"added": True}
"""Metadata of a field that older files lack: where it is absent, it has its default."""


def to_stored(value: object) -> Any:
    """Return `value` as dicts, lists, strings, numbers and booleans.

    >>> @dataclasses.dataclass
    ... class Range:
    ...     low: float
    ...     high: float
    >>> to_stored(Range(0.0, 1.5))
    {'low': 0.0, 'high': 1.5}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = _hints(type(value))
        return {name: _store_field(getattr(value, name), hint) for name, hint in hints.items()}
    if isinstance(value, tuple):
        return [to_stored(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} cannot be stored")


def _store_field(value: object, hint: Any) -> Any:
    return "inf" if hint == Unbounded and value == math.inf else to_stored(value)


def from_stored(cls: Any, data: object, path: str) -> Any:
    """Build what `to_stored` was given: the other way round.

    Arguments
    ---------
    cls
        A dataclass, a plain type, a tuple of a type (`tuple[float, ...]`), or a type or None.
    data
        As parsed from JSON.
    path
        The place of `data` in the file, for messages.

    Raises
    ------
    ModelFileError
        For an unknown or absent field, a value of another type, nan, inf, or what the class's
        own `problem` finds; the message holds the path to the field.

    >>> from_stored(tuple[float, ...], [0.5, "a"], "parameters.averages")
    Traceback (most recent call last):
    onelayer.errors.ModelFileError: parameters.averages[1]: 'a' stands where a number was expected
    """
    return _build(cls, data, path)


def find_outside(record: object, names: Sequence[str], low: float, high: float) -> str | None:
    """Say which of the fields named lies outside [low, high], or None; None is no number.

    >>> find_outside(types.SimpleNamespace(brier=1.5), ["brier"], 0, 1)
    'brier is 1.5, expected 0 to 1'
    """
    expected = f"{low} or more" if high == math.inf else f"{low} to {high}"
    for name in names:
        value = getattr(record, name)
        if value is not None and not low <= value <= high:
            return f"{name} is {reprlib.repr(value)}, expected {expected}"
    return None


def _build(wanted: Any, data: object, path: str) -> Any:
    if dataclasses.is_dataclass(wanted):
        return _build_record(wanted, data, path)
    origin = get_origin(wanted)
    if origin is Annotated:
        return math.inf if data == "inf" else _build_float(data, path, "a number or 'inf'")
    if origin is tuple:
        return _build_items(get_args(wanted)[0], data, path)
    if origin is Literal:
        return _check(data in get_args(wanted) and isinstance(data, str), data, path, _name(wanted))
    if origin in (Union, types.UnionType):
        return _build_one_of(get_args(wanted), data, path)
    if wanted is float:
        return _build_float(data, path)
    if wanted is int:
        whole = isinstance(data, int) and not isinstance(data, bool) and -_INT64 <= data < _INT64
        return _check(whole, data, path, "a whole number of 64 bits")
    return _check(isinstance(data, wanted), data, path, _name(wanted))


def _build_float(data: object, path: str, wanted: str = "a number") -> float:
    if isinstance(data, int | float) and not isinstance(data, bool):
        with suppress(OverflowError):  # a whole number of 400 digits
            if math.isfinite(number := float(data)):
                return number
    raise _refusal(data, path, wanted)


def _build_items(wanted: Any, data: object, path: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise _refusal(data, path, "a list")
    return tuple(_build(wanted, item, f"{path}[{i}]") for i, item in enumerate(data))


def _build_record(cls: Any, data: object, path: str) -> Any:
    if not isinstance(data, Mapping):
        raise _refusal(data, path, "an object")
    hints = _hints(cls)
    for name in data:
        if name not in hints:
            raise ModelFileError(f"{path}: unknown field {reprlib.repr(name)}")
    added = {f.name for f in dataclasses.fields(cls) if f.metadata == ADDED}
    for name in hints:
        if name not in data and name not in added:
            raise ModelFileError(f"{path}: field {name!r} is absent")
    there = [name for name in hints if name in data]
    built = cls(**{name: _build(hints[name], data[name], f"{path}.{name}") for name in there})
    problem = built.problem() if hasattr(built, "problem") else None
    if problem:
        raise ModelFileError(f"{path}: {problem}")
    return built


def _build_one_of(choices: tuple[Any, ...], data: object, path: str) -> Any:
    if data is None and type(None) in choices:
        return None
    choices = tuple(choice for choice in choices if choice is not type(None))
    if len(choices) == 1:
        return _build(choices[0], data, path)
    kinds = {get_args(_hints(choice)["kind"])[0]: choice for choice in choices}
    kind = data.get("kind") if isinstance(data, Mapping) else None
    if not isinstance(kind, str) or kind not in kinds:
        raise _refusal(data, path, f"an object whose kind is one of {', '.join(kinds)}")
    return _build(kinds[kind], data, path)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    names = {f.name for f in dataclasses.fields(cls)}
    hints = get_type_hints(cls, include_extras=True)
    return {name: hint for name, hint in hints.items() if name in names}


def _check(right: bool, data: object, path: str, wanted: str) -> Any:
    if not right:
        raise _refusal(data, path, wanted)
    return data


def _refusal(data: object, path: str, wanted: str) -> ModelFileError:
    return ModelFileError(f"{path}: {reprlib.repr(data)} stands where {wanted} was expected")


def _name(wanted: Any) -> str:
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(map(repr, get_args(wanted)))
    return {str: "text", bool: "true or false"}.get(wanted, str(wanted))
