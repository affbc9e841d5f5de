"""One column, whatever holds it, to a polars Series: no id rounded, no missing value lost."""

from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl

_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)
_POLARS_UNITS = {"M": ("D", "ms", "us", "ns"), "m": ("ms", "us", "ns")}


def column_to_series(values: Any) -> pl.Series:
    """A column of polars, pandas, NumPy, pyarrow or plain Python; NaN is missing.

    >>> column_to_series([2**53 + 1, float("nan"), None]).to_list()
    [9007199254740993, None, None]
    """
    if isinstance(values, pl.Series):
        return values
    if hasattr(values, "dtype") and hasattr(values, "isna"):
        return pandas_to_series(values)
    if isinstance(values, np.ndarray):
        return _values_to_series(values)
    if hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__"):
        return pl.Series(values)
    return objects_to_series(list(values))


def pandas_to_series(column: Any) -> pl.Series:
    """One pandas Series by its kind of dtype, without pyarrow unless its values lie there."""
    dtype = column.dtype
    kind = type(dtype).__name__
    if isinstance(dtype, np.dtype):
        return _values_to_series(column.to_numpy())
    if kind == "CategoricalDtype":
        codes = pl.Series(column.cat.codes.to_numpy().astype(np.int64))
        levels = _values_to_series(column.cat.categories.to_numpy(dtype=object)).cast(pl.String)
        return levels.cast(pl.Categorical).gather(codes.set(codes < 0, None))
    if kind == "DatetimeTZDtype":
        return _zoned_to_series(column)
    if kind == "ArrowDtype":
        return pl.Series(column.array.__arrow_array__())
    if kind == "SparseDtype":
        return _values_to_series(column.array.to_dense())
    missing = column.isna().to_numpy(dtype=bool)
    numpy_dtype = getattr(dtype, "numpy_dtype", None)
    if numpy_dtype is not None:
        filled = column.fillna(numpy_dtype.type(0)).to_numpy(dtype=numpy_dtype)
        values = _values_to_series(filled)
        return values.set(pl.Series(missing), None) if missing.any() else values
    return objects_to_series([None if m else v for v, m in zip(column.tolist(), missing.tolist())])


def _zoned_to_series(column: Any) -> pl.Series:
    zone = str(column.dtype.tz)
    instants = pl.Series(column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
    try:
        return instants.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    except pl.exceptions.PolarsError:
        # A fixed offset has no name that polars knows; calendar parts need the clock on the wall.
        return pl.Series(column.dt.tz_localize(None).to_numpy())


def _values_to_series(values: np.ndarray[Any, Any]) -> pl.Series:
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    kind = values.dtype.kind
    if kind in _POLARS_UNITS and np.datetime_data(values.dtype)[0] not in _POLARS_UNITS[kind]:
        values = values.astype(f"{kind}8[us]")
    if kind in "biufmM" and values.dtype.isnative and values.dtype.itemsize <= 8:
        return pl.Series(values, nan_to_null=kind == "f")
    return objects_to_series(values.tolist())


def objects_to_series(values: list[Any]) -> pl.Series:
    """Python objects of any kinds: one type where they all are of one, else text."""
    values = [None if _is_missing(value) else _unwrap(value) for value in values]
    kinds = {type(value) for value in values if value is not None}
    if kinds == {str} or not kinds:
        return pl.Series(values, dtype=pl.String)
    if kinds == {int}:
        return _integers_to_series(values)
    if kinds == {int, float} and all(_is_exact_float(v) for v in values if v is not None):
        return pl.Series(values, dtype=pl.Float64, strict=False)
    if len(kinds) == 1 or kinds <= {list, dict, tuple}:
        return _alike_to_series(values)
    return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)


def _integers_to_series(values: list[int | None]) -> pl.Series:
    known = [v for v in values if v is not None]
    low, high = min(known), max(known)
    for dtype, span in ((pl.Int64, _INT64), (pl.UInt64, _UINT64)):
        if low in span and high in span:
            return pl.Series(values, dtype=dtype)
    return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)


def _alike_to_series(values: list[Any]) -> pl.Series:
    try:
        series = pl.Series(values, strict=True)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
        series = pl.Series(values, dtype=pl.Object)
    nested = series.dtype.is_nested() or isinstance(
        next(v for v in values if v is not None), list | dict
    )
    if series.dtype != pl.Object or nested:
        return series
    return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)


def _is_missing(value: object) -> bool:
    # pandas' NA and NaT are told by their names: neither equals itself in a way that can be asked.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return (
        isinstance(value, float | np.floating | np.datetime64 | np.timedelta64) and value != value
    )


def _unwrap(value: Any) -> Any:
    """A NumPy scalar, or one of a subclass of str, as the Python value it stands for."""
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, str) and type(value) is not str else value


def _is_exact_float(value: int | float) -> bool:
    return isinstance(value, float) or Fraction(value) == Fraction(float(value))
