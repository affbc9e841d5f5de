"""The footer of a Parquet file: how many rows its row groups have, and how large they are.

polars tells neither. The footer is a structure in Thrift's compact protocol; see
https://github.com/apache/parquet-format (README and parquet.thrift) for the numbers of the fields.
"""

from dataclasses import dataclass
from pathlib import Path
from struct import unpack_from
from typing import Any

_MAGIC = b"PAR1"
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_ROW_GROUPS, _COLUMNS, _ROWS, _META, _UNPACKED_BYTES = 4, 1, 3, 3, 6


@dataclass(frozen=True)
class RowGroup:
    """One row group: its rows, and its bytes unpacked but encoded."""

    rows: int
    unpacked_bytes: int


def read_row_groups(path: Path) -> list[RowGroup]:
    """All row groups that hold rows, in the order of the file.

    Raises ValueError for a footer that is cut or damaged, OSError for a file that cannot be read.
    """
    footer = _read_footer(path)
    try:
        found, _ = _read_struct(footer, 0)
        groups = [RowGroup(group[_ROWS], _unpacked(group)) for group in found.get(_ROW_GROUPS, [])]
    except (IndexError, KeyError, TypeError, RecursionError):
        raise ValueError("its footer cannot be made out") from None
    return [group for group in groups if group.rows]


def _unpacked(group: dict[int, Any]) -> int:
    # total_byte_size of the row group is wrong from some writers; that of the columns is not.
    return sum(column[_META][_UNPACKED_BYTES] for column in group[_COLUMNS])


def _read_footer(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        end = file.read(8)
        if len(end) < 8 or end[4:] != _MAGIC:
            raise ValueError("its end is missing")
        (length,) = unpack_from("<I", end)
        if length > size - 12:
            raise ValueError("its footer is longer than the file")
        file.seek(size - 8 - length)
        return file.read(length)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _read_struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """The fields by their numbers, and where the next value begins."""
    fields: dict[int, Any] = {}
    number = 0
    while byte := data[at]:
        at += 1
        if byte >> 4:
            number += byte >> 4
        else:
            coded, at = _read_varint(data, at)
            number = (coded >> 1) ^ -(coded & 1)
        kind = byte & 0x0F
        if kind in (_TRUE, _FALSE):
            fields[number] = kind == _TRUE
        else:
            fields[number], at = _read_value(data, at, kind)
    return fields, at + 1


def _read_value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind == _BINARY:
        length, at = _read_varint(data, at)
        return None, at + length
    if kind == _STRUCT:
        return _read_struct(data, at)
    if kind in (_LIST, _SET):
        return _read_list(data, at)
    if kind == _DOUBLE:
        return None, at + 8
    if kind in (_TRUE, _FALSE, _BYTE):
        return data[at], at + 1
    if kind == _MAP:
        raise KeyError("no field of a footer is a map")
    coded, at = _read_varint(data, at)
    return (coded >> 1) ^ -(coded & 1), at


def _read_list(data: bytes, at: int) -> tuple[list[Any], int]:
    size, kind = data[at] >> 4, data[at] & 0x0F
    at += 1
    if size == 15:
        size, at = _read_varint(data, at)
    values = []
    for _ in range(size):
        value, at = _read_value(data, at, kind)
        values.append(value)
    return values, at
