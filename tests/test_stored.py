"""Dataclasses to JSON and strictly back."""

import json
import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelayer.errors import ModelFileError
from onelayer.stored import Unbounded, find_outside, from_stored, to_stored


@dataclass(frozen=True)
class Plain:
    """t(x) = x."""

    kind: Literal["plain"] = "plain"


@dataclass(frozen=True)
class Clip:
    """Held between two numbers."""

    low: float
    high: float
    kind: Literal["clip"] = "clip"

    def problem(self) -> str | None:
        return None if self.low < self.high else "low must be below high"


@dataclass(frozen=True)
class Record:
    """A field of every kind that there is."""

    name: str = "age"
    rows: int = 3
    mean: float = 0.5
    flag: bool = True
    best: Unbounded = 1.0
    order: Literal["dmy", "mdy"] = "dmy"
    first: str | None = None
    numbers: tuple[float, ...] = (1.0, -0.0)
    transform: Plain | Clip = Plain()
    maybe: Clip | None = None
    transforms: tuple[Plain | Clip, ...] = (Plain(), Clip(0.0, 1.0))


STORED: dict[str, Any] = to_stored(Record())

numbers = st.floats(allow_nan=False, allow_infinity=False)
clips = st.builds(Clip, numbers.map(lambda x: x / 2), st.just(1.7e308))
records = st.builds(
    Record,
    name=st.text(),
    rows=st.integers(-(2**63), 2**63 - 1),
    mean=numbers,
    flag=st.booleans(),
    best=numbers | st.just(math.inf),
    order=st.sampled_from(["dmy", "mdy"]),
    first=st.none() | st.text(),
    numbers=st.lists(numbers).map(tuple),
    transform=st.just(Plain()) | clips,
    maybe=st.none() | clips,
    transforms=st.lists(st.just(Plain()) | clips).map(tuple),
)


@given(records)
def test_there_and_back_to_the_bit(record: Record) -> None:
    text = json.dumps(to_stored(record), allow_nan=False)
    assert repr(from_stored(Record, json.loads(text), "record")) == repr(record)


def test_it_is_plain_json() -> None:
    assert json.loads(json.dumps(STORED)) == STORED
    assert STORED["transforms"] == [{"kind": "plain"}, {"low": 0.0, "high": 1.0, "kind": "clip"}]
    assert to_stored(None) is None


def test_infinity_stands_only_where_it_may() -> None:
    assert to_stored(Record(best=math.inf))["best"] == "inf"
    # A number that may not be infinite stays one, and the model file refuses it by name.
    assert to_stored(Record(mean=math.inf))["mean"] == math.inf
    assert to_stored(Record(best=-math.inf))["best"] == -math.inf


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("name", 1, "r.name: 1 stands where text was expected"),
        ("name", None, "r.name: None stands where text was expected"),
        ("rows", 1.0, "r.rows: 1.0 stands where a whole number of 64 bits was expected"),
        ("rows", True, "r.rows: True stands where a whole number of 64 bits was expected"),
        ("rows", 2**63, f"r.rows: {2**63} stands where a whole number of 64 bits was expected"),
        ("mean", "0.5", "r.mean: '0.5' stands where a number was expected"),
        ("mean", "nan", "r.mean: 'nan' stands where a number was expected"),
        ("mean", "inf", "r.mean: 'inf' stands where a number was expected"),
        ("mean", math.nan, "r.mean: nan stands where a number was expected"),
        ("mean", math.inf, "r.mean: inf stands where a number was expected"),
        ("mean", False, "r.mean: False stands where a number was expected"),
        ("best", "Infinity", "r.best: 'Infinity' stands where a number or 'inf' was expected"),
        ("best", math.inf, "r.best: inf stands where a number or 'inf' was expected"),
        ("best", "-inf", "r.best: '-inf' stands where a number or 'inf' was expected"),
        ("flag", 1, "r.flag: 1 stands where true or false was expected"),
        ("order", "ymd", "r.order: 'ymd' stands where one of 'dmy', 'mdy' was expected"),
        ("order", ["dmy"], "r.order: ['dmy'] stands where one of 'dmy', 'mdy' was expected"),
        ("first", 1, "r.first: 1 stands where text was expected"),
        ("numbers", 1.0, "r.numbers: 1.0 stands where a list was expected"),
        ("numbers", "12", "r.numbers: '12' stands where a list was expected"),
        ("numbers", [1, [2]], "r.numbers[1]: [2] stands where a number was expected"),
        ("transform", "plain", "r.transform: 'plain' stands where an object whose kind is one of"),
        ("transform", {"kind": "log"}, "r.transform: {'kind': 'log'} stands where an object whose"),
        ("transform", {"kind": ["clip"]}, "r.transform: {'kind': ['clip']} stands where an object"),
        ("transform", {"kind": "clip"}, "r.transform: field 'low' is absent"),
        ("maybe", 0, "r.maybe: 0 stands where an object was expected"),
        (
            "maybe",
            {"low": 1, "high": 1, "kind": "clip"},
            "r.maybe: low must be below high",
        ),
        ("maybe", {"low": 0, "high": 1, "kind": "plain"}, "r.maybe.kind: 'plain' stands where"),
        ("transforms", [{"kind": "plain"}, {}], "r.transforms[1]: {} stands where an object"),
        ("later", 1, "r: unknown field 'later'"),
        ("a\nb", 1, r"r: unknown field 'a\nb'"),
        ("rows", 10**4000, "r.rows: 1000"),
        ("name", ["x" * 10**6], "r.name: ['xxx"),
    ],
)
def test_what_does_not_fit_is_named(name: str, value: object, reason: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        from_stored(Record, {**STORED, name: value}, "r")
    message = str(caught.value)
    assert message.startswith(reason)
    assert message.isprintable()
    assert len(message) < 200


@pytest.mark.parametrize("name", STORED)
def test_every_field_must_be_there(name: str) -> None:
    stored = {key: value for key, value in STORED.items() if key != name}
    with pytest.raises(ModelFileError, match=f"^r: field '{name}' is absent$"):
        from_stored(Record, stored, "r")


@pytest.mark.parametrize("value", [[], "x", None, 1])
def test_a_record_is_an_object(value: object) -> None:
    with pytest.raises(ModelFileError, match=r"^r: .* stands where an object was expected$"):
        from_stored(Record, value, "r")


@pytest.mark.parametrize("value", [np.zeros(2), {1: 2}, {1, 2}, [1], object(), b"x", Record])
def test_what_cannot_be_stored(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be stored"):
        to_stored(value)


def test_whole_numbers_count_as_numbers() -> None:
    mean = from_stored(float, 1, "mean")
    assert isinstance(mean, float)
    assert mean == 1.0
    assert from_stored(Clip | None, None, "clip") is None


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.5, 0, 1, None),
        (0, 0, 1, None),
        (1, 0, 1, None),
        (None, 0, 1, None),
        (1.1, 0, 1, "share is 1.1, expected 0 to 1"),
        (-1, 0, math.inf, "share is -1, expected 0 or more"),
        (math.nan, 0, 1, "share is nan, expected 0 to 1"),
    ],
)
def test_numbers_outside(value: float | None, low: float, high: float, said: str | None) -> None:
    assert find_outside(SimpleNamespace(share=value), ["share"], low, high) == said
