"""Frozen dataclasses to plain JSON values and strictly back.

The types written on a dataclass are the whole description: nothing else says what a field may
hold. A dataclass may have `problem() -> str | None` for what types cannot say.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
import types
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from onelayer.errors import ModelFileError

T = TypeVar("T")


def to_stored(value: object) -> Any:
    """Return `value` as dicts, lists, strings, numbers and booleans.

    >>> from onelayer.table.terms import Clip
    >>> to_stored(Clip(0.0, 1.5))
    {'low': 0.0, 'high': 1.5, 'kind': 'clip'}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_stored(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [to_stored(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} cannot be stored")


def from_stored(cls: type[T], data: object, path: str) -> T:
    """Build a `cls` from what `to_stored` gave; `path` names the place in messages.

    Raises
    ------
    ModelFileError
        For an unknown or absent field, a value of another type, nan, inf, or what the class's
        own `problem` finds; the message holds the path to the field.
    """
    built: T = _build(cls, data, path)
    return built


def _build(wanted: Any, data: object, path: str) -> Any:
    if dataclasses.is_dataclass(wanted):
        return _build_record(wanted, data, path)
    origin = get_origin(wanted)
    if origin is tuple:
        return _build_items(get_args(wanted)[0], data, path)
    if origin is Literal:
        return _check(data in get_args(wanted) and isinstance(data, str), data, path, _name(wanted))
    if origin in (Union, types.UnionType):
        return _build_one_of(get_args(wanted), data, path)
    if wanted is float:
        return _build_float(data, path)
    if wanted is int:
        whole = isinstance(data, int) and not isinstance(data, bool)
        return _check(whole, data, path, "a whole number")
    return _check(isinstance(data, wanted), data, path, _name(wanted))


def _build_float(data: object, path: str) -> float:
    if isinstance(data, int | float) and not isinstance(data, bool):
        with suppress(OverflowError):  # a whole number of 400 digits
            if math.isfinite(number := float(data)):
                return number
    raise _refusal(data, path, "a finite number")


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
            raise ModelFileError(f"{path}: unknown field {name!r}; this is no file of this version")
    for name in hints:
        if name not in data:
            raise ModelFileError(f"{path}: field {name!r} is absent")
    built = cls(**{name: _build(hints[name], data[name], f"{path}.{name}") for name in hints})
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
    return {name: hint for name, hint in get_type_hints(cls).items() if name in names}


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
