"""`onelayer explain`: why one row, or each, gets its probability."""

from typing import TYPE_CHECKING

import click

from onelayer.cli.options import (
    STANDARD,
    check_output,
    json_option,
    list_option,
    load,
    model_argument,
    refuse_two_from_input,
    table_argument,
    table_options,
    wanted_option,
)
from onelayer.cli.output import print_json, print_lines
from onelayer.cli.progress import Progress
from onelayer.cli.reasons import describe_explanation
from onelayer.cli.scored import describe_scored, score_table, to_document
from onelayer.cli.sources import WholeTable, list_files, memory_option, open_table
from onelayer.errors import InputError

if TYPE_CHECKING:
    from onelayer.model import Model
    from onelayer.table.reading import Table
    from onelayer.table.stream import Stream


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
@wanted_option
@list_option("--fixed", "Columns that cannot change, such as an age; for the smallest change.")
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
    wanted: str | None,
    fixed: tuple[str, ...],
    output: str | None,
    as_json: bool,
) -> None:
    """Say why MODEL gives a row of TABLE its probability, and what would turn the decision.

    With -o every row is explained, by its reasons.

    Row 1 is the first row of data, as in the column `row` that predict writes.
    """
    refuse_two_from_input(model, table)
    if output is not None:
        if row is not None:
            raise InputError("--row explains one row, -o all of them: leave out one of the two")
        if fixed:
            raise InputError("--fixed is for the smallest change of one row: leave out -o")
        _explain_all(model, table, names, na, memory, top, wanted, output, as_json)
        return
    row = 1 if row is None else row
    loaded = load(model)
    raw = _pick_row(loaded, open_table(table, names, na, memory), row)
    found = loaded.explain(raw, wanted=wanted, fixed=fixed)
    if as_json:
        place = {"table": raw.name, "row": row, "line": raw.line_of(0)}
        print_json({**place, "positive": loaded.positive, **found.to_dict()})
    else:
        print_lines(describe_explanation(found, loaded, raw, row, top, fixed))


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
    wanted: str | None,
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
        loaded.explainer.find_sign(wanted)
        tally, _ = score_table(
            loaded,
            source := open_table(table, names, na, memory),
            lambda model, batches: explain_batches(model, batches, top, wanted),
            output,
            progress,
            memory=memory,
            written=3 * min(top, len(loaded.explainer.names)),
        )
    if as_json:
        print_json(to_document(loaded, source.name, tally, output, {}))
    elif output != STANDARD:
        print_lines(describe_scored(loaded, source.name, tally, output))
