"""Frames of pandas, polars, pyarrow, and plain Python: no id rounded, nothing missing lost."""

import datetime as dt
import decimal
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from onelayer.errors import InputError
from onelayer.table.reading import read_table

BIG = 2**53 + 1


def column(values, name: str = "x") -> pl.Series:
    return read_table(pd.DataFrame({name: values})).frame[name]


def test_polars_frames_are_taken_as_they_are():
    frame = pl.DataFrame({"a": [1, None], "b": [float("nan"), 1.0], "c": [[1], [2]]})
    table = read_table(frame)
    assert table.frame is frame
    assert (table.name, table.sha256, table.first_line, table.line_of(0)) == (
        "DataFrame",
        None,
        None,
        None,
    )
    assert read_table(frame.lazy()).frame.equals(frame)
    assert read_table(pl.DataFrame({" a ": [1]})).frame.columns == ["a"]


def test_pyarrow_tables_and_record_batches():
    arrow = pa.table(
        {
            "id": pa.array([BIG, None]),
            "sex": pa.array(["f", "m"]).dictionary_encode(),
            "day": pa.array([dt.date(2020, 1, 2), None]),
        }
    )
    for source in (arrow, arrow.to_batches()[0]):
        frame = read_table(source).frame
        assert frame["id"].to_list() == [BIG, None]
        assert frame["sex"].to_list() == ["f", "m"]
        assert frame["day"].dtype == pl.Date
    doubled = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pytest.raises(InputError, match="columns 1 and 2 are both named 'x'"):
        read_table(doubled)


@pytest.mark.parametrize(
    "dtype",
    ["int8", "uint8", "int64", "uint64", "float32", "float64", "bool", "Int64", "UInt8", "Float32"],
)
def test_numbers_of_pandas(dtype):
    values = column(pd.Series([1, 0, 1], dtype=dtype))
    assert values.to_list() == [1, 0, 1]
    kind = {"b": pl.Boolean, "f": pl.Float64, "F": pl.Float32}
    assert values.dtype.is_numeric() or values.dtype == kind[dtype[0]]


@pytest.mark.parametrize("dtype", ["Int64", "UInt64", object, pd.ArrowDtype(pa.int64())])
def test_ids_above_two_to_the_53_are_not_rounded(dtype):
    values = column(pd.Series([BIG, None, -3 if dtype != "UInt64" else 3], dtype=dtype))
    assert values.to_list()[:2] == [BIG, None]
    assert values.dtype.is_integer()


def test_whole_numbers_that_fit_no_integer_become_text():
    assert column(pd.Series([2**64, 1], dtype=object)).to_list() == [str(2**64), "1"]
    assert column(pd.Series([2**63, 1], dtype=object)).to_list() == [2**63, 1]
    assert column(pd.Series([BIG, 0.5], dtype=object)).to_list() == [str(BIG), "0.5"]
    assert column(pd.Series([2, 0.5], dtype=object)).to_list() == [2.0, 0.5]


def test_nan_is_missing():
    assert column([1.5, np.nan]).to_list() == [1.5, None]
    assert column(pd.Series(["a", np.nan, None, pd.NA], dtype=object)).to_list() == [
        "a",
        None,
        None,
        None,
    ]
    assert column(pd.Series([True, np.nan], dtype=object)).to_list() == [True, None]
    assert column(pd.Series([True, None], dtype="boolean")).to_list() == [True, None]
    assert column(pd.Series([None, None], dtype=object)).to_list() == [None, None]
    assert column([np.inf, 1.0]).to_list() == [np.inf, 1.0]


@pytest.mark.parametrize(
    "dtype",
    ["str", pd.StringDtype("python"), pd.StringDtype("pyarrow"), pd.ArrowDtype(pa.string())],
)
def test_texts_of_pandas(dtype):
    values = column(pd.Series(["a", None, "ü"], dtype=dtype))
    assert (values.to_list(), values.dtype) == (["a", None, "ü"], pl.String)


def test_mixed_columns_become_text():
    assert column(pd.Series([1, "a", 2.5, True], dtype=object)).to_list() == [
        "1",
        "a",
        "2.5",
        "True",
    ]


@pytest.mark.parametrize("levels", [["m", "f"], [7, 5], [1.5, 0.5], [True, False]])
def test_categories_stay_categories(levels):
    values = column(pd.Categorical([levels[0], None, levels[1]], categories=levels))
    assert values.dtype == pl.Categorical
    assert values.is_null().to_list() == [False, True, False]
    assert values.n_unique() == 3
    if isinstance(levels[0], str | int) and not isinstance(levels[0], bool):
        assert values.cast(pl.String).to_list() == [str(levels[0]), None, str(levels[1])]


def test_dates_of_pandas():
    days = pd.Series(pd.to_datetime(["2020-01-02 03:04", None]))
    assert column(days).to_list() == [dt.datetime(2020, 1, 2, 3, 4), None]
    zoned = column(days.dt.tz_localize("Europe/Berlin"))
    assert zoned.dtype.time_zone == "Europe/Berlin"
    assert zoned.dt.hour().to_list() == [3, None]
    offset = column(days.dt.tz_localize(dt.timezone(dt.timedelta(hours=5))))
    assert offset.dt.hour().to_list() == [3, None]
    assert column(days - days[0]).to_list() == [dt.timedelta(0), None]
    assert column(pd.Series([dt.date(2020, 1, 2), None], dtype=object)).dtype == pl.Date
    assert column(pd.period_range("2020-01", periods=2, freq="M")).to_list() == [
        "2020-01",
        "2020-02",
    ]


def test_other_kinds_of_pandas_columns():
    assert column(pd.Series([decimal.Decimal("1.10"), None])).to_list() == [
        decimal.Decimal("1.10"),
        None,
    ]
    assert column(pd.arrays.SparseArray([0, 0, 1])).to_list() == [0, 0, 1]
    assert column(pd.arrays.SparseArray([np.nan, 1.0])).to_list() == [None, 1.0]
    assert column([1 + 2j, 3]).dtype == pl.String
    assert column(pd.interval_range(0, 2)).to_list() == ["(0, 1]", "(1, 2]"]
    assert column(np.array([1, 2], np.float16)).to_list() == [1.0, 2.0]
    assert column(np.array([1, 2], ">i4")).to_list() == [1, 2]
    assert column([b"ab", None]).dtype == pl.Binary
    assert column([[1, 2], [3]]).dtype.is_nested()
    assert len(column([{1, 2}, {3}])) == 2


def test_names_of_pandas_columns():
    frame = pd.DataFrame([[1, 2, 3]], columns=[" a ", 7, ("b", "c")])
    assert read_table(frame).frame.columns == ["a", "7", "b_c"]
    with pytest.raises(InputError, match="DataFrame: columns 1 and 2 are both named 'x'"):
        read_table(pd.DataFrame([[1, 2]], columns=["x", "x"]))


def test_pandas_needs_no_pyarrow():
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import pandas as pd\n"
        "from onelayer.table.reading import read_table\n"
        "frame = pd.DataFrame({'a': [1, 2], 'b': ['x', None], 'c': pd.Categorical(['u', 'v']),\n"
        "  'd': pd.Series([1, None], dtype='Int64'), 'e': pd.to_datetime(['2020-01-01', None])})\n"
        "print(read_table(frame).frame.rows())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "[(1, 'x', 'u', 1, datetime.datetime(2020, 1, 1, 0, 0)), (2, None, 'v', None, None)]"
    )


def test_files_need_neither_pandas_nor_pyarrow(tmp_path):
    path = tmp_path / "loans.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    code = (
        "import io, sys\n"
        "from onelayer.table.reading import read_table\n"
        f"read_table({str(path)!r})\n"
        "read_table(io.BytesIO(b'a,b\\n1,2\\n'))\n"
        "read_table({'a': [1]})\n"
        "print(sorted({'pandas', 'pyarrow'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_dict_of_columns():
    table = read_table(
        {
            "list": [1, None],
            "tuple": ("a", "b"),
            "array": np.array([0.5, np.nan]),
            "range": range(2),
            "polars": pl.Series([BIG, None]),
            "pandas": pd.Series([BIG, None], dtype="Int64"),
            "pyarrow": pa.array([BIG, None]),
        }
    )
    assert table.name == "dict"
    big = [BIG, None]
    assert table.frame.to_dict(as_series=False) == {
        "list": [1, None],
        "tuple": ["a", "b"],
        "array": [0.5, None],
        "range": [0, 1],
        "polars": big,
        "pandas": big,
        "pyarrow": big,
    }


@pytest.mark.parametrize("unit", ["Y", "M", "D", "h", "m", "s", "ms", "us", "ns"])
def test_numpy_dates_of_every_unit(unit):
    days = np.array(["2020-01-01", "NaT"], f"M8[{unit}]")
    values = read_table({"day": days}).frame["day"].cast(pl.Date)
    assert values.to_list() == [dt.date(2020, 1, 1), None]
    assert read_table({"day": days[:1] - days[:1]}).frame.height == 1


def test_columns_of_unequal_length_and_single_values_are_refused():
    with pytest.raises(InputError, match="column 'a' has 2 values, 'c' has 1"):
        read_table({"a": [1, 2], "b": [1, 2], "c": [1]})
    for value in (5, "text", None):
        with pytest.raises(InputError, match=r"column 'a' is .* list of one dict"):
            read_table({"a": value})


def test_a_list_of_dicts():
    frame = read_table([{"a": 1}, {"b": "x", "a": 2.5}, {"a": None, "b": "y"}]).frame
    assert frame.to_dict(as_series=False) == {"a": [1.0, 2.5, None], "b": [None, "x", "y"]}
    late = read_table([{"a": 1}] * 500 + [{"a": "word", "z": 1}]).frame
    assert (late["a"][0], late["a"][500], late["z"][500]) == ("1", "word", 1)
    with pytest.raises(InputError, match="item 1 is list, not a dict"):
        read_table([{"a": 1}, [2]])


@pytest.mark.parametrize(
    "source",
    [pl.DataFrame(), pl.DataFrame({"a": []}), pd.DataFrame(), {}, {"a": []}, [], pa.table({})],
)
def test_nothing_in_it(source):
    with pytest.raises(InputError, match="no rows; a table of at least one row"):
        read_table(source)


def test_a_lazy_frame_that_fails_is_an_input_error():
    with pytest.raises(InputError, match="cannot be read as a table"):
        read_table(pl.LazyFrame({"a": [1]}).select("b"))
