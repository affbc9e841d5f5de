"""Predictions to a file that other programs read: CSV, TSV or Parquet by the end of its name."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from onelayer.errors import DataWarning, InputError
from onelayer.table.parquet import write_parquet
from onelayer.writing import replace_file, write_whole

STANDARD_OUTPUT = "-"
_SEPARATORS = {"": ",", ".csv": ",", ".tsv": "\t", ".tab": "\t"}
_PARQUET = (".parquet", ".pq")
# What a spreadsheet runs as a formula; a sign runs nothing unless a name or a call follows it.
_FORMULA = r"^(?:[=@\t\r](?s:.)|[+\-](?s:.)*[A-Za-z(|!=@])"


def check_suffix(path: str) -> None:
    """Refuse a name whose end says no kind of file that can be written.

    Raises
    ------
    InputError
        Naming the path and what its name may end in.
    """
    suffix = Path(path).suffix.lower()
    if path != STANDARD_OUTPUT and suffix not in (*_SEPARATORS, *_PARQUET):
        raise InputError(
            f"cannot write {path}: {suffix} is no kind of table that is written; end the name in "
            ".csv, .tsv or .parquet"
        )


def write_predictions(path: str, columns: Mapping[str, Any]) -> None:
    """Write columns of one length to a file; see `write_batches`.

    Arguments
    ---------
    path
        Ends in .csv, .tsv (or .tab) or .parquet (or .pq); "-" is CSV on standard output.
    columns
        Name -> values.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/out.csv"
    ...     write_predictions(path, {"row": [1, 2], "probability": [0.25, 0.5]})
    ...     Path(path).read_text()
    'row,probability\\n1,0.25\\n2,0.5\\n'
    """
    write_batches(path, [columns])


def write_batches(path: str, batches: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as they come to a file, which is the old one or the new one, never half.

    The bytes do not depend on the batches, of which a few are held at a time. Numbers are written
    so that they read back to the same bits. In CSV and TSV, text that a spreadsheet would run as a
    formula (it begins with = @, a tab or a line end, or with + - and holds a name or a call) gets
    an apostrophe before it, and a warning counts such cells; Parquet holds all as is.

    Arguments
    ---------
    path
        Ends in .csv, .tsv (or .tab) or .parquet (or .pq); "-" is CSV on standard output, which
        gets the rows of each batch as soon as they are there.
    batches
        Name -> values, of one length; the same names in each. An error that it raises leaves the
        old file as it was.

    Raises
    ------
    InputError
        The file cannot be written, or its name ends in something else.

    Warns
    -----
    DataWarning
        With the number of cells that got an apostrophe.
    """
    check_suffix(path)
    frames = (pl.DataFrame(dict(columns)) for columns in batches)
    if Path(path).suffix.lower() in _PARQUET and path != STANDARD_OUTPUT:
        replace_file(path, lambda stream: write_parquet(stream, frames))
    elif path == STANDARD_OUTPUT:
        _write_text(sys.stdout.buffer, frames, path)
    else:
        replace_file(path, lambda stream: _write_text(stream, frames, path))


def _write_text(stream: BinaryIO, frames: Iterable[pl.DataFrame], path: str) -> None:
    separator = "," if path == STANDARD_OUTPUT else _SEPARATORS[Path(path).suffix.lower()]
    armed = 0
    for number, frame in enumerate(frames):
        harmless, count = _disarm(frame)
        armed += count
        encoded = io.BytesIO()
        harmless.write_csv(encoded, separator=separator, include_header=not number)
        write_whole(stream, encoded.getbuffer())
    if armed:
        where = "standard output" if path == STANDARD_OUTPUT else path
        warnings.warn(
            f"{where}: {armed:,} cells that a spreadsheet would run as a formula got an "
            "apostrophe in front; a .parquet file holds them as they are",
            DataWarning,
            stacklevel=3,
        )


def _disarm(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Put an apostrophe before what a spreadsheet would run, and count such cells."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    runs = {
        name: pl.col(name).str.contains(_FORMULA)
        & pl.col(name).str.strip_chars().cast(pl.Float64, strict=False).is_null()
        for name in texts
    }
    armed = frame.select(total.sum().alias(name) for name, total in runs.items())
    count = int(sum(armed.row(0))) if texts else 0
    if not count:
        return frame, 0
    mended = frame.with_columns(
        pl.when(is_run).then("'" + pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name, is_run in runs.items()
    )
    return mended, count
