"""`onelayer evaluate`: how well a model does on a table whose answers are known."""

from typing import TYPE_CHECKING

import click

from onelayer.cli.options import (
    json_option,
    load,
    model_argument,
    read,
    refuse_two_from_input,
    table_argument,
    table_options,
)
from onelayer.cli.output import paragraph, print_json, print_lines, show_text
from onelayer.cli.progress import Progress
from onelayer.cli.sections import count, describe_judgement

if TYPE_CHECKING:
    from onelayer.evaluate import Evaluation
    from onelayer.model import Model
    from onelayer.table.reading import Table


@click.command()
@model_argument
@table_argument
@table_options
@json_option
def evaluate(
    model: str, table: str, names: tuple[str, ...], na: tuple[str, ...], as_json: bool
) -> None:
    """Judge MODEL on a TABLE that holds its target."""
    refuse_two_from_input(model, table)
    with Progress(f"reading {table}") as progress:
        loaded = load(model)
        raw = read(table, names, na)
        progress.say(f"scoring {raw.name}")
        found = loaded.evaluate(raw)
    seen = loaded.training.sha256 is not None and loaded.training.sha256 == raw.sha256
    if as_json:
        document = {"table": raw.name, "is_training_table": seen, "evaluation": found.to_dict()}
        print_json(document)
    else:
        print_lines(_describe(found, loaded, raw, seen))


def _describe(found: "Evaluation", model: "Model", raw: "Table", seen: bool) -> list[str]:
    left = raw.frame.height - found.n
    weighted = model.schema.weight is not None and model.schema.weight in raw.frame.columns
    title = f"On {count(found.n, 'row')} of {show_text(raw.name)}"
    if left:
        title += f" ({left:,} without a target{' or a weight' if weighted else ''} left out)"
    lines = paragraph(title)
    if seen:
        lines += paragraph(
            "This is the table that the model was trained on, so these numbers flatter it; "
            "`onelayer show` has those of rows that it had not seen, if any were held out."
        )
    return [*lines, "", *describe_judgement(found, model)]
