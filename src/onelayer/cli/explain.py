"""`onelayer explain`: which columns push one row's probability up or down."""

import contextlib
from typing import TYPE_CHECKING

import click

from onelayer.cli.options import (
    STANDARD,
    check_output,
    json_option,
    load,
    model_argument,
    refuse_two_from_input,
    table_argument,
    table_options,
)
from onelayer.cli.output import paragraph, print_json, print_lines, quote, show_text, tabulate
from onelayer.cli.progress import Progress
from onelayer.cli.scored import describe_scored, score_table, to_document
from onelayer.cli.sections import count
from onelayer.cli.sources import WholeTable, list_files, memory_option, open_table
from onelayer.errors import InputError

if TYPE_CHECKING:
    from onelayer.explain import Explanation
    from onelayer.model import Model
    from onelayer.table.reading import Table
    from onelayer.table.stream import Stream

_NAME_WIDTH = 22
_VALUE_WIDTH = 16
_BAR_WIDTH = 10


@click.command()
@model_argument
@table_argument
@table_options
@memory_option
@click.option("--row", type=int, metavar="N", help="From 1, which is meant if nothing is said.")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    metavar="K",
    help="How many columns to show by themselves.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Explain every row, to a .csv, .tsv or .parquet file; - is CSV on standard output.",
)
@json_option
def explain(
    model: str,
    table: str,
    names: tuple[str, ...],
    na: tuple[str, ...],
    memory: int | None,
    row: int | None,
    top: int,
    output: str | None,
    as_json: bool,
) -> None:
    """Say why MODEL gives a row of TABLE its probability, or every row with -o.

    Row 1 is the first row of data, as in the column `row` that predict writes.
    """
    refuse_two_from_input(model, table)
    if output is not None:
        if row is not None:
            raise InputError("--row explains one row, -o all of them: leave out one of the two")
        _explain_all(model, table, names, na, memory, top, output, as_json)
        return
    row = 1 if row is None else row
    loaded = load(model)
    raw = _pick_row(loaded, open_table(table, names, na, memory), row)
    found = loaded.explain(raw)
    if as_json:
        place = {"table": raw.name, "row": row, "line": raw.line_of(0)}
        print_json({**place, "positive": loaded.positive, **found.to_dict()})
    else:
        print_lines(describe_explanation(found, loaded, raw, row, top))


def _pick_row(model: "Model", source: "Stream | WholeTable", row: int) -> "Table":
    """A table of the one row."""
    if source.rows is not None and not 1 <= row <= source.rows:
        raise InputError(f"--row {row}: {source.name} has rows 1 to {source.rows:,}")
    if isinstance(source, WholeTable):
        return source.table.pick(row - 1)
    from onelayer.batch_scoring import choose_columns

    there = list(source.schema)
    columns = choose_columns(model, source.name, there, roles=["target"])
    for batch in source.batches(1, columns, start=max(0, row - 1)):
        if row >= 1:
            return batch.table
    raise InputError(f"--row {row}: {source.name} has rows 1 to {source.rows:,}")


def _explain_all(
    model: str,
    table: str,
    names: tuple[str, ...],
    na: tuple[str, ...],
    memory: int | None,
    top: int,
    output: str,
    as_json: bool,
) -> None:
    if as_json and output == STANDARD:
        raise InputError("--json and -o - would both fill standard output: name a file")
    check_output(output, model, *list_files(table))
    with Progress(f"reading {table}") as progress:
        from onelayer.batch_scoring import explain_batches
        from onelayer.table.writing import check_suffix

        check_suffix(output)
        loaded = load(model)
        tally, _ = score_table(
            loaded,
            source := open_table(table, names, na, memory),
            lambda model, batches: explain_batches(model, batches, top),
            output,
            progress,
            memory=memory,
            written=3 * min(top, len(loaded.explained_columns[0])),
        )
    if as_json:
        print_json(to_document(loaded, source.name, tally, output, {}))
    elif output != STANDARD:
        print_lines(describe_scored(loaded, source.name, tally, output))


def describe_explanation(
    found: "Explanation", model: "Model", raw: "Table", row: int, top: int
) -> list[str]:
    """The row's log-odds as a sum, the largest pushes first."""
    return [
        *paragraph(_say_decision(found, model, raw, row)),
        "",
        *paragraph(
            f"Log-odds of {quote(model.positive)}: where the average row of the training stands, "
            "and how far each column of this row pushes away from it"
        ),
        *tabulate(
            ["column", "this row", "push", f"{'down':>{_BAR_WIDTH}} | up"],
            _tabulate_pushes(found, top),
            right=[2],
        ),
    ]


def _say_decision(found: "Explanation", model: "Model", raw: "Table", row: int) -> str:
    line = raw.line_of(0)
    where = f"row {row:,}" if line is None else f"row {row:,} (line {line:,})"
    chosen = model.positive if found.probability > model.threshold else model.negative
    said = (
        f"{show_text(raw.name)}, {where}: the probability of {quote(model.positive)} is "
        f"{found.probability:.4f}, so that the model says {quote(chosen)}"
    )
    if model.target in raw.frame.columns:
        value = raw.frame[model.target][0]
        truth = "is missing" if value is None or not str(value).strip() else quote(str(value))
        said += f"; in the table {show_text(model.target)} is {truth.removeprefix('is ')}"
    return f"{said}."


def _tabulate_pushes(found: "Explanation", top: int) -> list[list[str]]:
    shown, others = found.pushes[:top], found.pushes[top:]
    largest = max((abs(each.push) for each in found.pushes), default=1.0) or 1.0
    rows = [["the average row", "", f"{found.average_logit:+.3f}", ""]]
    for each in shown:
        name, value = show_text(each.column, _NAME_WIDTH), _show_value(each.value)
        rows.append([name, value, f"{each.push:+.3f}", _draw(each.push / largest)])
    if others:
        rest = sum(each.push for each in others)
        name = f"{count(len(others), 'more column')}"
        rows.append([name, "", f"{rest:+.3f}", _draw(max(-1.0, min(1.0, rest / largest)))])
    rows.append(["this row", "", f"{found.logit:+.3f}", f"probability {found.probability:.4f}"])
    return rows


def _draw(share: float) -> str:
    length = round(abs(share) * _BAR_WIDTH)
    if share < 0:
        return f"{'#' * length:>{_BAR_WIDTH}} |"
    return f"{'':{_BAR_WIDTH}} | {'#' * length}"


def _show_value(value: str) -> str:
    """A value as in the table, a long number to six digits."""
    if not value.strip():
        return "missing"
    if len(value) > 8:
        with contextlib.suppress(ValueError):
            value = f"{float(value):.6g}"
    return show_text(value, _VALUE_WIDTH)
