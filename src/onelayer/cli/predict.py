"""`onelayer predict`: a probability and a decision for every row."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

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
    wanted_option,
)
from onelayer.cli.output import print_json, print_lines
from onelayer.cli.progress import Progress
from onelayer.cli.scored import describe_scored, score_table, to_document
from onelayer.cli.sources import list_files, memory_option, open_table
from onelayer.errors import InputError

if TYPE_CHECKING:
    from onelayer.model import Model
    from onelayer.table.stream import Batch


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
@click.option(
    "--reasons",
    type=click.IntRange(1),
    metavar="K",
    help="Also write the K strongest reasons of each row, in words.",
)
@wanted_option
@json_option
def predict(
    model: str,
    table: str,
    names: tuple[str, ...],
    na: tuple[str, ...],
    memory: int | None,
    output: str | None,
    reasons: int | None,
    wanted: str | None,
    as_json: bool,
) -> None:
    """Score every row of TABLE with MODEL.

    Writes a line for each row, in the order of the table: its number, the columns that identify it
    if there are any, the probability of the positive value, and the prediction.
    """
    if wanted is not None and reasons is None:
        raise InputError("--wanted is the order of reasons: add --reasons K")
    refuse_two_from_input(model, table)
    if as_json and output == STANDARD:
        raise InputError("--json and -o - would both fill standard output: name a file, or drop -o")
    target = output or STANDARD
    check_output(target, model, *list_files(table))
    with Progress(f"reading {table}") as progress:
        from onelayer.batch_scoring import explain_batches, predict_batches
        from onelayer.table.writing import check_suffix

        check_suffix(target)
        loaded = load(model)
        loaded.explainer.find_sign(wanted)
        source = open_table(table, names, na, memory)
        to = None if as_json and output is None else target

        def score(model: "Model", batches: "Iterator[Batch]") -> "Iterator[dict[str, Any]]":
            if reasons is None:
                return predict_batches(model, batches)
            return explain_batches(model, batches, reasons, wanted, numbers=False)

        tally, kept = score_table(
            loaded, source, score, to, progress, memory=memory, written=reasons or 0
        )
    if as_json:
        print_json(to_document(loaded, source.name, tally, output, kept))
    elif target != STANDARD:
        print_lines(describe_scored(loaded, source.name, tally, target))
