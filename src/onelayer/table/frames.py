"""Tables in memory, whoever made them, to a polars frame: no id rounded, no missing value lost.

pandas and pyarrow are never imported here; an object of theirs brings its own methods.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from onelayer.errors import InputError
from onelayer.table.containers import short
from onelayer.table.names import clean_names
from onelayer.table.series import column_to_series, objects_to_series, pandas_to_series


def is_frame(source: object) -> bool:
    """Whether `frame_to_polars` can read it (a mapping or a list counts, whatever it holds)."""
    return (
        isinstance(source, pl.DataFrame | pl.LazyFrame | Mapping | list | tuple)
        or _is_from_pandas(source)
        or hasattr(source, "__arrow_c_stream__")
        or hasattr(source, "__arrow_c_array__")
    )


def name_frame(source: object) -> str:
    """What messages call it: `DataFrame`, `dict`, `list`."""
    return type(source).__name__


def frame_to_polars(source: Any) -> pl.DataFrame:
    """A polars DataFrame of the same columns, types and missing values.

    Taken are frames of polars and pandas, whatever speaks the Arrow protocol (pyarrow tables and
    record batches), a dict of columns and a list of dicts (one a row; a key that a row lacks is
    missing there). In pandas frames, NumPy arrays and Python lists NaN counts as missing. Whole
    numbers that no 64-bit integer holds, and columns of mixed types, come as text.

    Raises InputError for anything else, columns of unequal length, doubled names and no rows.

    >>> frame_to_polars([{"age": 41, "sex": "f"}, {"age": 2**53 + 1}]).rows()
    [(41, 'f'), (9007199254740993, None)]
    """
    name = name_frame(source)
    try:
        frame = _convert(source, name)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, UnicodeError) as error:
        raise InputError(f"{name}: cannot be read as a table ({short(error)})") from error
    if frame.height == 0 or frame.width == 0:
        raise InputError(f"{name}: no rows; a table of at least one row and one column is expected")
    return frame


def _convert(source: Any, name: str) -> pl.DataFrame:
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, pl.DataFrame):
        return _rename(source, source.columns, name)
    if _is_from_pandas(source):
        return _from_pandas(source, name)
    if isinstance(source, Mapping):
        return _from_columns(source, name)
    if isinstance(source, list | tuple):
        return _from_rows(source, name)
    written = _arrow_names(source)
    names = clean_names(written, name)
    frame = pl.DataFrame(source)
    return frame.rename(dict(zip(frame.columns, names)))


def _rename(frame: pl.DataFrame, written: Sequence[str], name: str) -> pl.DataFrame:
    names = clean_names(written, name)
    return frame if names == frame.columns else frame.rename(dict(zip(frame.columns, names)))


def _arrow_names(source: Any) -> Sequence[str]:
    # Asked before the conversion, for polars refuses doubled names in its own words.
    names = getattr(getattr(source, "schema", None), "names", None)
    return names if names is not None else pl.DataFrame(source).columns


def _is_from_pandas(source: object) -> bool:
    return any(
        kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "DataFrame"
        for kind in type(source).__mro__
    )


def _from_pandas(frame: Any, name: str) -> pl.DataFrame:
    # A column index of several levels has tuples for names.
    written = [
        "_".join(str(part) for part in label if str(part)) if isinstance(label, tuple) else label
        for label in frame.columns
    ]
    names = clean_names(written, name)
    columns = [pandas_to_series(frame.iloc[:, k]).alias(names[k]) for k in range(len(names))]
    return pl.DataFrame(columns)


def _from_columns(columns: Mapping[Any, Any], name: str) -> pl.DataFrame:
    names = clean_names(columns, name)
    series = []
    for column, values in zip(names, columns.values()):
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise InputError(
                f"{name}: column {column!r} is {values!r:.60}, not a sequence of values; "
                "for a single row give a list of one dict"
            )
        series.append(column_to_series(values).alias(column))
    lengths = {s.name: len(s) for s in series}
    if len(set(lengths.values())) > 1:
        (first, n_first), (other, n_other) = _two_unequal(lengths)
        raise InputError(
            f"{name}: column {first!r} has {n_first} values, {other!r} has {n_other}; "
            "all columns must be of one length"
        )
    return pl.DataFrame(series)


def _two_unequal(lengths: dict[str, int]) -> tuple[tuple[str, int], tuple[str, int]]:
    first, *others = lengths.items()
    return first, next(other for other in others if other[1] != first[1])


def _from_rows(rows: Sequence[Any], name: str) -> pl.DataFrame:
    for k, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InputError(
                f"{name}: item {k} is {type(row).__name__}, not a dict; a list of rows holds one "
                "dict {column: value} for each row"
            )
    keys = list(dict.fromkeys(key for row in rows for key in row))
    names = clean_names(keys, name)
    return pl.DataFrame(
        [objects_to_series([row.get(key) for row in rows]).alias(n) for key, n in zip(keys, names)]
    )
