"""`onelayer evaluate`: how well a model does on a table whose answers are known."""

from typing import TYPE_CHECKING

import click

from onelayer.cli.amounts import count
from onelayer.cli.judgement import describe_judgement, list_measures
from onelayer.cli.options import (
    json_option,
    load,
    model_argument,
    refuse_two_from_input,
    table_argument,
    table_options,
)
from onelayer.cli.output import paragraph, print_json, print_lines, show_text
from onelayer.cli.progress import Progress
from onelayer.cli.sources import WholeTable, memory_option, open_table, watch

if TYPE_CHECKING:
    from onelayer.judging.evaluate import Evaluation
    from onelayer.model import Model
    from onelayer.table.stream import Stream


@click.command()
@model_argument
@table_argument
@table_options
@memory_option
@click.option("--details", is_flag=True, help="Show every interval, bin, curve, group and column.")
@json_option
def evaluate(
    model: str,
    table: str,
    names: tuple[str, ...],
    na: tuple[str, ...],
    memory: int | None,
    details: bool,
    as_json: bool,
) -> None:
    """Judge MODEL on a TABLE that holds its target."""
    refuse_two_from_input(model, table)
    with Progress(f"reading {table}") as progress:
        loaded = load(model)
        source = open_table(table, names, na, memory)
        found, rows = _judge(loaded, source, progress, memory)
    seen = loaded.training.sha256 is not None and loaded.training.sha256 == source.fingerprint
    if as_json:
        document = {"table": source.name, "is_training_table": seen, "evaluation": found.to_dict()}
        print_json({**document, "measures": list_measures(found)})
    else:
        print_lines(_describe(found, loaded, source, rows, seen, details))


def _judge(
    model: "Model", source: "Stream | WholeTable", progress: Progress, memory: int | None
) -> "tuple[Evaluation, int]":
    """The evaluation, and how many rows were read for it."""
    if isinstance(source, WholeTable):
        progress.say(f"scoring {source.name}")
        return model.evaluate(source.table), source.rows
    from onelayer.batch_scoring import judge_batches

    doing = f"scoring {source.name}"
    found = judge_batches(
        model, source, memory, lambda batches: watch(batches, progress, doing, source.rows)
    )
    return found, source.rows or 0  # a pass has counted them


def _describe(
    found: "Evaluation",
    model: "Model",
    source: "Stream | WholeTable",
    rows: int,
    seen: bool,
    details: bool,
) -> list[str]:
    left = rows - found.n
    weighted = model.schema.weight is not None and model.schema.weight in source.schema
    title = f"On {count(found.n, 'row')} of {show_text(source.name)}"
    if left:
        title += f" ({left:,} without a target{' or a weight' if weighted else ''} left out)"
    lines = paragraph(title)
    if seen:
        lines += paragraph(
            "This is the table that the model was trained on, so these numbers flatter it; "
            "`onelayer show` has those of rows that it had not seen, if any were held out."
        )
    return [*lines, "", *describe_judgement(found, model, details)]
