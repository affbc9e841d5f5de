"""`write_report`: a model and a table to one HTML file that needs nothing else."""

import os
from typing import Any

from onelayer.amounts import read_memory
from onelayer.batch_scoring import choose_columns, count_rows
from onelayer.encoding import read_rows
from onelayer.errors import InputError
from onelayer.model import Model
from onelayer.report.judgement import Source, judge_table
from onelayer.report.page import build_page
from onelayer.streaming import is_streamed
from onelayer.table.reading import Table
from onelayer.table.stream import Stream, open_stream
from onelayer.writing import check_target, replace_file

USUAL_ROWS = 500
MEASURED_ROWS = 500  # on which the pushes of the columns are measured
SHOWN_ROLES = ("target", "weight", "protected")


def write_report(
    model: Model,
    table: Any,
    path: str | os.PathLike[str],
    *,
    rows: int = USUAL_ROWS,
    memory: int | str | None = None,
) -> int:
    """Write all that there is to say of a model to one HTML file, offline and complete.

    It holds how good the model is, the threshold with a slider, groups, what moves decisions, the
    network, its weights, its training and proof, the columns, and a panel of fields that scores a
    row as it is typed. Of the table on which the model was trained it shows the rows held out.

    Parameters
    ----------
    model: a trained model.
    table: a path, any frame, or what is read in batches: a folder, a glob, a database. It may be
        the table trained on or another one, with the target or without.
    path: the file to write: the old one stays whole until the new one is complete.
    rows: how many rows of the table go into the page at most, to begin the panel with; 0 for none,
        where the page must not hold what is in the table.
    memory: read the table in batches, within so much memory, in bytes or as "500MB".

    Returns
    -------
    The size of the file in bytes.

    Raises
    ------
    InputError: the table cannot be read or lacks a column; `rows` is below 0; the file cannot be
        written.

    Warns
    -----
    DataWarning: as `Model.evaluate`.

    Examples
    --------
    >>> import tempfile
    >>> from onelayer.training import train
    >>> table = {"debt": [10, 20, 30, 40, 50, 60] * 5, "granted": ["yes", "yes", "no"] * 10}
    >>> model = train(table, target="granted")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = write_report(model, table, f"{folder}/report.html")
    >>> size < 400_000
    True
    """
    check_target(path)
    page = render_report(model, table, rows=rows, memory=memory).encode()
    replace_file(path, lambda stream: stream.write(page))
    return len(page)


def render_report(
    model: Model, table: Any, *, rows: int = USUAL_ROWS, memory: int | str | None = None
) -> str:
    """The page of `write_report` as text."""
    if not (isinstance(rows, int) and rows >= 0):
        raise InputError(f"rows is {rows}, expected how many rows, 0 or more")
    source = open_source(model, table, memory)
    judgement, survey = judge_table(model, source, max(rows, MEASURED_ROWS))
    return build_page(model, source.name, judgement, survey, rows)


def open_source(model: Model, table: Any, memory: int | str | None = None) -> Source:
    """The table, in memory or in batches."""
    most = None if memory is None else read_memory(memory)
    if isinstance(table, Stream):
        return _stream(model, table, most)
    if not isinstance(table, Table) and is_streamed(table, memory):
        return _stream(model, open_stream(table), most)
    raw = read_rows(table)
    return Source(raw.name, raw.sha256, tuple(raw.frame.columns), lambda: iter([(0, raw)]))


def _stream(model: Model, stream: Stream, memory: int | None) -> Source:
    there = list(stream.schema)
    columns = choose_columns(model, stream.name, there, roles=SHOWN_ROLES)
    most = count_rows(model, memory, len(columns))
    return Source(
        stream.name,
        stream.fingerprint,
        tuple(there),
        lambda: ((batch.first, batch.table) for batch in stream.batches(most, columns)),
    )
