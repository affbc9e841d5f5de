"""Reading values as docs/tables.md says: text to numbers, flags, levels and moments."""

import datetime as dt
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onelayer.errors import ModelFileError
from onelayer.stored import from_stored, to_stored
from onelayer.table import rules
from onelayer.table.levels import name_levels, read_flags, read_levels
from onelayer.table.moments import (
    Moments,
    Order,
    count_days,
    find_moment,
    read_moments,
    take_part,
)
from onelayer.table.numerals import find_number, read_numbers
from onelayer.table.terms import Clip, Column, Moment, Number, Scale, SignedLog
from onelayer.table.words import find_words


def numbers(
    texts: Sequence[str | None], reading: Number | None = None, na: tuple[str, ...] = ()
) -> list[float]:
    found = read_numbers(pl.Series("x", texts, dtype=pl.String), reading or Number(), na)
    return [float(value) for value in found]


def found(texts: list[str]) -> Number | None:
    counts = pl.Series("text", texts).value_counts(name="rows")
    return find_number(counts["text"], counts["rows"].to_numpy().astype(np.int64), ())


def moments_of(texts: list[str], order: Order = "dmy") -> tuple[Moments, NDArray[np.bool_]]:
    return read_moments(pl.Series("x", texts), Moment(order), ())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12.0),
        (" 12 ", 12.0),
        ("1,234", 1234.0),
        ("1,234,567.5", 1234567.5),
        ("-1,234", -1234.0),
        ("1e3", 1000.0),
        ("+5", 5.0),
        (".5", 0.5),
        ("007", 7.0),
    ],
)
def test_numbers_written_as_text(text: Any, value: Any) -> None:
    assert numbers([text]) == [value]


@pytest.mark.parametrize("word", [*rules.MISSING_WORDS, "  ", " NA ", None])
def test_missing_words(word: Any) -> None:
    assert math.isnan(numbers(["1", word])[1])


@pytest.mark.parametrize(
    "word", ["abc", "12,34", "1,2345", "1e400", "inf", "0x10", "1_000", "-inf"]
)
def test_what_is_no_finite_number_is_refused(word: Any) -> None:
    assert math.isinf(numbers(["1", word])[1])


def test_own_missing_number_in_any_spelling_and_type() -> None:
    assert np.isnan(numbers(["-999", "-999.0", "1"], na=("-999",))).tolist() == [True, True, False]
    typed = read_numbers(pl.Series([-999, 1]), Number(), ("-999",))
    assert np.isnan(typed).tolist() == [True, False]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_text_of_a_float_reads_as_that_float(values: Any) -> None:
    assert numbers([repr(value) for value in values]) == values


@pytest.mark.parametrize(
    ("texts", "decimal"),
    [
        (["1,234", "2,500"], "."),  # both fit: thousands
        (["3,5", "2,75"], ","),
        (["1,234", "3,5"], ","),
        (["1.234,56", "1.234"], ","),
        (["1.5", "1,234.5"], "."),
    ],
)
def test_decimal_comma_is_settled_by_the_column(texts: Any, decimal: Any) -> None:
    assert found(texts) == Number(decimal)


def test_decimal_comma_values() -> None:
    assert numbers(["1.234,56", "3,5", "7", "-,5"], Number(",")) == [1234.56, 3.5, 7.0, -0.5]


@pytest.mark.parametrize(("texts", "sign"), [(["5%", "12 %"], "%"), (["$1,000", "-$3.5"], "$")])
def test_a_sign_that_all_carry_is_taken_off(texts: Any, sign: Any) -> None:
    assert found(texts) == Number(sign=sign)


def test_a_sign_that_some_carry_is_a_word() -> None:
    assert found(["5%", "0.12", "0.3"]) is None


def test_few_words_among_numbers() -> None:
    many = [str(i) for i in range(990)]
    assert found([*many, *["unknown"] * 10]) == Number(words=("unknown",))
    assert found([*many, *["unknown"] * 11]) is None
    assert found([str(i) for i in range(9000)] + [f"w{i}" for i in range(21)]) is None


def test_flags_in_all_spellings() -> None:
    texts = ["TRUE", "f", "Yes", " no ", "on", "OFF", "1", "0.0", "?", "maybe"]
    expected = [1, 0, 1, 0, 1, 0, 1, 0, math.nan, math.inf]
    np.testing.assert_array_equal(read_flags(pl.Series(texts), ()), expected)
    np.testing.assert_array_equal(read_flags(pl.Series([True, None]), ()), [1, math.nan])
    np.testing.assert_array_equal(read_flags(pl.Series([1.0, 0.0, 2.0]), ()), [1, 0, math.inf])


def test_levels_are_alike_however_written() -> None:
    texts = pl.Series([" a ", "1", "01", "1.0", "-0", "0.50", ".5", "True", "NA"])
    expected = ["a", "1", "1", "1", "0", "0.5", "0.5", "true", None]
    assert name_levels(texts, ()).to_list() == expected
    assert read_levels(texts, ()).to_list() == expected
    assert read_levels(pl.Series([1.0, 0.5, math.nan]), ()).to_list() == ["1", "0.5", None]
    assert read_levels(pl.Series([True]), ()).to_list() == ["true"]


def test_levels_above_two_to_the_53_stay_apart() -> None:
    ids = [2**53, 2**53 + 1, 2**63 - 1]
    assert read_levels(pl.Series(ids), ()).to_list() == [str(i) for i in ids]
    assert read_levels(pl.Series([str(i) for i in ids]), ()).to_list() == [str(i) for i in ids]


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-31",
        "2024/1/31",
        "31.01.2024",
        "31/01/24",
        "31-Jan-2024",
        "31 January 2024",
        "January 31, 2024",
        "2024-01-31T00:00:00Z",
        "2024-01-31 02:00:00+02:00",
        "31.01.2024 00:00",
        "31/01/2024 12:00:00 AM",
        "20240131",
    ],
)
def test_ways_of_writing_a_date(text: Any) -> None:
    moments, rejected = moments_of([text])
    assert not rejected.any()
    assert moments[0] == np.datetime64("2024-01-31")


def test_dates_mixed_with_words_and_blanks() -> None:
    moments, rejected = moments_of(["2024-01-31", " 2024-02-01T10:00 ", "soon", "", "2024-02-30"])
    assert rejected.tolist() == [False, False, True, False, True]
    assert moments[1] == np.datetime64("2024-02-01T10:00")
    assert np.isnat(moments[3])


@pytest.mark.parametrize(
    ("texts", "order", "said"),
    [
        (["31/01/2024", "01/02/2024"], "dmy", "dates, day first"),
        (["01/31/2024", "01/02/2024"], "mdy", "dates, month first"),
        (["03/04/2024", "01/02/2024"], "mdy", "dates, month first (either order fits)"),
        (["03.04.2024"], "dmy", "dates, day first (either order fits)"),
        (["2024-01-02"], "dmy", "dates"),
    ],
)
def test_day_or_month_first_by_the_column(texts: Any, order: Any, said: Any) -> None:
    series = pl.Series("text", texts)
    assert find_moment(series, np.ones(len(texts), np.int64), ()) == (Moment(order), said)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.datetimes(dt.datetime(1600, 1, 1), dt.datetime(2400, 1, 1)), min_size=1))
def test_parts_of_a_moment_agree_with_datetime(values: Any) -> None:
    moments, rejected = moments_of([value.isoformat(sep=" ") for value in values])
    assert not rejected.any()
    assert take_part(moments, "month").tolist() == [value.month for value in values]
    assert take_part(moments, "weekday").tolist() == [value.isoweekday() for value in values]
    assert take_part(moments, "hour").tolist() == [value.hour for value in values]
    origin = dt.date(2000, 1, 1)
    expected = [(value.date() - origin).days for value in values]
    assert count_days(moments, "2000-01-01").tolist() == expected


def test_typed_moments_are_put_in_utc() -> None:
    berlin = pl.Series([dt.datetime(2024, 7, 1, 1)]).dt.replace_time_zone("Europe/Berlin")
    moments, _ = read_moments(berlin, Moment(), ())
    assert moments[0] == np.datetime64("2024-06-30T23:00")
    clock, _ = read_moments(pl.Series([dt.time(9, 30)]), Moment(), ())
    assert take_part(clock, "hour").tolist() == [9]


def test_words_of_a_text() -> None:
    matrix = find_words(pl.Series(["A Cat, the cat", None, "dog"]), ["cat", "dog", "the"])
    assert matrix.toarray().tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


# --- stored -------------------------------------------------------------------------------------

COLUMN = Column(
    "age", "numeric", "numbers", Number(), (Scale(SignedLog(2.0, 0.1, 9.0), 1 / 3, 2.5),)
)


def stored() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(json.dumps(to_stored(COLUMN)))
    return data


def test_stored_column_comes_back_equal() -> None:
    assert from_stored(Column, stored(), "column") == COLUMN


def break_at(path: tuple[Any, ...], value: object) -> dict[str, Any]:
    data = stored()
    inner: Any = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("terms", 0, "center"), math.nan, r"column\.terms\[0\]\.center: nan"),
        (("terms", 0, "center"), "1", r"column\.terms\[0\]\.center: '1'"),
        (("terms", 0, "center"), True, r"a number"),
        (("terms", 0, "center"), 10**400, r"a number"),
        (("terms", 0, "scale"), 0.0, r"column\.terms\[0\]: scale must be above 0"),
        (("terms", 0, "kind"), "exec", r"kind is one of scale, missing"),
        (("terms", 0, "transform", "high"), 0.1, "low must be below high"),
        (("terms",), {}, r"column\.terms: \{\} stands where a list"),
        (("role",), "numberish", "one of 'numeric'"),
        (("role",), "leak", "a column of role 'leak' has no terms"),
        (("reading",), None, "has no terms"),
        (("extra",), 1, "unknown field 'extra'"),
    ],
)
def test_stored_column_is_read_strictly(path: Any, value: Any, message: Any) -> None:
    with pytest.raises(ModelFileError, match=message):
        from_stored(Column, break_at(path, value), "column")


def test_absent_field_is_named() -> None:
    data = stored()
    del data["reason"]
    with pytest.raises(ModelFileError, match="field 'reason' is absent"):
        from_stored(Column, data, "column")


def test_clip_knows_its_problem() -> None:
    assert Clip(1.0, 1.0).problem() == "low must be below high"


# --- the rules are written down -----------------------------------------------------------------


def test_docs_hold_the_numbers_of_the_rules() -> None:
    page = Path(__file__).parent.parent / "docs" / "tables.md"
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page.read_text(), flags=re.M))
    assert rows == {name: str(getattr(rules, name)) for name in rows}
    named = {name for name in vars(rules) if name.isupper()}
    in_prose = {"MISSING_WORDS", "CURRENCY_SIGNS", "TRUE_WORDS", "FALSE_WORDS", "IDENTIFIER_NAMES"}
    assert named - set(rows) == in_prose | {"SEEN_QUANTILES"}
    text = page.read_text()
    for word in [*rules.MISSING_WORDS[1:], *rules.CURRENCY_SIGNS, *rules.IDENTIFIER_NAMES]:
        assert f"`{word}`" in text


WRITTEN = (
    *("31/01/2024", "31/01/24", "1/2/202", "01/ 2/2024", "3/4/+202", "2024-01-31", "24-01-31"),
    *(
        "2024- 1-3",
        "20240131",
        "2024131",
        "3.4.2024 7:05",
        "3.4.2024 7:05:09.5",
        "03.04.24 7:05 pm",
    ),
    *("2024-01-31T10:11:12Z", "2024-01-31T10:11:12+01:00", "2024-01-31 10:11:12 +0100", "7:05"),
    *("31 Jan 2024", "31 January 2024", "Jan 31, 2024", "2024-01-31 10:11.5", "2024-01-31T1:02"),
)


@pytest.mark.parametrize("order", ["dmy", "mdy"])
@pytest.mark.parametrize("first", WRITTEN)
def test_a_date_means_the_same_whatever_stands_above_it(first: str, order: Order) -> None:
    together = [np.asarray(each)[1:] for each in moments_of([first, *WRITTEN], order)]
    alone = [moments_of([text], order) for text in WRITTEN]
    np.testing.assert_array_equal(together[0], np.concatenate([each[0] for each in alone]))
    np.testing.assert_array_equal(together[1], np.concatenate([each[1] for each in alone]))
