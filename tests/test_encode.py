"""Encoding: the same bits for text and typed values, any order of columns, any batch."""

import datetime as dt
import math
import pickle
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import draw_labels, text_table, typed_table

from onelayer.errors import InputError
from onelayer.table.encode import CHUNK, Encoded
from onelayer.table.reading import Table
from onelayer.table.schema import Schema, infer_schema

N = 600
RNG = np.random.default_rng(5)


def make_typed() -> dict[str, list[Any]]:
    """Columns of every kind, with missing values."""
    start = dt.datetime(2024, 1, 1)
    columns: dict[str, list[Any]] = {
        "amount": [float(v) for v in np.exp(RNG.normal(5, 2, N)).round(3)],
        "age": [int(v) for v in RNG.integers(18, 90, N)],
        "member": [bool(v) for v in RNG.integers(0, 2, N)],
        "zero_one": [int(v) for v in RNG.integers(0, 2, N)],
        "city": [f"city {v}" for v in RNG.integers(0, 8, N)],
        "big": [2**53 + int(v) for v in RNG.integers(0, 5, N)],
        "when": [start + dt.timedelta(hours=int(v)) for v in RNG.integers(0, 9000, N)],
        "day": [(start + dt.timedelta(days=int(v))).date() for v in RNG.integers(0, 400, N)],
        "note": [f"see file {v} about cars and boats" for v in range(N)],
        "y": draw_labels(N),
    }
    for i, name in enumerate(["amount", "member", "city", "day", "note"]):
        for row in range(i, N, 17):
            columns[name][row] = None
    return columns


TYPED = make_typed()


def write(value: object) -> str:
    return "" if value is None else str(value)


def as_written(columns: dict[str, list[Any]]) -> dict[str, list[str]]:
    return {name: [write(v) for v in values] for name, values in columns.items()}


def schema_of(table: Table) -> Schema:
    return infer_schema(table, target="y", roles={"big": "categorical"})


TEXT_TABLE = text_table(as_written(TYPED))
TYPED_TABLE = typed_table(TYPED)
SCHEMA = schema_of(TEXT_TABLE)


def assert_same(first: Encoded, second: Encoded) -> None:
    np.testing.assert_array_equal(first.numeric, second.numeric)
    np.testing.assert_array_equal(first.codes, second.codes)
    assert first.level_counts == second.level_counts
    assert (first.words is None) == (second.words is None)
    if first.words is not None and second.words is not None:
        np.testing.assert_array_equal(first.words.toarray(), second.words.toarray())
    assert (first.unseen, first.newly_missing) == (second.unseen, second.newly_missing)


def test_every_kind_of_column_is_there() -> None:
    roles = {column.name: column.role for column in SCHEMA.columns}
    assert roles == {
        "amount": "numeric",
        "age": "numeric",
        "member": "boolean",
        "zero_one": "boolean",
        "city": "categorical",
        "big": "categorical",
        "when": "date",
        "day": "date",
        "note": "text",
        "y": "target",
    }


@pytest.mark.parametrize("trained_on", [TEXT_TABLE, TYPED_TABLE], ids=["text", "typed"])
def test_text_and_typed_encode_to_the_same_bits(trained_on: Any) -> None:
    schema = schema_of(trained_on)
    assert_same(schema.encode(TEXT_TABLE), schema.encode(TYPED_TABLE))


def test_text_and_typed_give_the_same_terms() -> None:
    typed = {c.name: (c.role, c.terms, c.seen) for c in schema_of(TYPED_TABLE).columns}
    assert typed == {c.name: (c.role, c.terms, c.seen) for c in SCHEMA.columns}


@pytest.mark.parametrize(
    "casts",
    [
        {"age": pl.Float64, "zero_one": pl.Float64},
        {"age": pl.Int8, "zero_one": pl.Boolean, "city": pl.Categorical},
        {"age": pl.Decimal(10, 2), "zero_one": pl.UInt8, "big": pl.UInt64, "when": pl.String},
        {"member": pl.Int32, "zero_one": pl.String, "when": pl.Datetime("ns", "UTC")},
    ],
)
def test_other_types_of_the_same_values_encode_alike(casts: Any) -> None:
    frame = TYPED_TABLE.frame.with_columns(pl.col(name).cast(to) for name, to in casts.items())
    assert_same(SCHEMA.encode(typed_table(frame.to_dict())), SCHEMA.encode(TYPED_TABLE))


def test_other_spellings_of_the_same_values_encode_alike() -> None:
    spelled = as_written(TYPED)
    spelled["age"] = [f" {v}.0 " for v in spelled["age"]]
    spelled["amount"] = [f"{v:,}" if v else "NA" for v in TYPED["amount"]]
    spelled["city"] = [f"{v} " for v in spelled["city"]]
    spelled["big"] = [f"+{v}" for v in spelled["big"]]
    spelled["zero_one"] = ["TRUE" if v == "1" else "No" for v in spelled["zero_one"]]
    spelled["day"] = [f"{v:%d.%m.%Y}" if v else "?" for v in TYPED["day"]]
    schema = SCHEMA
    expected = schema.encode(TEXT_TABLE)
    assert_same(schema.encode(text_table(spelled)), expected)


def test_columns_in_any_order_with_others_between() -> None:
    frame = TEXT_TABLE.frame.with_columns(extra=pl.lit([1])).select(
        pl.col("extra"), *reversed(TEXT_TABLE.frame.columns)
    )
    assert_same(SCHEMA.encode(typed_table(frame.to_dict())), SCHEMA.encode(TEXT_TABLE))


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_a_batch_encodes_as_its_rows_do(rows: Any) -> None:
    whole = SCHEMA.encode(TEXT_TABLE)
    part = SCHEMA.encode(typed_table(TEXT_TABLE.frame.head(rows).to_dict()))
    np.testing.assert_array_equal(part.numeric, whole.numeric[:rows])
    np.testing.assert_array_equal(part.codes, whole.codes[:rows])
    assert part.words is not None
    assert whole.words is not None
    np.testing.assert_array_equal(part.words.toarray(), whole.words[:rows].toarray())


def test_chunks_do_not_show() -> None:
    times = CHUNK * 3 // N + 1
    frame = pl.concat([TEXT_TABLE.frame] * times)
    whole, once = SCHEMA.encode(typed_table(frame.to_dict())), SCHEMA.encode(TEXT_TABLE)
    np.testing.assert_array_equal(whole.numeric, np.tile(once.numeric, (times, 1)))
    np.testing.assert_array_equal(whole.codes, np.tile(once.codes, (times, 1)))


def test_layout() -> None:
    encoded = SCHEMA.encode(TEXT_TABLE)
    assert encoded.numeric.flags.c_contiguous
    assert encoded.numeric.dtype == np.float64
    assert encoded.codes.dtype == np.int32
    assert len(encoded) == N
    assert encoded.words is not None
    n_features = encoded.numeric.shape[1] + sum(encoded.level_counts) + encoded.words.shape[1]
    assert len(SCHEMA.feature_names) == len(SCHEMA.feature_columns) == n_features
    assert len(set(SCHEMA.feature_names)) == n_features
    assert np.isfinite(encoded.numeric).all()
    assert (encoded.codes >= 0).all()
    assert (encoded.codes < np.array(encoded.level_counts)).all()
    assert set(SCHEMA.feature_columns) == {c.name for c in SCHEMA.columns if c.terms}


def test_scaled_columns_have_mean_0_and_deviation_1() -> None:
    encoded = SCHEMA.encode(TEXT_TABLE)
    age = encoded.numeric[:, SCHEMA.feature_names.index("age")]
    assert (age.mean(), age.std()) == pytest.approx((0, 1), abs=1e-12)


def test_features_are_named_by_what_they_are() -> None:
    names = SCHEMA.feature_names
    assert "amount is missing" in names
    assert "city = city 3" in names
    assert "city is missing" in names
    assert "when: hour = 23" in names
    assert "note holds 'boats'" in names
    assert "day: days" in names


def encode_one(**values: str) -> Encoded:
    row = {name: ["1" if name == "age" else ""] for name in TYPED if name != "y"} | {
        name: [value] for name, value in values.items()
    }
    return SCHEMA.encode(text_table(row))


def test_levels_never_seen_are_pooled_and_counted() -> None:
    encoded = encode_one(city="atlantis", zero_one="maybe")
    assert encoded.unseen == {"city": 1, "zero_one": 1}
    assert encoded.codes[0, 0] == 8


def test_pooled_levels_are_not_new() -> None:
    values = ["a"] * 50 + ["b"] * 47 + ["c"]
    table = text_table({"x": values, "y": draw_labels(98), "z": ["1", "2"] * 49})
    schema = infer_schema(table, target="y")
    encoded = schema.encode(text_table({"x": ["c", "d", "a"], "z": ["1", "1", "2"]}))
    assert encoded.unseen == {"x": 1}
    assert encoded.codes[:, 0].tolist() == [2, 2, 0]
    assert encoded.level_counts == (3,)


def test_missing_never_seen_in_training_is_the_mean_and_counted() -> None:
    encoded = encode_one(age="")
    assert encoded.newly_missing == {"age": 1, "zero_one": 1, "big": 1, "when": 1}
    assert encoded.numeric[0, SCHEMA.feature_names.index("age")] == 0.0
    zero_one = np.mean(TYPED["zero_one"])
    assert encoded.numeric[0, SCHEMA.feature_names.index("zero_one")] == pytest.approx(zero_one)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"age": "old"}, r"loans.csv, line 2, column 'age': 'old' is not a number, and the column"),
        ({"age": "1e400"}, "'1e400' is not a finite number"),
        ({"day": "2024-13-01"}, "column 'day': '2024-13-01' is not a date"),
    ],
)
def test_values_that_cannot_be_read_are_named(values: Any, message: Any) -> None:
    with pytest.raises(InputError, match=message) as caught:
        encode_one(**values)
    assert "\n" not in str(caught.value)


def test_absent_columns_are_named_with_close_ones() -> None:
    frame = TEXT_TABLE.frame.rename({"amount": "Amount"})
    with pytest.raises(InputError, match="no column 'amount'; did you mean 'Amount'"):
        SCHEMA.encode(typed_table(frame.to_dict()))


def test_a_column_of_another_kind_is_refused() -> None:
    frame = TYPED_TABLE.frame.with_columns(age=pl.col("day"))
    with pytest.raises(InputError, match="column 'age': holds Date, but numbers were expected"):
        SCHEMA.encode(typed_table(frame.to_dict()))


def test_unused_columns_are_not_looked_at() -> None:
    table = text_table({"x": ["1", "2", "3"] * 20, "id": [str(i) for i in range(60)]})
    labels = draw_labels(60)
    frame = table.frame.with_columns(y=pl.Series(labels))
    schema = infer_schema(typed_table(frame.to_dict()), target="y")
    assert schema.columns[1].role == "identifier"
    assert len(schema.encode(text_table({"x": ["1"]}))) == 1


def test_own_words_for_missing_are_kept_by_the_schema() -> None:
    values = [str(v) for v in RNG.integers(0, 50, 99)] + ["-999"]
    columns = {"x": values, "y": draw_labels(100)}
    schema = infer_schema(text_table(columns, na=["-999"]), target="y")
    assert schema.encode(text_table(columns)).numeric[:, 1].sum() == 1
    typed = schema.encode(typed_table({"x": [-999, 1, -999]}))
    assert typed.numeric[:, 1].tolist() == [1, 0, 1]
    more = schema.encode(text_table({"x": ["-1", "2"]}, na=["-1"]))
    assert more.numeric[:, 1].tolist() == [1, 0]


def test_schema_travels_to_other_processes() -> None:
    assert_same(pickle.loads(pickle.dumps(SCHEMA)).encode(TEXT_TABLE), SCHEMA.encode(TEXT_TABLE))


CELLS = {
    "n": st.one_of(st.none(), st.integers(-(2**53), 2**53), st.floats(-1e12, 1e12)),
    "b": st.one_of(st.none(), st.booleans()),
    "d": st.one_of(st.none(), st.dates(dt.date(1700, 1, 1), dt.date(2300, 1, 1))),
    "i": st.one_of(st.none(), st.integers(0, 5)),
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=20))
def test_any_typed_rows_encode_as_their_text(rows: Any) -> None:
    schema = HYPOTHESIS_SCHEMA
    columns = {name: [row[name] for row in rows] for name in CELLS}
    floats = [None if v is None else float(v) for v in columns["n"]]
    typed = {
        "n": pl.Series(floats, dtype=pl.Float64),
        "b": pl.Series(columns["b"], dtype=pl.Boolean),
        "d": pl.Series(columns["d"], dtype=pl.Date),
        "i": pl.Series(columns["i"], dtype=pl.Int64),
    }
    assert_same(schema.encode(text_table(as_written(columns))), schema.encode(typed_table(typed)))


def make_hypothesis_schema() -> Schema:
    values = {
        "n": [str(v) for v in RNG.normal(size=200)],
        "b": ["true", "false"] * 100,
        "d": [str(dt.date(2020, 1, 1) + dt.timedelta(days=int(v))) for v in range(200)],
        "i": [str(v) for v in RNG.integers(0, 4, 200)],
        "y": draw_labels(200),
    }
    return infer_schema(text_table(values), target="y", roles={"i": "categorical"})


HYPOTHESIS_SCHEMA = make_hypothesis_schema()


def test_nan_of_a_typed_frame_is_missing() -> None:
    encoded = HYPOTHESIS_SCHEMA.encode(
        typed_table({"n": [math.nan], "b": [None], "d": [None], "i": [math.nan]})
    )
    assert encoded.newly_missing == {"n": 1, "b": 1, "d": 1, "i": 1}
