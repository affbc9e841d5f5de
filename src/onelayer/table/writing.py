"""Predictions to a file that other programs read: CSV, TSV or Parquet by the end of its name."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from onelayer.errors import DataWarning, InputError
from onelayer.writing import replace_file

if TYPE_CHECKING:
    from onelayer.table.reading import Table

STANDARD_OUTPUT = "-"
_SEPARATORS = {"": ",", ".csv": ",", ".tsv": "\t", ".tab": "\t"}
_PARQUET = (".parquet", ".pq")
_OURS = ("row", "probability", "prediction")
# Pieces small enough that Ctrl-C is obeyed between two of them.
_PIECE_BYTES = 1 << 20
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


def tabulate_predictions(
    table: Table, identifiers: Sequence[str], probabilities: ArrayLike, values: ArrayLike
) -> dict[str, pl.Series]:
    """Return the columns of a file of predictions, one row for each of the table, in its order.

    Arguments
    ---------
    identifiers
        Columns that name the rows; those that the table has are copied, so that people can join
        the predictions to it. One that is called as one of ours gets an underscore behind it.
    probabilities, values : (n,)
        The probability of the positive value, and the value predicted.

    Returns
    -------
    `row` (from 1), the identifiers, `probability`, `prediction`.
    """
    columns = {"row": pl.Series("row", np.arange(1, table.frame.height + 1))}
    for name in identifiers:
        if name in table.frame.columns:
            shown = name
            while shown in _OURS or (shown != name and shown in identifiers):
                shown += "_"
            columns[shown] = table.frame[name].alias(shown)
    columns["probability"] = pl.Series("probability", np.asarray(probabilities))
    columns["prediction"] = pl.Series("prediction", np.asarray(values))
    return columns


def write_predictions(path: str, columns: Mapping[str, Any]) -> None:
    """Write columns of one length to a file, which is the old one or the new one, never half.

    Numbers are written so that they read back to the same bits. In CSV and TSV, text that a
    spreadsheet would run as a formula (it begins with = @, a tab or a line end, or with + - and
    holds a name or a call) gets an apostrophe before it, and a warning counts such cells; Parquet
    holds all as is.

    Arguments
    ---------
    path
        Ends in .csv, .tsv (or .tab) or .parquet (or .pq); "-" is CSV on standard output.
    columns
        Name -> values.

    Raises
    ------
    InputError
        The file cannot be written, or its name ends in something else.

    Warns
    -----
    DataWarning
        With the number of cells that got an apostrophe.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/out.csv"
    ...     write_predictions(path, {"row": [1, 2], "probability": [0.25, 0.5]})
    ...     Path(path).read_text()
    'row,probability\\n1,0.25\\n2,0.5\\n'
    """
    check_suffix(path)
    encoded = _encode(path, pl.DataFrame(dict(columns)))
    if path == STANDARD_OUTPUT:
        write_whole(sys.stdout.buffer, encoded)
    else:
        replace_file(path, lambda stream: write_whole(stream, encoded))


def _encode(path: str, frame: pl.DataFrame) -> memoryview:
    stream = io.BytesIO()
    suffix = "" if path == STANDARD_OUTPUT else Path(path).suffix.lower()
    if suffix in _PARQUET:
        frame.write_parquet(stream)
    else:
        _disarm(frame, path).write_csv(stream, separator=_SEPARATORS[suffix])
    return stream.getbuffer()


def _disarm(frame: pl.DataFrame, path: str) -> pl.DataFrame:
    """Put an apostrophe before what a spreadsheet would run."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    runs = {
        name: pl.col(name).str.contains(_FORMULA)
        & pl.col(name).str.strip_chars().cast(pl.Float64, strict=False).is_null()
        for name in texts
    }
    armed = frame.select(total.sum().alias(name) for name, total in runs.items())
    count = int(sum(armed.row(0))) if texts else 0
    if not count:
        return frame
    where = "standard output" if path == STANDARD_OUTPUT else path
    warnings.warn(
        f"{where}: {count:,} cells that a spreadsheet would run as a formula got an apostrophe in "
        "front; a .parquet file holds them as they are",
        DataWarning,
        stacklevel=4,
    )
    return frame.with_columns(
        pl.when(is_run).then("'" + pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name, is_run in runs.items()
    )


def write_whole(stream: BinaryIO, encoded: bytes | memoryview) -> None:
    """Write all bytes to a stream, which may take fewer at a time than it is given.

    So does the standard output of `python -u` where a reader has gone away in the midst of it.
    """
    rest = memoryview(encoded)
    while rest:
        rest = rest[stream.write(rest[:_PIECE_BYTES]) :]
