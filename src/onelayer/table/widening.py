"""One type for a column that files hold in types of different width, where nothing is lost.

Whole numbers of 64 bits and floats have none that is certain to: Float64, which many tools write as
soon as a value is missing, holds them up to 2^53. It is taken, and larger ones are refused as they
are read.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from onelayer.errors import InputError

_SIGNED = (pl.Int8, pl.Int16, pl.Int32, pl.Int64)
_UNSIGNED = (pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
_LARGEST_EXACT = 1 << 53  # below it every whole number is a float64
_TEXTS = (pl.String, pl.Categorical, pl.Enum)


def widen(one: pl.DataType, other: pl.DataType) -> pl.DataType | None:
    """The type that holds every value of both exactly (see above); None if there is none.

    >>> widen(pl.Int32(), pl.Int64()), widen(pl.Int16(), pl.Float32()), widen(pl.Int64(), pl.Date())
    (Int64, Float32, None)
    """
    if one == other:
        return one
    if pl.Null in (one, other):
        return other if one == pl.Null else one
    if one in _TEXTS and other in _TEXTS:
        return pl.String()
    if one.is_integer() and other.is_integer():
        return _widen_integers(one, other)
    if one.is_numeric() and other.is_numeric():
        return _widen_floats(one, other)
    if isinstance(one, pl.Datetime) and isinstance(other, pl.Datetime):
        # Years far away fit in microseconds, not in nanoseconds.
        fits = one.time_zone == other.time_zone and "ns" not in (one.time_unit, other.time_unit)
        return pl.Datetime("us", one.time_zone) if fits else None
    return None


def _widen_integers(one: pl.DataType, other: pl.DataType) -> pl.DataType | None:
    ranks = [_rank(dtype) for dtype in (one, other)]
    if None in ranks:
        return None
    (signed, rank), (other_signed, other_rank) = ranks  # type: ignore[misc]
    if signed == other_signed:
        return (_SIGNED if signed else _UNSIGNED)[max(rank, other_rank)]()
    unsigned_rank = other_rank if signed else rank
    needed = max(rank if signed else other_rank, unsigned_rank + 1)
    return _SIGNED[needed]() if needed < len(_SIGNED) else None


def _rank(dtype: pl.DataType) -> tuple[bool, int] | None:
    for signed, family in ((True, _SIGNED), (False, _UNSIGNED)):
        for rank, kind in enumerate(family):
            if dtype == kind:
                return signed, rank
    return None


def _widen_floats(one: pl.DataType, other: pl.DataType) -> pl.DataType | None:
    bits = [_exact_bits(dtype) for dtype in (one, other)]
    if None in bits:
        return None
    most = max(b for b in bits if b is not None)
    return pl.Float32() if most <= 24 else pl.Float64()


def _exact_bits(dtype: pl.DataType) -> int | None:
    """Binary digits of the whole numbers that it holds."""
    if dtype in (pl.Float32, pl.Float64):
        return 24 if dtype == pl.Float32 else 53
    rank = _rank(dtype)
    return None if rank is None else 8 << rank[1]


def require_exact(frame: pl.DataFrame, schema: Mapping[str, pl.DataType], name: str) -> None:
    """Refuse whole numbers of a frame, part of the file called `name`, that its type would round.

    Raises
    ------
    InputError
        Naming the file, the column and the value.
    """
    least: dict[pl.DataType, int] = {pl.Int64(): -_LARGEST_EXACT, pl.UInt64(): 0}
    for column, dtype in frame.schema.items():
        if dtype in least and schema[column] == pl.Float64:
            values = frame[column].drop_nulls()
            odd = values.filter(~values.is_between(least[dtype], _LARGEST_EXACT))
            if len(odd):
                raise InputError(
                    f"{name}: column {column!r} holds {odd[0]}, which is no exact Float64, its "
                    "type in other files; write the files again with one type"
                )


def merge_schemas(
    schemas: Sequence[Mapping[str, pl.DataType]],
) -> tuple[dict[str, pl.DataType], tuple[int, str] | None]:
    """The types of all columns, in the order of the first schema; all have the same columns.

    Beside it: the number of the first schema that does not fit and its column, or None.
    """
    merged = dict(schemas[0])
    for k, schema in enumerate(schemas[1:], start=1):
        for name, dtype in schema.items():
            wide = widen(merged[name], dtype)
            if wide is None:
                return merged, (k, name)
            merged[name] = wide
    return merged, None
