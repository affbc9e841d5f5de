"""`onelayer predict`: a probability and a decision for every row."""

from typing import TYPE_CHECKING, Any

import click

from onelayer.cli.interrupt import note_written
from onelayer.cli.options import (
    STANDARD,
    check_output,
    json_option,
    load,
    model_argument,
    read,
    refuse_two_from_input,
    table_argument,
    table_options,
)
from onelayer.cli.output import (
    paragraph,
    print_json,
    print_lines,
    quote,
    show_text,
)
from onelayer.cli.progress import Progress
from onelayer.cli.sections import count
from onelayer.errors import InputError

if TYPE_CHECKING:
    from onelayer.model import Model
    from onelayer.table.reading import Table


@click.command()
@model_argument
@table_argument
@table_options
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
    check_output(target, model, table)
    with Progress(f"reading {table}") as progress:
        from onelayer.table.writing import check_suffix

        check_suffix(target)
        loaded = load(model)
        raw = read(table, names, na)
        progress.say(f"scoring {raw.name}")
        columns = score(loaded, raw)
        if output is not None or not as_json:
            progress.say(f"writing {target}")
            save_predictions(target, columns)
    if as_json:
        print_json(_to_document(loaded, raw, columns, output))
    elif target != STANDARD:
        print_lines(describe_predictions(loaded, raw, columns, target))


def score(model: "Model", raw: "Table") -> dict[str, Any]:
    """The columns of the output."""
    from onelayer.table.writing import tabulate_predictions

    probabilities = model.predict_proba(raw)[:, 1]
    values = model.target_values[(probabilities > model.threshold).astype(int)]
    identifiers = [each.name for each in model.schema.columns if each.role == "identifier"]
    return dict(tabulate_predictions(raw, identifiers, probabilities, values))


def save_predictions(path: str, columns: dict[str, Any]) -> None:
    """Write the predictions."""
    from onelayer.table.writing import write_predictions

    write_predictions(path, columns)
    if path != STANDARD:
        note_written(path)


def describe_predictions(
    model: "Model", raw: "Table", columns: dict[str, Any], path: str
) -> list[str]:
    """One sentence on what was written."""
    positives = _count_positives(model, columns)
    rows = raw.frame.height
    return paragraph(
        f"{show_text(raw.name)}: {count(rows, 'row')} scored, {positives:,} of them predicted "
        f"{quote(model.positive)} ({positives / max(1, rows):.1%}), to {show_text(path)}."
    )


def _count_positives(model: "Model", columns: dict[str, Any]) -> int:
    return int((columns["probability"] > model.threshold).sum())


def _to_document(
    model: "Model", raw: "Table", columns: dict[str, Any], output: str | None
) -> dict[str, Any]:
    document = {
        "table": raw.name,
        "target": model.target,
        "positive": model.positive,
        "threshold": model.threshold,
        "rows": raw.frame.height,
        "predicted_positive": _count_positives(model, columns),
        "output": output,
    }
    if output is None:
        lists = {name: values.to_list() for name, values in columns.items()}
        document["predictions"] = [dict(zip(lists, row)) for row in zip(*lists.values())]
    return document
