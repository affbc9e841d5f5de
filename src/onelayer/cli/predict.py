"""`onelayer predict`: a probability and a decision for every row."""

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
from onelayer.cli.output import print_json, print_lines
from onelayer.cli.progress import Progress
from onelayer.cli.scored import describe_scored, score_table, to_document
from onelayer.cli.sources import list_files, memory_option, open_table
from onelayer.errors import InputError


@click.command()
@model_argument
@table_argument
@table_options
@memory_option
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="A .csv, .tsv or .parquet file; - (the default) is CSV on standard output.",
)
@json_option
def predict(
    model: str,
    table: str,
    names: tuple[str, ...],
    na: tuple[str, ...],
    memory: int | None,
    output: str | None,
    as_json: bool,
) -> None:
    """Score every row of TABLE with MODEL.

    Writes a line for each row, in the order of the table: its number, the columns that identify it
    if there are any, the probability of the positive value, and the prediction.
    """
    refuse_two_from_input(model, table)
    if as_json and output == STANDARD:
        raise InputError("--json and -o - would both fill standard output: name a file, or drop -o")
    target = output or STANDARD
    check_output(target, model, *list_files(table))
    with Progress(f"reading {table}") as progress:
        from onelayer.batch_scoring import predict_batches
        from onelayer.table.writing import check_suffix

        check_suffix(target)
        loaded = load(model)
        source = open_table(table, names, na, memory)
        kept_alone = as_json and output is None
        to = None if kept_alone else target
        tally, kept = score_table(loaded, source, predict_batches, to, progress, memory=memory)
    if as_json:
        print_json(to_document(loaded, source.name, tally, output, kept))
    elif target != STANDARD:
        print_lines(describe_scored(loaded, source.name, tally, target))
